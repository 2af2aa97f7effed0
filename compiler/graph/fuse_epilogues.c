/* fuse_epilogues: what is done to each element of a result joins the node that makes it. Needs fold_batch_norm; keeps
 * every value but the ones that disappear into a node.
 *
 *   %conv3 f32[256,56,56] = conv %t2, @conv3.w, @conv3.b {k 1x1}
 *   %sum   f32[256,56,56] = add %conv3, %x
 *   %y     f32[256,56,56] = relu %sum
 *
 *   %conv3 f32[256,56,56] = conv %t2, @conv3.w, @conv3.b {k 1x1} | add %x | relu
 *
 * A producer absorbs its user if it is the only one, and if the result keeps its type; an epilogue's operand has that
 * type, or is one number a channel, [C,1,1], or one number. A quotient by a number is a product with its reciprocal. A network's output
 * is a user too.
 * What would surprise: with one user, the other operand of an addition can never depend on the producer, so it is
 * always right to move the producer down to where the addition stood. That is also why a convolution does not absorb
 * the gate that was computed from its own result (SE): it has two users then, and the multiplication is the producer:
 *
 *   %scaled f32[256,56,56] = mul %conv3, %gate | add %x | relu
 *
 * Of two producers that could absorb an addition the later one does, so that nothing moves. The producer keeps its name.
 *
 * A batch norm that no convolution took, behind something else that has epilogues, is a factor and a summand a channel:
 *
 *   %dynamic f32[64,56,56] = local_conv %v, %w {k 3x3 pad 1} | mul %scale | add %shift | silu      # [64,1,1] of parameters
 */
#include "graph/graph.h"

/* Who has epilogues, and who can be one: patterns as a table. */
enum role { ALONE, PRODUCER = 1, EPILOGUE = 2 };

static const enum role role[OP_COUNT] = {
    [OP_conv] = PRODUCER,
    [OP_linear] = PRODUCER,
    [OP_scale_shift] = PRODUCER,
    [OP_sub] = PRODUCER,
    [OP_convolve] = PRODUCER,
    [OP_conv1d] = PRODUCER,
    [OP_local_conv] = PRODUCER,
    [OP_gated_sum] = PRODUCER,
    [OP_matmul] = PRODUCER,
    [OP_group_norm] = PRODUCER,
    [OP_div] = PRODUCER,
    [OP_add] = PRODUCER | EPILOGUE,
    [OP_mul] = PRODUCER | EPILOGUE,
    [OP_relu] = EPILOGUE,
    [OP_sigmoid] = EPILOGUE,
    [OP_silu] = EPILOGUE,
};

static bool is_operand(const struct node *n, struct type result)
{
    struct shape channels = {3, {result.shape.dim[0], 1, 1}};
    if (node_is_number(n) && n->type.shape.rank <= result.shape.rank) {
        return true;
    }
    return shape_equal(n->type.shape, result.shape) || (result.shape.rank == 3 && shape_equal(n->type.shape, channels));
}

static bool can_absorb(const struct graph *g, const struct node *producer, const struct node *user,
                       const struct node *operand)
{
    return role[producer->op] & PRODUCER && producer->n_epilogue + 2 <= MOST_EPILOGUES && /* a norm is two */
           shape_equal(producer->type.shape, user->type.shape) && (!operand || is_operand(operand, user->type)) &&
           node_uses(g, producer) == 1;
}

/* Which input of `user` absorbs it; -1: none. */
static int choose_producer(const struct graph *g, const struct node *user)
{
    int best = -1;
    for (int k = 0; k < user->n_in; k++) {
        const struct node *operand = user->n_in == 2 ? user->in[1 - k] : NULL;
        if (can_absorb(g, user->in[k], user, operand) && (best < 0 || user->in[k]->id > user->in[best]->id)) {
            best = k;
        }
    }
    return best;
}

/* By a number is a product with its reciprocal. */
static bool is_quotient(const struct graph *g, const struct node *n)
{
    return n->op == OP_div && n->n_epilogue == 0 && node_is_number(n->in[1]) && n->in[1]->value[0] != 0 &&
           can_absorb(g, n->in[0], n, NULL);
}

static bool become_product(struct graph *g, struct pass_context *context, struct node *n)
{
    struct attrs attrs = {.shape = n->in[1]->type.shape};
    struct node *reciprocal = graph_add(g, context->diags, OP_constant, NULL, 0, &attrs, n->path, NULL, n->origin);
    if (!reciprocal) {
        return false;
    }
    double *value = NEW_ARRAY(g->arena, double, 1);
    *value = 1 / n->in[1]->value[0];
    reciprocal->value = value;
    reciprocal->source = n->source;
    graph_insert_before(g, n, reciprocal);
    struct node **in = NEW_ARRAY(g->arena, struct node *, 2);
    in[0] = n->in[0];
    in[1] = reciprocal;
    n->in = in;
    n->op = OP_mul;
    return true;
}

static void absorb(struct graph *g, struct node *producer, struct node *user, struct node *operand)
{
    struct epilogue *epilogue = NEW_ARRAY(g->arena, struct epilogue, producer->n_epilogue + 1);
    for (int k = 0; k < producer->n_epilogue; k++) {
        epilogue[k] = producer->epilogue[k];
    }
    epilogue[producer->n_epilogue++] = (struct epilogue){user->op, operand};
    producer->epilogue = epilogue;
    if (operand && operand->id > producer->id) {
        graph_insert_before(g, user, producer);
    }
    graph_replace(g, user, producer);
    user->n_in = 0; /* it uses nothing any more; drop_dead would see that only at the end */
}

/* [C] as a value [C,1,1] that stands before `at`. */
static struct node *channels_of(struct graph *g, struct pass_context *context, struct node *at, struct param *param)
{
    struct attrs list = {.shape = param->shape}, map = {.shape = {3, {param->shape.dim[0], 1, 1}}};
    struct node *value = graph_add(g, context->diags, OP_parameter, NULL, 0, &list, at->path, NULL, at->origin);
    struct node *shaped =
        value ? graph_add(g, context->diags, OP_reshape, &value, 1, &map, at->path, NULL, at->origin) : NULL;
    if (shaped) {
        value->param[0] = param;
        value->source = shaped->source = at->source;
        graph_insert_before(g, at, value);
        graph_insert_before(g, at, shaped);
    }
    return shaped;
}

static bool is_lone_norm(const struct graph *g, const struct node *n)
{
    return n->op == OP_scale_shift && n->n_epilogue == 0 && n->type.shape.rank == 3 && n->in[0]->op != OP_scale_shift &&
           can_absorb(g, n->in[0], n, NULL);
}

static bool absorb_norm(struct graph *g, struct pass_context *context, struct node *norm)
{
    struct node *producer = norm->in[0], *scale = channels_of(g, context, norm, norm->param[0]),
                *shift = scale ? channels_of(g, context, norm, norm->param[1]) : NULL;
    if (!shift) {
        return false;
    }
    enum op op[] = {OP_mul, OP_add};
    struct node *operand[] = {scale, shift};
    struct epilogue *epilogue = NEW_ARRAY(g->arena, struct epilogue, producer->n_epilogue + 2);
    for (int k = 0; k < producer->n_epilogue; k++) {
        epilogue[k] = producer->epilogue[k];
    }
    for (int k = 0; k < 2; k++) {
        epilogue[producer->n_epilogue++] = (struct epilogue){op[k], operand[k]};
    }
    producer->epilogue = epilogue;
    graph_insert_before(g, norm, producer);
    graph_replace(g, norm, producer);
    norm->n_in = 0;
    return true;
}

bool fuse_epilogues(struct graph *g, struct pass_context *context)
{
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *user = g->node[i];
        if (is_lone_norm(g, user)) {
            if (!absorb_norm(g, context, user)) {
                return false;
            }
            i = (size_t)user->id;
            continue;
        }
        if (is_quotient(g, user)) {
            if (!become_product(g, context, user)) {
                return false;
            }
            i = (size_t)user->id;
        }
        int k = role[user->op] & EPILOGUE && user->n_epilogue == 0 ? choose_producer(g, user) : -1;
        if (k >= 0) {
            absorb(g, user->in[k], user, user->n_in == 2 ? user->in[1 - k] : NULL);
        }
    }
    graph_remove_dead(g);
    return true;
}
