/* Calls: binding arguments to parameters, applying blocks, functions, nets and operators.
 *
 * A call whose block lacks its input only binds: bottleneck(cardinality = 32) is a value, and binding may go on.
 * Defaults are evaluated when the block is applied, left to right, where they see the input and the parameters before
 * them.
 *
 * What would surprise: in x |> f(t) the t is a parameter of f even if it is a tensor, since the input stands before
 * |>; f(t) alone applies f to t. And a label covers what the called body creates, not the arguments, which are
 * evaluated at the caller's path.
 */
#include "front/internal.h"

#include <string.h>

struct given { /* an argument as written */
    const char *name; /* NULL: by position */
    struct value value;
    struct syntax *at;
};

/* ---- binding ---- */

static const char *signature(const struct item *item)
{
    const struct source *source = source_get(item->params->span.file);
    struct span span = item->params->span;
    return intern_printf("%s%.*s", item->name, span.last - span.first, source->bytes + span.first);
}

static void note_signature(struct elaborator *e, const struct item *item)
{
    if (item->build) {
        note(e, NO_SPAN, "it is declared as %s",
             item->variadic ? intern_printf("%s(value, ...)", item->name) : signature(item));
    } else {
        note(e, item->mark, "it is declared here");
    }
}

static int find_param(const struct item *item, const char *name)
{
    for (int i = 0; i < item->n_param; i++) {
        if (item->params->child[i]->text == name) {
            return i;
        }
    }
    return -1;
}

static struct value unknown_param(struct elaborator *e, struct frame *frame, const struct item *item,
                                  const struct given *given)
{
    fail_span(e, frame, given->at, given->at->mark, CHECK_argument_unknown, "%s has no parameter `%s`", item->name,
              given->name);
    const char **names = NEW_ARRAY(e->module, const char *, item->n_param + 1);
    for (int i = 0; i < item->n_param; i++) {
        names[i] = item->params->child[i]->text;
    }
    suggest(e, given->at->mark, given->name, names, (size_t)item->n_param);
    note_signature(e, item);
    return ERROR_VALUE;
}

static bool bind_one(struct elaborator *e, struct frame *frame, struct bound *bound, const struct given *given, int i)
{
    const struct item *item = bound->item;
    struct argument *argument = &bound->argument[i];
    if (argument->given) {
        fail(e, frame, given->at, CHECK_argument_bound_twice, "`%s` of %s is bound already",
             item->params->child[i]->text, item->name);
        note(e, argument->span, "here");
        return false;
    }
    *argument = (struct argument){given->value, given->at->span, true};
    return true;
}

static bool surplus(struct elaborator *e, struct frame *frame, const struct item *item, const struct given *given)
{
    fail(e, frame, given->at, CHECK_argument_surplus, "%s has no parameter left for this argument", item->name);
    if (item->kind == ITEM_BLOCK && item->n_input && item->n_param == 0) {
        note(e, given->at->span, "this is %s; %s is applied to a tensor: x |> %s", value_shown(e->module, given->value),
             item->name, item->name);
    }
    note_signature(e, item);
    return false;
}

/* By position first, in order into what is unbound; then by name. */
static bool bind_all(struct elaborator *e, struct frame *frame, struct bound *bound, const struct given *given,
                     size_t n)
{
    int next = 0;
    bool good = true;
    for (size_t k = 0; k < n; k++) {
        while (!given[k].name && next < bound->item->n_param && bound->argument[next].given) {
            next++;
        }
        if (!given[k].name && next == bound->item->n_param) {
            return surplus(e, frame, bound->item, &given[k]);
        }
        good = given[k].name ? good : bind_one(e, frame, bound, &given[k], next) && good;
    }
    for (size_t k = 0; k < n; k++) {
        int i = given[k].name ? find_param(bound->item, given[k].name) : -1;
        if (given[k].name && i < 0) {
            unknown_param(e, frame, bound->item, &given[k]);
        }
        good = good && (!given[k].name || (i >= 0 && bind_one(e, frame, bound, &given[k], i)));
    }
    return good;
}

static bool bind_rest(struct elaborator *e, struct frame *frame, struct bound *bound, const struct given *given,
                      size_t n)
{
    struct value list = value_list(e->module, n);
    for (size_t i = 0; i < n; i++) {
        if (given[i].name) {
            unknown_param(e, frame, bound->item, &given[i]);
            return false;
        }
        list.list->item[i] = given[i].value;
    }
    list_close(list);
    bound->rest = list.list;
    return true;
}

/* The same with more arguments bound; NULL after a diagnostic. */
static const struct bound *bind(struct elaborator *e, struct frame *frame, const struct bound *before,
                                const struct given *given, size_t n)
{
    struct bound *bound = NEW(e->module, struct bound);
    *bound = *before;
    if (bound->item->variadic) {
        return bind_rest(e, frame, bound, given, n) ? bound : NULL;
    }
    bound->argument = NEW_ARRAY(e->module, struct argument, bound->item->n_param + 1);
    memcpy(bound->argument, before->argument, (size_t)bound->item->n_param * sizeof *bound->argument);
    return bind_all(e, frame, bound, given, n) ? bound : NULL;
}

/* ---- applying ---- */

static bool check_missing(struct elaborator *e, struct frame *frame, const struct bound *bound, struct syntax *at)
{
    const struct item *item = bound->item;
    for (int i = 0; i < item->n_param && !item->variadic; i++) {
        const struct syntax *param = item->params->child[i];
        if (!bound->argument[i].given && !param->child[0]) {
            bool outermost = at == item->syntax;
            fail_span(e, frame, at, outermost ? item->mark : at->span, CHECK_argument_missing, "%s needs `%s`",
                      item->name, param->text);
            if (outermost) {
                note(e, NO_SPAN, "a value is given with -D %s=VALUE", param->text);
            } else {
                note_signature(e, item);
            }
            return false;
        }
    }
    return true;
}

void bind_name(struct elaborator *e, struct frame *frame, const char *name, struct value value, struct span span)
{
    struct binding *binding = NEW(e->module, struct binding);
    *binding = (struct binding){name, value, span, false, frame->scope->first};
    frame->scope->first = binding;
}

/* Gives every parameter its value in the callee's scope, and writes them to `all`. */
static bool fill(struct elaborator *e, struct frame *callee, const struct bound *bound, struct argument *all)
{
    const struct item *item = bound->item;
    for (int i = 0; i < item->n_param && !item->variadic; i++) {
        struct syntax *param = item->params->child[i];
        all[i] = bound->argument[i];
        if (!all[i].given) {
            all[i] = (struct argument){eval(e, callee, param->child[0]), param->span, false};
        }
        struct value value = all[i].value;
        if (value.kind == VALUE_ERROR) {
            return false;
        }
        value = value.cause ? value : value_named(e->module, value, param->text, all[i].span);
        bind_name(e, callee, param->text, value, all[i].span);
    }
    return true;
}

static struct value run_operator(struct elaborator *e, struct frame *frame, const struct bound *bound,
                                 struct value *input, struct syntax *at, const char *path, bool labelled)
{
    const struct item *item = bound->item;
    struct frame callee = {.item = item, .module = item->module, .path = path, .site = frame->site};
    struct argument all[8] = {{.given = false}};
    scope_open(e, &callee);
    for (int i = 0; i < item->n_input; i++) {
        bind_name(e, &callee, item->inputs->child[i]->text, input[i], at->span);
    }
    if (!fill(e, &callee, bound, all)) {
        return ERROR_VALUE;
    }
    struct call call = {e, frame, item, at, path, labelled, input, all, bound->rest};
    return item->build(&call);
}

/* Answers what is asked of the net that is elaborated, as far as its parameters tell it. False: it is not wanted. */
static bool asked_for(struct elaborator *e, const struct item *net, const struct argument *all)
{
    if (!e->options->question) {
        return true;
    }
    answer_parameters(e, net, all);
    return answer_conditions(e, net, false);
}

static struct value run_definition(struct elaborator *e, struct frame *frame, const struct bound *bound,
                                   struct value *input, struct syntax *at, const char *path, struct net_run *net)
{
    const struct item *item = bound->item;
    struct site site = {item->name, at->span, frame->site};
    struct frame callee = {.item = item, .module = item->module, .path = path, .net = net};
    if (!net || !net->outermost) {
        struct site *kept = NEW(e->module, struct site); /* nodes point to it */
        *kept = site;
        callee.site = kept;
    }
    scope_open(e, &callee);
    for (size_t i = 0; i < item->inputs->count; i++) {
        bind_name(e, &callee, item->inputs->child[i]->text, input[i], item->inputs->child[i]->span);
    }
    struct argument *all = NEW_ARRAY(e->module, struct argument, item->n_param + 1);
    if (!fill(e, &callee, bound, all)) {
        return ERROR_VALUE;
    }
    if (net) {
        net->top = callee.scope;
    }
    if (net && net->outermost && !asked_for(e, item, all)) {
        return ERROR_VALUE;
    }
    struct value result = run_body(e, &callee, item->body);
    if (result.kind == VALUE_NONE && !net) {
        return fail_span(e, &callee, item->syntax, item->mark, CHECK_return_missing, "%s ends without `return`",
                         item->name);
    }
    return result;
}

static struct value run_inner_net(struct elaborator *e, struct frame *frame, const struct bound *bound,
                                  struct value *input, struct syntax *at, const char *path)
{
    struct record *record = NEW(e->module, struct record);
    struct net_run run = {.given = input, .n_given = bound->item->n_input, .record = record};
    struct value result = run_definition(e, frame, bound, input, at, path, &run);
    return result.kind == VALUE_ERROR ? result : (struct value){.kind = VALUE_RECORD, .record = record};
}

static struct value apply(struct elaborator *e, struct frame *frame, const struct bound *bound, struct value *input,
                          struct syntax *at, const char *path, bool labelled)
{
    const struct item *item = bound->item;
    if (!check_missing(e, frame, bound, at)) {
        return ERROR_VALUE;
    }
    if (item->build) {
        return run_operator(e, frame, bound, input, at, path, labelled);
    }
    if (e->call_depth >= MOST_CALL_DEPTH) {
        fail(e, frame, at, CHECK_recursion_limit, "%s is called inside calls %d deep", item->name, MOST_CALL_DEPTH);
        stop(e);
        return ERROR_VALUE;
    }
    e->call_depth++;
    struct value value = item->kind == ITEM_NET ? run_inner_net(e, frame, bound, input, at, path)
                                                : run_definition(e, frame, bound, input, at, path, NULL);
    e->call_depth--;
    return value;
}

struct value run_net(struct elaborator *e, struct item *net, struct argument *arguments)
{
    struct frame frame = {.module = net->module, .path = ""};
    struct bound bound = {net, arguments, NULL};
    struct record *record = NEW(e->module, struct record);
    struct net_run run = {.outermost = true, .record = record};
    if (!check_missing(e, &frame, &bound, net->syntax)) {
        return ERROR_VALUE;
    }
    struct value result = run_definition(e, &frame, &bound, NULL, net->syntax, "", &run);
    return result.kind == VALUE_ERROR ? result : (struct value){.kind = VALUE_RECORD, .record = record};
}

/* ---- calls as expressions ---- */

/* Evaluates what stands in the brackets; NULL if something is an ERROR. */
static struct given *eval_arguments(struct elaborator *e, struct frame *frame, struct syntax *call)
{
    struct given *given = NEW_ARRAY(e->module, struct given, call->count);
    bool good = true;
    for (size_t i = 1; i < call->count; i++) {
        struct syntax *at = call->child[i];
        bool named = at->kind == SYNTAX_named;
        given[i - 1] = (struct given){named ? at->text : NULL, eval(e, frame, named ? at->child[0] : at), at};
        good &= given[i - 1].value.kind != VALUE_ERROR;
    }
    return good ? given : NULL;
}

static struct value not_callable(struct elaborator *e, struct frame *frame, struct syntax *at, struct value value)
{
    fail(e, frame, at, CHECK_not_callable, "only blocks, nets and functions can be called, this is %s",
         value_shown(e->module, value));
    explain(e, value);
    return ERROR_VALUE;
}

/* Whether f(x, a) applies: the first positional argument is a tensor, a picture, or a list that holds one. */
static bool has_input(const struct item *item, const struct given *given, size_t n)
{
    return item->n_input && n && !given[0].name && value_holds_tensor(given[0].value);
}

static struct value apply_with_inputs(struct elaborator *e, struct frame *frame, const struct bound *bound,
                                      const struct given *given, size_t n, struct syntax *at, const char *path,
                                      bool labelled)
{
    size_t inputs = (size_t)bound->item->n_input;
    struct value *input = NEW_ARRAY(e->module, struct value, inputs);
    for (size_t i = 0; i < inputs; i++) {
        if (i >= n || given[i].name) {
            return fail(e, frame, at, CHECK_inputs_count, "%s takes %zu inputs, it gets %zu", bound->item->name, inputs,
                        i);
        }
        input[i] = given[i].value;
    }
    const struct bound *all = bind(e, frame, bound, given + inputs, n - inputs);
    return all ? apply(e, frame, all, input, at, path, labelled) : ERROR_VALUE;
}

/* `piped`: the call is a step of a pipeline, so that its arguments are parameters whatever they are. */
static struct value call_value(struct elaborator *e, struct frame *frame, struct value callee, struct syntax *at,
                               const char *path, bool labelled, bool piped)
{
    struct given *given = eval_arguments(e, frame, at);
    size_t n = at->count - 1;
    if (callee.kind == VALUE_ERROR) {
        return callee;
    }
    if (callee.kind != VALUE_BLOCK && callee.kind != VALUE_FUNCTION) {
        return not_callable(e, frame, at->child[0], callee);
    }
    if (!given) {
        return ERROR_VALUE;
    }
    if (callee.kind == VALUE_BLOCK && !piped && has_input(callee.bound->item, given, n)) {
        return apply_with_inputs(e, frame, callee.bound, given, n, at, path, labelled);
    }
    const struct bound *bound = bind(e, frame, callee.bound, given, n);
    if (!bound) {
        return ERROR_VALUE;
    }
    if (callee.kind == VALUE_FUNCTION) {
        return apply(e, frame, bound, NULL, at, path, labelled);
    }
    return (struct value){.kind = VALUE_BLOCK, .bound = bound};
}

struct value eval_call(struct elaborator *e, struct frame *frame, struct syntax *at, const char *path, bool labelled)
{
    return call_value(e, frame, eval(e, frame, at->child[0]), at, path, labelled, false);
}

/* ---- steps of pipelines ---- */

static struct value eval_step(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    if (at->kind != SYNTAX_call || at->parenthesised) {
        return eval(e, frame, at);
    }
    struct value callee = enter(e, frame, at) ? eval_step(e, frame, at->child[0]) : ERROR_VALUE;
    leave(e);
    return call_value(e, frame, callee, at, frame->path, false, true);
}

/* The inputs of a block from the value before |>: itself, or the elements of a list if it takes several. */
static struct value *spread_inputs(struct elaborator *e, struct frame *frame, const struct item *item, struct value *in,
                                   struct syntax *at)
{
    if (in->kind == VALUE_BLOCK || in->kind == VALUE_FUNCTION || in->kind == VALUE_MODULE) {
        fail(e, frame, at, CHECK_input_kind, "%s is applied to a tensor, this is %s", item->name,
             value_shown(e->module, *in));
        return NULL;
    }
    if (item->n_input == 1) {
        return in;
    }
    if (in->kind != VALUE_LIST || in->list->count != (size_t)item->n_input) {
        fail(e, frame, at, CHECK_inputs_count, "%s takes %d inputs, it gets %s", item->name, item->n_input,
             in->kind == VALUE_LIST ? intern_printf("%zu", in->list->count) : value_shown(e->module, *in));
        note_signature(e, item);
        return NULL;
    }
    return in->list->item;
}

static struct value apply_at(struct elaborator *e, struct frame *frame, struct syntax *at, struct value in,
                             const char *path, bool labelled)
{
    struct value step = eval_step(e, frame, at);
    if (step.kind == VALUE_ERROR || in.kind == VALUE_ERROR) {
        return ERROR_VALUE;
    }
    if (step.kind == VALUE_FUNCTION) {
        const char *name = step.bound->item->name;
        return fail(e, frame, at, CHECK_step_block, "%s is a function and takes no input: write %s(...)", name, name);
    }
    if (step.kind != VALUE_BLOCK) {
        fail(e, frame, at, CHECK_step_block, "what follows |> is a block, this is %s", value_shown(e->module, step));
        explain(e, step);
        return ERROR_VALUE;
    }
    struct value *input = spread_inputs(e, frame, step.bound->item, &in, at);
    return input ? apply(e, frame, step.bound, input, at, path, labelled) : ERROR_VALUE;
}

struct value apply_step(struct elaborator *e, struct frame *frame, struct syntax *step, struct value in)
{
    if (!spend(e, frame, step, 1)) {
        return ERROR_VALUE;
    }
    if (step->kind != SYNTAX_label) {
        return apply_at(e, frame, step, in, frame->path, false);
    }
    const char *path = eval_label(e, frame, step->child[0]);
    struct syntax *what = step->child[1];
    if (!path) {
        return ERROR_VALUE;
    }
    if (what->kind != SYNTAX_group) {
        return apply_at(e, frame, what, in, path, true);
    }
    const char *before = frame->path;
    frame->path = path;
    for (size_t i = 0; i < what->count; i++) {
        in = apply_step(e, frame, what->child[i], in);
    }
    frame->path = before;
    return in;
}
