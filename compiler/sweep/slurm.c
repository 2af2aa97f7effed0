/* --on=slurm: the variants as tasks of job arrays. A task has a node for itself and runs this same netc there, an ordinary
 * `netc sweep FILE -D ... --measure --db=...` of one variant; its database is merged into the user's as soon as it has ended.
 *
 * All that passes between this run and the nodes lies in the folder DB.slurm beside the database, which they have to see:
 *   job.sh            what a task runs
 *   submitted         ARRAY TASK KEY, a line a task: jobs whose netc was killed are waited for by the next one
 *   ARRAY-TASK.log    what a task printed
 *   ARRAY-TASK.N.part its database meanwhile, of its N-th start
 *   ARRAY-TASK.db     the same when it is whole
 *   ARRAY-TASK.code   with which its netc ended: the last that a task writes
 *
 * What would surprise: only these files say that a task is done. Slurm requeues a task whose node failed by itself where it is
 * allowed to, and may forget how a job ended; a task that is neither in the queue nor has a result is submitted again. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "build.h"
#include "children.h"
#include "sweep/slurm.h"
#include "sweep/sweep.h"

enum {
    MOST_TASKS = 1000, /* of an array: Slurm takes so many unless told otherwise (MaxArraySize) */
    MOST_SUBMITTED = 3, /* times, a task */
    MOST_SILENT = 20, /* squeues in a row that failed */
    MISSING_POLLS = 2, /* a task that is not in the queue and has no result is gone after so many */
    SHARED_SECONDS = 60, /* that a file may take to be seen here, after its task ended well */
    CLEAN_SECONDS = 3, /* that cancelled tasks have to go */
    MOST_LOG = 1 << 20,
    DEFAULT_POLL = 10
};

struct task {
    struct swept *variant;
    struct job job;
    int submitted, missing; /* times; polls since it was last seen */
    double missed_at;
    bool done;
    bool keeps_log; /* it failed, and how is in there */
};

struct cluster {
    struct sweep *sweep;
    struct slurm slurm;
    const char *spool; /* absolute */
    struct task *task;
    size_t n;
    long *array; /* that were submitted */
    size_t n_array, cap_array;
    int silent; /* squeues that failed, in a row */
    bool left; /* the jobs run on, for the next netc */
    char phase[160]; /* what is told of the jobs */
};

static const char *in_spool(struct cluster *c, const char *name)
{
    return arena_printf(c->sweep->scratch, "%s/%s", c->spool, name);
}

static const char *task_file(struct cluster *c, const struct job *job, const char *ending)
{
    return arena_printf(c->sweep->scratch, "%s/%ld-%d%s", c->spool, job->array, job->task, ending);
}

static bool exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

/* ---- the folder ---- */

static bool spool_open(struct cluster *c)
{
    struct sweep *s = c->sweep;
    c->spool = arena_printf(s->arena, "%s.slurm", absolute_path(s->arena, s->options->sweep.db));
    if (strchr(c->spool, '\\')) {
        diag_error_file(s->diags, CHECK_sweep_slurm, c->spool,
                        "Slurm writes no logs where a name has a \\: take another");
        return false;
    }
    if (mkdir(c->spool, 0777) == 0 || errno == EEXIST)
        return true;
    diag_error_file(s->diags, CHECK_sweep_slurm, c->spool,
                    "cannot be made: %s; it is where the nodes leave their results", strerror(errno));
    return false;
}

/* "12-3.log": its ending; NULL: no file of a task. */
static const char *task_name(const char *name, struct job *job)
{
    int at = 0;
    return sscanf(name, "%ld-%d%n", &job->array, &job->task, &at) == 2 && name[at] == '.' ? name + at : NULL;
}

static bool keeps_log(const struct cluster *c, const struct job *job)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->task[i].keeps_log && c->task[i].job.array == job->array && c->task[i].job.task == job->task)
            return true;
    return false;
}

/* Removes what is of no use any more, and the folder, if that empties it. Results that were not merged stay. */
static bool spool_clean(struct cluster *c)
{
    DIR *folder = opendir(c->spool);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        struct job job;
        const char *ending = task_name(entry->d_name, &job);
        bool log = ending && strcmp(ending, ".log") == 0;
        bool stays = ending ? strcmp(ending, ".db") == 0 || (log && keeps_log(c, &job))
                            : strcmp(entry->d_name, "job.sh") != 0 && strcmp(entry->d_name, "submitted") != 0;
        if (!stays)
            unlinkat(dirfd(folder), entry->d_name, 0); /* "." and ".." stay */
    }
    if (folder)
        closedir(folder);
    return rmdir(c->spool) == 0 || errno == ENOENT;
}

/* ---- results ---- */

static bool take_result(struct cluster *c, const char *path)
{
    if (store_merge(c->sweep->store, path))
        return unlink(path) == 0 || errno == ENOENT;
    diag_note(c->sweep->diags, NO_SPAN, "that was when %s was taken in; without it, its variant is measured again",
              path);
    return false;
}

/* Databases of tasks that ended when nobody waited for them. */
static bool take_finished(struct cluster *c)
{
    bool good = true;
    DIR *folder = opendir(c->spool);
    for (struct dirent *entry; good && folder && (entry = readdir(folder));) {
        struct job job;
        const char *ending = task_name(entry->d_name, &job);
        if (ending && strcmp(ending, ".db") == 0)
            good = take_result(c, in_spool(c, entry->d_name));
    }
    if (folder)
        closedir(folder);
    return good;
}

static bool is_measured(struct cluster *c, const struct swept *v)
{
    const struct options *o = c->sweep->options;
    return store_is_measured(c->sweep->store, v, o->threads, o->sweep.throughput, o->sweep.rounds);
}

/* What a task's netc said at its end: its first error, or its last line. */
static const char *log_words(struct cluster *c, const struct task *t)
{
    struct arena *a = c->sweep->arena;
    size_t length;
    const char *why, *log = task_file(c, &t->job, ".log"), *line, *next;
    char *text = file_read(c->sweep->scratch, log, MOST_LOG, &length, &why);
    if (!text || !*text)
        return arena_printf(a, "and printed nothing");
    if ((line = strstr(text, "error: ")))
        line += strlen("error: ");
    else
        for (line = next = text; *next; next += strcspn(next, "\n"), next += *next == '\n')
            line = next;
    return arena_printf(a, "%.*s", (int)strcspn(line, "\n"), line);
}

/* A variant without a result is a row with its error. */
static bool fail_task(struct cluster *c, struct task *t, const char *why)
{
    t->done = true;
    t->keeps_log = exists(task_file(c, &t->job, ".log"));
    t->variant->status = VARIANT_FAILED;
    t->variant->reason = why;
    return store_variant_failed(c->sweep->store, t->variant);
}

/* The result of a task, if it has ended. Its netc also ends with a code if its variant is a row with an error. */
static bool collect_task(struct cluster *c, struct task *t)
{
    size_t length;
    const char *why, *result = task_file(c, &t->job, ".db");
    const char *code = file_read(c->sweep->scratch, task_file(c, &t->job, ".code"), 64, &length, &why);
    if (!code)
        return true;
    if (exists(result) && !(take_result(c, result) && store_read_status(c->sweep->store, t->variant)))
        return false;
    t->done = true;
    if (t->variant->status != VARIANT_OK || is_measured(c, t->variant))
        return true;
    if (atoi(code) == 0)
        return fail_task(c, t, "its node measured another variant: are the files there the same as here?");
    return fail_task(
        c, t, arena_printf(c->sweep->arena, "on its node netc ended with code %d: %s", atoi(code), log_words(c, t)));
}

static bool collect(struct cluster *c)
{
    DIR *folder =
        opendir(c->spool); /* what other machines wrote is seen for certain once a folder of NFS was opened anew */
    if (folder)
        closedir(folder);
    for (size_t i = 0; i < c->n; i++)
        if (!c->task[i].done && c->task[i].job.array && !collect_task(c, &c->task[i]))
            return false;
    return true;
}

/* ---- submission ---- */

static void put_quoted(struct text *t, const char *word)
{
    text_add(t, " '");
    for (; *word; word++)
        text_add(t, *word == '\'' ? "'\\''" : "%c", *word);
    text_add(t, "'");
}

static void put_option(struct text *t, const char *name, const char *value)
{
    put_quoted(t, arena_printf(t->arena, "--%s=%s", name, value));
}

/* The command of all tasks but for the -D of each, with every option that says what is built and how it is measured. */
static void put_command(struct cluster *c, struct text *t)
{
    struct arena *a = c->sweep->scratch;
    const struct options *o = c->sweep->options;
    text_put(t, "set --", 6);
    put_quoted(t, own_program(a));
    put_quoted(t, "sweep");
    put_quoted(t, o->file);
    put_quoted(t, "--measure");
    for (int i = 0; i < o->front.n_import_dir - 1; i++) /* the last are netc's own */
        put_option(t, "import-dir", o->front.import_dir[i]);
    put_option(t, "target", o->target->name);
    put_option(t, "winograd", winograd_mode_name[o->winograd]);
    if (o->max_error > 0)
        put_option(t, "max-error", arena_printf(a, "%.17g", o->max_error));
    if (o->jobs)
        put_option(t, "jobs", arena_printf(a, "%d", o->jobs));
    if (o->threads)
        put_option(t, "threads", arena_printf(a, "%d", o->threads));
    put_option(t, "rounds", arena_printf(a, "%d", o->sweep.rounds));
    put_option(t, "throughput", arena_printf(a, "%d", o->sweep.throughput));
    text_add(t, "\n");
}

static const char script_head[] =
    "#!/bin/sh\n"
    "# A variant of a network, submitted by netc sweep --on=slurm: built and measured on a node that it has for "
    "itself.\n"
    "[ -d \"${TMPDIR:-/tmp}\" ] || unset TMPDIR\n"
    "echo \"$(date +%s) on ${SLURMD_NODENAME:-$(hostname)}, start ${SLURM_RESTART_COUNT:-0}\"\n";
/* A signal is a node's end or a cancelled job, and no answer. */
static const char script_tail[] = "*) exit 2 ;;\n"
                                  "esac\n"
                                  "\"$@\" --db=\"$part\"\n"
                                  "code=$?\n"
                                  "echo \"$(date +%s) ended with $code\"\n"
                                  "[ $code -lt 128 ] || exit $code\n"
                                  "[ ! -e \"$part\" ] || mv \"$part\" \"$result.db\"\n"
                                  "echo $code > \"$part\" && mv \"$part\" \"$result.code\"\n"
                                  "exit $code\n";

static bool write_script(struct cluster *c, struct task *const *task, size_t n, const char *path)
{
    struct text t = {.arena = c->sweep->scratch};
    text_put(&t, script_head, sizeof script_head - 1);
    text_add(&t, "result=$(printf %%s");
    put_quoted(&t, c->spool);
    text_add(&t, ")/$SLURM_ARRAY_JOB_ID-$SLURM_ARRAY_TASK_ID\npart=$result.${SLURM_RESTART_COUNT:-0}.part\n");
    put_command(c, &t);
    text_add(&t, "case $SLURM_ARRAY_TASK_ID in\n");
    for (size_t i = 0; i < n; i++) {
        text_add(&t, "%zu) set -- \"$@\"", i);
        for (int k = 0; k < task[i]->variant->n_define; k++)
            put_quoted(&t, arena_printf(t.arena, "-D%s=%s", task[i]->variant->define[k].name,
                                        task[i]->variant->define[k].value));
        text_add(&t, " ;;\n");
    }
    text_put(&t, script_tail, sizeof script_tail - 1);
    return write_file(c->sweep->diags, path, path, text_string(&t), t.length);
}

/* In names of files % begins what sbatch replaces. */
static const char *log_pattern(struct cluster *c)
{
    struct text t = {.arena = c->sweep->scratch};
    text_add(&t, "--output=");
    for (const char *p = c->spool; *p; p++)
        text_add(&t, *p == '%' ? "%%%%" : "%c", *p);
    text_add(&t, "/%%A-%%a.log");
    return text_string(&t);
}

static long submit_script(struct cluster *c, const char *script, size_t n)
{
    const struct sweep_options *o = &c->sweep->options->sweep;
    struct arena *a = c->sweep->scratch;
    const char **word = NEW_ARRAY(a, const char *, 16 + o->n_slurm_option);
    size_t count = 0;
    word[count++] = "--parsable";
    word[count++] = arena_printf(a, "--array=0-%zu", n - 1);
    word[count++] = "--nodes=1";
    word[count++] = "--exclusive";
    word[count++] = "--mem=0"; /* all that the node has */
    word[count++] = "--requeue";
    word[count++] = "--open-mode=append"; /* of tasks that begin again */
    word[count++] = "--job-name=netc-sweep";
    word[count++] = log_pattern(c);
    if (o->partition)
        word[count++] = arena_printf(a, "--partition=%s", o->partition);
    for (int i = 0; i < o->n_slurm_option; i++) /* over ours */
        word[count++] = o->slurm_option[i];
    word[count++] = script;
    return slurm_submit(&c->slurm, word, count);
}

/* What was submitted is in the file before anything else is done. */
static bool write_submitted(struct cluster *c)
{
    struct text t = {.arena = c->sweep->scratch};
    for (size_t i = 0; i < c->n; i++)
        if (!c->task[i].done && c->task[i].job.array)
            text_add(&t, "%ld %d %s\n", c->task[i].job.array, c->task[i].job.task, c->task[i].variant->key);
    const char *path = in_spool(c, "submitted");
    return write_file(c->sweep->diags, path, path, text_string(&t), t.length);
}

static bool submit(struct cluster *c, struct task *const *task, size_t n)
{
    const char *script = in_spool(c, "job.sh");
    long array = write_script(c, task, n, script) ? submit_script(c, script, n) : 0;
    if (!array)
        return false;
    PUSH(c->sweep->arena, c->array, c->n_array, c->cap_array, array);
    for (size_t i = 0; i < n; i++) {
        task[i]->job = (struct job){.array = array, .task = (int)i, .state = JOB_PENDING, .reason = "None"};
        task[i]->submitted++;
        task[i]->missing = 0;
    }
    return write_submitted(c);
}

/* All that is in no queue. */
static bool submit_open(struct cluster *c)
{
    struct task **open = NEW_ARRAY(c->sweep->scratch, struct task *, MOST_TASKS);
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (!c->task[i].done && !c->task[i].job.array)
            open[n++] = &c->task[i];
        if (n && (n == MOST_TASKS || i + 1 == c->n)) {
            if (!submit(c, open, n))
                return false;
            n = 0;
        }
    }
    return true;
}

/* ---- waiting ---- */

static bool leave(struct cluster *c, const char *why)
{
    diag_error_file(
        c->sweep->diags, CHECK_sweep_slurm, "--on=slurm",
        "squeue cannot tell how the jobs are: %s; they are left alone, the same command again goes on from here", why);
    c->left = true;
    return false;
}

/* How the tasks are that were submitted. False if Slurm does not say. */
static bool look(struct cluster *c, const char **why)
{
    struct job **job = NEW_ARRAY(c->sweep->scratch, struct job *, c->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        if (!c->task[i].done && c->task[i].job.array)
            job[n++] = &c->task[i].job;
    return slurm_look(&c->slurm, job, n, why);
}

static bool is_gone(const struct job *job)
{
    return job->state != JOB_PENDING && job->state != JOB_RUNNING;
}

/* A task that is not in the queue any more, and has left nothing. */
static bool lose_task(struct cluster *c, struct task *t)
{
    struct arena *a = c->sweep->arena;
    const char *word = *t->job.word ? t->job.word : "one that it has forgotten";
    if (t->job.state == JOB_REFUSED)
        return fail_task(
            c, t,
            arena_printf(a, "its job %ld_%d ended as %s, says Slurm%s", t->job.array, t->job.task, word,
                         strcmp(word, "TIMEOUT") == 0 ? ": --slurm-option=--time=MINUTES allows more" : ""));
    if (t->submitted >= MOST_SUBMITTED)
        return fail_task(c, t,
                         arena_printf(a, "%d jobs ended without a result, the last as %s: do the nodes see %s and %s?",
                                      t->submitted, word, c->spool, own_program(a)));
    t->job.array = 0;
    return true;
}

static bool check_lost(struct cluster *c)
{
    double now = seconds_now();
    for (size_t i = 0; i < c->n; i++) {
        struct task *t = &c->task[i];
        if (t->done || !t->job.array)
            continue;
        t->missing = is_gone(&t->job) ? t->missing + 1 : 0;
        t->missed_at = t->missing == 1 ? now : t->missed_at;
        bool waits = t->job.state == JOB_COMPLETED && now < t->missed_at + SHARED_SECONDS;
        if (t->missing >= MISSING_POLLS && !waits && !lose_task(c, t))
            return false;
    }
    return true;
}

/* False when all are done. */
static bool tell(struct cluster *c)
{
    size_t done = 0, failed = 0, running = 0;
    const char *reason = "None"; /* Slurm's word */
    for (size_t i = 0; i < c->n; i++) {
        const struct task *t = &c->task[i];
        done += t->done;
        failed += t->done && t->variant->status == VARIANT_FAILED;
        running += !t->done && t->job.state == JOB_RUNNING;
        if (!t->done && t->job.state == JOB_PENDING && strcmp(t->job.reason, "None") != 0)
            reason = t->job.reason;
    }
    bool waits = strcmp(reason, "None") != 0;
    snprintf(c->phase, sizeof c->phase, "%zu of %zu jobs done, %zu failed, %zu running, %zu pending%s%s%s,", done, c->n,
             failed, running, c->n - done - running, waits ? " (" : "", waits ? reason : "", waits ? ")" : "");
    sweep_progress(c->sweep, c->n ? (double)done / (double)c->n : 1, c->phase, "");
    return done < c->n;
}

/* Sleeps until the next poll; a signal ends it. */
static void rest(const struct cluster *c)
{
    int seconds = c->sweep->options->sweep.poll;
    for (int i = 0; i < 10 * (seconds ? seconds : DEFAULT_POLL) && !temporary_interrupted(); i++)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

/* A controller that does not answer for a while, as when it is started anew, is asked again. */
static bool look_for_lost(struct cluster *c)
{
    const char *why;
    bool answered = look(c, &why);
    c->silent = answered ? 0 : c->silent + 1;
    return answered ? check_lost(c) : c->silent < MOST_SILENT || leave(c, why);
}

/* True when all are done. */
static bool wait_for_all(struct cluster *c)
{
    while (submit_open(c) && tell(c)) {
        rest(c);
        if (temporary_interrupted() || !collect(c) || !look_for_lost(c))
            return false;
        arena_reset(c->sweep->scratch);
    }
    return diag_errors(c->sweep->diags) == 0 && !temporary_interrupted();
}

/* ---- begin and end ---- */

static bool list_tasks(struct cluster *c)
{
    struct sweep *s = c->sweep;
    c->task = NEW_ARRAY(s->arena, struct task, s->n_variant + 1);
    for (size_t i = 0; i < s->n_variant; i++) {
        struct swept *v = &s->variant[i];
        if (v->status != VARIANT_OK)
            continue;
        if (!store_read_status(s->store, v))
            return false;
        if (v->status == VARIANT_OK && !is_measured(c, v))
            c->task[c->n++] = (struct task){.variant = v};
    }
    return true;
}

static void adopt_line(struct cluster *c, const char *line)
{
    struct job job = {0};
    char key[KEY_LENGTH + 1];
    if (sscanf(line, "%ld %d %16s", &job.array, &job.task, key) != 3)
        return;
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->task[i].variant->key, key) == 0)
            c->task[i].job = job;
}

/* Jobs of a netc that was killed before they ended are waited for; those that are in no queue any more are submitted anew. */
static bool adopt(struct cluster *c)
{
    size_t length;
    const char *why, *text = file_read(c->sweep->scratch, in_spool(c, "submitted"), 64 << 20, &length, &why);
    for (const char *line = text ? text : ""; *line; line += strcspn(line, "\n"), line += *line == '\n')
        adopt_line(c, line);
    if (!text || !c->n)
        return true;
    if (!look(c, &why))
        return leave(c, why);
    for (size_t i = 0; i < c->n; i++) {
        struct task *t = &c->task[i];
        if (is_gone(&t->job))
            t->job.array = 0;
        if (!t->job.array)
            continue;
        t->submitted = 1;
        PUSH(c->sweep->arena, c->array, c->n_array, c->cap_array, t->job.array);
    }
    return true;
}

/* Takes what is left out of the queue; what ended until then is kept. */
static void stop(struct cluster *c)
{
    slurm_cancel(&c->slurm, c->array, c->n_array);
    if (diag_errors(c->sweep->diags) == 0)
        collect(c);
    for (int i = 0; i < 10 * CLEAN_SECONDS && !spool_clean(c); i++) /* while tasks that were running end */
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

bool slurm_variants(struct sweep *s)
{
    struct cluster c = {
        .sweep = s,
        .slurm = {.arena = s->arena, .scratch = s->scratch, .diags = s->diags, .directory = temporary_directory(NULL)}};
    if (!c.slurm.directory) {
        diag_error_file(s->diags, CHECK_build_write, "netc", "no temporary directory can be made: %s", strerror(errno));
        return false;
    }
    if (!slurm_open(&c.slurm) || !spool_open(&c))
        return false;
    store_read_anywhere(s->store);
    bool good = take_finished(&c) && list_tasks(&c) && adopt(&c) && wait_for_all(&c);
    if (good)
        spool_clean(&c);
    else if (!c.left)
        stop(&c);
    return good;
}
