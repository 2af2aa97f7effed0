/* How a program ends early, and memory that is there or ends the program. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "runtime.h"

void print_visibly(FILE *file, const char *text)
{
    for (; *text; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte == '\n' || byte == '\t') {
            fputs(byte == '\n' ? "\\n" : "\\t", file);
        } else if (byte < ' ' || byte == 0x7f) {
            fprintf(file, "\\x%02x", byte);
        } else {
            putc(byte, file);
        }
    }
}

/* In one line, whatever bytes a path in it has. */
static void complain(const char *format, va_list arguments)
{
    char *text = NULL;
    fflush(stdout);
    if (vasprintf(&text, format, arguments) < 0) {
        text = NULL;
    }
    flockfile(stderr);
    fprintf(stderr, "%s: error: ", program_invocation_short_name);
    print_visibly(stderr, text ? text : "out of memory");
    fputc('\n', stderr);
    funlockfile(stderr);
    free(text);
}

void report(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
}

_Noreturn void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    output_abandon();
    exit(1);
}

_Noreturn void fail_usage(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    fprintf(stderr, "Try '%s --help'.\n", program_invocation_short_name);
    exit(2);
}

void *allocate(int64_t count, size_t size, const char *what)
{
    void *memory = count < 0 ? NULL : calloc(count ? (size_t)count : 1, size);
    if (!memory) {
        fail("out of memory: %lld x %zu bytes for %s", (long long)count, size, what);
    }
    return memory;
}

void *allocate_json(size_t bytes)
{
    return allocate(1, bytes, "JSON");
}

void *allocate_aligned(int64_t bytes, const char *what)
{
    const int64_t huge = 2 << 20, align = bytes >= huge ? huge : 64;
    int64_t rounded = 0;
    if (bytes < 0 || __builtin_add_overflow(bytes + (bytes == 0), align - 1, &rounded)) {
        fail("out of memory: %lld bytes for %s", (long long)bytes, what);
    }
    rounded &= -align;
    void *memory = aligned_alloc((size_t)align, (size_t)rounded);
    if (!memory) {
        fail("out of memory: %lld bytes for %s", (long long)bytes, what);
    }
    if (align == huge) {
        madvise(memory, (size_t)rounded, MADV_HUGEPAGE); /* a wish: fewer misses in the address cache */
    }
    return memory;
}

double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
