/* One set of kernels for every channel by itself (graph/find_each_conv.c): lanes are channels, a number of a kernel is spread over all of
 * them. A tile is some columns x some kernels; the result has its channels last, so that a vector is stored as it is. The zeros outside
 * are the border of the values.
 */
#include "lower/lower.h"

struct each {
    const struct attrs *a;
    struct buffer *x, *w, *b;
    int64_t kernels; /* of a tile */
    int y0, x0; /* the first row and column of tap 0 of output 0, inside the border */
    struct affine block, lane, row, kernel;
};

static void taps(struct lowering *l, const struct each *c, struct reg *acc, struct affine column, int64_t columns)
{
    struct builder *b = &l->build;
    const struct attrs *a = c->a;
    struct affine ky = loop(l, VAR_FOR, "ky", a->kernel[0]), kx = loop(l, VAR_FOR, "kx", a->kernel[1]);
    struct reg *w = emit_reg(b, fresh(l, "wv"), vector(l->lanes), 1, &c->kernels);
    struct affine k = loop(l, VAR_UNROLL, "k", c->kernels);
    emit_set(b, reg_at(w, k), expr_splat(b, l->lanes, at(c->w, affine_add(c->kernel, k), l->zero, ky, kx)));
    end(l, k);
    struct affine p = loop(l, VAR_UNROLL, "p", columns);
    struct affine iy = affine_add(affine_scale(c->row, a->stride[0]), affine_scale(ky, a->dilation[0]));
    struct affine ix = affine_add(affine_scale(affine_add(column, p), a->stride[1]), affine_scale(kx, a->dilation[1]));
    struct element_ref ref = at(c->x, c->block, affine_plus(iy, c->y0), affine_plus(ix, c->x0), c->lane);
    struct expr *x = emit_let(b, fresh(l, "xv"), expr_load(b, l->lanes, ref));
    k = loop(l, VAR_UNROLL, "k", c->kernels);
    emit_set(b, reg_at(acc, p, k), expr_op(b, VOP_fma, x, expr_reg(b, reg_at(w, k)), expr_reg(b, reg_at(acc, p, k))));
    end(l, k);
    end(l, p);
    end(l, kx);
    end(l, ky);
}

static void tile(struct lowering *l, const struct each *c, struct affine column, int64_t columns)
{
    struct builder *b = &l->build;
    struct reg *acc = emit_reg(b, fresh(l, "acc"), vector(l->lanes), 2, (int64_t[]){columns, c->kernels});
    struct affine p = loop(l, VAR_UNROLL, "p", columns), k = loop(l, VAR_UNROLL, "k", c->kernels);
    emit_set(b, reg_at(acc, p, k),
             c->b ? expr_splat(b, l->lanes, at(c->b, affine_add(c->kernel, k))) : zero_of(l, l->lanes));
    end(l, k);
    end(l, p);
    taps(l, c, acc, column, columns);
    p = loop(l, VAR_UNROLL, "p", columns);
    k = loop(l, VAR_UNROLL, "k", c->kernels);
    struct affine channel = affine_add(affine_scale(c->block, BLOCK), c->lane);
    emit_store(b, at(l->out, c->row, affine_add(column, p), affine_add(c->kernel, k), channel),
               expr_reg(b, reg_at(acc, p, k)), l->lanes);
    end(l, k);
    end(l, p);
}

/* A row of the result in tiles, as even as it gets. */
static void columns(struct lowering *l, const struct each *c, int64_t width, int64_t most)
{
    struct cover cut = cover(width, most);
    if (cut.n) {
        struct affine t = loop(l, VAR_FOR, "t", cut.n);
        tile(l, c, affine_scale(t, cut.size), cut.size);
        end(l, t);
    }
    if (cut.n_less) {
        struct affine t = loop(l, VAR_FOR, "t", cut.n_less);
        tile(l, c, affine_plus(affine_scale(t, cut.size - 1), cut.n * cut.size), cut.size - 1);
        end(l, t);
    }
}

struct kernel *lower_each(struct lowering *l)
{
    struct node *n = l->node;
    const struct schedule *s = &n->schedule;
    const struct shape *out = &n->type.shape;
    int64_t blocks = layout_blocks(n->in[0]->type), border = n->in[0]->type.layout.halo;
    struct each c = {.a = &n->attrs,
                     .kernels = s->rows,
                     .y0 = (int)(border - n->attrs.pad[0]),
                     .x0 = (int)(border - n->attrs.pad[1])};
    c.x = use_value(l, DIR_IN, "x", n->in[0]);
    c.w = use_rows(l, DIR_IN, "w", n->in[1]);
    c.b = n->n_in > 2 ? use_rows(l, DIR_IN, "bias", n->in[2]) : NULL;
    l->out = use_rows(l, DIR_OUT, "y", n);
    c.row = out->dim[0] > 1 ? affine_var(kernel_task(&l->build, "r", out->dim[0]), 1) : l->zero;
    c.block = blocks > 1 ? affine_var(kernel_task(&l->build, "c", blocks), 1) : l->zero;
    struct affine u = loop(l, VAR_FOR, "u", l->vectors), k = loop(l, VAR_FOR, "k0", out->dim[2] / c.kernels);
    c.lane = affine_scale(u, l->lanes);
    c.kernel = affine_scale(k, c.kernels);
    columns(l, &c, out->dim[1], s->cols);
    end(l, k);
    end(l, u);
    return kernel_end(&l->build);
}
