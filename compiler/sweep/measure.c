/* Variants built with synthetic weights by children of this netc, and their programs run in turn, round by round, so that what
 * a processor's clock and its other users do to one variant they do to all.
 *
 * What would surprise: programs have their weights in them, so that a hundred variants may not fit on the disk. Then they are
 * built and measured in waves; a wave is as many as fit. What the database has is neither built nor run again. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "sweep/sweep.h"

enum { PROGRAM_BYTES = 4 << 20 };
static const double sample_ms = 400; /* of runs in a round, about */
static const double disk_share = 0.8; /* of what is free */

struct measuring sweep_measuring(struct sweep *s)
{
    return (struct measuring){s->arena, s->scratch, s->options, s->options->jobs ? s->options->jobs : usable_cores()};
}

/* Builds side by side slow each other down: how many there are belongs to the time of one. */
static const char *jobs_words(struct sweep *s)
{
    return arena_printf(s->arena, "jobs=%d", sweep_measuring(s).jobs);
}

json_t *sweep_bench(struct sweep *s, const struct measured_program *p, int threads, int *runs, const char **why)
{
    struct measuring m = sweep_measuring(s);
    *runs = *runs ? *runs : program_runs(&m, p, threads, sample_ms, why);
    return *runs ? program_tells(&m, p, "--bench", threads, *runs, why) : NULL;
}

struct measured_program swept_program(struct sweep *s, const struct swept *v, int batch)
{
    return (struct measured_program){
        .file = s->options->file, .define = v->define, .n_define = v->n_define, .batch = batch};
}

/* ---- what is measured of a variant ---- */

enum { MOST_FIGURES = 3 };
struct figure { /* that a program's run gives */
    struct measurement measurement;
    struct measured_program *program;
    int runs; /* 0: not known yet */
    bool failed;
};
struct trial { /* a variant that is measured */
    struct sweep *sweep;
    struct swept *variant;
    struct measured_program program[2]; /* for one image, for a batch */
    int n_program;
    struct figure figure[MOST_FIGURES];
    int n_figure;
    struct measurement compile, energy;
};

static void add_figure(struct trial *t, enum measured_what what, int threads, struct measured_program *program,
                       const char *compiler)
{
    t->figure[t->n_figure++] = (struct figure){
        .measurement = {t->variant->row, what, threads, program->batch, "", compiler, 0}, .program = program};
}

static struct trial trial_new(struct sweep *s, struct swept *v)
{
    int batch = s->options->sweep.throughput;
    struct trial t = {.sweep = s, .variant = v, .n_program = batch > 1 ? 2 : 1};
    t.program[0] = swept_program(s, v, 1);
    t.program[1] = swept_program(s, v, batch);
    t.compile = (struct measurement){v->row, MEASURED_COMPILE, 0, 1, jobs_words(s), s->compiler, 0};
    t.energy = (struct measurement){v->row, MEASURED_ENERGY, s->threads, 1, "", s->compiler, 0};
    return t;
}

/* Once it stands where it stays. */
static bool trial_open(struct sweep *s, struct trial *t)
{
    add_figure(t, MEASURED_LATENCY, 1, &t->program[0], s->compiler);
    if (s->threads > 1)
        add_figure(t, MEASURED_LATENCY, s->threads, &t->program[0], s->compiler);
    add_figure(t, MEASURED_THROUGHPUT, s->threads, &t->program[t->n_program - 1], s->compiler);
    bool good = store_measurement(s->store, &t->compile);
    for (int i = 0; i < t->n_figure; i++)
        good = good && store_measurement(s->store, &t->figure[i].measurement);
    return good;
}

static bool is_complete(struct sweep *s, const struct trial *t)
{
    bool complete = store_rounds(s->store, &t->compile) > 0;
    for (int i = 0; i < t->n_figure; i++)
        complete = complete && store_rounds(s->store, &t->figure[i].measurement) >= s->options->sweep.rounds;
    return complete;
}

static bool fail_variant(struct sweep *s, struct swept *v, const struct measurement *m, const char *why)
{
    v->status = VARIANT_FAILED;
    v->reason = why;
    return store_error(s->store, m, why) && store_variant_failed(s->store, v);
}

/* ---- building ---- */

static void tell_built(struct measured_program *p)
{
    struct trial *t = p->owner;
    struct sweep *s = t->sweep;
    sweep_progress(s, (double)++s->built / (double)s->to_build, "builds", t->variant->name);
    if (p->batch == 1 && !p->error && !store_has(s->store, &t->compile, 1))
        store_sample(s->store, &t->compile, 1, (struct sample){p->build_seconds, NAN, NAN, NAN});
}

static bool build_wave(struct sweep *s, struct trial *t, size_t n, const char *directory)
{
    size_t count = 0;
    struct measuring measuring = sweep_measuring(s);
    struct measured_program *all = NEW_ARRAY(s->arena, struct measured_program, 2 * n + 1);
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < t[i].n_program; k++) {
            t[i].program[k].owner = &t[i];
            all[count++] = t[i].program[k];
        }
    s->built = 0;
    s->to_build = count;
    if (!programs_build(&measuring, all, count, directory, tell_built))
        return false;
    count = 0;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < t[i].n_program; k++) {
            struct measured_program *p = &t[i].program[k];
            *p = all[count++];
            if (p->error && t[i].variant->status == VARIANT_OK &&
                !fail_variant(s, t[i].variant, &t[i].compile, p->error))
                return false;
        }
    return true;
}

/* ---- running ---- */

static double number_of(const json_t *answer, const char *name)
{
    const json_t *value = json_object_get(answer, name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

struct sample program_sample(const json_t *answer, enum measured_what what, int batch)
{
    double middle = number_of(answer, "median_ms"), low = number_of(answer, "p10_ms"),
           high = number_of(answer, "p90_ms");
    if (what == MEASURED_THROUGHPUT)
        return (struct sample){1e3 * batch / middle, 1e3 * batch / high, 1e3 * batch / low, number_of(answer, "share")};
    return (struct sample){middle, low, high, number_of(answer, "share")};
}

/* False after a signal or a fault of the database; a program that fails is written down. */
static bool take_sample(struct sweep *s, struct trial *t, struct figure *f, int round)
{
    const char *why = NULL;
    json_t *answer = sweep_bench(s, f->program, f->measurement.threads, &f->runs, &why);
    if (!answer) {
        f->failed = true;
        return !temporary_interrupted() &&
               fail_variant(s, t->variant, &f->measurement, why ? why : "its program was stopped");
    }
    double joule = number_of(answer, "energy_j");
    bool good =
        store_sample(s->store, &f->measurement, round, program_sample(answer, f->measurement.what, f->program->batch));
    if (good && !isnan(joule) && f->measurement.what == MEASURED_LATENCY && f->measurement.threads == s->threads)
        good = store_measurement(s->store, &t->energy) &&
               store_sample(s->store, &t->energy, round, (struct sample){joule, NAN, NAN, NAN});
    json_decref(answer);
    return good;
}

static bool run_rounds(struct sweep *s, struct trial *t, size_t n)
{
    int rounds = s->options->sweep.rounds;
    for (int round = 1; round <= rounds; round++)
        for (size_t i = 0; i < n; i++) {
            for (int k = 0; k < t[i].n_figure; k++) {
                struct figure *f = &t[i].figure[k];
                if (f->program->error || f->failed || store_has(s->store, &f->measurement, round))
                    continue;
                if (!take_sample(s, &t[i], f, round))
                    return false;
                arena_reset(s->scratch);
            }
            sweep_progress(s, ((double)(round - 1) + (double)(i + 1) / (double)n) / rounds, "rounds",
                           t[i].variant->name);
        }
    return true;
}

/* ---- waves ---- */

static double free_bytes(const char *directory)
{
    struct statvfs disk;
    return statvfs(directory, &disk) == 0 ? (double)disk.f_bavail * (double)disk.f_frsize : INFINITY;
}

/* How many of the trials fit on the disk at once; at least one. */
static size_t wave_length(const struct trial *t, size_t n)
{
    const char *usual = getenv("TMPDIR"); /* as temporary_directory() */
    double room = disk_share * free_bytes(usual && *usual ? usual : "/tmp"), need = 0;
    size_t length = 0;
    while (length < n) {
        need += t[length].n_program * ((double)t[length].variant->weights_bytes + PROGRAM_BYTES);
        if (need > room && length > 0)
            break;
        length++;
    }
    return length;
}

static bool measure_wave(struct sweep *s, struct trial *t, size_t n)
{
    const char *directory = temporary_directory(NULL);
    if (!directory) {
        diag_error_file(s->diags, CHECK_build_write, "netc", "no temporary directory can be made: %s", strerror(errno));
        return false;
    }
    bool good = build_wave(s, t, n, directory) && run_rounds(s, t, n);
    temporary_remove(directory);
    return good;
}

bool measure_variants(struct sweep *s)
{
    struct trial *t = NEW_ARRAY(s->arena, struct trial, s->n_variant + 2);
    struct swept *reference = s->equal.what == EQUAL_LATENCY ? s->equal.variant : NULL;
    size_t n = 0;
    setenv("CCACHE_DISABLE", "1", 1); /* what is compiled is timed */
    if (reference && !store_variant(s->store, s, reference))
        return false;
    for (size_t i = 0; i < s->n_variant + (reference != NULL); i++) { /* the reference runs in turn with them */
        struct swept *v = i < s->n_variant ? &s->variant[i] : reference;
        if (v->status != VARIANT_OK)
            continue;
        t[n] = trial_new(s, v);
        if (!trial_open(s, &t[n]))
            return false;
        n += !is_complete(s, &t[n]);
    }
    for (size_t done = 0, length; done < n; done += length) {
        length = wave_length(t + done, n - done);
        if (!measure_wave(s, t + done, length))
            return false;
    }
    return s->equal.what != EQUAL_LATENCY || compare_latencies(s);
}
