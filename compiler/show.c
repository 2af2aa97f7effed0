/* Tables for people, and the same as JSON for programs. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "show.h"

static int64_t own_params(const struct node *n)
{
    int64_t sum = 0;
    for (int i = 0; i < MAX_PARAMS; i++) {
        const char *leaf;
        bool optional;
        struct shape shape;
        if (!node_param(n, i, &leaf, &optional, &shape))
            break;
        if (n->param[i] && strncmp(leaf, "running_", 8) != 0)
            sum += shape_elements(n->param[i]->shape);
    }
    return sum;
}

/* What a reader counts as a layer's kind: "conv 3x3 /2 groups 32". */
static const char *kind(struct arena *a, const struct node *n)
{
    struct text t = {.arena = a};
    struct local_conv local;
    text_add(&t, "%s", op_info(n->op)->name);
    if (match_local_conv(n, &local)) {
        text_add(&t, " local %dx%d", (int)local.unfold->attrs.kernel[0], (int)local.unfold->attrs.kernel[1]);
        return text_string(&t);
    }
    bool conv = n->op == OP_conv || n->op == OP_convolve || n->op == OP_local_conv;
    if (conv || n->op == OP_unfold || n->op == OP_max_pool || n->op == OP_avg_pool) {
        text_add(&t, " %dx%d", (int)n->attrs.kernel[0], (int)n->attrs.kernel[1]);
        if (n->attrs.stride[0] > 1 || n->attrs.stride[1] > 1)
            text_add(&t, " /%d", (int)n->attrs.stride[0]);
    }
    if ((conv || n->op == OP_unfold) && n->attrs.dilation[0] > 1)
        text_add(&t, " dilation %d", (int)n->attrs.dilation[0]);
    if ((conv || n->op == OP_group_norm) && n->attrs.groups > 1)
        text_add(&t, " groups %d", (int)n->attrs.groups);
    return text_string(&t);
}

void show_layers(struct text *t, const struct graph *g)
{
    struct arena *a = t->arena;
    int name = 5, what = 8;
    for (size_t i = 0; i < g->n_node; i++) {
        if ((int)strlen(g->node[i]->name) > name)
            name = (int)strlen(g->node[i]->name);
        if ((int)strlen(kind(a, g->node[i])) > what)
            what = (int)strlen(kind(a, g->node[i]));
    }
    text_add(t, "%-*s  %-*s  %-14s  %12s  %15s\n", name, "layer", what, "operator", "output", "parameters", "MACs");
    for (size_t i = 0; i < g->n_node; i++) {
        const struct node *n = g->node[i];
        int64_t params = own_params(n), macs = node_macs(n);
        text_add(t, "%-*s  %-*s  %-14s  %12s  %15s\n", name, n->name, what, kind(a, n), shape_text(a, n->type.shape),
                 params ? grouped_digits(a, params) : "", macs ? grouped_digits(a, macs) : "");
    }
    text_add(t, "\n%s: %s parameters, %s multiply-adds an image\n", g->name, grouped_digits(a, graph_params(g)),
             grouped_digits(a, graph_macs(g)));
}

static json_t *shape_json(struct shape s)
{
    json_t *list = json_array();
    for (int i = 0; i < s.rank; i++)
        json_array_append_new(list, json_integer(s.dim[i]));
    return list;
}

void put_json(struct text *t, json_t *value)
{
    char *s = json_dumps(value, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    json_decref(value);
    text_add(t, "%s\n", s);
    heap_free(s);
}

void put_csv(struct text *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        text_add(out, "%s", text);
        return;
    }
    text_add(out, "\"");
    for (; *text; text++)
        text_add(out, *text == '"' ? "\"\"" : "%c", *text);
    text_add(out, "\"");
}

void show_params(struct text *t, const struct graph *g, bool json)
{
    json_t *list = json ? json_array() : NULL;
    for (size_t i = 0; i < g->n_param; i++) {
        const struct param *p = g->param[i];
        if (p->op != PARAM_LOADED)
            continue;
        if (json) {
            json_array_append_new(
                list, json_pack("{s:s, s:o, s:s}", "name", p->name, "shape", shape_json(p->shape), "dtype", "f32"));
            continue;
        }
        text_add(t, "%s  [", p->name);
        for (int d = 0; d < p->shape.rank; d++)
            text_add(t, "%s%" PRId64, d ? ", " : "", p->shape.dim[d]);
        text_add(t, "]  f32\n");
    }
    if (json)
        put_json(t, list);
}
