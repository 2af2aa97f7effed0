/* What the opcodes of pickles do: the functions of pickle_opcodes.def.
 *
 * What would surprise: a mark is a place in the stack and no value of it, and no opcode reaches below the last one.
 */
#include "weights/pickle_machine.h"

#include <string.h>

/* ---- the stack ---- */

static bool push(struct pickle *p, struct pickled *v)
{
    struct machine *m = p->machine;
    if (v)
        PUSH(m->arena, m->stack, m->count, m->capacity, v);
    return v;
}

static bool push_new(struct pickle *p, enum pickled_kind kind)
{
    return push(p, pickled_new(p, kind));
}

/* The k-th value from the top, counted from 0, above the last mark; NULL after a diagnostic. */
static struct pickled *peek(struct pickle *p, size_t k)
{
    struct machine *m = p->machine;
    size_t floor = m->n_mark ? m->mark[m->n_mark - 1] : 0;
    if (m->count - floor > k)
        return m->stack[m->count - 1 - k];
    PICKLE_FAULT(p, pickle_stack, "an opcode takes more than the stack has");
    return NULL;
}

static struct pickled *pop_one(struct pickle *p)
{
    struct pickled *v = peek(p, 0);
    p->machine->count -= v != NULL;
    return v;
}

/* Takes away the last mark and gives what stood above it, which stays readable until the next push. */
static bool pop_to_mark(struct pickle *p, struct pickled ***item, size_t *n)
{
    struct machine *m = p->machine;
    if (!m->n_mark)
        return PICKLE_FAULT(p, pickle_stack, "an opcode looks for a mark, and there is none");
    size_t from = m->mark[--m->n_mark];
    *item = m->stack ? m->stack + from : NULL; /* a mark may be the first of all */
    *n = m->count - from;
    m->count = from;
    return true;
}

static void extend(struct pickle *p, struct pickled *list, struct pickled **item, size_t n)
{
    for (size_t i = 0; i < n; i++)
        PUSH(p->machine->arena, list->list.item, list->list.count, list->list.capacity, item[i]);
}

static bool push_list(struct pickle *p, enum pickled_kind kind, struct pickled **item, size_t n)
{
    struct pickled *v = pickled_new(p, kind);
    extend(p, v, item, n);
    return push(p, v);
}

static bool push_from_mark(struct pickle *p, enum pickled_kind kind)
{
    struct pickled **item;
    size_t n;
    if (!pop_to_mark(p, &item, &n))
        return false;
    if (kind == VALUE_DICT && n % 2)
        return PICKLE_FAULT(p, pickle_stack, "a key has no value");
    return push_list(p, kind, item, n);
}

static bool push_tuple(struct pickle *p, size_t n)
{
    struct machine *m = p->machine;
    if (!peek(p, n - 1))
        return false;
    m->count -= n;
    return push_list(p, VALUE_TUPLE, m->stack + m->count, n);
}

/* ---- what the opcodes do ---- */

#define UNUSED   __attribute__((unused))
#define DO(name) static bool do_##name(UNUSED struct pickle *p, UNUSED const struct operand *o)

#define do_refuse NULL

DO(proto)
{
    return (o->number >= 2 && o->number <= 5) ||
           PICKLE_FAULT(p, pickle_opcode, "pickles of protocol %lld are not known", (long long)o->number);
}

DO(frame)
{
    return true;
}

DO(mark)
{
    struct machine *m = p->machine;
    PUSH(m->arena, m->mark, m->n_mark, m->cap_mark, m->count);
    return true;
}

DO(stop)
{
    struct machine *m = p->machine;
    m->stopped = m->count == 1 && !m->n_mark;
    return m->stopped || PICKLE_FAULT(p, pickle_stack, "at its end the stack holds %zu values, not one", m->count);
}

DO(pop)
{
    struct machine *m = p->machine;
    if (m->n_mark && m->mark[m->n_mark - 1] == m->count)
        return m->n_mark--, true;
    return pop_one(p);
}

DO(pop_mark)
{
    struct pickled **item;
    size_t n;
    return pop_to_mark(p, &item, &n);
}

DO(dup)
{
    return push(p, peek(p, 0));
}

/* ---- scalars and texts ---- */

static bool push_bool(struct pickle *p, bool yes)
{
    struct pickled *v = pickled_new(p, VALUE_BOOL);
    v->number = yes;
    return push(p, v);
}

static bool push_int(struct pickle *p, int64_t number)
{
    struct pickled *v = pickled_new(p, VALUE_INT);
    v->number = number;
    return push(p, v);
}

static bool push_text(struct pickle *p, enum pickled_kind kind, const unsigned char *bytes, size_t length)
{
    struct pickled *v = pickled_new(p, kind);
    v->text.bytes = (const char *)bytes;
    v->text.length = length;
    return push(p, v);
}

DO(none)
{
    return push_new(p, VALUE_NONE);
}

DO(true)
{
    return push_bool(p, true);
}

DO(false)
{
    return push_bool(p, false);
}

/* No float says anything about a tensor. */
DO(float)
{
    return push_new(p, VALUE_FLOAT);
}

DO(integer)
{
    return push_int(p, o->number);
}

/* -123 at the beginning of a line, with the L of a Python 2 long; false where it is none or has more than 18 digits. */
static bool read_decimal(const struct operand *o, int64_t *number)
{
    size_t n = o->length, at = n && o->bytes[0] == '-';
    if (n > at && o->bytes[n - 1] == 'L')
        n--;
    *number = 0;
    if (n == at || n - at > 18)
        return false;
    for (size_t i = at; i < n; i++) {
        if (o->bytes[i] < '0' || o->bytes[i] > '9')
            return false;
        *number = *number * 10 + (o->bytes[i] - '0');
    }
    *number = at ? -*number : *number;
    return true;
}

DO(decimal)
{
    int64_t number;
    if (o->length == 2 && o->bytes[0] == '0' && (o->bytes[1] == '0' || o->bytes[1] == '1'))
        return push_bool(p, o->bytes[1] == '1'); /* protocol 0 writes bools as I00 and I01 */
    return read_decimal(o, &number) ? push_int(p, number) : push_new(p, VALUE_OTHER);
}

/* Little-endian, two's complement, of any length. */
DO(long)
{
    uint64_t number = o->length && o->bytes[o->length - 1] & 0x80 ? UINT64_MAX : 0;
    if (o->length > 8)
        return push_new(p, VALUE_OTHER);
    for (size_t i = o->length; i-- > 0;)
        number = number << 8 | o->bytes[i];
    return push_int(p, (int64_t)number);
}

DO(text)
{
    return push_text(p, VALUE_TEXT, o->bytes, o->length);
}

DO(bytes)
{
    return push_text(p, VALUE_BYTES, o->bytes, o->length);
}

DO(quoted)
{
    if (o->length < 2 || memchr(o->bytes, '\\', o->length))
        return push_new(p, VALUE_OTHER);
    return push_text(p, VALUE_TEXT, o->bytes + 1, o->length - 2);
}

/* ---- lists, tuples, dictionaries, sets ---- */

DO(empty_tuple)
{
    return push_new(p, VALUE_TUPLE);
}

DO(tuple)
{
    return push_from_mark(p, VALUE_TUPLE);
}

DO(tuple1)
{
    return push_tuple(p, 1);
}

DO(tuple2)
{
    return push_tuple(p, 2);
}

DO(tuple3)
{
    return push_tuple(p, 3);
}

DO(empty_list)
{
    return push_new(p, VALUE_LIST);
}

DO(list)
{
    return push_from_mark(p, VALUE_LIST);
}

DO(empty_dict)
{
    return push_new(p, VALUE_DICT);
}

DO(dict)
{
    return push_from_mark(p, VALUE_DICT);
}

DO(empty_set)
{
    return push_new(p, VALUE_OTHER);
}

DO(frozenset)
{
    return push_from_mark(p, VALUE_OTHER);
}

static bool is_kind(struct pickle *p, const struct pickled *v, enum pickled_kind kind)
{
    return v && (v->kind == kind || PICKLE_FAULT(p, pickle_stack, "an opcode for %s finds %s", pickled_kind_name(kind),
                                                 pickled_kind_name(v->kind)));
}

/* Puts what stands above the mark into the value below it. */
static bool add_from_mark(struct pickle *p, enum pickled_kind kind)
{
    struct pickled **item, *to;
    size_t n;
    if (!pop_to_mark(p, &item, &n) || !(to = peek(p, 0)))
        return false;
    if (to->kind == VALUE_OTHER)
        return true; /* a set, or what is not looked into */
    if (!is_kind(p, to, kind))
        return false;
    if (kind == VALUE_DICT && n % 2)
        return PICKLE_FAULT(p, pickle_stack, "a key has no value");
    extend(p, to, item, n);
    return true;
}

DO(appends)
{
    return add_from_mark(p, VALUE_LIST);
}

DO(setitems)
{
    return add_from_mark(p, VALUE_DICT);
}

DO(additems)
{
    return add_from_mark(p, VALUE_OTHER);
}

DO(append)
{
    struct pickled *to = peek(p, 1);
    if (!is_kind(p, to, VALUE_LIST))
        return false;
    p->machine->count--;
    extend(p, to, &p->machine->stack[p->machine->count], 1);
    return true;
}

DO(setitem)
{
    struct pickled *to = peek(p, 2);
    if (!is_kind(p, to, VALUE_DICT))
        return false;
    p->machine->count -= 2;
    extend(p, to, &p->machine->stack[p->machine->count], 2);
    return true;
}

/* ---- the memo ---- */

static bool remember(struct pickle *p, int64_t place)
{
    struct machine *m = p->machine;
    struct pickled *v = peek(p, 0);
    if (!v)
        return false;
    if (place < 0 || place >= MOST_STEPS)
        return PICKLE_FAULT(p, pickle_size, "place %lld of the memo: there are at most %d", (long long)place,
                            MOST_STEPS);
    if ((size_t)place >= m->memo_size) {
        size_t size = m->memo_size ? 2 * m->memo_size : 256;
        while (size <= (size_t)place)
            size *= 2;
        struct pickled **memo = NEW_ARRAY(m->arena, struct pickled *, size);
        if (m->memo_size)
            memcpy(memo, m->memo, m->memo_size * sizeof *memo);
        m->memo = memo;
        m->memo_size = size;
    }
    m->n_memo += !m->memo[place];
    m->memo[place] = v;
    return true;
}

static bool recall(struct pickle *p, int64_t place)
{
    const struct machine *m = p->machine;
    if (place < 0 || (size_t)place >= m->memo_size || !m->memo[place])
        return PICKLE_FAULT(p, pickle_stack, "place %lld of the memo is empty", (long long)place);
    return push(p, m->memo[place]);
}

DO(put)
{
    return remember(p, o->number);
}

DO(get)
{
    return recall(p, o->number);
}

DO(memoize)
{
    return remember(p, (int64_t)p->machine->n_memo);
}

DO(put_decimal)
{
    int64_t place;
    return remember(p, read_decimal(o, &place) ? place : -1);
}

DO(get_decimal)
{
    int64_t place;
    return recall(p, read_decimal(o, &place) ? place : -1);
}

/* ---- globals and what is made by them ---- */

static bool is_of_a_model(const char *module, size_t length)
{
    static const char *const known[] = {"torch.nn.", "torchvision.", "timm.", "__main__", "models", "__torch__"};
    for (size_t i = 0; i < LENGTH(known); i++)
        if (length >= strlen(known[i]) && memcmp(module, known[i], strlen(known[i])) == 0)
            return true;
    return false;
}

static bool push_global(struct pickle *p, const unsigned char *module, size_t module_length, const unsigned char *name,
                        size_t name_length)
{
    const struct global *g = global_find(p, (const char *)module, module_length, (const char *)name, name_length);
    if (!g)
        return PICKLE_FAULT(
            p, pickle_global,
            "it asks for %.*s.%.*s, which is not on the list of what a checkpoint may name; "
            "nothing was run%s",
            (int)(module_length > SHOWN ? SHOWN : module_length), module,
            (int)(name_length > SHOWN ? SHOWN : name_length), name,
            is_of_a_model((const char *)module, module_length)
                ? ": the file holds a model, not its state_dict, which torch.save(model.state_dict(), FILE) writes"
                : "");
    struct pickled *v = pickled_new(p, VALUE_GLOBAL);
    v->global = g;
    return push(p, v);
}

DO(global)
{
    return push_global(p, o->bytes, o->length, o->second, o->second_length);
}

DO(stack_global)
{
    struct pickled *name = peek(p, 0), *module = peek(p, 1);
    if (!is_kind(p, name, VALUE_TEXT) || !is_kind(p, module, VALUE_TEXT))
        return false;
    p->machine->count -= 2;
    return push_global(p, (const unsigned char *)module->text.bytes, module->text.length,
                       (const unsigned char *)name->text.bytes, name->text.length);
}

DO(reduce)
{
    struct pickled *arguments = peek(p, 0), *function = peek(p, 1);
    if (!is_kind(p, arguments, VALUE_TUPLE) || !is_kind(p, function, VALUE_GLOBAL))
        return false;
    p->machine->count -= 2;
    return push(p, global_call(p, function->global, arguments));
}

/* The attributes of a dictionary or of something that nobody looks into are ignored. */
DO(build)
{
    struct pickled *to = peek(p, 1);
    if (!to)
        return false;
    if (to->kind != VALUE_DICT && to->kind != VALUE_OTHER)
        return PICKLE_FAULT(p, pickle_stack, "BUILD gives attributes to %s", pickled_kind_name(to->kind));
    p->machine->count--;
    return true;
}

DO(persistent)
{
    struct pickled *id = pop_one(p);
    return id && push(p, p->persistent(p, id));
}

const struct opcode pickle_opcode[256] = {
#define OPCODE(byte, name, operand, run) [byte] = {#name, operand, do_##run},
#include "weights/pickle_opcodes.def"
#undef OPCODE
};
