/* What a node reads and writes: values with a batch and without, of the rank that an operator of ONNX wants.
 *
 * What would surprise: a constant becomes an initializer when something asks for it, for the indices of take() are
 * constants, too, and no numbers of ONNX's graph. */
#include "export/model.h"

bool is_batched(const struct exporter *x, const struct node *node)
{
    return x->value[node->id].batched;
}

struct axes axes_of(struct shape shape, bool with_first, int64_t first)
{
    struct axes axes = {0};
    if (with_first)
        axes.size[axes.n++] = first;
    for (int i = 0; i < shape.rank; i++)
        axes.size[axes.n++] = shape.dim[i];
    return axes;
}

struct axes result_axes(const struct exporter *x, const struct node *node, int64_t batch)
{
    return axes_of(node->type.shape, is_batched(x, node), batch);
}

const char *value_of(struct exporter *x, const struct node *node)
{
    struct value *v = &x->value[node->id];
    if (!v->name && node->op == OP_parameter)
        v->name = parameter(x, node, 0);
    if (!v->name) {
        v->name = claim_name(x, node->name);
        struct initializer made = {v->name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, axes_of(node->type.shape, false, 0),
                                   .real = node->value};
        if (node->op == OP_constant)
            add_initializer(x, &made);
    }
    return v->name;
}

const char *input(struct exporter *x, const struct node *node, int k)
{
    return value_of(x, node->in[k]);
}

const char *reshape(struct exporter *x, const struct node *node, const char *in, const char *out, struct axes target)
{
    EMIT(x, node, "Reshape", out, in, whole_numbers(x, target));
    return out;
}

const char *aligned(struct exporter *x, const struct node *node, int k, int rank)
{
    const struct shape *own = &node->in[k]->type.shape;
    if (!is_batched(x, node->in[k]) || own->rank >= rank)
        return input(x, node, k);
    struct shape wide = {.rank = rank};
    for (int i = 0; i < rank; i++)
        wide.dim[i] = i < rank - own->rank ? 1 : own->dim[i - (rank - own->rank)];
    return reshape(x, node, input(x, node, k), part(x, node, "aligned"), axes_of(wide, true, 0));
}

/* ---- a batch for what has none ---- */

/* The number of images as a list of one, from the first input. */
static const char *images(struct exporter *x, const struct node *node)
{
    if (!x->images) {
        x->images = claim_name(x, "images");
        Onnx__NodeProto *shape = EMIT(x, node, "Shape", x->images, value_of(x, x->graph->input[0].node));
        set_int(x, shape, "start", 0);
        set_int(x, shape, "end", 1);
    }
    return x->images;
}

const char *spread(struct exporter *x, const struct node *node)
{
    struct value *v = &x->value[node->id];
    if (v->batched)
        return value_of(x, node);
    if (v->spread)
        return v->spread;
    const char *own = value_of(x, node), *shape;
    v->spread = part(x, node, "batch");
    if (x->batch) {
        shape = whole_numbers(x, axes_of(node->type.shape, true, x->batch));
    } else if (node->type.shape.rank == 0) {
        shape = images(x, node);
    } else {
        shape = part(x, node, "shape");
        const char *one = whole_numbers(x, axes_of(node->type.shape, false, 0)), *n = images(x, node);
        set_int(x, EMIT(x, node, "Concat", shape, n, one), "axis", 0);
    }
    EMIT(x, node, "Expand", v->spread, own, shape);
    return v->spread;
}

/* ---- axes in front become images ---- */

static bool is_flat(const struct exporter *x, const struct node *node, int k, int keep)
{
    return is_batched(x, node->in[k]) && node->in[k]->type.shape.rank == keep;
}

const char *flat_input(struct exporter *x, const struct node *node, int k, int keep)
{
    const struct shape *own = &node->in[k]->type.shape;
    if (is_flat(x, node, k, keep))
        return input(x, node, k);
    struct axes target = {1, {-1}};
    for (int i = own->rank - keep; i < own->rank; i++)
        target.size[target.n++] = own->dim[i];
    return reshape(x, node, input(x, node, k), part(x, node, "images"), target);
}

const char *flat_result(struct exporter *x, const struct node *node, int keep)
{
    return is_flat(x, node, 0, keep) ? value_of(x, node) : intern_printf("%s/flat", value_of(x, node));
}

void unflatten(struct exporter *x, const struct node *node, int keep)
{
    if (!is_flat(x, node, 0, keep))
        reshape(x, node, flat_result(x, node, keep), value_of(x, node), result_axes(x, node, -1));
}
