/* The invariants of a graph, checked after elaboration, after every pass and after reading a text form:
 *
 *   graph_order      ids are positions; inputs and epilogue operands are nodes of the graph and stand before the node
 *   graph_names      names of nodes are unique and not empty, those of parameters too, those of outputs too
 *   graph_arity      as many inputs as the operator takes; a constant has its numbers
 *   graph_types      shape and element are what infer_type() gives (which reports its own checks); any layout
 *   graph_recipes    a derived parameter has the sources, in the shapes, that its recipe needs; sources stand before it
 *   graph_params     each slot that is not optional has a loaded or derived parameter of the shape of node_param()
 *   graph_epilogues  relu, sigmoid, silu without an operand; add, mul with one of the result's shape or [C,1,1]
 *   graph_inputs     graph.input lists the input nodes in order; steps end in the input's size and with normalize
 *   graph_outputs    at least one, each a node of the graph, with labels where it says so
 *   graph_layouts    no node has a layout or all have; blocks only for [C,H,W], 16 or C < 16 wide
 *   graph_schedules  the algorithm is one for the operator; no number of a schedule is negative, without algorithm all are 0
 *   graph_storage    no node has a storage or all have; the owner lies in its own at lead 0; a view ends inside it
 *
 * A failure is a defect of the pass that ran last, never of the user's input: the caller says so. The groups run in
 * this order and the first one with a failure ends the check, so that one fault gives one message and later groups may
 * trust earlier ones.
 */
#include "graph/winograd.h"

#include <math.h>
#include <string.h>

struct verifier {
    struct diags *diags;
    const struct graph *graph;
    struct arena *scratch;
    bool good;
};

#define wrong(v, check, node, ...) \
    (diag_error((v)->diags, CHECK_##check, (node)->origin, __VA_ARGS__), (v)->good = false)
#define wrong_graph(v, check, ...) (diag_error_at((v)->diags, CHECK_##check, NO_SPAN, __VA_ARGS__), (v)->good = false)

static bool has_node(const struct graph *graph, const struct node *node)
{
    return node && node->id >= 0 && (size_t)node->id < graph->n_node && graph->node[node->id] == node;
}

static bool has_param(const struct graph *graph, const struct param *param)
{
    return param && param->id >= 0 && (size_t)param->id < graph->n_param && graph->param[param->id] == param;
}

/* ---- order, names, types ---- */

static void check_operand(struct verifier *v, const struct node *node, const struct node *operand, const char *what)
{
    if (!has_node(v->graph, operand)) {
        wrong(v, graph_order, node, "%%%s: its %s %s is not in the graph", node->name, what,
              operand ? operand->name : "(none)");
    } else if (operand->id >= node->id) {
        wrong(v, graph_order, node, "%%%s: its %s %%%s stands behind it", node->name, what, operand->name);
    }
}

static void check_order(struct verifier *v, const struct node *node)
{
    for (int k = 0; k < node->n_in; k++) {
        check_operand(v, node, node->in[k], "input");
    }
    for (int k = 0; k < node->n_epilogue; k++) {
        if (node->epilogue[k].operand) {
            check_operand(v, node, node->epilogue[k].operand, "epilogue's operand");
        }
    }
}

static void check_ids(struct verifier *v)
{
    const struct graph *graph = v->graph;
    for (size_t i = 0; i < graph->n_node; i++) {
        if (graph->node[i]->id != (int)i) {
            wrong(v, graph_order, graph->node[i], "%%%s has the id %d at position %zu", graph->node[i]->name,
                  graph->node[i]->id, i);
        }
    }
    for (size_t i = 0; i < graph->n_param; i++) {
        if (graph->param[i]->id != (int)i) {
            wrong(v, graph_order, graph->param[i], "@%s has the id %d at position %zu", graph->param[i]->name,
                  graph->param[i]->id, i);
        }
    }
}

/* Is this the first thing of that name? */
static bool is_new_name(struct verifier *v, struct name_map *seen, const char *name)
{
    if (!name || !*name || name_map_get(seen, intern(name))) {
        return false;
    }
    name_map_put(v->scratch, seen, intern(name), seen);
    return true;
}

static void check_names(struct verifier *v)
{
    const struct graph *graph = v->graph;
    struct name_map nodes = {0}, params = {0}, outputs = {0};
    for (size_t i = 0; i < graph->n_node; i++) {
        if (!is_new_name(v, &nodes, graph->node[i]->name)) {
            wrong(v, graph_names, graph->node[i], "the name %%%s is empty or there twice", graph->node[i]->name);
        }
    }
    for (size_t i = 0; i < graph->n_param; i++) {
        if (!is_new_name(v, &params, graph->param[i]->name)) {
            wrong(v, graph_names, graph->param[i], "the name @%s is empty or there twice", graph->param[i]->name);
        }
    }
    for (size_t i = 0; i < graph->n_output; i++) {
        if (!is_new_name(v, &outputs, graph->output[i].name)) {
            wrong_graph(v, graph_names, "the output name %s is empty or there twice", graph->output[i].name);
        }
    }
}

static void check_arity(struct verifier *v, const struct node *node)
{
    const struct op_info *info = op_info(node->op);
    if (node->n_in < info->min_in || (info->max_in >= 0 && node->n_in > info->max_in)) {
        wrong(v, graph_arity, node, "%%%s: %s has %d inputs", node->name, info->name, node->n_in);
    }
    if (node->op == OP_constant && !node->value) {
        wrong(v, graph_arity, node, "%%%s is a constant without numbers", node->name);
    }
}

static void check_type(struct verifier *v, const struct node *node)
{
    struct node copy = *node;
    if (!infer_type(v->diags, &copy)) {
        v->good = false;
    } else if (copy.type.element != node->type.element || !shape_equal(copy.type.shape, node->type.shape)) {
        wrong(v, graph_types, node, "%%%s has the shape %s, %s gives %s", node->name,
              shape_text(v->scratch, node->type.shape), op_info(node->op)->name,
              shape_text(v->scratch, copy.type.shape));
    }
}

/* ---- parameters ---- */

static void check_source(struct verifier *v, const struct param *param, int k)
{
    const struct param *from = param->from[k];
    bool whole = (param->op == PARAM_FOLD_WEIGHT && k == 0) || param->op == PARAM_SUM;
    if (!has_param(v->graph, from) || from->id >= param->id) {
        wrong(v, graph_recipes, param, "@%s: source %d of its recipe does not stand before it", param->name, k + 1);
        return;
    }
    struct shape one = {1, {param->shape.rank ? param->shape.dim[0] : 1}};
    struct shape expected = whole ? param->shape : one;
    if (param->op == PARAM_TAKE && k == 0) { /* of any number of rows */
        expected = param->shape;
        expected.dim[0] = from->shape.rank == expected.rank ? from->shape.dim[0] : 0;
    }
    if (param->op == PARAM_CONCAT) { /* any length along the axis; check_recipe adds them up */
        expected = param->shape;
        expected.dim[param->axis] = from->shape.rank == expected.rank ? from->shape.dim[param->axis] : 0;
    }
    if (!shape_equal(from->shape, expected)) {
        wrong(v, graph_recipes, param, "@%s: %s needs %s for source %d, @%s is %s", param->name,
              recipe_info(param->op)->name, shape_text(v->scratch, expected), k + 1, from->name,
              shape_text(v->scratch, from->shape));
    }
}

/* Row numbers are numbers of rows. */
static bool rows_fit(const struct param *param)
{
    const struct param *rows = param->from[0], *number = param->from[1];
    bool good = number->op == PARAM_CONSTANT && number->value;
    for (int64_t i = 0; good && i < shape_elements(number->shape); i++) {
        double k = number->value[i];
        good = k >= 0 && k < (double)rows->shape.dim[0] && k == floor(k);
    }
    return good;
}

static void check_recipe(struct verifier *v, const struct param *param)
{
    int64_t elements = shape_elements(param->shape);
    if (param->shape.rank < 0 || param->shape.rank > MAX_RANK || elements < 1 || elements > INT32_MAX ||
        (unsigned)param->op >= PARAM_RECIPES) {
        wrong(v, graph_recipes, param, "@%s has no possible shape or no recipe", param->name);
        return;
    }
    const struct recipe_info *recipe = recipe_info(param->op);
    if (param->n_from < recipe->min_from || (recipe->max_from >= 0 && param->n_from > recipe->max_from)) {
        wrong(v, graph_recipes, param, "@%s: %s has %d sources", param->name, recipe->name, param->n_from);
        return;
    }
    if (recipe->has_eps && !(isfinite(param->eps) && param->eps > 0)) {
        wrong(v, graph_recipes, param, "@%s: eps is %g", param->name, param->eps);
    }
    if (param->op == PARAM_CONSTANT && !param->value) {
        wrong(v, graph_recipes, param, "@%s is a constant without numbers", param->name);
    }
    if (recipe->has_axis && (param->axis < 0 || param->axis >= param->shape.rank)) {
        wrong(v, graph_recipes, param, "@%s: there is no axis %d of %s", param->name, param->axis,
              shape_text(v->scratch, param->shape));
        return;
    }
    for (int k = 0; v->good && k < param->n_from; k++) {
        check_source(v, param, k);
    }
    if (v->good && param->op == PARAM_TAKE && !rows_fit(param)) {
        wrong(v, graph_recipes, param, "@%s takes rows that @%s does not have", param->name, param->from[0]->name);
    }
    int64_t sum = 0;
    for (int k = 0; v->good && param->op == PARAM_CONCAT && k < param->n_from; k++) {
        sum += param->from[k]->shape.dim[param->axis];
    }
    if (v->good && param->op == PARAM_CONCAT && sum != param->shape.dim[param->axis]) {
        wrong(v, graph_recipes, param, "@%s: its sources have %lld along axis %d, it has %lld", param->name,
              (long long)sum, param->axis, (long long)param->shape.dim[param->axis]);
    }
}

static void check_params(struct verifier *v, const struct node *node)
{
    const char *leaf;
    bool optional;
    struct shape shape;
    int slot = 0;
    for (; node_param(node, slot, &leaf, &optional, &shape); slot++) {
        const struct param *param = node->param[slot];
        if (!param && optional) {
            continue;
        }
        if (!has_param(v->graph, param)) {
            wrong(v, graph_params, node, "%%%s: %s has no %s, or one that is not in the graph", node->name,
                  op_info(node->op)->name, leaf);
        } else if (!shape_equal(param->shape, shape)) {
            wrong(v, graph_params, node, "%%%s: the %s @%s must be %s, it is %s", node->name, leaf, param->name,
                  shape_text(v->scratch, shape), shape_text(v->scratch, param->shape));
        }
    }
    for (; slot < MAX_PARAMS; slot++) {
        if (node->param[slot]) {
            wrong(v, graph_params, node, "%%%s: %s does not take @%s", node->name, op_info(node->op)->name,
                  node->param[slot]->name);
        }
    }
}

/* ---- epilogues ---- */

static bool epilogue_fits(const struct node *node, const struct epilogue *epilogue)
{
    if (epilogue->op == OP_relu || epilogue->op == OP_sigmoid || epilogue->op == OP_silu) {
        return !epilogue->operand;
    }
    if ((epilogue->op != OP_add && epilogue->op != OP_mul) || !epilogue->operand) {
        return false;
    }
    struct shape whole = node->type.shape, part = epilogue->operand->type.shape;
    bool a_channel =
        whole.rank == 3 && part.rank == 3 && part.dim[0] == whole.dim[0] && part.dim[1] == 1 && part.dim[2] == 1;
    return shape_equal(whole, part) || a_channel || node_is_number(epilogue->operand);
}

static void check_epilogues(struct verifier *v, const struct node *node)
{
    if (node->n_epilogue > MOST_EPILOGUES) {
        wrong(v, graph_epilogues, node, "%%%s has %d epilogues, more than %d", node->name, node->n_epilogue,
              MOST_EPILOGUES);
    }
    for (int k = 0; k < node->n_epilogue; k++) {
        const struct epilogue *epilogue = &node->epilogue[k];
        if ((unsigned)epilogue->op >= OP_COUNT || !epilogue_fits(node, epilogue)) {
            wrong(v, graph_epilogues, node, "%%%s: its epilogue %d is %s %s", node->name, k + 1,
                  (unsigned)epilogue->op < OP_COUNT ? op_info(epilogue->op)->name : "nothing",
                  epilogue->operand ? shape_text(v->scratch, epilogue->operand->type.shape) : "without an operand");
        }
    }
}

/* ---- inputs and outputs ---- */

static void check_steps(struct verifier *v, const struct graph_input *input)
{
    const struct shape *shape = &input->node->type.shape;
    const int64_t *size = NULL;
    bool sized = false,
         good = input->n_step == 0 || (shape->rank == 3 && input->step[input->n_step - 1].op == PICTURE_NORMALIZE);
    for (int i = 0; i < input->n_step; i++) {
        const struct picture_step *step = &input->step[i];
        if (step->op == PICTURE_RESIZE || step->op == PICTURE_CENTER_CROP || step->op == PICTURE_CENTER_BOX) {
            sized = step->op == PICTURE_CENTER_CROP || (step->op == PICTURE_RESIZE && step->shorter <= 0);
            size = step->size;
        }
        good = good && (unsigned)step->op < PICTURE_OPS && (unsigned)step->filter < PICTURE_FILTERS;
        good = good && (step->op != PICTURE_NORMALIZE || (step->channels >= 1 && step->channels <= 4));
        good = good && (step->op != PICTURE_CENTER_BOX || (step->share > 0 && step->share <= 1));
    }
    good = good && (!sized || (size[0] == shape->dim[1] && size[1] == shape->dim[2]));
    if (!good) {
        wrong(v, graph_inputs, input->node, "%%%s: its steps do not end in a normalized picture of %s",
              input->node->name, shape_text(v->scratch, *shape));
    }
}

static void check_inputs(struct verifier *v)
{
    const struct graph *graph = v->graph;
    size_t n = 0;
    for (size_t i = 0; i < graph->n_node; i++) {
        if (graph->node[i]->op == OP_input) {
            if (n >= graph->n_input || graph->input[n].node != graph->node[i]) {
                wrong(v, graph_inputs, graph->node[i], "%%%s is not input %zu of the graph", graph->node[i]->name, n);
                return;
            }
            check_steps(v, &graph->input[n++]);
        }
    }
    if (n != graph->n_input) {
        wrong_graph(v, graph_inputs, "the graph lists %zu inputs and has %zu input nodes", graph->n_input, n);
    }
}

static void check_outputs(struct verifier *v)
{
    const struct graph *graph = v->graph;
    if (!graph->n_output) {
        wrong_graph(v, graph_outputs, "the graph has no output");
    }
    for (size_t i = 0; i < graph->n_output; i++) {
        const struct graph_output *output = &graph->output[i];
        if (!has_node(graph, output->node)) {
            wrong_graph(v, graph_outputs, "the value of output %s is not in the graph", output->name);
        }
        bool labelled = output->n_labels >= 0 && (output->labels || !output->n_labels);
        for (int64_t k = 0; labelled && k < output->n_labels; k++) {
            labelled = output->labels[k] != NULL;
        }
        if (!labelled) {
            wrong_graph(v, graph_outputs, "output %s lacks labels", output->name);
        }
    }
}

/* ---- what the choosing passes add ---- */

static bool layout_fits(const struct type *type)
{
    const struct layout *layout = &type->layout;
    int64_t channels = type->shape.rank ? type->shape.dim[0] : 1;
    if (layout->kind == LAYOUT_BLOCKS) {
        return type->shape.rank == 3 && (layout->block == 16 || (layout->block == channels && channels < 16)) &&
               layout->halo >= 0 && layout->halo <= 1024 && layout->seg >= 0 && layout->seg <= channels;
    }
    return layout->kind == LAYOUT_PLAIN && (layout->block == 1 || layout->block == 16) && !layout->halo && !layout->seg;
}

static void check_layout(struct verifier *v, const struct node *node)
{
    bool any = v->graph->node[0]->type.layout.kind != LAYOUT_NONE;
    if ((node->type.layout.kind != LAYOUT_NONE) != any) {
        wrong(v, graph_layouts, node, "%%%s has %s layout, %%%s has %s", node->name, any ? "no" : "a",
              v->graph->node[0]->name, any ? "one" : "none");
    } else if (any && !layout_fits(&node->type)) {
        wrong(v, graph_layouts, node, "%%%s cannot lie as %s", node->name, type_text(v->scratch, node->type));
    }
}

static bool algorithm_fits(const struct node *node)
{
    switch (node->algorithm) {
    case ALGORITHM_NONE:
    case ALGORITHM_generic: return true;
    case ALGORITHM_direct: return node->op == OP_conv || node->op == OP_linear;
    case ALGORITHM_spread: return node->op == OP_conv && node->attrs.groups > 1;
    case ALGORITHM_winograd: return winograd_can(node);
    case ALGORITHM_local: return node->op == OP_local_conv && node->in[1]->type.shape.rank == 3;
    case ALGORITHM_pool: return node->op == OP_max_pool || node->op == OP_avg_pool;
    case ALGORITHM_global_pool: return node->op == OP_global_avg_pool;
    case ALGORITHM_map:
        return op_info(node->op)->elementwise || node->op == OP_batch_norm || node->op == OP_scale_shift ||
               node->op == OP_gated_sum || node->op == OP_rescale;
    case ALGORITHM_each: return node->op == OP_each_conv;
    case ALGORITHM_moments: return node->op == OP_moments;
    case ALGORITHM_group_scale: return node->op == OP_group_scale;
    case ALGORITHM_convert: return node->op == OP_convert;
    case ALGORITHM_view:
        return node->op == OP_slice || node->op == OP_concat || node->op == OP_reshape || node->op == OP_convert;
    default: return true; /* one that has no rule yet */
    }
}

static void check_schedule(struct verifier *v, const struct node *node)
{
    const struct schedule *s = &node->schedule;
    const int number[] = {s->rows, s->cols, s->channels, s->band, s->chunk, s->depth, s->prefetch, s->stream, s->ahead};
    bool good = (unsigned)node->algorithm < ALGORITHM_COUNT && algorithm_fits(node);
    for (size_t i = 0; i < LENGTH(number); i++) {
        good = good && number[i] >= 0 && (node->algorithm != ALGORITHM_NONE || number[i] == 0);
    }
    if (!good) {
        wrong(v, graph_schedules, node, "%%%s: %s cannot be computed by the algorithm and schedule that it has",
              node->name, op_info(node->op)->name);
    }
}

static void check_storage(struct verifier *v, const struct node *node)
{
    bool any = v->graph->node[0]->storage;
    const struct storage *storage = node->storage;
    if (!storage != !any) {
        wrong(v, graph_storage, node, "%%%s has %s storage, %%%s has %s", node->name, any ? "no" : "a",
              v->graph->node[0]->name, any ? "one" : "none");
    }
    if (!storage) {
        return;
    }
    const struct node *owner = storage->owner;
    if (!has_node(v->graph, owner) || owner->storage != storage || owner->lead ||
        node->type.layout.kind == LAYOUT_NONE) {
        wrong(v, graph_storage, node, "%%%s lies in a storage without an owner, or has no layout", node->name);
        return;
    }
    int64_t block_bytes = layout_bytes(owner->type) / layout_blocks(owner->type);
    int64_t room = storage->bytes - layout_bytes(node->type);
    if (node->lead < 0 || room < 0 || node->lead > room / block_bytes) {
        wrong(v, graph_storage, node, "%%%s at block %lld does not end inside the %lld bytes of %%%s", node->name,
              (long long)node->lead, (long long)storage->bytes, owner->name);
    }
}

/* ---- all of them ---- */

static bool check_nodes(struct verifier *v, void (*check)(struct verifier *, const struct node *))
{
    for (size_t i = 0; v->good && i < v->graph->n_node; i++) {
        check(v, v->graph->node[i]);
    }
    return v->good;
}

static bool check_graph(struct verifier *v, void (*check)(struct verifier *))
{
    check(v);
    return v->good;
}

static bool check_recipes(struct verifier *v)
{
    for (size_t i = 0; v->good && i < v->graph->n_param; i++) {
        check_recipe(v, v->graph->param[i]);
    }
    return v->good;
}

bool graph_verify(struct diags *diags, const struct graph *graph)
{
    struct arena *scratch = arena_new("verify");
    struct verifier v = {diags, graph, scratch, true};
    bool good = check_graph(&v, check_ids) && check_nodes(&v, check_order) && check_graph(&v, check_names) &&
                check_nodes(&v, check_arity) && check_nodes(&v, check_type) && check_recipes(&v) &&
                check_nodes(&v, check_params) && check_nodes(&v, check_epilogues) && check_graph(&v, check_inputs) &&
                check_graph(&v, check_outputs) && check_nodes(&v, check_layout) && check_nodes(&v, check_schedule) &&
                check_nodes(&v, check_storage);
    arena_free(scratch);
    return good;
}
