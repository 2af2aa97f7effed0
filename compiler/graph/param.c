/* Parameters: what a graph loads from a weights file, what is derived from that, and which of them an operator needs.
 *
 * The leaf names come from ops.def ("weight bias?"); their shapes follow from the node's input and result and are the
 * only thing written here by operator.
 */
#include "graph/graph.h"

#include <string.h>

static const struct recipe_info recipes[PARAM_RECIPES] = {
    [PARAM_LOADED] = {"loaded", 0, 0, false, false},
    [PARAM_CONSTANT] = {"constant", 0, 0, false, false},
    [PARAM_FOLD_WEIGHT] = {"fold_weight", 3, 3, true, false},
    [PARAM_FOLD_BIAS] = {"fold_bias", 4, 5, true, false},
    [PARAM_FOLD_SCALE] = {"fold_scale", 2, 2, true, false},
    [PARAM_CONCAT] = {"concat", 2, -1, false, true},
    [PARAM_SUM] = {"sum", 2, -1, false, false},
    [PARAM_TAKE] = {"take", 2, 2, false, false},
};

const struct recipe_info *recipe_info(enum param_op op)
{
    return &recipes[op];
}

struct param *graph_derived(struct graph *graph, const char *name, struct shape shape, enum param_op op,
                            struct param *const *from, int n, double eps)
{
    struct param *param = NEW(graph->arena, struct param);
    param->id = (int)graph->n_param;
    param->name = intern(name);
    param->shape = shape;
    param->op = op;
    param->n_from = n;
    param->from = NEW_ARRAY(graph->arena, struct param *, n + 1);
    for (int i = 0; i < n; i++) {
        param->from[i] = from[i];
    }
    param->eps = eps;
    param->origin = (struct origin){NO_SPAN, NULL};
    PUSH(graph->arena, graph->param, graph->n_param, graph->cap_param, param);
    if (!name_map_get(&graph->params, param->name)) {
        name_map_put(graph->arena, &graph->params, param->name, param);
    }
    return param;
}

struct param *graph_joined(struct graph *graph, const char *name, struct param *const *from, int n, int axis)
{
    struct shape shape = from[0]->shape;
    for (int i = 1; i < n; i++) {
        shape.dim[axis] += from[i]->shape.dim[axis];
    }
    struct param *param = graph_derived(graph, name, shape, PARAM_CONCAT, from, n, 0);
    param->axis = axis;
    return param;
}

/* Is it the first `before` bytes of `first`, the number, and then `after`? */
static bool counts(const char *name, const char *first, size_t before, int number, const char *after)
{
    if (strncmp(name, first, before) != 0) {
        return false;
    }
    const char *digits = intern_printf("%d", number), *at = name + before;
    return strncmp(at, digits, strlen(digits)) == 0 && strcmp(at + strlen(digits), after) == 0;
}

const char *joined_name(const void *list, int n, const char *(*name_of)(const void *list, int i))
{
    const char *first = name_of(list, 0);
    for (const char *at = first; at; at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL) {
        size_t before = (size_t)(at - first);
        const char *after = at + 1;
        bool found = *at == '0' && (*after == '.' || !*after) && (before || *after);
        for (int i = 1; found && i < n; i++) {
            found = counts(name_of(list, i), first, before, i, after);
        }
        if (found) { /* one dot goes with the number */
            return before ? intern_printf("%.*s%s", (int)before - 1, first, after) : intern(after + 1);
        }
    }
    return NULL;
}

static const char *source_name(const void *from, int i)
{
    return ((struct param *const *)from)[i]->name;
}

const char *joined_param_name(struct param *const *from, int n)
{
    return joined_name(from, n, source_name);
}

struct param *graph_param(struct graph *graph, const char *name, struct shape shape, struct origin origin)
{
    struct param *param = graph_derived(graph, name, shape, PARAM_LOADED, NULL, 0, 0);
    param->origin = origin;
    return param;
}

struct param *graph_find_param(const struct graph *graph, const char *name)
{
    void **found = name_map_get(&graph->params, intern(name));
    return found ? *found : NULL;
}

/* The slot's word in ops.def: false past the last one. */
static bool slot_leaf(enum op op, int slot, const char **leaf, bool *optional)
{
    const char *word = op_info(op)->params;
    for (int i = 0;; i++, word += *word == ' ') {
        size_t length = strcspn(word, " ");
        if (!length) {
            return false;
        }
        if (i == slot) {
            *optional = word[length - 1] == '?';
            *leaf = intern_n(word, length - *optional);
            return true;
        }
        word += length;
    }
}

bool node_param(const struct node *node, int slot, const char **leaf, bool *optional, struct shape *shape)
{
    if (slot < 0 || slot >= MAX_PARAMS || !slot_leaf(node->op, slot, leaf, optional)) {
        return false;
    }
    const struct attrs *attrs = &node->attrs;
    const struct shape *in = node->n_in ? &node->in[0]->type.shape : NULL;
    if (node->op == OP_parameter) {
        *shape = attrs->shape;
    } else if (slot == 0 && node->op == OP_conv) {
        *shape =
            (struct shape){4, {attrs->out, in->dim[in->rank - 3] / attrs->groups, attrs->kernel[0], attrs->kernel[1]}};
    } else if (slot == 0 && node->op == OP_conv1d) {
        *shape = (struct shape){3, {attrs->out, in->dim[0], attrs->kernel[1]}};
    } else if (slot == 0 && node->op == OP_linear) {
        *shape = (struct shape){2, {attrs->out, in->dim[in->rank - 1]}};
    } else if (node->op == OP_conv || node->op == OP_conv1d || node->op == OP_linear) {
        *shape = (struct shape){1, {attrs->out}};
    } else if (node->op == OP_group_scale) { /* of two numbers a channel */
        *shape = (struct shape){1, {in->dim[0] / 2}};
    } else { /* the norms: one number a channel */
        *shape = (struct shape){1, {in->dim[0]}};
    }
    return true;
}

static int64_t add_saturated(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static bool is_running_statistic(const struct param *param)
{
    const char *dot = strrchr(param->name, '.');
    const char *leaf = dot ? dot + 1 : param->name;
    return !strcmp(leaf, "running_mean") || !strcmp(leaf, "running_var");
}

bool param_counts(const struct param *param)
{
    return param->op == PARAM_LOADED && !is_running_statistic(param);
}

int64_t graph_params(const struct graph *graph)
{
    int64_t total = 0;
    for (size_t i = 0; i < graph->n_param; i++) {
        const struct param *param = graph->param[i];
        if (param_counts(param)) {
            total = add_saturated(total, shape_elements(param->shape));
        }
    }
    return total;
}

/* A filter of numbers that the description gives, such as a blur. It counts as the pools do, with nothing. */
static bool is_fixed_filter(const struct node *node)
{
    if (node->op == OP_conv) {
        const struct param *kernel = node->param[0];
        while (kernel->op == PARAM_FOLD_WEIGHT) {
            kernel = kernel->from[0];
        }
        return kernel->op == PARAM_CONSTANT;
    }
    const struct node *kernel = node->op == OP_convolve ? node->in[1] : node;
    while (kernel->op == OP_reshape) {
        kernel = kernel->in[0];
    }
    return kernel->op == OP_constant;
}

/* A local convolution as descriptions write it (netdefs/blocks/cot.net): a sum over products of unfolded windows and weights. */
static bool is_local_convolution(const struct node *node)
{
    if (node->op != OP_sum || node->n_in != 1 || node->in[0]->op != OP_mul) {
        return false;
    }
    const struct node *product = node->in[0];
    for (int i = 0; i < product->n_in; i++) {
        const struct node *windows = product->in[i];
        while (windows->op == OP_reshape) {
            windows = windows->in[0];
        }
        if (windows->op == OP_unfold) {
            return true;
        }
    }
    return false;
}

int64_t node_macs(const struct node *node)
{
    const struct shape *out = &node->type.shape;
    if (is_fixed_filter(node)) {
        return 0;
    }
    if (is_local_convolution(node)) {
        return shape_elements(node->in[0]->type.shape);
    }
    if (node->op == OP_conv) {
        const struct shape *in = &node->in[0]->type.shape;
        int64_t reduction = in->dim[in->rank - 3] / node->attrs.groups * node->attrs.kernel[0] * node->attrs.kernel[1];
        return shape_elements(*out) * reduction;
    }
    if (node->op == OP_convolve) {
        const struct shape *kernel = &node->in[1]->type.shape;
        return shape_elements(*out) * (kernel->dim[1] * kernel->dim[2] * kernel->dim[3]);
    }
    if (node->op == OP_conv1d) {
        return shape_elements(*out) * (node->in[0]->type.shape.dim[0] * node->attrs.kernel[1]);
    }
    if (node->op == OP_matmul) {
        const struct shape *a = &node->in[0]->type.shape;
        return shape_elements(*out) * a->dim[a->rank - 1];
    }
    if (node->op == OP_window_dot || node->op == OP_window_mix) {
        const struct shape *windows = node->op == OP_window_dot ? &node->in[1]->type.shape : out;
        return shape_elements(*windows) * (node->attrs.kernel[0] * node->attrs.kernel[1]);
    }
    if (node->op == OP_each_conv) {
        return shape_elements(*out) * (node->attrs.kernel[0] * node->attrs.kernel[1]);
    }
    struct local_conv local;
    if (node->op == OP_local_conv || (node->op == OP_sum && match_local_conv(node, &local))) {
        const struct attrs *window = node->op == OP_sum ? &local.unfold->attrs : &node->attrs;
        return shape_elements(*out) * (window->kernel[0] * window->kernel[1]);
    }
    if (node->op == OP_linear) {
        const struct shape *in = &node->in[0]->type.shape;
        return shape_elements(*out) * in->dim[in->rank - 1];
    }
    return 0;
}

int64_t graph_macs(const struct graph *graph)
{
    int64_t total = 0;
    for (size_t i = 0; i < graph->n_node; i++) {
        total = add_saturated(total, node_macs(graph->node[i]));
    }
    return total;
}

int64_t graph_activations(const struct graph *graph)
{
    int64_t sum = 0;
    for (size_t i = 0; i < graph->n_node; i++)
        sum += node_macs(graph->node[i]) ? shape_elements(graph->node[i]->type.shape) : 0;
    return sum;
}
