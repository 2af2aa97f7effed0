/* arrange_weights: channels in the order in which kernels want their lanes, where parameters can be packed so. Needs split_group_norm;
 * keeps every value.
 *
 * The weights of a local convolution, so that a vector of channels multiplies a vector of weights:
 *
 *   %y f32[64,7,5] = local_conv %v, %w {k 3x3 pad 1}         # %w f32[8,9,7,5]
 *
 *   %rows f32[72,7,5]  = reshape %w
 *   %i f32[72]         = constant [0, 9, 18, 27, ...]
 *   %t f32[72,7,5]     = take %rows, %i
 *   %y f32[64,7,5]     = local_conv %v, %t {k 3x3 pad 1}
 *
 * Of few kernels, G a part of 16, those of a tap stand one behind the other, `%t` has channel tap * G + kernel, and a vector repeats them.
 * Else the channels of a block of 16 use kernels c mod G, and the blocks repeat after lcm(G, 16) channels: so many kernels are written out,
 * `%t` has channel (block * taps + tap) * 16 + lane for kernel (16 * block + lane) mod G. Lanes behind the last channel take some kernel.
 *
 * Where the weights come out of a convolution through a group norm of a group a kernel, as CoTNet's do, nothing is taken at run time:
 *
 *   %c f32[72,7,5]     = conv %x, @w, @b {k 1x1}
 *   %m f32[144,1,1]    = moments %c
 *   %s f32[144,1,1]    = group_scale %m, @g, @h {groups 8 interleave 1 eps 1e-05}
 *   %w f32[8,9,7,5]    = reshape (rescale %c, %s)
 *
 *   param @w2 f32[72,32,1,1] = take @w, @i
 *   %c f32[72,7,5]     = conv %x, @w2, @b2 {k 1x1}
 *   %m f32[144,1,1]    = moments %c
 *   %s f32[144,1,1]    = group_scale %m, @g2, @h2 {groups 8 interleave 8 eps 1e-05}
 *   %y f32[64,7,5]     = local_conv %v, %c, %s {k 3x3 pad 1}      # which rescales a vector of weights as it loads it
 *
 * A softmax over pairs that stand channel by channel, [C,2,1,1], as one over two rows of channels: the rows of the convolution before it
 * are packed in that order.
 *
 * What would surprise: it runs when all else is done, so that it does not stand in the way of other passes.
 */
#include "graph/graph.h"

#include <string.h>

enum { BLOCK = 16 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Blocks of weights of C channels and G kernels: as few as repeat. */
static int64_t weight_blocks(int64_t channels, int64_t kernels)
{
    int64_t blocks = (channels + BLOCK - 1) / BLOCK, period = 1;
    while (period < blocks && period * BLOCK % kernels) {
        period++;
    }
    return blocks % period ? blocks : period;
}

/* Kernels that a vector repeats without a rest: they are written once, kernel after kernel of a tap. Code is made for each tap then. */
static bool is_compact(int64_t kernels, int64_t of_each)
{
    enum { MOST_TAPS = 9 };
    return kernels < BLOCK && BLOCK % kernels == 0 && of_each <= MOST_TAPS;
}

/* ---- order ---- */

struct order { /* row i shows row[i] */
    const double *row;
    int64_t n;
    struct param *list; /* the numbers, once they were asked for */
};

static struct order order_of_weights(struct graph *g, const struct node *conv)
{
    struct shape w = conv->in[1]->type.shape;
    int64_t taps = w.dim[1], kernels = w.dim[0];
    int64_t n =
        is_compact(kernels, taps) ? taps * kernels : weight_blocks(conv->type.shape.dim[0], kernels) * taps * BLOCK;
    double *row = NEW_ARRAY(g->arena, double, n);
    for (int64_t i = 0; i < n && is_compact(kernels, taps); i++) {
        row[i] = (double)(i % kernels * taps + i / kernels);
    }
    for (int64_t i = 0; i < n && !is_compact(kernels, taps); i++) {
        int64_t lane = i % BLOCK, tap = i / BLOCK % taps, block = i / BLOCK / taps;
        row[i] = (double)((block * BLOCK + lane) % w.dim[0] * taps + tap);
    }
    return (struct order){row, n, NULL};
}

static const char *free_name(struct graph *g, const char *name)
{
    while (graph_find_param(g, name)) {
        name = intern_printf("%s_", name);
    }
    return name;
}

static struct param *taken(struct graph *g, struct param *from, struct order *order)
{
    if (!from) {
        return NULL;
    }
    struct shape shape = from->shape, list = {1, {order->n}};
    shape.dim[0] = order->n;
    if (!order->list) {
        const char *name = free_name(g, intern_printf("%s.order", from->name));
        order->list = graph_derived(g, name, list, PARAM_CONSTANT, NULL, 0, 0);
        order->list->value = order->row;
    }
    struct param *source[2] = {from, order->list};
    return graph_derived(g, free_name(g, intern_printf("%s.arranged", from->name)), shape, PARAM_TAKE, source, 2, 0);
}

/* ---- weights of local convolutions ---- */

static struct node *take_weights(struct graph *g, struct pass_context *context, struct node *conv)
{
    struct order order = order_of_weights(g, conv);
    struct shape w = conv->in[1]->type.shape;
    struct attrs to_rows = {.shape = {3, {w.dim[0] * w.dim[1], w.dim[2], w.dim[3]}}}, list = {.shape = {1, {order.n}}};
    struct node *in[2];
    in[0] = graph_add_before(g, context->diags, conv, OP_reshape, &conv->in[1], 1, &to_rows);
    in[1] = graph_add_before(g, context->diags, conv, OP_constant, NULL, 0, &list);
    if (!in[0] || !in[1]) {
        return NULL;
    }
    in[1]->value = order.row;
    return graph_add_before(g, context->diags, conv, OP_take, in, 2, &(struct attrs){0});
}

struct made_by { /* weights: rescale of a convolution by its own moments */
    struct node *conv, *moments, *scale;
};

static bool is_only_for(const struct graph *g, const struct node *n, enum op op, int uses)
{
    return n->op == op && n->n_epilogue == 0 && node_uses(g, n) == uses;
}

/* A group a kernel: then all taps of a kernel, and only those, are normed together, in whatever order they stand. */
static bool match_made_by(const struct graph *g, const struct node *local, struct made_by *m)
{
    const struct node *w = local->in[1];
    int64_t kernels = w->type.shape.dim[0], taps = w->type.shape.dim[1];
    while (is_only_for(g, w, OP_reshape, 1)) {
        w = w->in[0];
    }
    if (!is_only_for(g, w, OP_rescale, 1) || w->type.shape.rank != 3) {
        return false;
    }
    *m = (struct made_by){.conv = w->in[0], .scale = w->in[1]};
    if (!is_only_for(g, m->conv, OP_conv, 2) || m->conv->attrs.groups != 1 ||
        !is_only_for(g, m->scale, OP_group_scale, 1)) {
        return false;
    }
    m->moments = m->scale->in[0];
    return is_only_for(g, m->moments, OP_moments, 1) && m->moments->in[0] == m->conv &&
           m->scale->attrs.groups == kernels && m->scale->attrs.interleave == 1 &&
           (is_compact(kernels, taps) || weight_blocks(local->type.shape.dim[0], kernels) * BLOCK % kernels == 0);
    /* the latter: each as often as the others */
}

/* The three in another order, and more of them; then `local` reads the convolution itself. */
static bool pack_weights(struct graph *g, struct pass_context *context, struct node *local, const struct made_by *m)
{
    struct order order = order_of_weights(g, local);
    int64_t taps = local->in[1]->type.shape.dim[1];
    struct attrs conv = m->conv->attrs, scale = m->scale->attrs;
    conv.out = order.n;
    scale.groups = order.n / taps;
    scale.interleave = least(scale.groups, BLOCK);
    struct node *c = graph_add_before(g, context->diags, m->conv, OP_conv, m->conv->in, 1, &conv);
    struct node *moments =
        c ? graph_add_before(g, context->diags, m->scale, OP_moments, &c, 1, &(struct attrs){0}) : NULL;
    struct node *s =
        moments ? graph_add_before(g, context->diags, m->scale, OP_group_scale, &moments, 1, &scale) : NULL;
    if (!s) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        c->param[i] = taken(g, m->conv->param[i], &order);
        s->param[i] = taken(g, m->scale->param[i], &order);
    }
    c->source = m->conv->source;
    struct node **in = NEW_ARRAY(g->arena, struct node *, 3);
    in[0] = local->in[0];
    in[1] = c;
    in[2] = s;
    local->in = in;
    local->n_in = 3;
    return true;
}

/* Would they still be a value? */
static bool fits(const struct node *conv)
{
    struct shape w = conv->in[1]->type.shape;
    int64_t blocks = weight_blocks(conv->type.shape.dim[0], w.dim[0]);
    return blocks * BLOCK <= INT32_MAX / (w.dim[1] * w.dim[2] * w.dim[3]);
}

static bool arrange_local(struct graph *g, struct pass_context *context, struct node *conv)
{
    struct made_by m;
    if (match_made_by(g, conv, &m)) {
        return pack_weights(g, context, conv, &m);
    }
    return (conv->in[1] = take_weights(g, context, conv)) != NULL;
}

/* ---- softmax over pairs ---- */

/* softmax over axis 1 of [C,R,1,..] that a convolution of one position makes, of which everybody wants one of R. */
static bool match_pairs(const struct graph *g, const struct node *soft)
{
    const struct node *shaped = soft->in[0], *conv = shaped->n_in ? shaped->in[0] : NULL;
    struct shape s = soft->type.shape;
    if (soft->attrs.axis != 1 || soft->n_epilogue || s.dim[1] == 1 || shape_elements(s) != s.dim[0] * s.dim[1] ||
        !is_only_for(g, shaped, OP_reshape, 1) || !is_only_for(g, conv, OP_conv, 1) || conv->attrs.groups != 1 ||
        conv->type.shape.rank != 3 || conv->type.shape.dim[0] != s.dim[0] * s.dim[1]) {
        return false;
    }
    int slices = 0;
    for (size_t i = 0; i < g->n_node; i++) {
        const struct node *user = g->node[i];
        bool piece = user->op == OP_slice && user->in[0] == soft && user->attrs.axis == 1 && user->attrs.size == 1;
        slices += piece && user->n_epilogue == 0;
    }
    return slices == node_uses(g, soft);
}

static bool retype(struct pass_context *context, struct node *n)
{
    return infer_type(context->diags, n);
}

static bool arrange_pairs(struct graph *g, struct pass_context *context, struct node *soft)
{
    struct node *shaped = soft->in[0], *conv = shaped->in[0];
    int64_t channels = soft->type.shape.dim[0], each = soft->type.shape.dim[1];
    double *row = NEW_ARRAY(g->arena, double, channels *each);
    for (int64_t i = 0; i < channels * each; i++) {
        row[i] = (double)(i % channels * each + i / channels);
    }
    struct order order = {row, channels * each, NULL};
    for (int i = 0; i < 2; i++) {
        conv->param[i] = taken(g, conv->param[i], &order);
    }
    shaped->attrs.shape.dim[0] = each;
    shaped->attrs.shape.dim[1] = channels;
    soft->attrs.axis = 0;
    bool good = retype(context, shaped) && retype(context, soft);
    for (size_t i = (size_t)soft->id + 1; good && i < g->n_node; i++) {
        struct node *piece = g->node[i];
        if (piece->op != OP_slice || piece->in[0] != soft || piece->attrs.axis != 1) {
            continue;
        }
        struct attrs as_before = {.shape = piece->type.shape};
        piece->attrs.axis = 0;
        good = retype(context, piece);
        struct node *back =
            good ? graph_add(g, context->diags, OP_reshape, &piece, 1, &as_before, piece->path, NULL, piece->origin)
                 : NULL;
        good = back != NULL;
        if (good) {
            back->source = piece->source;
            graph_replace(g, piece, back);
            back->in[0] = piece;
            graph_insert_before(g, g->node[piece->id + 1], back);
        }
    }
    return good;
}

bool arrange_weights(struct graph *g, struct pass_context *context)
{
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *n = g->node[i];
        bool good = true;
        if (n->op == OP_local_conv && n->in[1]->type.shape.rank == 4 && fits(n)) {
            good = arrange_local(g, context, n);
        } else if (n->op == OP_softmax && n->type.shape.rank > 1 && match_pairs(g, n)) {
            good = arrange_pairs(g, context, n);
        }
        if (!good) {
            return false;
        }
        i = (size_t)n->id;
    }
    graph_remove_dead(g);
    return true;
}
