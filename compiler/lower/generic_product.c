/* Convolutions, windows, borders and group norms over plain rows: what generic.c is for the rest. One result at a time, in the order of the
 * interpreter's sums; the outermost axis of the result is shared out as tasks. */
#include "lower/generic.h"

/* A loop, or the task where it is the first that turns more than once. */
static struct affine outer(struct lowering *l, const char *name, int64_t n)
{
    if (n > 1 && l->build.kernel->n_task == 0 && l->build.depth == 0)
        return affine_var(kernel_task(&l->build, name, n), 1);
    return loop(l, VAR_FOR, name, n);
}

void generic_end(struct lowering *l, struct affine opened)
{
    if (opened.n && opened.term[0].var->kind != VAR_TASK)
        end(l, opened);
}

struct buffer *generic_weights(struct lowering *l, const char *name, struct param *param)
{
    return use_weights(l, name, (struct pack){.param = param, .kind = PACK_PLAIN}, param->shape.rank, param->shape.dim);
}

static struct reg *accumulator(struct lowering *l, struct expr *start)
{
    struct reg *acc = emit_reg(&l->build, fresh(l, "acc"), vector(1), 0, NULL);
    emit_set(&l->build, reg_at(acc), start ? start : zero_of(l, 1));
    return acc;
}

static void multiply_add(struct lowering *l, struct reg *acc, struct expr *a, struct expr *b)
{
    emit_set(&l->build, reg_at(acc), expr_op(&l->build, VOP_fma, a, b, expr_reg(&l->build, reg_at(acc))));
}

/* Where along axis i tap k of result o lies. */
static struct affine tap_at(const struct attrs *a, int i, struct affine o, struct affine k)
{
    return affine_plus(affine_add(affine_scale(o, a->stride[i]), affine_scale(k, a->dilation[i])), -a->pad[i]);
}

/* ---- convolutions ---- */

struct conv { /* over the last axes of a tensor of any rank; conv1d has rows of 1 */
    const struct node *n;
    struct buffer *x, *w, *b;
    int lead; /* axes before the channels */
    int64_t groups, ic, oc; /* channels a group */
    int64_t size[2], kernel[2];
};

static struct conv conv_of(struct lowering *l)
{
    const struct node *n = l->node;
    bool flat = n->op == OP_conv1d, given = n->op == OP_convolve;
    const struct shape *in = &n->in[0]->type.shape, *out = &n->type.shape;
    struct conv c = {.n = n, .lead = flat ? 0 : in->rank - 3, .groups = n->attrs.groups ? n->attrs.groups : 1};
    c.ic = in->dim[c.lead] / c.groups;
    c.oc = out->dim[c.lead] / c.groups;
    for (int i = 0; i < 2; i++) {
        c.size[i] = flat && i == 0 ? 1 : in->dim[in->rank - 2 + i];
        c.kernel[i] = n->attrs.kernel[i];
    }
    c.x = use_rows(l, DIR_IN, "x", n->in[0]);
    c.w = given ? use_rows(l, DIR_IN, "w", n->in[1]) : generic_weights(l, "w", n->param[0]);
    if (given ? n->n_in > 2 : n->param[1] != NULL)
        c.b = given ? use_rows(l, DIR_IN, "bias", n->in[2]) : generic_weights(l, "bias", n->param[1]);
    return c;
}

/* acc += x * w over the group's inputs and the window, whose taps outside of the map count as nothing. */
static void convolve_one(struct lowering *l, const struct conv *c, struct reg *acc, const struct affine *lead,
                         struct affine g, struct affine oc, struct affine y, struct affine x)
{
    const struct attrs *a = &c->n->attrs;
    bool flat = c->n->op == OP_conv1d;
    struct affine i = loop(l, VAR_FOR, "i", c->ic), ky = loop(l, VAR_FOR, "ky", c->kernel[0]),
                  kx = loop(l, VAR_FOR, "kx", c->kernel[1]);
    struct affine iy = tap_at(a, 0, y, ky);
    struct affine ix = affine_plus(
        affine_add(affine_scale(x, flat ? 1 : a->stride[1]), affine_scale(kx, flat ? 1 : a->dilation[1])), -a->pad[1]);
    if (!flat)
        if_begin(&l->build, iy, 0, c->size[0]);
    if_begin(&l->build, ix, 0, c->size[1]);
    struct element_ref from = {.buffer = c->x}, weight = {.buffer = c->w};
    for (int k = 0; k < c->lead; k++)
        from.at[k] = lead[k];
    from.at[c->lead] = affine_add(affine_scale(g, c->ic), i);
    weight.at[0] = oc;
    weight.at[1] = i;
    if (flat) {
        from.at[1] = ix;
        weight.at[2] = kx;
    } else {
        from.at[c->lead + 1] = iy;
        from.at[c->lead + 2] = ix;
        weight.at[2] = ky;
        weight.at[3] = kx;
    }
    multiply_add(l, acc, expr_load(&l->build, 1, from), expr_load(&l->build, 1, weight));
    block_end(&l->build);
    if (!flat)
        block_end(&l->build);
    end(l, kx);
    end(l, ky);
    end(l, i);
}

void generic_conv(struct lowering *l)
{
    static const char *const name[MAX_RANK] = {"a", "b", "c"};
    struct conv c = conv_of(l);
    const struct shape *out = &c.n->type.shape;
    generic_result(l);
    bool flat = c.n->op == OP_conv1d;
    struct axes to = {.rank = out->rank};
    for (int k = 0; k < c.lead; k++)
        to.at[k] = outer(l, name[k], out->dim[k]);
    struct affine g = outer(l, "g", c.groups), o = outer(l, "o", c.oc);
    struct affine y = loop(l, VAR_FOR, "oy", flat ? 1 : out->dim[out->rank - 2]),
                  x = loop(l, VAR_FOR, "ox", out->dim[out->rank - 1]);
    struct affine oc = affine_add(affine_scale(g, c.oc), o);
    struct reg *acc = accumulator(l, c.b ? expr_load(&l->build, 1, at(c.b, oc)) : NULL);
    convolve_one(l, &c, acc, to.at, g, oc, y, x);
    to.at[c.lead] = oc;
    if (!flat)
        to.at[out->rank - 2] = y;
    to.at[out->rank - 1] = x;
    generic_store(l, &to, expr_reg(&l->build, reg_at(acc)));
    end(l, x);
    end(l, y);
    generic_end(l, o);
    generic_end(l, g);
    for (int k = c.lead - 1; k >= 0; k--)
        generic_end(l, to.at[k]);
}

/* A kernel a position, weights [G,taps,H,W]; what lies outside is zero, and is multiplied, too. */
void generic_local_conv(struct lowering *l)
{
    struct node *n = l->node;
    const struct attrs *a = &n->attrs;
    const struct shape *in = &n->in[0]->type.shape, *out = &n->type.shape;
    int64_t kernels = n->in[1]->type.shape.dim[0];
    struct buffer *from = use_rows(l, DIR_IN, "x", n->in[0]), *weights = use_rows(l, DIR_IN, "w", n->in[1]);
    generic_result(l);
    struct affine k = outer(l, "k", out->dim[0] / kernels), g = outer(l, "g", kernels);
    struct affine c = affine_add(affine_scale(k, kernels), g);
    struct affine y = loop(l, VAR_FOR, "oy", out->dim[1]), x = loop(l, VAR_FOR, "ox", out->dim[2]);
    struct reg *acc = accumulator(l, NULL);
    struct affine ky = loop(l, VAR_FOR, "ky", a->kernel[0]), kx = loop(l, VAR_FOR, "kx", a->kernel[1]);
    struct affine iy = tap_at(a, 0, y, ky), ix = tap_at(a, 1, x, kx);
    struct reg *value = accumulator(l, NULL);
    if_begin(&l->build, iy, 0, in->dim[1]);
    if_begin(&l->build, ix, 0, in->dim[2]);
    emit_set(&l->build, reg_at(value), expr_load(&l->build, 1, at(from, c, iy, ix)));
    block_end(&l->build);
    block_end(&l->build);
    struct affine tap = affine_add(affine_scale(ky, a->kernel[1]), kx);
    multiply_add(l, acc, expr_reg(&l->build, reg_at(value)), expr_load(&l->build, 1, at(weights, g, tap, y, x)));
    end(l, kx);
    end(l, ky);
    struct axes to = {3, {c, y, x}};
    generic_store(l, &to, expr_reg(&l->build, reg_at(acc)));
    end(l, x);
    end(l, y);
    generic_end(l, g);
    generic_end(l, k);
}

/* ---- windows laid open, borders of zeros ---- */

void generic_unfold(struct lowering *l)
{
    struct node *n = l->node;
    const struct attrs *a = &n->attrs;
    const struct shape *in = &n->in[0]->type.shape, *out = &n->type.shape;
    struct buffer *from = use_rows(l, DIR_IN, "x", n->in[0]);
    generic_result(l);
    struct affine c = outer(l, "c", out->dim[0]), ky = loop(l, VAR_FOR, "ky", a->kernel[0]),
                  kx = loop(l, VAR_FOR, "kx", a->kernel[1]);
    struct affine y = loop(l, VAR_FOR, "oy", out->dim[2]), x = loop(l, VAR_FOR, "ox", out->dim[3]);
    struct affine iy = tap_at(a, 0, y, ky), ix = tap_at(a, 1, x, kx);
    struct reg *acc = accumulator(l, NULL);
    if_begin(&l->build, iy, 0, in->dim[1]);
    if_begin(&l->build, ix, 0, in->dim[2]);
    emit_set(&l->build, reg_at(acc), expr_load(&l->build, 1, at(from, c, iy, ix)));
    block_end(&l->build);
    block_end(&l->build);
    struct axes to = {4, {c, affine_add(affine_scale(ky, a->kernel[1]), kx), y, x}};
    generic_store(l, &to, expr_reg(&l->build, reg_at(acc)));
    end(l, x);
    end(l, y);
    end(l, kx);
    end(l, ky);
    generic_end(l, c);
}

/* Three stretches of an axis, the first and the last of which run backwards: position o shows first + step * o. */
struct stretch {
    int64_t start, size, first, step;
};

static int stretches(int64_t size, int64_t pad, struct stretch s[3])
{
    int n = 0;
    if (pad)
        s[n++] = (struct stretch){0, pad, pad, -1};
    s[n++] = (struct stretch){pad, size, 0, 1};
    if (pad)
        s[n++] = (struct stretch){pad + size, pad, size - 2, -1};
    return n;
}

static void pad_reflect(struct lowering *l, struct buffer *from)
{
    static const char *const name[MAX_RANK] = {"a", "b", "c", "d"};
    struct node *n = l->node;
    const struct shape *in = &n->in[0]->type.shape;
    int rank = in->rank;
    struct axes to = {.rank = rank}, at_in = {.rank = rank};
    struct stretch ys[3], xs[3];
    int ny = stretches(in->dim[rank - 2], n->attrs.pad[0], ys), nx = stretches(in->dim[rank - 1], n->attrs.pad[1], xs);
    for (int i = 0; i < rank - 2; i++)
        to.at[i] = at_in.at[i] = outer(l, name[i], in->dim[i]);
    for (int i = 0; i < ny; i++)
        for (int k = 0; k < nx; k++) {
            struct affine y = loop(l, VAR_FOR, "oy", ys[i].size), x = loop(l, VAR_FOR, "ox", xs[k].size);
            to.at[rank - 2] = affine_plus(y, ys[i].start);
            to.at[rank - 1] = affine_plus(x, xs[k].start);
            at_in.at[rank - 2] = affine_plus(affine_scale(y, ys[i].step), ys[i].first);
            at_in.at[rank - 1] = affine_plus(affine_scale(x, xs[k].step), xs[k].first);
            generic_store(l, &to, expr_load(&l->build, 1, generic_at(from, &at_in)));
            end(l, x);
            end(l, y);
        }
    for (int i = rank - 3; i >= 0; i--)
        generic_end(l, to.at[i]);
}

void generic_pad(struct lowering *l)
{
    struct buffer *from = use_rows(l, DIR_IN, "x", l->node->in[0]);
    generic_result(l);
    (l->node->attrs.reflect ? pad_reflect : vector_pad)(l, from);
}

/* ---- group norm ---- */

/* Loops over the channels of a group and the axes behind them; x is the element. */
static void open_group(struct lowering *l, struct affine first_channel, int64_t channels, int axes,
                       struct affine *opened, struct axes *x)
{
    const struct shape *shape = &l->node->type.shape;
    x->rank = shape->rank;
    for (int i = 0; i < axes; i++)
        opened[i] = x->at[i] =
            loop(l, VAR_FOR, i ? arena_printf(l->build.arena, "i%d", i) : "c", i ? shape->dim[i] : channels);
    x->at[0] = affine_add(first_channel, x->at[0]);
}

static void close_group(struct lowering *l, const struct affine *opened, int axes)
{
    for (int i = axes - 1; i >= 0; i--)
        end(l, opened[i]);
}

/* A sum over a group, of the elements or, with `mean`, of the squares of what they differ by; in two steps, rows first, so that many
 * small numbers are not added to one large one. */
static struct expr *group_sum(struct lowering *l, struct buffer *in, struct affine first_channel, int64_t channels,
                              struct expr *mean)
{
    struct builder *b = &l->build;
    const struct shape *shape = &l->node->type.shape;
    int last = shape->rank - 1, outside = last ? last : 1;
    struct affine opened[MAX_RANK], k = l->zero;
    struct axes x;
    struct reg *total = accumulator(l, NULL);
    open_group(l, first_channel, channels, outside, opened, &x);
    struct reg *row = accumulator(l, NULL);
    if (last)
        x.at[last] = k = loop(l, VAR_FOR, "k", shape->dim[last]);
    struct expr *v = expr_load(b, 1, generic_at(in, &x));
    if (mean) {
        v = emit_let(b, fresh(l, "d"), expr_op(b, VOP_sub, v, mean, NULL));
        multiply_add(l, row, v, v);
    } else
        emit_set(b, reg_at(row), expr_op(b, VOP_add, expr_reg(b, reg_at(row)), v, NULL));
    end(l, k);
    emit_set(b, reg_at(total), expr_op(b, VOP_add, expr_reg(b, reg_at(total)), expr_reg(b, reg_at(row)), NULL));
    close_group(l, opened, outside);
    return expr_reg(b, reg_at(total));
}

/* Of group g: `mean` and `inverse`, 1 / sqrt(variance + eps). The variance is that of the differences, in a second walk: a mean of
 * squares less the square of the mean would lose all digits of a map that differs little from its mean. */
static struct expr *group_statistics(struct lowering *l, struct buffer *in, struct affine first, int64_t channels,
                                     struct expr **mean)
{
    struct builder *b = &l->build;
    int64_t count = shape_elements(l->node->type.shape) / l->node->attrs.groups;
    struct expr *share = expr_const(b, 1, 1.0 / (double)count), *eps = expr_const(b, 1, l->node->attrs.eps);
    *mean = emit_let(b, "mean", expr_op(b, VOP_mul, group_sum(l, in, first, channels, NULL), share, NULL));
    struct expr *variance = expr_op(b, VOP_mul, group_sum(l, in, first, channels, *mean), share, NULL);
    struct expr *deviation = expr_op(b, VOP_sqrt, expr_op(b, VOP_add, variance, eps, NULL), NULL, NULL);
    return emit_let(b, "inverse", expr_op(b, VOP_div, expr_const(b, 1, 1), deviation, NULL));
}

void generic_group_norm(struct lowering *l)
{
    struct builder *b = &l->build;
    struct node *n = l->node;
    int rank = n->type.shape.rank;
    int64_t channels = n->type.shape.dim[0] / n->attrs.groups;
    struct buffer *in = use_rows(l, DIR_IN, "x", n->in[0]);
    struct buffer *gamma = generic_weights(l, "scale", n->param[0]), *beta = generic_weights(l, "shift", n->param[1]);
    generic_result(l);
    struct affine g = outer(l, "g", n->attrs.groups), first = affine_scale(g, channels), opened[MAX_RANK];
    struct expr *mean, *inverse = group_statistics(l, in, first, channels, &mean);
    struct axes x;
    open_group(l, first, channels, rank, opened, &x);
    struct expr *difference = expr_op(b, VOP_sub, expr_load(b, 1, generic_at(in, &x)), mean, NULL);
    struct expr *scale = expr_load(b, 1, at(gamma, x.at[0])), *shift = expr_load(b, 1, at(beta, x.at[0]));
    generic_store(l, &x, expr_op(b, VOP_fma, expr_op(b, VOP_mul, difference, inverse, NULL), scale, shift));
    close_group(l, opened, rank);
    generic_end(l, g);
}
