/* Pools, block by block. Where the input has a border of zeros that cannot change the result, the window is read without a test;
 * elsewhere each tap is guarded, and an average whose divisor depends on the position takes its reciprocal from a table. */
#include "lower/lower.h"

struct pool {
    const struct attrs *a;
    struct node *n;
    struct buffer *x, *table; /* table: reciprocals [OH, OW], or NULL */
    bool guarded;
    int64_t ih, iw, oh, ow;
    int halo;
};

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* Cells of one dimension that count in the divisor of output `o`: in the padded picture, or in the picture alone. */
static int64_t cells(const struct pool *p, int d, int64_t o, bool padded)
{
    int64_t size = d ? p->iw : p->ih, pad = p->a->pad[d], first = o * p->a->stride[d] - pad,
            last = first + p->a->kernel[d];
    if (padded)
        return clamp(last, first, size + pad) - first;
    return clamp(last, 0, size) - clamp(first, 0, size);
}

/* The reciprocal of the divisor, if it is the same everywhere; else 0 and the table is filled. */
static double divisor(struct lowering *l, struct pool *p, double **table)
{
    double *t = NEW_ARRAY(l->program->arena, double, p->oh * p->ow);
    bool same = true;
    for (int64_t y = 0; y < p->oh; y++)
        for (int64_t x = 0; x < p->ow; x++) {
            t[y * p->ow + x] = 1.0 / (double)(cells(p, 0, y, p->a->count_pad) * cells(p, 1, x, p->a->count_pad));
            same = same && t[y * p->ow + x] == t[0];
        }
    *table = t;
    return same ? t[0] : 0;
}

static void use_table(struct lowering *l, struct pool *p, const double *value)
{
    struct param *table = NEW(l->program->arena, struct param);
    *table = (struct param){.name = arena_printf(l->program->arena, "%s.reciprocals", p->n->name),
                            .op = PARAM_CONSTANT,
                            .value = value,
                            .shape = {2, {p->oh, p->ow}},
                            .id = -1};
    p->table = use_weights(l, "t", (struct pack){.param = table, .kind = PACK_PLAIN}, 2, (int64_t[]){p->oh, p->ow});
}

/* acc = op(acc, x) over the window of one position. */
static void window(struct lowering *l, struct pool *p, struct reg *acc, struct affine block, struct affine y,
                   struct affine x, struct affine lane)
{
    struct builder *b = &l->build;
    enum vop op = p->n->op == OP_max_pool ? VOP_max : VOP_add;
    enum var_kind kind = p->guarded ? VAR_FOR : VAR_UNROLL;
    struct affine ky = loop(l, kind, "ky", p->a->kernel[0]), kx = loop(l, kind, "kx", p->a->kernel[1]);
    struct affine iy = affine_plus(affine_add(affine_scale(y, p->a->stride[0]), ky), -p->a->pad[0]);
    struct affine ix = affine_plus(affine_add(affine_scale(x, p->a->stride[1]), kx), -p->a->pad[1]);
    if (p->guarded) {
        if_begin(b, iy, 0, p->ih);
        if_begin(b, ix, 0, p->iw);
    }
    struct expr *v = expr_load(b, l->lanes, at(p->x, block, affine_plus(iy, p->halo), affine_plus(ix, p->halo), lane));
    emit_set(b, reg_at(acc), expr_op(b, op, v, expr_reg(b, reg_at(acc)), NULL));
    if (p->guarded) {
        block_end(b);
        block_end(b);
    }
    end(l, kx);
    end(l, ky);
}

static void position(struct lowering *l, struct pool *p, double reciprocal, struct affine block, struct affine y,
                     struct affine x, struct affine lane)
{
    struct builder *b = &l->build;
    bool max = p->n->op == OP_max_pool;
    struct reg *acc = emit_reg(b, fresh(l, "acc"), vector(l->lanes), 0, NULL);
    emit_set(b, reg_at(acc), expr_const(b, l->lanes, max ? -(double)__builtin_inff() : 0));
    window(l, p, acc, block, y, x, lane);
    struct expr *v = expr_reg(b, reg_at(acc));
    if (!max)
        v = expr_op(b, VOP_mul, v,
                    p->table ? expr_splat(b, l->lanes, at(p->table, y, x)) : expr_const(b, l->lanes, reciprocal), NULL);
    store_result(l, block, y, x, lane, v, l->lanes);
}

struct kernel *lower_pool(struct lowering *l)
{
    struct node *n = l->node;
    const struct node *in = n->in[0];
    struct pool p = {.a = &n->attrs,
                     .n = n,
                     .ih = in->type.shape.dim[1],
                     .iw = in->type.shape.dim[2],
                     .oh = n->type.shape.dim[1],
                     .ow = n->type.shape.dim[2],
                     .halo = in->type.layout.halo};
    p.guarded = !pool_reads_border(n) && (n->attrs.pad[0] || n->attrs.pad[1] || pool_overhangs(n));
    p.x = use_value(l, DIR_IN, "x", in);
    double *table = NULL, reciprocal = n->op == OP_avg_pool ? divisor(l, &p, &table) : 0;
    if (n->op == OP_avg_pool && !reciprocal)
        use_table(l, &p, table);
    use_result(l);
    int64_t bands = p.oh / n->schedule.band, blocks = layout_blocks(n->type),
            chunk = n->schedule.chunk ? n->schedule.chunk : blocks;
    struct affine r = bands > 1 ? affine_var(kernel_task(&l->build, "r", bands), 1) : l->zero;
    struct affine c = blocks > chunk ? affine_var(kernel_task(&l->build, "c", blocks / chunk), chunk) : l->zero;
    struct affine o = loop(l, VAR_FOR, "o", chunk), q = loop(l, VAR_FOR, "q", n->schedule.band),
                  x = loop(l, VAR_FOR, "ox", p.ow);
    struct affine u = loop(l, VAR_FOR, "u", l->vectors);
    position(l, &p, reciprocal, affine_add(c, o), affine_add(affine_scale(r, n->schedule.band), q), x,
             affine_scale(u, l->lanes));
    end(l, u);
    end(l, x);
    end(l, q);
    end(l, o);
    store_halo(l, c, chunk, r, bands, n->schedule.band);
    return kernel_end(&l->build);
}

/* Average over all positions of the sum of the inputs: a sum a channel, rows first, each in ascending order. */
struct kernel *lower_global_pool(struct lowering *l)
{
    struct builder *b = &l->build;
    struct node *n = l->node;
    const struct node *in = n->in[0];
    int64_t h = in->type.shape.dim[1], w = in->type.shape.dim[2], blocks = layout_blocks(n->type);
    int64_t chunk = n->schedule.chunk ? n->schedule.chunk : blocks;
    struct buffer *x[MAX_BUFFERS];
    for (int i = 0; i < n->n_in; i++) {
        int same = 0;
        while (n->in[same] != n->in[i])
            same++;
        const char *name = i ? arena_printf(b->arena, "x%d", i) : "x";
        x[i] = same < i ? x[same] : use_value(l, DIR_IN, name, n->in[i]);
    }
    use_result(l);
    struct affine c = blocks > chunk ? affine_var(kernel_task(b, "c", blocks / chunk), chunk) : l->zero;
    struct affine o = loop(l, VAR_FOR, "o", chunk), u = loop(l, VAR_FOR, "u", l->vectors);
    struct affine block = affine_add(c, o), lane = affine_scale(u, l->lanes);
    struct reg *acc = emit_reg(b, fresh(l, "acc"), vector(l->lanes), 0, NULL);
    emit_set(b, reg_at(acc), zero_of(l, l->lanes));
    struct affine y = loop(l, VAR_FOR, "iy", h), ix = loop(l, VAR_FOR, "ix", w);
    struct expr *v = NULL;
    for (int i = 0; i < n->n_in; i++) {
        int halo = n->in[i]->type.layout.halo;
        struct expr *one = expr_load(b, l->lanes, at(x[i], block, affine_plus(y, halo), affine_plus(ix, halo), lane));
        v = v ? expr_op(b, VOP_add, v, one, NULL) : one;
    }
    emit_set(b, reg_at(acc), expr_op(b, VOP_add, expr_reg(b, reg_at(acc)), v, NULL));
    end(l, ix);
    end(l, y);
    v = expr_op(b, VOP_mul, expr_reg(b, reg_at(acc)), expr_const(b, l->lanes, 1.0 / (double)(h * w)), NULL);
    store_result(l, block, l->zero, l->zero, lane, v, l->lanes);
    end(l, u);
    end(l, o);
    store_halo(l, c, chunk, l->zero, 1, 1);
    return kernel_end(b);
}
