/* --equal and --solve: the value of one parameter that brings a variant nearest to a reference.
 *
 * What would surprise: the quantity is taken to grow with the parameter, as widths, depths and sizes make it. Values that the
 * network's assertions rule out are stepped over, so the search is for the two values on both sides of the reference between
 * which there is none. */
#include "sweep/sweep.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SOLVED = 1 << 20, MOST_STEPPED_OVER = 128, MOST_BARREN = 16 };

const char *const equal_name[] = {"", "macs", "params", "latency"};

/* ---- the reference ---- */

/* 25557032, 25.6M, 4.1G, 4e9. */
static bool read_number(const char *text, double *number)
{
    char *end;
    *number = strtod(text, &end);
    double unit = *end == 'k' ? 1e3 : *end == 'M' ? 1e6 : *end == 'G' ? 1e9 : 1;
    *number *= unit;
    return end != text && end[unit > 1] == '\0' && *number > 0 && isfinite(*number);
}

static bool read_what(struct sweep *s, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : strlen(text);
    for (int k = EQUAL_MACS; equals && equals[1] && k <= EQUAL_LATENCY; k++)
        if (strlen(equal_name[k]) == length && strncmp(text, equal_name[k], length) == 0) {
            s->equal.what = (enum equal_what)k;
            s->equal.text = equals + 1;
            return true;
        }
    diag_error_file(
        s->diags, CHECK_sweep_equal, "--equal",
        "'%s' is not macs=, params= or latency=REFERENCE, a number or values as in params=cardinality:1,width:64",
        text);
    return false;
}

bool reference_open(struct sweep *s)
{
    const char *text = s->options->sweep.equal;
    if (!text)
        return true;
    if (!read_what(s, text))
        return false;
    if (s->equal.what == EQUAL_LATENCY && !s->options->sweep.measure) {
        diag_error_file(s->diags, CHECK_sweep_equal, "--equal", "latency has to be measured: add --measure");
        return false;
    }
    if (read_number(s->equal.text, &s->equal.value))
        return true;
    struct swept *v = NEW(s->arena, struct swept);
    *v = swept_new(s);
    s->equal.variant = v;
    if (!read_definitions(s, "--equal", s->equal.text, v))
        return false;
    swept_elaborate(s, v, s->equal.what == EQUAL_LATENCY, false);
    swept_finish(s, v);
    if (v->status != VARIANT_OK) {
        diag_error_file(s->diags, CHECK_sweep_equal, "--equal", "the reference %s is no network: %s", s->equal.text,
                        v->reason);
        return false;
    }
    if (s->equal.what != EQUAL_LATENCY)
        s->equal.value = swept_quantity(v, s->equal.what);
    return true;
}

static const char *reference_words(struct sweep *s)
{
    return arena_printf(s->arena, "%s %s", grouped_digits(s->arena, (int64_t)llround(s->equal.value)),
                        s->equal.what == EQUAL_MACS ? "multiply-adds" : "parameters");
}

void check_tolerance(struct sweep *s, struct swept *v)
{
    double tolerance = s->options->sweep.tolerance;
    if (s->equal.what == EQUAL_NOTHING || s->equal.what == EQUAL_LATENCY)
        return;
    v->deviation = swept_quantity(v, s->equal.what) / s->equal.value - 1;
    if (!isnan(tolerance) && fabs(v->deviation) > tolerance && v->status == VARIANT_OK) {
        v->status = VARIANT_CUT;
        v->reason = arena_printf(s->arena, "%+.2f %% from %s, more than %g %%", 100 * v->deviation, reference_words(s),
                                 100 * tolerance);
    }
}

/* ---- solving ---- */

struct
try { /* a value of the parameter and what the variant is with it */
    int64_t value;
    double quantity; /* NAN: it is no network */
};

struct swept swept_with(struct sweep *s, const struct swept *v, int64_t value)
{
    struct swept other = swept_new(s); /* definitions of its own */
    other.n_define = 0;
    for (int i = 0; i < v->n_define; i++)
        swept_define(s, &other, v->define[i].name, v->define[i].value);
    swept_define(s, &other, s->options->sweep.solve, arena_printf(s->arena, "%" PRId64, value));
    return other;
}

static struct try try_value(struct sweep *s, const struct swept *v, enum equal_what what, int64_t value)
{
    struct swept trial = swept_with(s, v, value);
    swept_elaborate(s, &trial, false, false);
    json_decref(trial.parameters);
    return (struct try){value, trial.status == VARIANT_OK ? swept_quantity(&trial, what) : NAN};
}

/* The first value from `first` on, below `end`, that makes a network; those of larger steps than MOST_STEPPED_OVER are missed. */
static struct try try_from(struct sweep *s, const struct swept *v, enum equal_what what, int64_t first, int64_t end)
{
    for (int64_t x = first; x < end && x < first + MOST_STEPPED_OVER; x++) {
        struct try t = try_value(s, v, what, x);
        if (!isnan(t.quantity))
            return t;
    }
    return (struct try){end, NAN};
}

/* The last values below the reference and the first that is not, by doubling and then by halves. */
static void bracket(struct sweep *s, const struct swept *v, enum equal_what what, double target, struct try *below,
                    struct try *above)
{
    *below = *above = (struct try){0, NAN};
    int barren = 0;
    for (int64_t x = 1; x <= MOST_SOLVED && isnan(above->quantity) && barren < MOST_BARREN; x *= 2) {
        struct try t = try_from(s, v, what, x, 2 * x);
        barren = isnan(t.quantity) ? barren + 1 : 0;
        if (t.quantity >= target)
            *above = t;
        else if (!isnan(t.quantity))
            *below = t;
    }
    int64_t first = isnan(below->quantity) ? 1 : below->value + 1, end = above->value;
    while (!isnan(above->quantity) && first < end) {
        int64_t middle = first + (end - first) / 2;
        struct try t = try_from(s, v, what, middle, end);
        if (t.quantity < target) {
            *below = t;
            first = t.value + 1;
        } else {
            *above = isnan(t.quantity) ? *above : t;
            end = middle; /* between it and t there is none */
        }
    }
}

static const char *try_words(struct sweep *s, const struct try *t)
{
    return arena_printf(s->arena, "%s=%" PRId64 " has %s (%+.2f %%)", s->options->sweep.solve, t->value,
                        grouped_digits(s->arena, (int64_t)t->quantity), 100 * (t->quantity / s->equal.value - 1));
}

static void no_solution(struct sweep *s, struct swept *v, const struct try *below, const struct try *above)
{
    struct text t = {.arena = s->arena};
    bool left = !isnan(below->quantity), right = !isnan(above->quantity);
    v->status = VARIANT_CUT;
    if (!left && !right) {
        struct swept trial = *v;
        text_add(&t, "no %s from 1 to %d makes a network", s->options->sweep.solve, MOST_SOLVED);
        trial.parameters = NULL;
        swept_elaborate(s, &trial, false, false);
        json_decref(trial.parameters);
        if (trial.status != VARIANT_OK)
            text_add(&t, ": %s", trial.reason);
    } else {
        text_add(&t, "no %s brings it within %g %% of %s: %s", s->options->sweep.solve,
                 100 * s->options->sweep.tolerance, reference_words(s), left ? try_words(s, below) : "none is below");
        text_add(&t, ", %s", right ? try_words(s, above) : "none is above");
    }
    v->reason = text_string(&t);
}

/* The one of both that is nearer, the lower one of two that are as near; NULL: there is neither. */
static const struct try *nearer(const struct try *below, const struct try *above, double target)
{
    if (isnan(below->quantity) || isnan(above->quantity))
        return !isnan(below->quantity) ? below : !isnan(above->quantity) ? above : NULL;
    return above->quantity - target < target - below->quantity ? above : below;
}

int64_t solve_size(struct sweep *s, const struct swept *v, enum equal_what what, double target)
{
    struct try below, above;
    bracket(s, v, what, target, &below, &above);
    const struct try *best = nearer(&below, &above, target);
    return best ? best->value : 0;
}

void solve_variant(struct sweep *s, struct swept *v)
{
    struct try below, above;
    bracket(s, v, s->equal.what, s->equal.value, &below, &above);
    const struct try *best = nearer(&below, &above, s->equal.value);
    if (!best || fabs(best->quantity / s->equal.value - 1) > s->options->sweep.tolerance)
        no_solution(s, v, &below, &above);
    else
        swept_define(s, v, s->options->sweep.solve, arena_printf(s->arena, "%" PRId64, best->value));
}
