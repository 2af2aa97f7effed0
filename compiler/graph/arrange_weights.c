/* arrange_weights: the weights of a local convolution in the order of lanes, so that a vector of channels multiplies a vector of
 * weights. Needs find_local_conv; keeps every value.
 *
 *   %y f32[64,7,5] = local_conv %v, %w {k 3x3 pad 1}         # %w f32[8,9,7,5]
 *
 *   %rows f32[72,7,5]  = reshape %w
 *   %i f32[144]        = constant [0, 9, 18, 27, ...]
 *   %t f32[144,7,5]    = take %rows, %i
 *   %y f32[64,7,5]     = local_conv %v, %t {k 3x3 pad 1}
 *
 * The channels of a block of 16 use kernels c mod G, and the blocks repeat after lcm(G, 16) channels: so many kernels are written out,
 * `%t` has channel (block * taps + tap) * 16 + lane for kernel (16 * block + lane) mod G. Lanes behind the last channel take some kernel.
 * What would surprise: where G < 16 they are more numbers than before (CoTNet's first stage: twice), which is far less than the windows
 * were; and it runs when all else is done, so that it does not stand in the way of other passes.
 */
#include "graph/graph.h"

enum { BLOCK = 16 };

/* Blocks of weights of C channels and G kernels: as few as repeat. */
static int64_t weight_blocks(int64_t channels, int64_t kernels)
{
    int64_t blocks = (channels + BLOCK - 1) / BLOCK, period = 1;
    while (period < blocks && period * BLOCK % kernels) {
        period++;
    }
    return blocks % period ? blocks : period;
}

static struct node *arranged(struct graph *g, struct pass_context *context, struct node *conv)
{
    struct node *weights = conv->in[1], *rows, *in[2];
    struct shape w = weights->type.shape, flat = {3, {w.dim[0] * w.dim[1], w.dim[2], w.dim[3]}};
    int64_t taps = w.dim[1], n = weight_blocks(conv->type.shape.dim[0], w.dim[0]) * taps * BLOCK;
    struct attrs to_rows = {.shape = flat}, list = {.shape = {1, {n}}};
    double *index = NEW_ARRAY(g->arena, double, n);
    for (int64_t i = 0; i < n; i++) {
        int64_t lane = i % BLOCK, tap = i / BLOCK % taps, block = i / BLOCK / taps;
        index[i] = (double)((block * BLOCK + lane) % w.dim[0] * taps + tap);
    }
    rows = graph_add(g, context->diags, OP_reshape, &weights, 1, &to_rows, conv->path, NULL, conv->origin);
    in[0] = rows;
    in[1] = graph_add(g, context->diags, OP_constant, NULL, 0, &list, conv->path, NULL, conv->origin);
    if (!rows || !in[1]) {
        return NULL;
    }
    in[1]->value = index;
    struct node *take =
        graph_add(g, context->diags, OP_take, in, 2, &(struct attrs){0}, conv->path, NULL, conv->origin);
    if (take) {
        graph_insert_before(g, conv, rows);
        graph_insert_before(g, conv, in[1]);
        graph_insert_before(g, conv, take);
        rows->source = in[1]->source = take->source = conv->source;
    }
    return take;
}

/* Would they still be a value? */
static bool fits(const struct node *conv)
{
    struct shape w = conv->in[1]->type.shape;
    int64_t blocks = weight_blocks(conv->type.shape.dim[0], w.dim[0]);
    return blocks * BLOCK <= INT32_MAX / (w.dim[1] * w.dim[2] * w.dim[3]);
}

bool arrange_weights(struct graph *g, struct pass_context *context)
{
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *conv = g->node[i];
        if (conv->op == OP_local_conv && conv->in[1]->type.shape.rank == 4 && fits(conv)) {
            if (!(conv->in[1] = arranged(g, context, conv))) {
                return false;
            }
            i = (size_t)conv->id;
        }
    }
    graph_remove_dead(g);
    return true;
}
