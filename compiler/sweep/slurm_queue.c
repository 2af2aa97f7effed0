/* Slurm's programs: what they are told and how their answers are read.
 *
 * What would surprise: job arrays that are pending are one job of Slurm's, whose elements get numbers of their own when they start;
 * only array and task together name one for its whole life. squeue forgets jobs some minutes after their end, so that one that it
 * does not know may have ended in any way. */
#include "sweep/slurm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build.h"
#include "children.h"

enum { MOST_ANSWER = 64 << 20, SHOWN_ANSWER = 4000, PATIENCE = 5 /* seconds, after a signal */ };

bool slurm_open(struct slurm *q)
{
    const char *const name[] = {"sbatch", "squeue", "scancel"};
    const char **const found[] = {&q->sbatch, &q->squeue, &q->scancel};
    for (size_t i = 0; i < LENGTH(name); i++) {
        *found[i] = find_program(q->arena, name[i]);
        if (!*found[i]) {
            diag_error_file(
                q->diags, CHECK_sweep_slurm, "--on=slurm",
                "%s is not in PATH. On a cluster: run netc where jobs are submitted, on its login node, perhaps "
                "after `module load slurm` (its administrators know). On Debian: apt-get install slurm-client, or "
                "slurm-wlm for a cluster of your own",
                name[i]);
            return false;
        }
    }
    return true;
}

static const char *log_path(struct slurm *q)
{
    return arena_printf(q->scratch, "%s/slurm", q->directory);
}

static char *answer_of(struct slurm *q)
{
    size_t length;
    const char *why;
    char *text = file_read(q->scratch, log_path(q), MOST_ANSWER, &length, &why);
    return text ? text : arena_printf(q->scratch, "%s", why);
}

/* What a program prints, errors too; NULL if it failed, and then *why has it. A signal does not end it at once: jobs of an sbatch
 * that had not told their number could not be cancelled. */
static char *ask(struct slurm *q, const char *const *argv, const char **why)
{
    struct child child = {.argv = argv, .log = log_path(q)};
    *why = NULL;
    child_run_anyway(&child, ".", PATIENCE);
    if (child.status == -1)
        *why = strerror(child.error);
    char *answer = child.status == -1 ? NULL : answer_of(q);
    if (answer && child.status != 0)
        *why = *answer ? answer : "it failed and said nothing";
    return child.status == 0 ? answer : NULL;
}

static const char *trimmed(struct arena *a, const char *text)
{
    size_t n = strlen(text);
    while (n && strchr(" \n", text[n - 1]))
        n--;
    return arena_copy(a, text, n < SHOWN_ANSWER ? n : SHOWN_ANSWER);
}

/* A line `12` or `12;CLUSTER`, among warnings. */
static long array_number(const char *answer)
{
    for (const char *line = answer; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        char *end;
        long number = strtol(line, &end, 10);
        if (end != line && number > 0 && strchr("\n;", *end)) /* the end of the text, too */
            return number;
    }
    return 0;
}

long slurm_submit(struct slurm *q, const char *const *word, size_t n)
{
    const char **argv = NEW_ARRAY(q->scratch, const char *, n + 2), *why;
    argv[0] = q->sbatch;
    for (size_t i = 0; i < n; i++)
        argv[i + 1] = word[i];
    const char *answer = ask(q, argv, &why);
    long array = answer ? array_number(answer) : 0;
    if (!array)
        diag_error_file(q->diags, CHECK_sweep_slurm, "--on=slurm", "the jobs cannot be submitted: %s",
                        trimmed(q->scratch, why ? why : answer));
    return array;
}

static enum job_state state_of(const char *word)
{
    static const struct {
        const char *word;
        enum job_state state;
    } known[] = {
        {"COMPLETED", JOB_COMPLETED}, {"CANCELLED", JOB_REFUSED},     {"TIMEOUT", JOB_REFUSED},
        {"DEADLINE", JOB_REFUSED},    {"OUT_OF_MEMORY", JOB_REFUSED}, {"FAILED", JOB_LOST},
        {"NODE_FAIL", JOB_LOST},      {"BOOT_FAIL", JOB_LOST},        {"PREEMPTED", JOB_LOST},
        {"REVOKED", JOB_LOST},        {"RUNNING", JOB_RUNNING},       {"COMPLETING", JOB_RUNNING},
    };
    for (size_t i = 0; i < LENGTH(known); i++)
        if (strcmp(word, known[i].word) == 0)
            return known[i].state;
    return JOB_PENDING; /* or configuring, suspended, held, requeued: it will run */
}

/* "ARRAY|TASK|STATE|REASON": a state is one word, a reason may be more. */
static void read_line(const char *line, struct job *const *job, size_t n)
{
    char word[24], reason[40];
    long array;
    int task;
    if (sscanf(line, "%ld|%d|%23[^|]|%39[^\n]", &array, &task, word, reason) != 4)
        return;
    for (size_t i = 0; i < n; i++) {
        struct job *j = job[i];
        if (j->array == array && j->task == task) {
            j->state = state_of(word);
            memcpy(j->word, word, sizeof word);
            memcpy(j->reason, reason, sizeof reason);
        }
    }
}

bool slurm_look(struct slurm *q, struct job *const *job, size_t n, const char **why)
{
    const char *user = arena_printf(q->scratch, "--user=%ld", (long)geteuid());
    const char *argv[] = {q->squeue, "--noheader", "--array", "--states=all", user, "--format=%F|%K|%T|%r", NULL};
    const char *answer = ask(q, argv, why);
    if (!answer) {
        *why = trimmed(q->scratch, *why);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        job[i]->state = JOB_UNKNOWN;
    for (const char *line = answer; *line; line += strcspn(line, "\n"), line += *line == '\n')
        read_line(line, job, n);
    return true;
}

void slurm_cancel(struct slurm *q, const long *array, size_t n)
{
    const char **argv = NEW_ARRAY(q->scratch, const char *, n + 3);
    argv[0] = q->scancel;
    argv[1] = "--quiet";
    for (size_t i = 0; i < n; i++)
        argv[i + 2] = arena_printf(q->scratch, "%ld", array[i]);
    struct child child = {.argv = argv, .log = log_path(q)};
    if (n)
        child_run_anyway(&child, ".", PATIENCE);
}
