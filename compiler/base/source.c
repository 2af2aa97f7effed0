/* Source files and places in them. A place is a file and two byte offsets everywhere; line and column are worked out
 * only when something is printed. The registry lives for the whole run. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct known {
    struct source source;
    int *line; /* first byte of every line; made at the first question */
    size_t count, capacity;
};

static struct {
    struct arena *arena;
    struct known *file;
    size_t count, capacity;
} sources;

int source_add(const char *path, const char *shown, const char *bytes, size_t length)
{
    if (!sources.arena) {
        sources.arena = arena_new("sources");
    }
    struct known known = {.source = {path, shown, bytes, length}};
    PUSH(sources.arena, sources.file, sources.count, sources.capacity, known);
    return (int)sources.count - 1;
}

const struct source *source_get(int file)
{
    return file >= 0 && (size_t)file < sources.count ? &sources.file[file].source : NULL;
}

void source_forget_all(void)
{
    arena_free(sources.arena);
    memset(&sources, 0, sizeof sources);
}

static void find_lines(struct known *known)
{
    const char *bytes = known->source.bytes, *end = bytes + known->source.length;
    PUSH(sources.arena, known->line, known->count, known->capacity, 0);
    for (const char *p = bytes; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++) {
        PUSH(sources.arena, known->line, known->count, known->capacity, (int)(p + 1 - bytes));
    }
}

void source_place(struct span span, int *line, int *column)
{
    *line = *column = 0;
    if (!source_get(span.file)) {
        return;
    }
    struct known *known = &sources.file[span.file];
    if (!known->line) {
        find_lines(known);
    }
    size_t lo = 0, hi = known->count; /* the last line that starts at or before the span */
    while (hi - lo > 1) {
        size_t middle = (lo + hi) / 2;
        if (known->line[middle] <= span.first) {
            lo = middle;
        } else {
            hi = middle;
        }
    }
    *line = (int)lo + 1;
    *column = span.first - known->line[lo] + 1;
}

/* Reads to the end or past the limit; a short read is no end. Returns the bytes read, or -1 with errno. */
static ssize_t read_all(struct arena *arena, int fd, size_t expected, size_t limit, char **bytes)
{
    size_t capacity = expected + 1, length = 0;
    char *buffer = arena_alloc(arena, capacity + 1);
    for (;;) {
        ssize_t n = read(fd, buffer + length, capacity - length);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        length += (size_t)n;
        if (n == 0 || length > limit) {
            break;
        }
        if (length == capacity) {
            char *more = arena_alloc(arena, capacity * 2 + 1);
            memcpy(more, buffer, length);
            buffer = more;
            capacity *= 2;
        }
    }
    buffer[length] = '\0';
    *bytes = buffer;
    return (ssize_t)length;
}

char *file_read(struct arena *arena, const char *path, size_t limit, size_t *length, const char **why)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    char *bytes = NULL;
    ssize_t n = -1;
    *length = 0;
    if (fd < 0 || fstat(fd, &status) != 0) {
        *why = arena_printf(arena, "%s", strerror(errno));
    } else if (S_ISDIR(status.st_mode)) {
        *why = "it is a directory";
    } else if (S_ISREG(status.st_mode) && (uintmax_t)status.st_size > limit) {
        *why = arena_printf(arena, "it has %jd bytes, the limit is %zu", (intmax_t)status.st_size, limit);
    } else {
        size_t expected = S_ISREG(status.st_mode) ? (size_t)status.st_size : 4096;
        n = read_all(arena, fd, expected, limit, &bytes);
        if (n < 0) {
            *why = arena_printf(arena, "%s", strerror(errno));
        } else if ((size_t)n > limit) {
            *why = arena_printf(arena, "it has more than %zu bytes, the limit", limit);
        }
    }
    if (fd >= 0 && !standard) {
        close(fd);
    }
    if (n < 0 || (size_t)n > limit) {
        return NULL;
    }
    *length = (size_t)n;
    return bytes;
}

const char *data_folder(struct arena *arena, const char *name)
{
    static const char *const beside[] = {"../share/netc/", "../", "../../"};
    char self[PATH_MAX], real[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    const char *slash = strrchr(self, '/'), *first = name;
    for (size_t i = 0; slash && i < LENGTH(beside); i++) {
        const char *path = arena_printf(arena, "%.*s/%s%s", (int)(slash - self), self, beside[i], name);
        struct stat status;
        if (realpath(path, real) && stat(real, &status) == 0 && S_ISDIR(status.st_mode)) {
            return arena_copy(arena, real, strlen(real));
        }
        first = i == 0 ? path : first;
    }
    return first;
}
