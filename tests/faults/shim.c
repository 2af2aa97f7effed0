/* A library to LD_PRELOAD into netc or into a built program, which makes what seldom fails fail.
 *
 *   FAULT_ALLOC=7     the seventh allocation fails; 7+ also all after it
 *   FAULT_SHORT=3     no read() or write() moves more than three bytes at once
 *   FAULT_LOG=FILE    a line is written there for the first failed allocation: what asked for it
 *
 * What would surprise: allocations of libomp and of the loader (the threads' own storage) always succeed and are not
 * counted, since libomp ends the process by itself when one fails. What stdio reads and writes does not pass through
 * here: the C library calls itself. Children of the program are left in peace. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static atomic_long countdown; /* 0: never */
static bool all_after;
static size_t most; /* 0: no limit */
static const char *log_file;

__attribute__((constructor)) static void read_environment(void)
{
    const char *alloc = getenv("FAULT_ALLOC"), *amount = getenv("FAULT_SHORT");
    char *end = "";
    log_file = getenv("FAULT_LOG");
    most = amount ? strtoul(amount, NULL, 10) : 0;
    countdown = alloc ? strtol(alloc, &end, 10) : 0;
    all_after = *end == '+';
    unsetenv("LD_PRELOAD");
}

static void tell(const Dl_info *caller, const void *address)
{
    char line[512];
    const long offset = (const char *)address - (const char *)caller->dli_fbase;
    const int n = snprintf(line, sizeof line, "%s+0x%lx %s\n", caller->dli_fname, offset,
                           caller->dli_sname ? caller->dli_sname : "");
    const int file = log_file ? open(log_file, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
    if (file >= 0) {
        syscall(SYS_write, file, line, (size_t)n);
        close(file);
    }
    log_file = NULL;
}

static bool fails(const void *address)
{
    Dl_info caller = {0};
    if (countdown == 0 || !dladdr(address, &caller) || !caller.dli_fname || strstr(caller.dli_fname, "libomp") ||
        strstr(caller.dli_fname, "/ld-")) {
        return false;
    }
    if (countdown > 1) {
        countdown--;
        return false;
    }
    countdown = all_after;
    tell(&caller, address);
    errno = ENOMEM;
    return true;
}

#define FAILS fails(__builtin_return_address(0))

void *malloc(size_t n)
{
    return FAILS ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return FAILS ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t n)
{
    return FAILS ? NULL : __libc_realloc(old, n);
}

void *memalign(size_t align, size_t n)
{
    return FAILS ? NULL : __libc_memalign(align, n);
}

void *aligned_alloc(size_t align, size_t n)
{
    return FAILS ? NULL : __libc_memalign(align, n);
}

int posix_memalign(void **to, size_t align, size_t n)
{
    if (FAILS) {
        return ENOMEM;
    }
    *to = __libc_memalign(align, n);
    return *to ? 0 : ENOMEM;
}

static size_t less(size_t n)
{
    return most && n > most ? most : n;
}

ssize_t read(int file, void *to, size_t n)
{
    return syscall(SYS_read, file, to, less(n));
}

ssize_t write(int file, const void *from, size_t n)
{
    return syscall(SYS_write, file, from, less(n));
}

ssize_t pread(int file, void *to, size_t n, off_t at)
{
    return syscall(SYS_pread64, file, to, less(n), at);
}

ssize_t pwrite(int file, const void *from, size_t n, off_t at)
{
    return syscall(SYS_pwrite64, file, from, less(n), at);
}
