/* Local convolutions, whose kernels belong to positions: lanes are channels, and the weights lie as the values do (see
 * graph/arrange_weights.c), so that a tap is a load of each and a multiply-add. The blocks of channels that use the same weights are
 * the rows of the register tile: a vector of weights serves all of them. The zeros outside are the border of the values. Weights that
 * a group norm makes are rescaled as they are loaded.
 */
#include "lower/lower.h"

struct local {
    const struct attrs *a;
    struct buffer *x, *w, *n; /* n: factors and summands of the weights, [2, blocks of weights * 16]; NULL: none */
    int64_t few;       /* so many kernels a tap, one behind the other; 0: blocks of weights */
    int64_t period;    /* blocks of weights: block b uses b mod period */
    int64_t blocks;    /* of the tile, `period` apart */
    int y0, x0, wy, wx; /* the first row and column of tap 0 of output 0, and of the weights, inside their borders */
};

/* Where a tile stands: its first block of channels and the block of weights, its row, first column and lane. */
struct spot {
    struct affine block, period, row, col, lane;
    struct affine part; /* of few kernels: the first that the vector uses */
};

int64_t local_kernels(const struct node *n)
{
    int64_t of_a_tap = n->in[1]->type.shape.dim[0] / (n->attrs.kernel[0] * n->attrs.kernel[1]);
    return of_a_tap < BLOCK ? of_a_tap : 0;
}

int64_t local_period(const struct node *n)
{
    return local_kernels(n) ? 1 : layout_blocks(n->in[1]->type) / (n->attrs.kernel[0] * n->attrs.kernel[1]);
}

/* The weights of a tap at a column; of few kernels a vector repeats those of the tap, or takes its part of them. The tap is a
 * constant then. */
static struct expr *load_weights(struct lowering *l, const struct local *c, const struct spot *s, struct affine tap,
                                 struct affine column)
{
    struct affine y = affine_plus(s->row, c->wy), x = affine_plus(column, c->wx);
    if (c->few) {
        int64_t e = tap.c * c->few;
        struct affine lane = affine_plus(s->part, e % BLOCK);
        return expr_load_repeated(&l->build, l->lanes, at(c->w, affine_const(e / BLOCK), y, x, lane), (int)c->few);
    }
    struct affine block = affine_add(affine_scale(s->period, c->a->kernel[0] * c->a->kernel[1]), tap);
    return expr_load(&l->build, l->lanes, at(c->w, block, y, x, s->lane));
}

/* Factors (half 0) or summands of the same. */
static struct expr *load_norm(struct lowering *l, const struct local *c, const struct spot *s, struct affine tap,
                              int64_t half)
{
    struct affine h = affine_const(half);
    if (c->few) {
        struct affine channel = affine_plus(s->part, tap.c * c->few);
        return expr_load_repeated(&l->build, l->lanes, at(c->n, h, channel), (int)c->few);
    }
    struct affine block = affine_add(affine_scale(s->period, c->a->kernel[0] * c->a->kernel[1]), tap);
    return expr_load(&l->build, l->lanes, at(c->n, h, affine_add(affine_scale(block, BLOCK), s->lane)));
}

static void one_tap(struct lowering *l, const struct local *c, struct reg *acc, const struct spot *s, int64_t cols,
                    struct affine ky, struct affine kx)
{
    struct builder *b = &l->build;
    const struct attrs *a = c->a;
    struct affine tap = affine_add(affine_scale(ky, a->kernel[1]), kx);
    struct expr *scale = c->n ? emit_let(b, fresh(l, "scale"), load_norm(l, c, s, tap, 0)) : NULL;
    struct expr *shift = c->n ? emit_let(b, fresh(l, "shift"), load_norm(l, c, s, tap, 1)) : NULL;
    struct affine p = loop(l, VAR_UNROLL, "p", cols), col = affine_add(s->col, p);
    struct expr *w = load_weights(l, c, s, tap, col);
    w = emit_let(b, fresh(l, "wv"), scale ? expr_op(b, VOP_fma, w, scale, shift) : w);
    struct affine iy = affine_add(affine_scale(s->row, a->stride[0]), affine_scale(ky, a->dilation[0]));
    struct affine ix = affine_add(affine_scale(col, a->stride[1]), affine_scale(kx, a->dilation[1]));
    struct affine v = loop(l, VAR_UNROLL, "v", c->blocks);
    struct affine block = affine_add(s->block, affine_scale(v, c->period));
    struct expr *x = expr_load(b, l->lanes, at(c->x, block, affine_plus(iy, c->y0), affine_plus(ix, c->x0), s->lane));
    emit_set(b, reg_at(acc, p, v), expr_op(b, VOP_fma, x, w, expr_reg(b, reg_at(acc, p, v))));
    end(l, v);
    end(l, p);
}

static void taps(struct lowering *l, const struct local *c, struct reg *acc, const struct spot *s, int64_t cols)
{
    for (int64_t i = 0; c->few && i < c->a->kernel[0] * c->a->kernel[1]; i++)
        one_tap(l, c, acc, s, cols, affine_const(i / c->a->kernel[1]), affine_const(i % c->a->kernel[1]));
    if (c->few)
        return;
    struct affine ky = loop(l, VAR_FOR, "ky", c->a->kernel[0]), kx = loop(l, VAR_FOR, "kx", c->a->kernel[1]);
    one_tap(l, c, acc, s, cols, ky, kx);
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
                      .few = local_kernels(n),
                      .period = local_period(n),
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
    struct affine q = loop(l, VAR_FOR, "q", s->band);
    int64_t parts = c.few > l->lanes ? c.few / l->lanes : 1; /* vectors until kernels come again */
    struct affine u = loop(l, VAR_FOR, "u", l->vectors / parts), part = loop(l, VAR_FOR, "h", parts);
    spot.block = affine_add(affine_add(first, affine_scale(k, c.period * c.blocks)), spot.period);
    spot.row = affine_add(affine_scale(r, s->band), q);
    spot.part = affine_scale(part, l->lanes);
    spot.lane = affine_add(affine_scale(u, parts * l->lanes), spot.part);
    columns(l, &c, &spot);
    end(l, part);
    end(l, u);
    end(l, q);
    end(l, spot.period);
    end(l, k);
    store_halo(l, first, chunk, r, bands, s->band);
    return kernel_end(&l->build);
}
