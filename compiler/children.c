/* Child processes and temporary files.
 *
 * What would surprise: the state is static, because a signal handler and on_fatal() must find it. Children get a
 * process group each, so that killing one kills what it started (clang starts a linker); a Ctrl-C in the terminal
 * therefore reaches netc alone, whose handler kills them. A child's id is entered with signals blocked, so the
 * handler never misses one. */
#include "children.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_JOBS = 64, ROOM = 4096, MAX_CLAIMS = 8 };

extern char **environ;

static const int caught[] = {SIGINT, SIGTERM, SIGHUP};
static struct sigaction before[LENGTH(caught)];
static volatile sig_atomic_t signal_number;
static volatile pid_t running[MAX_JOBS]; /* 0: free */
static char directory_name[ROOM], claimed_name[MAX_CLAIMS][ROOM]; /* "": none */

static void kill_running(void)
{
    for (int i = 0; i < MAX_JOBS; i++) {
        if (running[i] > 0) {
            kill(-running[i], SIGKILL);
        }
    }
}

static void on_signal(int number)
{
    signal_number = number;
    kill_running();
}

static void remove_directory(const char *name)
{
    DIR *directory = opendir(name);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        unlinkat(dirfd(directory), entry->d_name, 0); /* flat: "." and ".." refuse */
    }
    if (directory) {
        closedir(directory);
    }
    rmdir(name);
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
    if (*directory_name) {
        remove_directory(directory_name);
    }
    for (int i = 0; i < MAX_CLAIMS; i++) {
        if (*claimed_name[i]) {
            unlink(claimed_name[i]);
        }
        *claimed_name[i] = '\0';
    }
    *directory_name = '\0';
}

void temporary_watch(void)
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

const char *temporary_begin(struct arena *arena)
{
    const char *parent = getenv("TMPDIR");
    const char *made = arena_printf(arena, "%s/netc-XXXXXX", parent && *parent ? parent : "/tmp");
    if (strlen(made) >= ROOM) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    temporary_watch();
    char name[ROOM];
    strcpy(name, made);
    if (!mkdtemp(name)) {
        int error = errno;
        temporary_end();
        errno = error;
        return NULL;
    }
    /* Children run in another directory: the name must not be relative. */
    char *whole = realpath(name, NULL);
    snprintf(directory_name, ROOM, "%s", whole ? whole : name);
    free(whole); /* of the C library, not an arena's */
    return directory_name;
}

bool temporary_claim(const char *path)
{
    int free_one = 0;
    while (free_one < MAX_CLAIMS && *claimed_name[free_one]) {
        free_one++;
    }
    if (strlen(path) >= ROOM || free_one == MAX_CLAIMS) {
        errno = ENAMETOOLONG;
        return false;
    }
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        return false;
    }
    close(descriptor);
    strcpy(claimed_name[free_one], path);
    return true;
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

static pid_t spawn(const struct child *child, const char *directory, int *error)
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
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, child->log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    posix_spawn_file_actions_addchdir_np(&actions, directory);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    pid_t pid = 0;
    *error = posix_spawn(&pid, child->argv[0], &actions, &attributes, (char *const *)child->argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return *error ? -1 : pid;
}

/* Starts a child in a free place. False if it could not be started or a signal came first. */
static bool start(struct child *child, int place, const char *directory)
{
    sigset_t block, old;
    sigfillset(&block);
    sigprocmask(SIG_SETMASK, &block, &old);
    if (!signal_number) {
        child->status = -1;
        pid_t pid = spawn(child, directory, &child->error);
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
            good = start(&child[next], place, directory);
            *failed = good || signal_number ? -1 : next;
            active += good;
            next++;
        } else {
            int status = 0, place = wait_for_one(jobs, &status);
            if (place < 0) {
                return false;
            }
            active--;
            child[which[place]].status = status;
            if (good && status != 0) {
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
