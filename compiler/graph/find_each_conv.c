/* find_each_conv: one set of kernels for every channel by itself, the channels last. Keeps every value but the convolution, which nobody
 * else may want.
 *
 *   %r f32[64,1,7,5]  = reshape %v                               # %v f32[64,7,5]
 *   %c f32[64,16,7,5] = convolve %r, %w, %b {k 3x3 pad 1}        # %w f32[16,1,3,3]
 *   %s f32[64,16,35]  = reshape %c
 *   %y f32[35,16,64]  = permute %s {axes [2,1,0]}
 *
 *   %e f32[7,5,16,64] = each_conv %v, %w, %b {k 3x3 pad 1}
 *   %y f32[35,16,64]  = reshape %e
 *
 * What lies around each position, as lambda layers want it (Bello 2021): channels are lanes on the way in and on the way out, and a number
 * of a kernel serves all of them. What would surprise: only whole blocks of channels are taken; the rest stays as it is.
 */
#include "graph/graph.h"

enum { BLOCK = 16 };

static bool is_inside(const struct graph *g, const struct node *n, enum op op)
{
    return n->op == op && n->n_epilogue == 0 && node_uses(g, n) == 1;
}

/* The convolution that `turned` shows with its channels last; NULL: it does not. */
static struct node *match(const struct graph *g, const struct node *turned)
{
    const struct shape *axes = &turned->attrs.shape;
    if (turned->op != OP_permute || axes->rank != 3 || axes->dim[0] != 2 || axes->dim[1] != 1) {
        return NULL;
    }
    struct node *shaped = turned->in[0], *conv = is_inside(g, shaped, OP_reshape) ? shaped->in[0] : NULL;
    if (!conv || !is_inside(g, conv, OP_convolve) || conv->type.shape.rank != 4 || conv->attrs.groups != 1) {
        return NULL;
    }
    const struct node *open = conv->in[0];
    struct shape in = open->type.shape, s = conv->type.shape, rows = {3, {s.dim[0], s.dim[1], s.dim[2] * s.dim[3]}};
    bool fits = open->op == OP_reshape && open->n_epilogue == 0 && in.dim[1] == 1 && in.dim[0] % BLOCK == 0 &&
                shape_equal(open->in[0]->type.shape, (struct shape){3, {in.dim[0], in.dim[2], in.dim[3]}}) &&
                shape_equal(shaped->type.shape, rows);
    return fits ? conv : NULL;
}

static bool replace(struct graph *g, struct pass_context *context, struct node *turned, struct node *conv)
{
    struct node *in[] = {conv->in[0]->in[0], conv->in[1], conv->n_in > 2 ? conv->in[2] : NULL};
    struct node *each =
        graph_add(g, context->diags, OP_each_conv, in, conv->n_in, &conv->attrs, conv->path, NULL, conv->origin);
    struct attrs attrs = {.shape = turned->type.shape};
    struct node *shaped =
        each ? graph_add(g, context->diags, OP_reshape, &each, 1, &attrs, turned->path, NULL, turned->origin) : NULL;
    if (!shaped) {
        return false;
    }
    each->source = conv->source;
    shaped->source = turned->source;
    graph_insert_before(g, turned, each);
    graph_insert_before(g, turned, shaped);
    graph_replace(g, turned, shaped);
    pass_note(context, "find_each_conv: %s is a convolution of each of %lld channels by itself", each->name,
              (long long)each->in[0]->type.shape.dim[0]);
    return true;
}

bool find_each_conv(struct graph *g, struct pass_context *context)
{
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *turned = g->node[i], *conv = match(g, turned);
        if (conv && !replace(g, context, turned, conv)) {
            return false;
        }
        i = (size_t)turned->id;
    }
    graph_remove_dead(g);
    return true;
}
