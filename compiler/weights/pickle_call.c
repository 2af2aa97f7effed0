/* What a pickle names, and what calling it gives: the rows of pickle_globals.def. Sizes, strides and offsets of a tensor are
 * only seen to be whole numbers here; whether they stay inside the storage is asked where its name is known, in
 * state_dict.c. */
#include <string.h>

#include "weights/pickle.h"

static const struct global globals[] = {
#define GLOBAL(module, name, kind) {module, name, GLOBAL_##kind, NULL},
#include "weights/pickle_globals.def"
#undef GLOBAL
};

static bool is(const char *word, const char *text, size_t length)
{
    return strlen(word) == length && memcmp(word, text, length) == 0;
}

/* Python 2 had other names of these modules. */
static bool is_module(const char *module, const char *text, size_t length)
{
    return is(module, text, length) || (strcmp(module, "builtins") == 0 && is("__builtin__", text, length));
}

const struct global *global_find(struct pickle *p, const char *module, size_t module_length, const char *name,
                                 size_t name_length)
{
    static const struct global torch_dtype = {"torch", "dtype", GLOBAL_INERT, NULL};
    for (size_t i = 0; i < LENGTH(globals); i++)
        if (is_module(globals[i].module, module, module_length) && is(globals[i].name, name, name_length))
            return &globals[i];
    bool torch = is("torch", module, module_length);
    const struct dtype *dtype =
        torch || is("torch.cuda", module, module_length) ? dtype_by_storage(name, name_length) : NULL;
    if (!dtype)
        return torch && dtype_of_torch(name, name_length) ? &torch_dtype : NULL;
    struct global *g = NEW(p->file->arena, struct global);
    *g = (struct global){"torch", dtype->storage, GLOBAL_STORAGE, dtype};
    return g;
}

/* ---- dictionaries ---- */

/* () | (factory) | (dictionary) | ([(key, value), ...]) */
static struct pickled *make_dict(struct pickle *p, const struct pickled *arguments)
{
    struct pickled *dict = pickled_new(p, VALUE_DICT);
    const struct pickled *from = arguments->list.count ? arguments->list.item[0] : NULL;
    struct arena *arena = p->file->arena;
    if (from && (from->kind == VALUE_DICT || from->kind == VALUE_LIST)) {
        for (size_t i = 0; i < from->list.count; i++) {
            const struct pickled *pair = from->list.item[i];
            if (from->kind == VALUE_DICT) {
                PUSH(arena, dict->list.item, dict->list.count, dict->list.capacity, from->list.item[i]);
                continue;
            }
            if ((pair->kind != VALUE_LIST && pair->kind != VALUE_TUPLE) || pair->list.count != 2)
                return PICKLE_FAULT(p, pickle_stack, "a dictionary is made of something else than pairs"), NULL;
            PUSH(arena, dict->list.item, dict->list.count, dict->list.capacity, pair->list.item[0]);
            PUSH(arena, dict->list.item, dict->list.count, dict->list.capacity, pair->list.item[1]);
        }
    }
    return dict;
}

/* ---- tensors ---- */

static bool is_count(const struct pickled *v)
{
    return v->kind == VALUE_INT && v->number >= 0;
}

/* A tuple of whole numbers from 0. */
static bool is_counts(const struct pickled *v)
{
    bool fine = v->kind == VALUE_TUPLE && v->list.count <= MOST_DIMENSIONS;
    for (size_t i = 0; fine && i < v->list.count; i++)
        fine = is_count(v->list.item[i]);
    return fine;
}

static struct pickled *make_tensor(struct pickle *p, const struct pickled *arguments)
{
    struct pickled **a = arguments->list.item;
    if (arguments->list.count < 4 || a[0]->kind != VALUE_STORAGE || !is_count(a[1]) || !is_counts(a[2]) ||
        !is_counts(a[3]) || a[2]->list.count != a[3]->list.count)
        return PICKLE_FAULT(p, pickle_tensor,
                            "a tensor is made of a storage, its first element, sizes and as many strides, "
                            "whole numbers from 0 and at most %d dimensions; this one is not",
                            MOST_DIMENSIONS),
               NULL;
    struct pickled *v = pickled_new(p, VALUE_TENSOR);
    v->view = a[0]->view;
    if (__builtin_add_overflow(v->view.first, a[1]->number, &v->view.first))
        return PICKLE_FAULT(p, pickle_tensor, "the tensor begins behind all that can be counted"), NULL;
    v->view.elements -= a[1]->number; /* of the part that are left; below 0 where it begins behind the end */
    v->view.size = a[2];
    v->view.stride = a[3];
    return v;
}

/* (function, type, arguments, state): the function is a row of this table, too, but not this one again. */
static struct pickled *apply(struct pickle *p, const struct pickled *arguments)
{
    struct pickled **a = arguments->list.item;
    if (arguments->list.count != 4 || a[0]->kind != VALUE_GLOBAL || a[0]->global->kind != GLOBAL_TENSOR ||
        a[2]->kind != VALUE_TUPLE)
        return PICKLE_FAULT(p, pickle_tensor, "_rebuild_from_type_v2 applies something else than _rebuild_tensor_v2"),
               NULL;
    return make_tensor(p, a[2]);
}

struct pickled *global_call(struct pickle *p, const struct global *g, const struct pickled *arguments)
{
    struct pickled *first = arguments->list.count ? arguments->list.item[0] : NULL;
    switch (g->kind) {
    case GLOBAL_DICT: return make_dict(p, arguments);
    case GLOBAL_TENSOR: return make_tensor(p, arguments);
    case GLOBAL_APPLIED: return apply(p, arguments);
    case GLOBAL_INERT: return pickled_new(p, VALUE_OTHER);
    case GLOBAL_TUPLE:
        if (first && first->kind == VALUE_TUPLE)
            return first;
        return PICKLE_FAULT(p, pickle_stack, "%s.%s of something else than a tuple", g->module, g->name), NULL;
    case GLOBAL_PARAMETER:
        if (first && first->kind == VALUE_TENSOR)
            return first;
        return PICKLE_FAULT(p, pickle_tensor, "%s.%s of something else than a tensor", g->module, g->name), NULL;
    case GLOBAL_STORAGE: break;
    }
    return PICKLE_FAULT(p, pickle_stack, "%s.%s is called, which is no function", g->module, g->name), NULL;
}
