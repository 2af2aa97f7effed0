/* The layers: how rows of operators.def become nodes, and how all builders read their arguments.
 *
 * What would surprise: a convolution pads dilation * (kernel - 1) / 2 unless told otherwise and has no bias unless
 * asked, so that most descriptions need to say neither; with an even kernel that padding would not be whole, so it
 * must be stated.
 */
#include "front/internal.h"

#include <math.h>
#include <string.h>

/* ---- reading arguments ---- */

static const struct argument *find_argument(const struct call *call, const char *name)
{
    for (int i = 0; i < call->item->n_param; i++) {
        if (!strcmp(call->item->params->child[i]->text, name)) {
            return &call->argument[i];
        }
    }
    return NULL;
}

struct value argument_value(const struct call *call, const char *name)
{
    return find_argument(call, name)->value;
}

struct value argument_fails(struct call *call, const char *name, enum check check, const char *format, ...)
{
    const struct argument *argument = find_argument(call, name);
    struct text text = {.arena = call->e->module};
    va_list args;
    va_start(args, format);
    text_add_v(&text, format, args);
    va_end(args);
    struct span span =
        argument && argument->given && argument->span.file == call->at->span.file ? argument->span : call->at->span;
    fail_span(call->e, call->frame, call->at, span, check, "%s", text_string(&text));
    if (argument) {
        explain(call->e, argument->value);
    }
    return ERROR_VALUE;
}

static bool wants(struct call *call, const char *name, const char *what, struct value value)
{
    argument_fails(call, name, value.kind == VALUE_REAL ? CHECK_count_whole : CHECK_argument_kind,
                   "%s of %s is %s, this is %s", name, call->item->name, what, value_shown(call->e->module, value));
    return false;
}

bool argument_count(struct call *call, const char *name, int64_t *count)
{
    struct value value = argument_value(call, name);
    return value_whole(value, count) || wants(call, name, "a whole number", value);
}

bool argument_pair(struct call *call, const char *name, int64_t pair[2])
{
    struct value value = argument_value(call, name);
    if (value_whole(value, &pair[0])) {
        pair[1] = pair[0];
        return true;
    }
    if (value.kind == VALUE_LIST && value.list->count == 2 && value_whole(value.list->item[0], &pair[0]) &&
        value_whole(value.list->item[1], &pair[1])) {
        return true;
    }
    return wants(call, name, "a whole number or two, [rows, columns]", value);
}

bool argument_real(struct call *call, const char *name, double *real)
{
    struct value value = argument_value(call, name);
    return value_number(value, real) || wants(call, name, "a number", value);
}

bool argument_bool(struct call *call, const char *name, bool *truth)
{
    struct value value = argument_value(call, name);
    *truth = value.kind == VALUE_BOOL && value.truth;
    return value.kind == VALUE_BOOL || wants(call, name, "true or false", value);
}

bool argument_choice(struct call *call, const char *name, const char *const *choices, int n, int *choice)
{
    struct value value = argument_value(call, name);
    struct text text = {.arena = call->e->module};
    for (int i = 0; i < n; i++) {
        if (value.kind == VALUE_STRING && !strcmp(value.string, choices[i])) {
            *choice = i;
            return true;
        }
        text_add(&text, "%s\"%s\"", i ? " or " : "", choices[i]);
    }
    argument_fails(call, name, CHECK_argument_choice, "%s of %s is %s, this is %s", name, call->item->name,
                   text_string(&text), value_shown(call->e->module, value));
    return false;
}

bool argument_shape(struct call *call, const char *name, struct shape *shape)
{
    struct value value = argument_value(call, name);
    *shape = (struct shape){0};
    if (value.kind != VALUE_LIST || value.list->count > MAX_RANK || !value.list->count) {
        argument_fails(call, name, CHECK_argument_kind, "%s of %s is a list of 1 to %d whole numbers, this is %s", name,
                       call->item->name, MAX_RANK, value_shown(call->e->module, value));
        return false;
    }
    for (size_t i = 0; i < value.list->count; i++) {
        struct value item = value.list->item[i];
        if (!value_whole(item, &shape->dim[i])) {
            bool real = item.kind == VALUE_REAL;
            argument_fails(call, name, real ? CHECK_count_whole : CHECK_argument_kind,
                           "element %zu of %s is no whole number, but %s", i, name, value_shown(call->e->module, item));
            explain(call->e, item);
            return false;
        }
    }
    shape->rank = (int)value.list->count;
    return true;
}

bool argument_axis(struct call *call, const char *name, int rank, int64_t *axis)
{
    if (!argument_count(call, name, axis)) {
        return false;
    }
    int64_t given = *axis;
    *axis += given < 0 ? rank : 0;
    if (*axis < 0 || *axis >= rank) {
        argument_fails(call, name, CHECK_axis_range, "%s: there is no axis %lld, the axes are %d to %d",
                       call->item->name, (long long)given, -rank, rank - 1);
        return false;
    }
    return true;
}

bool input_tensor(struct call *call, int k, struct node **tensor)
{
    struct value value = call->input[k];
    if (value.kind == VALUE_TENSOR) {
        *tensor = value.tensor;
        return true;
    }
    fail(call->e, call->frame, call->at, CHECK_input_kind, "%s takes a tensor, this is %s", call->item->name,
         value_shown(call->e->module, value));
    if (value.kind == VALUE_PICTURE) {
        note(call->e, NO_SPAN,
             "the way of a picture ends with `normalize`; what follows is the network's, behind `input`");
    }
    explain(call->e, value);
    return false;
}

/* ---- convolutions and matrices ---- */

/* The padding that keeps the size at stride 1. */
bool conv_pad(struct call *call, struct attrs *attrs)
{
    if (argument_value(call, "pad").kind != VALUE_NONE) {
        return argument_pair(call, "pad", attrs->pad);
    }
    for (int i = 0; i < 2; i++) {
        int64_t around;
        if (attrs->kernel[i] % 2 == 0) {
            argument_fails(call, "kernel", CHECK_conv_even_kernel,
                           "a convolution with an even kernel must state its pad");
            return false;
        }
        if (__builtin_mul_overflow(attrs->dilation[i], attrs->kernel[i] - 1, &around)) {
            around = INT64_MAX;
        }
        attrs->pad[i] = around / 2;
    }
    return true;
}

/* Remembers why a node has as many channels as it has, for explain_node(). */
void remember_cause(struct call *call, const struct node *node)
{
    const struct cause *cause = argument_value(call, "out").cause;
    if (node && cause && cause->name) {
        name_map_put(call->e->module, &call->e->made_by, (const char *)node, (void *)cause);
    }
}

struct value build_conv(struct call *call)
{
    struct node *in, *node;
    struct attrs attrs = {0};
    bool bias;
    bool good = input_tensor(call, 0, &in) && argument_count(call, "out", &attrs.out) &&
                argument_pair(call, "kernel", attrs.kernel) && argument_pair(call, "stride", attrs.stride) &&
                argument_pair(call, "dilation", attrs.dilation) && argument_count(call, "groups", &attrs.groups) &&
                argument_bool(call, "bias", &bias) && conv_pad(call, &attrs);
    if (!good) {
        return ERROR_VALUE;
    }
    node = add_node(call, OP_conv, &in, 1, &attrs, bias);
    remember_cause(call, node);
    return value_tensor(node);
}

struct value build_linear(struct call *call)
{
    struct node *in, *node;
    struct attrs attrs = {0};
    bool bias;
    if (!input_tensor(call, 0, &in) || !argument_count(call, "out", &attrs.out) ||
        !argument_bool(call, "bias", &bias)) {
        return ERROR_VALUE;
    }
    node = add_node(call, OP_linear, &in, 1, &attrs, bias);
    remember_cause(call, node);
    return value_tensor(node);
}

struct value build_batch_norm(struct call *call)
{
    struct node *in;
    struct attrs attrs = {0};
    if (!input_tensor(call, 0, &in) || !argument_real(call, "eps", &attrs.eps)) {
        return ERROR_VALUE;
    }
    return value_tensor(add_node(call, OP_batch_norm, &in, 1, &attrs, false));
}

/* ---- element by element ---- */

static struct value build_plain(struct call *call, enum op op)
{
    struct node *in;
    return input_tensor(call, 0, &in) ? value_tensor(add_node(call, op, &in, 1, NULL, false)) : ERROR_VALUE;
}

struct value build_relu(struct call *call)
{
    return build_plain(call, OP_relu);
}

struct value build_silu(struct call *call)
{
    return build_plain(call, OP_silu);
}

struct value build_sigmoid(struct call *call)
{
    return build_plain(call, OP_sigmoid);
}

struct value build_global_avg_pool(struct call *call)
{
    return build_plain(call, OP_global_avg_pool);
}

/* No node: what a block argument is when nothing shall happen. */
struct value build_identity(struct call *call)
{
    return call->input[0];
}

struct value build_multiply(struct call *call)
{
    struct syntax sign = *call->at;
    struct value other = argument_value(call, "other");
    struct node *in;
    if (!input_tensor(call, 0, &in)) {
        return ERROR_VALUE;
    }
    double number;
    if (other.kind != VALUE_TENSOR && !value_number(other, &number)) {
        wants(call, "other", "a tensor or a number", other);
        return ERROR_VALUE;
    }
    sign.sign = SIGN_mul;
    struct frame frame = *call->frame;
    frame.path = call->path;
    struct value product = tensor_binary(call->e, &frame, &sign, call->input[0], other);
    call->at->failed |= sign.failed;
    return product;
}

/* ---- over windows ---- */

static struct value build_pool(struct call *call, enum op op)
{
    struct node *in;
    struct attrs attrs = {.dilation = {1, 1}};
    bool good = input_tensor(call, 0, &in) && argument_pair(call, "kernel", attrs.kernel) &&
                argument_pair(call, "stride", attrs.stride) && argument_pair(call, "pad", attrs.pad) &&
                argument_bool(call, "ceil", &attrs.ceil) &&
                (op != OP_avg_pool || argument_bool(call, "count_pad", &attrs.count_pad));
    return good ? value_tensor(add_node(call, op, &in, 1, &attrs, false)) : ERROR_VALUE;
}

struct value build_max_pool(struct call *call)
{
    return build_pool(call, OP_max_pool);
}

struct value build_avg_pool(struct call *call)
{
    return build_pool(call, OP_avg_pool);
}

/* ---- tensors that are not computed ---- */

struct value build_parameter(struct call *call)
{
    struct attrs attrs = {0};
    if (!argument_shape(call, "shape", &attrs.shape)) {
        return ERROR_VALUE;
    }
    if (!call->labelled) {
        return fail(call->e, call->frame, call->at, CHECK_parameter_label,
                    "a parameter is named by its label: write LABEL: parameter(...)");
    }
    return value_tensor(add_node(call, OP_parameter, NULL, 0, &attrs, false));
}

struct numbers {
    struct call *call;
    struct arena *arena;
    double *number;
    size_t count, capacity;
};

/* Flattens a nested list of numbers, of which all lists at one depth must be equally long. */
static bool collect(struct numbers *numbers, struct value value, struct shape *shape, int depth)
{
    double number;
    struct call *call = numbers->call;
    if (!spend(call->e, call->frame, call->at, 1)) {
        return false;
    }
    if (value_number(value, &number)) {
        PUSH(numbers->arena, numbers->number, numbers->count, numbers->capacity, number);
        return depth == shape->rank;
    }
    if (value.kind != VALUE_LIST || !value.list->count || depth == MAX_RANK) {
        return false;
    }
    if (depth == shape->rank && numbers->count == 0) {
        shape->dim[shape->rank++] = (int64_t)value.list->count;
    }
    bool good = depth < shape->rank && shape->dim[depth] == (int64_t)value.list->count;
    for (size_t i = 0; good && i < value.list->count; i++) {
        good = collect(numbers, value.list->item[i], shape, depth + 1);
    }
    return good;
}

struct node *argument_constant(struct call *call, const char *name)
{
    struct numbers numbers = {.call = call, .arena = call->e->module};
    struct shape shape = {0};
    struct value values = argument_value(call, name);
    if (values.kind != VALUE_LIST || !collect(&numbers, values, &shape, 0)) {
        argument_fails(
            call, name, CHECK_argument_kind,
            "%s of %s is a list of numbers, or of lists of numbers of one length, at most %d deep; this is %s", name,
            call->item->name, MAX_RANK, value_shown(call->e->module, values));
        return NULL;
    }
    return add_constant(call, shape, numbers.number);
}

struct value build_constant(struct call *call)
{
    return value_tensor(argument_constant(call, "values"));
}
