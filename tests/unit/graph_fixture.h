/* What the tests of graph/ share: building nodes in one line, a graph that has every feature of the text form, and
 * the names of the checks that failed. */
#ifndef NETC_GRAPH_FIXTURE_H
#define NETC_GRAPH_FIXTURE_H

#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

struct fixture {
    struct arena *arena;
    struct diags *diags;
    struct graph *graph;
};

static inline struct fixture fixture_new(void)
{
    struct fixture f = {.arena = arena_new("test")};
    f.diags = diags_new(f.arena);
    f.graph = graph_new(f.arena, "small", "small.net");
    return f;
}

static inline void fixture_free(struct fixture *f)
{
    arena_free(f->arena);
}

static const struct origin nowhere = {{-1, 0, 0}, NULL};

/* Everything that was reported since the last call, as it is printed. */
static inline const char *fixture_report(struct fixture *f)
{
    char *bytes = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&bytes, &length);
    diag_print(f->diags, out);
    fclose(out);
    char *copy = arena_copy(f->arena, bytes, length);
    free(bytes);
    return copy;
}

/* Was exactly the one check reported? Starts anew, since the same fault is reported once only. */
static inline bool fixture_failed(struct fixture *f, const char *check, const char **report)
{
    *report = fixture_report(f);
    f->diags = diags_new(f->arena);
    const char *first = strstr(*report, "  [");
    size_t length = strlen(check);
    return first && !strncmp(first + 3, check, length) && first[3 + length] == ']' && !strstr(first + 3, "  [");
}

static inline struct node *fixture_add(struct fixture *f, enum op op, struct node *a, struct node *b,
                                       struct attrs attrs, const char *path)
{
    struct node *in[] = {a, b};
    return graph_add(f->graph, f->diags, op, in, a ? b ? 2 : 1 : 0, &attrs, path, NULL, nowhere);
}

static inline struct node *fixture_input(struct fixture *f, const char *name, struct shape shape)
{
    struct attrs attrs = {.shape = shape};
    struct node *node = graph_add(f->graph, f->diags, OP_input, NULL, 0, &attrs, "", name, nowhere);
    struct graph *g = f->graph;
    if (node) {
        PUSH(g->arena, g->input, g->n_input, g->cap_input, ((struct graph_input){.node = node}));
    }
    return node;
}

static inline void fixture_output(struct fixture *f, const char *name, struct node *node)
{
    struct graph *g = f->graph;
    PUSH(g->arena, g->output, g->n_output, g->cap_output, ((struct graph_output){.name = intern(name), .node = node}));
}

/* Gives a node loaded parameters under path.leaf, but no bias. */
static inline struct node *fixture_params(struct fixture *f, struct node *node)
{
    const char *leaf;
    bool optional;
    struct shape shape;
    for (int slot = 0; node_param(node, slot, &leaf, &optional, &shape); slot++) {
        if (!optional) {
            node->param[slot] = graph_param(f->graph, intern_printf("%s.%s", node->path, leaf), shape, nowhere);
        }
    }
    return node;
}

static inline struct node *fixture_conv(struct fixture *f, struct node *x, const char *path, int64_t out,
                                        int64_t kernel, int64_t stride, int64_t groups)
{
    struct attrs attrs = {.kernel = {kernel, kernel},
                          .stride = {stride, stride},
                          .pad = {kernel / 2, kernel / 2},
                          .dilation = {1, 1},
                          .groups = groups,
                          .out = out};
    struct node *node = fixture_add(f, OP_conv, x, NULL, attrs, path);
    return node ? fixture_params(f, node) : NULL;
}

static inline struct node *fixture_norm(struct fixture *f, struct node *x, const char *path)
{
    return fixture_params(f, fixture_add(f, OP_batch_norm, x, NULL, (struct attrs){.eps = 1e-5}, path));
}

static inline struct node *fixture_relu(struct fixture *f, struct node *x, const char *path)
{
    return fixture_add(f, OP_relu, x, NULL, (struct attrs){0}, path);
}

/* As the front end makes it: a stem, a pool, a bottleneck with a gate, odd operators, a head. */
static inline struct fixture fixture_small(void)
{
    struct fixture f = fixture_new();
    struct graph *g = f.graph;
    struct node *x = fixture_input(&f, "pixels", (struct shape){3, {3, 32, 32}});
    struct node *y = fixture_relu(&f, fixture_norm(&f, fixture_conv(&f, x, "conv1", 64, 7, 2, 1), "bn1"), "");
    y = fixture_add(&f, OP_max_pool, y, NULL,
                    (struct attrs){.kernel = {3, 3}, .stride = {2, 2}, .pad = {1, 1}, .ceil = true}, "");
    struct node *b = fixture_relu(
        &f, fixture_norm(&f, fixture_conv(&f, y, "layer1.0.conv1", 64, 1, 1, 1), "layer1.0.bn1"), "layer1.0");
    b = fixture_relu(&f, fixture_norm(&f, fixture_conv(&f, b, "layer1.0.conv2", 64, 3, 1, 32), "layer1.0.bn2"),
                     "layer1.0");
    struct node *gate = fixture_add(&f, OP_global_avg_pool, b, NULL, (struct attrs){0}, "layer1.0.se");
    b = fixture_add(&f, OP_mul, b, fixture_add(&f, OP_sigmoid, gate, NULL, (struct attrs){0}, "layer1.0.se"),
                    (struct attrs){0}, "layer1.0");
    y = fixture_relu(&f, fixture_add(&f, OP_add, b, y, (struct attrs){0}, "layer1.0"), "layer1.0");
    struct node *low = fixture_add(&f, OP_slice, y, NULL, (struct attrs){.start = 0, .size = 26}, "");
    struct node *high = fixture_add(&f, OP_slice, y, NULL, (struct attrs){.start = 26, .size = 38}, "");
    y = fixture_add(&f, OP_concat, high, low, (struct attrs){0}, "odd one \"quoted\"");
    y = fixture_add(&f, OP_permute, y, NULL, (struct attrs){.shape = {3, {0, 2, 1}}}, "");
    static const double number[] = {0.1, -2.5, 1e-300, 3};
    struct node *c = fixture_add(&f, OP_constant, NULL, NULL, (struct attrs){.shape = {2, {1, 1}}}, "");
    c->value = number;
    y = fixture_add(&f, OP_div, y, c, (struct attrs){0}, "");
    y = fixture_add(&f, OP_global_avg_pool, y, NULL, (struct attrs){0}, "");
    y = fixture_add(&f, OP_reshape, y, NULL, (struct attrs){.shape = {1, {64}}}, "");
    y = fixture_params(&f, fixture_add(&f, OP_linear, y, NULL, (struct attrs){.out = 3}, "fc"));
    y->param[1] = graph_param(g, "fc.bias", (struct shape){1, {3}}, nowhere);
    fixture_output(&f, "logits", y);
    fixture_output(&f, "features", low);
    static const char *const labels[] = {"tench, Tinca \"tinca\"", "back\\slash\nnew line", "K\xc3\xa4rtchen"};
    g->output[0].labels_file = "labels/three.txt";
    g->output[0].labels = labels;
    g->output[0].n_labels = 3;
    struct picture_step step[] = {
        {.op = PICTURE_SWAP_RED_BLUE},
        {.op = PICTURE_CENTER_BOX, .share = 0.875},
        {.op = PICTURE_RESIZE, .shorter = 36, .filter = FILTER_BICUBIC},
        {.op = PICTURE_RESIZE, .size = {34, 36}},
        {.op = PICTURE_CENTER_CROP, .size = {32, 32}, .offset_ceil = true},
        {.op = PICTURE_NORMALIZE,
         .mean = {0.485, 0.456, 0.406},
         .std = {0.229, 0.224, 0.225},
         .range = 1,
         .channels = 3},
    };
    g->input[0].step = NEW_ARRAY(g->arena, struct picture_step, LENGTH(step));
    memcpy(g->input[0].step, step, sizeof step);
    g->input[0].n_step = (int)LENGTH(step);
    g->batch = 4;
    return f;
}

static inline const char *fixture_text(struct fixture *f, const struct graph *graph)
{
    struct text text = {.arena = f->arena};
    graph_print(&text, graph);
    return text_string(&text);
}

static inline struct graph *fixture_read_n(struct fixture *f, const char *text, size_t n)
{
    return graph_read(f->arena, f->diags, source_add("test.graph", "test.graph", arena_copy(f->arena, text, n), n));
}

static inline struct graph *fixture_read(struct fixture *f, const char *text)
{
    return fixture_read_n(f, text, strlen(text));
}

#endif
