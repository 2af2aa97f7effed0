/* choose_algorithm: which lowering computes each node. Needs fuse_epilogues; keeps every value.
 *
 *   %t2 f32[128,56,56] = conv %t1, @conv2.w, @conv2.b {k 3x3 pad 1 groups 32} | relu
 *   %t2 f32[128,56,56] = conv %t1, @conv2.w, @conv2.b {k 3x3 pad 1 groups 32} | relu   {spread}
 *   %t3 f32[64,56,56]  = conv %t2, @conv3.w, @conv3.b {k 3x3 pad 1}                    {winograd}
 *
 * The choice depends on shapes only, never on the target: a program for several processors shares one packed blob.
 * What no blocked lowering takes (permutations, odd concatenations, tensors of other ranks) falls back to `generic`, which
 * works on plain row-major values; choose_layout puts the conversions around it.
 */
#include "graph/winograd.h"

enum { BLOCK = 16 };

static bool power_of_two(int64_t n)
{
    return n > 0 && (n & (n - 1)) == 0;
}

/* Channels that start a new block every `unit` channels: free for multiples of a block; below half a block too many lanes idle. */
static bool unit_fits(int64_t unit)
{
    return unit % BLOCK == 0 || unit >= BLOCK / 2;
}

/* A grouped convolution whose groups are narrower than a block, as many a vector as fit; at least two, as one alone is faster as a
 * layer of its own (13 channels: 1.3 times on AVX-512, 2.6 times on AVX2). Where a group has more outputs than inputs, a block of
 * outputs reads a part of a block of inputs, and whole blocks must come out. */
static bool can_spread(const struct node *n)
{
    int64_t in = n->in[0]->type.shape.dim[0] / n->attrs.groups, out = n->type.shape.dim[0] / n->attrs.groups;
    if (in > BLOCK / 2 || out >= BLOCK || in > out)
        return false;
    return in == out || (power_of_two(in) && power_of_two(out) && n->type.shape.dim[0] % (BLOCK * out / in) == 0);
}

static enum algorithm for_conv(const struct node *n, const struct pass_context *c)
{
    if (winograd_size(n, c))
        return ALGORITHM_winograd;
    return n->attrs.groups > 1 && can_spread(n) ? ALGORITHM_spread : ALGORITHM_direct;
}

/* A map reads blocks of [C,H,W]; the other operand is of the same shape, or a gate [C,1,1], or one number. */
static bool map_operand(const struct node *n, const struct node *operand)
{
    struct shape whole = n->type.shape, part = operand->type.shape;
    if (node_is_number(operand))
        return true;
    if (part.rank != 3 || part.dim[0] != whole.dim[0])
        return false;
    return shape_equal(part, whole) || (part.dim[1] == 1 && part.dim[2] == 1);
}

/* Made as plain rows, by a node that has its algorithm already. */
static bool is_plain(const struct node *v)
{
    if (v->op == OP_reshape)
        return true;
    return v->algorithm == ALGORITHM_generic || v->op == OP_constant || v->op == OP_parameter;
}

/* Does all that has the result's shape come as plain rows? What attention does to its scores is no map of channels. Numbers of channels
 * lie in the same order either way, and mostly go on to maps. */
static bool is_of_plain(const struct node *n)
{
    bool any = false;
    if (n->type.shape.dim[1] * n->type.shape.dim[2] == 1)
        return false;
    for (int i = 0; i < n->n_in + n->n_epilogue; i++) {
        const struct node *v = i < n->n_in ? n->in[i] : n->epilogue[i - n->n_in].operand;
        if (v && shape_equal(v->type.shape, n->type.shape)) {
            if (!is_plain(v))
                return false;
            any = true;
        }
    }
    return any;
}

static enum algorithm for_elementwise(const struct node *n)
{
    if (n->type.shape.rank != 3 || is_of_plain(n))
        return ALGORITHM_generic;
    for (int i = 0; i < n->n_in; i++)
        if (!map_operand(n, n->in[i]))
            return ALGORITHM_generic;
    return ALGORITHM_map;
}

/* slice, concat: pieces that begin at blocks need no copy. */
static enum algorithm for_pieces(const struct node *n)
{
    bool channels = n->type.shape.rank == 3 && n->attrs.axis == 0;
    return channels && unit_fits(node_unit(n)) ? ALGORITHM_view : ALGORITHM_generic;
}

/* [C,1,1] in blocks and [C] plain are the same bytes; all other reshapes need row-major values first, and are free then. */
static enum algorithm for_node(const struct node *n, const struct pass_context *c)
{
    switch (n->op) {
    case OP_input:
    case OP_constant:
    case OP_parameter: return ALGORITHM_NONE;
    case OP_conv: return n->type.shape.rank == 3 ? for_conv(n, c) : ALGORITHM_generic;
    case OP_linear: return n->type.shape.rank == 1 ? ALGORITHM_direct : ALGORITHM_generic;
    case OP_batch_norm:
    case OP_scale_shift: return n->type.shape.rank == 3 ? ALGORITHM_map : ALGORITHM_generic;
    case OP_local_conv: return n->in[1]->type.shape.rank == 3 ? ALGORITHM_local : ALGORITHM_generic;
    case OP_max_pool:
    case OP_avg_pool: return ALGORITHM_pool;
    case OP_global_avg_pool: return ALGORITHM_global_pool;
    case OP_each_conv: return ALGORITHM_each;
    case OP_moments: return ALGORITHM_moments;
    case OP_group_scale: return ALGORITHM_group_scale;
    case OP_rescale:
    case OP_gated_sum: return ALGORITHM_map;
    case OP_reshape: return ALGORITHM_view;
    case OP_slice:
    case OP_concat: return for_pieces(n);
    case OP_convert: return ALGORITHM_convert;
    default: return op_info(n->op)->elementwise ? for_elementwise(n) : ALGORITHM_generic;
    }
}

bool choose_algorithm(struct graph *g, struct pass_context *c)
{
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *n = g->node[i];
        n->algorithm = for_node(n, c);
    }
    return true;
}
