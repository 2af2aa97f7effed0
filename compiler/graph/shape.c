/* The type of a node from its inputs and attributes.
 *
 * Every failure is a named check, told in the words of the language ("conv groups must divide the 100 input
 * channels"), with a note that points at the node that made the offending input. The rules of sizes are those of the
 * language's reference: convolutions and pools floor; a pool with `ceil` rounds up, but not so far that a window would
 * start behind the padded input. All arithmetic stays inside 64 bits because every attribute and every count of
 * elements is held under 2^31 first.
 */
#include "graph/shape.h"

#include <math.h>

static const int64_t most_elements = INT32_MAX;

const char *rule_dims(struct rule *rule, struct shape shape)
{
    return type_text(rule->arena, (struct type){.shape = shape}) + 3; /* without f32 */
}

bool rule_note(struct rule *rule, int k)
{
    const struct node *in = rule->node->in[k];
    struct span span = in->origin.span;
    if (span.file < 0) {
        return false;
    }
    const struct shape *shape = &in->type.shape;
    if (shape->rank == 3) {
        diag_note(rule->diags, span, "the input has %lld channels of %lld x %lld, it comes from here",
                  (long long)shape->dim[0], (long long)shape->dim[1], (long long)shape->dim[2]);
    } else {
        diag_note(rule->diags, span, "the input is %s, it comes from here", rule_dims(rule, *shape));
    }
    return false;
}

/* ---- checks that several operators share ---- */

bool check_shape(struct rule *rule, const struct shape *shape)
{
    if (shape->rank < 0 || shape->rank > MAX_RANK) {
        return fail(rule, shape_positive, "%s would have %d dimensions, at most %d are possible", rule->name,
                    shape->rank, MAX_RANK);
    }
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 1) {
            return fail(rule, shape_positive, "%s would have the shape %s, every dimension must be at least 1",
                        rule->name, rule_dims(rule, *shape));
        }
    }
    if (shape_elements(*shape) > most_elements) {
        return fail(rule, value_elements, "%s would have more than %lld elements: %s", rule->name,
                    (long long)most_elements, rule_dims(rule, *shape));
    }
    return true;
}

bool check_rank(struct rule *rule, int least, int most, const char *needs)
{
    int rank = rule->node->in[0]->type.shape.rank;
    if (rank < least || rank > most) {
        fail(rule, input_rank, "%s needs an input of %s, this one is %s", rule->name, needs,
             rule_dims(rule, rule->node->in[0]->type.shape));
        return rule_note(rule, 0);
    }
    return true;
}

bool check_range(struct rule *rule, const char *what, int64_t value, int64_t least)
{
    if (value >= least && value <= most_elements) {
        return true;
    }
    return fail(rule, attribute_range, "%s %s must be %lld or %s, it is %lld", rule->name, what,
                (long long)(value < least ? least : most_elements), value < least ? "more" : "less", (long long)value);
}

static bool check_axis(struct rule *rule, int64_t axis)
{
    const struct shape *shape = &rule->node->in[0]->type.shape;
    if (axis < 0 || axis >= shape->rank) {
        fail(rule, axis_range, "%s has no axis %lld: the input %s has %d", rule->name, (long long)axis,
             rule_dims(rule, *shape), shape->rank);
        return rule_note(rule, 0);
    }
    return true;
}

bool check_eps(struct rule *rule)
{
    double eps = rule->node->attrs.eps;
    return (isfinite(eps) && eps > 0) ||
           fail(rule, eps_positive, "%s eps must be a positive number, it is %g", rule->name, eps);
}

/* The size of axis `i` (0 rows, 1 columns) behind a window that moves over `size` positions; 0 after a diagnostic. */
static int64_t window_size(struct rule *rule, int i, int64_t size, int64_t dilation, bool ceil)
{
    const struct attrs *attrs = &rule->node->attrs;
    int64_t stride = attrs->stride[i], pad = attrs->pad[i], reach = dilation * (attrs->kernel[i] - 1) + 1;
    int64_t room = size + 2 * pad - reach;
    if (room < 0 && !(ceil && room > -stride)) { /* rounded up, one window hangs over */
        fail(rule, kernel_fits_input, "%s kernel reaches over %lld %s, the input has %lld with its padding", rule->name,
             (long long)reach, i ? "columns" : "rows", (long long)(size + 2 * pad));
        rule_note(rule, 0);
        return 0;
    }
    int64_t count = (ceil ? room + stride - 1 : room) / stride + 1;
    return ceil && (count - 1) * stride >= size + pad ? count - 1 : count;
}

/* Kernel, stride, pad (and dilation) are in range; writes rows and columns of the result. */
bool infer_window(struct rule *rule, bool dilated, bool ceil, struct shape *result)
{
    const struct attrs *attrs = &rule->node->attrs;
    const struct shape *in = &rule->node->in[0]->type.shape;
    for (int i = 0; i < 2; i++) {
        int64_t dilation = dilated ? attrs->dilation[i] : 1;
        if (!check_range(rule, "kernel", attrs->kernel[i], 1) || !check_range(rule, "stride", attrs->stride[i], 1) ||
            !check_range(rule, "pad", attrs->pad[i], 0) || !check_range(rule, "dilation", dilation, 1)) {
            return false;
        }
        int axis = in->rank - 2 + i;
        result->dim[axis] = window_size(rule, i, in->dim[axis], dilation, ceil);
        if (!result->dim[axis]) {
            return false;
        }
    }
    return true;
}

/* ---- operators ---- */

static bool infer_given(struct rule *rule, struct shape *result)
{
    *result = rule->node->attrs.shape;
    return true;
}

static bool infer_constant(struct rule *rule, struct shape *result)
{
    *result = rule->node->attrs.shape;
    if (!check_shape(rule, result)) {
        return false;
    }
    for (int64_t i = 0; rule->node->value && i < shape_elements(*result); i++) {
        if (!isfinite(rule->node->value[i])) {
            return fail(rule, constant_finite, "element %lld of the constant is no finite number", (long long)i);
        }
    }
    return true;
}

bool infer_grouped(struct rule *rule, int64_t out, struct shape *result)
{
    const struct attrs *attrs = &rule->node->attrs;
    *result = rule->node->in[0]->type.shape;
    int64_t channels = result->dim[result->rank - 3];
    if (!check_range(rule, "output channels", out, 1) || !check_range(rule, "groups", attrs->groups, 1)) {
        return false;
    }
    if (channels % attrs->groups) {
        fail(rule, conv_groups_divide_input, "%s groups must divide the %lld input channels, %lld does not", rule->name,
             (long long)channels, (long long)attrs->groups);
        return rule_note(rule, 0);
    }
    if (out % attrs->groups) {
        return fail(rule, conv_groups_divide_output, "%s groups must divide the %lld output channels, %lld does not",
                    rule->name, (long long)out, (long long)attrs->groups);
    }
    if (!infer_window(rule, true, false, result)) {
        return false;
    }
    result->dim[result->rank - 3] = out;
    return true;
}

static bool infer_conv(struct rule *rule, struct shape *result)
{
    const struct attrs *attrs = &rule->node->attrs;
    if (!check_rank(rule, 3, MAX_RANK, "at least 3 axes, [C,H,W]") || !infer_grouped(rule, attrs->out, result)) {
        return false;
    }
    const struct shape *in = &rule->node->in[0]->type.shape;
    struct shape weight = {4, {attrs->out, in->dim[in->rank - 3] / attrs->groups, attrs->kernel[0], attrs->kernel[1]}};
    return check_shape(rule, &weight);
}

static bool infer_linear(struct rule *rule, struct shape *result)
{
    if (!check_rank(rule, 1, MAX_RANK, "at least 1 axis, [..,F]") ||
        !check_range(rule, "outputs", rule->node->attrs.out, 1)) {
        return false;
    }
    *result = rule->node->in[0]->type.shape;
    struct shape weight = {2, {rule->node->attrs.out, result->dim[result->rank - 1]}};
    result->dim[result->rank - 1] = rule->node->attrs.out;
    return check_shape(rule, &weight);
}

static bool infer_norm(struct rule *rule, struct shape *result)
{
    *result = rule->node->in[0]->type.shape;
    return check_rank(rule, 1, MAX_RANK, "at least 1 axis, the channels") &&
           (rule->node->op != OP_batch_norm || check_eps(rule));
}

/* Activations, and + - * / with broadcasting from the right as numpy does it. */
static bool infer_elementwise(struct rule *rule, struct shape *result)
{
    *result = rule->node->in[0]->type.shape;
    for (int k = 1; k < rule->node->n_in; k++) {
        struct shape a = *result, b = rule->node->in[k]->type.shape;
        result->rank = a.rank > b.rank ? a.rank : b.rank;
        for (int i = 1; i <= result->rank; i++) {
            int64_t p = i <= a.rank ? a.dim[a.rank - i] : 1, q = i <= b.rank ? b.dim[b.rank - i] : 1;
            if (p != q && p != 1 && q != 1) {
                fail(rule, broadcast_shapes, "%s: the shapes %s and %s do not agree", rule->name, rule_dims(rule, a),
                     rule_dims(rule, b));
                rule_note(rule, 0);
                return rule_note(rule, k);
            }
            result->dim[result->rank - i] = p > q ? p : q;
        }
    }
    return true;
}

static bool infer_pool(struct rule *rule, struct shape *result)
{
    const struct attrs *attrs = &rule->node->attrs;
    if (!check_rank(rule, 3, 3, "3 axes, [C,H,W]")) {
        return false;
    }
    *result = rule->node->in[0]->type.shape;
    if (!infer_window(rule, false, attrs->ceil, result)) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        if (2 * attrs->pad[i] > attrs->kernel[i]) {
            return fail(rule, pool_pad, "%s pad must be at most half its kernel %lld, it is %lld", rule->name,
                        (long long)attrs->kernel[i], (long long)attrs->pad[i]);
        }
    }
    return true;
}

static bool infer_global_pool(struct rule *rule, struct shape *result)
{
    const struct node *n = rule->node;
    struct shape whole = n->in[0]->type.shape;
    *result = (struct shape){3, {whole.dim[0], 1, 1}};
    for (int k = 1; k < n->n_in; k++) { /* the language cannot say that, a text of graph IR can */
        if (!shape_equal(n->in[k]->type.shape, whole)) {
            fail(rule, graph_types, "global_avg_pool adds inputs of one shape");
            return rule_note(rule, k);
        }
    }
    return check_rank(rule, 3, 3, "3 axes, [C,H,W]");
}

static bool infer_reshape(struct rule *rule, struct shape *result)
{
    *result = rule->node->attrs.shape;
    if (!check_shape(rule, result)) {
        return false;
    }
    struct shape in = rule->node->in[0]->type.shape;
    if (shape_elements(*result) != shape_elements(in)) {
        fail(rule, reshape_elements, "reshape to %s needs %lld elements, the input %s has %lld",
             rule_dims(rule, *result), (long long)shape_elements(*result), rule_dims(rule, in),
             (long long)shape_elements(in));
        return rule_note(rule, 0);
    }
    return true;
}

static bool infer_permute(struct rule *rule, struct shape *result)
{
    const struct shape *axes = &rule->node->attrs.shape, *in = &rule->node->in[0]->type.shape;
    bool seen[MAX_RANK] = {false}, good = axes->rank == in->rank;
    for (int i = 0; good && i < axes->rank; i++) {
        int64_t axis = axes->dim[i];
        good = axis >= 0 && axis < in->rank && !seen[axis];
        if (good) {
            seen[axis] = true;
            result->dim[i] = in->dim[axis];
        }
    }
    result->rank = in->rank;
    if (!good) {
        fail(rule, permute_axes, "permute must name each of the %d axes of its input once", in->rank);
        return rule_note(rule, 0);
    }
    return true;
}

static bool infer_slice(struct rule *rule, struct shape *result)
{
    const struct attrs *attrs = &rule->node->attrs;
    if (!check_axis(rule, attrs->axis)) {
        return false;
    }
    *result = rule->node->in[0]->type.shape;
    int64_t extent = result->dim[attrs->axis];
    if (attrs->start < 0 || attrs->size < 1 || attrs->start >= extent || attrs->size > extent - attrs->start) {
        fail(rule, slice_range, "slice of %lld from %lld does not lie inside axis %lld, which has %lld",
             (long long)attrs->size, (long long)attrs->start, (long long)attrs->axis, (long long)extent);
        return rule_note(rule, 0);
    }
    result->dim[attrs->axis] = attrs->size;
    return true;
}

static bool infer_concat(struct rule *rule, struct shape *result)
{
    int64_t axis = rule->node->attrs.axis, total = 0;
    if (!check_axis(rule, axis)) {
        return false;
    }
    struct shape first = *result = rule->node->in[0]->type.shape;
    for (int k = 0; k < rule->node->n_in; k++) {
        struct shape part = rule->node->in[k]->type.shape;
        int64_t extent = axis < part.rank ? part.dim[axis] : 0;
        if (axis < part.rank) {
            part.dim[axis] = first.dim[axis];
        }
        if (!shape_equal(part, first)) {
            fail(rule, concat_shapes, "concat along axis %lld: input %d is %s, the first is %s", (long long)axis, k + 1,
                 rule_dims(rule, rule->node->in[k]->type.shape), rule_dims(rule, first));
            rule_note(rule, k);
            return rule_note(rule, 0);
        }
        total += extent; /* below 2^31 inputs of 2^31 each */
    }
    result->dim[axis] = total;
    return true;
}

static bool infer_softmax(struct rule *rule, struct shape *result)
{
    *result = rule->node->in[0]->type.shape;
    return check_axis(rule, rule->node->attrs.axis);
}

static bool infer_reduction(struct rule *rule, struct shape *result)
{
    const struct shape *in = &rule->node->in[0]->type.shape;
    if (!check_axis(rule, rule->node->attrs.axis)) {
        return false;
    }
    for (int i = 0; i < in->rank; i++) {
        if (i != rule->node->attrs.axis) {
            result->dim[result->rank++] = in->dim[i];
        }
    }
    return true;
}

static bool infer_same(struct rule *rule, struct shape *result)
{
    *result = rule->node->in[0]->type.shape;
    return true;
}

static bool (*const infer[OP_COUNT])(struct rule *, struct shape *result) = {
    [OP_input] = infer_given,
    [OP_constant] = infer_constant,
    [OP_parameter] = infer_given,
    [OP_conv] = infer_conv,
    [OP_convolve] = infer_convolve,
    [OP_conv1d] = infer_conv1d,
    [OP_linear] = infer_linear,
    [OP_batch_norm] = infer_norm,
    [OP_group_norm] = infer_group_norm,
    [OP_scale_shift] = infer_norm,
    [OP_relu] = infer_elementwise,
    [OP_sigmoid] = infer_elementwise,
    [OP_silu] = infer_elementwise,
    [OP_add] = infer_elementwise,
    [OP_sub] = infer_elementwise,
    [OP_mul] = infer_elementwise,
    [OP_div] = infer_elementwise,
    [OP_matmul] = infer_matmul,
    [OP_local_conv] = infer_local_conv,
    [OP_window_dot] = infer_window_product,
    [OP_window_mix] = infer_window_product,
    [OP_each_conv] = infer_each_conv,
    [OP_moments] = infer_moments,
    [OP_group_scale] = infer_group_scale,
    [OP_rescale] = infer_rescale,
    [OP_gated_sum] = infer_gated_sum,
    [OP_max_pool] = infer_pool,
    [OP_avg_pool] = infer_pool,
    [OP_global_avg_pool] = infer_global_pool,
    [OP_pad] = infer_pad,
    [OP_upsample] = infer_upsample,
    [OP_unfold] = infer_unfold,
    [OP_reshape] = infer_reshape,
    [OP_permute] = infer_permute,
    [OP_slice] = infer_slice,
    [OP_concat] = infer_concat,
    [OP_take] = infer_take,
    [OP_softmax] = infer_softmax,
    [OP_sum] = infer_reduction,
    [OP_mean] = infer_reduction,
    [OP_convert] = infer_same,
};

bool infer_type(struct diags *diags, struct node *node)
{
    const struct op_info *info = op_info(node->op);
    struct arena *scratch = arena_new("shape");
    struct rule rule = {diags, node, info->name, scratch};
    struct shape result = {0};
    bool good = true;
    if (node->n_in < info->min_in || (info->max_in >= 0 && node->n_in > info->max_in)) {
        good = fail(&rule, operator_inputs, "%s takes %d input%s, it gets %d", info->name, info->min_in,
                    info->min_in == 1 ? "" : "s", node->n_in);
    }
    good = good && infer[node->op](&rule, &result) && check_shape(&rule, &result);
    if (good) {
        node->type.element = ELEMENT_F32;
        node->type.shape = result; /* the layout stays */
    }
    arena_free(scratch);
    return good;
}
