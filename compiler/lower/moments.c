/* The two small steps of a group norm (graph/split_group_norm.c); the third is a map. Channels are walked a block at a time; numbers of
 * theirs, two a channel, lie as [2, channels]: means before variances, factors before summands.
 *
 * Sums are of rows, and those of the map: many small numbers are not added to one large one. Of a row, four columns at a time are
 * summed side by side, as an addition takes four cycles.
 */
#include "lower/lower.h"

enum { SIDE_BY_SIDE = 4 };

struct walk {
    struct buffer *x;
    int64_t h, w;
    int halo;
    struct affine block, lane;
};

/* sum[p] += x, or the square of what x differs from `mean`, at columns first + p of row y. */
static void add_columns(struct lowering *l, const struct walk *k, struct reg *sum, struct affine y, struct affine first,
                        int64_t columns, struct expr *mean)
{
    struct builder *b = &l->build;
    struct affine p = loop(l, VAR_UNROLL, "p", columns), column = affine_plus(affine_add(first, p), k->halo);
    struct expr *v = expr_load(b, l->lanes, at(k->x, k->block, affine_plus(y, k->halo), column, k->lane));
    struct expr *so_far = expr_reg(b, reg_at(sum, p));
    if (mean) {
        v = emit_let(b, fresh(l, "d"), expr_op(b, VOP_sub, v, mean, NULL));
        emit_set(b, reg_at(sum, p), expr_op(b, VOP_fma, v, v, so_far));
    } else
        emit_set(b, reg_at(sum, p), expr_op(b, VOP_add, so_far, v, NULL));
    end(l, p);
}

/* The mean over the map of x, or of the squares. */
static struct expr *mean_of(struct lowering *l, const struct walk *k, struct expr *mean)
{
    struct builder *b = &l->build;
    int64_t side = least_of(SIDE_BY_SIDE, k->w);
    struct reg *total = emit_reg(b, fresh(l, "total"), vector(l->lanes), 0, NULL);
    emit_set(b, reg_at(total), zero_of(l, l->lanes));
    struct affine y = loop(l, VAR_FOR, "iy", k->h);
    struct reg *sum = emit_reg(b, fresh(l, "sum"), vector(l->lanes), 1, &side);
    struct affine p = loop(l, VAR_UNROLL, "p", side);
    emit_set(b, reg_at(sum, p), zero_of(l, l->lanes));
    end(l, p);
    struct affine t = loop(l, VAR_FOR, "t", k->w / side);
    add_columns(l, k, sum, y, affine_scale(t, side), side, mean);
    end(l, t);
    if (k->w % side)
        add_columns(l, k, sum, y, affine_const(k->w / side * side), k->w % side, mean);
    p = loop(l, VAR_UNROLL, "p", side);
    emit_set(b, reg_at(total), expr_op(b, VOP_add, expr_reg(b, reg_at(total)), expr_reg(b, reg_at(sum, p)), NULL));
    end(l, p);
    end(l, y);
    return emit_let(
        b, fresh(l, mean ? "variance" : "mean"),
        expr_op(b, VOP_mul, expr_reg(b, reg_at(total)), expr_const(b, l->lanes, 1.0 / (double)(k->h * k->w)), NULL));
}

struct kernel *lower_moments(struct lowering *l)
{
    struct builder *b = &l->build;
    struct node *n = l->node;
    const struct node *in = n->in[0];
    struct walk k = {.h = in->type.shape.dim[1], .w = in->type.shape.dim[2], .halo = in->type.layout.halo};
    int64_t blocks = layout_blocks(in->type), chunk = n->schedule.chunk ? n->schedule.chunk : blocks;
    k.x = use_value(l, DIR_IN, "x", in);
    struct buffer *out = l->out = use_halves(l, DIR_OUT, "y", n);
    struct affine c = blocks > chunk ? affine_var(kernel_task(b, "c", blocks / chunk), chunk) : l->zero;
    struct affine o = loop(l, VAR_FOR, "o", chunk), u = loop(l, VAR_FOR, "u", l->vectors);
    k.block = affine_add(c, o);
    k.lane = affine_scale(u, l->lanes);
    struct affine channel = affine_add(affine_scale(k.block, BLOCK), k.lane);
    struct expr *mean = mean_of(l, &k, NULL);
    emit_store(b, at(out, l->zero, channel), mean, l->lanes);
    emit_store(b, at(out, affine_const(1), channel), mean_of(l, &k, mean), l->lanes);
    end(l, u);
    end(l, o);
    return kernel_end(b);
}

/* ---- of groups ---- */

struct grouped {
    struct buffer *in, *gamma, *beta, *out;
    int64_t size, step; /* channels a group; from one of them to the next */
    struct affine first;
    int lanes;
};

/* The mean over a group's channels of their means, or of variance and squared difference from `mean`. */
static struct expr *group_mean(struct lowering *l, const struct grouped *g, struct expr *mean)
{
    struct builder *b = &l->build;
    struct reg *sum = emit_reg(b, fresh(l, "sum"), vector(g->lanes), 0, NULL);
    emit_set(b, reg_at(sum), zero_of(l, g->lanes));
    struct affine k = loop(l, VAR_FOR, "k", g->size), channel = affine_add(g->first, affine_scale(k, g->step));
    struct expr *v = expr_load(b, g->lanes, at(g->in, l->zero, channel));
    if (mean) {
        v = emit_let(b, fresh(l, "d"), expr_op(b, VOP_sub, v, mean, NULL));
        v = expr_op(b, VOP_fma, v, v, expr_load(b, g->lanes, at(g->in, affine_const(1), channel)));
    }
    emit_set(b, reg_at(sum), expr_op(b, VOP_add, expr_reg(b, reg_at(sum)), v, NULL));
    end(l, k);
    return emit_let(
        b, fresh(l, mean ? "variance" : "mean"),
        expr_op(b, VOP_mul, expr_reg(b, reg_at(sum)), expr_const(b, g->lanes, 1.0 / (double)g->size), NULL));
}

static void one_group(struct lowering *l, const struct grouped *g)
{
    struct builder *b = &l->build;
    struct expr *mean = group_mean(l, g, NULL), *variance = group_mean(l, g, mean);
    struct expr *eps = expr_const(b, g->lanes, l->node->attrs.eps), *zero = zero_of(l, g->lanes);
    struct expr *deviation = expr_op(b, VOP_sqrt, expr_op(b, VOP_add, variance, eps, NULL), NULL, NULL);
    struct expr *inverse = emit_let(b, "inverse", expr_op(b, VOP_div, expr_const(b, g->lanes, 1), deviation, NULL));
    struct expr *back = emit_let(b, "back", expr_op(b, VOP_sub, zero, mean, NULL));
    struct affine k = loop(l, VAR_FOR, "k", g->size), channel = affine_add(g->first, affine_scale(k, g->step));
    struct expr *scale = expr_op(b, VOP_mul, inverse, expr_load(b, g->lanes, at(g->gamma, channel)), NULL);
    scale = emit_let(b, "factor", scale);
    emit_store(b, at(g->out, l->zero, channel), scale, g->lanes);
    struct expr *shift = expr_op(b, VOP_fma, back, scale, expr_load(b, g->lanes, at(g->beta, channel)));
    emit_store(b, at(g->out, affine_const(1), channel), shift, g->lanes);
    end(l, k);
}

/* Lanes behind the last channel, of both halves. */
static void zero_behind(struct lowering *l, struct buffer *out, int64_t channels)
{
    if (out->dim[1] == channels)
        return;
    struct affine half = loop(l, VAR_FOR, "half", 2), i = loop(l, VAR_FOR, "i", out->dim[1] - channels);
    emit_store(&l->build, at(out, half, affine_plus(i, channels)), zero_of(l, 1), 1);
    end(l, i);
    end(l, half);
}

/* Groups that take turns stand in the lanes of a vector; others are walked one by one. */
struct kernel *lower_group_scale(struct lowering *l)
{
    struct node *n = l->node;
    int64_t channels = n->type.shape.dim[0] / 2, groups = n->attrs.groups, turns = n->attrs.interleave;
    struct grouped g = {.size = channels / groups, .step = turns, .lanes = turns % l->lanes ? 1 : l->lanes};
    g.in = use_halves(l, DIR_IN, "x", n->in[0]);
    int64_t padded = g.in->dim[1];
    struct pack gamma = {.param = n->param[0], .kind = PACK_PLAIN}, beta = {.param = n->param[1], .kind = PACK_PLAIN};
    g.gamma = use_weights(l, "scale", gamma, 1, &padded);
    g.beta = use_weights(l, "shift", beta, 1, &padded);
    g.out = l->out = use_halves(l, DIR_OUT, "y", n);
    struct affine o = loop(l, VAR_FOR, "o", groups / turns), u = loop(l, VAR_FOR, "u", turns / g.lanes);
    g.first = affine_add(affine_scale(o, g.size * turns), affine_scale(u, g.lanes));
    one_group(l, &g);
    end(l, u);
    end(l, o);
    zero_behind(l, g.out, channels);
    return kernel_end(&l->build);
}
