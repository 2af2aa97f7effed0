/* absorb_pads: a border of zeros becomes the padding of what reads it, which costs nothing there. Needs bind_kernels, which makes
 * more of such readers; keeps every value but the borders that nobody reads any more.
 *
 *   %p f32[8,10,10] = pad %x {pad 1}
 *   %y f32[4,10,10] = conv %p, @y.weight {k 3x3 pad 1}
 *
 *   %y f32[4,10,10] = conv %x, @y.weight {k 3x3 pad 2}
 *
 * Convolutions, windows laid open, and averages that divide by all cells of the window read zeros; a maximum reads minus infinity.
 * Padding wider than a window's reach stays a node: no layout has such a border. A pad by nothing goes in any case.
 */
#include "graph/graph.h"

static bool is_zeros(const struct node *n)
{
    return n->op == OP_pad && n->n_epilogue == 0 && !n->attrs.reflect;
}

/* Do its divisors stay? With all cells counted, or without any padding of its own, as long as no window hangs over. */
static bool averages_zeros(const struct node *n)
{
    const struct attrs *a = &n->attrs;
    return n->op == OP_avg_pool && !a->ceil && (a->count_pad || a->pad[0] + a->pad[1] == 0);
}

static bool can_absorb(const struct node *n, const struct node *pad)
{
    bool window = n->op == OP_conv || n->op == OP_convolve || n->op == OP_unfold;
    if (!is_zeros(pad) || !(window || averages_zeros(n))) {
        return false;
    }
    for (int d = 0; d < 2; d++) {
        int64_t most = window ? n->attrs.dilation[d] * (n->attrs.kernel[d] - 1) : n->attrs.kernel[d] / 2;
        if (pad->attrs.pad[d] && n->attrs.pad[d] + pad->attrs.pad[d] > most) {
            return false;
        }
    }
    return true;
}

bool absorb_pads(struct graph *g, struct pass_context *context)
{
    (void)context;
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *n = g->node[i];
        if (is_zeros(n) && n->attrs.pad[0] + n->attrs.pad[1] == 0) {
            graph_replace(g, n, n->in[0]);
        }
        while (n->n_in && can_absorb(n, n->in[0])) {
            const struct node *pad = n->in[0];
            n->attrs.pad[0] += pad->attrs.pad[0];
            n->attrs.pad[1] += pad->attrs.pad[1];
            n->attrs.count_pad = n->op == OP_avg_pool;
            n->in[0] = pad->in[0];
        }
    }
    graph_remove_dead(g);
    return true;
}
