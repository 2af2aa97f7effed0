/* An operator of the graph as nodes of ONNX, opset 17: all but those that slide a window, which are in windows.c.
 *
 * Opset 17 has no group normalization, and its linear layer (Gemm) takes matrices only; grammar/ONNX.md lists what stands for what.
 */
#include "export/model.h"

/* An axis of input 0 as ONNX counts it. */
static int64_t axis_of(const struct exporter *x, const struct node *n)
{
    return n->attrs.axis + is_batched(x, n->in[0]);
}

/* ---- norms and products ---- */

static void export_linear(struct exporter *x, const struct node *n)
{
    const char *in = input(x, n, 0), *weight = parameter(x, n, 0), *bias = parameter(x, n, 1);
    if (is_batched(x, n) && n->in[0]->type.shape.rank == 1) {
        set_int(x, EMIT(x, n, "Gemm", value_of(x, n), in, weight, bias), "transB", 1);
        return;
    }
    const char *turned = part(x, n, "weight"), *product = *bias ? part(x, n, "product") : value_of(x, n);
    set_ints(x, EMIT(x, n, "Transpose", turned, weight), "perm", (struct axes){2, {1, 0}});
    EMIT(x, n, "MatMul", product, in, turned);
    if (*bias)
        EMIT(x, n, "Add", value_of(x, n), product, bias);
}

/* The axes of the result with another one in front where there is no batch. */
static struct axes with_images(const struct exporter *x, const struct node *n)
{
    return axes_of(n->type.shape, true, is_batched(x, n) ? 0 : 1);
}

static void export_batch_norm(struct exporter *x, const struct node *n)
{
    bool batched = is_batched(x, n);
    const char *in = input(x, n, 0), *out = value_of(x, n);
    if (!batched) {
        in = reshape(x, n, in, part(x, n, "images"), with_images(x, n));
        out = part(x, n, "flat");
    }
    Onnx__NodeProto *made = EMIT(x, n, "BatchNormalization", out, in, parameter(x, n, 0), parameter(x, n, 1),
                                 parameter(x, n, 2), parameter(x, n, 3));
    set_float(x, made, "epsilon", n->attrs.eps);
    if (!batched)
        reshape(x, n, out, value_of(x, n), result_axes(x, n, 0));
}

/* One number a channel, to be multiplied with or added to the whole. */
static const char *per_channel(struct exporter *x, const struct node *n, int slot, const char *what)
{
    struct axes column = {1, {n->type.shape.dim[0]}};
    if (n->type.shape.rank == 1)
        return parameter(x, n, slot);
    while (column.n < n->type.shape.rank)
        column.size[column.n++] = 1;
    return reshape(x, n, parameter(x, n, slot), part(x, n, what), column);
}

/* Groups as the channels of an instance normalization, which has no parameters then. */
static void export_group_norm(struct exporter *x, const struct node *n)
{
    int64_t groups = n->attrs.groups, front = is_batched(x, n) ? 0 : 1;
    struct axes parted = {3, {front, groups, shape_elements(n->type.shape) / groups}};
    const char *in = reshape(x, n, input(x, n, 0), part(x, n, "groups"), parted), *normal = part(x, n, "normal"),
               *scaled = part(x, n, "scaled");
    Onnx__NodeProto *made = EMIT(x, n, "InstanceNormalization", normal, in, filled(x, groups, 1), filled(x, groups, 0));
    set_float(x, made, "epsilon", n->attrs.eps);
    const char *whole = reshape(x, n, normal, part(x, n, "whole"), result_axes(x, n, 0));
    EMIT(x, n, "Mul", scaled, whole, per_channel(x, n, 0, "weight"));
    EMIT(x, n, "Add", value_of(x, n), scaled, per_channel(x, n, 1, "bias"));
}

static void export_matmul(struct exporter *x, const struct node *n)
{
    const char *a = aligned(x, n, 0, n->type.shape.rank), *b = aligned(x, n, 1, n->type.shape.rank);
    EMIT(x, n, "MatMul", value_of(x, n), a, b);
}

/* ---- element by element ---- */

static void export_activation(struct exporter *x, const struct node *n)
{
    EMIT(x, n, n->op == OP_relu ? "Relu" : "Sigmoid", value_of(x, n), input(x, n, 0));
}

static void export_silu(struct exporter *x, const struct node *n)
{
    const char *in = input(x, n, 0), *gate = part(x, n, "sigmoid");
    EMIT(x, n, "Sigmoid", gate, in);
    EMIT(x, n, "Mul", value_of(x, n), in, gate);
}

static void export_arithmetic(struct exporter *x, const struct node *n)
{
    const char *op = n->op == OP_add ? "Add" : n->op == OP_sub ? "Sub" : n->op == OP_mul ? "Mul" : "Div";
    const char *a = aligned(x, n, 0, n->type.shape.rank), *b = aligned(x, n, 1, n->type.shape.rank);
    EMIT(x, n, op, value_of(x, n), a, b);
}

/* ---- along an axis ---- */

static void export_softmax(struct exporter *x, const struct node *n)
{
    set_int(x, EMIT(x, n, "Softmax", value_of(x, n), input(x, n, 0)), "axis", axis_of(x, n));
}

/* In opset 17 the axes of a sum are an input and those of a mean an attribute. */
static void export_reduction(struct exporter *x, const struct node *n)
{
    struct axes axis = {1, {axis_of(x, n)}};
    Onnx__NodeProto *made;
    if (n->op == OP_sum) {
        made = EMIT(x, n, "ReduceSum", value_of(x, n), input(x, n, 0), whole_numbers(x, axis));
    } else {
        made = EMIT(x, n, "ReduceMean", value_of(x, n), input(x, n, 0));
        set_ints(x, made, "axes", axis);
    }
    set_int(x, made, "keepdims", 0);
}

/* ---- moving elements ---- */

static void export_reshape(struct exporter *x, const struct node *n)
{
    reshape(x, n, input(x, n, 0), value_of(x, n), result_axes(x, n, 0));
}

static void export_permute(struct exporter *x, const struct node *n)
{
    bool batched = is_batched(x, n);
    struct axes order = axes_of(n->attrs.shape, batched, 0);
    for (int i = batched; i < order.n; i++)
        order.size[i] += batched;
    set_ints(x, EMIT(x, n, "Transpose", value_of(x, n), input(x, n, 0)), "perm", order);
}

static void export_slice(struct exporter *x, const struct node *n)
{
    const char *first = whole_numbers(x, (struct axes){1, {n->attrs.start}}),
               *last = whole_numbers(x, (struct axes){1, {n->attrs.start + n->attrs.size}}),
               *axis = whole_numbers(x, (struct axes){1, {axis_of(x, n)}});
    EMIT(x, n, "Slice", value_of(x, n), input(x, n, 0), first, last, axis);
}

static void export_concat(struct exporter *x, const struct node *n)
{
    bool batched = is_batched(x, n);
    const char **in = NEW_ARRAY(x->arena, const char *, n->n_in);
    for (int k = 0; k < n->n_in; k++)
        in[k] = batched ? spread(x, n->in[k]) : input(x, n, k);
    set_int(x, emit_node(x, n, "Concat", value_of(x, n), n->n_in, in), "axis", n->attrs.axis + batched);
}

static void export_take(struct exporter *x, const struct node *n)
{
    const struct node *from = n->in[1];
    int64_t count = shape_elements(from->type.shape), *row = NEW_ARRAY(x->arena, int64_t, count);
    for (int64_t i = 0; i < count; i++)
        row[i] = (int64_t)from->value[i];
    const char *rows = part(x, n, "rows");
    struct initializer made = {rows, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, axes_of(from->type.shape, false, 0),
                               .whole = row};
    add_initializer(x, &made);
    set_int(x, EMIT(x, n, "Gather", value_of(x, n), input(x, n, 0), rows), "axis", is_batched(x, n));
}

/* ---- all of them ---- */

static void export_given(struct exporter *x, const struct node *n)
{
    value_of(x, n);
}

static void (*const writes[OP_COUNT])(struct exporter *, const struct node *) = {
    [OP_input] = export_given,
    [OP_constant] = export_given,
    [OP_parameter] = export_given,
    [OP_conv] = export_conv,
    [OP_convolve] = export_convolve,
    [OP_conv1d] = export_conv1d,
    [OP_linear] = export_linear,
    [OP_batch_norm] = export_batch_norm,
    [OP_group_norm] = export_group_norm,
    [OP_relu] = export_activation,
    [OP_sigmoid] = export_activation,
    [OP_silu] = export_silu,
    [OP_add] = export_arithmetic,
    [OP_sub] = export_arithmetic,
    [OP_mul] = export_arithmetic,
    [OP_div] = export_arithmetic,
    [OP_matmul] = export_matmul,
    [OP_max_pool] = export_pool,
    [OP_avg_pool] = export_pool,
    [OP_global_avg_pool] = export_global_avg_pool,
    [OP_pad] = export_pad,
    [OP_upsample] = export_upsample,
    [OP_unfold] = export_unfold,
    [OP_reshape] = export_reshape,
    [OP_permute] = export_permute,
    [OP_slice] = export_slice,
    [OP_concat] = export_concat,
    [OP_take] = export_take,
    [OP_softmax] = export_softmax,
    [OP_sum] = export_reduction,
    [OP_mean] = export_reduction,
};

void export_node(struct exporter *x, const struct node *n)
{
    if (!writes[n->op])
        refuse(x, n, "only a pass makes this operator; export the network before its passes");
    else if (n->n_epilogue)
        refuse(x, n, "a pass has joined others to it; export the network before its passes");
    else
        writes[n->op](x, n);
}
