/* The machine of pickles: reads an opcode with its operand, does it, until STOP.
 *
 * What would surprise: nothing recurses, since values hold pointers and the machine looks at the top of its stack alone,
 * so that nesting has no depth; what a memo shares stays shared, so that nothing grows but by a step of the text. Steps
 * are limited, and with them all memory.
 */
#include "weights/pickle_machine.h"

#include <string.h>

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

/* ---- operands ---- */

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

/* ---- steps ---- */

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
    const struct opcode *op = &pickle_opcode[p->bytes[p->at++]];
    struct operand o = {0};
    if (!op->name)
        return PICKLE_FAULT(p, pickle_opcode, "%02x is no opcode of a pickle", p->bytes[p->step]);
    if (!read_operand(p, op->operand, &o))
        return false;
    return op->run ? op->run(p, &o) : refuse_opcode(p, op, &o);
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
