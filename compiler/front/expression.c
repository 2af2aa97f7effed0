/* Expressions: syntax trees to values.
 *
 * What would surprise: there is one step counter for the whole elaboration and one for the depth of the C stack,
 * checked here for every expression, so that no input runs away. An operand that is an ERROR makes the result one
 * without a word, but the other operands are still evaluated, since they may have faults of their own.
 */
#include "front/internal.h"

#include <string.h>

bool spend(struct elaborator *e, struct frame *frame, struct syntax *at, int64_t steps)
{
    if (e->stopped) {
        return false;
    }
    e->steps += steps;
    if (e->steps > MOST_STEPS) {
        fail(e, frame, at, CHECK_step_limit, "elaboration takes more than %d steps", MOST_STEPS);
        stop(e);
        return false;
    }
    return true;
}

bool enter(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    if (++e->eval_depth > MOST_EVAL_DEPTH && !e->stopped) {
        fail(e, frame, at, CHECK_recursion_limit, "expressions, statements and calls are nested deeper than %d",
             MOST_EVAL_DEPTH);
        stop(e);
    }
    return !e->stopped;
}

void leave(struct elaborator *e)
{
    e->eval_depth--;
}

/* ---- conditions and ranges ---- */

bool eval_condition(struct elaborator *e, struct frame *frame, struct syntax *at, bool *truth)
{
    struct value value = eval(e, frame, at);
    if (value.kind == VALUE_ERROR) {
        return false;
    }
    if (value.kind != VALUE_BOOL) {
        fail(e, frame, at, CHECK_condition_bool, "a condition is true or false, this is %s",
             value_shown(e->module, value));
        explain(e, value);
        return false;
    }
    *truth = value.truth;
    return true;
}

static bool range_end(struct elaborator *e, struct frame *frame, struct syntax *at, int64_t *end)
{
    struct value value = eval(e, frame, at);
    if (value.kind == VALUE_ERROR) {
        return false;
    }
    if (!value_whole(value, end)) {
        fail(e, frame, at, CHECK_range_whole, "a range goes between whole numbers, this is %s",
             value_shown(e->module, value));
        explain(e, value);
        return false;
    }
    return true;
}

bool eval_range(struct elaborator *e, struct frame *frame, struct syntax *at, struct range *range)
{
    *range = (struct range){0};
    if (at->kind != SYNTAX_range) {
        struct value value = eval(e, frame, at);
        if (value.kind == VALUE_LIST) {
            range->list = value.list;
            range->count = (int64_t)value.list->count;
        } else if (value.kind != VALUE_ERROR) {
            fail(e, frame, at, CHECK_range_whole,
                 "`for` goes through a list or a range such as 0 ..< n, not through %s", value_shown(e->module, value));
            explain(e, value);
        }
        return range->list;
    }
    int64_t end;
    bool good = range_end(e, frame, at->child[0], &range->from);
    good = range_end(e, frame, at->child[1], &end) && good;
    if (!good) {
        return false;
    }
    if (end > range->from && __builtin_sub_overflow(end, range->from, &range->count)) {
        range->count = INT64_MAX;
    }
    return true;
}

struct value range_at(const struct range *range, int64_t i)
{
    return range->list ? range->list->item[i] : value_int(range->from + i);
}

/* ---- labels ---- */

static const char *index_text(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    struct value value = eval(e, frame, at);
    int64_t index;
    if (value.kind == VALUE_ERROR) {
        return NULL;
    }
    if (value_whole(value, &index) && index >= 0) {
        return intern_printf("%lld", (long long)index);
    }
    if (value.kind == VALUE_STRING) {
        return value.string;
    }
    fail(e, frame, at, CHECK_label_text, "an index in a label is a whole number from 0 or a string, this is %s",
         value_shown(e->module, value));
    explain(e, value);
    return NULL;
}

static const char *joined(const char *before, const char *text)
{
    return !before || !text ? NULL : *before ? intern_printf("%s.%s", before, text) : text;
}

static const char *label_on(struct elaborator *, struct frame *, struct syntax *label);

static const char *label_at(struct elaborator *e, struct frame *frame, struct syntax *label)
{
    switch (label->kind) {
    case SYNTAX_int: return joined(frame->path, intern_printf("%lld", (long long)label->integer));
    case SYNTAX_list: return joined(frame->path, index_text(e, frame, label->child[0]));
    case SYNTAX_index: {
        const char *before = label_on(e, frame, label->child[0]);
        return joined(before, index_text(e, frame, label->child[1]));
    }
    case SYNTAX_dot_name:
    case SYNTAX_dot_int: return joined(label_on(e, frame, label->child[0]), label->text);
    default: return joined(frame->path, label->text);
    }
}

static const char *label_on(struct elaborator *e, struct frame *frame, struct syntax *label)
{
    const char *path = enter(e, frame, label) ? label_at(e, frame, label) : NULL;
    leave(e);
    return path;
}

/* Elements of names in weights files: letters, digits, _ and -; none is empty. */
const char *eval_label(struct elaborator *e, struct frame *frame, struct syntax *label)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    enum { LONGEST = 1000 };
    const char *path = label_on(e, frame, label);
    if (!path) {
        return NULL;
    }
    size_t length = strlen(path);
    if (path[strspn(path, allowed)] || !length || path[0] == '.' || path[length - 1] == '.' || strstr(path, "..") ||
        length > LONGEST) {
        fail(e, frame, label, CHECK_label_text,
             "`%.60s` is no name for parameters: letters, digits, _ and - between dots", path);
        return NULL;
    }
    return path;
}

/* ---- one kind of expression each ---- */

typedef struct value evaluator(struct elaborator *, struct frame *, struct syntax *);

static struct value eval_literal(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    (void)e;
    (void)frame;
    switch (at->kind) {
    case SYNTAX_int: return value_int(at->integer);
    case SYNTAX_real: return value_real(at->real);
    case SYNTAX_string: return value_string(at->text);
    default: return value_bool(at->truth);
    }
}

struct value checked_list(struct elaborator *e, struct frame *frame, struct syntax *at, struct value list)
{
    list = list_close(list);
    return list.list->depth <= MOST_LIST_DEPTH
               ? list
               : fail(e, frame, at, CHECK_list_limit, "lists nest to %d", MOST_LIST_DEPTH);
}

static struct value eval_list(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    struct value list = value_list(e->module, at->count);
    bool good = true;
    for (size_t i = 0; i < at->count; i++) {
        list.list->item[i] = eval(e, frame, at->child[i]);
        good &= list.list->item[i].kind != VALUE_ERROR;
    }
    return good ? checked_list(e, frame, at, list) : ERROR_VALUE;
}

static struct value eval_each(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    struct range range;
    if (!eval_range(e, frame, at->child[1], &range)) {
        return ERROR_VALUE;
    }
    if (range.count > MOST_LIST) {
        return fail(e, frame, at, CHECK_list_limit, "a list has at most %d elements, this would have %lld", MOST_LIST,
                    (long long)range.count);
    }
    if (!spend(e, frame, at, range.count)) { /* before the memory is taken */
        return ERROR_VALUE;
    }
    struct value list = value_list(e->module, (size_t)range.count);
    struct scope *scope = scope_open(e, frame);
    frame->loops++;
    bool good = declare(e, frame, at->text, ERROR_VALUE, at, at->mark, false);
    for (int64_t i = 0; good && i < range.count && !e->stopped; i++) {
        scope->first->value = range_at(&range, i);
        list.list->item[i] = eval(e, frame, at->child[0]);
        good &= list.list->item[i].kind != VALUE_ERROR;
    }
    frame->loops--;
    scope_close(frame);
    return good && !e->stopped ? checked_list(e, frame, at, list) : ERROR_VALUE;
}

static struct value eval_choose(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    bool truth;
    if (!eval_condition(e, frame, at->child[0], &truth)) {
        return ERROR_VALUE;
    }
    return eval(e, frame, at->child[truth ? 1 : 2]);
}

static struct value eval_pipe(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    struct value value = eval(e, frame, at->child[0]);
    for (size_t i = 1; i < at->count; i++) {
        value = apply_step(e, frame, at->child[i], value);
    }
    return value;
}

static struct value eval_labelled(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    const char *path = eval_label(e, frame, at->child[0]);
    struct syntax *call = at->child[1];
    if (call->kind != SYNTAX_call) {
        return fail(e, frame, at, CHECK_label_call, "a label stands before a call or a step, this calls nothing");
    }
    struct value value = eval_call(e, frame, call, path ? path : frame->path, true);
    if (value.kind == VALUE_BLOCK || value.kind == VALUE_FUNCTION) {
        return fail(e, frame, at, CHECK_label_call,
                    "a label names what a call creates, but this call lacks its input: write x |> label: ...");
    }
    return path ? value : ERROR_VALUE;
}

static struct value eval_unary(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    if (at->sign == SIGN_not) {
        bool truth;
        return eval_condition(e, frame, at->child[0], &truth) ? value_bool(!truth) : ERROR_VALUE;
    }
    struct value value = eval(e, frame, at->child[0]);
    if (value.kind == VALUE_INT && value.integer != INT64_MIN) {
        return value_int(-value.integer);
    }
    if (value.kind == VALUE_REAL) {
        return value_real(-value.real);
    }
    if (value.kind == VALUE_TENSOR) {
        return tensor_negative(e, frame, at, value);
    }
    if (value.kind == VALUE_ERROR) {
        return value;
    }
    return fail(e, frame, at, value.kind == VALUE_INT ? CHECK_int_range : CHECK_operand_kind, "`-` cannot take %s",
                value_shown(e->module, value));
}

static struct value eval_logic(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    bool truth;
    if (!eval_condition(e, frame, at->child[0], &truth)) {
        return ERROR_VALUE;
    }
    if (truth == (at->sign == SIGN_or)) {
        return value_bool(truth);
    }
    return eval_condition(e, frame, at->child[1], &truth) ? value_bool(truth) : ERROR_VALUE;
}

static struct value joined_lists(struct elaborator *e, struct frame *frame, struct syntax *at, const struct list *a,
                                 const struct list *b)
{
    size_t count = a->count + b->count;
    if (count > MOST_LIST) {
        return fail(e, frame, at, CHECK_list_limit, "a list has at most %d elements, this would have %zu", MOST_LIST,
                    count);
    }
    if (!spend(e, frame, at, (int64_t)count)) {
        return ERROR_VALUE;
    }
    struct value list = value_list(e->module, count);
    if (a->count) {
        memcpy(list.list->item, a->item, a->count * sizeof *a->item);
    }
    if (b->count) {
        memcpy(list.list->item + a->count, b->item, b->count * sizeof *b->item);
    }
    return list_close(list);
}

static struct value eval_binary(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    if (at->sign == SIGN_and || at->sign == SIGN_or) {
        return eval_logic(e, frame, at);
    }
    struct value a = eval(e, frame, at->child[0]), b = eval(e, frame, at->child[1]);
    if (a.kind == VALUE_ERROR || b.kind == VALUE_ERROR) {
        return ERROR_VALUE;
    }
    if (at->sign == SIGN_add && a.kind == VALUE_LIST && b.kind == VALUE_LIST) {
        return joined_lists(e, frame, at, a.list, b.list);
    }
    if (a.kind == VALUE_TENSOR || b.kind == VALUE_TENSOR) {
        return tensor_binary(e, frame, at, a, b);
    }
    return number_binary(e, frame, at, a, b);
}

static struct value eval_plain_call(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    return eval_call(e, frame, at, frame->path, false);
}

static struct value eval_index(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    struct value list = eval(e, frame, at->child[0]), index = eval(e, frame, at->child[1]);
    int64_t i;
    if (list.kind == VALUE_ERROR || index.kind == VALUE_ERROR) {
        return ERROR_VALUE;
    }
    if (list.kind != VALUE_LIST && list.kind != VALUE_TENSOR) {
        fail(e, frame, at, CHECK_index_kind, "only lists and tensors have elements, this is %s",
             value_shown(e->module, list));
        explain(e, list);
        return ERROR_VALUE;
    }
    if (!value_whole(index, &i)) {
        fail(e, frame, at->child[1], CHECK_index_kind, "an index is a whole number, this is %s",
             value_shown(e->module, index));
        explain(e, index);
        return ERROR_VALUE;
    }
    int64_t count = list.kind == VALUE_LIST        ? (int64_t)list.list->count
                    : list.tensor->type.shape.rank ? list.tensor->type.shape.dim[0]
                                                   : 0;
    if (i < 0 || i >= count) {
        fail(e, frame, at, CHECK_index_range, "there is no element %lld: %s has %lld, counted from 0", (long long)i,
             list.kind == VALUE_LIST ? "the list" : "axis 0", (long long)count);
        explain(e, index);
        return ERROR_VALUE;
    }
    return list.kind == VALUE_LIST ? list.list->item[i] : tensor_at(e, frame, at, list.tensor, i);
}

static struct value record_member(struct elaborator *e, struct frame *frame, struct syntax *at,
                                  const struct record *record)
{
    for (size_t i = 0; i < record->count; i++) {
        if (record->name[i] == at->text) {
            return record->value[i];
        }
    }
    fail_span(e, frame, at, at->mark, CHECK_member_unknown, "the net has no output `%s`", at->text);
    struct text text = {.arena = e->module};
    for (size_t i = 0; i < record->count; i++) {
        text_add(&text, "%s%s", i ? ", " : "", record->name[i]);
    }
    note(e, at->mark, "its outputs are %s", text_string(&text));
    suggest(e, at->mark, at->text, record->name, record->count);
    return ERROR_VALUE;
}

static struct value eval_dot_name(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    struct value of = eval(e, frame, at->child[0]);
    if (of.kind == VALUE_ERROR) {
        return of;
    }
    if (of.kind == VALUE_TENSOR) {
        return tensor_attribute(e, frame, at, of.tensor);
    }
    if (of.kind == VALUE_RECORD) {
        return record_member(e, frame, at, of.record);
    }
    if (of.kind == VALUE_MODULE) {
        struct item *item = module_find(of.module, at->text);
        return item ? item_value(e, item) : unknown_member(e, frame, at, of.module);
    }
    fail_span(e, frame, at, at->mark, CHECK_member_unknown, "there is no .%s of %s", at->text,
              value_shown(e->module, of));
    explain(e, of);
    return ERROR_VALUE;
}

static struct value eval_dot_int(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    return fail(e, frame, at, CHECK_member_unknown, "only a label has .%s; an element of a list is written [%s]",
                at->text, at->text);
}

struct value eval(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    static evaluator *const evaluators[SYNTAX_KINDS] = {
        [SYNTAX_choose] = eval_choose,   [SYNTAX_pipe] = eval_pipe,         [SYNTAX_label] = eval_labelled,
        [SYNTAX_binary] = eval_binary,   [SYNTAX_unary] = eval_unary,       [SYNTAX_call] = eval_plain_call,
        [SYNTAX_index] = eval_index,     [SYNTAX_dot_name] = eval_dot_name, [SYNTAX_name] = lookup,
        [SYNTAX_dot_int] = eval_dot_int, [SYNTAX_int] = eval_literal,       [SYNTAX_real] = eval_literal,
        [SYNTAX_string] = eval_literal,  [SYNTAX_bool] = eval_literal,      [SYNTAX_tuple] = eval_list,
        [SYNTAX_list] = eval_list,       [SYNTAX_each] = eval_each,
    };
    bool good = spend(e, frame, at, 1);
    good = enter(e, frame, at) && good;
    struct value value = good ? evaluators[at->kind](e, frame, at) : ERROR_VALUE;
    leave(e);
    return value;
}
