/* For judging and for work on netc: the reference interpreter (run), passes and kernels by their text (pass, loop). */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "children.h"
#include "netc.h"
#include "weights/npy.h"
#include "weights/weights.h"

/* ---- texts ---- */

static int read_source(struct netc *n)
{
    size_t length;
    const char *why, *bytes = file_read(n->perm, n->options.file, 64 << 20, &length, &why);
    if (bytes)
        return source_add(n->options.file, n->options.file, bytes, length);
    diag_error_file(n->diags, CHECK_file_read, n->options.file, "%s", why);
    return -1;
}

struct graph *read_ir(struct netc *n)
{
    int file = read_source(n);
    struct graph *g = file < 0 ? NULL : graph_read(n->module, n->diags, file);
    return g && graph_verify(n->diags, g) ? g : NULL;
}

/* ---- run ---- */

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

/* By the name's ending: all arrays as .safetensors, else the first as .npy. */
static bool write_arrays(struct netc *n, const char *path, const struct named_array *array, size_t count)
{
    const char *shown = n->options.output, *dot = strrchr(shown, '.');
    if (dot && strcmp(dot, ".safetensors") == 0)
        return safetensors_write(n->scratch, n->diags, path, shown, array, count);
    return npy_write(n->diags, path, shown, array->shape, array->value);
}

/* Whole or not at all; but a device is written in place: /dev/full is not replaced. */
static bool write_values(struct netc *n, const struct named_array *array, size_t count)
{
    const char *path = n->options.output;
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return write_arrays(n, path, array, count);
    temporary_begin();
    const char *fresh = temporary_claim(path);
    bool claimed = fresh, good = claimed && write_arrays(n, fresh, array, count);
    if (!claimed || (good && !temporary_interrupted() && rename(fresh, path) != 0)) {
        diag_error_file(n->diags, CHECK_npy, path, "cannot be written: %s", strerror(errno));
        good = false;
    }
    temporary_end();
    return good;
}

/* The value that --layer asks for. */
static const struct node *wanted_node(struct netc *n, const struct graph *g)
{
    const char *name = n->options.layer;
    const char **known = NEW_ARRAY(n->scratch, const char *, g->n_node);
    for (size_t i = 0; i < g->n_node; i++) {
        if (strcmp(g->node[i]->name, name) == 0)
            return g->node[i];
        known[i] = g->node[i]->name;
    }
    const char *near = nearest_name(name, known, g->n_node);
    const char *after = n->options.after ? n->options.after : "";
    diag_error_file(n->diags, CHECK_unknown_layer, g->file,
                    "%s has no value '%s'%s%s, `netc show --ir%s%s` lists them%s%s%s", g->name, name,
                    *after ? " after " : "", after, *after ? "=after:" : "", after, near ? "; did you mean '" : "",
                    near ? near : "", near ? "'?" : "");
    return NULL;
}

/* The outputs by their names, or the one value that --layer names. */
static bool write_result(struct netc *n, const struct graph *g, const struct node *layer, double **value)
{
    size_t count = layer ? 1 : g->n_output;
    struct named_array *array = NEW_ARRAY(n->scratch, struct named_array, count);
    for (size_t i = 0; i < count; i++) {
        const struct node *node = layer ? layer : g->output[i].node;
        array[i] = (struct named_array){layer ? layer->name : g->output[i].name, node->type.shape, value[node->id]};
    }
    return write_values(n, array, count);
}

bool command_run(struct netc *n)
{
    const char *after = n->options.after;
    if (after && !pass_by_name(after))
        return unknown_pass(n, after);
    struct weights *w;
    struct graph *g = elaborate_with_weights(n, &w);
    if (!g)
        return false;
    if (g->n_input != 1) {
        diag_error_file(n->diags, CHECK_one_input, g->file, "%s has %zu inputs; `run` takes nets with one", g->name,
                        g->n_input);
        return false;
    }
    if (after && !run_passes(g, &n->context, after, NULL))
        return false;
    const struct node *layer = n->options.layer ? wanted_node(n, g) : NULL;
    bool known = layer || !n->options.layer;
    const double *input[1] = {known ? input_values(n, g->input[0].node) : NULL};
    double **value = input[0] ? graph_eval(n->module, n->diags, g, w, input) : NULL;
    weights_close(w);
    return value && !diag_errors(n->diags) && write_result(n, g, layer, value);
}

/* ---- pass, loop ---- */

bool command_pass(struct netc *n, struct text *t)
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

bool command_loop(struct netc *n, struct text *t)
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
