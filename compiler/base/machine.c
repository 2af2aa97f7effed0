/* The machine that netc runs on, and its clock. */
#include "base/base.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CPUINFO = 16 << 20 };

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *processor_name(struct arena *arena)
{
    size_t length;
    const char *why, *text = file_read(arena, "/proc/cpuinfo", MOST_CPUINFO, &length, &why);
    const char *line = text ? strstr(text, "model name") : NULL, *colon = line ? strchr(line, ':') : NULL;
    if (!colon)
        return "unknown";
    colon += 1 + strspn(colon + 1, " \t");
    return arena_copy(arena, colon, strcspn(colon, "\n"));
}

const char *system_name(struct arena *arena)
{
    struct utsname name;
    if (uname(&name) != 0)
        return "unknown";
    return arena_printf(arena, "%s %s %s", name.sysname, name.release, name.machine);
}

const char *own_program(struct arena *arena)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    return arena_copy(arena, path, n > 0 ? (size_t)n : 0);
}
