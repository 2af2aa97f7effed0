/* The operators of attention and of the heads of detection and segmentation: rows of operators.def to nodes.
 *
 * What would surprise: convolve, whose kernel is a tensor, is a node of two or three inputs even where that tensor is a constant; and
 * the indices of take become a constant node, so that the graph knows no lists. */
#include "front/internal.h"

/* An argument that is a tensor. */
static struct node *argument_tensor(struct call *call, const char *name)
{
    struct value value = argument_value(call, name);
    if (value.kind != VALUE_TENSOR) {
        argument_fails(call, name, CHECK_argument_kind, "%s of %s is a tensor, this is %s", name, call->item->name,
                       value_shown(call->e->module, value));
        return NULL;
    }
    return value.tensor;
}

struct value build_convolve(struct call *call)
{
    struct node *in[3];
    struct attrs attrs = {0};
    int n = 2;
    if (!input_tensor(call, 0, &in[0]) || !(in[1] = argument_tensor(call, "kernel"))) {
        return ERROR_VALUE;
    }
    if (argument_value(call, "bias").kind != VALUE_NONE && !(in[n++] = argument_tensor(call, "bias"))) {
        return ERROR_VALUE;
    }
    struct shape kernel = in[1]->type.shape;
    if (kernel.rank != 4) {
        return argument_fails(
            call, "kernel", CHECK_convolve_kernel,
            "the kernel of convolve is a tensor [out, channels a group, rows, columns], this one is %s",
            value_shown(call->e->module, value_tensor(in[1])));
    }
    attrs.kernel[0] = kernel.dim[2];
    attrs.kernel[1] = kernel.dim[3];
    bool good = argument_pair(call, "stride", attrs.stride) && argument_pair(call, "dilation", attrs.dilation) &&
                argument_count(call, "groups", &attrs.groups) && conv_pad(call, &attrs);
    return good ? value_tensor(add_node(call, OP_convolve, in, n, &attrs, false)) : ERROR_VALUE;
}

struct value build_conv1d(struct call *call)
{
    struct node *in;
    struct attrs attrs = {.kernel = {1, 0}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1};
    bool bias, stated = argument_value(call, "pad").kind != VALUE_NONE;
    if (!input_tensor(call, 0, &in) || !argument_count(call, "out", &attrs.out) ||
        !argument_count(call, "kernel", &attrs.kernel[1]) || !argument_bool(call, "bias", &bias) ||
        (stated && !argument_count(call, "pad", &attrs.pad[1]))) {
        return ERROR_VALUE;
    }
    if (!stated && attrs.kernel[1] % 2 == 0) {
        return argument_fails(call, "kernel", CHECK_conv_even_kernel,
                              "a convolution with an even kernel must state its pad");
    }
    attrs.pad[1] = stated ? attrs.pad[1] : (attrs.kernel[1] - 1) / 2;
    struct node *node = add_node(call, OP_conv1d, &in, 1, &attrs, bias);
    remember_cause(call, node);
    return value_tensor(node);
}

struct value build_group_norm(struct call *call)
{
    struct node *in;
    struct attrs attrs = {0};
    if (!input_tensor(call, 0, &in) || !argument_count(call, "groups", &attrs.groups) ||
        !argument_real(call, "eps", &attrs.eps)) {
        return ERROR_VALUE;
    }
    return value_tensor(add_node(call, OP_group_norm, &in, 1, &attrs, false));
}

struct value build_matmul(struct call *call)
{
    struct node *in[2];
    if (!input_tensor(call, 0, &in[0]) || !input_tensor(call, 1, &in[1])) {
        return ERROR_VALUE;
    }
    return value_tensor(add_node(call, OP_matmul, in, 2, NULL, false));
}

struct value build_pad(struct call *call)
{
    static const char *const modes[] = {"zero", "reflect"};
    struct node *in;
    struct attrs attrs = {.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
    int mode;
    if (!input_tensor(call, 0, &in) || !argument_pair(call, "n", attrs.pad) ||
        !argument_choice(call, "mode", modes, 2, &mode)) {
        return ERROR_VALUE;
    }
    attrs.reflect = mode == 1;
    return value_tensor(add_node(call, OP_pad, &in, 1, &attrs, false));
}

struct value build_upsample(struct call *call)
{
    static const char *const filters[] = {"nearest", "bilinear"};
    struct node *in;
    int64_t size[2];
    int filter;
    if (!input_tensor(call, 0, &in) || !argument_pair(call, "size", size) ||
        !argument_choice(call, "filter", filters, 2, &filter)) {
        return ERROR_VALUE;
    }
    struct attrs attrs = {.bilinear = filter == 1, .shape = {3, {in->type.shape.dim[0], size[0], size[1]}}};
    return value_tensor(add_node(call, OP_upsample, &in, 1, &attrs, false));
}

struct value build_unfold(struct call *call)
{
    struct node *in;
    struct attrs attrs = {0};
    bool good = input_tensor(call, 0, &in) && argument_pair(call, "kernel", attrs.kernel) &&
                argument_pair(call, "stride", attrs.stride) && argument_pair(call, "pad", attrs.pad) &&
                argument_pair(call, "dilation", attrs.dilation);
    return good ? value_tensor(add_node(call, OP_unfold, &in, 1, &attrs, false)) : ERROR_VALUE;
}

struct value build_take(struct call *call)
{
    struct node *in[2];
    if (!input_tensor(call, 0, &in[0]) || !(in[1] = argument_constant(call, "index"))) {
        return ERROR_VALUE;
    }
    return value_tensor(add_node(call, OP_take, in, 2, NULL, false));
}
