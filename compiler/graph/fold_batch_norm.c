/* fold_batch_norm: a batch norm behind a convolution or a linear layer becomes part of its weights and bias; one that
 * nothing can absorb becomes a multiplication and an addition a channel. Needs nothing; keeps every value; afterwards
 * no batch_norm is left.
 *
 *   %conv1 f32[128,56,56] = conv %x, @conv1.weight {k 1x1}
 *   %bn1   f32[128,56,56] = batch_norm %conv1, @bn1.* {eps 1e-05}
 *   %bn2   f32[128,56,56] = batch_norm %sum, @bn2.* {eps 1e-05}
 *
 *   param @conv1.w  f32[128,256,1,1] = fold_weight @conv1.weight, @bn1.weight, @bn1.running_var {eps 1e-05}
 *   param @conv1.b  f32[128] = fold_bias @bn1.bias, @bn1.weight, @bn1.running_mean, @bn1.running_var {eps 1e-05}
 *   ...
 *   %conv1 f32[128,56,56] = conv %x, @conv1.w, @conv1.b {k 1x1}
 *   %bn2   f32[128,56,56] = scale_shift %sum, @bn2.scale, @bn2.shift
 *
 * The producer absorbs it only if nobody else sees its result, and only if its channels are axis 0 of that result,
 * which is what a batch norm means by channels: not for a convolution with leading axes.
 */
#include "graph/graph.h"

#include <string.h>

enum { WEIGHT, BIAS, MEAN, VAR };

/* "layer1.0.conv1.weight" with the leaf "w" is "layer1.0.conv1.w"; a name that is taken gets underscores. */
static const char *derived_name(struct graph *g, const struct param *from, const char *leaf)
{
    const char *dot = strrchr(from->name, '.');
    const char *name = dot ? intern_printf("%.*s.%s", (int)(dot - from->name), from->name, leaf) : intern(leaf);
    while (graph_find_param(g, name)) {
        name = intern_printf("%s_", name);
    }
    return name;
}

static bool can_absorb(const struct graph *g, const struct node *producer)
{
    int rank = producer->op == OP_conv ? 3 : producer->op == OP_linear ? 1 : 0;
    return rank > 0 && producer->type.shape.rank == rank && producer->n_epilogue == 0 && node_uses(g, producer) == 1;
}

/* weight * s and beta + (bias - mean) * s with s = gamma / sqrt(var + eps) */
static void absorb(struct graph *g, struct node *conv, struct node *bn)
{
    struct param *weight = conv->param[WEIGHT], *bias = conv->param[BIAS], **norm = bn->param;
    struct param *for_weight[] = {weight, norm[WEIGHT], norm[VAR]};
    struct param *for_bias[] = {norm[BIAS], norm[WEIGHT], norm[MEAN], norm[VAR], bias};
    double eps = bn->attrs.eps;
    conv->param[WEIGHT] =
        graph_derived(g, derived_name(g, weight, "w"), weight->shape, PARAM_FOLD_WEIGHT, for_weight, 3, eps);
    conv->param[BIAS] =
        graph_derived(g, derived_name(g, weight, "b"), norm[BIAS]->shape, PARAM_FOLD_BIAS, for_bias, bias ? 5 : 4, eps);
    graph_replace(g, bn, conv);
}

/* The node stays, under its name, as another operator. */
static void become_scale_shift(struct graph *g, struct node *bn)
{
    struct param **norm = bn->param;
    struct param *for_scale[] = {norm[WEIGHT], norm[VAR]},
                 *for_shift[] = {norm[BIAS], norm[WEIGHT], norm[MEAN], norm[VAR]};
    double eps = bn->attrs.eps;
    struct param *scale = graph_derived(g, derived_name(g, norm[WEIGHT], "scale"), norm[WEIGHT]->shape,
                                        PARAM_FOLD_SCALE, for_scale, 2, eps);
    struct param *shift =
        graph_derived(g, derived_name(g, norm[WEIGHT], "shift"), norm[BIAS]->shape, PARAM_FOLD_BIAS, for_shift, 4, eps);
    bn->op = OP_scale_shift;
    bn->attrs = (struct attrs){0};
    memset(bn->param, 0, sizeof bn->param);
    bn->param[0] = scale;
    bn->param[1] = shift;
}

bool fold_batch_norm(struct graph *g, struct pass_context *context)
{
    (void)context;
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *bn = g->node[i];
        if (bn->op != OP_batch_norm) {
            continue;
        }
        if (bn->n_epilogue == 0 && can_absorb(g, bn->in[0])) {
            absorb(g, bn->in[0], bn);
        } else {
            become_scale_shift(g, bn);
        }
    }
    graph_remove_dead(g);
    return true;
}
