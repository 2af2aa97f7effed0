/* Tensors: nodes of the graph and their parameters, arithmetic with signs, t[i], attributes.
 *
 * What would surprise: a number beside a tensor becomes a constant of shape [1], so that the graph knows no scalars;
 * and what shape inference reports is followed here by notes that only the language can give: which name the offending
 * channels and arguments came from.
 */
#include "front/internal.h"

#include <string.h>

/* ---- nodes ---- */

/* Up from a tensor to the node that chose its first axis: past all that keeps it. */
static const struct node *channel_source(const struct node *node)
{
    while (node->n_in > 0 && node->in[0]->type.shape.dim[0] == node->type.shape.dim[0] && node->op != OP_conv &&
           node->op != OP_linear) {
        node = node->in[0];
    }
    return node;
}

/* Notes behind what shape inference said: where the inputs' channels and the arguments were set. */
static void explain_node(struct call *call, struct node *const *in, int n_in)
{
    struct elaborator *e = call->e;
    const struct cause *told = NULL;
    for (int i = 0; i < n_in && i < 2; i++) {
        const struct node *source = channel_source(in[i]);
        void **found = name_map_get(&e->made_by, (const char *)source);
        const struct cause *cause = found ? *found : NULL;
        if (cause && cause != told) {
            note(e, cause->span, "the input has %lld channels because %s = %s", (long long)source->type.shape.dim[0],
                 cause->name, value_shown(e->module, cause->value));
            told = cause;
        }
    }
    for (int i = 0; call->item && call->argument && i < call->item->n_param; i++) {
        if (call->argument[i].given && call->argument[i].value.cause != told) {
            explain(e, call->argument[i].value);
        }
    }
}

static bool add_params(struct call *call, struct node *node, bool bias)
{
    struct elaborator *e = call->e;
    const char *leaf;
    bool optional;
    struct shape shape;
    for (int slot = 0; slot < MAX_PARAMS && node_param(node, slot, &leaf, &optional, &shape); slot++) {
        if (optional && !bias) {
            continue;
        }
        const char *name = node->op == OP_parameter ? call->path
                           : *call->path            ? intern_printf("%s.%s", call->path, leaf)
                                                    : leaf;
        const struct param *other = graph_find_param(e->graph, name);
        if (other) {
            fail(e, call->frame, call->at, CHECK_parameter_named_twice, "two parameters are named %s", name);
            note(e, other->origin.span, "the first is made here");
            if (call->frame->loops) {
                note(e, call->at->span, "in a loop the label needs an index, such as convs[i]: ...");
            } else if (!call->labelled) {
                note(e, call->at->span, "a label makes its names differ: %s1: %s(...)", op_info(node->op)->name,
                     op_info(node->op)->name);
            }
            return false;
        }
        node->param[slot] = graph_param(e->graph, name, shape, node->origin);
    }
    return true;
}

struct node *add_node(struct call *call, enum op op, struct node *const *in, int n_in, const struct attrs *attrs,
                      bool bias)
{
    struct elaborator *e = call->e;
    if (call->at->failed || e->stopped) {
        return NULL;
    }
    if (!call->frame->item) {
        fail(e, call->frame, call->at, CHECK_tensor_place,
             "tensors are made in nets and blocks, not by a `let` of a file or by -D");
        return NULL;
    }
    if (e->graph->n_node >= MOST_NODES) {
        fail(e, call->frame, call->at, CHECK_node_limit, "the network has more than %d operators", MOST_NODES);
        stop(e);
        return NULL;
    }
    struct origin origin = {call->at->span, call->frame->site};
    struct node *node = graph_add(e->graph, e->diags, op, in, n_in, attrs, call->path, NULL, origin);
    if (!node) {
        call->at->failed = true;
        e->silent = false;
        explain_node(call, in, n_in);
        return NULL;
    }
    return add_params(call, node, bias) ? node : NULL;
}

struct node *add_constant(struct call *call, struct shape shape, const double *value)
{
    struct attrs attrs = {.shape = shape};
    struct node *node = add_node(call, OP_constant, NULL, 0, &attrs, false);
    if (node) {
        node->value = value;
    }
    return node;
}

/* ---- signs ---- */

static struct node *number_node(struct call *call, double number)
{
    double *value = NEW(call->e->module, double);
    *value = number;
    return add_constant(call, (struct shape){1, {1}}, value);
}

static struct node *operand(struct call *call, struct value value)
{
    double number;
    if (value.kind == VALUE_TENSOR) {
        return value.tensor;
    }
    if (value_number(value, &number)) {
        return number_node(call, number);
    }
    fail_span(call->e, call->frame, call->at, call->at->mark, CHECK_operand_kind,
              "a tensor and %s cannot be combined by `%s`", value_shown(call->e->module, value),
              sign_text(call->at->sign));
    explain(call->e, value);
    return NULL;
}

struct value tensor_binary(struct elaborator *e, struct frame *frame, struct syntax *at, struct value a, struct value b)
{
    static const enum op ops[SIGN_COUNT] = {
        [SIGN_add] = OP_add, [SIGN_sub] = OP_sub, [SIGN_mul] = OP_mul, [SIGN_div] = OP_div};
    if (at->sign < SIGN_add || at->sign > SIGN_div) {
        return fail_span(e, frame, at, at->mark, CHECK_operand_kind,
                         "tensors have no `%s`: their numbers are not known here", sign_text(at->sign));
    }
    struct call call = {.e = e, .frame = frame, .at = at, .path = frame->path};
    struct node *in[2];
    in[0] = operand(&call, a);
    in[1] = in[0] ? operand(&call, b) : NULL;
    return in[1] ? value_tensor(add_node(&call, ops[at->sign], in, 2, NULL, false)) : ERROR_VALUE;
}

struct value tensor_negative(struct elaborator *e, struct frame *frame, struct syntax *at, struct value value)
{
    struct call call = {.e = e, .frame = frame, .at = at, .path = frame->path};
    struct node *in[2] = {value.tensor, number_node(&call, -1)};
    return in[1] ? value_tensor(add_node(&call, OP_mul, in, 2, NULL, false)) : ERROR_VALUE;
}

/* ---- parts ---- */

/* One element of axis 0, without that axis; of a tensor with one axis, a tensor of one number. */
struct value tensor_at(struct elaborator *e, struct frame *frame, struct syntax *at, struct node *tensor, int64_t index)
{
    struct call call = {.e = e, .frame = frame, .at = at, .path = frame->path};
    struct attrs slice = {.start = index, .size = 1};
    struct node *part = add_node(&call, OP_slice, &tensor, 1, &slice, false);
    if (!part || part->type.shape.rank == 1) {
        return value_tensor(part);
    }
    struct attrs reshape = {.shape = {part->type.shape.rank - 1, {0}}};
    memcpy(reshape.shape.dim, part->type.shape.dim + 1, (size_t)reshape.shape.rank * sizeof *reshape.shape.dim);
    return value_tensor(add_node(&call, OP_reshape, &part, 1, &reshape, false));
}

struct value tensor_attribute(struct elaborator *e, struct frame *frame, struct syntax *at, struct node *tensor)
{
    static const char *const known[] = {"channels", "height", "width", "shape"};
    const struct shape *shape = &tensor->type.shape;
    size_t which = 0;
    while (which < LENGTH(known) && strcmp(known[which], at->text)) {
        which++;
    }
    if (which == LENGTH(known)) {
        fail_span(e, frame, at, at->mark, CHECK_member_unknown,
                  "a tensor has .channels, .height, .width and .shape, but no .%s", at->text);
        suggest(e, at->mark, at->text, known, LENGTH(known));
        return ERROR_VALUE;
    }
    if (which == 3) {
        struct value list = value_list(e->module, (size_t)shape->rank);
        for (int i = 0; i < shape->rank; i++) {
            list.list->item[i] = value_int(shape->dim[i]);
        }
        return list_close(list);
    }
    int axis = which == 0 ? 0 : shape->rank - 3 + (int)which;
    if (shape->rank < (which == 0 ? 1 : 3)) {
        return fail_span(e, frame, at, at->mark, CHECK_member_unknown, "%s has no .%s: only tensors [..,C,H,W] do",
                         value_shown(e->module, value_tensor(tensor)), at->text);
    }
    return value_int(shape->dim[axis]);
}
