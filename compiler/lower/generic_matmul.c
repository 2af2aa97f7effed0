/* Products of plain matrices: matmul, and linear over the last axis of more than one. A tile of rows x vectors of the result stays in
 * registers while the depth goes by; each row of the right factor is loaded once a tile, each number of the left one fills a register.
 *
 * What would surprise: where all matrices in front meet one right factor, they are one matrix of many rows; of the columns behind the
 * last whole vector a part of a vector is loaded and stored. Every result is one sum in the order of the depth, whatever tile it falls
 * into.
 */
#include "lower/generic.h"

struct product { /* left [.., rows, depth] x right [.., depth, columns] + bias */
    struct buffer *left, *right, *bias;
    const struct shape *left_shape, *right_shape;
    int64_t rows, columns, depth;
    struct axes at; /* of the result: the axes in front; row and column are a tile's */
};

struct part { /* of the result: `rows` x `vectors` from (row, column) on; of the last vector `count` lanes */
    struct affine row, column;
    int64_t rows, vectors;
    int count;
};

/* Element of a factor: the axes in front broadcast from the right, then row and column. */
static struct element_ref factor(struct buffer *buffer, const struct shape *shape, const struct axes *x,
                                 struct affine row, struct affine column)
{
    struct element_ref r = {.buffer = buffer};
    int shift = x->rank - shape->rank;
    for (int i = 0; i < shape->rank - 2; i++)
        r.at[i] = shape->dim[i] == 1 ? affine_const(0) : x->at[i + shift];
    r.at[shape->rank - 2] = row;
    r.at[shape->rank - 1] = column;
    return r;
}

static struct affine vector_column(const struct lowering *l, const struct part *t, struct affine v)
{
    return affine_add(t->column, affine_scale(v, l->lanes));
}

/* Vectors [first, first + n) of a part, all of which have `count` lanes. */
struct vectors {
    int64_t first, n;
    int count;
};

/* All but the last, then the last where it is not whole. */
static int kinds(const struct lowering *l, const struct part *t, struct vectors *kind)
{
    if (t->count == l->lanes) {
        kind[0] = (struct vectors){0, t->vectors, l->lanes};
        return 1;
    }
    kind[0] = (struct vectors){0, t->vectors - 1, l->lanes};
    kind[1] = (struct vectors){t->vectors - 1, 1, t->count};
    return 2;
}

/* to[v] = row `k` of the right factor, or of the bias. */
static void load_row(struct lowering *l, const struct product *p, const struct part *t, struct reg *to, struct affine k,
                     bool bias)
{
    struct builder *b = &l->build;
    struct vectors kind[2];
    for (int i = 0, n = kinds(l, t, kind); i < n; i++) {
        if (!kind[i].n)
            continue;
        struct affine u = loop(l, VAR_UNROLL, "v", kind[i].n), v = affine_plus(u, kind[i].first),
                      column = vector_column(l, t, v);
        struct element_ref ref = bias ? at(p->bias, column) : factor(p->right, p->right_shape, &p->at, k, column);
        emit_set(b, reg_at(to, v), expr_load_some(b, l->lanes, ref, kind[i].count, 0));
        end(l, u);
    }
}

static struct reg *start_sums(struct lowering *l, const struct product *p, const struct part *t)
{
    struct builder *b = &l->build;
    struct reg *acc = emit_reg(b, fresh(l, "acc"), vector(l->lanes), 2, (int64_t[]){t->rows, t->vectors});
    struct reg *bias = NULL;
    if (p->bias) {
        bias = emit_reg(b, fresh(l, "bias_v"), vector(l->lanes), 1, &t->vectors);
        load_row(l, p, t, bias, l->zero, true);
    }
    struct affine q = loop(l, VAR_UNROLL, "q", t->rows), v = loop(l, VAR_UNROLL, "v", t->vectors);
    emit_set(b, reg_at(acc, q, v), bias ? expr_reg(b, reg_at(bias, v)) : zero_of(l, l->lanes));
    end(l, v);
    end(l, q);
    return acc;
}

static void sum_depth(struct lowering *l, const struct product *p, const struct part *t, struct reg *acc)
{
    struct builder *b = &l->build;
    struct affine k = loop(l, VAR_FOR, "k", p->depth);
    struct reg *row = emit_reg(b, fresh(l, "right_k"), vector(l->lanes), 1, &t->vectors);
    load_row(l, p, t, row, k, false);
    struct affine q = loop(l, VAR_UNROLL, "q", t->rows);
    struct expr *one =
        emit_let(b, fresh(l, "left_k"),
                 expr_splat(b, l->lanes, factor(p->left, p->left_shape, &p->at, affine_add(t->row, q), k)));
    struct affine v = loop(l, VAR_UNROLL, "v", t->vectors);
    emit_set(b, reg_at(acc, q, v),
             expr_op(b, VOP_fma, one, expr_reg(b, reg_at(row, v)), expr_reg(b, reg_at(acc, q, v))));
    end(l, v);
    end(l, q);
    end(l, k);
}

static void product_part(struct lowering *l, const struct product *p, const struct part *t)
{
    struct reg *acc = start_sums(l, p, t);
    sum_depth(l, p, t, acc);
    struct vectors kind[2];
    for (int i = 0, n = kinds(l, t, kind); i < n; i++) {
        if (!kind[i].n)
            continue;
        struct affine q = loop(l, VAR_UNROLL, "q", t->rows), u = loop(l, VAR_UNROLL, "v", kind[i].n),
                      v = affine_plus(u, kind[i].first);
        struct axes to = p->at;
        to.at[to.rank - 2] = affine_add(t->row, q);
        to.at[to.rank - 1] = vector_column(l, t, v);
        generic_store_vector(l, &to, expr_reg(&l->build, reg_at(acc, q, v)), kind[i].count);
        end(l, u);
        end(l, q);
    }
}

/* ---- tiles ---- */

struct tile {
    int64_t rows, vectors;
};

/* Cycles of a step of the depth: two multiply-adds and two loads a cycle, a sum takes four; and loads are in the way a little. */
static double step_cycles(int64_t rows, int64_t vectors)
{
    double multiply = (double)(rows * vectors) / 2, loads = (double)(rows + vectors) / 2;
    double most = multiply > loads ? multiply : loads;
    return (most > 4 ? most : 4) + loads / 5;
}

/* The tile that walks rows x vectors in the fewest steps; its rows divide the rows, so that tiles are tasks. */
static struct tile best_tile(int64_t rows, int64_t vectors, int registers)
{
    enum { MOST_ROWS = 14, MOST_VECTORS = 4 };
    struct tile best = {1, 1};
    double least = 1e300;
    for (int64_t r = 1; r <= MOST_ROWS && r <= rows; r++) {
        for (int64_t v = 1; v <= MOST_VECTORS && v <= vectors; v++) {
            if (rows % r || r * v + v + 1 > registers)
                continue;
            int64_t rest = vectors % v;
            double cycles = (double)(vectors / v) * step_cycles(r, v) + (rest ? step_cycles(r, rest) : 0);
            cycles *= (double)(rows / r);
            if (cycles < least * 0.999) {
                least = cycles;
                best = (struct tile){r, v};
            }
        }
    }
    return best;
}

/* The columns of a tile of rows. */
static void product_rows(struct lowering *l, const struct product *p, struct affine row, struct tile tile)
{
    int64_t vectors = (p->columns + l->lanes - 1) / l->lanes, last = p->columns - (vectors - 1) * l->lanes;
    int64_t whole = vectors / tile.vectors, rest = vectors % tile.vectors;
    if (!rest && last < l->lanes) { /* the last tile is one of its own */
        whole--;
        rest = tile.vectors;
    }
    struct part t = {.row = row, .rows = tile.rows, .vectors = tile.vectors, .count = l->lanes};
    if (whole) {
        struct affine c = loop(l, VAR_FOR, "c", whole);
        t.column = affine_scale(c, tile.vectors * l->lanes);
        product_part(l, p, &t);
        end(l, c);
    }
    if (rest) {
        t.vectors = rest;
        t.column = affine_const(whole * tile.vectors * l->lanes);
        t.count = (int)last;
        product_part(l, p, &t);
    }
}

/* Heads are tasks, and tiles of rows within them, as far as there are tasks to name. */
static struct affine task_or_loop(struct lowering *l, const char *name, int64_t n)
{
    if (n > 1 && l->build.kernel->n_task < MAX_TASKS && l->build.depth == 0)
        return affine_var(kernel_task(&l->build, name, n), 1);
    return loop(l, VAR_FOR, name, n);
}

static void product(struct lowering *l, struct product *p, const struct shape *out)
{
    static const char *const name[MAX_RANK] = {"a", "b", "d", "e"};
    p->at.rank = out->rank;
    p->rows = out->dim[out->rank - 2];
    p->columns = out->dim[out->rank - 1];
    p->depth = p->left_shape->dim[p->left_shape->rank - 1];
    struct tile tile = best_tile(p->rows, (p->columns + l->lanes - 1) / l->lanes, l->target->registers);
    for (int i = 0; i < out->rank - 2; i++)
        p->at.at[i] = task_or_loop(l, name[i], out->dim[i]);
    struct affine r = task_or_loop(l, "r", p->rows / tile.rows);
    product_rows(l, p, affine_scale(r, tile.rows), tile);
    generic_end(l, r);
    for (int i = out->rank - 3; i >= 0; i--)
        generic_end(l, p->at.at[i]);
}

/* [.., M, N] as [.. * M, N] */
static struct shape stacked(const struct shape *s)
{
    int64_t columns = s->dim[s->rank - 1];
    return (struct shape){2, {shape_elements(*s) / columns, columns}};
}

/* All rows of the left factor, whatever is in front, meet one matrix; and what is added has the result's shape. */
static bool is_stack(const struct node *n, const struct shape *right)
{
    const struct shape *left = &n->in[0]->type.shape;
    bool one = left->rank > 2 && left->rank == n->type.shape.rank &&
               shape_elements(*right) == right->dim[right->rank - 1] * right->dim[right->rank - 2];
    for (int i = 0; one && i < n->n_epilogue; i++) {
        const struct node *o = n->epilogue[i].operand;
        one = !o || node_is_number(o) || shape_equal(o->type.shape, n->type.shape);
    }
    return one;
}

/* The product of left and right, of which the one or the other may be a stack; buffers are declared here. */
static void product_of(struct lowering *l, struct product *p, const struct shape *right, bool given)
{
    struct node *n = l->node;
    struct shape left = n->in[0]->type.shape, out = n->type.shape, last = *right;
    if (is_stack(n, right)) {
        left = stacked(&left);
        out = stacked(&out);
        last = (struct shape){2, {right->dim[right->rank - 2], right->dim[right->rank - 1]}};
    }
    p->left_shape = &left;
    p->right_shape = &last;
    p->left = generic_use(l, DIR_IN, given ? "left" : "x", n->in[0], left);
    if (given)
        p->right =
            n->in[0] == n->in[1] && shape_equal(left, last) ? p->left : generic_use(l, DIR_IN, "right", n->in[1], last);
    else
        p->right = use_weights(l, "w", (struct pack){.param = n->param[0], .kind = PACK_TURNED}, 2, right->dim);
    p->bias = !given && n->param[1] ? generic_weights(l, "bias", n->param[1]) : NULL;
    generic_result_as(l, out);
    product(l, p, &out);
}

void generic_matmul(struct lowering *l)
{
    product_of(l, &(struct product){0}, &l->node->in[1]->type.shape, true);
}

void generic_linear(struct lowering *l)
{
    struct param *w = l->node->param[0];
    product_of(l, &(struct product){0}, &(struct shape){2, {w->shape.dim[1], w->shape.dim[0]}}, false);
}
