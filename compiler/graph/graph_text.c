/* Printing a graph in its text form; grammar/GRAPH_IR.md is the reference, graph_read.c the reader.
 *
 *   graph small from "small.net"
 *
 *   param @conv1.weight f32[16,3,3,3]
 *
 *   input %pixels f32[3,32,32] from resize exact 32x32 bilinear | normalize mean [0.5] std [0.25] range 1
 *   %conv1 f32[16,30,30] = conv %pixels, @conv1.weight {k 3x3} | relu  {direct 1x14x16 band 4}  ; small.net:9
 *   output logits = %conv1
 *
 * Everything that stands in a graph is printed, so that reading it gives an equal graph. Not printed, because they
 * follow from the rest: ids, the path of a node whose name tells it, attributes with their default value.
 */
#include "graph/graph.h"

#include <ctype.h>
#include <string.h>

const char *const picture_op_name[PICTURE_OPS] = {
    [PICTURE_RESIZE] = "resize", [PICTURE_CENTER_CROP] = "center_crop",     [PICTURE_CENTER_BOX] = "center_box",
    [PICTURE_GRAY] = "gray",     [PICTURE_SWAP_RED_BLUE] = "swap_red_blue", [PICTURE_NORMALIZE] = "normalize",
};
const char *const picture_filter_name[PICTURE_FILTERS] = {[FILTER_BILINEAR] = "bilinear", [FILTER_BICUBIC] = "bicubic"};
const char *const algorithm_name[ALGORITHM_COUNT] = {
    "",
#define ALGORITHM(name, ...) #name,
#include "graph/algorithms.def"
#undef ALGORITHM
};

enum { WIDEST_COLUMN = 48, WIDEST_LINE = 110 };

/* ---- names, strings, numbers ---- */

const char *node_default_path(enum op op, const char *name)
{
    const char *word = op_info(op)->name, *dot = strrchr(name, '.');
    const char *leaf = dot ? dot + 1 : name;
    if (*op_info(op)->params) {
        return name;
    }
    size_t length = strlen(word);
    bool tells = dot && !strncmp(leaf, word, length) && leaf[length + strspn(leaf + length, "0123456789")] == '\0';
    return tells ? intern_n(name, (size_t)(dot - name)) : intern("");
}

static bool is_bare(const char *name)
{
    for (const char *p = name; *p; p++) {
        if (!isalnum((unsigned char)*p) && *p != '_' && *p != '.') {
            return false;
        }
    }
    return *name != '\0';
}

static void add_quoted(struct text *text, const char *string)
{
    text_put(text, "\"", 1);
    for (const char *p = string; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\') {
            text_add(text, "\\%c", c);
        } else if (c == '\n') {
            text_put(text, "\\n", 2);
        } else if (c < 0x20 || c == 0x7f) {
            text_add(text, "\\x%02x", c);
        } else {
            text_put(text, p, 1);
        }
    }
    text_put(text, "\"", 1);
}

static void add_name(struct text *text, const char *sigil, const char *name)
{
    text_add(text, "%s", sigil);
    if (is_bare(name)) {
        text_add(text, "%s", name);
    } else {
        add_quoted(text, name);
    }
}

static void add_number(struct text *text, double number)
{
    text_add(text, "%.*g", number_digits(number), number);
}

static void add_numbers(struct text *text, const double *number, int64_t n)
{
    text_put(text, "[", 1);
    for (int64_t i = 0; i < n; i++) {
        text_add(text, "%s", i ? ", " : "");
        add_number(text, number[i]);
    }
    text_put(text, "]", 1);
}

static void pad_to(struct text *text, size_t start, size_t width)
{
    while (text->length - start < width) {
        text_put(text, " ", 1);
    }
}

/* ---- parameters ---- */

static void print_recipe(struct text *text, const struct param *param)
{
    const struct recipe_info *recipe = recipe_info(param->op);
    text_add(text, " = %s", recipe->name);
    for (int i = 0; i < param->n_from; i++) {
        add_name(text, i ? ", @" : " @", param->from[i]->name);
    }
    if (param->op == PARAM_CONSTANT) {
        text_put(text, " ", 1);
        add_numbers(text, param->value, param->value ? shape_elements(param->shape) : 0);
    }
    if (recipe->has_eps) {
        text_add(text, " {eps ");
        add_number(text, param->eps);
        text_add(text, "}");
    }
    if (recipe->has_axis) {
        text_add(text, " {axis %d}", param->axis);
    }
}

static void print_params(struct text *text, const struct graph *graph)
{
    size_t width = 0;
    for (size_t i = 0; i < graph->n_param; i++) {
        size_t length = strlen(graph->param[i]->name);
        width = length > width && length <= WIDEST_COLUMN ? length : width;
    }
    text_add(text, "%s", graph->n_param ? "\n" : "");
    for (size_t i = 0; i < graph->n_param; i++) {
        const struct param *param = graph->param[i];
        size_t start = text->length;
        add_name(text, "param @", param->name);
        pad_to(text, start, strlen("param @") + width);
        text_add(text, " %s", type_text(text->arena, (struct type){.shape = param->shape}));
        if (param->op != PARAM_LOADED) {
            print_recipe(text, param);
        }
        text_add(text, "\n");
    }
}

/* ---- nodes ---- */

static void print_attr(struct text *text, const struct node *node, const struct attr_info *attr, const char **before)
{
    const void *field = (const char *)&node->attrs + attr->offset;
    const int64_t *pair = field, *number = field;
    bool is_kernel = attr->offset == offsetof(struct attrs, kernel);
    int64_t usual = attr->offset == offsetof(struct attrs, pad) ? 0 : 1;
    if (attr->kind == ATTR_PAIR && !is_kernel && pair[0] == usual && pair[1] == usual) {
        return;
    }
    if (attr->offset == offsetof(struct attrs, groups) && *number == 1) {
        return;
    }
    if ((attr->kind == ATTR_BOOL && !*(const bool *)field) || (attr->kind == ATTR_SHAPE && node->op != OP_permute)) {
        return;
    }
    text_add(text, "%s%s", *before, attr->word);
    *before = " ";
    if (attr->kind == ATTR_PAIR && (is_kernel || pair[0] != pair[1])) {
        text_add(text, " %lldx%lld", (long long)pair[0], (long long)pair[1]);
    } else if (attr->kind == ATTR_PAIR || attr->kind == ATTR_INT) {
        text_add(text, " %lld", (long long)*number);
    } else if (attr->kind == ATTR_REAL) {
        text_add(text, " ");
        add_number(text, *(const double *)field);
    } else if (attr->kind == ATTR_SHAPE) {
        text_add(text, " %s", type_text(text->arena, (struct type){.shape = node->attrs.shape}) + strlen("f32"));
    }
}

void node_attrs_print(struct text *text, const struct node *node)
{
    const char *before = " {";
    size_t start = text->length;
    for (int i = 0; op_attr(node->op, i); i++) {
        print_attr(text, node, op_attr(node->op, i), &before);
    }
    text_add(text, "%s", text->length > start ? "}" : "");
}

/* The prefix of "bn1.*" if a node of three or more parameters calls all by its leaf names behind one prefix; else
 * NULL. */
static const char *star_prefix(const struct node *node)
{
    const char *leaf, *prefix = NULL;
    bool optional;
    struct shape shape;
    int slot = 0;
    for (; node->n_in && node_param(node, slot, &leaf, &optional, &shape); slot++) {
        const char *name = node->param[slot] ? node->param[slot]->name : "";
        size_t length = strlen(name), tail = strlen(leaf);
        if (length < tail || strcmp(name + length - tail, leaf) != 0) {
            return NULL;
        }
        const char *head = intern_n(name, length - tail);
        if ((prefix && head != prefix) || (*head && (!is_bare(head) || head[strlen(head) - 1] != '.'))) {
            return NULL;
        }
        prefix = head;
    }
    return slot >= 3 ? prefix : NULL;
}

static void print_operands(struct text *text, const struct node *node)
{
    const char *before = " ";
    for (int i = 0; i < node->n_in; i++, before = ", ") {
        text_add(text, "%s", before);
        add_name(text, "%", node->in[i]->name);
    }
    const char *star = star_prefix(node);
    if (star) {
        text_add(text, "%s@%s*", before, star);
        return;
    }
    for (int i = 0; i < MAX_PARAMS; i++) {
        if (node->param[i]) {
            text_add(text, "%s", before);
            add_name(text, "@", node->param[i]->name);
            before = ", ";
        }
    }
}

void node_schedule_print(struct text *text, const struct node *node)
{
    const struct schedule *s = &node->schedule;
    if (node->algorithm == ALGORITHM_NONE) {
        return;
    }
    text_add(text, "  {%s", algorithm_name[node->algorithm]);
    if (s->rows || s->cols || s->channels) {
        text_add(text, " %dx%dx%d", s->rows, s->cols, s->channels);
    }
    const struct {
        const char *word;
        int number;
    } more[] = {{"band", s->band},         {"chunk", s->chunk},   {"depth", s->depth},
                {"prefetch", s->prefetch}, {"stream", s->stream}, {"ahead", s->ahead}};
    for (size_t i = 0; i < LENGTH(more); i++) {
        if (more[i].number) {
            text_add(text, " %s %d", more[i].word, more[i].number);
        }
    }
    text_add(text, "}");
}

/* Type with layout, and place. */
static void print_type(struct text *text, const struct node *node)
{
    text_add(text, " %s", type_text(text->arena, node->type));
    if (node->storage && node->storage->owner == node) {
        text_add(text, " own");
        if (node->storage->bytes != layout_bytes(node->type)) {
            text_add(text, " %lld", (long long)node->storage->bytes);
        }
    } else if (node->storage) {
        add_name(text, " in %", node->storage->owner->name);
    }
    if (node->lead) {
        text_add(text, " lead %lld", (long long)node->lead);
    }
}

void picture_steps_print(struct text *text, const struct graph_input *input)
{
    for (int i = 0; i < input->n_step; i++) {
        const struct picture_step *step = &input->step[i];
        text_add(text, "%s%s", i ? " | " : " ", picture_op_name[step->op]);
        if (step->op == PICTURE_RESIZE && step->shorter > 0) {
            text_add(text, " shorter %lld %s", (long long)step->shorter, picture_filter_name[step->filter]);
        } else if (step->op == PICTURE_RESIZE) {
            text_add(text, " exact %lldx%lld %s", (long long)step->size[0], (long long)step->size[1],
                     picture_filter_name[step->filter]);
        } else if (step->op == PICTURE_CENTER_CROP) {
            text_add(text, " %lldx%lld %s", (long long)step->size[0], (long long)step->size[1],
                     step->offset_ceil ? "ceil" : "round");
        } else if (step->op == PICTURE_CENTER_BOX) {
            text_add(text, " ");
            add_number(text, step->share);
        } else if (step->op == PICTURE_NORMALIZE) {
            text_add(text, " mean ");
            add_numbers(text, step->mean, step->channels);
            text_add(text, " std ");
            add_numbers(text, step->std, step->channels);
            text_add(text, " range ");
            add_number(text, step->range);
        }
    }
}

/* Behind the operator or the input: epilogues, algorithm, path. */
static void print_rest(struct text *text, const struct node *node)
{
    for (int i = 0; i < node->n_epilogue; i++) {
        text_add(text, " | %s", op_info(node->epilogue[i].op)->name);
        if (node->epilogue[i].operand) {
            add_name(text, " %", node->epilogue[i].operand->name);
        }
    }
    node_schedule_print(text, node);
    if (strcmp(node->path, node_default_path(node->op, node->name)) != 0) {
        add_name(text, "  path ", node->path);
    }
}

static const struct graph_input *input_of(const struct graph *graph, const struct node *node)
{
    for (size_t i = 0; i < graph->n_input; i++) {
        if (graph->input[i].node == node) {
            return &graph->input[i];
        }
    }
    return NULL;
}

/* How wide the names and the types of the nodes are, but for the very wide ones, which stick out. */
struct columns {
    size_t name, type;
};

static void print_node(struct text *text, const struct graph *graph, const struct node *node, struct columns columns)
{
    size_t start = text->length;
    add_name(text, node->op == OP_input ? "input %" : "%", node->name);
    if (node->op != OP_input) {
        pad_to(text, start, columns.name);
    }
    start = text->length;
    print_type(text, node);
    if (node->op == OP_input) {
        const struct graph_input *input = input_of(graph, node);
        if (input) {
            text_add(text, input->n_step ? " from" : "");
            picture_steps_print(text, input);
        }
    } else {
        pad_to(text, start, columns.type);
        text_add(text, " = %s", op_info(node->op)->name);
        print_operands(text, node);
        if (node->op == OP_constant) {
            text_add(text, " ");
            add_numbers(text, node->value, node->value ? shape_elements(node->type.shape) : 0);
        }
        node_attrs_print(text, node);
    }
    print_rest(text, node);
    const char *source = node_source(text->arena, node);
    if (*source) {
        text_add(text, "  ; ");
        for (const char *p = source; *p; p++) {
            text_add(text, "%c", (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p);
        }
    }
    text_add(text, "\n");
}

static size_t widest(size_t so_far, const struct text *text, size_t start)
{
    size_t width = text->length - start;
    return width > so_far && width <= WIDEST_COLUMN ? width : so_far;
}

static struct columns measure_nodes(struct arena *arena, const struct graph *graph)
{
    struct columns columns = {0};
    struct text text = {.arena = arena};
    for (size_t i = 0; i < graph->n_node; i++) {
        if (graph->node[i]->op != OP_input) {
            text.length = 0;
            add_name(&text, "%", graph->node[i]->name);
            columns.name = widest(columns.name, &text, 0);
            size_t start = text.length;
            print_type(&text, graph->node[i]);
            columns.type = widest(columns.type, &text, start);
        }
    }
    return columns;
}

static void print_nodes(struct text *text, const struct graph *graph)
{
    struct columns columns = measure_nodes(text->arena, graph);
    text_add(text, "%s", graph->n_node ? "\n" : "");
    for (size_t i = 0; i < graph->n_node; i++) {
        print_node(text, graph, graph->node[i], columns);
    }
}

/* ---- outputs ---- */

static void print_labels(struct text *text, const struct graph_output *output)
{
    size_t start = text->length;
    text_add(text, " [");
    for (int64_t i = 0; i < output->n_labels; i++) {
        struct text label = {.arena = text->arena};
        add_quoted(&label, output->labels[i]);
        bool wraps = i == 0 || text->length - start + label.length > WIDEST_LINE;
        text_add(text, wraps ? "%s\n    " : "%s ", i ? "," : "");
        start = wraps ? text->length : start;
        text_put(text, text_string(&label), label.length);
    }
    text_add(text, "]");
}

void graph_print(struct text *text, const struct graph *graph)
{
    add_name(text, "graph ", graph->name);
    if (*graph->file) {
        text_add(text, " from ");
        add_quoted(text, graph->file);
    }
    if (graph->batch != 1) {
        text_add(text, " batch %d", graph->batch);
    }
    text_add(text, "\n");
    print_params(text, graph);
    print_nodes(text, graph);
    for (size_t i = 0; i < graph->n_output; i++) {
        const struct graph_output *output = &graph->output[i];
        add_name(text, i ? "output " : "\noutput ", output->name);
        add_name(text, " = %", output->node->name);
        if (output->labels_file || output->labels) {
            text_add(text, " labels");
        }
        if (output->labels_file) {
            text_add(text, " ");
            add_quoted(text, output->labels_file);
        }
        if (output->labels) {
            print_labels(text, output);
        }
        text_add(text, "\n");
    }
}
