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

#include "build.h"
#include "children.h"
#include "compare/compare.h"
#include "measured.h"
#include "progress.h"

static const double turn_ms = 600; /* of runs in a turn, about */

/* ---- programs ---- */

static const char *name_of(const struct measure_job *j, int i)
{
    return j->comparison->network[i].argument->text;
}

static bool build_all(const struct measure_job *j, struct measured_program *program, const char *directory)
{
    int n = j->comparison->n;
    for (int i = 0; i < n; i++) {
        const struct compared *c = &j->comparison->network[i];
        program[i] = (struct measured_program){
            .file = c->argument->file, .define = c->define, .n_define = c->n_define, .batch = j->comparison->batch};
    }
    progress_show("compare", 0, "building", "");
    if (!programs_build(j->measuring, program, (size_t)n, directory, NULL))
        return false;
    bool good = true;
    for (int i = 0; i < n; i++) {
        if (program[i].error)
            diag_error_file(j->diags, CHECK_compare_build, name_of(j, i), "%c does not build: %s", letter_of(i),
                            program[i].error);
        good = good && !program[i].error;
    }
    return good;
}

/* What a program tells of its layers; NULL after a diagnostic or a signal. */
static json_t *profile(const struct measure_job *j, const struct measured_program *program, int i, int latency)
{
    int *runs = &j->comparison->network[i].runs[latency], threads = j->comparison->threads[latency];
    const char *why = NULL;
    json_t *told = NULL;
    if (!*runs) /* each with a second one that is watched */
        *runs = program_runs(j->measuring, program, threads, turn_ms / 2, &why);
    if (*runs)
        told = program_tells(j->measuring, program, "--profile", threads, *runs, &why);
    if (!told && why)
        diag_error_file(j->diags, CHECK_compare_run, name_of(j, i), "%c is built and does not run: %s", letter_of(i),
                        why);
    return told;
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

static bool run_round(const struct measure_job *j, const struct measured_program *program, int round)
{
    struct comparison *c = j->comparison;
    int turn = 0, turns = c->n * (c->threads[1] ? 2 : 1);
    for (int l = 0; l < LATENCIES && c->threads[l]; l++)
        for (int i = 0; i < c->n; i++) {
            progress_show("compare", (round + (double)turn++ / turns) / c->rounds,
                          arena_printf(j->arena, "round %d of %d", round + 1, c->rounds), name_of(j, i));
            json_t *told = profile(j, &program[i], i, l);
            if (!told)
                return false;
            add_sample(&c->network[i], l, round, told);
            json_decref(told);
        }
    return true;
}

bool measure_networks(struct measure_job *j)
{
    struct comparison *c = j->comparison;
    struct measured_program program[MOST_COMPARED];
    const char *directory = temporary_directory(NULL);
    if (!directory) {
        diag_error_file(j->diags, CHECK_build_write, "netc", "no temporary directory can be made: %s", strerror(errno));
        return false;
    }
    for (int i = 0; i < c->n; i++)
        make_room(j->arena, &c->network[i], c->rounds);
    if (!build_all(j, program, directory))
        return false;
    for (int round = 0; round < c->rounds; round++)
        if (!run_round(j, program, round))
            return false;
    for (int l = 0; l < LATENCIES && c->threads[l]; l++)
        for (int i = 0; i < c->n; i++)
            settle_all(j->arena, &c->network[i], l, c->rounds);
    return true;
}
