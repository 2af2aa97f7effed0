/* Element by element over blocks: sums, gates, sums of gated values, activations, norms that no convolution absorbed. An operand is of
 * the result's shape, or a gate [C,1,1], or one number; or, of rescale, two numbers a channel. */
#include "lower/lower.h"

struct map {
    struct buffer *in[MAX_BUFFERS], *scale, *shift;
};

/* The buffer of input i: the result itself where it is computed in place. */
static struct buffer *input_buffer(struct lowering *l, const struct map *m, int i)
{
    const struct node *n = l->node, *v = n->in[i];
    const char *name = arena_printf(l->build.arena, "x%d", i);
    if (node_is_number(v))
        return NULL;
    for (int k = 0; k < i; k++)
        if (n->in[k] == v)
            return m->in[k]; /* x + x: one buffer */
    return n->op == OP_rescale && i == 1 ? use_halves(l, DIR_IN, name, v) : use_value(l, DIR_IN, name, v);
}

static bool in_place(const struct node *n, const struct node *v)
{
    return v->storage == n->storage && v->lead == n->lead && shape_equal(v->type.shape, n->type.shape);
}

static void use_buffers(struct lowering *l, struct map *m)
{
    struct node *n = l->node;
    bool takes_over = false;
    for (int i = 0; i < n->n_in; i++) {
        if (in_place(n, n->in[i]))
            takes_over = true;
        else
            m->in[i] = input_buffer(l, m, i);
    }
    if (n->op == OP_scale_shift) {
        int64_t elements = layout_blocks(n->type) * BLOCK;
        m->scale = use_weights(
            l, "w", (struct pack){.param = n->param[0], .kind = PACK_VECTOR, .out = n->type.layout, .groups = 1}, 1,
            &elements);
        m->shift = use_weights(
            l, "b", (struct pack){.param = n->param[1], .kind = PACK_VECTOR, .out = n->type.layout, .groups = 1}, 1,
            &elements);
    }
    use_result(l);
    if (takes_over)
        l->out->dir = DIR_INOUT;
    for (int i = 0; i < n->n_in; i++)
        if (in_place(n, n->in[i]))
            m->in[i] = l->out;
}

static struct expr *value_of(struct lowering *l, struct map *m, int i, struct affine block, struct affine y,
                             struct affine x, struct affine lane)
{
    const struct node *v = l->node->in[i];
    if (node_is_number(v))
        return expr_const(&l->build, l->lanes, v->value[0]);
    struct buffer *b = m->in[i];
    bool whole = shape_equal(v->type.shape, l->node->type.shape);
    int halo = v->type.layout.halo;
    struct affine oy = affine_plus(whole ? y : l->zero, halo), ox = affine_plus(whole ? x : l->zero, halo);
    return expr_load(&l->build, l->lanes, at(b, block, oy, ox, lane));
}

static struct expr *rescaled(struct lowering *l, struct map *m, struct expr *x, struct affine channel)
{
    struct builder *u = &l->build;
    struct expr *scale = expr_load(u, l->lanes, at(m->in[1], l->zero, channel));
    return expr_op(u, VOP_fma, x, scale, expr_load(u, l->lanes, at(m->in[1], affine_const(1), channel)));
}

static struct expr *combine(struct lowering *l, struct map *m, struct expr *a, struct expr *b, struct affine channel)
{
    struct builder *u = &l->build;
    switch (l->node->op) {
    case OP_relu: return expr_op(u, VOP_relu, a, NULL, NULL);
    case OP_sigmoid: return expr_op(u, VOP_sigmoid, a, NULL, NULL);
    case OP_silu: return expr_op(u, VOP_silu, a, NULL, NULL);
    case OP_add: return expr_op(u, VOP_add, a, b, NULL);
    case OP_sub: return expr_op(u, VOP_sub, a, b, NULL);
    case OP_gated_sum:
    case OP_mul: return expr_op(u, VOP_mul, a, b, NULL);
    case OP_div: return expr_op(u, VOP_div, a, b, NULL);
    default: /* scale_shift */
        return expr_op(u, VOP_fma, a, expr_load(u, l->lanes, at(m->scale, channel)),
                       expr_load(u, l->lanes, at(m->shift, channel)));
    }
}

struct kernel *lower_map(struct lowering *l)
{
    struct node *n = l->node;
    struct map m = {0};
    use_buffers(l, &m);
    int64_t h = n->type.shape.dim[1], w = n->type.shape.dim[2], band = n->schedule.band, bands = h / band;
    int64_t blocks = layout_blocks(n->type), chunk = n->schedule.chunk ? n->schedule.chunk : blocks;
    struct affine r = bands > 1 ? affine_var(kernel_task(&l->build, "r", bands), 1) : l->zero;
    struct affine c = blocks > chunk ? affine_var(kernel_task(&l->build, "c", blocks / chunk), chunk) : l->zero;
    struct affine o = loop(l, VAR_FOR, "o", chunk), q = loop(l, VAR_FOR, "q", band), x = loop(l, VAR_FOR, "ox", w);
    struct affine u = loop(l, VAR_FOR, "u", l->vectors);
    struct affine block = affine_add(c, o), y = affine_add(affine_scale(r, band), q), lane = affine_scale(u, l->lanes);
    struct affine channel = affine_add(affine_scale(block, BLOCK), lane);
    struct expr *v = value_of(l, &m, 0, block, y, x, lane);
    if (n->op == OP_rescale)
        v = rescaled(l, &m, v, channel);
    else
        v = combine(l, &m, v, n->n_in > 1 ? value_of(l, &m, 1, block, y, x, lane) : NULL, channel);
    for (int i = 2; i < n->n_in; i += 2) /* of a gated sum */
        v = expr_op(&l->build, VOP_fma, value_of(l, &m, i, block, y, x, lane),
                    value_of(l, &m, i + 1, block, y, x, lane), v);
    store_result(l, block, y, x, lane, v, l->lanes);
    end(l, u);
    end(l, x);
    end(l, q);
    end(l, o);
    store_halo(l, c, chunk, r, bands, band);
    return kernel_end(&l->build);
}
