/* netc: the pipeline on one screen.
 *
 *   .net text -> elaborate -> graph IR -> graph passes (graph/passes.def, in order) -> lower -> loop IR -> loop passes -> C -> clang
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build.h"
#include "emit/emit.h"
#include "loop/loop.h"
#include "lower/lower.h"
#include "options.h"
#include "show.h"
#include "weights/npy.h"
#include "weights/weights.h"

struct netc {
    struct arena *perm, *module, *scratch;
    struct diags *diags;
    struct options options;
    struct pass_context context;
};

/* The passes over loop IR, in the order in which they run. */
static const struct {
    const char *name;
    bool (*run)(struct program *, struct pass_context *);
} loop_pass[] = {{"share_kernels", share_kernels}, {"parallelise", parallelise}, {"plan_buffers", plan_buffers}};

static int read_source(struct netc *n)
{
    size_t length;
    const char *why, *bytes = file_read(n->perm, n->options.file, 64 << 20, &length, &why);
    if (bytes)
        return source_add(n->options.file, n->options.file, bytes, length);
    diag_error_file(n->diags, CHECK_file_read, n->options.file, "%s", why);
    return -1;
}

static struct graph *read_ir(struct netc *n)
{
    int file = read_source(n);
    struct graph *g = file < 0 ? NULL : graph_read(n->module, n->diags, file);
    return g && graph_verify(n->diags, g) ? g : NULL;
}

/* A .net file; a file that ends in .ir is graph IR already. */
static struct graph *elaborate(struct netc *n)
{
    size_t length = strlen(n->options.file);
    if (length > 3 && strcmp(n->options.file + length - 3, ".ir") == 0)
        return read_ir(n);
    return elaborate_file(n->perm, n->module, n->diags, &n->options.front);
}

/* From the optimised graph to the program, to the end of the pass called `after` (NULL: all). */
static struct program *to_program(struct netc *n, struct graph *g, const char *after)
{
    struct program *p = lower(g, &n->context);
    for (size_t i = 0; i < p->n_kernel; i++)
        if (!kernel_verify(n->diags, p->kernel[i]))
            return NULL;
    for (size_t i = 0; i < LENGTH(loop_pass) && !(after && strcmp(after, "lower") == 0); i++) {
        if (!loop_pass[i].run(p, &n->context))
            return NULL;
        arena_reset(n->scratch);
        if (after && strcmp(after, loop_pass[i].name) == 0)
            return p;
    }
    if (!after && !program_verify(n->diags, p))
        return NULL;
    return p;
}

static struct program *compile(struct netc *n, struct graph *g)
{
    return run_passes(g, &n->context, NULL, NULL) ? to_program(n, g, NULL) : NULL;
}

/* ---- build ---- */

/* Spreads kernels over files by the length of their text, the longest first. */
static const int *spread_kernels(struct netc *n, const struct program *p, int parts)
{
    int *part = NEW_ARRAY(n->module, int, p->n_kernel + 1);
    size_t *load = NEW_ARRAY(n->module, size_t, parts + 1), *length = NEW_ARRAY(n->module, size_t, p->n_kernel + 1);
    for (size_t i = 0; i < p->n_kernel; i++) {
        struct text t = {.arena = n->module};
        kernel_print(&t, p->kernel[i]);
        length[i] = t.length;
    }
    for (size_t done = 0; done < p->n_kernel; done++) {
        size_t longest = 0;
        for (size_t i = 1; i < p->n_kernel; i++)
            if (length[i] > length[longest])
                longest = i;
        int least = 1;
        for (int k = 2; k < parts; k++)
            if (load[k] < load[least])
                least = k;
        part[longest] = least;
        load[least] += length[longest] + 1;
        length[longest] = 0;
        for (size_t i = 0; i < p->n_kernel; i++) /* the next longest among those without a part */
            if (part[i])
                length[i] = 0;
    }
    return part;
}

static struct build_part emit_part(struct netc *n, const struct program *p, struct emit_options o, int part)
{
    struct text t = {.arena = n->module};
    o.part = part;
    emit_program(&t, p, &o);
    return (struct build_part){part ? arena_printf(n->module, ".kernels.%d", part) : "", text_string(&t), t.length};
}

static bool build(struct netc *n)
{
    const struct options *o = &n->options;
    struct graph *g = elaborate(n);
    struct weights *w = g ? weights_open(n->perm, n->diags, o->weights) : NULL;
    if (!w || !weights_check(w, n->diags, g))
        return false;
    uint64_t digest = weights_digest(w, g);
    int64_t params = graph_params(g), macs = graph_macs(g);
    struct program *p = compile(n, g);
    if (!p)
        return false;
    char *blob = arena_alloc(n->module, (size_t)p->weights_bytes + 64);
    pack_weights(n->scratch, p, w, blob);
    int parts =
        o->parts > 1 && p->n_kernel > 1 ? (p->n_kernel < (size_t)o->parts ? (int)p->n_kernel : o->parts) + 1 : 1;
    struct emit_options e = {.options = o->described,
                             .parts = parts,
                             .digest = digest,
                             .params = params,
                             .macs = macs,
                             .weights_file = arena_printf(n->module, "%s.weights", p->graph->name)};
    if (parts > 1)
        e.kernel_part = spread_kernels(n, p, parts);
    struct build_part *part = NEW_ARRAY(n->module, struct build_part, parts);
    for (int i = 0; i < parts; i++)
        part[i] = emit_part(n, p, e, i);
    weights_close(w);
    struct build_job job = {.arena = n->scratch,
                            .name = p->graph->name,
                            .target = o->target,
                            .part = part,
                            .n_part = parts,
                            .weights = blob,
                            .weights_bytes = (size_t)p->weights_bytes,
                            .output = o->output ? o->output : p->graph->name,
                            .runtime_dir = data_folder(n->perm, "runtime"),
                            .keep_dir = o->keep,
                            .jobs = o->jobs};
    return o->emit_c ? emit_to_directory(n->diags, &job, o->emit_c) : build_executable(n->diags, &job);
}

/* ---- show ---- */

/* Was the last pass that ran one that did something? */
static void keep_last(void *data, const struct pass *pass, const char *text)
{
    (void)pass;
    *(bool *)data = strcmp(text, "(unchanged)") != 0;
}

static bool is_loop_pass(const char *name)
{
    bool found = strcmp(name, "lower") == 0;
    for (size_t i = 0; i < LENGTH(loop_pass); i++)
        found = found || strcmp(name, loop_pass[i].name) == 0;
    return found;
}

static bool unknown_pass(struct netc *n, const char *name)
{
    struct text t = {.arena = n->scratch};
    for (int i = 0; pass_at(i); i++)
        text_add(&t, "%s ", pass_at(i)->name);
    text_add(&t, "lower");
    for (size_t i = 0; i < LENGTH(loop_pass); i++)
        text_add(&t, " %s", loop_pass[i].name);
    diag_error_file(n->diags, CHECK_unknown_pass, "netc", "there is no pass '%s'; in order they are: %s", name,
                    text_string(&t));
    return false;
}

static bool show_after(struct netc *n, struct text *t, struct graph *g, const char *after)
{
    if (is_loop_pass(after)) {
        struct program *p = run_passes(g, &n->context, NULL, NULL) ? to_program(n, g, after) : NULL;
        if (p)
            program_print(t, p);
        return p;
    }
    if (!pass_by_name(after))
        return unknown_pass(n, after);
    bool changed = true;
    if (!run_passes(g, &n->context, after, &(struct pass_watcher){keep_last, &changed}))
        return false;
    if (!changed)
        text_add(t, "# %s changed nothing\n", after);
    graph_print(t, g);
    return true;
}

static bool show(struct netc *n, struct text *t)
{
    const struct options *o = &n->options;
    if (o->ast)
        return print_syntax(t, n->perm, n->diags, o->file);
    struct graph *g = elaborate(n);
    if (!g)
        return false;
    if (o->after)
        return show_after(n, t, g, o->after);
    if (o->ir)
        graph_print(t, g);
    else if (o->params)
        show_params(t, g, o->json);
    else if (o->plan) {
        struct program *p = compile(n, g);
        if (!p)
            return false;
        show_plan(t, p, o->json);
    } else if (o->json)
        text_add(t, "%s\n", graph_json(n->module, g));
    else
        show_layers(t, g);
    return true;
}

/* ---- run: the reference interpreter ---- */

static const double *input_values(struct netc *n, const struct node *input)
{
    int64_t elements = shape_elements(input->type.shape);
    if (strcmp(n->options.input, "synthetic") == 0) {
        double *v = NEW_ARRAY(n->module, double, elements);
        synthetic_input("input", elements, v);
        return v;
    }
    return npy_read(n->module, n->diags, n->options.input, input->type.shape);
}

static bool run(struct netc *n)
{
    struct graph *g = elaborate(n);
    struct weights *w = g ? weights_open(n->perm, n->diags, n->options.weights) : NULL;
    if (!w || !weights_check(w, n->diags, g))
        return false;
    if (g->n_input != 1) {
        diag_error_file(n->diags, CHECK_one_input, g->file, "%s has %zu inputs; `run` takes nets with one", g->name,
                        g->n_input);
        return false;
    }
    const double *input[1] = {input_values(n, g->input[0].node)};
    double **value = input[0] ? graph_eval(n->module, n->diags, g, w, input) : NULL;
    weights_close(w);
    if (!value)
        return false;
    const struct node *out = g->output[0].node;
    return npy_write(n->diags, n->options.output, out->type.shape, value[out->id]);
}

/* ---- pass, loop: for work on netc ---- */

static bool pass(struct netc *n, struct text *t)
{
    struct graph *g = read_ir(n);
    if (!g)
        return false;
    const char *rest = n->options.passes;
    while (*rest) {
        size_t length = strcspn(rest, "+");
        const char *name = intern_n(rest, length);
        const struct pass *p = pass_by_name(name);
        if (!p && strcmp(name, "read") != 0)
            return unknown_pass(n, name);
        if (p && !run_pass(p, g, &n->context))
            return false;
        rest += length + (rest[length] == '+');
    }
    graph_print(t, g);
    return true;
}

/* Inputs hold small integers, so that sums are exact; every task runs; what is written is printed buffer by buffer. */
static bool eval_kernel(struct netc *n, struct text *t, const struct kernel *k)
{
    float *data[MAX_BUFFERS];
    int64_t size[MAX_BUFFERS], task[MAX_TASKS] = {0}, tasks = 1;
    uint32_t state = 1;
    for (int i = 0; i < k->n_buffer; i++) {
        size[i] = 1;
        for (int d = 0; d < k->buffer[i]->rank; d++)
            size[i] *= k->buffer[i]->dim[d];
        data[i] = arena_alloc(n->module, (size_t)size[i] * sizeof(float) + 64);
        for (int64_t e = 0; e < size[i]; e++) {
            state = state * 1664525u + 1013904223u;
            if (k->buffer[i]->dir == DIR_OUT)
                memcpy(&data[i][e], &(uint32_t){LOOP_POISON}, sizeof(float));
            else
                data[i][e] = (float)((int)(state >> 24) % 5 - 1);
        }
    }
    for (int i = 0; i < k->n_task; i++)
        tasks *= k->task[i]->hi;
    for (int64_t at = 0; at < tasks; at++) {
        int64_t rest = at;
        for (int i = k->n_task - 1; i >= 0; i--)
            task[i] = rest % k->task[i]->hi, rest /= k->task[i]->hi;
        if (!kernel_eval(n->diags, k, data, task))
            return false;
    }
    for (int i = 0; i < k->n_buffer; i++) {
        if (k->buffer[i]->dir == DIR_IN)
            continue;
        text_add(t, "%s", k->buffer[i]->name);
        for (int64_t e = 0; e < size[i]; e++)
            text_add(t, "%s%.9g", e % 16 ? " " : "\n", (double)data[i][e]);
        text_add(t, "\n");
    }
    return true;
}

static bool loop_file(struct netc *n, struct text *t)
{
    int file = read_source(n);
    struct kernel *k = file < 0 ? NULL : kernel_read(n->module, n->diags, file);
    if (!k || !kernel_verify(n->diags, k))
        return false;
    if (n->options.eval)
        return eval_kernel(n, t, k);
    kernel_print(t, k);
    return true;
}

static bool run_command(struct netc *n, struct text *out)
{
    switch (n->options.command) {
    case COMMAND_BUILD: return build(n);
    case COMMAND_CHECK: return elaborate(n);
    case COMMAND_SHOW: return show(n, out);
    case COMMAND_RUN: return run(n);
    case COMMAND_PASS: return pass(n, out);
    case COMMAND_LOOP: return loop_file(n, out);
    default: return false;
    }
}

int main(int argc, char **argv)
{
    struct netc n = {.perm = arena_new("perm"), .module = arena_new("module"), .scratch = arena_new("scratch")};
    n.diags = diags_new(n.perm);
    n.options = read_options(n.perm, argc, argv);
    n.context = (struct pass_context){.module = n.module,
                                      .scratch = n.scratch,
                                      .diags = n.diags,
                                      .target = n.options.target,
                                      .batch = n.options.front.batch};
    struct text out = {.arena = n.module};
    bool done = run_command(&n, &out);
    diag_print(n.diags, stderr);
    if (done && out.length && (fwrite(out.bytes, 1, out.length, stdout) != out.length || fflush(stdout) != 0)) {
        fprintf(stderr, "netc: error: standard output cannot be written\n");
        done = false;
    }
    arena_free(n.scratch);
    arena_free(n.module);
    arena_free(n.perm);
    return done ? EXIT_DONE : EXIT_INPUT;
}
