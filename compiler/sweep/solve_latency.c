/* --equal latency: the value of one parameter with which a variant takes as long as the reference, on one thread.
 *
 * Each try is a variant of its own in the database, so that a sweep that was interrupted need not try again. A try runs in turn with
 * the reference, and it is their ratio that counts: a processor that slows down slows both. The next value is the one whose
 * multiply-adds are in proportion to what is missing; where that was tried already, the middle of what is left. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "sweep/sweep.h"

enum { MOST_TRIES = 10, MOST_ROUNDS_SWEPT = 1000 };
static const double near_enough = 0.01; /* where there is no --tolerance: what a few rounds can tell */

struct timed { /* a variant with its program */
    struct swept variant;
    struct measured_program program;
    struct measurement measurement;
    int runs;              /* of a round; 0: not known yet */
    const char *directory; /* NULL: it was not built */
    double ms;             /* NAN: it cannot be built or run, and ->variant.reason says why */
};

static bool fault(struct sweep *s, const char *why)
{
    if (!temporary_interrupted())
        diag_error_file(s->diags, CHECK_sweep_equal, "--equal", "the reference cannot be measured: %s", why);
    return false;
}

static bool timed_open(struct sweep *s, struct timed *t)
{
    t->ms = NAN;
    swept_elaborate(s, &t->variant, true, false);
    swept_finish(s, &t->variant);
    if (t->variant.status != VARIANT_OK)
        return true;
    t->program = swept_program(s, &t->variant, 1);
    if (!store_variant(s->store, s, &t->variant))
        return false;
    t->measurement = (struct measurement){t->variant.row, MEASURED_LATENCY, 1, 1, "", s->compiler, 0};
    return store_measurement(s->store, &t->measurement);
}

/* False after a signal or a diagnostic; a variant that does not build has a reason. */
static bool timed_build(struct sweep *s, struct timed *t)
{
    t->directory = temporary_directory(NULL);
    if (!t->directory) {
        diag_error_file(s->diags, CHECK_build_write, "netc", "no temporary directory can be made: %s", strerror(errno));
        return false;
    }
    struct measuring m = sweep_measuring(s);
    if (!programs_build(&m, &t->program, 1, t->directory, NULL))
        return false;
    t->variant.reason = t->program.error;
    return true;
}

static void timed_close(struct timed *t)
{
    if (t->directory)
        temporary_remove(t->directory);
    t->directory = NULL;
}

static double known_ms(struct sweep *s, const struct timed *t)
{
    json_t *figure = store_figure(s->store, (struct wanted){t->variant.row, MEASURED_LATENCY, 1, 1, NULL});
    const json_t *median = json_object_get(figure, "median");
    double ms = json_is_number(median) ? json_number_value(median) : NAN;
    json_decref(figure);
    return ms;
}

/* One round of one program; NAN: it failed, or a signal came. */
static double run_once(struct sweep *s, struct timed *t, int round)
{
    const char *why = NULL;
    json_t *answer = sweep_bench(s, &t->program, 1, &t->runs, &why);
    struct sample sample = program_sample(answer, MEASURED_LATENCY, 1);
    json_decref(answer);
    t->variant.reason = why ? why : t->variant.reason;
    if (!isnan(sample.value) && !store_sample(s->store, &t->measurement, round, sample))
        return NAN;
    return sample.value;
}

/* The latency of a try, beside the reference where that is a variant. */
static bool timed_measure(struct sweep *s, struct timed *t)
{
    int rounds = s->options->sweep.rounds;
    struct timed *reference = s->reference && s->reference != t ? s->reference : NULL;
    if (store_rounds(s->store, &t->measurement) >= rounds) {
        t->ms = known_ms(s, t);
        return true;
    }
    if (!timed_build(s, t) || (reference && !reference->directory && !timed_build(s, reference)))
        return false;
    double ratio[MOST_ROUNDS_SWEPT];
    for (int round = 0; !t->program.error && round < rounds; round++) {
        double base = reference ? run_once(s, reference, round + 1) : 1, ms = run_once(s, t, round + 1);
        if (isnan(base) || isnan(ms))
            return !temporary_interrupted() && !diag_errors(s->diags); /* it has no latency */
        int k = round; /* sorted as they come */
        for (; k > 0 && ratio[k - 1] > ms / base; k--)
            ratio[k] = ratio[k - 1];
        ratio[k] = ms / base;
    }
    if (!t->program.error)
        t->ms = (ratio[(rounds - 1) / 2] + ratio[rounds / 2]) / 2 * (reference ? s->equal.value : 1);
    return true;
}

/* Once: the latency that all others are to have. */
static bool open_reference(struct sweep *s)
{
    if (s->reference || !s->equal.variant)
        return true;
    struct timed *t = NEW(s->arena, struct timed);
    *t = (struct timed){.variant = *s->equal.variant};
    t->variant.parameters = NULL;
    if (!timed_open(s, t))
        return false;
    s->reference = t;
    if (t->variant.status == VARIANT_OK && !timed_measure(s, t))
        return false;
    s->equal.value = t->ms;
    return !isnan(t->ms) || fault(s, t->variant.reason ? t->variant.reason : "it has no latency");
}

void solve_latency_end(struct sweep *s)
{
    if (!s->reference)
        return;
    timed_close(s->reference);
    json_decref(s->reference->variant.parameters);
}

/* ---- the search ---- */

struct tried {
    int64_t value;
    double ms, macs; /* ms NAN: it is no network, or fails */
    const char *reason;
};

static bool try_value(struct sweep *s, const struct swept *v, int64_t value, struct tried *tried)
{
    struct timed t = {.variant = swept_with(s, v, value)};
    bool good = timed_open(s, &t) && (t.variant.status != VARIANT_OK || timed_measure(s, &t));
    *tried = (struct tried){value, t.ms, (double)t.variant.macs, t.variant.reason};
    timed_close(&t);
    json_decref(t.variant.parameters);
    arena_reset(s->scratch);
    return good;
}

/* The nearest ones of those that were tried, on both sides; NULL: none. */
static void nearest(const struct tried *tried, int n, double ms, const struct tried **below, const struct tried **above)
{
    *below = *above = NULL;
    for (int i = 0; i < n; i++) {
        const struct tried **side = tried[i].ms < ms ? below : above;
        if (!isnan(tried[i].ms) && (!*side || fabs(tried[i].ms - ms) < fabs((*side)->ms - ms)))
            *side = &tried[i];
    }
}

static bool was_tried(const struct tried *tried, int n, int64_t value)
{
    for (int i = 0; i < n; i++)
        if (tried[i].value == value)
            return true;
    return false;
}

/* What to try next; 0: nothing. */
static int64_t next_value(struct sweep *s, const struct swept *v, const struct tried *tried, int n)
{
    const struct tried *below, *above;
    nearest(tried, n, s->equal.value, &below, &above);
    const struct tried *near = !below                                                              ? above
                               : !above || s->equal.value - below->ms < above->ms - s->equal.value ? below
                                                                                                   : above;
    if (!near)
        return 0;
    int64_t value = solve_size(s, v, EQUAL_MACS, near->macs * s->equal.value / near->ms);
    if (value && !was_tried(tried, n, value))
        return value;
    value = below && above ? (below->value + above->value) / 2 : 0;
    return value && !was_tried(tried, n, value) ? value : 0;
}

static const char *tried_words(struct sweep *s, const struct tried *t, const char *none)
{
    return t ? arena_printf(s->arena, "%s=%" PRId64 " takes %.4g ms (%+.1f %%)", s->options->sweep.solve, t->value,
                            t->ms, 100 * (t->ms / s->equal.value - 1))
             : none;
}

static void choose(struct sweep *s, struct swept *v, const struct tried *tried, int n)
{
    const struct tried *below, *above;
    double tolerance = s->options->sweep.tolerance;
    nearest(tried, n, s->equal.value, &below, &above);
    const struct tried *best = !below                                                               ? above
                               : !above || s->equal.value - below->ms <= above->ms - s->equal.value ? below
                                                                                                    : above;
    if (best && !(fabs(best->ms / s->equal.value - 1) > tolerance)) {
        swept_define(s, v, s->options->sweep.solve, arena_printf(s->arena, "%" PRId64, best->value));
        return;
    }
    v->status = VARIANT_CUT;
    v->reason =
        !best ? arena_printf(s->arena, "no %s was found that makes a network that runs%s%s", s->options->sweep.solve,
                             n && tried[0].reason ? ": " : "", n && tried[0].reason ? tried[0].reason : "")
              : arena_printf(s->arena, "no %s brings it within %g %% of %.4g ms: %s, %s", s->options->sweep.solve,
                             100 * tolerance, s->equal.value, tried_words(s, below, "none was below"),
                             tried_words(s, above, "none was above"));
}

/* Where to begin: the multiply-adds of the reference, or the network as it is. */
static int64_t first_value(struct sweep *s, const struct swept *v)
{
    struct swept whole = swept_new(s);
    if (s->equal.variant)
        return solve_size(s, v, EQUAL_MACS, (double)s->equal.variant->macs);
    swept_elaborate(s, &whole, false, false);
    json_decref(whole.parameters);
    return solve_size(s, v, EQUAL_MACS, whole.status == VARIANT_OK ? (double)whole.macs : 1e9);
}

bool solve_latency(struct sweep *s, struct swept *v)
{
    struct tried tried[MOST_TRIES];
    int n = 0;
    double enough = isnan(s->options->sweep.tolerance) ? near_enough : s->options->sweep.tolerance / 2;
    if (!open_reference(s))
        return false;
    for (int64_t value = first_value(s, v); value && n < MOST_TRIES; value = next_value(s, v, tried, n)) {
        if (!try_value(s, v, value, &tried[n++]))
            return false;
        sweep_progress(s, (double)n / MOST_TRIES, "solving",
                       arena_printf(s->scratch, "%s=%" PRId64, s->options->sweep.solve, value));
        if (fabs(tried[n - 1].ms / s->equal.value - 1) <= enough)
            break;
    }
    choose(s, v, tried, n);
    return true;
}

/* ---- after all were measured ---- */

static double latency_of(struct sweep *s, const struct swept *v)
{
    return known_ms(s, &(struct timed){.variant = *v});
}

bool compare_latencies(struct sweep *s)
{
    double tolerance = s->options->sweep.tolerance;
    if (s->equal.variant)
        s->equal.value = latency_of(s, s->equal.variant);
    if (isnan(s->equal.value))
        return fault(s, s->equal.variant->reason ? s->equal.variant->reason : "it has no latency");
    for (size_t i = 0; i < s->n_variant; i++) {
        struct swept *v = &s->variant[i];
        if (v->status != VARIANT_OK)
            continue;
        v->deviation = latency_of(s, v) / s->equal.value - 1;
        if (fabs(v->deviation) > tolerance) {
            v->status = VARIANT_CUT;
            v->reason = arena_printf(s->arena, "%+.2f %% from %.4g ms, more than %g %%", 100 * v->deviation,
                                     s->equal.value, 100 * tolerance);
        }
    }
    return true;
}
