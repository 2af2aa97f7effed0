/* Reading a graph's text form: recursive descent over the bytes, one function a rule; grammar/GRAPH_IR.md has the
 * grammar.
 *
 * What would surprise: line ends mean nothing, statements begin with a keyword or a '%'; and a graph that was read
 * without a fault is verified before anyone sees it, so that no text, however odd, gives a graph that breaks a pass.
 */
#include "graph/graph_read.h"

#include <string.h>

static bool read_center_crop(struct reader *r, struct picture_step *step)
{
    if (!scan_pair(r, false, step->size)) {
        return false;
    }
    step->offset_ceil = scan_accept_word(r, "ceil");
    if (!step->offset_ceil && !scan_accept_word(r, "round")) {
        scan_fail(r, graph_text_syntax, r->at, "round or ceil is expected here");
        return false;
    }
    return true;
}

static bool read_resize(struct reader *r, struct picture_step *step)
{
    size_t first;
    bool shorter = scan_accept_word(r, "shorter");
    if (!shorter && !scan_accept_word(r, "exact")) {
        scan_fail(r, graph_text_syntax, r->at, "shorter or exact is expected here");
        return false;
    }
    if (!(shorter ? scan_int(r, 1, INT32_MAX, &step->shorter) : scan_pair(r, false, step->size))) {
        return false;
    }
    const char *word = scan_word(r, "a filter", &first);
    for (int i = 0; word && i < PICTURE_FILTERS; i++) {
        if (!strcmp(word, picture_filter_name[i])) {
            step->filter = (enum picture_filter)i;
            return true;
        }
    }
    if (word) {
        scan_fail_unknown(r, first, "filter", word, picture_filter_name, PICTURE_FILTERS);
    }
    return false;
}

static bool read_channels(struct reader *r, const char *word, double list[4], int64_t *count)
{
    size_t first = r->at;
    if (!scan_accept_word(r, word)) {
        scan_fail(r, graph_text_syntax, r->at, "%s is expected here", word);
        return false;
    }
    const double *number = scan_numbers(r, count);
    if (number && (*count < 1 || *count > 4)) {
        scan_fail(r, graph_text_number, first, "a picture has 1 to 4 channels");
        return false;
    }
    for (int64_t i = 0; number && i < *count; i++) {
        list[i] = number[i];
    }
    return number != NULL;
}

static bool read_normalize(struct reader *r, struct picture_step *step)
{
    size_t first = r->at;
    int64_t means, stds;
    if (!read_channels(r, "mean", step->mean, &means) || !read_channels(r, "std", step->std, &stds)) {
        return false;
    }
    if (means != stds) {
        scan_fail(r, graph_text_number, first, "mean and std have as many numbers");
        return false;
    }
    step->channels = (int)means;
    if (!scan_accept_word(r, "range")) {
        scan_fail(r, graph_text_syntax, r->at, "range is expected here");
        return false;
    }
    return scan_real(r, &step->range);
}

static bool read_step(struct reader *r, struct picture_step *step)
{
    size_t first;
    const char *word = scan_word(r, "a picture operator", &first);
    int op = 0;
    while (word && op < PICTURE_OPS && strcmp(word, picture_op_name[op]) != 0) {
        op++;
    }
    if (!word || op == PICTURE_OPS) {
        scan_fail_unknown(r, first, "picture operator", word ? word : "", picture_op_name, PICTURE_OPS);
        return false;
    }
    step->op = (enum picture_op)op;
    bool good = op == PICTURE_RESIZE        ? read_resize(r, step)
                : op == PICTURE_CENTER_CROP ? read_center_crop(r, step)
                : op == PICTURE_CENTER_BOX  ? scan_real(r, &step->share)
                : op == PICTURE_NORMALIZE   ? read_normalize(r, step)
                                            : true;
    step->origin = (struct origin){scan_span(r, first), NULL};
    return good;
}

/* input %pixels f32[3,224,224] from resize shorter 256 bilinear | ... */
static bool read_input(struct reader *r, size_t first)
{
    struct value value = {.first = first};
    if (!graph_read_value(r, &value)) {
        return false;
    }
    struct attrs attrs = {0};
    struct node *node = graph_add_node(r, &value, OP_input, &(struct operands){0}, &attrs);
    struct graph_input input = {.node = node};
    size_t steps = 0, capacity = 0;
    if (!node) {
        return false;
    }
    if (scan_accept_word(r, "from")) {
        do {
            struct picture_step step = {0};
            if (!read_step(r, &step)) {
                return false;
            }
            PUSH(r->arena, input.step, steps, capacity, step);
        } while (scan_accept(r, '|'));
    }
    input.n_step = (int)steps;
    PUSH(r->arena, r->graph->input, r->graph->n_input, r->graph->cap_input, input);
    return graph_read_rest(r, node);
}

/* {axis 0}, of a joined parameter */
static bool read_axis(struct reader *r, struct param *param)
{
    if (!scan_expect(r, '{', "before the axis") || !scan_accept_word(r, "axis")) {
        scan_fail(r, graph_text_syntax, r->at, "axis is expected here");
        return false;
    }
    return scan_small(r, 0, MAX_RANK - 1, &param->axis) && scan_expect(r, '}', "behind the axis");
}

static bool read_recipe(struct reader *r, struct param *param)
{
    size_t first;
    const char *word = scan_word(r, "a recipe", &first), *known[PARAM_RECIPES];
    for (int i = 0; i < PARAM_RECIPES; i++) {
        known[i] = recipe_info((enum param_op)i)->name;
        param->op = word && !strcmp(word, known[i]) ? (enum param_op)i : param->op;
    }
    if (!word || param->op == PARAM_LOADED) {
        scan_fail_unknown(r, first, "recipe", word ? word : "", known + 1, PARAM_RECIPES - 1);
        return false;
    }
    struct operands from = {.any = true};
    if (scan_look(r) == '@' && !graph_read_operands(r, &from)) {
        return false;
    }
    if (from.n_in || from.star) {
        scan_fail(r, graph_text_syntax, first, "a recipe takes parameters, each by its name");
        return false;
    }
    param->from = from.param;
    param->n_from = (int)from.n_param;
    int64_t count = 0;
    if (param->op == PARAM_CONSTANT &&
        (!(param->value = scan_numbers(r, &count)) || count != shape_elements(param->shape))) {
        scan_fail(r, graph_types, first, "the constant has %lld numbers, its type needs %lld", (long long)count,
                  (long long)shape_elements(param->shape));
        return false;
    }
    if (recipe_info(param->op)->has_eps) {
        if (!scan_expect(r, '{', "before eps") || !scan_accept_word(r, "eps")) {
            scan_fail(r, graph_text_syntax, r->at, "eps is expected here");
            return false;
        }
        return scan_real(r, &param->eps) && scan_expect(r, '}', "behind eps");
    }
    return !recipe_info(param->op)->has_axis || read_axis(r, param);
}

/* param @name type [= recipe @source, ... {eps 1e-05}] */
static bool read_param(struct reader *r, size_t first)
{
    struct type type;
    scan_look(r);
    const char *name =
        scan_expect(r, '@', "before the name of a parameter") ? scan_name(r, "a parameter", false) : NULL;
    if (!name) {
        return false;
    }
    if (graph_find_param(r->graph, name)) {
        scan_fail(r, graph_text_name, first, "@%s is there twice", name);
        return false;
    }
    if (!scan_type(r, &type)) {
        return false;
    }
    struct param read = {.shape = type.shape};
    if (scan_accept(r, '=') && !read_recipe(r, &read)) {
        return false;
    }
    scan_source(r);
    struct param *param = graph_derived(r->graph, name, type.shape, read.op, read.from, read.n_from, read.eps);
    param->value = read.value;
    param->axis = read.axis;
    param->origin = (struct origin){scan_span(r, first), NULL};
    return true;
}

static bool read_labels(struct reader *r, struct graph_output *output)
{
    const char **label = NEW(r->arena, const char *);
    size_t n = 0, capacity = 0;
    if (scan_look(r) == '"' && !(output->labels_file = scan_string(r))) {
        return false;
    }
    if (!scan_accept(r, '[')) {
        return true;
    }
    while (scan_look(r) != ']') {
        const char *string = NULL;
        if ((n && !scan_expect(r, ',', "between two labels")) || (scan_look(r), !(string = scan_string(r)))) {
            return false;
        }
        PUSH(r->arena, label, n, capacity, string);
    }
    r->at++;
    output->labels = label;
    output->n_labels = (int64_t)n;
    return true;
}

/* output name = %value [labels "file" ["one", ...]] */
static bool read_output(struct reader *r)
{
    struct graph_output output = {0};
    scan_look(r);
    output.name = scan_name(r, "an output", false);
    if (!output.name || !scan_expect(r, '=', "behind the output's name")) {
        return false;
    }
    scan_look(r);
    output.node = graph_read_operand(r);
    if (!output.node || (scan_accept_word(r, "labels") && !read_labels(r, &output))) {
        return false;
    }
    scan_source(r);
    PUSH(r->arena, r->graph->output, r->graph->n_output, r->graph->cap_output, output);
    return true;
}

/* graph name [from "file"] [batch n] */
static bool read_head(struct reader *r)
{
    if (!scan_accept_word(r, "graph")) {
        scan_fail(r, graph_text_syntax, r->at, "'graph NAME' is expected first");
        return false;
    }
    scan_look(r);
    const char *file = "", *name = scan_name(r, "the graph", false);
    int batch = 1;
    if (!name) {
        return false;
    }
    if (scan_accept_word(r, "from") && (scan_look(r), !(file = scan_string(r)))) {
        return false;
    }
    if (scan_accept_word(r, "batch") && !scan_small(r, 1, 1 << 20, &batch)) {
        return false;
    }
    scan_source(r);
    r->graph = graph_new(r->arena, name, file);
    r->graph->batch = batch;
    return true;
}

static bool read_statement(struct reader *r)
{
    scan_look(r);
    size_t first = r->at;
    if (scan_look(r) == '%') {
        return graph_read_node(r);
    }
    if (scan_accept_word(r, "param")) {
        return read_param(r, first);
    }
    if (scan_accept_word(r, "input")) {
        return read_input(r, first);
    }
    if (scan_accept_word(r, "output")) {
        return read_output(r);
    }
    scan_fail(r, graph_text_syntax, r->at, "param, input, output or a value is expected here");
    return false;
}

/* Views find their owners, which may stand further down. */
static bool place_views(struct reader *r)
{
    for (size_t i = 0; i < r->n_view; i++) {
        const struct view *view = &r->view[i];
        struct node *owner = graph_find_node(r->graph, view->owner);
        if (!owner || !owner->storage || owner->storage->owner != owner) {
            diag_error_at(r->diags, CHECK_graph_text_name, view->span, "%%%s has no storage of its own", view->owner);
            return false;
        }
        view->node->storage = owner->storage;
    }
    return true;
}

struct graph *graph_read(struct arena *module, struct diags *diags, int file)
{
    const struct source *source = source_get(file);
    struct reader r = {.arena = module, .diags = diags, .file = file, .bytes = source->bytes, .length = source->length};
    if (source->length > INT32_MAX / 2) {
        diag_error_file(diags, CHECK_file_size, source->path, "the text has more than %d bytes", INT32_MAX / 2);
        return NULL;
    }
    if (!read_head(&r)) {
        return NULL;
    }
    while (scan_look(&r) >= 0) {
        if (!read_statement(&r)) {
            return NULL;
        }
    }
    return !r.failed && place_views(&r) && graph_verify(diags, r.graph) ? r.graph : NULL;
}
