/* Grouped convolution with groups narrower than a block: several groups in a vector.
 *
 * Lane l computes output channel l of its block and needs input channel i of its own group: lanes (l / oc) * ic + i of the input's
 * block. So one `pick` a pixel and i serves all taps that the pixel takes part in:
 *
 *   for ob, rows, columns { acc = b; for i { wv = w[ob, i, all taps]; for each pixel of the window { xs = pick x, lanes(ic/oc, i)
 *       for each tap that fits { acc[position] += xs * wv[tap] } } } }
 *
 * A vector that lies inside one group (scalar code, or wide groups) takes a splat instead of a pick.
 * Strides: pixels are taken by their residues, so that every loop over pixels has a step of one in the positions it feeds.
 * Few registers (tile of one row): the rows of taps are a loop, and only one row of weights is held.
 */
#include "lower/lower.h"

struct spread {
    struct conv_dims d;
    struct schedule s;
    struct buffer *x, *w, *b;
    struct affine block, in_block, part; /* of the output; of the input; which part of the input's block */
    struct affine lane;                  /* first lane of the vector */
    int64_t v;                           /* which vector of the block */
    int64_t span;                        /* input lanes that a block of outputs reads */
    bool splat;                          /* the vector lies inside one group: all its lanes need the same input */
    struct affine first_in;              /* splat: first input lane of the group */
};

static void use_buffers(struct lowering *l, struct spread *c)
{
    struct node *n = l->node;
    const struct conv_dims *d = &c->d;
    struct pack w = {.param = n->param[0],
                     .kind = PACK_SPREAD,
                     .in = n->in[0]->type.layout,
                     .out = n->type.layout,
                     .groups = d->groups,
                     .node = n};
    struct pack b = {.param = n->param[1], .kind = PACK_VECTOR, .out = n->type.layout, .groups = d->groups, .node = n};
    c->x = use_value(l, DIR_IN, "x", n->in[0]);
    c->w = use_weights(l, "w", w, 5, (int64_t[]){d->ob, d->ic, d->kh, d->kw, BLOCK});
    c->b = use_weights(l, "b", b, 1, (int64_t[]){d->ob * BLOCK});
    use_result(l);
}

struct tile {
    int64_t rows, cols;
    struct affine row, col;
};

static int64_t taps(int64_t kernel, int64_t stride, int64_t residue) /* k = stride * m + residue */
{
    return (kernel - residue + stride - 1) / stride;
}

/* Input channel e of each lane's group at one pixel. */
static struct expr *spread_pixel(struct lowering *l, struct spread *c, struct affine y, struct affine x,
                                 struct affine e)
{
    if (c->d.ic == 1 && c->d.oc == 1)
        return expr_load(&l->build, l->lanes, at(c->x, c->in_block, y, x, c->lane));
    if (c->splat)
        return expr_splat(&l->build, l->lanes, at(c->x, c->in_block, y, x, affine_add(c->first_in, e)));
    return expr_pick(&l->build, l->lanes, at(c->x, c->in_block, y, x, l->zero), c->d.ic, c->d.oc, c->v * l->lanes, e);
}

/* The pixels of the taps k = stride * m + residue, residues (ey, ex): each feeds the positions p = pixel - m * dilation for all its m. */
static void pixels(struct lowering *l, struct spread *c, const struct tile *t, struct reg *acc, struct reg *wv,
                   struct affine i, struct affine ky_loop, int64_t ey, int64_t ex)
{
    struct builder *b = &l->build;
    const struct conv_dims *d = &c->d;
    bool by_rows = t->rows > 1;
    int64_t my = by_rows ? taps(d->kh, d->sy, ey) : 1, mx = taps(d->kw, d->sx, ex);
    struct affine iy = loop(l, VAR_UNROLL, "iy", by_rows ? t->rows + (my - 1) * d->dy : 1);
    struct affine ix = loop(l, VAR_UNROLL, "ix", t->cols + (mx - 1) * d->dx);
    emit_fence(b);
    struct affine y = by_rows ? affine_plus(affine_scale(affine_add(t->row, iy), d->sy), ey * d->dy)
                              : affine_add(affine_scale(t->row, d->sy), affine_scale(ky_loop, d->dy));
    struct affine x = affine_plus(affine_scale(affine_add(t->col, ix), d->sx), ex * d->dx);
    struct affine e = affine_add(i, affine_scale(c->part, c->span));
    struct expr *xs = emit_let(b, fresh(l, "xs"), spread_pixel(l, c, affine_plus(y, d->py), affine_plus(x, d->px), e));
    struct affine m = loop(l, VAR_UNROLL, "my", my), k = loop(l, VAR_UNROLL, "mx", mx);
    struct affine p = affine_add(iy, affine_scale(m, -d->dy)), q = affine_add(ix, affine_scale(k, -d->dx));
    int64_t ignore;
    bool guard_p = !affine_is_const(p, &ignore) && my > 1, guard_q = mx > 1;
    if (guard_p)
        if_begin(b, p, 0, t->rows);
    if (guard_q)
        if_begin(b, q, 0, t->cols);
    struct reg_ref a = reg_at(acc, p, q);
    struct reg_ref w = reg_at(wv, by_rows ? affine_plus(affine_scale(m, d->sy), ey) : affine_const(0),
                              affine_plus(affine_scale(k, d->sx), ex));
    emit_set(b, a, expr_op(b, VOP_fma, xs, expr_reg(b, w), expr_reg(b, a)));
    if (guard_q)
        block_end(b);
    if (guard_p)
        block_end(b);
    end(l, k);
    end(l, m);
    end(l, ix);
    end(l, iy);
}

static void load_weights(struct lowering *l, struct spread *c, struct reg *wv, struct affine i, struct affine ky,
                         int64_t rows)
{
    struct affine y = loop(l, VAR_UNROLL, "ky", rows), x = loop(l, VAR_UNROLL, "kx", c->d.kw);
    emit_set(&l->build, reg_at(wv, y, x),
             expr_load(&l->build, l->lanes, at(c->w, c->block, i, affine_add(ky, y), x, c->lane)));
    end(l, x);
    end(l, y);
}

static void reduce(struct lowering *l, struct spread *c, const struct tile *t, struct reg *acc)
{
    const struct conv_dims *d = &c->d;
    bool by_rows = t->rows > 1;
    struct affine i = loop(l, VAR_FOR, "i", d->ic);
    struct affine ky = by_rows ? l->zero : loop(l, VAR_FOR, "kr", d->kh);
    struct reg *wv = emit_reg(&l->build, fresh(l, "wv"), vector(l->lanes), 2, (int64_t[]){by_rows ? d->kh : 1, d->kw});
    load_weights(l, c, wv, i, ky, by_rows ? d->kh : 1);
    for (int64_t ey = 0; ey < (by_rows ? least_of(d->sy, d->kh) : 1); ey++)
        for (int64_t ex = 0; ex < least_of(d->sx, d->kw); ex++)
            pixels(l, c, t, acc, wv, i, ky, ey, ex);
    end(l, ky);
    end(l, i);
}

static void tile(struct lowering *l, struct spread *c, const struct tile *t)
{
    struct builder *b = &l->build;
    struct reg *acc = emit_reg(b, fresh(l, "acc"), vector(l->lanes), 2, (int64_t[]){t->rows, t->cols});
    struct affine p = loop(l, VAR_UNROLL, "p", t->rows), q = loop(l, VAR_UNROLL, "q", t->cols);
    emit_set(b, reg_at(acc, p, q),
             expr_load(b, l->lanes, at(c->b, affine_add(affine_scale(c->block, BLOCK), c->lane))));
    end(l, q), end(l, p);
    reduce(l, c, t, acc);
    p = loop(l, VAR_UNROLL, "p", t->rows), q = loop(l, VAR_UNROLL, "q", t->cols);
    store_result(l, c->block, affine_add(t->row, p), affine_add(t->col, q), c->lane, expr_reg(b, reg_at(acc, p, q)),
                 l->lanes);
    end(l, q), end(l, p);
}

/* The band's rows and columns in tiles of at most rows x cols, as even as it gets: up to four kinds. */
static void positions(struct lowering *l, struct spread *c, struct affine first, int64_t band)
{
    struct cover rows = cover(band, c->s.rows), cols = cover(c->d.ow, c->s.cols);
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 2; b++) {
            int64_t nr = a ? rows.n_less : rows.n, nc = b ? cols.n_less : cols.n;
            if (!nr || !nc)
                continue;
            struct tile t = {.rows = rows.size - a, .cols = cols.size - b};
            struct affine y = loop(l, VAR_FOR, "ty", nr), x = loop(l, VAR_FOR, "tx", nc);
            t.row = affine_add(first, affine_plus(affine_scale(y, t.rows), a ? rows.n * rows.size : 0));
            t.col = affine_plus(affine_scale(x, t.cols), b ? cols.n * cols.size : 0);
            tile(l, c, &t);
            end(l, x);
            end(l, y);
        }
}

/* Zeros in the lanes behind the last whole group, for vectors inside one group; others get them out of zero weights. */
static void pad_lanes(struct lowering *l, struct spread *c, struct affine first)
{
    int64_t used = BLOCK / c->d.oc * c->d.oc;
    if (used == BLOCK)
        return;
    struct affine q = loop(l, VAR_FOR, "q", c->s.band), x = loop(l, VAR_FOR, "ox", c->d.ow),
                  u = loop(l, VAR_FOR, "u", (BLOCK - used) / l->lanes);
    struct affine lane = affine_plus(affine_scale(u, l->lanes), used);
    emit_store(&l->build, result_at(l, l->out, c->block, affine_add(first, q), x, lane), zero_of(l, l->lanes),
               l->lanes);
    end(l, u);
    end(l, x);
    end(l, q);
}

/* All vectors of a block: one after another; or, where each lies inside one group, group by group. */
static void vectors(struct lowering *l, struct spread *c, struct affine first)
{
    int64_t oc = c->d.oc;
    c->splat = oc % l->lanes == 0 && oc > 1;
    if (c->splat) {
        struct affine g = loop(l, VAR_FOR, "g", BLOCK / oc), u = loop(l, VAR_FOR, "u", oc / l->lanes);
        c->lane = affine_add(affine_scale(g, oc), affine_scale(u, l->lanes));
        c->first_in = affine_scale(g, c->d.ic);
        positions(l, c, first, c->s.band);
        end(l, u);
        end(l, g);
        pad_lanes(l, c, first);
        return;
    }
    if (c->d.ic == 1 && oc == 1) {
        struct affine u = loop(l, VAR_FOR, "u", l->vectors);
        c->lane = affine_scale(u, l->lanes);
        positions(l, c, first, c->s.band);
        end(l, u);
        return;
    }
    for (c->v = 0; c->v < l->vectors; c->v++) {
        c->lane = affine_const(c->v * l->lanes);
        positions(l, c, first, c->s.band);
    }
}

struct kernel *lower_spread(struct lowering *l)
{
    struct spread c = {.d = conv_dims(l->node), .s = l->node->schedule};
    c.span = c.d.oc == c.d.ic ? BLOCK : BLOCK / c.d.oc * c.d.ic;
    int64_t parts = BLOCK / c.span, chunk = c.s.chunk ? c.s.chunk : c.d.ob;
    use_buffers(l, &c);
    if (parts > 1)
        chunk = parts * (chunk / parts ? chunk / parts : 1); /* a task has whole blocks of inputs */
    int64_t bands = c.d.oh / c.s.band, tasks = c.d.ob / chunk;
    struct affine band = bands > 1 ? affine_var(kernel_task(&l->build, "r", bands), 1) : l->zero;
    struct affine task = tasks > 1 ? affine_var(kernel_task(&l->build, "c", tasks), 1) : l->zero;
    struct affine o = loop(l, VAR_FOR, "o", chunk / parts);
    c.part = loop(l, VAR_FOR, "h", parts);
    c.in_block = affine_add(affine_scale(task, chunk / parts), o);
    c.block = affine_add(affine_scale(c.in_block, parts), c.part);
    vectors(l, &c, affine_scale(band, c.s.band));
    end(l, c.part);
    end(l, o);
    store_halo(l, affine_scale(task, chunk), chunk, band, bands, c.s.band);
    return kernel_end(&l->build);
}
