/* Numbers by name: open addressing, at most half full. Names come out of files, so that they are not interned. */
#include <string.h>

#include "weights/checkpoint.h"

static size_t slot_of(const struct name_index *x, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (const char *p = name; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 0x100000001b3u;
    size_t slot = (size_t)(hash ^ hash >> 32) & (x->n_slot - 1);
    while (x->name[slot] && strcmp(x->name[slot], name) != 0)
        slot = (slot + 1) & (x->n_slot - 1);
    return slot;
}

static void grow(struct name_index *x)
{
    struct name_index more = {.arena = x->arena, .n_slot = x->n_slot ? 2 * x->n_slot : 64, .count = x->count};
    more.name = NEW_ARRAY(x->arena, const char *, more.n_slot);
    more.value = NEW_ARRAY(x->arena, size_t, more.n_slot);
    for (size_t i = 0; i < x->n_slot; i++) {
        if (!x->name[i])
            continue;
        size_t slot = slot_of(&more, x->name[i]);
        more.name[slot] = x->name[i];
        more.value[slot] = x->value[i];
    }
    *x = more;
}

size_t *name_index_put(struct name_index *x, const char *name, bool *is_new)
{
    if (2 * x->count >= x->n_slot)
        grow(x);
    size_t slot = slot_of(x, name);
    *is_new = !x->name[slot];
    x->name[slot] = name;
    x->count += *is_new;
    return &x->value[slot];
}

const size_t *name_index_find(const struct name_index *x, const char *name)
{
    size_t slot = x->n_slot ? slot_of(x, name) : 0;
    return x->n_slot && x->name[slot] ? &x->value[slot] : NULL;
}
