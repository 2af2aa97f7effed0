/* Operators that move numbers about or reduce an axis: rows of operators.def to nodes.
 *
 * What would surprise: the graph has few of them. split is slices; unstack is slices and reshapes; stack is reshapes
 * and a concat; sum of a list is additions in ascending order, as the frameworks do it.
 */
#include "front/internal.h"

#include <string.h>

/* ---- shapes ---- */

static struct value reshaped(struct call *call, struct node *in, struct shape shape)
{
    struct attrs attrs = {.shape = shape};
    return value_tensor(add_node(call, OP_reshape, &in, 1, &attrs, false));
}

struct value build_flatten(struct call *call)
{
    struct node *in;
    if (!input_tensor(call, 0, &in)) {
        return ERROR_VALUE;
    }
    return reshaped(call, in, (struct shape){1, {shape_elements(in->type.shape)}});
}

struct value build_reshape(struct call *call)
{
    struct node *in;
    struct shape shape;
    return input_tensor(call, 0, &in) && argument_shape(call, "shape", &shape) ? reshaped(call, in, shape)
                                                                               : ERROR_VALUE;
}

struct value build_permute(struct call *call)
{
    struct node *in;
    struct attrs attrs = {0};
    if (!input_tensor(call, 0, &in) || !argument_shape(call, "axes", &attrs.shape)) {
        return ERROR_VALUE;
    }
    return value_tensor(add_node(call, OP_permute, &in, 1, &attrs, false));
}

/* ---- one axis ---- */

static struct value along_axis(struct call *call, enum op op)
{
    struct node *in;
    struct attrs attrs = {0};
    if (!input_tensor(call, 0, &in) || !argument_axis(call, "axis", in->type.shape.rank, &attrs.axis)) {
        return ERROR_VALUE;
    }
    return value_tensor(add_node(call, op, &in, 1, &attrs, false));
}

struct value build_softmax(struct call *call)
{
    return along_axis(call, OP_softmax);
}

struct value build_mean(struct call *call)
{
    return along_axis(call, OP_mean);
}

/* The tensors of a list that is the operator's input. */
static struct node **tensors_of(struct call *call, size_t *count)
{
    struct value list = call->input[0];
    bool good = list.kind == VALUE_LIST && list.list->count;
    if (!good) {
        fail(call->e, call->frame, call->at, CHECK_input_kind, "%s takes a list of tensors, this is %s",
             call->item->name, value_shown(call->e->module, list));
        return NULL;
    }
    struct node **tensor = NEW_ARRAY(call->e->module, struct node *, list.list->count);
    for (size_t i = 0; i < list.list->count; i++) {
        if (list.list->item[i].kind != VALUE_TENSOR) {
            fail(call->e, call->frame, call->at, CHECK_input_kind, "%s takes a list of tensors, element %zu is %s",
                 call->item->name, i, value_shown(call->e->module, list.list->item[i]));
            return NULL;
        }
        tensor[i] = list.list->item[i].tensor;
    }
    *count = list.list->count;
    return spend(call->e, call->frame, call->at, (int64_t)*count) ? tensor : NULL;
}

struct value build_sum(struct call *call)
{
    bool has_axis = argument_value(call, "axis").kind != VALUE_NONE;
    if (call->input[0].kind == VALUE_TENSOR) {
        return has_axis
                   ? along_axis(call, OP_sum)
                   : fail(call->e, call->frame, call->at, CHECK_argument_missing, "the sum of a tensor needs its axis");
    }
    if (has_axis) {
        return argument_fails(call, "axis", CHECK_argument_surplus, "the sum of a list has no axis");
    }
    size_t count;
    struct node **tensor = tensors_of(call, &count);
    struct node *total = tensor ? tensor[0] : NULL;
    for (size_t i = 1; total && i < count; i++) {
        struct node *in[2] = {total, tensor[i]};
        total = add_node(call, OP_add, in, 2, NULL, false);
    }
    return value_tensor(total);
}

/* ---- taking apart ---- */

static struct node *slice(struct call *call, struct node *in, int64_t axis, int64_t start, int64_t size)
{
    if (start == 0 && size == in->type.shape.dim[axis]) {
        return in;
    }
    struct attrs attrs = {.axis = axis, .start = start, .size = size};
    return add_node(call, OP_slice, &in, 1, &attrs, false);
}

static struct value slices(struct call *call, struct node *in, int64_t axis, const int64_t *size, size_t n)
{
    struct value list = value_list(call->e->module, n);
    int64_t start = 0;
    for (size_t i = 0; i < n; i++) {
        struct node *part = slice(call, in, axis, start, size[i]);
        if (!part) {
            return ERROR_VALUE;
        }
        list.list->item[i] = value_tensor(part);
        start += size[i];
    }
    return list_close(list);
}

/* The sizes of a split: n equal parts, or as listed. */
static int64_t *split_sizes(struct call *call, int64_t extent, size_t *n)
{
    struct value parts = argument_value(call, "parts");
    int64_t count, sum = 0;
    if (parts.kind != VALUE_LIST) {
        if (!argument_count(call, "parts", &count)) {
            return NULL;
        }
        if (count < 1 || extent % count) {
            argument_fails(call, "parts", CHECK_split_parts, "an axis of %lld cannot be split into %lld equal parts",
                           (long long)extent, (long long)count);
            return NULL;
        }
        if (count > MOST_NODES) {
            argument_fails(call, "parts", CHECK_node_limit, "split would make %lld tensors", (long long)count);
            return NULL;
        }
        int64_t *size = NEW_ARRAY(call->e->module, int64_t, count);
        for (int64_t i = 0; i < count; i++) {
            size[i] = extent / count;
        }
        *n = (size_t)count;
        return size;
    }
    int64_t *size = NEW_ARRAY(call->e->module, int64_t, parts.list->count + 1);
    bool good = parts.list->count > 0;
    for (size_t i = 0; i < parts.list->count && good; i++) {
        good = value_whole(parts.list->item[i], &size[i]) && size[i] > 0 && !__builtin_add_overflow(sum, size[i], &sum);
    }
    *n = parts.list->count;
    if (!good || sum != extent) {
        struct text shown = {.arena = call->e->module};
        value_print(&shown, parts);
        argument_fails(call, "parts", CHECK_split_parts, "the parts %s do not make up an axis of %lld",
                       text_string(&shown), (long long)extent);
        return NULL;
    }
    return size;
}

struct value build_split(struct call *call)
{
    struct node *in;
    int64_t axis;
    size_t n;
    if (!input_tensor(call, 0, &in) || !argument_axis(call, "axis", in->type.shape.rank, &axis)) {
        return ERROR_VALUE;
    }
    int64_t *size = split_sizes(call, in->type.shape.dim[axis], &n);
    if (!size && !call->e->silent) {
        note(call->e, in->origin.span, "its input, %s, comes from here",
             value_shown(call->e->module, value_tensor(in)));
    }
    return size ? slices(call, in, axis, size, n) : ERROR_VALUE;
}

static struct shape without_axis(struct shape shape, int64_t axis)
{
    struct shape less = {0};
    for (int i = 0; i < shape.rank; i++) {
        if (i != axis) {
            less.dim[less.rank++] = shape.dim[i];
        }
    }
    return less;
}

struct value build_unstack(struct call *call)
{
    struct node *in;
    int64_t axis;
    if (!input_tensor(call, 0, &in) || !argument_axis(call, "axis", in->type.shape.rank, &axis)) {
        return ERROR_VALUE;
    }
    if (in->type.shape.rank == 1) {
        return fail(call->e, call->frame, call->at, CHECK_input_rank,
                    "unstack drops an axis, and its input has only one");
    }
    int64_t n = in->type.shape.dim[axis];
    if (n > MOST_NODES) {
        return fail(call->e, call->frame, call->at, CHECK_node_limit, "unstack would make %lld tensors", (long long)n);
    }
    struct value list = value_list(call->e->module, (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        struct node *part = slice(call, in, axis, i, 1);
        list.list->item[i] = part ? reshaped(call, part, without_axis(part->type.shape, axis)) : ERROR_VALUE;
        if (list.list->item[i].kind == VALUE_ERROR) {
            return ERROR_VALUE;
        }
    }
    return list_close(list);
}

/* ---- putting together ---- */

struct value build_concat(struct call *call)
{
    size_t count;
    struct attrs attrs = {0};
    struct node **tensor = tensors_of(call, &count);
    if (!tensor || !argument_axis(call, "axis", tensor[0]->type.shape.rank, &attrs.axis)) {
        return ERROR_VALUE;
    }
    return value_tensor(count == 1 ? tensor[0] : add_node(call, OP_concat, tensor, (int)count, &attrs, false));
}

struct value build_stack(struct call *call)
{
    size_t count;
    struct attrs attrs = {0};
    struct node **tensor = tensors_of(call, &count);
    if (!tensor || !argument_axis(call, "axis", tensor[0]->type.shape.rank + 1, &attrs.axis)) {
        return ERROR_VALUE;
    }
    struct shape first = tensor[0]->type.shape;
    for (size_t i = 0; i < count; i++) {
        struct shape shape = tensor[i]->type.shape, more = {.rank = shape.rank + 1};
        if (!shape_equal(shape, first) || more.rank > MAX_RANK || attrs.axis > shape.rank) {
            return fail(call->e, call->frame, call->at, CHECK_stack_shapes,
                        "stack takes tensors of one shape with at most %d axes, these are %s and %s", MAX_RANK - 1,
                        value_shown(call->e->module, call->input[0].list->item[0]),
                        value_shown(call->e->module, call->input[0].list->item[i]));
        }
        memcpy(more.dim, shape.dim, (size_t)attrs.axis * sizeof *shape.dim);
        more.dim[attrs.axis] = 1;
        memcpy(more.dim + attrs.axis + 1, shape.dim + attrs.axis,
               (size_t)(shape.rank - attrs.axis) * sizeof *shape.dim);
        tensor[i] = reshaped(call, tensor[i], more).tensor;
        if (!tensor[i]) {
            return ERROR_VALUE;
        }
    }
    return value_tensor(count == 1 ? tensor[0] : add_node(call, OP_concat, tensor, (int)count, &attrs, false));
}
