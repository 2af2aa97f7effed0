/* Statements: what happens in the body of a block, a function or a net.
 *
 * What would surprise: where a fault leaves open which way the body goes (a condition, the range of a loop, an
 * assertion), the rest of the body is not looked at, since all that could be said about it would follow from the first
 * fault.
 */
#include "front/internal.h"

#include <string.h>

enum flow { FLOW_ON, FLOW_RETURN };
enum { MOST_NAMED = 4 }; /* values whose origin an assertion tells */

static enum flow run_statements(struct elaborator *, struct frame *, const struct syntax *, struct value *result);

/* ---- let, var, set ---- */

static void bind(struct elaborator *e, struct frame *frame, struct syntax *name, struct value value, bool variable)
{
    declare(e, frame, name->text, value_named(e->module, value, name->text, name->mark), name, name->mark, variable);
}

static enum flow run_let(struct elaborator *e, struct frame *frame, struct syntax *at, struct value *result)
{
    (void)result;
    struct syntax *names = at->child[0];
    struct value value = eval(e, frame, at->child[1]);
    if (names->kind == SYNTAX_name) {
        bind(e, frame, names, value, false);
        return FLOW_ON;
    }
    bool fits = value.kind == VALUE_LIST && value.list->count == names->count;
    if (!fits && value.kind != VALUE_ERROR) {
        fail(e, frame, at, CHECK_names_count, "%zu names need a list of %zu, this is %s", names->count, names->count,
             value.kind == VALUE_LIST ? intern_printf("a list of %zu", value.list->count)
                                      : value_shown(e->module, value));
        explain(e, value);
    }
    for (size_t i = 0; i < names->count; i++) {
        bind(e, frame, names->child[i], fits ? value.list->item[i] : ERROR_VALUE, false);
    }
    return FLOW_ON;
}

static enum flow run_var(struct elaborator *e, struct frame *frame, struct syntax *at, struct value *result)
{
    (void)result;
    bind(e, frame, at, eval(e, frame, at->child[0]), true);
    return FLOW_ON;
}

static enum flow run_set(struct elaborator *e, struct frame *frame, struct syntax *at, struct value *result)
{
    (void)result;
    struct value value = eval(e, frame, at->child[0]);
    struct binding *binding = find_local(e, frame, at->text);
    if (!binding) {
        fail_span(e, frame, at, at->mark, CHECK_set_variable, "there is no local `%s` to set; `let` makes one",
                  at->text);
    } else if (!binding->variable) {
        fail_span(e, frame, at, at->mark, CHECK_set_variable, "`%s` cannot be set: only what `var` made can", at->text);
        note(e, binding->span, "`%s` was made here", at->text);
    } else {
        binding->value = value_named(e->module, value, at->text, at->mark);
    }
    return FLOW_ON;
}

/* ---- return, if, for, assert ---- */

static enum flow run_return(struct elaborator *e, struct frame *frame, struct syntax *at, struct value *result)
{
    if (frame->net) {
        *result = fail(e, frame, at, CHECK_statement_place, "a net has outputs, it returns nothing");
        return FLOW_RETURN;
    }
    *result = eval(e, frame, at->child[0]);
    return FLOW_RETURN;
}

static enum flow run_when(struct elaborator *e, struct frame *frame, struct syntax *at, struct value *result)
{
    bool truth;
    if (!eval_condition(e, frame, at->child[0], &truth)) {
        *result = ERROR_VALUE;
        return FLOW_RETURN;
    }
    struct syntax *branch = at->child[truth ? 1 : 2];
    if (!branch) {
        return FLOW_ON;
    }
    if (branch->kind == SYNTAX_when) { /* else if */
        enum flow flow = enter(e, frame, branch) ? run_when(e, frame, branch, result) : FLOW_RETURN;
        leave(e);
        return flow;
    }
    scope_open(e, frame);
    enum flow flow = run_statements(e, frame, branch, result);
    scope_close(frame);
    return flow;
}

static enum flow run_for(struct elaborator *e, struct frame *frame, struct syntax *at, struct value *result)
{
    struct range range;
    *result = ERROR_VALUE;
    if (!eval_range(e, frame, at->child[0], &range)) {
        return FLOW_RETURN;
    }
    struct scope *variable = scope_open(e, frame);
    enum flow flow = declare(e, frame, at->text, ERROR_VALUE, at, at->mark, false) ? FLOW_ON : FLOW_RETURN;
    struct scope *inner = scope_open(e, frame);
    frame->loops++;
    for (int64_t i = 0; flow == FLOW_ON && i < range.count && spend(e, frame, at, 1); i++) {
        inner->first = NULL;
        variable->first->value = range_at(&range, i);
        flow = run_statements(e, frame, at->child[1], result);
    }
    frame->loops--;
    scope_close(frame);
    scope_close(frame);
    return flow;
}

/* A message with the values of {name} put in; the values also go to `named`, which has room for them. */
static const char *filled(struct elaborator *e, struct frame *frame, const struct syntax *at, const char *message,
                          struct value *named, int *count)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    struct text text = {.arena = e->module};
    for (const char *p = message; *p;) {
        size_t n = *p == '{' ? strspn(p + 1, letters) : 0;
        if (n && p[1 + n] == '}') {
            struct syntax name = {.kind = SYNTAX_name, .span = at->span, .mark = at->span, .text = intern_n(p + 1, n)};
            struct value value = lookup(e, frame, &name);
            value_print(&text, value);
            *count += *count < MOST_NAMED;
            named[*count - 1] = value;
            p += n + 2;
        } else {
            text_put(&text, p++, 1);
        }
    }
    return text_string(&text);
}

static void fail_assertion(struct elaborator *e, struct frame *frame, struct syntax *at, const char *message)
{
    struct value named[MOST_NAMED];
    int count = 0;
    const char *text = filled(e, frame, at->child[1], message, named, &count);
    fail_span(e, frame, at, at->child[0]->span, CHECK_assertion, "%s", text);
    for (int i = 0; i < count; i++) {
        int told = 0; /* a value that the message names twice is explained once */
        while (told < i && named[told].cause != named[i].cause) {
            told++;
        }
        if (told == i) {
            explain(e, named[i]);
        }
    }
}

static enum flow run_assert(struct elaborator *e, struct frame *frame, struct syntax *at, struct value *result)
{
    bool truth;
    *result = ERROR_VALUE;
    if (!eval_condition(e, frame, at->child[0], &truth)) {
        return FLOW_RETURN;
    }
    if (truth) {
        return FLOW_ON;
    }
    struct value message = eval(e, frame, at->child[1]);
    if (message.kind == VALUE_STRING) {
        fail_assertion(e, frame, at, message.string);
    } else if (message.kind != VALUE_ERROR) {
        fail(e, frame, at->child[1], CHECK_assertion, "the message of an assertion is a string, this is %s",
             value_shown(e->module, message));
    }
    return FLOW_RETURN;
}

/* ---- input, output ---- */

static bool input_shape(struct elaborator *e, struct frame *frame, struct syntax *at, struct shape *shape)
{
    struct syntax *sizes = at->child[0];
    bool good = sizes->count <= MAX_RANK;
    if (!good) {
        fail(e, frame, sizes, CHECK_input_shape, "an input has at most %d axes", MAX_RANK);
    }
    for (size_t i = 0; i < sizes->count; i++) {
        struct value value = eval(e, frame, sizes->child[i]);
        int64_t size;
        if (value.kind == VALUE_ERROR) {
            good = false;
        } else if (!value_whole(value, &size) || size < 1) {
            fail(e, frame, sizes->child[i], CHECK_input_shape, "a size is a whole number from 1, this is %s",
                 value_shown(e->module, value));
            explain(e, value);
            good = false;
        } else if (good) {
            shape->dim[shape->rank++] = size;
        }
    }
    return good;
}

/* What the pipeline behind `from` makes of a picture; NULL after a diagnostic. */
static const struct picture *eval_picture(struct elaborator *e, struct frame *frame, struct syntax *from)
{
    struct picture *raw = NEW(e->module, struct picture);
    *raw = (struct picture){.channels = 3, .size = {-1, -1}};
    struct value start = {.kind = VALUE_PICTURE, .picture = raw};
    struct scope *scope = scope_open(e, frame);
    scope->first = NEW(e->module, struct binding);
    *scope->first = (struct binding){.name = intern("picture"), .value = start, .span = from->span};
    struct value value = eval(e, frame, from);
    scope_close(frame);
    if (value.kind == VALUE_ERROR || (value.kind == VALUE_PICTURE && value.picture->normalized)) {
        return value.kind == VALUE_ERROR ? NULL : value.picture;
    }
    fail(e, frame, from, CHECK_picture_end, "the way of a picture ends with `normalize`, this gives %s",
         value.kind == VALUE_PICTURE ? "a picture of bytes" : value_shown(e->module, value));
    return NULL;
}

static bool picture_fits(struct elaborator *e, struct frame *frame, struct syntax *from, const struct picture *picture,
                         struct shape shape)
{
    int64_t found[3] = {picture->channels, picture->size[0], picture->size[1]};
    bool fits = shape.rank == 3;
    for (int i = 0; i < 3; i++) {
        fits &= found[i] < 0 || found[i] == shape.dim[i];
    }
    if (!fits) {
        const char *rows = found[1] < 0 ? "any" : intern_printf("%lld", (long long)found[1]);
        const char *columns = found[2] < 0 ? "any" : intern_printf("%lld", (long long)found[2]);
        fail(e, frame, from, CHECK_picture_shape, "the picture becomes [%d,%s,%s], the input is %s", picture->channels,
             rows, columns, type_text(e->module, (struct type){.shape = shape}) + 3);
    }
    return fits;
}

/* The pipeline behind `from`, as steps in order. */
static bool input_steps(struct elaborator *e, struct frame *frame, struct syntax *from, struct shape shape,
                        struct graph_input *input)
{
    const struct picture *picture = eval_picture(e, frame, from);
    if (!picture || !picture_fits(e, frame, from, picture, shape)) {
        return false;
    }
    input->n_step = picture->n_step;
    input->step = NEW_ARRAY(e->module, struct picture_step, picture->n_step);
    for (int i = picture->n_step; i > 0; i--, picture = picture->before) {
        input->step[i - 1] = picture->step;
    }
    return true;
}

static struct value fresh_input(struct elaborator *e, struct frame *frame, struct syntax *at, struct shape shape)
{
    struct graph_input input = {0};
    if (at->child[1] && !input_steps(e, frame, at->child[1], shape, &input)) {
        return ERROR_VALUE;
    }
    struct attrs attrs = {.shape = shape};
    struct origin origin = {at->span, frame->site};
    input.node = graph_add(e->graph, e->diags, OP_input, NULL, 0, &attrs, "", at->text, origin);
    if (input.node) {
        PUSH(e->module, e->graph->input, e->graph->n_input, e->graph->cap_input, input);
    }
    return value_tensor(input.node);
}

/* The input of a net that is used as a backbone. */
static struct value given_input(struct elaborator *e, struct frame *frame, struct syntax *at, struct shape shape)
{
    struct value given = frame->net->given[frame->net->taken++];
    if (given.kind != VALUE_TENSOR) {
        return fail(e, frame, at, CHECK_net_input, "the input `%s` is a tensor, it gets %s", at->text,
                    value_shown(e->module, given));
    }
    if (!shape_equal(given.tensor->type.shape, shape)) {
        const char *wanted = type_text(e->module, (struct type){.shape = shape}) + 3;
        fail(e, frame, at, CHECK_net_input, "the input `%s` is %s, it gets %s", at->text, wanted,
             type_text(e->module, (struct type){.shape = given.tensor->type.shape}) + 3);
        note(e, given.tensor->origin.span, "which was made here");
        return ERROR_VALUE;
    }
    return given;
}

static enum flow run_input(struct elaborator *e, struct frame *frame, struct syntax *at, struct value *result)
{
    struct shape shape = {0};
    *result = ERROR_VALUE;
    if (!frame->net || frame->scope != frame->net->top) {
        fail(e, frame, at, CHECK_statement_place, "inputs stand in a net, outside of `if` and `for`");
        return FLOW_RETURN;
    }
    struct value value = ERROR_VALUE;
    if (input_shape(e, frame, at, &shape)) {
        value = frame->net->outermost ? fresh_input(e, frame, at, shape) : given_input(e, frame, at, shape);
    } else if (!frame->net->outermost) {
        frame->net->taken++;
    }
    declare(e, frame, at->text, value, at, at->mark, false);
    return FLOW_ON;
}

static void read_output_labels(struct elaborator *e, struct frame *frame, struct syntax *at,
                               struct graph_output *output)
{
    struct value file = eval(e, frame, at);
    int64_t n;
    if (file.kind != VALUE_STRING) {
        if (file.kind != VALUE_ERROR) {
            fail(e, frame, at, CHECK_labels_missing, "labels are the name of a file, this is %s",
                 value_shown(e->module, file));
        }
        return;
    }
    const char *const *labels = read_labels(e, frame->module, file.string, at, &n);
    const struct shape *shape = &output->node->type.shape;
    int64_t classes = shape->rank ? shape->dim[0] : 1;
    if (!labels) {
        return;
    }
    output->labels_file = file.string;
    if (n != classes) {
        diag_warning(e->diags, CHECK_labels_count, at->span,
                     "%s has %lld names, the output has %lld classes: numbers are printed instead", file.string,
                     (long long)n, (long long)classes);
        return;
    }
    output->labels = labels;
    output->n_labels = n;
}

static void add_output(struct elaborator *e, struct frame *frame, struct syntax *at, struct value value)
{
    struct net_run *net = frame->net;
    PUSH(e->module, net->record->name, net->record->count, net->record->capacity, at->text);
    PUSH(e->module, net->record->value, net->record->n_value, net->record->cap_value, value);
    if (!net->outermost || value.kind == VALUE_ERROR) {
        return;
    }
    struct graph_output output = {.name = at->text, .node = value.tensor};
    if (at->child[1]) {
        read_output_labels(e, frame, at->child[1], &output);
    }
    PUSH(e->module, e->graph->output, e->graph->n_output, e->graph->cap_output, output);
}

static enum flow run_output(struct elaborator *e, struct frame *frame, struct syntax *at, struct value *result)
{
    if (!frame->net) {
        *result = fail(e, frame, at, CHECK_statement_place, "outputs stand in a net");
        return FLOW_RETURN;
    }
    struct syntax name = {.kind = SYNTAX_name, .span = at->mark, .mark = at->mark, .text = at->text};
    struct value value = at->child[0] ? eval(e, frame, at->child[0]) : lookup(e, frame, &name);
    if (value.kind != VALUE_TENSOR && value.kind != VALUE_ERROR) {
        fail_span(e, frame, at, at->child[0] ? at->child[0]->span : at->mark, CHECK_output_tensor,
                  "an output is a tensor, this is %s", value_shown(e->module, value));
        explain(e, value);
        value = ERROR_VALUE;
    }
    if (at->child[0]) {
        declare(e, frame, at->text, value, at, at->mark, false);
    }
    e->steps += (int64_t)frame->net->record->count / NAMES_A_STEP;
    for (size_t i = 0; i < frame->net->record->count; i++) {
        if (frame->net->record->name[i] == at->text) {
            fail_span(e, frame, at, at->mark, CHECK_output_twice, "there is an output `%s` already", at->text);
            return FLOW_ON;
        }
    }
    add_output(e, frame, at, value);
    return FLOW_ON;
}

static enum flow run_outputs(struct elaborator *e, struct frame *frame, struct syntax *at, struct value *result)
{
    enum flow flow = FLOW_ON;
    for (size_t i = 0; flow == FLOW_ON && i < at->count; i++) {
        flow = run_output(e, frame, at->child[i], result);
    }
    return flow;
}

/* ---- bodies ---- */

typedef enum flow runner(struct elaborator *, struct frame *, struct syntax *, struct value *result);

static enum flow run_statements(struct elaborator *e, struct frame *frame, const struct syntax *body,
                                struct value *result)
{
    static runner *const runners[SYNTAX_KINDS] = {
        [SYNTAX_let] = run_let,       [SYNTAX_var] = run_var,     [SYNTAX_set] = run_set,
        [SYNTAX_return] = run_return, [SYNTAX_when] = run_when,   [SYNTAX_for] = run_for,
        [SYNTAX_assert] = run_assert, [SYNTAX_input] = run_input, [SYNTAX_output] = run_output,
        [SYNTAX_outputs] = run_outputs,
    };
    enum flow flow = FLOW_ON;
    enter(e, frame, (struct syntax *)body);
    for (size_t i = 0; i < body->count && flow == FLOW_ON && !e->stopped; i++) {
        flow = runners[body->child[i]->kind](e, frame, body->child[i], result);
    }
    leave(e);
    return e->stopped ? FLOW_RETURN : flow;
}

struct value run_body(struct elaborator *e, struct frame *frame, const struct syntax *body)
{
    struct value result = ERROR_VALUE;
    if (run_statements(e, frame, body, &result) == FLOW_RETURN) {
        return result;
    }
    return (struct value){.kind = e->stopped ? VALUE_ERROR : VALUE_NONE};
}
