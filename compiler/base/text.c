/* Growing strings, interned names, and the name that was probably meant.
 *
 * Names are compared by pointer all over the compiler, so every name goes through intern() once. The table lives for
 * the whole run, like the perm arena. */

#include "base/base.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void text_reserve(struct text *text, size_t more)
{
    size_t need = text->length + more + 1;
    if (need <= text->capacity) {
        return;
    }
    size_t capacity = text->capacity ? text->capacity * 2 : 64;
    while (capacity < need) {
        capacity *= 2;
    }
    char *bytes = arena_alloc(text->arena, capacity);
    if (text->length > 0) {
        memcpy(bytes, text->bytes, text->length);
    }
    text->bytes = bytes;
    text->capacity = capacity;
}

void text_put(struct text *text, const char *bytes, size_t n)
{
    text_reserve(text, n);
    if (n > 0) {
        memcpy(text->bytes + text->length, bytes, n);
    }
    text->length += n;
    text->bytes[text->length] = '\0';
}

void text_add_v(struct text *text, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    size_t room = text->capacity - text->length;
    int n = vsnprintf(text->bytes ? text->bytes + text->length : NULL, text->bytes ? room : 0, format, args);
    if (n >= 0 && (!text->bytes || (size_t)n >= room)) {
        text_reserve(text, (size_t)n);
        vsnprintf(text->bytes + text->length, text->capacity - text->length, format, again);
    }
    va_end(again);
    if (n > 0) {
        text->length += (size_t)n;
    }
}

void text_add(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_add_v(text, format, args);
    va_end(args);
}

const char *text_string(const struct text *text)
{
    return text->bytes ? text->bytes : "";
}

/* ---- interned names: open addressing, at most half full ---- */

struct name {
    uint64_t hash;
    size_t length;
    const char *bytes;
};

static struct {
    struct arena *arena;
    struct name *slot;
    size_t count, size; /* size: a power of two */
} names;

static uint64_t hash_bytes(const char *bytes, size_t n)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    }
    return hash;
}

static struct name *find_slot(struct name *slot, size_t size, uint64_t hash, const char *bytes, size_t n)
{
    size_t i = (size_t)(hash ^ hash >> 32) & (size - 1);
    while (slot[i].bytes &&
           (slot[i].hash != hash || slot[i].length != n || (n > 0 && memcmp(slot[i].bytes, bytes, n) != 0))) {
        i = (i + 1) & (size - 1);
    }
    return &slot[i];
}

static void grow_names(void)
{
    if (!names.arena) {
        names.arena = arena_new("names");
    }
    size_t size = names.size ? names.size * 2 : 1024;
    struct name *slot = NEW_ARRAY(names.arena, struct name, size);
    for (size_t i = 0; i < names.size; i++) {
        struct name old = names.slot[i];
        if (old.bytes) {
            *find_slot(slot, size, old.hash, old.bytes, old.length) = old;
        }
    }
    names.slot = slot;
    names.size = size;
}

const char *intern_n(const char *bytes, size_t n)
{
    if (names.count * 2 >= names.size) {
        grow_names();
    }
    uint64_t hash = hash_bytes(bytes, n);
    struct name *slot = find_slot(names.slot, names.size, hash, bytes, n);
    if (!slot->bytes) {
        *slot = (struct name){hash, n, arena_copy(names.arena, bytes, n)};
        names.count++;
    }
    return slot->bytes;
}

const char *intern(const char *string)
{
    return intern_n(string, strlen(string));
}

const char *intern_printf(const char *format, ...)
{
    char small[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    const char *result;
    if (n >= 0 && (size_t)n < sizeof small) {
        result = intern_n(small, (size_t)n);
    } else {
        struct arena *arena = arena_new("name");
        struct text text = {.arena = arena};
        text_add_v(&text, format, again);
        result = intern_n(text_string(&text), text.length);
        arena_free(arena);
    }
    va_end(again);
    va_end(args);
    return result;
}

/* ---- "did you mean" ---- */

enum { LONGEST_COMPARED = 200 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Restricted edit distance (insert, delete, change, swap of neighbours), or limit + 1 as soon as it must be above the limit. */
static int edit_distance(const char *a, int n, const char *b, int m, int limit)
{
    int rows[3][LONGEST_COMPARED + 1];
    int *before = rows[0], *last = rows[1], *row = rows[2];
    for (int j = 0; j <= m; j++) {
        last[j] = j;
    }
    for (int i = 1; i <= n; i++) {
        int smallest = row[0] = i;
        for (int j = 1; j <= m; j++) {
            int cost = a[i - 1] != b[j - 1];
            row[j] = least(least(last[j] + 1, row[j - 1] + 1), last[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
            smallest = least(smallest, row[j]);
        }
        if (smallest > limit) {
            return limit + 1;
        }
        int *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[m];
}

const char *nearest_name(const char *name, const char *const *candidates, size_t n)
{
    size_t length = strlen(name);
    const char *best = NULL;
    int best_distance = LONGEST_COMPARED;
    if (length > LONGEST_COMPARED) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        size_t other = strlen(candidates[i]);
        if (other > LONGEST_COMPARED) {
            continue;
        }
        if (strcasecmp(name, candidates[i]) == 0) {
            return candidates[i];
        }
        /* About a third of the longer name: `strid` means stride, `x` means nothing. */
        int limit = least(((int)(length > other ? length : other) + 1) / 3, best_distance - 1);
        if ((length > other ? length - other : other - length) > (size_t)(limit < 0 ? 0 : limit)) {
            continue;
        }
        int distance = edit_distance(name, (int)length, candidates[i], (int)other, limit);
        if (distance <= limit) {
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}

const char *grouped_digits(struct arena *arena, int64_t n)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" PRId64, n);
    struct text text = {.arena = arena};
    for (int i = 0; i < length; i++) {
        bool comma = i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-';
        text_add(&text, "%s%c", comma ? "," : "", digits[i]);
    }
    return text_string(&text);
}
