/* Child processes and temporary files.
 *
 * What would surprise: the state is static, because a signal handler and on_fatal() must find it. Children get a
 * process group each, so that killing one kills what it started (clang starts a linker); a Ctrl-C in the terminal
 * therefore reaches netc alone, whose handler kills them. A child's id is entered with signals blocked, so the
 * handler never misses one. A private directory is kept open, since opening it needs memory and a descriptor, and it
 * may be for the lack of these that all has to go. */
#include "children.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_JOBS = 64, ROOM = 4096, MAX_CLAIMS = 8, MAX_DIRECTORIES = 4, ATTEMPTS = 100 };

extern char **environ;

static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static struct sigaction before[LENGTH(caught)];
static volatile sig_atomic_t signal_number;
static volatile pid_t running[MAX_JOBS]; /* 0: free */
static volatile sig_atomic_t ends_by[MAX_JOBS]; /* the signal that each of them gets */
static char claimed_name[MAX_CLAIMS][ROOM]; /* "": none */
static struct directory {
    DIR *folder; /* NULL: none */
    char name[ROOM];
} directories[MAX_DIRECTORIES];

static void kill_running(void)
{
    for (int i = 0; i < MAX_JOBS; i++) {
        if (running[i] > 0) {
            kill(ends_by[i] == SIGKILL ? -running[i] : running[i], ends_by[i]);
        }
    }
}

static void on_signal(int number)
{
    signal_number = number;
    kill_running();
}

static void empty_directory(DIR *folder)
{
    rewinddir(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        unlinkat(dirfd(folder), entry->d_name, 0); /* flat: "." and ".." refuse */
    }
}

static void remove_directory(struct directory *d)
{
    enum { TRIES = 50, PAUSE_US = 2000 };
    empty_directory(d->folder);
    for (int i = 0; i < TRIES && rmdir(d->name) != 0 && errno == ENOTEMPTY; i++) {
        usleep(PAUSE_US); /* what a killed child had started may have written until now */
        empty_directory(d->folder);
    }
    closedir(d->folder);
    d->folder = NULL;
}

void temporary_discard(void)
{
    kill_running();
    for (int i = 0; i < MAX_JOBS; i++) {
        if (running[i] > 0) {
            waitpid(running[i], NULL, 0);
            running[i] = 0;
        }
    }
    for (int i = MAX_DIRECTORIES - 1; i >= 0; i--) { /* the inner ones first */
        if (directories[i].folder) {
            remove_directory(&directories[i]);
        }
    }
    for (int i = 0; i < MAX_CLAIMS; i++) {
        if (*claimed_name[i]) {
            unlink(claimed_name[i]);
        }
        *claimed_name[i] = '\0';
    }
}

void temporary_begin(void)
{
    signal_number = 0;
    signal(SIGCHLD, SIG_DFL); /* where it is ignored, waitpid() knows nothing */
    for (size_t i = 0; i < LENGTH(caught); i++) {
        sigaction(caught[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN) { /* nohup stays nohup */
            sigaction(caught[i], &(struct sigaction){.sa_handler = on_signal}, NULL);
        }
    }
    on_fatal(temporary_discard);
}

static bool keep_open(struct directory *d)
{
    d->folder = opendir(d->name);
    if (!d->folder) {
        int error = errno;
        rmdir(d->name);
        errno = error;
    }
    return d->folder;
}

static bool make_directory(struct directory *d, const char *parent)
{
    char name[ROOM];
    if (snprintf(name, ROOM, "%s/netc-XXXXXX", parent) >= ROOM) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (!mkdtemp(name)) {
        return false;
    }
    /* Children run in another directory: the name must not be relative. */
    char whole[PATH_MAX];
    snprintf(d->name, ROOM, "%s", realpath(name, whole) ? whole : name);
    return keep_open(d);
}

/* Inner directories come behind outer ones. */
static struct directory *free_directory(void)
{
    int i = 0;
    while (i < MAX_DIRECTORIES - 1 && directories[i].folder) {
        i++;
    }
    return &directories[i];
}

const char *temporary_directory(const char *parent)
{
    struct directory *d = free_directory();
    const char *usual = getenv("TMPDIR");
    return make_directory(d, parent ? parent : usual && *usual ? usual : "/tmp") ? d->name : NULL;
}

const char *temporary_folder(const char *parent, const char *name)
{
    struct directory *d = free_directory();
    if (snprintf(d->name, ROOM, "%s/%s", parent, name) >= ROOM) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    return mkdir(d->name, 0777) == 0 && keep_open(d) ? d->name : NULL;
}

void temporary_remove(const char *name)
{
    for (int i = 0; i < MAX_DIRECTORIES; i++) {
        if (directories[i].folder && strcmp(directories[i].name, name) == 0) {
            remove_directory(&directories[i]);
        }
    }
}

void temporary_release(const char *name)
{
    for (int i = 0; i < MAX_DIRECTORIES; i++) {
        if (directories[i].folder && strcmp(directories[i].name, name) == 0) {
            closedir(directories[i].folder);
            directories[i].folder = NULL;
        }
    }
}

const char *temporary_claim(const char *path)
{
    int descriptor = -1, place = 0;
    while (place < MAX_CLAIMS - 1 && *claimed_name[place]) {
        place++;
    }
    char *name = claimed_name[place];
    errno = EEXIST;
    for (int i = 0; i < ATTEMPTS && descriptor < 0 && errno == EEXIST; i++) {
        char number[16] = "";
        if (i > 0) { /* in a container all processes have the same few numbers, and a killed one may have left this */
            snprintf(number, sizeof number, "-%d", i);
        }
        if (snprintf(name, ROOM, "%s.%ld%s.tmp", path, (long)getpid(), number) >= ROOM) {
            errno = ENAMETOOLONG;
            break;
        }
        descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    if (descriptor < 0) {
        *name = '\0';
        return NULL;
    }
    close(descriptor);
    return name;
}

bool temporary_interrupted(void)
{
    return signal_number != 0;
}

void temporary_end(void)
{
    temporary_discard();
    on_fatal(NULL);
    for (size_t i = 0; i < LENGTH(caught); i++) {
        sigaction(caught[i], &before[i], NULL);
    }
    if (signal_number) {
        raise(signal_number);
    }
}

static void first_error(int *error, int code)
{
    *error = *error ? *error : code;
}

/* An action that there was no memory for would just not be done: clang would print to our own output. */
static int add_actions(posix_spawn_file_actions_t *actions, const struct child *child, const char *place)
{
    int error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    first_error(&error, posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, child->log,
                                                         O_WRONLY | O_CREAT | O_TRUNC, 0600));
    first_error(&error, posix_spawn_file_actions_adddup2(actions, STDOUT_FILENO, STDERR_FILENO));
    first_error(&error, posix_spawn_file_actions_addchdir_np(actions, place));
    return error;
}

static pid_t spawn(const struct child *child, const char *place, int *error)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    for (size_t i = 0; i < LENGTH(caught); i++) {
        sigaddset(&defaults, caught[i]);
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    pid_t pid = 0;
    *error = add_actions(&actions, child, place);
    if (!*error) {
        *error = posix_spawn(&pid, child->argv[0], &actions, &attributes, (char *const *)child->argv, environ);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return *error ? -1 : pid;
}

static void end(struct child *child, int status)
{
    child->status = status;
    child->seconds += seconds_now();
    if (child->ended && !signal_number) {
        child->ended(child);
    }
}

/* Starts a child in a free place. False if it could not be started or a signal came first. */
static bool start(struct child *child, int place, const char *directory)
{
    sigset_t block, old;
    sigfillset(&block);
    sigprocmask(SIG_SETMASK, &block, &old);
    if (!signal_number) {
        child->status = -1;
        child->seconds = -seconds_now();
        pid_t pid = spawn(child, directory, &child->error);
        ends_by[place] = child->tidy ? SIGTERM : SIGKILL;
        running[place] = pid > 0 ? pid : 0;
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
    return running[place] > 0;
}

/* Waits for one of the running children and frees its place. */
static int wait_for_one(int jobs, int *status)
{
    for (;;) {
        pid_t pid = waitpid(-1, status, 0);
        for (int i = 0; i < jobs; i++) {
            if (pid > 0 && running[i] == pid) {
                running[i] = 0;
                return i;
            }
        }
        if (pid < 0 && errno != EINTR) {
            return -1;
        }
    }
}

bool children_run(struct child *child, int n, int jobs, const char *directory, int *failed)
{
    int which[MAX_JOBS], active = 0;
    *failed = -1;
    jobs = jobs < 1 ? 1 : jobs > MAX_JOBS ? MAX_JOBS : jobs;
    bool good = true;
    for (int next = 0; (good && next < n) || active > 0;) {
        if (good && next < n && active < jobs) {
            int place = 0;
            while (running[place]) {
                place++;
            }
            which[place] = next;
            bool started = start(&child[next], place, directory);
            good = started || (child[next].may_fail && !signal_number);
            *failed = good || signal_number ? -1 : next;
            active += started;
            if (!started && good) {
                end(&child[next], -1);
            }
            next++;
        } else {
            int status = 0, place = wait_for_one(jobs, &status);
            if (place < 0) {
                return false;
            }
            active--;
            end(&child[which[place]], status);
            if (good && status != 0 && !child[which[place]].may_fail) {
                good = false;
                *failed = signal_number ? -1 : which[place];
            }
        }
        if (!good) {
            kill_running();
        }
    }
    return good && !signal_number;
}

void child_run_anyway(struct child *child, const char *directory, double patience)
{
    enum { LOOK_NS = 10000000 };
    double signalled = 0; /* when that was seen */
    child->status = -1;
    pid_t pid = spawn(child, directory, &child->error);
    while (pid > 0 && waitpid(pid, &child->status, WNOHANG) == 0) {
        if (signal_number && !signalled) {
            signalled = seconds_now();
        } else if (signalled && seconds_now() > signalled + patience) {
            kill(-pid, SIGKILL);
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
}
