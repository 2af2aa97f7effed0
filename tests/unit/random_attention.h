/* Steps of random graphs: the operators of attention and of the heads of detection and segmentation, in awkward sizes. */
#ifndef NETC_TEST_RANDOM_ATTENTION_H
#define NETC_TEST_RANDOM_ATTENTION_H

#include "random_maker.h"

enum { MOST_ELEMENTS = 4000, MOST_MACS = 40000 };

/* A value of at least `rank` axes, or the input. */
static struct node *of_rank(struct maker *m, int rank)
{
    struct node *x = any(m);
    for (int i = 0; i < 30 && x->type.shape.rank < rank; i++) {
        x = any(m);
    }
    return x->type.shape.rank < rank ? m->graph->node[0] : x;
}

static int64_t divisor(struct maker *m, int64_t n)
{
    int64_t d = 1 + below(m, (uint32_t)n);
    while (n % d) {
        d--;
    }
    return d;
}

static struct node *loose(struct maker *m, struct shape shape)
{
    return below(m, 2) ? constant(m, shape) : add(m, OP_parameter, NULL, NULL, (struct attrs){.shape = shape});
}

static struct node *reshaped(struct maker *m, struct node *x, struct shape shape)
{
    return add(m, OP_reshape, x, NULL, (struct attrs){.shape = shape});
}

/* Kernel, stride, dilation and padding up to what would see zeros only. */
static struct attrs window(struct maker *m)
{
    struct attrs a = {.groups = 1};
    for (int d = 0; d < 2; d++) {
        a.kernel[d] = 1 + below(m, 4);
        a.stride[d] = 1 + below(m, 3);
        a.dilation[d] = 1 + below(m, 3);
        a.pad[d] = below(m, (uint32_t)(a.dilation[d] * a.kernel[d]) + 1);
    }
    return a;
}

static bool window_fits(const struct attrs *a, const struct shape *s)
{
    for (int d = 0; d < 2; d++) {
        if (s->dim[s->rank - 2 + d] + 2 * a->pad[d] < a->dilation[d] * (a->kernel[d] - 1) + 1) {
            return false;
        }
    }
    return true;
}

/* ---- convolutions ---- */

static void add_convolve(struct maker *m)
{
    struct node *x = of_rank(m, 3);
    const struct shape *s = &x->type.shape;
    struct attrs a = window(m);
    int64_t channels = s->dim[s->rank - 3];
    a.groups = divisor(m, channels);
    struct shape kernel = {4, {a.groups * (1 + below(m, 3)), channels / a.groups, a.kernel[0], a.kernel[1]}};
    if (!window_fits(&a, s) || shape_elements(*s) * shape_elements(kernel) / a.groups > 4 * MOST_MACS ||
        shape_elements(*s) / channels * kernel.dim[0] > MOST_ELEMENTS) {
        return;
    }
    struct node *in[] = {x, loose(m, kernel), NULL};
    int n = 2;
    if (below(m, 2)) {
        in[n++] = loose(m, (struct shape){1, {kernel.dim[0]}});
    }
    cr_assert(graph_add(m->graph, m->f.diags, OP_convolve, in, n, &a, "", NULL, nowhere), "%s", fixture_report(&m->f));
}

static void add_conv_any_rank(struct maker *m)
{
    struct node *x = of_rank(m, 4);
    const struct shape *s = &x->type.shape;
    struct attrs a = window(m);
    int64_t channels = s->dim[s->rank - 3];
    a.groups = divisor(m, channels);
    a.out = a.groups * (1 + below(m, 3));
    if (window_fits(&a, s) && shape_elements(*s) / channels * a.out < MOST_ELEMENTS) {
        add(m, OP_conv, x, NULL, a);
    }
}

static void add_conv1d(struct maker *m)
{
    struct node *x = any(m);
    int64_t n = shape_elements(x->type.shape), channels = divisor(m, n < 12 ? n : 12);
    while (n % channels) {
        channels--;
    }
    struct attrs a = {.kernel = {1, 1 + below(m, 6)},
                      .stride = {1, 1},
                      .dilation = {1, 1},
                      .pad = {0, below(m, 6)},
                      .out = 1 + below(m, 9)};
    int64_t length = n / channels;
    if (length + 2 * a.pad[1] >= a.kernel[1] && length * channels * a.kernel[1] * a.out <= MOST_MACS) {
        add(m, OP_conv1d, reshaped(m, x, (struct shape){2, {channels, length}}), NULL, a);
    }
}

/* ---- products ---- */

/* A factor for the last axis of x, whose leading axes are x's, or 1, or not there. */
static void add_matmul(struct maker *m)
{
    struct node *x = of_rank(m, 2);
    struct shape s = x->type.shape;
    int64_t depth = s.dim[s.rank - 1], columns = 1 + below(m, 20);
    int drop = (int)below(m, (uint32_t)s.rank - 1);
    struct shape other = {.rank = s.rank - drop};
    for (int i = 0; i < other.rank - 2; i++) {
        other.dim[i] = below(m, 2) ? s.dim[i + drop] : 1;
    }
    other.dim[other.rank - 2] = depth;
    other.dim[other.rank - 1] = columns;
    if (shape_elements(s) * columns > MOST_MACS || shape_elements(s) / depth * columns > MOST_ELEMENTS ||
        shape_elements(other) > MOST_ELEMENTS) {
        return;
    }
    if (below(m, 2)) { /* the other way around, turned */
        int64_t *dim = other.dim + other.rank - 2, rows = s.dim[s.rank - 2];
        if (shape_elements(s) / rows * columns > MOST_ELEMENTS) {
            return;
        }
        dim[0] = columns;
        dim[1] = rows;
        plain(m, OP_matmul, loose(m, other), x);
    } else {
        plain(m, OP_matmul, x, loose(m, other));
    }
}

/* x times itself turned, perhaps with a softmax, times x: attention of one head. */
static void add_attention(struct maker *m)
{
    struct node *x = any_map(m);
    int64_t c = x->type.shape.dim[0], n = shape_elements(x->type.shape) / c;
    if (n > 60 || n * n * c > MOST_MACS || m->exact) {
        return;
    }
    struct node *rows = reshaped(m, x, (struct shape){2, {c, n}});
    struct node *turned = add(m, OP_permute, rows, NULL, (struct attrs){.shape = {2, {1, 0}}});
    struct node *scores = plain(m, OP_matmul, turned, rows);
    scores = add(m, OP_softmax, scores, NULL, (struct attrs){.axis = 1});
    reshaped(m, plain(m, OP_matmul, rows, scores), x->type.shape);
}

static void add_rows_linear(struct maker *m)
{
    struct node *x = of_rank(m, 2);
    const struct shape *s = &x->type.shape;
    int64_t out = 1 + below(m, 20);
    if (shape_elements(*s) * out <= MOST_MACS && shape_elements(*s) / s->dim[s->rank - 1] * out <= MOST_ELEMENTS) {
        add(m, OP_linear, x, NULL, (struct attrs){.out = out});
    }
}

static void add_group_norm(struct maker *m)
{
    struct node *x = of_rank(m, 1);
    if (!m->exact) {
        add(m, OP_group_norm, x, NULL, (struct attrs){.groups = divisor(m, x->type.shape.dim[0]), .eps = 1e-3});
    }
}

/* ---- maps, rows ---- */

static void add_pad(struct maker *m)
{
    struct node *x = of_rank(m, 2);
    const struct shape *s = &x->type.shape;
    struct attrs a = {.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .reflect = below(m, 2)};
    for (int d = 0; d < 2; d++) {
        int64_t size = s->dim[s->rank - 2 + d];
        a.pad[d] = below(m, a.reflect && size < 4 ? (uint32_t)size : 4);
    }
    if (shape_elements(*s) < MOST_ELEMENTS / 4) {
        add(m, OP_pad, x, NULL, a);
    }
}

static void add_unfold(struct maker *m)
{
    struct node *x = any_map(m);
    struct attrs a = window(m);
    if (window_fits(&a, &x->type.shape) && shape_elements(x->type.shape) * a.kernel[0] * a.kernel[1] < MOST_ELEMENTS) {
        add(m, OP_unfold, x, NULL, a);
    }
}

/* Written out, for find_local_conv: kernels that channels c mod G share, of a window that may hang far over. */
static void add_local_conv(struct maker *m)
{
    struct node *x = any_map(m), *sum;
    struct attrs a = window(m);
    int64_t channels = x->type.shape.dim[0], taps = a.kernel[0] * a.kernel[1], kernels = divisor(m, channels);
    if (!window_fits(&a, &x->type.shape) || shape_elements(x->type.shape) * taps >= MOST_ELEMENTS) {
        return;
    }
    struct node *open = add(m, OP_unfold, x, NULL, a);
    struct shape s = open->type.shape, of = {4, {kernels, taps, s.dim[2], s.dim[3]}};
    struct node *weights = loose(m, of);
    if (shape_elements(of) == shape_elements(x->type.shape) && !m->exact && below(m, 2)) {
        weights = reshaped(m, x, of);
    }
    open = reshaped(m, open, (struct shape){5, {channels / kernels, kernels, taps, s.dim[2], s.dim[3]}});
    sum = below(m, 2) ? plain(m, OP_mul, open, weights) : plain(m, OP_mul, weights, open);
    sum = add(m, OP_sum, sum, NULL, (struct attrs){.axis = 2});
    sum = reshaped(m, sum, (struct shape){3, {channels, s.dim[2], s.dim[3]}});
    if (below(m, 2)) {
        plain(m, OP_relu, sum, NULL);
    }
}

static struct node *pointwise(struct maker *m, struct node *x, int64_t out)
{
    return add(m, OP_conv, x, NULL,
               (struct attrs){.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .out = out});
}

/* Weights of a convolution and a group norm, mostly a group a kernel, as contextual transformers have them; then a norm. */
static void add_contextual(struct maker *m)
{
    struct node *x = any_map(m), *weights, *sum;
    struct shape s = x->type.shape;
    int64_t channels = s.dim[0], kernels = divisor(m, channels), taps = below(m, 2) ? 9 : 3;
    struct attrs a = {.kernel = {taps / 3, 3}, .stride = {1, 1}, .dilation = {1, 1}, .pad = {taps / 9, 1}};
    if (m->exact || shape_elements(s) * taps >= MOST_ELEMENTS || channels * channels * taps > MOST_MACS) {
        return;
    }
    weights = pointwise(m, x, kernels * taps);
    struct attrs norm = {.groups = below(m, 4) ? kernels : divisor(m, kernels * taps), .eps = 1e-3};
    weights = add(m, OP_group_norm, weights, NULL, norm);
    weights = reshaped(m, weights, (struct shape){4, {kernels, taps, s.dim[1], s.dim[2]}});
    struct node *open = add(m, OP_unfold, x, NULL, a);
    open = reshaped(m, open, (struct shape){5, {channels / kernels, kernels, taps, s.dim[1], s.dim[2]}});
    sum = add(m, OP_sum, plain(m, OP_mul, open, weights), NULL, (struct attrs){.axis = 2});
    sum = reshaped(m, sum, s);
    if (below(m, 2)) {
        sum = add(m, OP_batch_norm, sum, NULL, (struct attrs){.eps = 1e-5});
        plain(m, below(m, 2) ? OP_silu : OP_relu, sum, NULL);
    }
}

/* Paths, weighted per channel by a softmax over them, which stand one behind the other or channel by channel. */
static void add_paths(struct maker *m)
{
    struct node *x = any_map(m), *path[3], *sum, *out = NULL;
    struct shape s = x->type.shape;
    int64_t c = s.dim[0], n = 2 + below(m, 2), axis = below(m, 2);
    if (m->exact || c * c * shape_elements(s) / c > MOST_MACS || shape_elements(s) > MOST_ELEMENTS) {
        return;
    }
    for (int i = 0; i < n; i++) {
        path[i] = below(m, 4) ? pointwise(m, x, c) : x;
        sum = i ? plain(m, OP_add, sum, path[i]) : path[0];
    }
    if (!below(m, 8)) { /* somebody else reads it */
        plain(m, OP_relu, sum, NULL);
    }
    struct node *gate = pointwise(m, plain(m, OP_global_avg_pool, sum, NULL), n * c);
    struct shape of = {4, {axis ? c : n, axis ? n : c, 1, 1}}, one = {3, {c, 1, 1}};
    gate = add(m, OP_softmax, reshaped(m, gate, of), NULL, (struct attrs){.axis = axis});
    for (int i = 0; i < n; i++) {
        struct node *part = add(m, OP_slice, gate, NULL, (struct attrs){.axis = axis, .start = i, .size = 1});
        part = reshaped(m, part, one);
        part = below(m, 2) ? plain(m, OP_mul, path[i], part) : plain(m, OP_mul, part, path[i]);
        out = i ? plain(m, OP_add, out, part) : part;
    }
    if (below(m, 2)) {
        plain(m, OP_relu, out, NULL);
    }
}

/* Of each channel by itself, the channels last, for find_each_conv: lambda layers. */
static void add_each_conv(struct maker *m)
{
    struct node *x = any_map(m);
    struct shape s = x->type.shape;
    struct attrs a = window(m);
    int64_t kernels = 1 + below(m, 9);
    if (s.dim[0] % 16) {
        x = pointwise(m, x, 16);
        s.dim[0] = 16;
    }
    struct shape kernel = {4, {kernels, 1, a.kernel[0], a.kernel[1]}};
    if (!window_fits(&a, &s) || shape_elements(s) * shape_elements(kernel) > 4 * MOST_MACS ||
        shape_elements(s) * kernels > MOST_ELEMENTS) {
        return;
    }
    struct node *open = reshaped(m, x, (struct shape){4, {s.dim[0], 1, s.dim[1], s.dim[2]}});
    struct node *in[] = {open, loose(m, kernel), below(m, 2) ? loose(m, (struct shape){1, {kernels}}) : NULL};
    struct node *conv = graph_add(m->graph, m->f.diags, OP_convolve, in, in[2] ? 3 : 2, &a, "", NULL, nowhere);
    cr_assert(conv, "%s", fixture_report(&m->f));
    s = conv->type.shape;
    conv = reshaped(m, conv, (struct shape){3, {s.dim[0], s.dim[1], s.dim[2] * s.dim[3]}});
    add(m, OP_permute, conv, NULL, (struct attrs){.shape = {3, {2, 1, 0}}});
}

/* Heads of channels, each position with the window around it, for find_windows: stand-alone attention. */
static void add_windows(struct maker *m)
{
    struct node *x = any_map(m), *y;
    struct attrs a = window(m);
    a.stride[0] = a.stride[1] = below(m, 8) ? 1 : 2;
    int64_t channels = x->type.shape.dim[0], heads = divisor(m, channels), axis = 1 + below(m, 2);
    if (!window_fits(&a, &x->type.shape) ||
        shape_elements(x->type.shape) * a.kernel[0] * a.kernel[1] > MOST_ELEMENTS / 2) {
        return;
    }
    struct shape s = add(m, OP_unfold, x, NULL, a)->type.shape;
    struct shape whole = {4, {heads, channels / heads, s.dim[1], s.dim[2] * s.dim[3]}}, other = whole;
    if (shape_elements(whole) > MOST_ELEMENTS) {
        return;
    }
    other.dim[3 - axis] = 1;
    x = reshaped(m, m->graph->node[m->graph->n_node - 1], whole);
    y = loose(m, other);
    add(m, OP_sum, below(m, 2) ? plain(m, OP_mul, x, y) : plain(m, OP_mul, y, x), NULL, (struct attrs){.axis = axis});
}

static void add_upsample(struct maker *m)
{
    struct node *x = any_map(m);
    struct attrs a = {.bilinear = !m->exact && below(m, 2), .shape = x->type.shape};
    for (int d = 1; d < 3; d++) {
        a.shape.dim[d] = below(m, 3) ? 1 + below(m, 2 * (uint32_t)a.shape.dim[d] + 2) : 2 * a.shape.dim[d];
    }
    if (shape_elements(a.shape) < MOST_ELEMENTS) {
        add(m, OP_upsample, x, NULL, a);
    }
}

static void add_take(struct maker *m)
{
    struct node *x = of_rank(m, 1);
    int64_t rows = x->type.shape.dim[0], inner = shape_elements(x->type.shape) / rows;
    struct shape s = {1, {1 + below(m, 20)}};
    if (below(m, 2) && x->type.shape.rank < 4) {
        s = (struct shape){2, {1 + below(m, 4), 1 + below(m, 4)}};
    }
    if (inner * shape_elements(s) > MOST_ELEMENTS) {
        return;
    }
    double *index = NEW_ARRAY(m->arena, double, shape_elements(s));
    for (int64_t i = 0; i < shape_elements(s); i++) {
        index[i] = (double)below(m, (uint32_t)rows);
    }
    struct node *list = add(m, OP_constant, NULL, NULL, (struct attrs){.shape = s});
    list->value = index;
    plain(m, OP_take, x, list);
}

#endif
