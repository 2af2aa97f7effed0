/* Operators that slide a window, and larger or smaller maps, as nodes of ONNX.
 *
 * What would surprise: a pool never says ceil_mode, whose last window engines compute in different ways; the padding at
 * the end says how many windows there are. And windows that are laid open are gathered by one table of positions, which
 * moves the bits as they are and is shared by all nodes that need the same one.
 */
#include "export/model.h"

#include <math.h>

static struct axes pair(const int64_t *p)
{
    return (struct axes){2, {p[0], p[1]}};
}

static void set_window(struct exporter *x, Onnx__NodeProto *made, const struct attrs *a)
{
    set_ints(x, made, "kernel_shape", pair(a->kernel));
    set_ints(x, made, "strides", pair(a->stride));
    set_ints(x, made, "pads", (struct axes){4, {a->pad[0], a->pad[1], a->pad[0], a->pad[1]}});
}

static void set_conv(struct exporter *x, Onnx__NodeProto *made, const struct attrs *a)
{
    set_window(x, made, a);
    set_ints(x, made, "dilations", pair(a->dilation));
    set_int(x, made, "group", a->groups);
}

/* ---- borders ---- */

/* `pad` rows and columns on each side of a value of `axes` axes. */
static const char *padded(struct exporter *x, const struct node *n, const char *in, const char *out, int axes,
                          const int64_t *pad)
{
    struct axes border = {.n = 2 * axes};
    for (int i = 0; i < 2; i++)
        border.size[axes - 2 + i] = border.size[2 * axes - 2 + i] = pad[i];
    Onnx__NodeProto *made = EMIT(x, n, "Pad", out, in, whole_numbers(x, border));
    set_text(x, made, "mode", n->op == OP_pad && n->attrs.reflect ? "reflect" : "constant");
    return out;
}

/* ONNX Runtime joins a Pad of zeros with a pool behind it, though a MaxPool's padding is no zero, an AveragePool may not count
 * it, and no pool takes more than its kernel. So an axis comes between them. */
static void export_guarded_pad(struct exporter *x, const struct node *n)
{
    const struct shape *from = &n->in[0]->type.shape;
    struct axes apart = {5, {0, from->dim[0], 1, from->dim[1], from->dim[2]}};
    const char *in = reshape(x, n, input(x, n, 0), part(x, n, "apart"), apart);
    const char *out = padded(x, n, in, part(x, n, "pad"), apart.n, n->attrs.pad);
    reshape(x, n, out, value_of(x, n), result_axes(x, n, 0));
}

void export_pad(struct exporter *x, const struct node *n)
{
    if (x->value[n->id].guarded)
        export_guarded_pad(x, n);
    else
        padded(x, n, input(x, n, 0), value_of(x, n), n->type.shape.rank + is_batched(x, n), n->attrs.pad);
}

/* ---- convolutions ---- */

void export_conv(struct exporter *x, const struct node *n)
{
    const char *in = flat_input(x, n, 0, 3), *weight = parameter(x, n, 0), *bias = parameter(x, n, 1);
    set_conv(x, EMIT(x, n, "Conv", flat_result(x, n, 3), in, weight, bias), &n->attrs);
    unflatten(x, n, 3);
}

void export_conv1d(struct exporter *x, const struct node *n)
{
    const char *in = flat_input(x, n, 0, 2), *weight = parameter(x, n, 0), *bias = parameter(x, n, 1);
    Onnx__NodeProto *made = EMIT(x, n, "Conv", flat_result(x, n, 2), in, weight, bias);
    set_ints(x, made, "kernel_shape", (struct axes){1, {n->attrs.kernel[1]}});
    set_ints(x, made, "pads", (struct axes){2, {n->attrs.pad[1], n->attrs.pad[1]}});
    unflatten(x, n, 2);
}

/* ---- windows laid open ---- */

/* Where in a padded plane the taps of all windows lie: [taps, rows, columns] of the result. NULL if it became too large. */
static const int32_t *positions(struct exporter *x, const struct node *n, int64_t columns, const char *name)
{
    const struct attrs *a = &n->attrs;
    const struct shape *to = &n->type.shape;
    int64_t taps = a->kernel[0] * a->kernel[1], oh = to->dim[to->rank - 2], ow = to->dim[to->rank - 1];
    struct initializer made = {name, ONNX__TENSOR_PROTO__DATA_TYPE__INT32, {3, {taps, oh, ow}}, .position = NULL};
    if (!add_initializer(x, &made))
        return NULL;
    int32_t *at = NEW_ARRAY(x->arena, int32_t, taps *oh *ow), *next = at;
    for (int64_t tap = 0; tap < taps; tap++)
        for (int64_t oy = 0; oy < oh; oy++)
            for (int64_t ox = 0; ox < ow; ox++) {
                int64_t iy = oy * a->stride[0] + tap / a->kernel[1] * a->dilation[0];
                int64_t ix = ox * a->stride[1] + tap % a->kernel[1] * a->dilation[1];
                *next++ = (int32_t)(iy * columns + ix);
            }
    x->initializer[x->n_initializer - 1].position = at;
    return at;
}

/* [.., C, H, W] as [.., C, taps, H', W'], under a name that is given. */
static void lay_open(struct exporter *x, const struct node *n, const char *out)
{
    const struct attrs *a = &n->attrs;
    const struct node *from = n->in[0];
    const struct shape *map = &from->type.shape, *to = &n->type.shape;
    int64_t rows = map->dim[map->rank - 2] + 2 * a->pad[0], columns = map->dim[map->rank - 1] + 2 * a->pad[1];
    int axes = map->rank + is_batched(x, from);
    if (rows * columns > INT32_MAX) {
        refuse(x, n, "the padded input is too large");
        return;
    }
    const char *in = input(x, n, 0);
    if (a->pad[0] || a->pad[1])
        in = padded(x, n, in, part(x, n, "pad"), axes, a->pad);
    struct axes planes = axes_of(*map, is_batched(x, from), 0);
    planes.n -= 2;
    planes.size[planes.n++] = rows * columns;
    in = reshape(x, n, in, part(x, n, "planes"), planes);
    const char *key = intern_printf(
        "windows %lldx%lld of %lld, %lldx%lld /%lldx%lld dilation %lldx%lld", (long long)to->dim[to->rank - 2],
        (long long)to->dim[to->rank - 1], (long long)columns, (long long)a->kernel[0], (long long)a->kernel[1],
        (long long)a->stride[0], (long long)a->stride[1], (long long)a->dilation[0], (long long)a->dilation[1]);
    bool fresh;
    const char *table = shared_name(x, key, &fresh);
    if (fresh && !positions(x, n, columns, table))
        return;
    set_int(x, EMIT(x, n, "Gather", out, in, table), "axis", axes - 2);
}

void export_unfold(struct exporter *x, const struct node *n)
{
    lay_open(x, n, value_of(x, n));
}

/* ---- kernels that are values ---- */

/* The bias of a convolve that depends on the image: added to what `made` is. */
static void add_bias(struct exporter *x, const struct node *n, const char *made)
{
    int64_t channels = n->in[2]->type.shape.dim[0];
    struct axes column = {0};
    if (is_batched(x, n->in[2])) {
        column.size[column.n++] = 0;
        while (column.n < n->type.shape.rank - 2)
            column.size[column.n++] = 1;
    }
    column.size[column.n++] = channels;
    column.size[column.n++] = 1;
    column.size[column.n++] = 1;
    const char *bias = reshape(x, n, input(x, n, 2), part(x, n, "bias"), column);
    EMIT(x, n, "Add", value_of(x, n), made, bias);
}

/* A kernel for each image, which Conv has not: windows laid open, then a product of matrices
 * [N, 1, groups, outputs, taps] x [N, leading axes, groups, taps, positions]. */
static void convolve_each(struct exporter *x, const struct node *n)
{
    const struct node *map = n->in[0], *kernel = n->in[1];
    const struct shape *in = &map->type.shape, *to = &n->type.shape, *k = &kernel->type.shape;
    int64_t groups = n->attrs.groups, depth = k->dim[1] * k->dim[2] * k->dim[3];
    int64_t plane = to->dim[to->rank - 2] * to->dim[to->rank - 1];
    int64_t images = shape_elements(*to) / (k->dim[0] * plane);
    const char *open = part(x, n, "windows"), *product = part(x, n, "product");
    lay_open(x, n, open);
    struct axes columns = {.n = 0}, rows = {5, {0, 1, groups, k->dim[0] / groups, depth}};
    if (is_batched(x, map))
        columns.size[columns.n++] = 0;
    columns.size[columns.n++] = images;
    columns.size[columns.n++] = groups;
    columns.size[columns.n++] = in->dim[in->rank - 3] / groups * k->dim[2] * k->dim[3];
    columns.size[columns.n++] = plane;
    const char *b = reshape(x, n, open, part(x, n, "columns"), columns);
    const char *a = reshape(x, n, input(x, n, 1), part(x, n, "kernels"), rows);
    EMIT(x, n, "MatMul", product, a, b);
    bool biased = n->n_in > 2;
    const char *made = biased ? part(x, n, "unbiased") : value_of(x, n);
    reshape(x, n, product, made, result_axes(x, n, 0));
    if (biased)
        add_bias(x, n, made);
}

void export_convolve(struct exporter *x, const struct node *n)
{
    if (is_batched(x, n->in[1])) {
        convolve_each(x, n);
        return;
    }
    bool biased = n->n_in > 2, late = biased && is_batched(x, n->in[2]);
    const char *in = flat_input(x, n, 0, 3), *kernel = input(x, n, 1);
    if (!late) {
        const char *bias = biased ? input(x, n, 2) : "";
        set_conv(x, EMIT(x, n, "Conv", flat_result(x, n, 3), in, kernel, bias), &n->attrs);
        unflatten(x, n, 3);
        return;
    }
    const char *flat = part(x, n, "flat"), *made = part(x, n, "unbiased");
    set_conv(x, EMIT(x, n, "Conv", flat, in, kernel), &n->attrs);
    reshape(x, n, flat, made, axes_of(n->type.shape, is_batched(x, n->in[0]), -1));
    add_bias(x, n, made);
}

/* ---- pools ---- */

/* The padding behind the input along axis i: as far as the last window reaches, which with `ceil` may be more or less than
 * the padding in front. Without, both are the same, as engines and converters know it best. */
static int64_t behind_input(const struct node *n, int i)
{
    if (!n->attrs.ceil)
        return n->attrs.pad[i];
    int64_t behind = (n->type.shape.dim[1 + i] - 1) * n->attrs.stride[i] + n->attrs.kernel[i] - n->attrs.pad[i] -
                     n->in[0]->type.shape.dim[1 + i];
    return behind > 0 ? behind : 0;
}

static Onnx__NodeProto *emit_pool(struct exporter *x, const struct node *n, const char *op, const char *out,
                                  const char *in, struct axes pads)
{
    Onnx__NodeProto *made = EMIT(x, n, op, out, in);
    set_ints(x, made, "kernel_shape", pair(n->attrs.kernel));
    set_ints(x, made, "strides", pair(n->attrs.stride));
    set_ints(x, made, "pads", pads);
    return made;
}

/* By how many cells window o of axis i divides. */
static int64_t counted(const struct node *n, int i, int64_t o)
{
    int64_t size = n->in[0]->type.shape.dim[1 + i], pad = n->attrs.pad[i], border = n->attrs.count_pad ? pad : 0;
    int64_t first = o * n->attrs.stride[i] - pad, last = first + n->attrs.kernel[i];
    return (last < size + border ? last : size + border) - (first > -border ? first : -border);
}

/* kernel / counted for each window: from an average over all its cells to the one that is asked for. */
static const char *shares(struct exporter *x, const struct node *n)
{
    int64_t rows = n->type.shape.dim[1], columns = n->type.shape.dim[2];
    double *share = NEW_ARRAY(x->arena, double, rows *columns),
           cells = (double)(n->attrs.kernel[0] * n->attrs.kernel[1]);
    for (int64_t o = 0; o < rows * columns; o++)
        share[o] = cells / (double)(counted(n, 0, o / columns) * counted(n, 1, o % columns));
    struct initializer made = {
        part(x, n, "shares"), ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, {2, {rows, columns}}, .real = share};
    add_initializer(x, &made);
    return made.name;
}

/* ONNX counts all cells outside of the input, or none; some count where a `ceil` pool hangs over a padding that counts. */
static void export_avg_pool(struct exporter *x, const struct node *n)
{
    const struct attrs *a = &n->attrs;
    bool all = a->count_pad && !pool_overhangs(n), some = a->count_pad && !all;
    struct axes pads = {
        4, {a->pad[0], a->pad[1], all ? a->pad[0] : behind_input(n, 0), all ? a->pad[1] : behind_input(n, 1)}};
    const char *in = flat_input(x, n, 0, 3), *out = some ? part(x, n, "all") : flat_result(x, n, 3);
    set_int(x, emit_pool(x, n, "AveragePool", out, in, pads), "count_include_pad", all || some);
    if (some)
        EMIT(x, n, "Mul", flat_result(x, n, 3), out, shares(x, n));
    unflatten(x, n, 3);
}

void export_pool(struct exporter *x, const struct node *n)
{
    struct axes pads = {4, {n->attrs.pad[0], n->attrs.pad[1], behind_input(n, 0), behind_input(n, 1)}};
    if (n->op == OP_avg_pool) {
        export_avg_pool(x, n);
        return;
    }
    emit_pool(x, n, "MaxPool", flat_result(x, n, 3), flat_input(x, n, 0, 3), pads);
    unflatten(x, n, 3);
}

void export_global_avg_pool(struct exporter *x, const struct node *n)
{
    EMIT(x, n, "GlobalAveragePool", flat_result(x, n, 3), flat_input(x, n, 0, 3));
    unflatten(x, n, 3);
}

/* ---- other sizes ---- */

/* The scale of a Resize whose result has exactly `out` positions: engines take floor(in * scale), in float or in double. */
static double scale_to(int64_t in, int64_t out)
{
    float scale = (float)out / (float)in;
    while (floorf((float)in * scale) < (float)out || floor((double)in * (double)scale) < (double)out)
        scale = nextafterf(scale, INFINITY);
    return (double)scale;
}

static void export_resize(struct exporter *x, const struct node *n)
{
    const struct shape *from = &n->in[0]->type.shape, *to = &n->type.shape;
    double *scale = NEW_ARRAY(x->arena, double, 4);
    scale[0] = scale[1] = 1;
    for (int i = 2; i < 4; i++)
        scale[i] = scale_to(from->dim[i - 1], to->dim[i - 1]);
    struct initializer scales = {part(x, n, "scales"), ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, {1, {4}}, .real = scale};
    add_initializer(x, &scales);
    Onnx__NodeProto *made = EMIT(x, n, "Resize", flat_result(x, n, 3), flat_input(x, n, 0, 3), "", scales.name);
    set_text(x, made, "mode", n->attrs.bilinear ? "linear" : "nearest");
    set_text(x, made, "coordinate_transformation_mode", n->attrs.bilinear ? "half_pixel" : "asymmetric");
    if (!n->attrs.bilinear)
        set_text(x, made, "nearest_mode", "floor");
    unflatten(x, n, 3);
}

/* Position o shows floor(o * in / out): by a table for each axis, since Resize divides in float. */
static void export_nearest(struct exporter *x, const struct node *n)
{
    const char *in = input(x, n, 0);
    for (int i = 1; i < 3; i++) {
        int64_t from = n->in[0]->type.shape.dim[i], to = n->type.shape.dim[i];
        int64_t *at = NEW_ARRAY(x->arena, int64_t, to);
        for (int64_t o = 0; o < to; o++)
            at[o] = o * from / to;
        const char *out = i == 2 ? value_of(x, n) : part(x, n, "tall"),
                   *table = part(x, n, i == 2 ? "columns" : "rows");
        struct initializer made = {table, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, {1, {to}}, .whole = at};
        add_initializer(x, &made);
        set_int(x, EMIT(x, n, "Gather", out, in, table), "axis", i + is_batched(x, n));
        in = out;
    }
}

void export_upsample(struct exporter *x, const struct node *n)
{
    const struct shape *from = &n->in[0]->type.shape, *to = &n->type.shape;
    bool whole = to->dim[1] % from->dim[1] == 0 && to->dim[2] % from->dim[2] == 0;
    if (n->attrs.bilinear || whole)
        export_resize(x, n);
    else
        export_nearest(x, n);
}
