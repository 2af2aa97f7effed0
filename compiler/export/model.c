/* The model around the nodes: inputs, outputs, what it says about itself; its size; and writing it.
 *
 * What would surprise: a message of protobuf is its fields one after the other, in any order. So all but the initializers
 * is packed at once, which is little, and the initializers follow one by one, each worked out when its turn comes. The
 * lengths that stand in front of messages are known before, from shapes alone.
 */
#include "export/model.h"

#include <string.h>

#include "weights/weights.h"

/* Field numbers of onnx.proto with protobuf's wire type 2, bytes with a length. */
enum { TAG_MODEL_GRAPH = 7 << 3 | 2, TAG_GRAPH_INITIALIZER = 5 << 3 | 2, TAG_TENSOR_RAW = 9 << 3 | 2 };
enum { MOST_VARINT = 10, CHUNK = 1 << 14 };

struct packed { /* a message without the bytes that are written behind it */
    const uint8_t *bytes;
    size_t length;
};

struct onnx_model {
    struct packed head, graph;
    const struct initializer *initializer;
    const struct packed *tensor; /* of each */
    size_t n_initializer;
    size_t graph_bytes; /* with all initializers */
};

/* ---- protobuf ---- */

static size_t varint(uint64_t value, uint8_t *out)
{
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        out[n++] = (uint8_t)(value | 0x80);
    out[n++] = (uint8_t)value;
    return n;
}

static struct packed pack(struct arena *arena, const ProtobufCMessage *message)
{
    uint8_t *bytes = arena_alloc(arena, protobuf_c_message_get_packed_size(message));
    return (struct packed){bytes, protobuf_c_message_pack(message, bytes)};
}

/* Of a field of so many bytes: with its tag, one byte, and its length. */
static size_t field_bytes(size_t length)
{
    uint8_t unused[MOST_VARINT];
    return 1 + varint(length, unused) + length;
}

static char *text(struct arena *arena, const char *bytes)
{
    return arena_copy(arena, bytes, strlen(bytes));
}

/* ---- values ---- */

static Onnx__ValueInfoProto *value_info(struct exporter *x, const char *name, struct shape shape, bool batched)
{
    Onnx__ValueInfoProto *info = NEW(x->arena, Onnx__ValueInfoProto);
    Onnx__TypeProto *type = NEW(x->arena, Onnx__TypeProto);
    Onnx__TypeProto__Tensor *tensor = NEW(x->arena, Onnx__TypeProto__Tensor);
    Onnx__TensorShapeProto *sizes = NEW(x->arena, Onnx__TensorShapeProto);
    onnx__value_info_proto__init(info);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(sizes);
    struct axes axes = axes_of(shape, batched, x->batch);
    sizes->dim = NEW_ARRAY(x->arena, Onnx__TensorShapeProto__Dimension *, axes.n);
    for (int i = 0; i < axes.n; i++) {
        Onnx__TensorShapeProto__Dimension *d = NEW(x->arena, Onnx__TensorShapeProto__Dimension);
        onnx__tensor_shape_proto__dimension__init(d);
        bool any = batched && i == 0 && !x->batch;
        d->value_case = any ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM
                            : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        if (any)
            d->dim_param = text(x->arena, "N");
        else
            d->dim_value = axes.size[i];
        sizes->dim[sizes->n_dim++] = d;
    }
    tensor->has_elem_type = true;
    tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = sizes;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    info->name = text(x->arena, name);
    info->type = type;
    return info;
}

/* What the outputs need, which values have a batch, which borders pools read. The indices of take() are no value of ONNX's graph. */
static void mark_values(struct exporter *x)
{
    const struct graph *g = x->graph;
    for (size_t i = 0; i < g->n_output; i++)
        x->value[g->output[i].node->id].live = true;
    for (size_t i = g->n_node; i-- > 0;) {
        const struct node *n = g->node[i];
        for (int k = 0; x->value[n->id].live && k < (n->op == OP_take ? 1 : n->n_in); k++)
            x->value[n->in[k]->id].live = true;
    }
    for (size_t i = 0; i < g->n_node; i++) {
        const struct node *n = g->node[i];
        x->value[n->id].batched = n->op == OP_input;
        for (int k = 0; k < n->n_in; k++)
            x->value[n->id].batched |= x->value[n->in[k]->id].batched;
        if ((n->op == OP_max_pool || n->op == OP_avg_pool) && n->in[0]->op == OP_pad)
            x->value[n->in[0]->id].guarded = !n->in[0]->attrs.reflect && x->value[n->id].batched;
    }
}

/* ---- inputs and outputs ---- */

/* Their names are the network's, whatever else would be called so. An output is its node's value if it is the first to want
 * it and that is no input. */
static const char **claim_ports(struct exporter *x)
{
    const struct graph *g = x->graph;
    const char **name = NEW_ARRAY(x->arena, const char *, g->n_output);
    for (size_t i = 0; i < g->n_input; i++) {
        const struct node *n = g->input[i].node;
        x->value[n->id].name = claim_name(x, n->name);
    }
    for (size_t i = 0; i < g->n_output; i++) {
        struct value *v = &x->value[g->output[i].node->id];
        name[i] = claim_name(x, g->output[i].name);
        if (!v->name && v->batched)
            v->name = name[i];
    }
    return name;
}

static void set_outputs(struct exporter *x, Onnx__GraphProto *graph, const char *const *name)
{
    const struct graph *g = x->graph;
    graph->output = NEW_ARRAY(x->arena, Onnx__ValueInfoProto *, g->n_output);
    for (size_t i = 0; i < g->n_output; i++) {
        const struct node *n = g->output[i].node;
        const char *own = spread(x, n);
        if (own != name[i])
            EMIT(x, n, "Identity", name[i], own);
        graph->output[graph->n_output++] = value_info(x, name[i], n->type.shape, true);
    }
}

static bool is_output(const char *const *name, size_t n, const char *value)
{
    for (size_t i = 0; i < n; i++)
        if (name[i] == value)
            return true;
    return false;
}

static void set_values(struct exporter *x, Onnx__GraphProto *graph, const char *const *output)
{
    const struct graph *g = x->graph;
    graph->input = NEW_ARRAY(x->arena, Onnx__ValueInfoProto *, g->n_input);
    for (size_t i = 0; i < g->n_input; i++) {
        const struct node *n = g->input[i].node;
        graph->input[graph->n_input++] = value_info(x, x->value[n->id].name, n->type.shape, true);
    }
    for (size_t i = 0; i < g->n_node; i++) {
        const struct node *n = g->node[i];
        const struct value *v = &x->value[n->id];
        if (!v->live || n->op == OP_input || n->op == OP_parameter || n->op == OP_constant ||
            is_output(output, g->n_output, v->name))
            continue;
        PUSH(x->arena, x->info, x->n_info, x->cap_info, value_info(x, v->name, n->type.shape, v->batched));
    }
    graph->value_info = x->info;
    graph->n_value_info = x->n_info;
}

/* ---- what the model says about itself ---- */

static void add_property(struct arena *arena, Onnx__ModelProto *model, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *entry = NEW(arena, Onnx__StringStringEntryProto);
    onnx__string_string_entry_proto__init(entry);
    entry->key = text(arena, key);
    entry->value = text(arena, value);
    model->metadata_props[model->n_metadata_props++] = entry;
}

static struct packed pack_head(struct arena *arena, const struct graph *g)
{
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[] = {&opset};
    opset.domain = text(arena, "");
    opset.has_version = true;
    opset.version = ONNX_OPSET;
    model.has_ir_version = true;
    model.ir_version = ONNX_IR;
    model.opset_import = opsets;
    model.n_opset_import = 1;
    model.producer_name = text(arena, "netc");
    model.producer_version = text(arena, NETC_VERSION);
    model.metadata_props = NEW_ARRAY(arena, Onnx__StringStringEntryProto *, g->n_input + g->n_output);
    for (size_t i = 0; i < g->n_input; i++)
        if (g->input[i].n_step)
            add_property(arena, &model, arena_printf(arena, "netc.preprocess.%s", g->input[i].node->name),
                         graph_preprocess_json(arena, &g->input[i]));
    for (size_t i = 0; i < g->n_output; i++)
        if (g->output[i].labels)
            add_property(arena, &model, arena_printf(arena, "netc.labels.%s", g->output[i].name),
                         graph_labels_json(arena, &g->output[i]));
    return pack(arena, &model.base);
}

/* ---- initializers ---- */

static int64_t elements_of(const struct initializer *i)
{
    int64_t n = 1;
    for (int d = 0; d < i->axes.n; d++)
        n *= i->axes.size[d];
    return n;
}

static size_t raw_bytes(const struct initializer *i)
{
    return (size_t)elements_of(i) * (i->type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64 ? 8 : 4);
}

static struct packed pack_tensor(struct arena *arena, const struct initializer *i)
{
    Onnx__TensorProto tensor = ONNX__TENSOR_PROTO__INIT;
    tensor.name = text(arena, i->name);
    tensor.has_data_type = true;
    tensor.data_type = i->type;
    tensor.n_dims = (size_t)i->axes.n;
    tensor.dims = NEW_ARRAY(arena, int64_t, i->axes.n);
    memcpy(tensor.dims, i->axes.size, tensor.n_dims * sizeof *tensor.dims);
    return pack(arena, &tensor.base);
}

/* ---- the whole ---- */

static struct onnx_model *assemble(struct exporter *x, Onnx__GraphProto *graph)
{
    struct onnx_model *m = NEW(x->arena, struct onnx_model);
    m->head = pack_head(x->arena, x->graph);
    m->graph = pack(x->arena, &graph->base);
    m->initializer = x->initializer;
    m->n_initializer = x->n_initializer;
    m->graph_bytes = m->graph.length;
    struct packed *tensor = NEW_ARRAY(x->arena, struct packed, m->n_initializer);
    for (size_t i = 0; i < m->n_initializer; i++) {
        tensor[i] = pack_tensor(x->arena, &m->initializer[i]);
        m->graph_bytes += field_bytes(tensor[i].length + field_bytes(raw_bytes(&m->initializer[i])));
    }
    m->tensor = tensor;
    if (m->head.length + field_bytes(m->graph_bytes) > INT32_MAX)
        too_large(x);
    return x->failed ? NULL : m;
}

struct onnx_model *onnx_model(struct arena *arena, struct diags *diags, const struct graph *g, int64_t batch)
{
    struct exporter x = {.arena = arena, .diags = diags, .graph = g, .batch = batch};
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    x.value = NEW_ARRAY(arena, struct value, g->n_node);
    mark_values(&x);
    const char **output = claim_ports(&x);
    for (size_t i = 0; i < g->n_node && !x.failed; i++)
        if (x.value[i].live && g->node[i]->op != OP_constant)
            export_node(&x, g->node[i]);
    if (x.failed)
        return NULL;
    set_outputs(&x, &graph, output);
    set_values(&x, &graph, output);
    graph.name = text(arena, g->name);
    graph.node = x.node;
    graph.n_node = x.n_node;
    return x.failed ? NULL : assemble(&x, &graph);
}

/* ---- writing ---- */

static bool put(FILE *file, const void *bytes, size_t n)
{
    return fwrite(bytes, 1, n, file) == n;
}

static bool put_length(FILE *file, uint8_t tag, size_t length)
{
    uint8_t bytes[1 + MOST_VARINT] = {tag};
    return put(file, bytes, 1 + varint(length, bytes + 1));
}

/* Doubles as floats, a piece at a time; without `real`, `fill` everywhere. */
static bool put_floats(FILE *file, const double *real, double fill, int64_t n)
{
    float piece[CHUNK];
    bool good = true;
    for (int64_t done = 0; good && done < n; done += CHUNK) {
        int64_t count = n - done < CHUNK ? n - done : CHUNK;
        for (int64_t i = 0; i < count; i++)
            piece[i] = (float)(real ? real[done + i] : fill);
        good = put(file, piece, (size_t)count * sizeof *piece);
    }
    return good;
}

static bool put_values(FILE *file, const struct initializer *i, struct arena *scratch, struct weights *w)
{
    int64_t n = elements_of(i);
    if (i->whole)
        return put(file, i->whole, raw_bytes(i));
    if (i->position)
        return put(file, i->position, raw_bytes(i));
    if (!i->param)
        return put_floats(file, i->real, i->fill, n);
    double *value = NEW_ARRAY(scratch, double, n);
    weights_get(w, i->param->name, i->param->shape, value);
    bool good = put_floats(file, value, 0, n);
    arena_reset(scratch);
    return good;
}

bool onnx_write(const struct onnx_model *m, struct arena *scratch, struct weights *w, FILE *file)
{
    bool good = put(file, m->head.bytes, m->head.length) && put_length(file, TAG_MODEL_GRAPH, m->graph_bytes) &&
                put(file, m->graph.bytes, m->graph.length);
    for (size_t i = 0; good && i < m->n_initializer; i++) {
        const struct packed *tensor = &m->tensor[i];
        size_t raw = raw_bytes(&m->initializer[i]);
        good = put_length(file, TAG_GRAPH_INITIALIZER, tensor->length + field_bytes(raw)) &&
               put(file, tensor->bytes, tensor->length) && put_length(file, TAG_TENSOR_RAW, raw) &&
               put_values(file, &m->initializer[i], scratch, w);
    }
    return good;
}
