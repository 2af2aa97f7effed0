/* Takes the place of runtime/fail.c under the fuzzers: fail() does not end the process but leaves the reader by longjmp, and
 * what the reader had asked for by then is given back. So a leak of the runtime itself is a leak here, too. */
#define TRACKED_ITSELF
#include "tracked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../runtime/runtime.h"

enum { MOST = 64, LARGEST = 1 << 24 };
enum kind { MEMORY, A_FILE, A_GZIP_FILE };

static struct {
    void *it;
    enum kind kind;
} held[MOST];
static int n_held;
static jmp_buf way_out;
static bool reading;
static char message[4096];

static void *hold(void *it, enum kind kind)
{
    if (it && n_held == MOST) {
        abort();
    }
    if (it) {
        held[n_held].it = it;
        held[n_held++].kind = kind;
    }
    return it;
}

static void forget(void *it)
{
    for (int i = 0; i < n_held; i++) {
        if (held[i].it == it) {
            held[i] = held[--n_held];
            return;
        }
    }
}

static void give_back(void)
{
    while (n_held > 0) {
        void *it = held[--n_held].it;
        switch (held[n_held].kind) {
        case MEMORY: free(it); break;
        case A_FILE: fclose(it); break;
        case A_GZIP_FILE: gzclose(it); break;
        }
    }
}

/* ---- what the runtime calls ---- */

static bool too_large(size_t n) /* so a machine with little memory: what is refused is quick */
{
    return n > LARGEST;
}

void *tracked_malloc(size_t n)
{
    return too_large(n) ? NULL : hold(malloc(n), MEMORY);
}

void *tracked_calloc(size_t n, size_t size)
{
    return too_large(n) || too_large(n * size) ? NULL : hold(calloc(n, size), MEMORY);
}

void *tracked_realloc(void *old, size_t n)
{
    if (too_large(n)) {
        return NULL;
    }
    void *fresh = realloc(old, n);
    if (fresh) {
        forget(old);
        hold(fresh, MEMORY);
    }
    return fresh;
}

void *tracked_aligned_alloc(size_t align, size_t n)
{
    return too_large(n) ? NULL : hold(aligned_alloc(align, n), MEMORY);
}

char *tracked_strdup(const char *text)
{
    return hold(strdup(text), MEMORY);
}

void tracked_free(void *memory)
{
    forget(memory);
    free(memory);
}

FILE *tracked_fopen(const char *path, const char *mode)
{
    return hold(fopen(path, mode), A_FILE);
}

int tracked_fclose(FILE *file)
{
    forget(file);
    return fclose(file);
}

gzFile tracked_gzdopen(int descriptor, const char *mode)
{
    return hold(gzdopen(descriptor, mode), A_GZIP_FILE);
}

int tracked_gzclose(gzFile file)
{
    forget(file);
    return gzclose(file);
}

/* ---- instead of runtime/fail.c ---- */

static void leave(const char *format, va_list arguments)
{
    vsnprintf(message, sizeof message, format, arguments);
    if (!reading || !*message) {
        abort();
    }
    longjmp(way_out, 1);
}

_Noreturn void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    leave(format, arguments);
    va_end(arguments);
    abort();
}

_Noreturn void fail_usage(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    leave(format, arguments);
    va_end(arguments);
    abort();
}

void *allocate(int64_t count, size_t size, const char *what)
{
    void *memory = count < 0 ? NULL : tracked_calloc(count ? (size_t)count : 1, size);
    if (!memory) {
        fail("out of memory: %lld x %zu bytes for %s", (long long)count, size, what);
    }
    return memory;
}

void *allocate_aligned(int64_t bytes, const char *what)
{
    return allocate(bytes, 1, what);
}

const struct netc_model netc_model = {.name = "fuzz", .batch = 1}; /* the readers know no network */

void check_given_back(void)
{
    if (n_held > 0) {
        fprintf(stderr, "%d things are not given back\n", n_held);
        abort();
    }
}

bool survives(void (*reader)(const char *path), const uint8_t *bytes, size_t size, const char **why)
{
    char path[64];
    int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    if (descriptor < 0 || write(descriptor, bytes, size) != (ssize_t)size) {
        abort();
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    *message = '\0';
    *why = message;
    reading = true;
    const bool well = setjmp(way_out) == 0;
    if (well) {
        reader(path);
        check_given_back();
    }
    reading = false;
    give_back();
    close(descriptor);
    return well;
}
