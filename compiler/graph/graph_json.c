/* The graph as one JSON object, for other programs; grammar/GRAPH_JSON.md is the reference of the schema.
 *
 * What would surprise: jansson allocates by itself, so the tree is given back here and the text goes through a
 * callback into the arena; and all numbers of a text are printed with as many digits as the one that needs most, so
 * that 1e-05 stays short and every number is read back exactly.
 */
#include "graph/graph.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

struct json {
    struct arena *arena;
    int digits; /* of the number that needs most */
};

/* ---- values ---- */

/* Length of the well-formed UTF-8 character at p; 0: none. jansson refuses strings that are no UTF-8, and labels come
 * from files. */
static size_t utf8_length(const unsigned char *p)
{
    size_t n = p[0] < 0x80                   ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
               : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool outside = (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf4 && p[1] >= 0x90);
    return overlong || outside ? 0 : n;
}

static json_t *string(struct json *json, const char *bytes)
{
    struct text text = {.arena = json->arena};
    for (const char *p = bytes; *p;) {
        size_t n = utf8_length((const unsigned char *)p);
        text_put(&text, n ? p : "\xef\xbf\xbd", n ? n : 3);
        p += n ? n : 1;
    }
    return json_string(text_string(&text));
}

static json_t *real(struct json *json, double number)
{
    if (!isfinite(number)) {
        return json_null();
    }
    int digits = number_digits(number);
    json->digits = digits > json->digits ? digits : json->digits;
    return json_real(number);
}

static json_t *reals(struct json *json, const double *number, int64_t n)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) {
        json_array_append_new(list, real(json, number[i]));
    }
    return list;
}

static json_t *integers(const int64_t *number, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        json_array_append_new(list, json_integer(number[i]));
    }
    return list;
}

static json_t *shape(struct shape shape)
{
    return integers(shape.dim, shape.rank);
}

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

/* ---- inputs, parameters ---- */

static json_t *step(struct json *json, const struct picture_step *step)
{
    json_t *object = json_object();
    set(object, "op", string(json, picture_op_name[step->op]));
    if (step->op == PICTURE_RESIZE) {
        if (step->shorter > 0) {
            set(object, "shorter", json_integer(step->shorter));
        } else {
            set(object, "exact", integers(step->size, 2));
        }
        set(object, "filter", string(json, picture_filter_name[step->filter]));
    } else if (step->op == PICTURE_CENTER_CROP) {
        set(object, "size", integers(step->size, 2));
        set(object, "offset", string(json, step->offset_ceil ? "ceil" : "round"));
    } else if (step->op == PICTURE_CENTER_BOX) {
        set(object, "share", real(json, step->share));
    } else if (step->op == PICTURE_NORMALIZE) {
        set(object, "mean", reals(json, step->mean, step->channels));
        set(object, "std", reals(json, step->std, step->channels));
        set(object, "range", real(json, step->range));
    }
    return object;
}

static json_t *preprocess(struct json *json, const struct graph_input *input)
{
    json_t *steps = json_array();
    for (int k = 0; k < input->n_step; k++) {
        json_array_append_new(steps, step(json, &input->step[k]));
    }
    return steps;
}

static json_t *inputs(struct json *json, const struct graph *graph)
{
    json_t *list = json_array();
    for (size_t i = 0; i < graph->n_input; i++) {
        const struct graph_input *input = &graph->input[i];
        json_t *object = json_object();
        set(object, "name", string(json, input->node->name));
        set(object, "shape", shape(input->node->type.shape));
        set(object, "preprocess", preprocess(json, input));
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *parameters(struct json *json, const struct graph *graph)
{
    json_t *list = json_array();
    for (size_t i = 0; i < graph->n_param; i++) {
        json_t *object = json_object();
        set(object, "name", string(json, graph->param[i]->name));
        set(object, "shape", shape(graph->param[i]->shape));
        json_array_append_new(list, object);
    }
    return list;
}

/* ---- nodes ---- */

static json_t *attribute(struct json *json, const struct node *node, const struct attr_info *attr)
{
    const void *field = (const char *)&node->attrs + attr->offset;
    switch (attr->kind) {
    case ATTR_PAIR: return integers(field, 2);
    case ATTR_INT: return json_integer(*(const int64_t *)field);
    case ATTR_REAL: return real(json, *(const double *)field);
    case ATTR_BOOL: return json_boolean(*(const bool *)field);
    case ATTR_SHAPE: break;
    }
    return shape(*(const struct shape *)field);
}

static json_t *attributes(struct json *json, const struct node *node)
{
    json_t *object = json_object();
    const struct attr_info *attr;
    for (int i = 0; (attr = op_attr(node->op, i)); i++) {
        if (attr->kind != ATTR_SHAPE || node->op == OP_permute) { /* a reshape's target is the node's shape */
            set(object, attr->name, attribute(json, node, attr));
        }
    }
    if (node->op == OP_constant) {
        set(object, "value", reals(json, node->value, node->value ? shape_elements(node->type.shape) : 0));
    }
    return object;
}

static json_t *node_parameters(struct json *json, const struct node *node)
{
    json_t *object = json_object();
    const char *leaf;
    bool optional;
    struct shape unused;
    for (int slot = 0; node_param(node, slot, &leaf, &optional, &unused); slot++) {
        if (node->param[slot]) {
            set(object, leaf, string(json, node->param[slot]->name));
        }
    }
    return object;
}

static json_t *node_object(struct json *json, const struct node *node)
{
    json_t *object = json_object(), *in = json_array();
    for (int k = 0; k < node->n_in; k++) {
        json_array_append_new(in, string(json, node->in[k]->name));
    }
    set(object, "name", string(json, node->name));
    set(object, "op", string(json, op_info(node->op)->name));
    set(object, "inputs", in);
    set(object, "parameters", node_parameters(json, node));
    set(object, "attributes", attributes(json, node));
    set(object, "shape", shape(node->type.shape));
    set(object, "path", string(json, node->path));
    set(object, "macs", json_integer(node_macs(node)));
    set(object, "source", string(json, node_source(json->arena, node)));
    return object;
}

static json_t *nodes(struct json *json, const struct graph *graph)
{
    json_t *list = json_array();
    for (size_t i = 0; i < graph->n_node; i++) {
        if (graph->node[i]->op != OP_input) {
            json_array_append_new(list, node_object(json, graph->node[i]));
        }
    }
    return list;
}

/* ---- outputs and the whole ---- */

static json_t *labels(struct json *json, const struct graph_output *output)
{
    json_t *list = output->labels ? json_array() : json_null();
    for (int64_t k = 0; output->labels && k < output->n_labels; k++) {
        json_array_append_new(list, string(json, output->labels[k]));
    }
    return list;
}

static json_t *outputs(struct json *json, const struct graph *graph)
{
    json_t *list = json_array();
    for (size_t i = 0; i < graph->n_output; i++) {
        const struct graph_output *output = &graph->output[i];
        json_t *object = json_object();
        set(object, "name", string(json, output->name));
        set(object, "value", string(json, output->node->name));
        set(object, "shape", shape(output->node->type.shape));
        set(object, "labels", labels(json, output));
        json_array_append_new(list, object);
    }
    return list;
}

static int add_to_text(const char *bytes, size_t n, void *text)
{
    text_put(text, bytes, n);
    return 0;
}

/* As text in the arena; gives the tree back. */
static char *dump(struct json *json, json_t *value)
{
    struct text text = {.arena = json->arena};
    int failed = json_dump_callback(value, add_to_text, &text, JSON_REAL_PRECISION(json->digits));
    json_decref(value);
    if (failed) {
        out_of_memory(text.length);
    }
    return arena_copy(json->arena, text_string(&text), text.length);
}

char *graph_preprocess_json(struct arena *arena, const struct graph_input *input)
{
    struct json json = {arena, 1};
    return dump(&json, preprocess(&json, input));
}

char *graph_labels_json(struct arena *arena, const struct graph_output *output)
{
    struct json json = {arena, 1};
    return dump(&json, labels(&json, output));
}

char *graph_json(struct arena *arena, const struct graph *graph)
{
    struct json json = {arena, 1};
    json_t *object = json_object(), *totals = json_object();
    set(object, "schema", json_integer(1));
    set(object, "netc", json_string(NETC_VERSION));
    set(object, "network", string(&json, graph->name));
    set(object, "batch", json_integer(graph->batch));
    set(object, "inputs", inputs(&json, graph));
    set(object, "parameters", parameters(&json, graph));
    set(object, "nodes", nodes(&json, graph));
    set(object, "outputs", outputs(&json, graph));
    set(totals, "parameters", json_integer(graph_params(graph)));
    set(totals, "macs", json_integer(graph_macs(graph)));
    set(object, "totals", totals);
    return dump(&json, object);
}
