/* find_windows: products of windows that are laid open, summed over channels or over the window, without laying them open. Needs
 * find_local_conv, which takes the sums that are convolutions; keeps every value but those that disappear.
 *
 *   %u f32[64,9,7,5]   = unfold %x {k 3x3 pad 1}
 *   %r f32[8,8,9,35]   = reshape %u                          # heads, channels a head, taps, positions
 *   %m f32[8,8,9,35]   = mul %r, %q                          # %q f32[8,8,1,35]
 *   %s f32[8,9,35]     = sum %m {axis 1}
 *
 *   %p f32[64,9,7]     = pad %x {pad 1}
 *   %q2 f32[64,7,5]    = reshape %q
 *   %d f32[8,9,7,5]    = window_dot %p, %q2 {k 3x3 groups 8}
 *   %s f32[8,9,35]     = reshape %d
 *
 * and with %q f32[8,1,9,35] and the sum over axis 2 a window_mix f32[64,7,5]: how a position's query meets the keys around it, and the
 * mean of the values there (Ramachandran et al. 2019, equation 3). A window of 7 x 7 laid open is 49 times the map. What would surprise:
 * only windows without a stride, whose positions are as many as the map's with its border has.
 */
#include "graph/graph.h"

static bool is_only_for(const struct graph *g, const struct node *n, enum op op)
{
    return n->op == op && n->n_epilogue == 0 && node_uses(g, n) == 1;
}

struct windows {
    struct node *unfold, *factor;
    bool dot;
};

/* Is `other` spread over the axis that the sum does not take? */
static bool is_spread(const struct shape *other, const struct shape *whole, bool dot)
{
    struct shape wanted = *whole;
    wanted.dim[dot ? 2 : 1] = 1;
    return shape_equal(*other, wanted);
}

static bool match(const struct graph *g, const struct node *sum, struct windows *w)
{
    const struct node *mul = sum->op == OP_sum && sum->n_epilogue == 0 ? sum->in[0] : NULL;
    int64_t axis = sum->attrs.axis;
    if (!mul || !is_only_for(g, mul, OP_mul) || mul->type.shape.rank != 4 || (axis != 1 && axis != 2)) {
        return false;
    }
    for (int k = 0; k < 2; k++) {
        struct node *shaped = mul->in[k], *unfold = is_only_for(g, shaped, OP_reshape) ? shaped->in[0] : NULL;
        if (!unfold || !is_only_for(g, unfold, OP_unfold) || unfold->attrs.stride[0] * unfold->attrs.stride[1] != 1) {
            continue;
        }
        struct shape open = unfold->type.shape, *whole = &shaped->type.shape;
        bool fits = shape_equal(*whole, mul->type.shape) && whole->dim[0] * whole->dim[1] == open.dim[0] &&
                    whole->dim[2] == open.dim[1] && whole->dim[3] == open.dim[2] * open.dim[3];
        if (fits && is_spread(&mul->in[1 - k]->type.shape, whole, axis == 1)) {
            *w = (struct windows){unfold, mul->in[1 - k], axis == 1};
            return true;
        }
    }
    return false;
}

static bool replace(struct graph *g, struct pass_context *context, struct node *sum, const struct windows *w)
{
    struct attrs a = w->unfold->attrs, border = {.pad = {a.pad[0], a.pad[1]}};
    struct shape whole = sum->in[0]->type.shape, open = w->unfold->type.shape;
    struct node *in[2] = {w->unfold->in[0], w->factor};
    struct attrs rows = {.shape = {4, {whole.dim[0], open.dim[1], open.dim[2], open.dim[3]}}},
                 map = {.shape = {3, {open.dim[0], open.dim[2], open.dim[3]}}}, back = {.shape = sum->type.shape};
    struct attrs attrs = {.kernel = {a.kernel[0], a.kernel[1]},
                          .stride = {1, 1},
                          .dilation = {a.dilation[0], a.dilation[1]},
                          .groups = whole.dim[0]};
    if (a.pad[0] || a.pad[1]) {
        in[0] = graph_add_before(g, context->diags, sum, OP_pad, in, 1, &border);
    }
    in[1] = in[0] ? graph_add_before(g, context->diags, sum, OP_reshape, in + 1, 1, w->dot ? &map : &rows) : NULL;
    struct node *made =
        in[1] ? graph_add_before(g, context->diags, sum, w->dot ? OP_window_dot : OP_window_mix, in, 2, &attrs) : NULL;
    struct node *shaped = made ? graph_add_before(g, context->diags, sum, OP_reshape, &made, 1, &back) : NULL;
    if (shaped) {
        graph_replace(g, sum, shaped);
        pass_note(context, "find_windows: %s takes windows %lldx%lld of %lld channels as they lie", made->name,
                  (long long)a.kernel[0], (long long)a.kernel[1], (long long)open.dim[0]);
    }
    return shaped != NULL;
}

bool find_windows(struct graph *g, struct pass_context *context)
{
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *sum = g->node[i];
        struct windows w;
        if (match(g, sum, &w) && !replace(g, context, sum, &w)) {
            return false;
        }
        i = (size_t)sum->id;
    }
    graph_remove_dead(g);
    return true;
}
