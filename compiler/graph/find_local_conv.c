/* find_local_conv: windows that are laid open, multiplied by weights of each position and summed are a local convolution. Needs
 * absorb_pads, whose borders the window takes; keeps every value but the products, which nobody else may want.
 *
 *   %u f32[64,9,7,5]   = unfold %v {k 3x3 pad 1}
 *   %r f32[8,8,9,7,5]  = reshape %u
 *   %m f32[8,8,9,7,5]  = mul %r, %w                          # %w f32[8,9,7,5]
 *   %s f32[8,8,7,5]    = sum %m {axis 2}
 *   %y f32[64,7,5]     = reshape %s
 *
 *   %y f32[64,7,5]     = local_conv %v, %w {k 3x3 pad 1}
 *
 * out[c, y, x] = sum over t of w[c mod G, t, y, x] * v[c, y * stride + dy(t), x * stride + dx(t)], zero outside (CoTNet: Li et al. 2021;
 * involution: Li et al. 2021). Weights of any number G of kernels that divides the channels in this order, one for all and one a
 * channel among them. What would surprise: blocks of channels that share (c / n) are another operator and stay as they are.
 */
#include "graph/graph.h"

static bool is_bare(const struct node *n, enum op op)
{
    return n->op == op && n->n_epilogue == 0 && n->algorithm == ALGORITHM_NONE;
}

/* Do both end in the same taps, rows and columns? */
static bool same_windows(struct shape a, struct shape b)
{
    for (int i = 1; i <= 3; i++) {
        if (a.rank < 3 || b.rank < 3 || a.dim[a.rank - i] != b.dim[b.rank - i]) {
            return false;
        }
    }
    return true;
}

/* How many kernels weights are that spread from the right over `whole`, [C,..] or [C/G,G,..]; 0: they are not shared by c mod G. */
static int64_t kernels(struct shape whole, struct shape weights)
{
    int64_t lead[2] = {1, 1};
    for (int i = 4; i <= weights.rank && i <= 5; i++) {
        lead[5 - i] = weights.dim[weights.rank - i];
    }
    bool in_a_row = whole.rank == 4 || lead[0] == 1 || lead[1] == whole.dim[1];
    return in_a_row ? lead[0] * lead[1] : 0;
}

bool match_local_conv(const struct node *sum, struct local_conv *found)
{
    const struct node *mul = sum->n_in ? sum->in[0] : NULL;
    if (!is_bare(sum, OP_sum) || !is_bare(mul, OP_mul) || mul->n_in != 2) {
        return false;
    }
    struct shape whole = mul->type.shape;
    for (int k = 0; k < 2 && (whole.rank == 4 || whole.rank == 5) && sum->attrs.axis == whole.rank - 3; k++) {
        const struct node *open = mul->in[k];
        struct node *weights = mul->in[1 - k];
        if (!shape_equal(open->type.shape, whole) || !same_windows(weights->type.shape, whole)) {
            continue;
        }
        open = is_bare(open, OP_reshape) ? open->in[0] : open;
        int64_t count = kernels(whole, weights->type.shape);
        if (is_bare(open, OP_unfold) && same_windows(open->type.shape, whole) && count) {
            *found = (struct local_conv){open->in[0], weights, open, count};
            return true;
        }
    }
    return false;
}

static struct node *add_reshape(struct graph *g, struct pass_context *context, struct node *of, struct shape shape,
                                struct node *at)
{
    struct attrs attrs = {.shape = shape};
    return graph_add_before(g, context->diags, at, OP_reshape, &of, 1, &attrs);
}

/* The sum, and reshapes of it to channels again, are `conv`. */
static bool replace_sum(struct graph *g, struct pass_context *context, struct node *sum, struct node *conv)
{
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *user = g->node[i];
        if (is_bare(user, OP_reshape) && user->in[0] == sum && shape_equal(user->type.shape, conv->type.shape)) {
            graph_replace(g, user, conv);
            user->in[0] = conv;
        }
    }
    struct node *shaped = conv;
    if (!shape_equal(conv->type.shape, sum->type.shape)) {
        shaped = node_uses(g, sum) ? add_reshape(g, context, conv, sum->type.shape, sum) : NULL;
    }
    if (shaped) {
        graph_replace(g, sum, shaped);
    }
    return shaped || !node_uses(g, sum);
}

static bool make_local_conv(struct graph *g, struct pass_context *context, struct node *sum, const struct local_conv *f)
{
    struct shape open = f->unfold->type.shape, shape = {4, {f->kernels, open.dim[1], open.dim[2], open.dim[3]}};
    struct node *weights = f->weights;
    if (!shape_equal(weights->type.shape, shape) && !(weights = add_reshape(g, context, weights, shape, sum))) {
        return false;
    }
    struct node *in[] = {f->values, weights}, *conv;
    conv = graph_add(g, context->diags, OP_local_conv, in, 2, &f->unfold->attrs, sum->path, NULL, sum->origin);
    if (!conv) {
        return false;
    }
    conv->source = sum->source;
    graph_insert_before(g, sum, conv);
    pass_note(context, "find_local_conv: %s is a local convolution %lldx%lld of %lld channels, %lld share a kernel",
              conv->name, (long long)conv->attrs.kernel[0], (long long)conv->attrs.kernel[1], (long long)open.dim[0],
              (long long)(open.dim[0] / f->kernels));
    return replace_sum(g, context, sum, conv);
}

bool find_local_conv(struct graph *g, struct pass_context *context)
{
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *sum = g->node[i];
        struct local_conv found;
        if (match_local_conv(sum, &found) && node_uses(g, sum->in[0]) == 1) {
            if (!make_local_conv(g, context, sum, &found)) {
                return false;
            }
            i = (size_t)sum->id; /* what was made stands before it */
        }
    }
    graph_remove_dead(g);
    return true;
}
