/* Values of the language: making, showing and comparing them.
 *
 * What would surprise: a value knows the name it was last read from (its cause), so that an error can say "inner = 100
 * was set here"; it loses it in arithmetic, but a division that was not exact is remembered as the reason of a
 * fraction.
 */
#include "front/internal.h"

#include <math.h>
#include <string.h>

struct value value_int(int64_t integer)
{
    return (struct value){.kind = VALUE_INT, .integer = integer};
}

struct value value_real(double real)
{
    return (struct value){.kind = VALUE_REAL, .real = real};
}

struct value value_bool(bool truth)
{
    return (struct value){.kind = VALUE_BOOL, .truth = truth};
}

struct value value_string(const char *string)
{
    return (struct value){.kind = VALUE_STRING, .string = string};
}

struct value value_tensor(struct node *node)
{
    return node ? (struct value){.kind = VALUE_TENSOR, .tensor = node} : ERROR_VALUE;
}

struct value value_list(struct arena *arena, size_t count)
{
    struct list *list = NEW(arena, struct list);
    list->count = count;
    list->depth = 1;
    list->item = NEW_ARRAY(arena, struct value, count + 1);
    return (struct value){.kind = VALUE_LIST, .list = list};
}

struct value list_close(struct value value)
{
    struct list *list = (struct list *)value.list;
    for (size_t i = 0; i < list->count; i++) {
        struct value item = list->item[i];
        bool nested = item.kind == VALUE_LIST;
        list->depth = nested && item.list->depth >= list->depth ? item.list->depth + 1 : list->depth;
        list->holds_tensor |= value_holds_tensor(item);
    }
    return value;
}

struct value value_named(struct arena *arena, struct value value, const char *name, struct span span)
{
    if (value.kind != VALUE_ERROR && value.kind != VALUE_TENSOR && value.kind <= VALUE_FUNCTION) {
        struct cause *cause = NEW(arena, struct cause);
        *cause = (struct cause){name, value, span};
        value.cause = cause;
    }
    return value;
}

/* ---- showing ---- */

const char *value_kind_name(enum value_kind kind)
{
    static const char *const names[] = {
#define VALUE(kind, text) text,
#include "front/values.def"
#undef VALUE
    };
    return names[kind];
}

enum { MOST_SHOWN = 12 };

static void print_shape(struct text *text, struct shape shape)
{
    for (int i = 0; i < shape.rank; i++) {
        text_add(text, "%s%lld", i ? "," : "[", (long long)shape.dim[i]);
    }
    text_put(text, shape.rank ? "]" : "[]", shape.rank ? 1 : 2);
}

/* At most MOST_SHOWN numbers and names in all, however lists are nested. */
static void print_value(struct text *text, struct value value, bool quoted, int *left)
{
    if (--*left < 0) {
        text_add(text, *left == -1 ? "..." : "");
        return;
    }
    switch (value.kind) {
    case VALUE_INT: text_add(text, "%lld", (long long)value.integer); break;
    case VALUE_REAL: text_add(text, "%.12g", value.real); break;
    case VALUE_BOOL: text_add(text, value.truth ? "true" : "false"); break;
    case VALUE_STRING: text_add(text, quoted ? "\"%s\"" : "%s", value.string); break;
    case VALUE_TENSOR: print_shape(text, value.tensor->type.shape); break;
    case VALUE_BLOCK:
    case VALUE_FUNCTION: text_add(text, "%s", value.bound->item->name); break;
    case VALUE_LIST:
        text_put(text, "[", 1);
        for (size_t i = 0; i < value.list->count && *left >= 0; i++) {
            text_add(text, i ? ", " : "");
            print_value(text, value.list->item[i], true, left);
        }
        text_put(text, "]", 1);
        break;
    default: text_add(text, "%s", value_kind_name(value.kind)); break;
    }
}

void value_print(struct text *text, struct value value)
{
    int left = MOST_SHOWN;
    print_value(text, value, false, &left);
}

const char *value_shown(struct arena *arena, struct value value)
{
    struct text text = {.arena = arena};
    int left = MOST_SHOWN;
    bool kind_first = value.kind == VALUE_STRING || value.kind == VALUE_LIST || value.kind == VALUE_TENSOR ||
                      value.kind == VALUE_BLOCK || value.kind == VALUE_FUNCTION;
    if (kind_first) {
        text_add(&text, "the %s ", strchr(value_kind_name(value.kind), ' ') + 1);
    }
    print_value(&text, value, true, &left);
    return text_string(&text);
}

/* ---- asking ---- */

bool value_holds_tensor(struct value value)
{
    return value.kind == VALUE_TENSOR || value.kind == VALUE_PICTURE ||
           (value.kind == VALUE_LIST && value.list->holds_tensor);
}

bool value_whole(struct value value, int64_t *whole)
{
    if (value.kind == VALUE_INT) {
        *whole = value.integer;
        return true;
    }
    if (value.kind == VALUE_REAL && value.real == floor(value.real) && fabs(value.real) < 0x1p63) {
        *whole = (int64_t)value.real;
        return true;
    }
    return false;
}

bool value_number(struct value value, double *number)
{
    *number = value.kind == VALUE_INT ? (double)value.integer : value.real;
    return value.kind == VALUE_INT || value.kind == VALUE_REAL;
}

static int lists_equal(const struct list *a, const struct list *b, int64_t *steps)
{
    if (a->count != b->count) {
        return 0;
    }
    for (size_t i = 0; i < a->count; i++) {
        int equal = value_equal(a->item[i], b->item[i], steps);
        if (equal != 1) {
            return equal;
        }
    }
    return 1;
}

int value_equal(struct value a, struct value b, int64_t *steps)
{
    if (++*steps > MOST_STEPS) {
        return 0;
    }
    if (a.kind == VALUE_INT && b.kind == VALUE_INT) {
        return a.integer == b.integer;
    }
    double x, y;
    if (value_number(a, &x) && value_number(b, &y)) {
        return x == y;
    }
    if (a.kind != b.kind) {
        return -1;
    }
    switch (a.kind) {
    case VALUE_BOOL: return a.truth == b.truth;
    case VALUE_STRING: return !strcmp(a.string, b.string);
    case VALUE_LIST: return lists_equal(a.list, b.list, steps);
    default: return -1;
    }
}
