/* Winograd's minimal convolution, F(2x2,3x3) and F(4x4,3x3): a map is cut into tiles of m x m outputs, which m + 2 inputs a side
 * make. In the transformed domain a convolution is a product of matrices for each of the (m + 2)^2 points, so that there are
 * 4 (m = 4) or 2.25 times (m = 2) fewer multiply-adds. The weights were transformed when they were packed.
 *
 *   xt[xi, ib, t]  = B^T x B               for each tile t and block of inputs      (winograd_transform.c)
 *   prod[xi, o, t] = sum_ic xt[xi, ic, t] * w[o, xi, ic]    a register tile of tiles x channels, as in direct
 *   y              = A^T prod A + bias, epilogues
 *
 * Schedule: rows is m; cols x channels is the register tile (of tiles); band: rows of tiles that are multiplied at a time.
 *   chunk 0   one kernel; a task is a band with all channels. v is local to it: made, used and forgotten in the cache.
 *             Groups: chunk groups a task.
 *   chunk > 0 two kernels: the first transforms the whole input, `depth` blocks a task; in the second a task is a band of `chunk` tiles of
 *             channels. The transformed input is a value of its own in the workspace.
 * prefetch: while the products of a point are summed, the weights of the next one are fetched, by as many of its register tiles as
 * there are blocks.
 */
#include "lower/winograd.h"

static void use_weights_of(struct lowering *l, struct winograd *w)
{
    struct node *n = l->node;
    const struct conv_dims *d = &w->d;
    int64_t ob = d->groups * d->ob;
    struct pack weights = {.param = n->param[0],
                           .kind = PACK_WINOGRAD,
                           .in = n->in[0]->type.layout,
                           .out = n->type.layout,
                           .groups = d->groups,
                           .node = n};
    struct pack bias = {
        .param = n->param[1], .kind = PACK_VECTOR, .out = n->type.layout, .groups = d->groups, .node = n};
    w->w = use_weights(l, "w", weights, 5, (int64_t[]){ob, w->a * w->a, d->ib, BLOCK, BLOCK});
    w->b = use_weights(l, "b", bias, 1, (int64_t[]){ob * BLOCK});
}

/* ---- products ---- */

struct tile { /* register tile: tiles [first, + cols) of the band, nb blocks from `block` on */
    struct affine block, first, at; /* first in p; at in v */
    int64_t nb, cols;
    struct affine xi, sub;
    struct affine fetch; /* the block whose next weights it fetches */
    int64_t n_fetch;
};

static struct affine lane_of(const struct lowering *l, const struct winograd *w, const struct tile *t, struct affine u)
{
    return affine_scale(affine_add(affine_scale(t->sub, w->nu), u), l->lanes);
}

static struct reg_ref accumulator(struct reg *acc, struct affine p, struct affine v, struct affine u)
{
    return acc->rank == 3 ? reg_at(acc, p, v, u) : reg_at(acc, p, v);
}

/* acc[p, ..] += v[xi, ib, tile p, i] * weights of channel i; the input is lane `lane` of xv[p] if that is there. */
static void step(struct lowering *l, struct winograd *w, const struct tile *t, struct reg *acc, struct affine ib,
                 struct affine i, struct reg *xv, struct affine lane)
{
    struct builder *b = &l->build;
    for (int64_t k = 0; k < t->n_fetch; k++)
        emit_prefetch(
            b, at(w->w, affine_plus(affine_add(t->block, t->fetch), k), affine_plus(t->xi, 1), ib, i, l->zero), 1);
    struct reg *wv = emit_reg(b, fresh(l, "wv"), vector(l->lanes), 2, (int64_t[]){t->nb, w->nu});
    struct affine v = loop(l, VAR_UNROLL, "v", t->nb), u = loop(l, VAR_UNROLL, "u", w->nu);
    emit_set(b, reg_at(wv, v, u),
             expr_load(b, l->lanes, at(w->w, affine_add(t->block, v), t->xi, ib, i, lane_of(l, w, t, u))));
    end(l, u);
    end(l, v);
    struct affine p = loop(l, VAR_UNROLL, "p", t->cols);
    struct expr *xs =
        xv ? expr_lane(b, reg_at(xv, p), lane)
           : emit_let(b, fresh(l, "xs"), expr_splat(b, l->lanes, at(w->v, t->xi, ib, affine_add(t->at, p), i)));
    v = loop(l, VAR_UNROLL, "v", t->nb), u = loop(l, VAR_UNROLL, "u", w->nu);
    struct reg_ref sum = accumulator(acc, p, v, u);
    emit_set(b, sum, expr_op(b, VOP_fma, xs, expr_reg(b, reg_at(wv, v, u)), expr_reg(b, sum)));
    end(l, u);
    end(l, v);
    end(l, p);
}

/* `n` steps out of one load for each tile. */
static void steps_by_lane(struct lowering *l, struct winograd *w, const struct tile *t, struct reg *acc,
                          struct affine ib, struct affine first, int64_t n)
{
    struct builder *b = &l->build;
    emit_fence(b); /* see conv_direct.c */
    struct reg *xv = emit_reg(b, fresh(l, "xv"), vector(l->lanes), 1, (int64_t[]){t->cols});
    struct affine p = loop(l, VAR_UNROLL, "p", t->cols);
    emit_set(b, reg_at(xv, p), expr_load(b, l->lanes, at(w->v, t->xi, ib, affine_add(t->at, p), first)));
    end(l, p);
    struct affine i = loop(l, VAR_UNROLL, "i", n);
    step(l, w, t, acc, ib, affine_add(first, i), xv, i);
    end(l, i);
}

/* The first `rows` channels of blocks [first, first + blocks). */
static void reduce_blocks(struct lowering *l, struct winograd *w, const struct tile *t, struct reg *acc,
                          struct affine first, int64_t blocks, int64_t rows)
{
    if (!blocks || !rows)
        return;
    struct affine k = loop(l, VAR_FOR, "ib", blocks), ib = affine_add(first, k);
    int64_t quad = l->target->by_lane ? l->lanes : 0, whole = quad ? rows / quad : 0;
    if (!quad) {
        struct affine i = loop(l, VAR_FOR, "i", rows);
        step(l, w, t, acc, ib, i, NULL, l->zero);
        end(l, i);
    } else {
        struct affine iq = loop(l, VAR_FOR, "iq", whole ? whole : 1);
        if (whole)
            steps_by_lane(l, w, t, acc, ib, affine_scale(iq, quad), quad);
        end(l, iq);
        if (rows % quad)
            steps_by_lane(l, w, t, acc, ib, affine_const(whole * quad), rows % quad);
    }
    end(l, k);
}

/* All channels that there are: pad lanes of segments are left out. */
static void reduce(struct lowering *l, struct winograd *w, const struct tile *t, struct reg *acc)
{
    const struct conv_dims *d = &w->d;
    int64_t seg = d->groups == 1 && l->node->in[0]->type.layout.seg ? l->node->in[0]->type.layout.seg : d->ic;
    int64_t a_seg = (seg + BLOCK - 1) / BLOCK;
    for (int part = 0; part < 2; part++) { /* the last segment may not be full */
        int64_t n = part ? d->ic % seg > 0 : d->ic / seg, channels = part ? d->ic % seg : seg;
        if (!n)
            continue;
        struct affine s = loop(l, VAR_FOR, "s", n),
                      first = affine_plus(affine_scale(s, a_seg), part ? d->ic / seg * a_seg : 0);
        reduce_blocks(l, w, t, acc, first, channels / BLOCK, BLOCK);
        reduce_blocks(l, w, t, acc, affine_plus(first, channels / BLOCK), 1, channels % BLOCK);
        end(l, s);
    }
}

static void multiply(struct lowering *l, struct winograd *w, const struct tile *t)
{
    struct builder *b = &l->build;
    struct reg *acc =
        emit_reg(b, fresh(l, "acc"), vector(l->lanes), w->nu > 1 ? 3 : 2, (int64_t[]){t->cols, t->nb, w->nu});
    struct affine p = loop(l, VAR_UNROLL, "p", t->cols), v = loop(l, VAR_UNROLL, "v", t->nb),
                  u = loop(l, VAR_UNROLL, "u", w->nu);
    emit_set(b, accumulator(acc, p, v, u), zero_of(l, l->lanes));
    end(l, u), end(l, v), end(l, p);
    reduce(l, w, t, acc);
    p = loop(l, VAR_UNROLL, "p", t->cols), v = loop(l, VAR_UNROLL, "v", t->nb), u = loop(l, VAR_UNROLL, "u", w->nu);
    emit_store(b, at(w->p, t->xi, v, affine_add(t->first, p), lane_of(l, w, t, u)),
               expr_reg(b, accumulator(acc, p, v, u)), l->lanes);
    end(l, u), end(l, v), end(l, p);
}

/* Register tiles [from, to) of those with t->cols. */
static void some_tiles(struct lowering *l, struct winograd *w, struct tile t, const struct band *band, int64_t start,
                       int64_t from, int64_t to, int64_t n_fetch)
{
    if (from >= to)
        return;
    struct affine i = affine_plus(loop(l, VAR_FOR, "t", to - from), from);
    t.first = affine_plus(affine_scale(i, t.cols), start);
    t.at = affine_add(affine_scale(band->at, w->tw), t.first);
    t.n_fetch = n_fetch;
    t.fetch = affine_scale(i, n_fetch);
    multiply(l, w, &t);
    if (to - from > 1)
        block_end(&l->build);
}

/* All points and tiles of the band for nb blocks from `block` on. */
static void products(struct lowering *l, struct winograd *w, struct affine block, int64_t nb, const struct band *band)
{
    struct cover cols = cover(band->rows * w->tw, w->s.cols);
    struct tile t = {.block = block, .nb = nb};
    int64_t tiles = cols.n + cols.n_less, each = (nb + tiles - 1) / tiles; /* blocks that a tile fetches */
    int64_t fetching = w->s.prefetch && w->subs == 1 && nb % each == 0 ? nb / each : 0;
    t.xi = loop(l, VAR_FOR, "xi", w->a * w->a);
    t.sub = loop(l, VAR_FOR, "h", w->subs);
    t.cols = cols.size;
    some_tiles(l, w, t, band, 0, 0, least_of(fetching, cols.n), each);
    some_tiles(l, w, t, band, 0, least_of(fetching, cols.n), cols.n, 0);
    t.cols = cols.size - 1;
    some_tiles(l, w, t, band, cols.n * cols.size, 0, cols.n_less, 0);
    end(l, t.sub);
    end(l, t.xi);
}

/* ---- tasks ---- */

static void one_tile(struct lowering *l, struct winograd *w, struct affine block, int64_t nb, const struct band *band)
{
    emit_comment(&l->build, "prod = xt * w, point by point");
    products(l, w, block, nb, band);
    emit_comment(&l->build, "y = A^T prod A + b");
    struct affine v = loop(l, VAR_FOR, "v", nb);
    winograd_output(l, w, affine_add(block, v), v, band);
    end(l, v);
}

/* Of the channels of a task: groups, or tiles of channels of the only group. */
struct part {
    struct affine first; /* group, or tile of nb blocks */
    int64_t n;
    bool all; /* one kernel: transforms the input and makes all channels of its groups */
    bool rest; /* the one tile of channels that has fewer blocks */
};

static void compute(struct lowering *l, struct winograd *w, const struct part *part, const struct band *band)
{
    const struct conv_dims *d = &w->d;
    int64_t full = d->ob / w->nb, rest = d->ob % w->nb;
    if (!part->all) {
        struct affine o = loop(l, VAR_FOR, "o", part->n);
        one_tile(l, w, affine_scale(affine_add(part->first, o), w->nb), part->rest ? rest : w->nb, band);
        end(l, o);
        return;
    }
    struct affine g = loop(l, VAR_FOR, "g", part->n), group = affine_add(part->first, g),
                  block = affine_scale(group, d->ob);
    emit_comment(&l->build, "xt = B^T x B");
    struct affine ib = loop(l, VAR_FOR, "ib", d->ib);
    winograd_input(l, w, affine_add(affine_scale(group, d->ib), ib), ib, band);
    end(l, ib);
    if (full) {
        struct affine o = loop(l, VAR_FOR, "o", full);
        one_tile(l, w, affine_add(block, affine_scale(o, w->nb)), w->nb, band);
        end(l, o);
    }
    if (rest)
        one_tile(l, w, affine_plus(block, full * w->nb), rest, band);
    end(l, g);
}

static void compute_bands(struct lowering *l, struct winograd *w, const struct part *part, struct affine r)
{
    int64_t bands = (w->th + w->s.band - 1) / w->s.band, rows = w->s.band * w->m;
    int64_t blocks = part->all ? part->n * w->d.ob : part->rest ? w->d.ob % w->nb : part->n * w->nb;
    struct affine block = affine_scale(part->first, part->all ? w->d.ob : w->nb), first = affine_scale(r, w->s.band);
    struct band band = {.first = first, .at = part->all ? l->zero : first, .rows = w->s.band};
    if (bands == 1 || w->d.oh == bands * rows) {
        band.last = bands == 1;
        compute(l, w, part, &band);
        store_halo(l, block, blocks, r, bands, bands == 1 ? w->d.oh : rows);
        return;
    }
    if_begin(&l->build, r, 0, bands - 1);
    compute(l, w, part, &band);
    store_border(l, block, blocks, affine_scale(first, w->m), rows, true, false, bands > 2 ? &r : NULL);
    block_end(&l->build);
    if_begin(&l->build, r, bands - 1, bands);
    band.rows = w->th - (bands - 1) * w->s.band;
    band.last = true;
    compute(l, w, part, &band);
    store_border(l, block, blocks, affine_scale(first, w->m), w->d.oh - (bands - 1) * rows, false, true, NULL);
    block_end(&l->build);
}

static struct affine band_task(struct lowering *l, const struct winograd *w)
{
    int64_t bands = (w->th + w->s.band - 1) / w->s.band;
    return bands > 1 ? affine_var(kernel_task(&l->build, "r", bands), 1) : l->zero;
}

static struct affine chunk_task(struct lowering *l, int64_t units, int64_t chunk)
{
    return units > chunk ? affine_var(kernel_task(&l->build, "c", units / chunk), chunk) : l->zero;
}

/* Products, a few rows of tiles at a time: they are used at once. */
static void use_products(struct lowering *l, struct winograd *w)
{
    w->p = kernel_buffer(&l->build, DIR_LOCAL, "prod", 4,
                         (int64_t[]){w->a * w->a, least_of(w->nb, w->d.ob), w->s.band * w->tw, BLOCK});
}

static void one_kernel(struct lowering *l, struct winograd *w)
{
    int64_t chunk = w->s.chunk && w->d.groups > 1 ? w->s.chunk : w->d.groups;
    w->x = use_value(l, DIR_IN, "x", l->node->in[0]);
    use_weights_of(l, w);
    use_result(l);
    struct part part = {.first = chunk_task(l, w->d.groups, chunk), .n = chunk, .all = true};
    struct affine r = band_task(l, w);
    w->v = kernel_buffer(&l->build, DIR_LOCAL, "xt", 4, (int64_t[]){w->a * w->a, w->d.ib, w->s.band * w->tw, BLOCK});
    use_products(l, w);
    compute_bands(l, w, &part, r);
}

static void first_kernel(struct lowering *l, struct winograd *w, struct memory *memory, const int64_t *dim)
{
    const struct node *n = l->node;
    struct builder *b = &l->build;
    b->kernel->name = intern_printf("winograd%d_input_%dx%dx%d__%s", (int)w->m, (int)w->d.ic, (int)w->d.oh,
                                    (int)w->d.ow, l->target->isa);
    b->kernel->comment = arena_printf(b->arena, "v[xi,ic,tile] = B^T x B: the input in the domain of F(%dx%d,3x3)",
                                      (int)w->m, (int)w->m);
    w->x = use_value(l, DIR_IN, "x", n->in[0]);
    w->v = use_memory(l, DIR_OUT, "xt", memory, 4, dim);
    struct affine task = chunk_task(l, w->d.ib, w->s.depth), k = loop(l, VAR_FOR, "ib", w->s.depth),
                  ib = affine_add(task, k);
    struct band band = {.first = l->zero, .at = l->zero, .rows = w->th, .last = true};
    winograd_input(l, w, ib, ib, &band);
    end(l, k);
    next_kernel(l, kernel_end(b), arena_printf(b->arena, "%s: the transform of %s", n->name, n->in[0]->name));
}

static void two_kernels(struct lowering *l, struct winograd *w)
{
    int64_t dim[] = {w->a * w->a, w->d.ib, w->th * w->tw, BLOCK};
    struct memory *memory = scratch_memory(l, "transform", dim[0] * dim[1] * dim[2] * dim[3] * 4);
    first_kernel(l, w, memory, dim);
    w->v = use_memory(l, DIR_IN, "xt", memory, 4, dim);
    use_weights_of(l, w);
    use_result(l);
    int64_t full = w->d.ob / w->nb, rest = w->d.ob % w->nb > 0;
    struct part part = {.n = w->s.chunk};
    if (!rest) {
        part.first = chunk_task(l, full, w->s.chunk);
        struct affine r = band_task(l, w);
        use_products(l, w);
        compute_bands(l, w, &part, r);
        return;
    }
    part.first = full ? affine_var(kernel_task(&l->build, "c", full + 1), 1) : l->zero; /* the last has fewer blocks */
    part.n = 1;
    struct affine r = band_task(l, w), c = part.first;
    use_products(l, w);
    for (part.rest = !full; full || part.rest; part.rest = true) {
        if (full)
            if_begin(&l->build, c, part.rest ? full : 0, part.rest ? full + 1 : full);
        compute_bands(l, w, &part, r);
        if (full)
            block_end(&l->build);
        if (part.rest)
            break;
    }
}

struct kernel *lower_winograd(struct lowering *l)
{
    struct winograd w = {.d = conv_dims(l->node), .s = l->node->schedule};
    int64_t nv = w.s.channels / l->lanes;
    w.m = w.s.rows;
    w.a = w.m + 2;
    w.th = (w.d.oh + w.m - 1) / w.m;
    w.tw = (w.d.ow + w.m - 1) / w.m;
    w.nu = nv < l->vectors ? nv : l->vectors;
    w.nb = nv < l->vectors ? 1 : nv / l->vectors;
    w.subs = l->vectors / w.nu;
    if (w.d.groups == 1 && w.s.chunk)
        two_kernels(l, &w);
    else
        one_kernel(l, &w);
    return kernel_end(&l->build);
}
