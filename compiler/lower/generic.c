/* What no blocked lowering takes: tensors of any rank, plain rows, in vectors (generic_vector.c, generic_matmul.c) or one element at a
 * time. Right first; what matters for speed gets a lowering of its own. The outermost axis is shared out as tasks. */
#include "lower/generic.h"

#include <string.h>

struct axes generic_open(struct lowering *l, struct shape shape, int skip)
{
    static const char *const name[MAX_RANK] = {"a", "b", "c", "d", "e", "f"};
    struct axes x = {.rank = shape.rank};
    for (int i = 0; i < shape.rank; i++) {
        if (i == skip)
            x.at[i] = l->zero;
        else if (i == 0 && shape.dim[0] > 1)
            x.at[i] = affine_var(kernel_task(&l->build, name[0], shape.dim[0]), 1);
        else
            x.at[i] = loop(l, VAR_FOR, name[i], shape.dim[i]);
    }
    return x;
}

void generic_close(struct lowering *l, struct axes *x)
{
    for (int i = x->rank - 1; i >= 0; i--)
        if (x->at[i].n && x->at[i].term[0].var->kind != VAR_TASK)
            end(l, x->at[i]);
}

/* Element of `v` for the result's position, broadcast from the right. */
static struct element_ref broadcast(struct buffer *b, const struct node *v, const struct axes *x)
{
    struct element_ref r = {.buffer = b};
    int shift = x->rank - v->type.shape.rank;
    r.at[0] = affine_const(0);
    for (int i = 0; i < v->type.shape.rank; i++)
        r.at[i] = v->type.shape.dim[i] == 1 ? affine_const(0) : x->at[i + shift];
    return r;
}

struct element_ref generic_at(struct buffer *b, const struct axes *x)
{
    struct element_ref r = {.buffer = b};
    r.at[0] = affine_const(0);
    for (int i = 0; i < x->rank; i++)
        r.at[i] = x->at[i];
    return r;
}

/* An epilogue's operand for `count` neighbours along the last axis. */
static struct expr *operand_vector(struct lowering *l, int i, const struct axes *x, int lanes, int count)
{
    const struct node *o = l->node->epilogue[i].operand;
    if (!o)
        return NULL;
    if (node_is_number(o))
        return expr_const(&l->build, lanes, o->value[0]);
    struct node shaped = *o;
    if (l->operand[i]->rank == x->rank && shape_equal(o->type.shape, l->node->type.shape))
        memcpy(shaped.type.shape.dim, l->operand[i]->dim, sizeof(int64_t) * (size_t)(shaped.type.shape.rank = x->rank));
    struct element_ref ref = broadcast(l->operand[i], &shaped, x);
    bool along = shaped.type.shape.rank && shaped.type.shape.dim[shaped.type.shape.rank - 1] > 1;
    return along ? expr_load_some(&l->build, lanes, ref, count, 0) : expr_splat(&l->build, lanes, ref);
}

static void store_some(struct lowering *l, struct axes *x, struct expr *value, int lanes, int count)
{
    struct node *n = l->node;
    for (int i = 0; i < n->n_epilogue; i++) {
        const struct epilogue *e = &n->epilogue[i];
        enum vop op = e->op == OP_relu      ? VOP_relu
                      : e->op == OP_sigmoid ? VOP_sigmoid
                      : e->op == OP_silu    ? VOP_silu
                      : e->op == OP_add     ? VOP_add
                                            : VOP_mul;
        value = expr_op(&l->build, op, value, operand_vector(l, i, x, lanes, count), NULL);
    }
    emit_store(&l->build, generic_at(l->out, x), value, count);
}

void generic_store_vector(struct lowering *l, struct axes *x, struct expr *value, int count)
{
    store_some(l, x, value, l->lanes, count);
}

void generic_store(struct lowering *l, struct axes *x, struct expr *value)
{
    store_some(l, x, value, 1, 1);
}

struct buffer *generic_use(struct lowering *l, enum direction dir, const char *name, const struct node *v,
                           struct shape shape)
{
    struct node shaped = *v;
    shaped.type.shape = shape;
    return use_rows(l, dir, name, &shaped);
}

struct buffer *generic_result_as(struct lowering *l, struct shape shape)
{
    struct node *n = l->node;
    for (int i = 0; i < n->n_epilogue; i++) {
        const struct node *o = n->epilogue[i].operand;
        const char *name = arena_printf(l->build.arena, "e%d", i);
        bool whole = o && shape_equal(o->type.shape, n->type.shape);
        if (o && !node_is_number(o))
            l->operand[i] = generic_use(l, DIR_IN, name, o, whole ? shape : o->type.shape);
    }
    return l->out = generic_use(l, DIR_OUT, "y", n, shape);
}

struct buffer *generic_result(struct lowering *l)
{
    return generic_result_as(l, l->node->type.shape);
}

/* A batch norm that nothing absorbed: the channels are axis 0. */
static void scale_shift(struct lowering *l)
{
    struct builder *b = &l->build;
    struct node *n = l->node;
    int64_t elements = (n->type.shape.dim[0] + BLOCK - 1) / BLOCK * BLOCK;
    struct buffer *in = use_rows(l, DIR_IN, "x", n->in[0]);
    struct buffer *scale =
        use_weights(l, "scale", (struct pack){.param = n->param[0], .kind = PACK_PLAIN}, 1, &elements);
    struct buffer *shift =
        use_weights(l, "shift", (struct pack){.param = n->param[1], .kind = PACK_PLAIN}, 1, &elements);
    generic_result(l);
    struct axes x = generic_open(l, n->type.shape, -1);
    struct expr *v = expr_load(b, 1, generic_at(in, &x));
    generic_store(l, &x,
                  expr_op(b, VOP_fma, v, expr_load(b, 1, at(scale, x.at[0])), expr_load(b, 1, at(shift, x.at[0]))));
    generic_close(l, &x);
}

struct kernel *lower_generic(struct lowering *l)
{
    switch (l->node->op) {
    case OP_permute: vector_permute(l); break;
    case OP_slice: vector_slice(l); break;
    case OP_concat: vector_concat(l); break;
    case OP_conv:
    case OP_convolve:
    case OP_conv1d: generic_conv(l); break;
    case OP_linear: generic_linear(l); break;
    case OP_matmul: generic_matmul(l); break;
    case OP_local_conv: generic_local_conv(l); break;
    case OP_unfold: generic_unfold(l); break;
    case OP_take: generic_take(l); break;
    case OP_upsample: generic_upsample(l); break;
    case OP_pad: generic_pad(l); break;
    case OP_group_norm: generic_group_norm(l); break;
    case OP_window_dot:
    case OP_window_mix: generic_window(l); break;
    case OP_softmax: vector_softmax(l); break;
    case OP_sum:
    case OP_mean: vector_reduction(l); break;
    case OP_scale_shift: scale_shift(l); break;
    default: vector_elementwise(l);
    }
    return kernel_end(&l->build);
}
