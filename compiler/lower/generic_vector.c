/* Plain rows in vectors: what generic.c is for operators that do the same to many neighbours. Axes that all tensors of a node have in
 * common, or that all spread, are taken as one; the last one is walked in vectors, and of its end a part of a vector is loaded and
 * stored, so that nothing is read behind a value.
 *
 * A sum or a maximum over the last axis is one of BLOCK lanes side by side, whatever the target's vectors hold, which meet in pairs at
 * the end: the same additions in the same order everywhere.
 */
#include "lower/generic.h"

/* ---- axes taken as one ---- */

struct tensor {
    const struct node *value; /* NULL: none, or a number */
    struct buffer *buffer;
    int64_t dim[MAX_RANK]; /* as the result's; 1 where it is spread */
};

struct merged {
    int rank;
    int64_t dim[MAX_RANK];
    struct tensor *tensor; /* the result, inputs, operands of epilogues */
    int n;
};

static void add_tensor(struct merged *m, const struct shape *whole, const struct node *v)
{
    struct tensor *t = &m->tensor[m->n++];
    t->value = v && !node_is_number(v) ? v : NULL;
    int shift = t->value ? whole->rank - v->type.shape.rank : 0;
    for (int i = 0; i < whole->rank; i++)
        t->dim[i] = !t->value ? whole->dim[i] : i < shift ? 1 : v->type.shape.dim[i - shift];
}

static bool same_kind(const struct merged *m, int i, int k)
{
    for (int t = 0; t < m->n; t++)
        if ((m->tensor[t].dim[i] == m->dim[i]) != (m->tensor[t].dim[k] == m->dim[k]))
            return false;
    return true;
}

/* Axes of one are no axes; neighbours of one kind are one axis. */
static void merge_axes(struct merged *m, const struct shape *whole)
{
    int rank = 0;
    for (int i = 0; i < whole->rank; i++)
        m->dim[i] = whole->dim[i];
    for (int i = 0; i < whole->rank; i++) {
        if (m->dim[i] == 1)
            continue;
        bool joined = rank > 0 && same_kind(m, rank - 1, i);
        int to = joined ? rank - 1 : rank++;
        int64_t times = joined ? m->dim[to] : 1;
        for (int t = 0; t < m->n; t++) {
            bool spread = m->tensor[t].dim[i] != m->dim[i];
            m->tensor[t].dim[to] = spread ? 1 : times * m->tensor[t].dim[i];
        }
        m->dim[to] = times * m->dim[i];
    }
    if (!rank) {
        m->dim[rank++] = 1;
        for (int t = 0; t < m->n; t++)
            m->tensor[t].dim[0] = 1;
    }
    m->rank = rank;
}

static struct buffer *use_shape(struct lowering *l, enum direction dir, const char *name, const struct node *v,
                                int rank, const int64_t *dim)
{
    struct node shaped = *v;
    shaped.type.shape.rank = rank;
    for (int i = 0; i < rank; i++)
        shaped.type.shape.dim[i] = dim[i];
    return use_rows(l, dir, name, &shaped);
}

static void use_tensor(struct lowering *l, struct merged *m, int t, const char *name)
{
    struct tensor *of = &m->tensor[t];
    for (int k = 0; k < t && of->value; k++)
        if (m->tensor[k].value == of->value && m->tensor[k].buffer)
            of->buffer = m->tensor[k].buffer;
    if (of->value && !of->buffer)
        of->buffer = use_shape(l, DIR_IN, name, of->value, m->rank, of->dim);
}

/* ---- the last axis ---- */

struct stretch { /* of the last axis: `lanes` from `at` on, of which `count` are there */
    struct affine at;
    int lanes, count;
};

static struct element_ref element(const struct tensor *t, const struct merged *m, const struct axes *x,
                                  const struct stretch *s)
{
    struct element_ref r = {.buffer = t->buffer};
    for (int i = 0; i < m->rank; i++)
        r.at[i] = t->dim[i] == 1 ? affine_const(0) : i == m->rank - 1 ? s->at : x->at[i];
    return r;
}

static struct expr *value_of(struct lowering *l, const struct merged *m, int t, const struct node *v,
                             const struct axes *x, const struct stretch *s)
{
    const struct tensor *of = &m->tensor[t];
    if (!of->value)
        return expr_const(&l->build, s->lanes, v->value[0]);
    struct element_ref ref = element(of, m, x, s);
    if (of->dim[m->rank - 1] == 1 && m->dim[m->rank - 1] > 1)
        return expr_splat(&l->build, s->lanes, ref);
    return expr_load_some(&l->build, s->lanes, ref, s->count, 0);
}

static enum vop vop_of(enum op op)
{
    switch (op) {
    case OP_relu: return VOP_relu;
    case OP_sigmoid: return VOP_sigmoid;
    case OP_silu: return VOP_silu;
    case OP_add: return VOP_add;
    case OP_sub: return VOP_sub;
    case OP_div: return VOP_div;
    default: return VOP_mul;
    }
}

static void elements(struct lowering *l, const struct merged *m, const struct axes *x, const struct stretch *s)
{
    struct node *n = l->node;
    struct builder *b = &l->build;
    struct expr *v = value_of(l, m, 1, n->in[0], x, s);
    struct expr *other = n->n_in > 1 ? value_of(l, m, 2, n->in[1], x, s) : NULL;
    v = expr_op(b, vop_of(n->op), v, other, NULL);
    for (int i = 0; i < n->n_epilogue; i++) {
        const struct epilogue *e = &n->epilogue[i];
        v = expr_op(b, vop_of(e->op), v, e->operand ? value_of(l, m, 1 + n->n_in + i, e->operand, x, s) : NULL, NULL);
    }
    emit_store(b, element(&m->tensor[0], m, x, s), v, s->count);
}

/* How many tasks share n vectors of a single axis: a divisor, so that each has as many. */
static int64_t shares(int64_t n)
{
    for (int64_t d = n < 256 ? 1 : 16; d > 1; d--)
        if (n % d == 0)
            return d;
    return 1;
}

void vector_elementwise(struct lowering *l)
{
    struct node *n = l->node;
    const struct shape *whole = &n->type.shape;
    struct merged m = {.tensor = NEW_ARRAY(l->build.arena, struct tensor, 1 + n->n_in + n->n_epilogue)};
    add_tensor(&m, whole, n);
    for (int i = 0; i < n->n_in; i++)
        add_tensor(&m, whole, n->in[i]);
    for (int i = 0; i < n->n_epilogue; i++)
        add_tensor(&m, whole, n->epilogue[i].operand);
    merge_axes(&m, whole);
    for (int t = 1; t < m.n; t++)
        use_tensor(l, &m, t,
                   arena_printf(l->build.arena, t <= n->n_in ? "x%d" : "e%d", t <= n->n_in ? t - 1 : t - 1 - n->n_in));
    m.tensor[0].buffer = l->out = use_shape(l, DIR_OUT, "y", n, m.rank, m.dim);
    struct axes x = {.rank = m.rank - 1};
    for (int i = 0; i < m.rank - 1; i++)
        x.at[i] = i == 0 ? affine_var(kernel_task(&l->build, "a", m.dim[0]), 1)
                         : loop(l, VAR_FOR, arena_printf(l->build.arena, "i%d", i), m.dim[i]);
    int64_t last = m.dim[m.rank - 1], vectors = last / l->lanes, rest = last % l->lanes;
    int64_t tasks = m.rank == 1 ? shares(vectors) : 1;
    struct affine r = tasks > 1 ? affine_var(kernel_task(&l->build, "r", tasks), 1) : l->zero;
    struct stretch s = {.lanes = l->lanes, .count = l->lanes};
    if (vectors) {
        struct affine v = loop(l, VAR_FOR, "v", vectors / tasks);
        s.at = affine_scale(affine_add(affine_scale(r, vectors / tasks), v), l->lanes);
        elements(l, &m, &x, &s);
        end(l, v);
    }
    if (rest) {
        if (tasks > 1)
            if_begin(&l->build, r, tasks - 1, tasks);
        s.at = affine_const(vectors * l->lanes);
        s.count = (int)rest;
        elements(l, &m, &x, &s);
        if (tasks > 1)
            block_end(&l->build);
    }
    for (int i = m.rank - 2; i > 0; i--)
        end(l, x.at[i]);
}

/* ---- copies: permute, slice, concat ---- */

/* `run` neighbours from one place to another, the last axis of both. */
static void copy_run(struct lowering *l, struct element_ref from, struct element_ref to, int64_t run)
{
    struct builder *b = &l->build;
    int64_t vectors = run / l->lanes, rest = run % l->lanes;
    struct affine *from_last = &from.at[from.buffer->rank - 1], *to_last = &to.at[to.buffer->rank - 1];
    struct affine from_first = *from_last, to_first = *to_last;
    if (vectors) {
        struct affine v = loop(l, VAR_FOR, "v", vectors), by = affine_scale(v, l->lanes);
        *from_last = affine_add(from_first, by);
        *to_last = affine_add(to_first, by);
        emit_store(b, to, expr_load(b, l->lanes, from), l->lanes);
        end(l, v);
    }
    if (rest) {
        *from_last = affine_plus(from_first, vectors * l->lanes);
        *to_last = affine_plus(to_first, vectors * l->lanes);
        emit_store(b, to, expr_load_some(b, l->lanes, from, (int)rest, 0), (int)rest);
    }
}

struct view { /* [outer, n, inner] around an axis */
    int64_t outer, n, inner;
};

static struct view view_at(const struct shape *s, int64_t axis)
{
    struct view v = {1, s->dim[axis], 1};
    for (int i = 0; i < s->rank; i++) {
        v.outer *= i < axis ? s->dim[i] : 1;
        v.inner *= i > axis ? s->dim[i] : 1;
    }
    return v;
}

static struct buffer *use_view(struct lowering *l, enum direction dir, const char *name, const struct node *n,
                               struct view v)
{
    return use_shape(l, dir, name, n, 2, (int64_t[]){v.outer, v.n * v.inner});
}

static struct affine first_loop(struct lowering *l, const char *name, int64_t n)
{
    if (n > 1 && l->build.kernel->n_task == 0 && l->build.depth == 0)
        return affine_var(kernel_task(&l->build, name, n), 1);
    return loop(l, VAR_FOR, name, n);
}

void vector_slice(struct lowering *l)
{
    struct node *n = l->node;
    struct view from = view_at(&n->in[0]->type.shape, n->attrs.axis), to = view_at(&n->type.shape, n->attrs.axis);
    struct buffer *x = use_view(l, DIR_IN, "x", n->in[0], from), *y = l->out = use_view(l, DIR_OUT, "y", n, to);
    struct affine o = first_loop(l, "a", to.outer);
    copy_run(l, at(x, o, affine_const(n->attrs.start * from.inner)), at(y, o, l->zero), to.n * to.inner);
    generic_end(l, o);
}

void vector_concat(struct lowering *l)
{
    struct node *n = l->node;
    struct buffer *x[MAX_BUFFERS];
    struct view to = view_at(&n->type.shape, n->attrs.axis);
    for (int i = 0; i < n->n_in; i++)
        x[i] = use_view(l, DIR_IN, arena_printf(l->build.arena, "x%d", i), n->in[i],
                        view_at(&n->in[i]->type.shape, n->attrs.axis));
    struct buffer *y = l->out = use_view(l, DIR_OUT, "y", n, to);
    struct affine o = first_loop(l, "a", to.outer);
    int64_t start = 0;
    for (int i = 0; i < n->n_in; i++) {
        int64_t run = x[i]->dim[1];
        copy_run(l, at(x[i], o, l->zero), at(y, o, affine_const(start)), run);
        start += run;
    }
    generic_end(l, o);
}

struct moved { /* a permutation without axes of one, neighbours that stay so taken as one */
    int rank;
    int64_t dim[MAX_RANK]; /* of the result */
    int from[MAX_RANK]; /* the input's axis of each */
    int64_t in_dim[MAX_RANK];
};

static struct moved moved_axes(const struct node *n)
{
    const struct shape *in = &n->in[0]->type.shape;
    struct moved m = {.rank = 0};
    int position[MAX_RANK]; /* of axes of the input among those that are kept */
    int order[MAX_RANK], first[MAX_RANK], last = -2;
    for (int i = 0; i < in->rank; i++) {
        int axis = (int)n->attrs.shape.dim[i];
        if (in->dim[axis] == 1)
            continue;
        int before = axis; /* the next axis to the left that is one */
        do
            before--;
        while (before >= 0 && in->dim[before] == 1);
        if (m.rank && before == last && before >= 0) {
            m.dim[m.rank - 1] *= in->dim[axis];
        } else {
            first[m.rank] = axis;
            m.dim[m.rank++] = in->dim[axis];
        }
        last = axis;
    }
    for (int i = 0; i < m.rank; i++) {
        position[i] = 0;
        for (int k = 0; k < m.rank; k++)
            position[i] += first[k] < first[i];
        order[position[i]] = i;
    }
    for (int i = 0; i < m.rank; i++) {
        m.from[i] = position[i];
        m.in_dim[i] = m.dim[order[i]];
    }
    if (!m.rank)
        m = (struct moved){.rank = 1, .dim = {1}, .in_dim = {1}};
    return m;
}

/* Where the last axis stays the last one its runs are copied; else it and the one that becomes the last are turned. */
void vector_permute(struct lowering *l)
{
    struct moved m = moved_axes(l->node);
    int last = m.rank - 1;
    struct buffer *from = use_shape(l, DIR_IN, "x", l->node->in[0], m.rank, m.in_dim);
    struct buffer *to = l->out = use_shape(l, DIR_OUT, "y", l->node, m.rank, m.dim);
    struct turn t = {.from = {.buffer = from}, .to = {.buffer = to}};
    struct affine opened[MAX_RANK];
    for (int i = 0; i < m.rank; i++) {
        bool inner = i == last || m.from[i] == last;
        opened[i] = inner ? l->zero : first_loop(l, arena_printf(l->build.arena, "i%d", i), m.dim[i]);
        t.to.at[i] = t.from.at[m.from[i]] = opened[i];
        if (m.from[i] == last)
            t.to_axis = i;
    }
    if (m.from[last] == last) {
        copy_run(l, t.from, t.to, m.dim[last]);
    } else {
        t.from_axis = m.from[last];
        t.rows = m.dim[last];
        t.columns = m.dim[t.to_axis];
        int64_t tiles = t.rows / l->lanes;
        if (l->build.kernel->n_task == 0 && tiles > 1 && t.rows % l->lanes == 0) {
            struct affine r = affine_var(kernel_task(&l->build, "r", tiles), l->lanes);
            t.from.at[t.from_axis] = t.to.at[last] = r;
            t.rows = l->lanes;
        }
        turn(l, &t);
    }
    for (int i = m.rank - 1; i >= 0; i--)
        generic_end(l, opened[i]);
}

/* ---- along an axis ---- */

/* x op y op .. over the lanes of all registers of `acc`, in pairs, in all lanes. */
static struct expr *across(struct lowering *l, struct reg *acc, enum vop op, int64_t first, int64_t n)
{
    struct builder *b = &l->build;
    if (n == 1)
        return expr_lane(b, reg_at(acc, affine_const(first / l->lanes)), affine_const(first % l->lanes));
    return expr_op(b, op, across(l, acc, op, first, n / 2), across(l, acc, op, first + n / 2, n / 2), NULL);
}

struct along { /* the last axis of [outer, n] in blocks of BLOCK lanes */
    struct buffer *x, *y;
    struct affine row;
    int64_t n;
    enum { ROW_MAX, ROW_EXP, ROW_SCALE, ROW_SUM } what;
    struct expr *top, *factor;
};

/* One vector of a row, of which `count` elements are there: acc = op(acc, x), or y = x * factor. */
static void along_vector(struct lowering *l, const struct along *a, struct reg *acc, struct affine v,
                         struct element_ref ref, int count)
{
    struct builder *b = &l->build;
    bool exact =
        a->what == ROW_SUM || a->what == ROW_SCALE; /* what is not there adds nothing; to the others it is least */
    ref.buffer = a->what == ROW_SCALE ? a->y : a->x;
    struct expr *x = expr_load_some(b, l->lanes, ref, count, exact ? 0 : -(double)__builtin_inff());
    if (a->what == ROW_EXP) {
        x = expr_op(b, VOP_exp, expr_op(b, VOP_sub, x, a->top, NULL), NULL, NULL);
        x = emit_let(b, fresh(l, "e"), x);
    }
    ref.buffer = a->y;
    if (a->what == ROW_SCALE)
        x = expr_op(b, VOP_mul, x, a->factor, NULL);
    if (a->what == ROW_EXP || a->what == ROW_SCALE)
        emit_store(b, ref, x, count);
    if (a->what != ROW_SCALE)
        emit_set(b, reg_at(acc, v),
                 expr_op(b, a->what == ROW_MAX ? VOP_max : VOP_add, expr_reg(b, reg_at(acc, v)), x, NULL));
}

/* A block of which `there` elements are there: whole vectors, and what is left. */
static void along_block(struct lowering *l, const struct along *a, struct reg *acc, struct affine first, int64_t there)
{
    int64_t whole = there / l->lanes;
    struct affine u = loop(l, VAR_UNROLL, "u", whole > 0 ? whole : 1), v = u;
    if (whole)
        along_vector(l, a, acc, v, at(a->x, a->row, affine_add(first, affine_scale(v, l->lanes))), l->lanes);
    end(l, u);
    if (there % l->lanes)
        along_vector(l, a, acc, affine_const(whole), at(a->x, a->row, affine_plus(first, whole * l->lanes)),
                     (int)(there % l->lanes));
}

static void along_blocks(struct lowering *l, const struct along *a, struct reg *acc)
{
    if (a->n / BLOCK) {
        struct affine k = loop(l, VAR_FOR, "k", a->n / BLOCK);
        along_block(l, a, acc, affine_scale(k, BLOCK), BLOCK);
        end(l, k);
    }
    if (a->n % BLOCK)
        along_block(l, a, acc, affine_const(a->n / BLOCK * BLOCK), a->n % BLOCK);
}

static struct expr *along_row(struct lowering *l, const struct along *a, const char *name)
{
    struct builder *b = &l->build;
    int64_t vectors = l->vectors;
    bool max = a->what == ROW_MAX;
    struct reg *acc = emit_reg(b, fresh(l, "acc"), vector(l->lanes), 1, &vectors);
    struct affine u = loop(l, VAR_UNROLL, "u", vectors);
    emit_set(b, reg_at(acc, u), expr_const(b, l->lanes, max ? -(double)__builtin_inff() : 0));
    end(l, u);
    along_blocks(l, a, acc);
    return emit_let(b, fresh(l, name), across(l, acc, max ? VOP_max : VOP_add, 0, BLOCK));
}

/* softmax of rows: the largest is subtracted first, as every framework does. */
static void softmax_rows(struct lowering *l, struct view v)
{
    struct builder *b = &l->build;
    int64_t dim[] = {v.outer, v.n};
    struct along a = {.n = v.n};
    a.x = use_shape(l, DIR_IN, "x", l->node->in[0], 2, dim);
    a.y = l->out = use_shape(l, DIR_OUT, "y", l->node, 2, dim);
    a.row = first_loop(l, "a", v.outer);
    a.what = ROW_MAX;
    a.top = along_row(l, &a, "top");
    a.what = ROW_EXP;
    struct expr *total = along_row(l, &a, "total");
    a.factor = emit_let(b, "factor", expr_op(b, VOP_div, expr_const(b, l->lanes, 1), total, NULL));
    a.what = ROW_SCALE;
    along_blocks(l, &a, NULL);
    generic_end(l, a.row);
}

/* ---- along an axis that is not the last: lanes are what stands behind it ---- */

struct beside {
    struct buffer *x, *y;
    struct affine outer, inner;
    int64_t n;
    int count;
};

static struct element_ref beside_at(struct buffer *b, const struct beside *s, struct affine k)
{
    return at(b, s->outer, k, s->inner);
}

static struct expr *beside_fold(struct lowering *l, const struct beside *s, enum vop op, struct expr *minus,
                                const char *name)
{
    struct builder *b = &l->build;
    struct reg *acc = emit_reg(b, fresh(l, name), vector(l->lanes), 0, NULL);
    emit_set(b, reg_at(acc), expr_const(b, l->lanes, op == VOP_max ? -(double)__builtin_inff() : 0));
    struct affine k = loop(l, VAR_FOR, "k", s->n);
    struct expr *x = expr_load_some(b, l->lanes, beside_at(s->x, s, k), s->count, 0);
    if (minus) {
        x = emit_let(b, fresh(l, "e"), expr_op(b, VOP_exp, expr_op(b, VOP_sub, x, minus, NULL), NULL, NULL));
        emit_store(b, beside_at(s->y, s, k), x, s->count);
    }
    emit_set(b, reg_at(acc), expr_op(b, op, expr_reg(b, reg_at(acc)), x, NULL));
    end(l, k);
    return expr_reg(b, reg_at(acc));
}

static void beside_softmax(struct lowering *l, const struct beside *s)
{
    struct builder *b = &l->build;
    struct expr *top = beside_fold(l, s, VOP_max, NULL, "top"), *total = beside_fold(l, s, VOP_add, top, "total");
    struct expr *factor = emit_let(b, fresh(l, "factor"), expr_op(b, VOP_div, expr_const(b, l->lanes, 1), total, NULL));
    struct affine k = loop(l, VAR_FOR, "k", s->n);
    struct expr *x = expr_load_some(b, l->lanes, beside_at(s->y, s, k), s->count, 0);
    emit_store(b, beside_at(s->y, s, k), expr_op(b, VOP_mul, x, factor, NULL), s->count);
    end(l, k);
}

static void beside_sum(struct lowering *l, const struct beside *s)
{
    struct builder *b = &l->build;
    struct expr *sum = beside_fold(l, s, VOP_add, NULL, "total");
    if (l->node->op == OP_mean)
        sum = expr_op(b, VOP_mul, sum, expr_const(b, l->lanes, 1.0 / (double)s->n), NULL);
    emit_store(b, at(s->y, s->outer, s->inner), sum, s->count);
}

/* Vectors of the axes behind: as tasks where nothing stands in front. */
static void beside(struct lowering *l, struct view v, void (*one)(struct lowering *, const struct beside *))
{
    struct beside s = {.n = v.n};
    s.x = use_shape(l, DIR_IN, "x", l->node->in[0], 3, (int64_t[]){v.outer, v.n, v.inner});
    s.y = l->out = l->node->op == OP_softmax
                       ? use_shape(l, DIR_OUT, "y", l->node, 3, (int64_t[]){v.outer, v.n, v.inner})
                       : use_shape(l, DIR_OUT, "y", l->node, 2, (int64_t[]){v.outer, v.inner});
    s.outer = first_loop(l, "a", v.outer);
    int64_t vectors = v.inner / l->lanes, rest = v.inner % l->lanes;
    if (vectors) {
        struct affine i = rest ? loop(l, VAR_FOR, "v", vectors) : first_loop(l, "v", vectors);
        s.inner = affine_scale(i, l->lanes);
        s.count = l->lanes;
        one(l, &s);
        generic_end(l, i);
    }
    if (rest) {
        s.inner = affine_const(vectors * l->lanes);
        s.count = (int)rest;
        one(l, &s);
    }
    generic_end(l, s.outer);
}

void vector_softmax(struct lowering *l)
{
    struct view v = view_at(&l->node->type.shape, l->node->attrs.axis);
    if (v.inner == 1)
        softmax_rows(l, v);
    else
        beside(l, v, beside_softmax);
}

void vector_reduction(struct lowering *l)
{
    struct builder *b = &l->build;
    struct view v = view_at(&l->node->in[0]->type.shape, l->node->attrs.axis);
    if (v.inner > 1) {
        beside(l, v, beside_sum);
        return;
    }
    struct along a = {.n = v.n, .what = ROW_SUM};
    a.x = use_shape(l, DIR_IN, "x", l->node->in[0], 2, (int64_t[]){v.outer, v.n});
    l->out = use_shape(l, DIR_OUT, "y", l->node, 1, &v.outer);
    a.row = first_loop(l, "a", v.outer);
    struct expr *sum = along_row(l, &a, "total");
    if (l->node->op == OP_mean)
        sum = expr_op(b, VOP_mul, sum, expr_const(b, l->lanes, 1.0 / (double)v.n), NULL);
    emit_store(b, at(l->out, a.row), sum, 1);
    generic_end(l, a.row);
}
