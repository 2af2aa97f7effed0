/* The pieces that a model is made of: names, nodes with their attributes, initializers.
 *
 * What would surprise: protobuf-c's structures want char * for what they only read, hence the casts; and they are
 * made in the arena and packed into it, because protobuf-c's own ways of growing a buffer know no memory but malloc's.
 */
#include "export/model.h"

#include <string.h>

/* What a message may have, and its readers take. */
static const int64_t MOST_BYTES = INT32_MAX;

static char *borrowed(const char *text)
{
    union {
        const char *read;
        char *given;
    } both = {.read = text};
    return both.given;
}

const char *claim_name(struct exporter *x, const char *name)
{
    const char *own = intern(name);
    for (int i = 2; name_map_get(&x->names, own); i++)
        own = intern_printf("%s_%d", name, i);
    name_map_put(x->arena, &x->names, own, x);
    return own;
}

/* '/' is in no label, so that these names are no node's. */
const char *part(struct exporter *x, const struct node *node, const char *what)
{
    return claim_name(x, intern_printf("%s/%s", node->name, what));
}

void refuse(struct exporter *x, const struct node *node, const char *why)
{
    x->failed = true;
    diag_error(x->diags, CHECK_export_operator, node->origin, "%s (%s) cannot be written as ONNX: %s",
               op_info(node->op)->name, node->name, why);
}

void too_large(struct exporter *x)
{
    if (!x->failed)
        diag_error_file(
            x->diags, CHECK_export_size, x->graph->file,
            "%s cannot be written as ONNX: the model would have more than %lld bytes, and a message of protobuf "
            "has no more",
            x->graph->name, (long long)MOST_BYTES);
    x->failed = true;
}

/* ---- nodes ---- */

Onnx__NodeProto *emit_node(struct exporter *x, const struct node *node, const char *op, const char *out, int n,
                           const char *const *in)
{
    Onnx__NodeProto *made = NEW(x->arena, Onnx__NodeProto);
    onnx__node_proto__init(made);
    made->op_type = borrowed(op);
    made->name = borrowed(x->value[node->id].name == out ? node->name : out);
    made->input = NEW_ARRAY(x->arena, char *, n);
    made->output = NEW_ARRAY(x->arena, char *, 1);
    made->output[made->n_output++] = borrowed(out);
    for (int i = 0; i < n; i++)
        made->input[i] = borrowed(in[i]);
    while (n > 0 && !*in[n - 1])
        n--; /* optional ones at the end are left out */
    made->n_input = (size_t)n;
    PUSH(x->arena, x->node, x->n_node, x->cap_node, made);
    return made;
}

static Onnx__AttributeProto *attribute(struct exporter *x, Onnx__NodeProto *node, const char *name,
                                       Onnx__AttributeProto__AttributeType type)
{
    enum { MOST_ATTRIBUTES = 8 };
    Onnx__AttributeProto *a = NEW(x->arena, Onnx__AttributeProto);
    onnx__attribute_proto__init(a);
    a->name = borrowed(name);
    a->has_type = true;
    a->type = type;
    if (!node->attribute)
        node->attribute = NEW_ARRAY(x->arena, Onnx__AttributeProto *, MOST_ATTRIBUTES);
    node->attribute[node->n_attribute++] = a;
    return a;
}

void set_int(struct exporter *x, Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *a = attribute(x, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    a->has_i = true;
    a->i = value;
}

void set_float(struct exporter *x, Onnx__NodeProto *node, const char *name, double value)
{
    Onnx__AttributeProto *a = attribute(x, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    a->has_f = true;
    a->f = (float)value;
}

void set_text(struct exporter *x, Onnx__NodeProto *node, const char *name, const char *value)
{
    Onnx__AttributeProto *a = attribute(x, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    a->has_s = true;
    a->s = (ProtobufCBinaryData){strlen(value), (uint8_t *)borrowed(value)};
}

void set_ints(struct exporter *x, Onnx__NodeProto *node, const char *name, struct axes value)
{
    Onnx__AttributeProto *a = attribute(x, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    a->n_ints = (size_t)value.n;
    a->ints = NEW_ARRAY(x->arena, int64_t, value.n);
    memcpy(a->ints, value.size, (size_t)value.n * sizeof *a->ints);
}

/* ---- initializers ---- */

bool add_initializer(struct exporter *x, struct initializer *made)
{
    int64_t elements = 1;
    for (int i = 0; i < made->axes.n; i++)
        if (__builtin_mul_overflow(elements, made->axes.size[i], &elements))
            elements = MOST_BYTES;
    if (elements > MOST_BYTES)
        elements = MOST_BYTES;
    x->bytes += elements * (made->type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64 ? 8 : 4);
    if (x->bytes > MOST_BYTES) {
        too_large(x);
        return false;
    }
    PUSH(x->arena, x->initializer, x->n_initializer, x->cap_initializer, *made);
    return true;
}

const char *shared_name(struct exporter *x, const char *key, bool *fresh)
{
    void **known = name_map_get(&x->shared, key);
    *fresh = !known;
    if (known)
        return *known;
    const char *name = claim_name(x, key);
    name_map_put(x->arena, &x->shared, key, (void *)borrowed(name));
    return name;
}

const char *whole_numbers(struct exporter *x, struct axes list)
{
    struct text key = {.arena = x->arena};
    for (int i = 0; i < list.n; i++)
        text_add(&key, "%s%lld", i ? "," : "", (long long)list.size[i]);
    bool fresh;
    const char *name = shared_name(x, intern_printf("[%s]", text_string(&key)), &fresh);
    if (fresh) {
        int64_t *numbers = NEW_ARRAY(x->arena, int64_t, list.n);
        memcpy(numbers, list.size, (size_t)list.n * sizeof *numbers);
        struct initializer made = {name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, {1, {list.n}}, .whole = numbers};
        add_initializer(x, &made);
    }
    return name;
}

const char *filled(struct exporter *x, int64_t n, double value)
{
    bool fresh;
    const char *name = shared_name(x, intern_printf("[%lld of %g]", (long long)n, value), &fresh);
    if (fresh) {
        struct initializer made = {name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, {1, {n}}, .fill = value};
        add_initializer(x, &made);
    }
    return name;
}

/* Under the checkpoint's own name, at the first use. */
const char *parameter(struct exporter *x, const struct node *node, int slot)
{
    const struct param *p = node->param[slot];
    if (!p)
        return "";
    if (p->op != PARAM_LOADED) {
        refuse(x, node, "its parameters were changed by a pass");
        return "";
    }
    const char *key = intern_printf("parameter %s", p->name);
    void **known = name_map_get(&x->shared, key);
    if (known)
        return *known;
    const char *name = claim_name(x, p->name);
    struct initializer made = {name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, axes_of(p->shape, false, 0), .param = p};
    add_initializer(x, &made);
    name_map_put(x->arena, &x->shared, key, (void *)borrowed(name));
    return name;
}
