/* What torch.save writes.
 *
 * Since 1.6, a zip: NAME/data.pkl is the pickle, NAME/data/KEY a storage, NAME/byteorder perhaps `little`. Before it, and with
 * _use_new_zipfile_serialization=False, pickles in a row: a magic number, a version (1001), what machine it was, the
 * object, the keys of the storages; then for each key 8 bytes, the number of elements, and the elements.
 * A tensor's storage is a persistent id in both: ('storage', torch.FloatStorage, KEY, device, elements), and in the old
 * form None or (key, first, elements) behind that: a storage that is a part of another one.
 */
#include <string.h>

#include "weights/pickle.h"

/* ---- persistent ids ---- */

struct storage_id {
    const struct dtype *dtype;
    const char *key;
    int64_t elements;
    const struct pickled *part; /* NULL: all of it */
};

static bool read_id(struct pickle *p, const struct pickled *v, struct storage_id *id)
{
    struct pickled **a = v->list.item;
    if (v->kind != VALUE_TUPLE || v->list.count < 5 || !pickled_is_text(a[0], "storage") ||
        a[1]->kind != VALUE_GLOBAL || a[1]->global->kind != GLOBAL_STORAGE || a[2]->kind != VALUE_TEXT ||
        a[4]->kind != VALUE_INT || a[4]->number < 0)
        return PICKLE_FAULT(p, pickle_storage,
                            "a persistent id is no ('storage', type, key, device, elements): it is for another reader");
    *id = (struct storage_id){.dtype = a[1]->global->dtype,
                              .key = pickled_text(p->file->arena, a[2]),
                              .elements = a[4]->number,
                              .part = v->list.count > 5 && a[5]->kind != VALUE_NONE ? a[5] : NULL};
    int64_t bytes;
    if (__builtin_mul_overflow(id->elements, id->dtype->bytes, &bytes))
        return PICKLE_FAULT(p, pickle_storage, "storage %.*s has too many elements to be counted", SHOWN, id->key);
    return true;
}

static bool is_part(const struct pickled *part, int64_t elements)
{
    struct pickled **a = part->list.item;
    return part->kind == VALUE_TUPLE && part->list.count == 3 && a[1]->kind == VALUE_INT && a[2]->kind == VALUE_INT &&
           a[1]->number >= 0 && a[2]->number >= 0 && a[1]->number <= elements &&
           a[2]->number <= elements - a[1]->number;
}

static struct pickled *storage_value(struct pickle *p, const struct storage_id *id, struct stored *s)
{
    if (s->dtype != id->dtype || s->elements != id->elements)
        return PICKLE_FAULT(p, pickle_storage, "storage %.*s is %lld elements of %s here and was %lld of %s before",
                            SHOWN, id->key, (long long)id->elements, id->dtype->name, (long long)s->elements,
                            s->dtype->name),
               NULL;
    if (id->part && !is_part(id->part, s->elements))
        return PICKLE_FAULT(p, pickle_storage, "storage %.*s is no part of another one", SHOWN, id->key), NULL;
    struct pickled *v = pickled_new(p, VALUE_STORAGE);
    v->view.storage = s;
    v->view.first = id->part ? id->part->list.item[1]->number : 0;
    v->view.elements = id->part ? id->part->list.item[2]->number : s->elements;
    return v;
}

static struct stored *storage_new(struct pickle *p, const struct storage_id *id)
{
    struct stored *s = NEW(p->file->arena, struct stored);
    s->key = id->key;
    s->dtype = id->dtype;
    s->elements = id->elements;
    return s;
}

/* ---- the zip ---- */

/* The entry NAME/data/KEY, which has the bytes that the id promises. */
static struct pickled *storage_of_zip(struct pickle *p, const struct pickled *v)
{
    struct checkpoint *c = p->file;
    struct storage_id id;
    if (!read_id(p, v, &id))
        return NULL;
    int stem = (int)(strlen(p->where) - strlen("data.pkl"));
    const char *name = arena_printf(c->arena, "%.*sdata/%s", stem, p->where, id.key);
    struct entry *e = archive_find(c, name);
    if (!e)
        return PICKLE_FAULT(p, pickle_storage, "the zip file has no entry %.*s", SHOWN, name), NULL;
    if (!e->storage) {
        if (e->bytes != id.elements * id.dtype->bytes)
            return FAULT(c, weights_bytes, "%.*s has %lld bytes, but %lld elements of %s", SHOWN, name,
                         (long long)e->bytes, (long long)id.elements, id.dtype->name),
                   NULL;
        if (!archive_readable(c, e))
            return NULL;
        e->storage = storage_new(p, &id);
        e->storage->entry = e;
    }
    return storage_value(p, &id, e->storage);
}

/* data.pkl, or why the zip is another one. */
static const struct entry *find_pickle(struct checkpoint *c)
{
    const struct entry *e = archive_ending(c, "/data.pkl"), *first = archive_first(c);
    if (e && !archive_ending(c, "/constants.pkl"))
        return e;
    if (e)
        FAULT(c, weights_format,
              "no checkpoint but a TorchScript program: save the state_dict() of what torch.jit.load gives");
    else
        FAULT(c, weights_format,
              "a zip file without the entry NAME/data.pkl that torch.save writes; its first one is %.*s", SHOWN,
              first ? first->name : "missing");
    return NULL;
}

/* Until 2.1 there was no entry that tells it, and hardly a machine that is not little-endian. */
static bool check_order(struct checkpoint *c, const struct entry *e)
{
    const char *name = arena_printf(c->arena, "%.*sbyteorder", (int)(strlen(e->name) - strlen("data.pkl")), e->name);
    const struct entry *order = archive_find(c, name);
    if (!order)
        return true;
    const unsigned char *bytes = archive_readable(c, order) ? archive_read(c, c->arena, order) : NULL;
    if (!bytes)
        return false;
    bool little = order->bytes == 6 && memcmp(bytes, "little", 6) == 0;
    return little ||
           FAULT(c, weights_order, "%.*s says '%.*s', not 'little': load the file with PyTorch and save it again",
                 SHOWN, name, (int)(order->bytes > 10 ? 10 : order->bytes), bytes);
}

bool torch_zip_read(struct checkpoint *c, const char *key)
{
    const struct entry *e = archive_open(c) ? find_pickle(c) : NULL;
    if (!e || !check_order(c, e) || !archive_readable(c, e))
        return false;
    if (e->bytes > LARGEST_PICKLE)
        return FAULT(c, pickle_size, "%.*s has %lld bytes, more than %d", SHOWN, e->name, (long long)e->bytes,
                     LARGEST_PICKLE);
    struct pickle p = {.file = c, .where = e->name, .length = (size_t)e->bytes, .persistent = storage_of_zip};
    p.bytes = archive_read(c, c->arena, e);
    const struct pickled *root = p.bytes ? pickle_run(&p) : NULL;
    return root && state_dict_read(c, root, key);
}

/* ---- before 1.6 ---- */

struct legacy {
    struct pickle pickle; /* first: what persistent() is given is this */
    struct stored **storage;
    size_t n, capacity;
    struct name_index index;
};

/* LONG1 of ten bytes, STOP. In front of it stands PROTO, and since protocol 4 FRAME. */
static const unsigned char magic[] = "\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/* Where the magic number's pickle ends, 0: there is none. */
static size_t behind_magic(const struct checkpoint *c)
{
    enum { PROTO_BYTES = 2, FRAME_BYTES = 9 };
    size_t n = sizeof magic - 1;
    for (size_t at = PROTO_BYTES; at <= PROTO_BYTES + FRAME_BYTES && c->length >= at + n; at += FRAME_BYTES)
        if (memcmp(c->map + at, magic, n) == 0)
            return at + n;
    return 0;
}

/* A pickle of some protocol; a safetensors file of that length of header has a zero among these. */
bool torch_legacy_is(const struct checkpoint *c)
{
    return c->length >= 4 && c->map[0] == 0x80 && c->map[1] >= 2 && c->map[1] <= 5 && c->map[2] && c->map[3];
}

static struct pickled *storage_of_legacy(struct pickle *p, const struct pickled *v)
{
    struct legacy *l = (struct legacy *)p;
    struct storage_id id;
    bool is_new;
    if (!read_id(p, v, &id))
        return NULL;
    size_t *i = name_index_put(&l->index, id.key, &is_new);
    if (is_new) {
        *i = l->n;
        PUSH(p->file->arena, l->storage, l->n, l->capacity, storage_new(p, &id));
    }
    return storage_value(p, &id, l->storage[*i]);
}

static bool check_machine(struct checkpoint *c, const struct pickled *about)
{
    const struct pickled *little = pickled_get(about, "little_endian", strlen("little_endian"));
    return !little || (little->kind == VALUE_BOOL && little->number) ||
           FAULT(c, weights_order, "written by a big-endian machine: load the file with PyTorch and save it again");
}

/* The numbers of one storage: their count, then themselves. */
static bool read_storage(struct legacy *l, const struct pickled *key)
{
    struct pickle *p = &l->pickle;
    const char *name = key->kind == VALUE_TEXT ? pickled_text(p->file->arena, key) : "";
    const size_t *i = name_index_find(&l->index, name);
    if (!i || l->storage[*i]->bytes)
        return FAULT(p->file, pickle_storage, "the list of storages has '%.*s', which %s", SHOWN, name,
                     i ? "it had before" : "no tensor has");
    struct stored *s = l->storage[*i];
    int64_t bytes = s->elements * s->dtype->bytes;
    uint64_t count = 0;
    if (p->length - p->at < 8 || (uint64_t)bytes > p->length - p->at - 8)
        return FAULT(p->file, weights_range,
                     "storage %.*s has %lld bytes from byte %zu on, the file %zu: is it truncated?", SHOWN, name,
                     (long long)bytes, p->at + 8, p->length);
    for (int k = 8; k-- > 0;)
        count = count << 8 | p->bytes[p->at + (size_t)k];
    if (count != (uint64_t)s->elements)
        return FAULT(p->file, weights_bytes, "storage %.*s has %lld elements, its tensors say %lld", SHOWN, name,
                     (long long)count, (long long)s->elements);
    s->bytes = p->bytes + p->at + 8;
    p->at += 8 + (size_t)bytes;
    return true;
}

static bool read_storages(struct legacy *l, const struct pickled *keys)
{
    if (keys->kind != VALUE_LIST)
        return FAULT(l->pickle.file, pickle_storage, "behind the object stands %s, not the list of its storages",
                     pickled_kind_name(keys->kind));
    for (size_t i = 0; i < keys->list.count; i++)
        if (!read_storage(l, keys->list.item[i]))
            return false;
    for (size_t i = 0; i < l->n; i++)
        if (!l->storage[i]->bytes)
            return FAULT(l->pickle.file, pickle_storage, "storage %.*s is not among those that the file lists", SHOWN,
                         l->storage[i]->key);
    return true;
}

bool torch_legacy_read(struct checkpoint *c, const char *key)
{
    struct legacy l = {.pickle = {.file = c, .where = "the file", .bytes = c->map, .length = c->length},
                       .index = {.arena = c->arena}};
    l.pickle.at = behind_magic(c);
    if (!l.pickle.at)
        return FAULT(c, weights_format,
                     "a pickle, but none of torch.save, which begins with a magic number of its own");
    l.pickle.persistent = storage_of_legacy;
    const struct pickled *version = pickle_run(&l.pickle);
    if (!version)
        return false;
    if (version->kind != VALUE_INT || version->number != 1001)
        return FAULT(c, weights_format,
                     "not written in version 1001 of torch.save's old format, the only one there was");
    const struct pickled *about = pickle_run(&l.pickle);
    if (!about || !check_machine(c, about))
        return false;
    const struct pickled *root = pickle_run(&l.pickle), *keys = root ? pickle_run(&l.pickle) : NULL;
    return keys && read_storages(&l, keys) && state_dict_read(c, root, key);
}
