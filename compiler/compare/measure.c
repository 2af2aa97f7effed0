/* Networks as programs that run in turn: what each takes, and where in it.
 *
 * netc builds each with synthetic weights, by itself as a child. Then round by round every program runs once for each number of
 * threads with --profile --json, which tells the median of its runs and the time of each layer; so what disturbs the machine for a
 * while falls on all of them.
 *
 * What would surprise: the times of a network are those of one round, the one with the median of its rounds (of an even number: the
 * mean of the two in the middle), so that the stages and what is outside of them add up to the whole. Outside is what threads wait
 * and whatever else is not a layer; as the profile watches layers in other runs than those whose median is the whole, it can be a
 * little less than nothing.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "build.h"
#include "children.h"
#include "compare/compare.h"
#include "progress.h"

enum { MOST_LOG = 1 << 24, SHOWN_LOG = 4000, FIRST_RUNS = 3, MOST_RUNS = 1000 };
static const double turn_ms = 600; /* of runs in a turn, about */

/* ---- children ---- */

static const char *path_in(const struct measure_job *j, const char *directory, const char *ending, int i)
{
    return arena_printf(j->arena, "%s/%c%s", directory, letter_of(i), ending);
}

static void report(const struct measure_job *j, enum check check, const struct child *child, int i, const char *failed)
{
    size_t length = 0;
    const char *why, *log = file_read(j->arena, child->log, MOST_LOG, &length, &why);
    const char *name = j->comparison->network[i].argument->text;
    bool killed = child->status >= 0 && WIFSIGNALED(child->status);
    if (child->status == -1)
        diag_error_file(j->diags, check, name, "%c %s: it could not be started: %s", letter_of(i), failed,
                        strerror(child->error));
    else
        diag_error_file(j->diags, check, name, "%c %s (%s %d)%s%.*s", letter_of(i), failed,
                        killed ? "killed by signal" : "exit code",
                        killed ? WTERMSIG(child->status) : WEXITSTATUS(child->status), length ? ":\n" : "",
                        length < SHOWN_LOG ? (int)length : SHOWN_LOG, log ? log : "");
}

/* The words of `netc build`, which runs where we do, so that files keep their names. */
static struct child build_child(const struct measure_job *j, const char *directory, int i, int clangs)
{
    const struct compared *c = &j->comparison->network[i];
    int n = 0, room = 8 + c->n_define + j->n_build_option;
    const char **word = NEW_ARRAY(j->arena, const char *, room + 1);
    word[n++] = own_program(j->arena);
    word[n++] = "build";
    for (int k = 0; k < j->n_build_option; k++)
        word[n++] = j->build_option[k];
    for (int k = 0; k < c->n_define; k++)
        word[n++] = arena_printf(j->arena, "--define=%s=%s", c->define[k].name, c->define[k].value);
    word[n++] = "--weights=synthetic";
    word[n++] = arena_printf(j->arena, "--name=network_%c", letter_of(i)); /* one that C takes */
    word[n++] = arena_printf(j->arena, "--jobs=%d", clangs);
    word[n++] = arena_printf(j->arena, "--output=%s", path_in(j, directory, "", i));
    word[n++] = "--";
    word[n++] = c->argument->file;
    return (struct child){.argv = word, .log = path_in(j, directory, ".log", i), .tidy = true};
}

static bool build_all(const struct measure_job *j, const char *directory)
{
    int n = j->comparison->n, together = n < j->jobs ? n : j->jobs, failed;
    struct child child[MOST_COMPARED];
    for (int i = 0; i < n; i++)
        child[i] = build_child(j, directory, i, j->jobs / together);
    progress_show("compare", 0, "building", "");
    bool good = children_run(child, n, together, ".", &failed);
    if (failed >= 0)
        report(j, CHECK_compare_build, &child[failed], failed, "does not build");
    return good;
}

/* What a program tells of itself with --bench or --profile; NULL after a diagnostic or a signal. */
static json_t *run_program(const struct measure_job *j, const char *directory, int i, const char *action, int threads,
                           int runs)
{
    const char *argv[] = {path_in(j, directory, "", i),
                          action,
                          "--json",
                          arena_printf(j->arena, "--threads=%d", threads),
                          arena_printf(j->arena, "--runs=%d", runs),
                          NULL};
    struct child child = {.argv = argv, .log = path_in(j, directory, ".json", i)};
    int failed;
    if (!children_run(&child, 1, 1, directory, &failed)) {
        if (failed >= 0)
            report(j, CHECK_compare_run, &child, i, "is built and does not run");
        return NULL;
    }
    json_t *told = json_load_file(child.log, 0, NULL);
    if (!told)
        report(j, CHECK_compare_run, &child, i, "does not tell its times");
    return told;
}

/* How many runs make a turn, each with a second one that is watched; 0 after a diagnostic or a signal. */
static int find_runs(const struct measure_job *j, const char *directory, int i, int threads)
{
    json_t *told = run_program(j, directory, i, "--bench", threads, FIRST_RUNS);
    double ms = json_number_value(json_object_get(told, "median_ms")), runs = ms > 0 ? turn_ms / (2 * ms) : FIRST_RUNS;
    json_decref(told);
    return !told ? 0 : runs < FIRST_RUNS ? FIRST_RUNS : runs > MOST_RUNS ? MOST_RUNS : (int)runs;
}

/* ---- times ---- */

static void add_sample(struct compared *c, int latency, int round, const json_t *told)
{
    const json_t *layers = json_object_get(told, "layers"), *layer;
    double whole = json_number_value(json_object_get(told, "median_ms")), inside = 0;
    int stage = 0;
    size_t i;
    json_array_foreach(layers, i, layer)
    {
        double ms = json_number_value(json_object_get(layer, "ms"));
        stage = stage_of_layer(&c->stages, json_string_value(json_object_get(layer, "name")), stage);
        c->stages.stage[stage].time[latency].sample[round] += ms;
        inside += ms;
    }
    c->whole[latency].sample[round] = whole;
    c->outside[latency].sample[round] = whole - inside;
}

static int by_value(const void *a, const void *b)
{
    double x = **(double *const *)a, y = **(double *const *)b;
    return (x > y) - (x < y);
}

static void settle(struct time *t, int rounds, const int middle[2])
{
    t->ms = (t->sample[middle[0]] + t->sample[middle[1]]) / 2;
    t->low = t->high = t->sample[0];
    for (int r = 1; r < rounds; r++) {
        t->low = t->sample[r] < t->low ? t->sample[r] : t->low;
        t->high = t->sample[r] > t->high ? t->sample[r] : t->high;
    }
}

static void settle_all(struct arena *a, struct compared *c, int latency, int rounds)
{
    double **order = NEW_ARRAY(a, double *, rounds), *sample = c->whole[latency].sample;
    for (int r = 0; r < rounds; r++)
        order[r] = &sample[r];
    qsort(order, (size_t)rounds, sizeof *order, by_value);
    const int middle[2] = {(int)(order[(rounds - 1) / 2] - sample), (int)(order[rounds / 2] - sample)};
    settle(&c->whole[latency], rounds, middle);
    settle(&c->outside[latency], rounds, middle);
    for (size_t s = 0; s < c->stages.n; s++)
        settle(&c->stages.stage[s].time[latency], rounds, middle);
}

static void make_room(struct arena *a, struct compared *c, int rounds)
{
    for (int l = 0; l < LATENCIES; l++) {
        c->whole[l].sample = NEW_ARRAY(a, double, rounds);
        c->outside[l].sample = NEW_ARRAY(a, double, rounds);
        for (size_t s = 0; s < c->stages.n; s++)
            c->stages.stage[s].time[l].sample = NEW_ARRAY(a, double, rounds);
    }
}

/* ---- all ---- */

static bool take_turn(const struct measure_job *j, const char *directory, int i, int latency, int round)
{
    struct compared *c = &j->comparison->network[i];
    int threads = j->comparison->threads[latency];
    if (!c->runs[latency])
        c->runs[latency] = find_runs(j, directory, i, threads);
    json_t *told = c->runs[latency] ? run_program(j, directory, i, "--profile", threads, c->runs[latency]) : NULL;
    if (told)
        add_sample(c, latency, round, told);
    json_decref(told);
    return told;
}

static bool run_round(const struct measure_job *j, const char *directory, int round)
{
    struct comparison *c = j->comparison;
    int turn = 0, turns = c->n * (c->threads[1] ? 2 : 1);
    for (int l = 0; l < LATENCIES && c->threads[l]; l++)
        for (int i = 0; i < c->n; i++) {
            progress_show("compare", (round + (double)turn++ / turns) / c->rounds,
                          arena_printf(j->arena, "round %d of %d", round + 1, c->rounds), c->network[i].argument->text);
            if (!take_turn(j, directory, i, l, round))
                return false;
        }
    return true;
}

bool measure_networks(struct measure_job *j)
{
    struct comparison *c = j->comparison;
    const char *directory = temporary_directory(NULL);
    if (!directory) {
        diag_error_file(j->diags, CHECK_build_write, "netc", "no temporary directory can be made: %s", strerror(errno));
        return false;
    }
    for (int i = 0; i < c->n; i++)
        make_room(j->arena, &c->network[i], c->rounds);
    if (!build_all(j, directory))
        return false;
    for (int round = 0; round < c->rounds; round++)
        if (!run_round(j, directory, round))
            return false;
    for (int l = 0; l < LATENCIES && c->threads[l]; l++)
        for (int i = 0; i < c->n; i++)
            settle_all(j->arena, &c->network[i], l, c->rounds);
    return true;
}
