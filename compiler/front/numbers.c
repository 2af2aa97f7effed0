/* Arithmetic on numbers, comparisons, and the functions on numbers and lists.
 *
 * int / int is an int when it is exact and a real otherwise; an int that leaves its 64 bits is an error, as is a real
 * that is not finite. % gives the remainder that has the divisor's sign, so that it counts around. round takes halves
 * to the even side.
 */
#include "front/internal.h"

#include <math.h>

/* ---- operators ---- */

static struct value int_overflow(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    return fail(e, frame, at, CHECK_int_range, "the result of `%s` has more than 64 bits", sign_text(at->sign));
}

static struct value checked_real(struct elaborator *e, struct frame *frame, struct syntax *at, double value)
{
    return isfinite(value) ? value_real(value) : fail(e, frame, at, CHECK_real_range, "the result is no finite number");
}

static struct value by_zero(struct elaborator *e, struct frame *frame, struct syntax *at, struct value divisor)
{
    fail(e, frame, at, CHECK_division_by_zero, "division by zero");
    explain(e, divisor);
    return ERROR_VALUE;
}

static struct value fraction(struct elaborator *e, struct frame *frame, struct syntax *at, double quotient)
{
    struct value value = checked_real(e, frame, at, quotient);
    if (value.kind == VALUE_REAL) {
        struct cause *cause = NEW(e->module, struct cause);
        *cause = (struct cause){NULL, value, at->span};
        value.cause = cause;
    }
    return value;
}

static int64_t remainder_of(int64_t a, int64_t b)
{
    int64_t rest = b == -1 ? 0 : a % b;
    return rest && (rest < 0) != (b < 0) ? rest + b : rest;
}

static struct value int_binary(struct elaborator *e, struct frame *frame, struct syntax *at, struct value x,
                               struct value y)
{
    int64_t a = x.integer, b = y.integer, result = 0;
    bool overflow = false;
    switch (at->sign) {
    case SIGN_add: overflow = __builtin_add_overflow(a, b, &result); break;
    case SIGN_sub: overflow = __builtin_sub_overflow(a, b, &result); break;
    case SIGN_mul: overflow = __builtin_mul_overflow(a, b, &result); break;
    case SIGN_div:
        if (b == 0) {
            return by_zero(e, frame, at, y);
        }
        if (b == -1) {
            overflow = __builtin_sub_overflow(0, a, &result);
            break;
        }
        if (a % b) {
            return fraction(e, frame, at, (double)a / (double)b);
        }
        result = a / b;
        break;
    default: /* % */
        if (b == 0) {
            return by_zero(e, frame, at, y);
        }
        result = remainder_of(a, b);
    }
    return overflow ? int_overflow(e, frame, at) : value_int(result);
}

static struct value real_binary(struct elaborator *e, struct frame *frame, struct syntax *at, double a, double b,
                                struct value y)
{
    switch (at->sign) {
    case SIGN_add: return checked_real(e, frame, at, a + b);
    case SIGN_sub: return checked_real(e, frame, at, a - b);
    case SIGN_mul: return checked_real(e, frame, at, a * b);
    case SIGN_div: return b == 0 ? by_zero(e, frame, at, y) : fraction(e, frame, at, a / b);
    default: return b == 0 ? by_zero(e, frame, at, y) : checked_real(e, frame, at, a - floor(a / b) * b);
    }
}

static struct value compare(struct syntax *at, struct value x, struct value y, double a, double b)
{
    bool ints = x.kind == VALUE_INT && y.kind == VALUE_INT;
    int order = ints ? (x.integer > y.integer) - (x.integer < y.integer) : (a > b) - (a < b);
    switch (at->sign) {
    case SIGN_lt: return value_bool(order < 0);
    case SIGN_le: return value_bool(order <= 0);
    case SIGN_gt: return value_bool(order > 0);
    default: return value_bool(order >= 0);
    }
}

static struct value wrong_operands(struct elaborator *e, struct frame *frame, struct syntax *at, struct value x,
                                   struct value y)
{
    fail_span(e, frame, at, at->mark, CHECK_operand_kind, "`%s` cannot take %s and %s", sign_text(at->sign),
              value_shown(e->module, x), value_shown(e->module, y));
    explain(e, x);
    explain(e, y);
    return ERROR_VALUE;
}

struct value number_binary(struct elaborator *e, struct frame *frame, struct syntax *at, struct value x, struct value y)
{
    if (at->sign == SIGN_eq || at->sign == SIGN_ne) {
        int equal = value_equal(x, y, &e->steps);
        return equal < 0 ? wrong_operands(e, frame, at, x, y) : value_bool(equal == (at->sign == SIGN_eq));
    }
    double a, b;
    if (!value_number(x, &a) || !value_number(y, &b)) {
        return wrong_operands(e, frame, at, x, y);
    }
    if (at->sign >= SIGN_lt && at->sign <= SIGN_ge) {
        return compare(at, x, y, a, b);
    }
    if (x.kind == VALUE_INT && y.kind == VALUE_INT) {
        return int_binary(e, frame, at, x, y);
    }
    return real_binary(e, frame, at, a, b, y);
}

/* ---- functions ---- */

static bool number_argument(struct call *call, double *number)
{
    struct value value = call->argument[0].value;
    if (value_number(value, number)) {
        return true;
    }
    argument_fails(call, call->item->params->child[0]->text, CHECK_argument_kind, "%s takes a number, this is %s",
                   call->item->name, value_shown(call->e->module, value));
    return false;
}

/* What was rounded, as an int. */
static struct value rounded(struct call *call, double (*rule)(double))
{
    double number;
    if (!number_argument(call, &number)) {
        return ERROR_VALUE;
    }
    struct value value = call->argument[0].value;
    if (value.kind == VALUE_INT) {
        return value_int(value.integer);
    }
    double whole = rule(number);
    if (fabs(whole) >= 0x1p63) {
        return fail(call->e, call->frame, call->at, CHECK_int_range, "%s gives an int, and %g has more than 64 bits",
                    call->item->name, whole);
    }
    return value_int((int64_t)whole);
}

struct value build_floor(struct call *call)
{
    return rounded(call, floor);
}

struct value build_ceil(struct call *call)
{
    return rounded(call, ceil);
}

struct value build_round(struct call *call)
{
    return rounded(call, nearbyint);
}

struct value build_abs(struct call *call)
{
    double number;
    if (!number_argument(call, &number)) {
        return ERROR_VALUE;
    }
    struct value value = call->argument[0].value;
    if (value.kind == VALUE_REAL) {
        return value_real(fabs(number));
    }
    if (value.integer == INT64_MIN) {
        return fail(call->e, call->frame, call->at, CHECK_int_range, "abs of the smallest int has more than 64 bits");
    }
    return value_int(value.integer < 0 ? -value.integer : value.integer);
}

struct value build_sqrt(struct call *call)
{
    double number;
    if (!number_argument(call, &number)) {
        return ERROR_VALUE;
    }
    return number < 0 ? fail(call->e, call->frame, call->at, CHECK_real_range, "sqrt of %g is no real number", number)
                      : value_real(sqrt(number));
}

struct value build_log2(struct call *call)
{
    double number;
    if (!number_argument(call, &number)) {
        return ERROR_VALUE;
    }
    return number <= 0 ? fail(call->e, call->frame, call->at, CHECK_real_range, "log2 of %g is no real number", number)
                       : value_real(log2(number));
}

/* The least (sign 1) or largest (sign -1) of the arguments, or of one list. */
static struct value extreme(struct call *call, int sign)
{
    const struct list *list = call->rest;
    if (list && list->count == 1 && list->item[0].kind == VALUE_LIST) {
        list = list->item[0].list;
    }
    if (!list || !list->count) {
        return fail(call->e, call->frame, call->at, CHECK_argument_missing, "%s of nothing", call->item->name);
    }
    if (!spend(call->e, call->frame, call->at, (int64_t)list->count)) {
        return ERROR_VALUE;
    }
    struct value best = list->item[0];
    for (size_t i = 0; i < list->count; i++) {
        struct value value = list->item[i];
        double a, b;
        if (!value_number(value, &a) || !value_number(best, &b)) {
            return fail(call->e, call->frame, call->at, CHECK_argument_kind, "%s takes numbers, this is %s",
                        call->item->name, value_shown(call->e->module, value));
        }
        bool ints = value.kind == VALUE_INT && best.kind == VALUE_INT;
        bool less = ints ? value.integer < best.integer : a < b, more = ints ? value.integer > best.integer : a > b;
        best = (sign > 0 ? less : more) ? value : best;
    }
    return best;
}

struct value build_min(struct call *call)
{
    return extreme(call, 1);
}

struct value build_max(struct call *call)
{
    return extreme(call, -1);
}

struct value build_length(struct call *call)
{
    struct value list = call->argument[0].value;
    if (list.kind == VALUE_LIST) {
        return value_int((int64_t)list.list->count);
    }
    return argument_fails(call, "list", CHECK_argument_kind, "length takes a list, this is %s",
                          value_shown(call->e->module, list));
}
