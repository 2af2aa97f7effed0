/* Products of plain matrices: matmul, and linear over the last axis of more than one. A tile of rows x vectors of the result stays in
 * registers while the depth goes by; each row of the right factor is loaded once a tile, each number of the left one fills a register.
 *
 * What would surprise: rows are cut into tiles of one size only, a divisor, so that tiles are tasks; and the columns behind the last
 * whole vector are computed one by one, since nothing may be read behind the end of a value. Every result is one sum in the order of
 * the depth, whatever tile it falls into. */
#include "lower/generic.h"

struct product { /* left [.., rows, depth] x right [.., depth, columns] + bias */
    struct buffer *left, *right, *bias;
    const struct shape *left_shape, *right_shape;
    int64_t rows, columns, depth;
    struct axes at; /* of the result: the axes in front; row and column are a tile's */
};

struct part { /* of the result: `rows` x `vectors` of `lanes` from (row, column) on */
    struct affine row, column;
    int rows, vectors, lanes;
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

static struct affine vector_column(const struct part *t, struct affine v)
{
    return affine_add(t->column, affine_scale(v, t->lanes));
}

static struct reg *start_sums(struct lowering *l, const struct product *p, const struct part *t)
{
    struct builder *b = &l->build;
    struct reg *acc = emit_reg(b, fresh(l, "acc"), vector(t->lanes), 2, (int64_t[]){t->rows, t->vectors});
    struct affine q = loop(l, VAR_UNROLL, "q", t->rows), v = loop(l, VAR_UNROLL, "v", t->vectors);
    emit_set(b, reg_at(acc, q, v),
             p->bias ? expr_load(b, t->lanes, at(p->bias, vector_column(t, v))) : zero_of(l, t->lanes));
    end(l, v);
    end(l, q);
    return acc;
}

static void sum_depth(struct lowering *l, const struct product *p, const struct part *t, struct reg *acc)
{
    struct builder *b = &l->build;
    struct affine k = loop(l, VAR_FOR, "k", p->depth);
    struct reg *row = emit_reg(b, fresh(l, "right_k"), vector(t->lanes), 1, (int64_t[]){t->vectors});
    struct affine v = loop(l, VAR_UNROLL, "v", t->vectors);
    emit_set(b, reg_at(row, v),
             expr_load(b, t->lanes, factor(p->right, p->right_shape, &p->at, k, vector_column(t, v))));
    end(l, v);
    struct affine q = loop(l, VAR_UNROLL, "q", t->rows);
    struct expr *one =
        emit_let(b, fresh(l, "left_k"),
                 expr_splat(b, t->lanes, factor(p->left, p->left_shape, &p->at, affine_add(t->row, q), k)));
    v = loop(l, VAR_UNROLL, "v", t->vectors);
    emit_set(b, reg_at(acc, q, v),
             expr_op(b, VOP_fma, one, expr_reg(b, reg_at(row, v)), expr_reg(b, reg_at(acc, q, v))));
    end(l, v);
    end(l, q);
    end(l, k);
}

static void product_part(struct lowering *l, const struct product *p, struct part t)
{
    struct reg *acc = start_sums(l, p, &t);
    sum_depth(l, p, &t, acc);
    struct affine q = loop(l, VAR_UNROLL, "q", t.rows), v = loop(l, VAR_UNROLL, "v", t.vectors);
    struct axes to = p->at;
    to.at[to.rank - 2] = affine_add(t.row, q);
    to.at[to.rank - 1] = vector_column(&t, v);
    generic_store_vector(l, &to, expr_reg(&l->build, reg_at(acc, q, v)), t.lanes);
    end(l, v);
    end(l, q);
}

static int64_t divisor(int64_t n, int64_t most)
{
    int64_t d = most < n ? most : n;
    while (n % d)
        d--;
    return d;
}

/* The columns of a tile of rows: as many vectors as registers hold, those that are left, then one by one. */
static void product_rows(struct lowering *l, const struct product *p, struct affine row, int rows)
{
    int lanes = l->target->lanes, most = (l->target->registers - 1) / (rows + 1);
    int64_t whole = p->columns / lanes, vectors = most < 4 ? most : 4;
    vectors = least_of(vectors, whole);
    struct part t = {.row = row, .rows = rows, .vectors = (int)vectors, .lanes = lanes};
    if (whole) {
        struct affine c = loop(l, VAR_FOR, "c", whole / vectors);
        t.column = affine_scale(c, vectors * lanes);
        product_part(l, p, t);
        end(l, c);
    }
    if (whole && whole % vectors) {
        t.vectors = (int)(whole % vectors);
        t.column = affine_const(whole / vectors * vectors * lanes);
        product_part(l, p, t);
    }
    if (p->columns % lanes) {
        struct affine c = loop(l, VAR_FOR, "c", p->columns % lanes);
        product_part(l, p, (struct part){row, affine_plus(c, whole * lanes), rows, 1, 1});
        end(l, c);
    }
}

/* Heads are tasks, and tiles of rows within them, as far as there are tasks to name. */
static struct affine task_or_loop(struct lowering *l, const char *name, int64_t n)
{
    if (n > 1 && l->build.kernel->n_task < MAX_TASKS && l->build.depth == 0)
        return affine_var(kernel_task(&l->build, name, n), 1);
    return loop(l, VAR_FOR, name, n);
}

static void product(struct lowering *l, struct product *p)
{
    static const char *const name[MAX_RANK] = {"a", "b", "d", "e"};
    const struct shape *out = &l->node->type.shape;
    p->at.rank = out->rank;
    p->rows = out->dim[out->rank - 2];
    p->columns = out->dim[out->rank - 1];
    p->depth = p->left_shape->dim[p->left_shape->rank - 1];
    int64_t rows = divisor(p->rows, l->target->registers >= 32 ? 7 : 5);
    for (int i = 0; i < out->rank - 2; i++)
        p->at.at[i] = task_or_loop(l, name[i], out->dim[i]);
    struct affine r = task_or_loop(l, "r", p->rows / rows);
    product_rows(l, p, affine_scale(r, rows), (int)rows);
    generic_end(l, r);
    for (int i = out->rank - 3; i >= 0; i--)
        generic_end(l, p->at.at[i]);
}

void generic_matmul(struct lowering *l)
{
    struct node *n = l->node;
    struct product p = {.left_shape = &n->in[0]->type.shape, .right_shape = &n->in[1]->type.shape};
    p.left = use_rows(l, DIR_IN, "left", n->in[0]);
    p.right = n->in[0] == n->in[1] ? p.left : use_rows(l, DIR_IN, "right", n->in[1]);
    generic_result(l);
    product(l, &p);
}

void generic_linear(struct lowering *l)
{
    struct node *n = l->node;
    struct shape turned = {2, {n->param[0]->shape.dim[1], n->param[0]->shape.dim[0]}};
    struct product p = {.left_shape = &n->in[0]->type.shape, .right_shape = &turned};
    p.left = use_rows(l, DIR_IN, "x", n->in[0]);
    p.right = use_weights(l, "w", (struct pack){.param = n->param[0], .kind = PACK_TURNED}, 2, turned.dim);
    p.bias = n->param[1] ? generic_weights(l, "bias", n->param[1]) : NULL;
    generic_result(l);
    product(l, &p);
}
