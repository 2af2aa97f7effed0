/* Reading one node of a graph's text form: the value left of '=', the operator with its operands and attributes, and
 * what the passes add behind it. Inputs of the graph have the same left side and the same end.
 */
#include "graph/graph_read.h"

#include <string.h>

/* ---- left of '=' ---- */

bool graph_read_value(struct reader *r, struct value *value)
{
    scan_look(r);
    size_t first = r->at;
    if (!scan_expect(r, '%', "before the name of a value") || !(value->name = scan_name(r, "a value", false))) {
        return false;
    }
    if (graph_find_node(r->graph, value->name)) {
        scan_fail(r, graph_text_name, first, "%%%s is there twice", value->name);
        return false;
    }
    if (!scan_type(r, &value->type) || !scan_layout(r, &value->type.layout)) {
        return false;
    }
    if (scan_accept_word(r, "own")) {
        int c = scan_look(r);
        value->owns = true;
        if (c >= '0' && c <= '9' && !scan_int(r, 1, INT64_MAX / 4, &value->bytes)) {
            return false;
        }
    } else if (scan_accept_word(r, "in")) {
        scan_look(r);
        first = r->at;
        if (!scan_expect(r, '%', "before the owner of the storage") ||
            !(value->owner = scan_name(r, "a value", false))) {
            return false;
        }
        value->owner_span = scan_span(r, first);
    }
    return !scan_accept_word(r, "lead") || scan_int(r, 0, INT32_MAX, &value->lead);
}

struct node *graph_read_operand(struct reader *r)
{
    size_t first = r->at;
    const char *name = scan_expect(r, '%', "before an operand") ? scan_name(r, "a value", false) : NULL;
    struct node *node = name ? graph_find_node(r->graph, name) : NULL;
    if (name && !node) {
        scan_fail(r, graph_text_name, first, "%%%s is not defined before it is used", name);
    }
    return node;
}

static struct param *find_param(struct reader *r, size_t first, const char *name)
{
    struct param *param = graph_find_param(r->graph, name);
    if (!param) {
        scan_fail(r, graph_text_name, first, "there is no parameter @%s above", name);
    }
    return param;
}

/* ---- operators ---- */

/* "@conv1.weight" or "@bn1.*" */
static bool read_param_operand(struct reader *r, struct operands *operands)
{
    size_t first = r->at++;
    bool quoted = scan_byte(r, r->at) == '"';
    const char *name = scan_name(r, "a parameter", true);
    if (!name) {
        return false;
    }
    if (!quoted && scan_byte(r, r->at) == '*' && !operands->n_param) {
        r->at++;
        operands->star = name;
        operands->star_first = first;
        return true;
    }
    if ((operands->n_param == MAX_PARAMS && !operands->any) || operands->star) {
        scan_fail(r, graph_text_syntax, first, "a node has no more than %d parameters", MAX_PARAMS);
        return false;
    }
    struct param *param = find_param(r, first, name);
    PUSH(r->arena, operands->param, operands->n_param, operands->cap_param, param);
    return param;
}

bool graph_read_operands(struct reader *r, struct operands *operands)
{
    int c = scan_look(r);
    if (c != '%' && c != '@') {
        return true;
    }
    do {
        c = scan_look(r);
        if (c == '@') {
            if (!read_param_operand(r, operands)) {
                return false;
            }
        } else {
            struct node *node = graph_read_operand(r);
            if (!node) {
                return false;
            }
            PUSH(r->arena, operands->in, operands->n_in, operands->cap_in, node);
        }
    } while (scan_accept(r, ','));
    return !r->failed;
}

static bool read_attr_value(struct reader *r, const struct attr_info *attr, struct attrs *attrs)
{
    void *field = (char *)attrs + attr->offset;
    switch (attr->kind) {
    case ATTR_PAIR: return scan_pair(r, true, field);
    case ATTR_INT: return scan_int(r, INT64_MIN / 2, INT64_MAX / 2, field);
    case ATTR_REAL: return scan_real(r, field);
    case ATTR_BOOL: return *(bool *)field = true;
    case ATTR_SHAPE: break;
    }
    return scan_look(r) == '[' ? scan_dims(r, field) : scan_expect(r, '[', "before the axes");
}

/* What is not written has its default; 0 where there is none and the attribute must be written. */
static bool has_default(enum op op, const struct attr_info *attr)
{
    return attr->kind == ATTR_BOOL || (attr->kind == ATTR_PAIR && strcmp(attr->name, "kernel") != 0) ||
           !strcmp(attr->name, "groups") || (attr->kind == ATTR_SHAPE && op != OP_permute);
}

static void set_defaults(enum op op, struct attrs *attrs)
{
    const struct attr_info *attr;
    for (int i = 0; (attr = op_attr(op, i)); i++) {
        int64_t *field = (int64_t *)((char *)attrs + attr->offset);
        if (attr->kind == ATTR_PAIR && field != attrs->pad) {
            field[0] = field[1] = 1;
        } else if (field == &attrs->groups) {
            *field = 1;
        }
    }
}

static bool read_attr(struct reader *r, enum op op, struct attrs *attrs, unsigned *seen)
{
    size_t first;
    const char *word = scan_word(r, "an attribute", &first), *known[16];
    const struct attr_info *attr;
    int n = 0;
    for (; word && n < (int)LENGTH(known) && (attr = op_attr(op, n)); n++) {
        known[n] = attr->word;
        if (!strcmp(word, attr->word) || !strcmp(word, attr->name)) {
            if (*seen & 1u << n) {
                scan_fail(r, graph_text_attribute, first, "%s is there twice", word);
                return false;
            }
            *seen |= 1u << n;
            return read_attr_value(r, attr, attrs);
        }
    }
    if (word) {
        const char *near = nearest_name(word, known, (size_t)n);
        scan_fail(r, graph_text_attribute, first,
                  near ? "%s has no attribute '%s', is '%s' meant?" : "%s has no attribute '%s'", op_info(op)->name,
                  word, near);
    }
    return false;
}

static bool at_schedule(struct reader *r)
{
    size_t here = r->at;
    bool found = false;
    if (scan_accept(r, '{')) {
        for (int i = 1; i < ALGORITHM_COUNT && !found; i++) {
            found = scan_at_word(r, algorithm_name[i]);
        }
    }
    r->at = here;
    return found;
}

static bool read_attrs(struct reader *r, enum op op, struct attrs *attrs)
{
    unsigned seen = 0;
    const struct attr_info *attr;
    set_defaults(op, attrs);
    scan_look(r);
    size_t first = r->at;
    if (scan_look(r) == '{' && !at_schedule(r)) {
        r->at++;
        while (scan_look(r) != '}') {
            if (!read_attr(r, op, attrs, &seen)) {
                return false;
            }
        }
        r->at++;
    }
    for (int i = 0; (attr = op_attr(op, i)); i++) {
        if (!(seen & 1u << i) && !has_default(op, attr)) {
            scan_fail(r, graph_text_attribute, first, "%s needs the attribute '%s'", op_info(op)->name, attr->word);
            return false;
        }
    }
    return true;
}

static bool read_op(struct reader *r, enum op *op)
{
    size_t first;
    const char *word = scan_word(r, "an operator", &first), *known[OP_COUNT];
    if (!word) {
        return false;
    }
    if (!op_by_name(word, op) || *op == OP_input) {
        for (int i = 0; i < OP_COUNT; i++) {
            known[i] = op_info((enum op)i)->name;
        }
        scan_fail_unknown(r, first, "operator", word, known, OP_COUNT);
        return false;
    }
    return true;
}

/* ---- behind the operator ---- */

static bool read_epilogues(struct reader *r, struct node *node)
{
    size_t count = 0, capacity = 0;
    while (scan_accept(r, '|')) {
        struct epilogue epilogue = {0};
        if (!read_op(r, &epilogue.op)) {
            return false;
        }
        if (op_info(epilogue.op)->max_in == 2 && scan_look(r) == '%' && !(epilogue.operand = graph_read_operand(r))) {
            return false;
        }
        PUSH(r->arena, node->epilogue, count, capacity, epilogue);
    }
    node->n_epilogue = (int)count;
    return true;
}

bool graph_read_schedule(struct reader *r, struct node *node)
{
    if (scan_look(r) != '{') {
        return true;
    }
    if (!at_schedule(r)) {
        scan_fail(r, graph_text_syntax, r->at, "an algorithm or an attribute of %s is expected in the braces",
                  op_info(node->op)->name);
        return false;
    }
    scan_accept(r, '{');
    for (int i = 1; i < ALGORITHM_COUNT && !node->algorithm; i++) {
        node->algorithm = scan_accept_word(r, algorithm_name[i]) ? (enum algorithm)i : ALGORITHM_NONE;
    }
    struct schedule *s = &node->schedule;
    int c = scan_look(r);
    if (c >= '0' && c <= '9' &&
        !(scan_small(r, 0, INT32_MAX, &s->rows) && scan_expect(r, 'x', "in a tile") &&
          scan_small(r, 0, INT32_MAX, &s->cols) && scan_expect(r, 'x', "in a tile") &&
          scan_small(r, 0, INT32_MAX, &s->channels))) {
        return false;
    }
    const struct {
        const char *word;
        int *number;
    } more[] = {{"band", &s->band},         {"chunk", &s->chunk},   {"depth", &s->depth},
                {"prefetch", &s->prefetch}, {"stream", &s->stream}, {"ahead", &s->ahead}};
    for (size_t i = 0; i < LENGTH(more); i++) {
        if (scan_accept_word(r, more[i].word) && !scan_small(r, 0, INT32_MAX, more[i].number)) {
            return false;
        }
    }
    return scan_expect(r, '}', "behind a schedule");
}

bool graph_read_rest(struct reader *r, struct node *node)
{
    if (!read_epilogues(r, node) || !graph_read_schedule(r, node)) {
        return false;
    }
    node->path = node_default_path(node->op, node->name);
    if (scan_accept_word(r, "path")) {
        scan_look(r);
        if (!(node->path = scan_name(r, "a path", true))) {
            return false;
        }
    }
    node->source = scan_source(r);
    return true;
}

/* Layout and storage of the value that the node has become. */
static bool place_value(struct reader *r, const struct value *value, struct node *node)
{
    if (!shape_equal(node->type.shape, value->type.shape)) {
        scan_fail(r, graph_types, value->first, "%%%s is written as %s, %s gives %s", value->name,
                  shape_text(r->arena, value->type.shape), op_info(node->op)->name,
                  shape_text(r->arena, node->type.shape));
        return false;
    }
    node->type = value->type;
    node->lead = value->lead;
    if (value->owns) {
        node->storage = NEW(r->arena, struct storage);
        *node->storage = (struct storage){node->id, node, value->bytes ? value->bytes : layout_bytes(node->type)};
    } else if (value->owner) {
        PUSH(r->arena, r->view, r->n_view, r->cap_view, ((struct view){node, value->owner, value->owner_span}));
    }
    return true;
}

struct node *graph_add_node(struct reader *r, const struct value *value, enum op op, const struct operands *operands,
                            struct attrs *attrs)
{
    struct origin origin = {scan_span(r, value->first), NULL};
    struct shape shape = value->type.shape;
    if (op == OP_conv || op == OP_linear || op == OP_conv1d) {
        int axis = shape.rank - (op == OP_conv ? 3 : op == OP_conv1d ? 2 : 1);
        attrs->out = axis >= 0 ? shape.dim[axis] : 1;
    } else if (op != OP_permute) {
        attrs->shape = shape;
    }
    struct node *node =
        graph_add(r->graph, r->diags, op, operands->in, (int)operands->n_in, attrs, "", value->name, origin);
    if (!node) { /* infer_type has told why */
        r->failed = true;
        r->at = r->length;
    }
    return node && place_value(r, value, node) ? node : NULL;
}

static bool set_params(struct reader *r, struct node *node, const struct operands *operands, size_t first)
{
    const char *leaf;
    bool optional;
    struct shape shape;
    int slots = 0;
    for (; node_param(node, slots, &leaf, &optional, &shape); slots++) {
        node->param[slots] = (size_t)slots < operands->n_param ? operands->param[slots] : NULL;
        if (operands->star &&
            !(node->param[slots] = find_param(r, operands->star_first, intern_printf("%s%s", operands->star, leaf)))) {
            return false;
        }
    }
    if (operands->n_param > (size_t)slots) {
        scan_fail(r, graph_text_syntax, first, "%s has at most %d parameters, there are %zu", op_info(node->op)->name,
                  slots, operands->n_param);
        return false;
    }
    return true;
}

/* ---- the whole ---- */

/* %name type = operator operands {attributes} | epilogues  {algorithm} */
bool graph_read_node(struct reader *r)
{
    struct value value = {.first = r->at};
    struct operands operands = {0};
    struct attrs attrs = {0};
    enum op op;
    const double *number = NULL;
    int64_t count = 0;
    if (!graph_read_value(r, &value) || !scan_expect(r, '=', "behind a value's type") || !read_op(r, &op) ||
        !graph_read_operands(r, &operands)) {
        return false;
    }
    if (op == OP_constant && !(number = scan_numbers(r, &count))) {
        return false;
    }
    if (op == OP_constant && count != shape_elements(value.type.shape)) {
        scan_fail(r, graph_types, value.first, "the constant has %lld numbers, its type needs %lld", (long long)count,
                  (long long)shape_elements(value.type.shape));
        return false;
    }
    if (!read_attrs(r, op, &attrs)) {
        return false;
    }
    struct node *node = graph_add_node(r, &value, op, &operands, &attrs);
    if (!node) {
        return false;
    }
    node->value = number;
    return set_params(r, node, &operands, value.first) && graph_read_rest(r, node);
}
