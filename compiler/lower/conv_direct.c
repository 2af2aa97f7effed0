/* Direct convolution and matrix product: a tile of positions x channels stays in registers over the whole reduction. Each step
 * loads one row of weights and, for every position, spreads one input over the lanes.
 *
 *   for o, q, t { acc = bias; for ib, ky, kx, i { wv = w[o, ib, ky, kx, i]; unroll p { acc[p] += splat x[ib, .., i] * wv } } y = acc }
 *
 * Where the processor multiplies by a lane of a register for nothing, as many inputs as a vector holds are loaded at once for
 * each position, and serve as many steps; the sums are the same:
 *
 *   for iq { unroll p { xv[p] = x[.., 4iq] }; unroll i 0..4 { wv = w[.., 4iq + i]; unroll p { acc[p] += lane i of xv[p] * wv } } }
 *
 * Large weights for few positions (depth): a slice of the reduction at a time for all positions, whose sums wait in memory, so that
 * each weight comes from far once and is near for all of them:
 *
 *   for o { sums = bias; for ks, q, t { acc = sums; for ib in slice, .. { .. }; sums = acc; last slice: y = acc } }
 *
 * Any stride, dilation, kernel and group width of whole blocks (or a fraction of one on the input's side). Padding is the border
 * of the input. Few input channels (pixels): the reduction runs over the row of kernel columns and channels at once.
 */
#include "lower/lower.h"

struct direct {
    struct conv_dims d;
    struct schedule s;
    int64_t nb, nu, subs; /* the tile's blocks, vectors a block, parts of a block */
    struct buffer *x, *w, *b;
    struct affine group, band; /* which group; which band of rows */
    struct affine sub; /* which part of a block */
    bool pixels;
    int64_t quad; /* inputs a load, each used by its lane; 0: one at a time */
    struct buffer *sums; /* in slices: of every position, what the slices before gave */
    struct affine slice;
};

static int64_t rows_a_block(const struct direct *c) /* of weights */
{
    return c->d.lanes_in ? c->d.lanes_in : c->d.block;
}

static void use_buffers(struct lowering *l, struct direct *c)
{
    struct node *n = l->node;
    const struct conv_dims *d = &c->d;
    struct pack w = {.param = n->param[0],
                     .kind = PACK_PANELS,
                     .in = n->in[0]->type.layout,
                     .out = n->type.layout,
                     .groups = d->groups,
                     .node = n};
    struct pack b = {.param = n->param[1], .kind = PACK_VECTOR, .out = n->type.layout, .groups = d->groups, .node = n};
    int64_t ob = d->groups * d->ob;
    if (c->pixels) {
        const struct node *v = n->in[0];
        struct buffer *x = use_value(l, DIR_IN, "x", v); /* [1, H, W, 3] is [H, W * 3] */
        x->rank = 2;
        x->dim[0] = x->dim[1];
        x->dim[1] = x->dim[2] * x->dim[3];
        c->x = x;
        c->w = use_weights(l, "w", w, 4, (int64_t[]){ob, d->kh, d->kw * d->block, BLOCK});
    } else {
        /* of a plain value nobody need have written the padding */
        c->x = n->op == OP_linear && d->ic % BLOCK ? use_rows(l, DIR_IN, "x", n->in[0])
                                                   : use_value(l, DIR_IN, "x", n->in[0]);
        if (d->kh * d->kw == 1)
            c->w = use_weights(l, "w", w, 4, (int64_t[]){ob, d->ib, rows_a_block(c), BLOCK});
        else
            c->w = use_weights(l, "w", w, 6, (int64_t[]){ob, d->ib, d->kh, d->kw, rows_a_block(c), BLOCK});
    }
    c->b = use_weights(l, "b", b, 1, (int64_t[]){ob * BLOCK});
    use_result(l);
}

/* acc[p, v, u] for tile position p, block v, vector u of the block; absent dimensions are left out. */
static struct reg_ref accumulator(struct reg *acc, struct affine p, struct affine v, struct affine u)
{
    struct reg_ref r = {.reg = acc};
    r.at[0] = p;
    r.at[1] = v;
    if (acc->rank == 3)
        r.at[2] = u;
    return r;
}

struct tile {
    struct affine block; /* first block of output channels */
    int64_t nb, cols;
    struct affine row, col; /* first position */
    struct affine number; /* of the tiles that use the same weights */
};

static struct affine lane_of(const struct lowering *l, const struct direct *c, struct affine u)
{
    return affine_scale(affine_add(affine_scale(c->sub, c->nu), u), l->lanes);
}

/* One step: weights at w_at (the lane is added), input at x_at for position p. */
struct step {
    struct affine ib, ky, kx, i;
};

static struct element_ref weight_at(const struct direct *c, struct affine block, const struct step *k,
                                    struct affine lane)
{
    if (c->pixels)
        return at(c->w, block, k->ky, k->i, lane);
    if (c->w->rank == 4)
        return at(c->w, block, k->ib, k->i, lane);
    return at(c->w, block, k->ib, k->ky, k->kx, k->i, lane);
}

static struct element_ref input_at(const struct lowering *l, const struct direct *c, const struct tile *t,
                                   const struct step *k, struct affine p)
{
    const struct conv_dims *d = &c->d;
    if (c->x->rank == 1)
        return at(c->x, affine_add(affine_scale(k->ib, BLOCK), k->i));
    struct affine y = affine_plus(affine_add(affine_scale(t->row, d->sy), affine_scale(k->ky, d->dy)), d->py);
    struct affine col = affine_scale(affine_add(t->col, p), d->sx);
    if (c->pixels)
        return at(c->x, y, affine_add(affine_plus(affine_scale(col, d->block), d->px * d->block), k->i));
    struct affine x = affine_plus(affine_add(col, affine_scale(k->kx, d->dx)), d->px);
    struct affine block = k->ib, lane = k->i;
    if (d->groups > 1 && !d->lanes_in)
        block = affine_add(block, affine_scale(c->group, d->ib));
    if (d->lanes_in) { /* group = groups a block * (which block) + which of its groups */
        struct affine g = c->group;
        int64_t a_block = BLOCK / d->lanes_in;
        struct affine inside = affine_const(0), which = affine_const(0);
        for (int q = 0; q < g.n; q++) {
            bool whole = g.term[q].k % a_block == 0;
            struct affine term = affine_var(g.term[q].var, whole ? g.term[q].k / a_block : g.term[q].k * d->lanes_in);
            if (whole)
                which = affine_add(which, term);
            else
                inside = affine_add(inside, term);
        }
        block = affine_add(block, which);
        lane = affine_add(lane, inside);
    }
    return c->x->rank == 3 ? at(c->x, block, x, lane) : at(c->x, block, y, x, lane);
    (void)l;
}

/* Weights some steps ahead. */
static void fetch_weights(struct lowering *l, struct direct *c, const struct tile *t, const struct step *k,
                          struct affine v)
{
    struct step ahead = *k;
    ahead.i = affine_plus(k->i, c->s.prefetch);
    struct affine u = loop(l, VAR_UNROLL, "u", (c->nu * l->lanes + BLOCK - 1) / BLOCK);
    emit_prefetch(&l->build, weight_at(c, affine_add(t->block, v), &ahead, lane_of(l, c, affine_scale(u, l->vectors))),
                  1);
    end(l, u);
}

/* acc[p, ..] += input of position p * weights of step k. The input is lane `lane` of xv[p]; without xv, one of memory. */
static void step_body(struct lowering *l, struct direct *c, const struct tile *t, struct reg *acc, const struct step *k,
                      struct reg *xv, struct affine lane)
{
    struct builder *b = &l->build;
    struct reg *wv = emit_reg(b, fresh(l, "wv"), vector(l->lanes), 2, (int64_t[]){t->nb, c->nu});
    struct affine v = loop(l, VAR_UNROLL, "v", t->nb), u = loop(l, VAR_UNROLL, "u", c->nu);
    emit_set(b, reg_at(wv, v, u), expr_load(b, l->lanes, weight_at(c, affine_add(t->block, v), k, lane_of(l, c, u))));
    end(l, u);
    if (c->s.prefetch)
        fetch_weights(l, c, t, k, v);
    end(l, v);
    struct affine p = loop(l, VAR_UNROLL, "p", t->cols);
    struct expr *xs = xv ? expr_lane(b, reg_at(xv, p), lane)
                         : emit_let(b, fresh(l, "xs"), expr_splat(b, l->lanes, input_at(l, c, t, k, p)));
    v = loop(l, VAR_UNROLL, "v", t->nb), u = loop(l, VAR_UNROLL, "u", c->nu);
    struct reg_ref a = accumulator(acc, p, v, u);
    emit_set(b, a, expr_op(b, VOP_fma, xs, expr_reg(b, reg_at(wv, v, u)), expr_reg(b, a)));
    end(l, u);
    end(l, v);
    end(l, p);
}

/* The steps k->i + [first, first + n) out of one load for each position. */
static void steps_by_lane(struct lowering *l, struct direct *c, const struct tile *t, struct reg *acc,
                          const struct step *k, int64_t first, int64_t n)
{
    struct builder *b = &l->build;
    if (t->cols > 1)
        emit_fence(b); /* the next inputs, and the weights of other tiles, would want registers that are taken */
    struct reg *xv = emit_reg(b, fresh(l, "xv"), vector(l->lanes), 1, (int64_t[]){t->cols});
    struct affine p = loop(l, VAR_UNROLL, "p", t->cols);
    emit_set(b, reg_at(xv, p), expr_load(b, l->lanes, input_at(l, c, t, k, p)));
    end(l, p);
    struct affine i = loop(l, VAR_UNROLL, "i", n), lane = affine_plus(i, first);
    struct step one = *k;
    one.i = affine_add(k->i, lane);
    step_body(l, c, t, acc, &one, xv, lane);
    end(l, i);
}

/* With step i, the line of position i (or the i-th ones) some blocks ahead. */
static void fetch_inputs(struct lowering *l, struct direct *c, const struct tile *t, const struct step *k)
{
    struct step ahead = {affine_plus(k->ib, c->s.ahead), k->ky, k->kx, l->zero};
    int64_t n = (t->cols + BLOCK - 1) / BLOCK;
    for (int64_t j = 0; j < n; j++)
        emit_prefetch(&l->build, input_at(l, c, t, &ahead, affine_plus(affine_scale(k->i, n), j)), 1);
}

/* A part of the next tile's weights: after all tiles that use these, all of the next ones are near. */
static void fetch_stream(struct lowering *l, struct direct *c, const struct tile *t, struct affine ib)
{
    const struct conv_dims *d = &c->d;
    if (!c->s.stream)
        return;
    if (c->sums) { /* of each panel the next slice; behind the last one lies the next tile's first */
        struct step next = {affine_scale(affine_plus(c->slice, 1), c->s.depth), l->zero, l->zero, l->zero};
        struct affine inside = affine_add(ib, affine_scale(c->slice, -c->s.depth));
        struct affine share = affine_add(affine_scale(t->number, c->s.depth), inside);
        struct affine v = loop(l, VAR_UNROLL, "v", t->nb), j = loop(l, VAR_UNROLL, "j", c->s.stream);
        next.i = affine_add(affine_scale(share, c->s.stream), j);
        emit_prefetch(&l->build, weight_at(c, affine_add(t->block, v), &next, l->zero), 1);
        end(l, j);
        end(l, v);
        return;
    }
    struct affine line = affine_scale(affine_add(affine_scale(t->number, d->ib), ib), c->s.stream);
    struct step first = {l->zero, l->zero, l->zero, line};
    struct affine j = loop(l, VAR_UNROLL, "j", c->s.stream);
    first.i = affine_add(line, j);
    emit_prefetch(&l->build, weight_at(c, affine_plus(t->block, t->nb), &first, l->zero), 2);
    end(l, j);
}

/* Steps 0 to `rows` of one tap and block. What is left over after whole vectors is loaded with the lanes behind it, where a
 * block has them; else with the lanes before it. */
static void steps(struct lowering *l, struct direct *c, const struct tile *t, struct reg *acc, struct step *k,
                  int64_t rows)
{
    bool blocks = c->x->dim[c->x->rank - 1] == BLOCK;
    if (!c->quad || (rows < c->quad && !blocks)) {
        k->i = loop(l, VAR_FOR, "i", rows);
        if (l->target->by_lane && t->cols > 1)
            emit_fence(&l->build); /* see steps_by_lane */
        if (c->s.ahead && rows == BLOCK)
            fetch_inputs(l, c, t, k);
        step_body(l, c, t, acc, k, NULL, l->zero);
        end(l, k->i);
        return;
    }
    int64_t whole = rows / c->quad, rest = rows % c->quad;
    if (whole) {
        struct affine iq = loop(l, VAR_FOR, "iq", whole);
        k->i = affine_scale(iq, c->quad);
        steps_by_lane(l, c, t, acc, k, 0, c->quad);
        end(l, iq);
    }
    k->i = affine_const(blocks ? rows - rest : rows - c->quad);
    if (rest)
        steps_by_lane(l, c, t, acc, k, blocks ? 0 : c->quad - rest, rest);
}

/* Blocks [first, first + blocks) of the input with `rows` channels each, over all taps. */
static void reduce_blocks(struct lowering *l, struct direct *c, const struct tile *t, struct reg *acc,
                          struct affine first, int64_t blocks, int64_t rows)
{
    if (!blocks || !rows)
        return;
    struct step k;
    struct affine ib = loop(l, VAR_FOR, "ib", blocks);
    k.ib = affine_add(first, ib);
    fetch_stream(l, c, t, k.ib);
    k.ky = loop(l, VAR_FOR, "ky", c->d.kh);
    k.kx = c->pixels ? affine_const(0) : loop(l, VAR_FOR, "kx", c->d.kw);
    steps(l, c, t, acc, &k, rows);
    end(l, k.kx);
    end(l, k.ky);
    end(l, ib);
}

/* `channels` channels from block `first` on. */
static void reduce_segment(struct lowering *l, struct direct *c, const struct tile *t, struct reg *acc,
                           struct affine first, int64_t channels)
{
    int64_t block = rows_a_block(c), full = channels / block;
    reduce_blocks(l, c, t, acc, first, full, block);
    reduce_blocks(l, c, t, acc, affine_plus(first, full), 1, channels % block);
}

static void reduce(struct lowering *l, struct direct *c, const struct tile *t, struct reg *acc)
{
    const struct conv_dims *d = &c->d;
    if (c->sums) {
        reduce_blocks(l, c, t, acc, affine_scale(c->slice, c->s.depth), c->s.depth, BLOCK);
        return;
    }
    if (c->pixels) {
        reduce_blocks(l, c, t, acc, l->zero, 1, d->kw * d->block);
        return;
    }
    int64_t seg = d->groups == 1 && l->node->in[0]->type.layout.seg ? l->node->in[0]->type.layout.seg : d->ic;
    int64_t block = rows_a_block(c), a_seg = (seg + block - 1) / block;
    struct affine s = loop(l, VAR_FOR, "s", d->ic / seg);
    reduce_segment(l, c, t, acc, affine_scale(s, a_seg), seg);
    end(l, s);
    if (d->ic % seg)
        reduce_segment(l, c, t, acc, affine_const(d->ic / seg * a_seg), d->ic % seg); /* the last one is not full */
}

static struct expr *bias(struct lowering *l, struct direct *c, const struct tile *t, struct affine v, struct affine u)
{
    struct affine channel = affine_add(affine_scale(affine_add(t->block, v), BLOCK), lane_of(l, c, u));
    return expr_load(&l->build, l->lanes, at(c->b, channel));
}

/* In slices: where the sum of position p stands meanwhile. */
static struct element_ref sum_at(struct lowering *l, struct direct *c, const struct tile *t, struct affine p,
                                 struct affine v, struct affine u)
{
    struct affine row = affine_add(t->row, affine_scale(c->band, -c->s.band));
    struct affine position = affine_add(affine_scale(row, c->d.ow), affine_add(t->col, p));
    return at(c->sums, position, v, lane_of(l, c, u));
}

static void tile(struct lowering *l, struct direct *c, const struct tile *t)
{
    struct builder *b = &l->build;
    struct reg *acc =
        emit_reg(b, fresh(l, "acc"), vector(l->lanes), c->nu > 1 ? 3 : 2, (int64_t[]){t->cols, t->nb, c->nu});
    struct affine p = loop(l, VAR_UNROLL, "p", t->cols), v = loop(l, VAR_UNROLL, "v", t->nb),
                  u = loop(l, VAR_UNROLL, "u", c->nu);
    emit_set(b, accumulator(acc, p, v, u),
             c->sums ? expr_load(b, l->lanes, sum_at(l, c, t, p, v, u)) : bias(l, c, t, v, u));
    if (c->s.prefetch && !c->quad)
        fetch_operands(l, affine_add(t->block, v), t->row, affine_add(t->col, p));
    end(l, u), end(l, v), end(l, p);
    reduce(l, c, t, acc);
    if (c->sums) {
        p = loop(l, VAR_UNROLL, "p", t->cols), v = loop(l, VAR_UNROLL, "v", t->nb), u = loop(l, VAR_UNROLL, "u", c->nu);
        emit_store(b, sum_at(l, c, t, p, v, u), expr_reg(b, accumulator(acc, p, v, u)), l->lanes);
        end(l, u), end(l, v), end(l, p);
        if_begin(b, c->slice, c->d.ib / c->s.depth - 1, c->d.ib / c->s.depth);
    }
    p = loop(l, VAR_UNROLL, "p", t->cols), v = loop(l, VAR_UNROLL, "v", t->nb), u = loop(l, VAR_UNROLL, "u", c->nu);
    store_result(l, affine_add(t->block, v), t->row, affine_add(t->col, p), lane_of(l, c, u),
                 expr_reg(b, accumulator(acc, p, v, u)), l->lanes);
    end(l, u), end(l, v), end(l, p);
    if (c->sums)
        block_end(b);
}

/* In slices: the sums begin with the bias. */
static void begin_sums(struct lowering *l, struct direct *c, const struct tile *t)
{
    struct tile whole = *t;
    whole.row = affine_scale(c->band, c->s.band);
    whole.col = l->zero;
    struct affine p = loop(l, VAR_FOR, "p", c->sums->dim[0]), v = loop(l, VAR_UNROLL, "v", t->nb),
                  u = loop(l, VAR_UNROLL, "u", c->nu);
    emit_store(&l->build, sum_at(l, c, &whole, p, v, u), bias(l, c, t, v, u), l->lanes);
    end(l, u), end(l, v), end(l, p);
}

/* All positions of the task's band for `nb` blocks from `block` on. */
static void positions(struct lowering *l, struct direct *c, struct affine block, int64_t nb)
{
    int64_t width = l->flat ? c->d.oh * c->d.ow : c->d.ow;
    struct cover cols = cover(width, c->s.cols);
    struct tile t = {.block = block, .nb = nb};
    c->sub = loop(l, VAR_FOR, "h", c->subs);
    if (c->sums) {
        begin_sums(l, c, &t);
        c->slice = loop(l, VAR_FOR, "ks", c->d.ib / c->s.depth);
    }
    struct affine q = l->flat ? l->zero : loop(l, VAR_FOR, "q", c->s.band);
    t.row = affine_add(affine_scale(c->band, c->s.band), q);
    for (int part = 0; part < 2; part++) {
        int64_t n = part ? cols.n_less : cols.n;
        if (!n)
            continue;
        t.cols = part ? cols.size - 1 : cols.size;
        struct affine i = loop(l, VAR_FOR, "t", n);
        t.col = affine_plus(affine_scale(i, t.cols), part ? cols.n * cols.size : 0);
        t.number = affine_plus(affine_add(affine_scale(q, cols.n + cols.n_less), i), part ? cols.n : 0);
        tile(l, c, &t);
        end(l, i);
    }
    if (!l->flat)
        end(l, q);
    if (c->sums)
        end(l, c->slice);
    end(l, c->sub);
}

/* Tiles of channels [0, n) from `first` on, whose number a task may choose. */
static void channels(struct lowering *l, struct direct *c, struct affine first, int64_t n)
{
    struct affine o = loop(l, VAR_FOR, "o", n);
    positions(l, c, affine_scale(affine_add(first, o), c->nb), c->nb);
    end(l, o);
}

/* One group's channels: blocks [d.ob * group, + d.ob). */
static void one_group(struct lowering *l, struct direct *c)
{
    int64_t full = c->d.ob / c->nb, rest = c->d.ob % c->nb;
    struct affine first = affine_scale(c->group, c->d.ob);
    struct affine o = loop(l, VAR_FOR, "o", full);
    if (full)
        positions(l, c, affine_add(first, affine_scale(o, c->nb)), c->nb);
    end(l, o);
    if (rest)
        positions(l, c, affine_plus(first, full * c->nb), rest);
}

static struct affine band_task(struct lowering *l, struct direct *c)
{
    int64_t bands = l->flat ? 1 : c->d.oh / c->s.band;
    return bands > 1 ? affine_var(kernel_task(&l->build, "r", bands), 1) : l->zero;
}

/* Few wide groups: a task has a part of one's channels. */
static void parts_of_groups(struct lowering *l, struct direct *c)
{
    int64_t parts = c->d.ob / c->nb / c->s.chunk;
    c->group = affine_var(kernel_task(&l->build, "g", c->d.groups), 1);
    struct affine first = affine_scale(c->group, c->d.ob),
                  task = affine_var(kernel_task(&l->build, "c", parts), c->s.chunk * c->nb);
    struct affine o = loop(l, VAR_FOR, "o", c->s.chunk), block = affine_add(first, task);
    positions(l, c, affine_add(block, affine_scale(o, c->nb)), c->nb);
    end(l, o);
    store_halo(l, block, c->s.chunk * c->nb, l->zero, 1, c->d.oh);
}

static void grouped(struct lowering *l, struct direct *c)
{
    int64_t a_group = (c->d.ob + c->nb - 1) / c->nb, bands = c->d.oh / c->s.band;
    if (c->s.chunk && c->s.chunk < a_group) {
        parts_of_groups(l, c);
        return;
    }
    int64_t chunk = c->s.chunk ? c->s.chunk / a_group : c->d.groups, tasks = c->d.groups / chunk;
    struct affine task = tasks > 1 ? affine_var(kernel_task(&l->build, "c", tasks), chunk) : l->zero;
    int64_t a_block = c->d.lanes_in ? BLOCK / c->d.lanes_in : 1; /* groups that share a block of the input */
    struct affine gb = loop(l, VAR_FOR, "g", chunk / a_block), g = loop(l, VAR_FOR, "gi", a_block);
    c->group = affine_add(task, affine_add(affine_scale(gb, a_block), g));
    one_group(l, c);
    end(l, g);
    end(l, gb);
    store_halo(l, affine_scale(task, c->d.ob), chunk * c->d.ob, c->band, bands, c->s.band);
}

static void dense(struct lowering *l, struct direct *c)
{
    int64_t full = c->d.ob / c->nb, rest = c->d.ob % c->nb, bands = l->flat ? 1 : c->d.oh / c->s.band;
    c->group = l->zero;
    if (!c->s.chunk || full + (rest > 0) == 1) {
        one_group(l, c);
        store_halo(l, l->zero, c->d.ob, c->band, bands, c->s.band);
        return;
    }
    if (!rest) {
        struct affine task =
            full / c->s.chunk > 1 ? affine_var(kernel_task(&l->build, "c", full / c->s.chunk), c->s.chunk) : l->zero;
        channels(l, c, task, c->s.chunk);
        store_halo(l, affine_scale(task, c->nb), c->s.chunk * c->nb, c->band, bands, c->s.band);
        return;
    }
    struct affine task = affine_var(kernel_task(&l->build, "c", full + 1), 1); /* the last tile has fewer blocks */
    if (full) {
        if_begin(&l->build, task, 0, full);
        positions(l, c, affine_scale(task, c->nb), c->nb);
        store_halo(l, affine_scale(task, c->nb), c->nb, c->band, bands, c->s.band);
        block_end(&l->build);
    }
    if_begin(&l->build, task, full, full + 1);
    positions(l, c, affine_const(full * c->nb), rest);
    store_halo(l, affine_const(full * c->nb), rest, c->band, bands, c->s.band);
    block_end(&l->build);
}

struct kernel *lower_direct(struct lowering *l)
{
    struct node *n = l->node;
    struct direct c = {.d = conv_dims(n), .s = n->schedule};
    int64_t nv = c.s.channels / l->lanes;
    l->flat = c.s.rows == 0;
    c.nu = nv < l->vectors ? nv : l->vectors;
    c.nb = nv < l->vectors ? 1 : nv / l->vectors;
    c.subs = l->vectors / c.nu;
    c.pixels = c.d.block < BLOCK && c.d.dx == 1 && !l->flat;
    c.quad = l->target->by_lane && c.d.lanes_in % l->lanes == 0 ? l->lanes : 0;
    use_buffers(l, &c);
    c.band = band_task(l, &c);
    if (c.s.depth)
        c.sums = kernel_buffer(&l->build, DIR_LOCAL, "sums", 3,
                               (int64_t[]){l->flat ? c.d.oh * c.d.ow : c.s.band * c.d.ow, c.nb, BLOCK});
    if (c.d.groups > 1)
        grouped(l, &c);
    else
        dense(l, &c);
    return kernel_end(&l->build);
}
