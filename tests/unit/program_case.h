/* What the tests of the middle share: a graph goes through all passes, the lowering and the passes over loop IR, and the
 * program that comes out is interpreted and held against the reference interpreter on the graph that went in.
 *
 * Nothing depends on the processor at hand, so every target is run. The interpreter of programs is out for faults:
 * memory is filled with LOOP_POISON where its first epoch begins, so that pad lanes and borders that nobody wrote and
 * what an earlier tenant of the bytes left behind are seen; and an epoch is run in the worst orders that the barriers
 * allow: every task is a thread of its own, and one thread finishes the epoch before the next one starts, in ascending
 * and in descending order.
 */
#ifndef NETC_TEST_PROGRAM_CASE_H
#define NETC_TEST_PROGRAM_CASE_H

#include "graph_fixture.h"
#include "lower/lower.h"
#include "weights/weights.h"

#include <criterion/criterion.h>
#include <math.h>

struct trial {
    struct arena *arena, *scratch;
    struct diags *diags;
    const struct target *target;
    int batch;
    bool exact; /* parameters and inputs are small integers: sums are exact in any order, results must be equal */
    struct graph *graph;
    struct program *program;
    struct weights *weights;
    char *blob, *workspace;
    float **input, **output; /* as the caller passes them: all images of a batch in one */
    const double ***expected; /* [image][output] */
};

static const char *trial_report(struct trial *t)
{
    struct fixture f = {.arena = t->arena, .diags = t->diags};
    const char *report = fixture_report(&f);
    t->diags = diags_new(t->arena);
    return report;
}

/* ---- values ---- */

static uint32_t hash_of(const char *name, int64_t i)
{
    uint32_t h = 2166136261u + (uint32_t)i * 0x9E3779B1u;
    for (; *name; name++) {
        h = (h ^ (unsigned char)*name) * 16777619u;
    }
    h ^= h >> 15;
    h *= 0x85EBCA6Bu;
    return h ^ h >> 13;
}

/* Few of many: sums stay small over many layers, and every place gets its turn in some output. */
static void small_integers(const char *name, struct shape shape, double *out)
{
    int64_t n = shape_elements(shape), fan = shape.rank >= 2 ? n / shape.dim[0] : 1;
    for (int64_t i = 0; i < n; i++) {
        uint32_t h = hash_of(name, i);
        bool taken = fan <= 8 || (int64_t)(h % 1021) * fan < (int64_t)1021 * 8;
        out[i] = taken ? (double)((int)(h >> 24) % 5 - 2) : 0;
    }
}

static void make_integral(struct graph *g)
{
    for (size_t i = 0; i < g->n_param; i++) {
        struct param *p = g->param[i];
        if (p->op == PARAM_LOADED) {
            double *value = NEW_ARRAY(g->arena, double, shape_elements(p->shape));
            small_integers(p->name, p->shape, value);
            p->op = PARAM_CONSTANT;
            p->value = value;
        }
    }
}

static void make_inputs(struct trial *t, int image, double **input)
{
    for (size_t k = 0; k < t->graph->n_input; k++) {
        const struct node *node = t->graph->input[k].node;
        int64_t n = shape_elements(node->type.shape);
        const char *name = arena_printf(t->arena, "%s/%d", node->name, image);
        input[k] = NEW_ARRAY(t->arena, double, n);
        synthetic_input(name, n, input[k]);
        for (int64_t i = 0; i < n; i++) {
            if (t->exact) {
                input[k][i] = (double)((int)(hash_of(name, i) >> 20) % 7 - 3);
            }
            t->input[k][image * n + i] = (float)input[k][i];
        }
    }
}

/* What the outputs must be, from the graph as it was read. */
static const char *make_expected(struct trial *t)
{
    struct graph *g = t->graph;
    t->input = NEW_ARRAY(t->arena, float *, g->n_input + 1);
    t->output = NEW_ARRAY(t->arena, float *, g->n_output + 1);
    t->expected = NEW_ARRAY(t->arena, const double **, t->batch);
    for (size_t k = 0; k < g->n_input; k++) {
        t->input[k] = NEW_ARRAY(t->arena, float, shape_elements(g->input[k].node->type.shape) * t->batch);
    }
    for (size_t k = 0; k < g->n_output; k++) {
        t->output[k] = NEW_ARRAY(t->arena, float, shape_elements(g->output[k].node->type.shape) * t->batch);
    }
    for (int image = 0; image < t->batch; image++) {
        double **input = NEW_ARRAY(t->arena, double *, g->n_input + 1);
        make_inputs(t, image, input);
        double **value = graph_eval(t->arena, t->diags, g, t->weights, (const double *const *)input);
        if (!value) {
            return trial_report(t);
        }
        t->expected[image] = NEW_ARRAY(t->arena, const double *, g->n_output);
        for (size_t k = 0; k < g->n_output; k++) {
            t->expected[image][k] = value[g->output[k].node->id];
        }
    }
    return NULL;
}

/* ---- the pipeline ---- */

/* Texts of the graph and of the program say all there is to say: what is read from them prints as they do. */
static const char *check_texts(struct trial *t)
{
    struct text graph = {.arena = t->arena}, again = {.arena = t->arena};
    graph_print(&graph, t->graph);
    struct fixture f = {.arena = t->arena, .diags = t->diags};
    struct graph *read = fixture_read(&f, text_string(&graph));
    if (!read) {
        return arena_printf(t->arena, "the graph's text cannot be read: %s", trial_report(t));
    }
    graph_print(&again, read);
    return strcmp(text_string(&graph), text_string(&again)) == 0 ? NULL : "the graph's text reads as another graph";
}

/* A pass that shall not run, by name; NULL: all do. */
static const char *left_out;
static enum winograd_mode winograd_mode; /* --winograd */
static double error_allowed; /* --max-error; 0: the default */

static bool run_most_passes(struct trial *t, struct pass_context *c)
{
    for (int i = 0; pass_at(i); i++) {
        bool runs = !left_out || strcmp(pass_at(i)->name, left_out) != 0;
        if (runs && !run_pass(pass_at(i), t->graph, c)) {
            return false;
        }
    }
    return true;
}

static const char *make_program(struct trial *t)
{
    struct pass_context c = {
        .module = t->arena,
        .scratch = t->scratch,
        .diags = t->diags,
        .target = t->target,
        .batch = t->batch,
        .winograd = winograd_mode,
        .max_error = t->exact ? 3e-6 : error_allowed}; /* F(2) of small integers is exact, F(4) is not */
    if (!run_most_passes(t, &c)) {
        return trial_report(t);
    }
    struct program *p = t->program = lower(t->graph, &c);
    for (size_t i = 0; i < p->n_kernel; i++) {
        if (!kernel_verify(t->diags, p->kernel[i])) {
            struct text text = {.arena = t->arena};
            kernel_print(&text, p->kernel[i]);
            return arena_printf(t->arena, "%s%s", trial_report(t), text_string(&text));
        }
    }
    if (!share_kernels(p, &c) || !parallelise(p, &c) || !plan_buffers(p, &c) || !program_verify(t->diags, p)) {
        struct text text = {.arena = t->arena};
        program_print(&text, p);
        return arena_printf(t->arena, "%s%s", trial_report(t), strstr(text_string(&text), "\nforward"));
    }
    return check_texts(t);
}

/* ---- running ---- */

static float *place_of(const struct trial *t, const struct argument *a, int64_t image)
{
    const struct memory *m = a->memory;
    char *base = NULL;
    switch (m->kind) {
    case MEMORY_WORKSPACE: base = t->workspace + image * t->program->workspace_bytes + m->offset; break;
    case MEMORY_WEIGHTS: base = t->blob + m->offset; break;
    case MEMORY_INPUT: base = (char *)t->input[m->index] + image * m->bytes; break;
    case MEMORY_OUTPUT: base = (char *)t->output[m->index] + image * m->bytes; break;
    }
    return (float *)(void *)(base + a->lead);
}

static bool run_task(struct trial *t, const struct stage *s, int64_t image, int64_t index)
{
    int64_t task[MAX_TASKS] = {0};
    for (int i = s->n_task - 1; i >= 0; i--) {
        task[i] = index % s->task[i];
        index /= s->task[i];
    }
    for (const struct call *c = s->call; c; c = c->next) {
        float *data[MAX_BUFFERS];
        for (int i = 0; i < c->kernel->n_buffer; i++) {
            data[i] = place_of(t, &c->arg[i], image);
        }
        if (!kernel_eval(t->diags, c->kernel, data, task)) {
            return false;
        }
    }
    return true;
}

/* What thread `me` of `threads` does in a stage: the shares that the generated forward has. */
static bool run_share(struct trial *t, const struct stage *s, int64_t me, int64_t threads)
{
    int64_t tasks = 1;
    for (int i = 0; i < s->n_task; i++) {
        tasks *= s->task[i];
    }
    int64_t all = tasks * t->batch;
    for (int64_t k = all * me / threads; k < all * (me + 1) / threads; k++) {
        if (!run_task(t, s, k / tasks, k % tasks)) {
            return false;
        }
    }
    return true;
}

static void poison_fresh(struct trial *t, int epoch)
{
    for (size_t i = 0; i < t->program->n_memory; i++) {
        const struct memory *m = t->program->memory[i];
        for (int image = 0; image < t->batch && m->kind == MEMORY_WORKSPACE && m->first == epoch; image++) {
            memset(place_of(t, &(struct argument){(struct memory *)m, 0}, image), 0xff, (size_t)m->bytes);
        }
    }
}

static bool run_all(struct trial *t, int64_t threads, bool descending)
{
    const struct program *p = t->program;
    memset(t->workspace, 0xff, (size_t)(p->workspace_bytes * t->batch));
    for (size_t k = 0; k < t->graph->n_output; k++) {
        memset(t->output[k], 0xff,
               sizeof(float) * (size_t)(shape_elements(t->graph->output[k].node->type.shape) * t->batch));
    }
    for (const struct stage *first = p->stage, *end; first; first = end) {
        poison_fresh(t, first->epoch);
        for (int64_t i = 0; i < threads; i++) {
            int64_t me = descending ? threads - 1 - i : i;
            for (end = first; end && end->epoch == first->epoch; end = end->next) {
                if (!run_share(t, end, me, threads)) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* ---- verdict ---- */

static const char *compare(struct trial *t, int image, size_t k)
{
    const struct node *node = t->graph->output[k].node;
    int64_t n = shape_elements(node->type.shape), worst = 0, differ = 0;
    const double *want = t->expected[image][k];
    const float *got = t->output[k] + image * n;
    double most = 0, off = -1;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - want[i]);
        most = fmax(most, fabs(want[i]));
        differ += !(d == 0);
        if (!(d <= off)) {
            off = isnan(d) ? INFINITY : d;
            worst = i;
        }
    }
    bool equal = t->exact && most < 1 << 21; /* beyond, partial sums may round */
    if (equal ? differ == 0 : off <= 2e-4 * most + 1e-6) {
        return NULL;
    }
    return arena_printf(t->arena, "image %d, output %s: element %lld is %.9g, expected %.9g; %lld of %lld differ",
                        image, t->graph->output[k].name, (long long)worst, (double)got[worst], want[worst],
                        (long long)differ, (long long)n);
}

static const char *run_orders(struct trial *t)
{
    enum { MANY = 4096 };
    static const struct {
        int64_t threads;
        bool descending;
    } order[] = {{1, false}, {MANY, false}, {MANY, true}};
    t->workspace = arena_alloc(t->arena, (size_t)(t->program->workspace_bytes * t->batch + 64));
    t->blob = arena_alloc(t->arena, (size_t)t->program->weights_bytes + 64);
    pack_weights(t->scratch, t->program, t->weights, t->blob);
    for (size_t i = 0; i < LENGTH(order); i++) {
        if (!run_all(t, order[i].threads, order[i].descending)) {
            return arena_printf(t->arena, "order %zu: %s", i, trial_report(t));
        }
        for (int image = 0; image < t->batch; image++) {
            for (size_t k = 0; k < t->graph->n_output; k++) {
                const char *why = compare(t, image, k);
                if (why) {
                    return arena_printf(t->arena, "order %zu: %s", i, why);
                }
            }
        }
    }
    return NULL;
}

/* NULL if the program computes what the graph says, else why not, in an arena of the caller. */
static const char *try_program(struct arena *arena, const char *text, const struct target *target, int batch,
                               bool exact)
{
    struct trial t = {
        .arena = arena, .scratch = arena_new("scratch"), .target = target, .batch = batch, .exact = exact};
    t.diags = diags_new(arena);
    struct fixture f = {.arena = arena, .diags = t.diags};
    t.graph = fixture_read(&f, text);
    t.weights = weights_open(arena, t.diags, "synthetic");
    const char *why = NULL;
    if (!t.graph) {
        why = trial_report(&t);
    } else {
        t.graph->batch = batch;
        if (exact) {
            make_integral(t.graph);
        }
        why = make_expected(&t);
        why = why ? why : make_program(&t);
        why = why ? why : run_orders(&t);
    }
    arena_free(t.scratch);
    return why ? arena_printf(arena, "%s, batch %d%s: %s", target->name, batch, exact ? ", integers" : "", why) : NULL;
}

/* On all targets. */
__attribute__((unused)) static const char *try_targets(struct arena *arena, const char *text, int batch, bool exact)
{
    const char *why = NULL;
    for (int i = 0; target_at(i) && !why; i++) {
        struct arena *own = arena_new("trial");
        why = try_program(own, text, target_at(i), batch, exact);
        why = why ? arena_copy(arena, why, strlen(why)) : NULL;
        arena_free(own);
    }
    return why;
}

#endif
