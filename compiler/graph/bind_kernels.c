/* bind_kernels: a convolution whose kernel is a value, but the same for every image, becomes one with weights. Needs nothing; keeps
 * every value. What is left as convolve has a kernel that is worked out from the input.
 *
 *   %blur f32[4,1,3,3] = constant [...]
 *   %y    f32[4,6,6]   = convolve %x, %blur {k 3x3 stride 2 groups 4}
 *
 *   param @y.weight f32[4,1,3,3] = constant [...]
 *   %y    f32[4,6,6]   = conv %x, @y.weight {k 3x3 stride 2 groups 4}
 *
 * A loaded parameter stays itself, under its own name. Numbers that were put into shape by reshapes count, as descriptions write them
 * so; a reshaped parameter does not, since a parameter has the shape that its file has.
 */
#include "graph/graph.h"

static bool is_constant(const struct node *value)
{
    while (value->op == OP_reshape && value->n_epilogue == 0) {
        value = value->in[0];
    }
    return value->op == OP_constant;
}

static bool is_fixed(const struct node *value)
{
    return value->op == OP_parameter || is_constant(value);
}

static struct param *bound(struct graph *g, const struct node *conv, const struct node *value, const char *leaf)
{
    if (value->op == OP_parameter) {
        return value->param[0];
    }
    struct shape shape = value->type.shape;
    const char *name = intern_printf("%s.%s", conv->name, leaf);
    while (graph_find_param(g, name)) {
        name = intern_printf("%s_", name);
    }
    while (value->op == OP_reshape) {
        value = value->in[0];
    }
    struct param *param = graph_derived(g, name, shape, PARAM_CONSTANT, NULL, 0, 0);
    param->value = value->value;
    return param;
}

bool bind_kernels(struct graph *g, struct pass_context *context)
{
    (void)context;
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *n = g->node[i];
        bool has_bias = n->op == OP_convolve && n->n_in == 3;
        if (n->op != OP_convolve || !is_fixed(n->in[1]) || (has_bias && !is_fixed(n->in[2]))) {
            continue;
        }
        n->param[0] = bound(g, n, n->in[1], "weight");
        n->param[1] = has_bias ? bound(g, n, n->in[2], "bias") : NULL;
        n->attrs.out = n->in[1]->type.shape.dim[0];
        n->op = OP_conv;
        n->n_in = 1;
    }
    graph_remove_dead(g);
    return true;
}
