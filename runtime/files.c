/* Files in and out.
 *
 * An output is written to PATH.PID.tmp and renamed when it is whole, so a fault or a signal leaves no half of it and
 * an older file as it was. Where that name is taken (by what was killed in a container in which all processes have the
 * same few numbers), it is PATH.PID-1.tmp. Devices and pipes cannot be renamed onto (root would replace /dev/null by a file): they
 * are written as they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime.h"

FILE *input_open(const char *path, int64_t *size)
{
    const bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "rb");
    struct stat status;
    if (!file || fstat(fileno(file), &status) != 0) {
        fail("cannot read %s: %s", path, strerror(errno));
    }
    if (S_ISDIR(status.st_mode)) {
        fail("cannot read %s: it is a directory", path);
    }
    *size = S_ISREG(status.st_mode) && !standard ? (int64_t)status.st_size : -1;
    return file;
}

void input_truncated(FILE *file, const char *path)
{
    if (ferror(file)) {
        fail("cannot read %s: %s", path, strerror(errno));
    }
    fail("%s is truncated: it ends before what its header promises", path);
}

/* *got is 0 at the end of the file, -1: errno. Fills `bytes` as far as there is room. */
static size_t fill(int descriptor, uint8_t *bytes, size_t n, size_t room, ssize_t *got)
{
    *got = 1;
    while (n < room && *got != 0) {
        *got = read(descriptor, bytes + n, room - n);
        if (*got < 0 && errno != EINTR) {
            break;
        }
        n += *got > 0 ? (size_t)*got : 0;
    }
    return n;
}

static uint8_t *read_all(int descriptor, size_t expected, size_t *n, char *why, size_t why_room)
{
    enum { LEAST = 1 << 16, MOST = MAX_PICTURE_BYTES };
    uint8_t *bytes = NULL;
    size_t room = expected < LEAST ? LEAST : expected + 1; /* one more, to see the end */
    for (*n = 0; room <= MOST; room *= 2) {
        uint8_t *larger = realloc(bytes, room);
        if (!larger) {
            snprintf(why, why_room, "out of memory: %zu bytes", room);
            free(bytes);
            return NULL;
        }
        bytes = larger;
        ssize_t got;
        *n = fill(descriptor, bytes, *n, room, &got);
        if (got == 0) {
            return bytes;
        }
        if (got < 0) {
            snprintf(why, why_room, "%s", strerror(errno));
            free(bytes);
            return NULL;
        }
    }
    snprintf(why, why_room, "more than %d MiB are no picture", MOST >> 20);
    free(bytes);
    return NULL;
}

uint8_t *file_bytes(const char *path, size_t *n, char *why, size_t room)
{
    const bool standard = strcmp(path, "-") == 0;
    const int descriptor = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (descriptor < 0 || fstat(descriptor, &status) != 0) {
        snprintf(why, room, "%s", strerror(errno));
        return NULL;
    }
    const size_t expected = S_ISREG(status.st_mode) && status.st_size > 0 ? (size_t)status.st_size : 0;
    uint8_t *bytes = read_all(descriptor, expected, n, why, room);
    if (!standard) {
        close(descriptor);
    }
    return bytes;
}

void claim_descriptors(void)
{
    int descriptor;
    do {
        descriptor = open("/dev/null", O_RDONLY);
    } while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor >= 0) {
        close(descriptor);
    }
}

static struct {
    const char *path;
    char *target, *temporary; /* temporary NULL: written in place */
    FILE *file;
} output;

/* What ends a program early; an abort is libomp's when it gets no thread. */
static const int deadly[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGABRT, SIGXCPU};

static void remove_and_die(int signal_number)
{
    if (output.temporary) {
        unlink(output.temporary);
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static char *temporary_name(int attempt)
{
    char *name = NULL, number[16] = "";
    if (attempt > 0) {
        snprintf(number, sizeof number, "-%d", attempt);
    }
    return asprintf(&name, "%s.%ld%s.tmp", output.target, (long)getpid(), number) < 0 ? NULL : name;
}

static void catch_signals(void)
{
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) {
        if (signal(deadly[i], remove_and_die) == SIG_IGN) { /* nohup stays nohup */
            signal(deadly[i], SIG_IGN);
        }
    }
}

/* A new file beside the target, which a signal from now on removes. A descriptor, or -1. */
static int open_temporary(void)
{
    enum { ATTEMPTS = 100 };
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before); /* until the file and its name are known together */
    catch_signals();
    int descriptor = -1, error = EEXIST;
    for (int i = 0; i < ATTEMPTS && descriptor < 0 && error == EEXIST; i++) {
        char *name = temporary_name(i);
        descriptor = name ? open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666) : -1;
        error = errno;
        output.temporary = descriptor < 0 ? NULL : name;
        if (descriptor < 0) {
            free(name);
        }
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return descriptor;
}

static void forget_output(void)
{
    char *temporary = output.temporary;
    output.temporary = NULL; /* first: a signal may come */
    free(temporary);
    free(output.target);
    output.target = NULL;
}

static void *no_output(const char *path, const char *why)
{
    fail("cannot write %s: %s", path, why);
}

FILE *output_begin(const char *path)
{
    output.path = path;
    if (strcmp(path, "-") == 0) {
        return output.file = stdout;
    }
    struct stat status;
    const bool exists = stat(path, &status) == 0;
    if (exists && S_ISDIR(status.st_mode)) {
        return no_output(path, "it is a directory");
    }
    if (exists && !S_ISREG(status.st_mode)) {
        output.file = fopen(path, "wb");
        return output.file ? output.file : no_output(path, strerror(errno));
    }
    output.target = exists ? realpath(path, NULL) : strdup(path); /* the file that a link leads to, not the link */
    if (!output.target) {
        return no_output(path, strerror(errno));
    }
    const int descriptor = open_temporary();
    if (descriptor < 0) {
        return no_output(path, strerror(errno));
    }
    output.file = fdopen(descriptor, "wb");
    return output.file ? output.file : no_output(path, strerror(errno));
}

void output_end(void)
{
    if (output.file == stdout) {
        finish_stdout();
        return;
    }
    const bool bad = ferror(output.file) != 0;
    if (fclose(output.file) != 0 || bad) {
        fail("cannot write %s: %s", output.path, strerror(errno ? errno : EIO));
    }
    if (output.temporary && rename(output.temporary, output.target) != 0) {
        fail("cannot write %s: %s", output.path, strerror(errno));
    }
    forget_output();
}

void output_abandon(void)
{
    if (output.temporary) {
        unlink(output.temporary);
        forget_output();
    }
}

void finish_stdout(void)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fail("cannot write standard output: %s", strerror(errno ? errno : EIO));
    }
}
