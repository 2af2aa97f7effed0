/* Local convolutions, whose kernels belong to positions: lanes are channels, and the weights lie as the values do (see
 * graph/arrange_weights.c), so that a tap is a load of each and a multiply-add. The blocks of channels that use the same weights are
 * the rows of the register tile: a vector of weights serves all of them. The zeros outside are the border of the values. Weights that
 * a group norm makes are rescaled as they are loaded.
 */
#include "lower/lower.h"

struct local {
    const struct attrs *a;
    struct buffer *x, *w, *n; /* n: factors and summands of the weights, [2, blocks of weights * 16]; NULL: none */
    int64_t period;    /* blocks of weights: block b uses b mod period */
    int64_t blocks;    /* of the tile, `period` apart */
    int y0, x0, wy, wx; /* the first row and column of tap 0 of output 0, and of the weights, inside their borders */
};

/* Where a tile stands: its first block of channels and the block of weights, its row, first column and lane. */
struct spot {
    struct affine block, period, row, col, lane;
};

static void taps(struct lowering *l, const struct local *c, struct reg *acc, const struct spot *s, int64_t cols)
{
    struct builder *b = &l->build;
    const struct attrs *a = c->a;
    struct affine ky = loop(l, VAR_FOR, "ky", a->kernel[0]), kx = loop(l, VAR_FOR, "kx", a->kernel[1]);
    struct affine tap = affine_add(affine_scale(ky, a->kernel[1]), kx);
    struct affine weights = affine_add(affine_scale(s->period, a->kernel[0] * a->kernel[1]), tap);
    struct expr *scale = NULL, *shift = NULL;
    if (c->n) {
        struct affine channel = affine_add(affine_scale(weights, BLOCK), s->lane);
        scale = emit_let(b, fresh(l, "scale"), expr_load(b, l->lanes, at(c->n, l->zero, channel)));
        shift = emit_let(b, fresh(l, "shift"), expr_load(b, l->lanes, at(c->n, affine_const(1), channel)));
    }
    struct affine p = loop(l, VAR_UNROLL, "p", cols), col = affine_add(s->col, p);
    struct expr *w =
        expr_load(b, l->lanes, at(c->w, weights, affine_plus(s->row, c->wy), affine_plus(col, c->wx), s->lane));
    w = emit_let(b, fresh(l, "wv"), scale ? expr_op(b, VOP_fma, w, scale, shift) : w);
    struct affine iy = affine_add(affine_scale(s->row, a->stride[0]), affine_scale(ky, a->dilation[0]));
    struct affine ix = affine_add(affine_scale(col, a->stride[1]), affine_scale(kx, a->dilation[1]));
    struct affine v = loop(l, VAR_UNROLL, "v", c->blocks);
    struct affine block = affine_add(s->block, affine_scale(v, c->period));
    struct expr *x = expr_load(b, l->lanes, at(c->x, block, affine_plus(iy, c->y0), affine_plus(ix, c->x0), s->lane));
    emit_set(b, reg_at(acc, p, v), expr_op(b, VOP_fma, x, w, expr_reg(b, reg_at(acc, p, v))));
    end(l, v);
    end(l, p);
    end(l, kx);
    end(l, ky);
}

static void tile(struct lowering *l, const struct local *c, const struct spot *s, int64_t cols)
{
    struct builder *b = &l->build;
    struct reg *acc = emit_reg(b, fresh(l, "acc"), vector(l->lanes), 2, (int64_t[]){cols, c->blocks});
    struct affine p = loop(l, VAR_UNROLL, "p", cols), v = loop(l, VAR_UNROLL, "v", c->blocks);
    emit_set(b, reg_at(acc, p, v), zero_of(l, l->lanes));
    end(l, v);
    end(l, p);
    taps(l, c, acc, s, cols);
    p = loop(l, VAR_UNROLL, "p", cols);
    v = loop(l, VAR_UNROLL, "v", c->blocks);
    store_result(l, affine_add(s->block, affine_scale(v, c->period)), s->row, affine_add(s->col, p), s->lane,
                 expr_reg(b, reg_at(acc, p, v)), l->lanes);
    end(l, v);
    end(l, p);
}

/* A row of the map, in tiles of the scheduled width and, behind them, one column less. */
static void columns(struct lowering *l, const struct local *c, struct spot *s)
{
    struct cover cut = cover(l->node->type.shape.dim[2], l->node->schedule.cols);
    struct affine t = cut.n ? loop(l, VAR_FOR, "t", cut.n) : l->zero;
    s->col = affine_scale(t, cut.size);
    if (cut.n) {
        tile(l, c, s, cut.size);
        end(l, t);
    }
    if (cut.n_less) {
        t = loop(l, VAR_FOR, "t", cut.n_less);
        s->col = affine_plus(affine_scale(t, cut.size - 1), cut.n * cut.size);
        tile(l, c, s, cut.size - 1);
        end(l, t);
    }
}

struct kernel *lower_local(struct lowering *l)
{
    struct node *n = l->node;
    const struct schedule *s = &n->schedule;
    const struct node *values = n->in[0], *weights = n->in[1];
    int border = values->type.layout.halo, weights_border = weights->type.layout.halo;
    int64_t bands = n->type.shape.dim[1] / s->band, all = layout_blocks(n->type), chunk = s->chunk ? s->chunk : all;
    struct local c = {.a = &n->attrs,
                      .period = layout_blocks(weights->type) / (n->attrs.kernel[0] * n->attrs.kernel[1]),
                      .blocks = s->channels / BLOCK,
                      .y0 = border - (int)n->attrs.pad[0],
                      .x0 = border - (int)n->attrs.pad[1],
                      .wy = weights_border,
                      .wx = weights_border};
    c.x = use_value(l, DIR_IN, "x", values);
    c.w = weights == values ? c.x : use_value(l, DIR_IN, "w", weights);
    if (n->n_in > 2)
        c.n = use_halves(l, DIR_IN, "n", n->in[2]);
    use_result(l);
    struct affine r = bands > 1 ? affine_var(kernel_task(&l->build, "r", bands), 1) : l->zero;
    struct affine first = all > chunk ? affine_var(kernel_task(&l->build, "c", all / chunk), chunk) : l->zero;
    struct spot spot;
    struct affine k = loop(l, VAR_FOR, "k", chunk / (c.period * c.blocks));
    spot.period = loop(l, VAR_FOR, "o", c.period);
    struct affine q = loop(l, VAR_FOR, "q", s->band), u = loop(l, VAR_FOR, "u", l->vectors);
    spot.block = affine_add(affine_add(first, affine_scale(k, c.period * c.blocks)), spot.period);
    spot.row = affine_add(affine_scale(r, s->band), q);
    spot.lane = affine_scale(u, l->lanes);
    columns(l, &c, &spot);
    end(l, u);
    end(l, q);
    end(l, spot.period);
    end(l, k);
    store_halo(l, first, chunk, r, bands, s->band);
    return kernel_end(&l->build);
}
