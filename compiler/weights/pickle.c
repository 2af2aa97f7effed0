/* The machine of pickles: a stack, a memo, a table of opcodes.
 *
 * What would surprise: nothing recurses, since values hold pointers and the machine looks at the top of its stack alone,
 * so that nesting has no depth; what a memo shares stays shared, so that nothing grows but by a step of the text. Steps
 * are limited, and with them all memory. A mark is a place in the stack, and no opcode reaches below the last one.
 */
#include "weights/pickle.h"

#include <string.h>

enum { MOST_STEPS = 4 << 20 };

struct operand {
    const unsigned char *bytes; /* of BYTES and LINE */
    size_t length;
    const unsigned char *second; /* of LINES2 */
    size_t second_length;
    int64_t number; /* of the others */
};

struct machine {
    struct arena *arena;
    struct pickled **stack;
    size_t count, capacity;
    size_t *mark, n_mark, cap_mark;
    struct pickled **memo;
    size_t n_memo, memo_size;
    bool stopped;
};

static const char *const kind_name[] = {
    [VALUE_NONE] = "None",       [VALUE_BOOL] = "a bool",       [VALUE_INT] = "an int",
    [VALUE_FLOAT] = "a float",   [VALUE_TEXT] = "a text",       [VALUE_BYTES] = "bytes",
    [VALUE_TUPLE] = "a tuple",   [VALUE_LIST] = "a list",       [VALUE_DICT] = "a dictionary",
    [VALUE_GLOBAL] = "a global", [VALUE_STORAGE] = "a storage", [VALUE_TENSOR] = "a tensor",
    [VALUE_OTHER] = "an object",
};

const char *pickled_kind_name(enum pickled_kind kind)
{
    return kind_name[kind];
}

struct pickled *pickled_new(struct pickle *p, enum pickled_kind kind)
{
    struct pickled *v = NEW(p->file->arena, struct pickled);
    v->kind = kind;
    return v;
}

bool pickled_is_text(const struct pickled *v, const char *text)
{
    return v && v->kind == VALUE_TEXT && v->text.length == strlen(text) &&
           memcmp(v->text.bytes, text, v->text.length) == 0;
}

const struct pickled *pickled_get(const struct pickled *dict, const char *key, size_t length)
{
    const struct pickled *found = NULL;
    for (size_t i = 0; dict->kind == VALUE_DICT && i + 1 < dict->list.count; i += 2) {
        const struct pickled *k = dict->list.item[i];
        if (k->kind == VALUE_TEXT && k->text.length == length && memcmp(k->text.bytes, key, length) == 0)
            found = dict->list.item[i + 1];
    }
    return found;
}

const char *pickled_text(struct arena *arena, const struct pickled *v)
{
    return arena_copy(arena, v->text.bytes, v->text.length);
}

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
    *item = m->stack + from;
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

#define DO(name)    static bool do_##name(struct pickle *p, const struct operand *o)
#define UNUSED_HERE (void)p, (void)o

DO(refuse)
{
    UNUSED_HERE;
    return false; /* refused before */
}

DO(proto)
{
    return (o->number >= 2 && o->number <= 5) ||
           PICKLE_FAULT(p, pickle_opcode, "pickles of protocol %lld are not known", (long long)o->number);
}

DO(frame)
{
    UNUSED_HERE;
    return true;
}

DO(mark)
{
    struct machine *m = p->machine;
    UNUSED_HERE;
    PUSH(m->arena, m->mark, m->n_mark, m->cap_mark, m->count);
    return true;
}

DO(stop)
{
    struct machine *m = p->machine;
    UNUSED_HERE;
    m->stopped = m->count == 1 && !m->n_mark;
    return m->stopped || PICKLE_FAULT(p, pickle_stack, "at its end the stack holds %zu values, not one", m->count);
}

DO(pop)
{
    struct machine *m = p->machine;
    UNUSED_HERE;
    if (m->n_mark && m->mark[m->n_mark - 1] == m->count)
        return m->n_mark--, true;
    return pop_one(p);
}

DO(pop_mark)
{
    struct pickled **item;
    size_t n;
    UNUSED_HERE;
    return pop_to_mark(p, &item, &n);
}

DO(dup)
{
    UNUSED_HERE;
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
    UNUSED_HERE;
    return push_new(p, VALUE_NONE);
}

DO(true)
{
    UNUSED_HERE;
    return push_bool(p, true);
}

DO(false)
{
    UNUSED_HERE;
    return push_bool(p, false);
}

DO(float)
{
    UNUSED_HERE; /* no float says anything about a tensor */
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
    UNUSED_HERE;
    return push_new(p, VALUE_TUPLE);
}

DO(tuple)
{
    UNUSED_HERE;
    return push_from_mark(p, VALUE_TUPLE);
}

DO(tuple1)
{
    UNUSED_HERE;
    return push_tuple(p, 1);
}

DO(tuple2)
{
    UNUSED_HERE;
    return push_tuple(p, 2);
}

DO(tuple3)
{
    UNUSED_HERE;
    return push_tuple(p, 3);
}

DO(empty_list)
{
    UNUSED_HERE;
    return push_new(p, VALUE_LIST);
}

DO(list)
{
    UNUSED_HERE;
    return push_from_mark(p, VALUE_LIST);
}

DO(empty_dict)
{
    UNUSED_HERE;
    return push_new(p, VALUE_DICT);
}

DO(dict)
{
    UNUSED_HERE;
    return push_from_mark(p, VALUE_DICT);
}

DO(empty_set)
{
    UNUSED_HERE;
    return push_new(p, VALUE_OTHER);
}

DO(frozenset)
{
    UNUSED_HERE;
    return push_from_mark(p, VALUE_OTHER);
}

static bool is_kind(struct pickle *p, const struct pickled *v, enum pickled_kind kind)
{
    return v && (v->kind == kind ||
                 PICKLE_FAULT(p, pickle_stack, "an opcode for %s finds %s", kind_name[kind], kind_name[v->kind]));
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
    UNUSED_HERE;
    return add_from_mark(p, VALUE_LIST);
}

DO(setitems)
{
    UNUSED_HERE;
    return add_from_mark(p, VALUE_DICT);
}

DO(additems)
{
    UNUSED_HERE;
    return add_from_mark(p, VALUE_OTHER);
}

DO(append)
{
    struct pickled *to = peek(p, 1);
    UNUSED_HERE;
    if (!is_kind(p, to, VALUE_LIST))
        return false;
    p->machine->count--;
    extend(p, to, &p->machine->stack[p->machine->count], 1);
    return true;
}

DO(setitem)
{
    struct pickled *to = peek(p, 2);
    UNUSED_HERE;
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
    UNUSED_HERE;
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
    UNUSED_HERE;
    if (!is_kind(p, name, VALUE_TEXT) || !is_kind(p, module, VALUE_TEXT))
        return false;
    p->machine->count -= 2;
    return push_global(p, (const unsigned char *)module->text.bytes, module->text.length,
                       (const unsigned char *)name->text.bytes, name->text.length);
}

DO(reduce)
{
    struct pickled *arguments = peek(p, 0), *function = peek(p, 1);
    UNUSED_HERE;
    if (!is_kind(p, arguments, VALUE_TUPLE) || !is_kind(p, function, VALUE_GLOBAL))
        return false;
    p->machine->count -= 2;
    return push(p, global_call(p, function->global, arguments));
}

/* The attributes of a dictionary or of something that nobody looks into are ignored. */
DO(build)
{
    struct pickled *to = peek(p, 1);
    UNUSED_HERE;
    if (!to)
        return false;
    if (to->kind != VALUE_DICT && to->kind != VALUE_OTHER)
        return PICKLE_FAULT(p, pickle_stack, "BUILD gives attributes to %s", kind_name[to->kind]);
    p->machine->count--;
    return true;
}

DO(persistent)
{
    struct pickled *id = pop_one(p);
    UNUSED_HERE;
    return id && push(p, p->persistent(p, id));
}

/* ---- the table and the loop ---- */

enum operand_kind { NONE, U1, U2, U4, U8, S4, BYTES1, BYTES4, BYTES8, BYTES_OF_8, LINE, LINES2 };

static const struct opcode {
    const char *name;
    enum operand_kind operand;
    bool (*run)(struct pickle *, const struct operand *);
} opcodes[256] = {
#define OPCODE(byte, name, operand, run) [byte] = {#name, operand, do_##run},
#include "weights/pickle_opcodes.def"
#undef OPCODE
};

static bool cut_off(struct pickle *p)
{
    return PICKLE_FAULT(p, pickle_end, "the pickle is cut off here");
}

static bool read_bytes(struct pickle *p, uint64_t n, const unsigned char **bytes, size_t *length)
{
    if (n > p->length - p->at)
        return cut_off(p);
    *bytes = p->bytes + p->at;
    *length = (size_t)n;
    p->at += (size_t)n;
    return true;
}

static bool read_line(struct pickle *p, const unsigned char **bytes, size_t *length)
{
    const unsigned char *from = p->bytes + p->at, *end = memchr(from, '\n', p->length - p->at);
    if (!end)
        return cut_off(p);
    return read_bytes(p, (uint64_t)(end - from), bytes, length) && (p->at++, true);
}

static bool read_number(struct pickle *p, int n, uint64_t *number)
{
    const unsigned char *bytes;
    size_t length;
    if (!read_bytes(p, (uint64_t)n, &bytes, &length))
        return false;
    *number = 0;
    for (int i = n; i-- > 0;)
        *number = *number << 8 | bytes[i];
    return true;
}

static bool read_operand(struct pickle *p, enum operand_kind kind, struct operand *o)
{
    static const int bytes_of[] = {
        [U1] = 1, [U2] = 2, [U4] = 4, [U8] = 8, [S4] = 4, [BYTES1] = 1, [BYTES4] = 4, [BYTES8] = 8};
    uint64_t number = 0;
    switch (kind) {
    case NONE: return true;
    case LINE: return read_line(p, &o->bytes, &o->length);
    case LINES2: return read_line(p, &o->bytes, &o->length) && read_line(p, &o->second, &o->second_length);
    case BYTES_OF_8: return read_bytes(p, 8, &o->bytes, &o->length);
    default: break;
    }
    if (!read_number(p, bytes_of[kind], &number))
        return false;
    o->number = kind == S4 ? (int32_t)number : (int64_t)number;
    return (kind != BYTES1 && kind != BYTES4 && kind != BYTES8) || read_bytes(p, number, &o->bytes, &o->length);
}

static bool refuse_opcode(struct pickle *p, const struct opcode *op, const struct operand *o)
{
    if (op->operand == LINES2)
        return PICKLE_FAULT(p, pickle_opcode,
                            "%s makes an object of %.*s.%.*s, which no checkpoint needs; nothing was run", op->name,
                            (int)(o->length > SHOWN ? SHOWN : o->length), o->bytes,
                            (int)(o->second_length > SHOWN ? SHOWN : o->second_length), o->second);
    return PICKLE_FAULT(p, pickle_opcode, "the opcode %s, which no checkpoint needs; nothing was run", op->name);
}

static bool step(struct pickle *p)
{
    p->step = p->at;
    if (p->at == p->length)
        return cut_off(p);
    const struct opcode *op = &opcodes[p->bytes[p->at++]];
    struct operand o = {0};
    if (!op->name)
        return PICKLE_FAULT(p, pickle_opcode, "%02x is no opcode of a pickle", p->bytes[p->step]);
    if (!read_operand(p, op->operand, &o))
        return false;
    return op->run == do_refuse ? refuse_opcode(p, op, &o) : op->run(p, &o);
}

struct pickled *pickle_run(struct pickle *p)
{
    struct machine m = {.arena = p->file->arena};
    p->machine = &m;
    p->step = p->at;
    for (int steps = 0; !m.stopped; steps++) {
        if (steps == MOST_STEPS)
            return PICKLE_FAULT(p, pickle_size, "more than %d steps", MOST_STEPS), NULL;
        if (!step(p))
            return NULL;
    }
    return m.stack[0];
}
