/* From what a pickle holds to the table of tensors: finds the dictionary that maps names to tensors, and sees that every
 * tensor stays inside its storage.
 *
 * Training scripts wrap it: {"epoch": 90, "state_dict": {...}, "optimizer": {...}, "state_dict_ema": {...}}. Without
 * --checkpoint-key the way goes down through `state_dict` and `model`, as long as there is one; else the keys are joined
 * by slashes, `ema/state_dict`. What is no tensor in the dictionary that is found (an epoch, a loss) is no parameter
 * and is passed over.
 */
#include <string.h>

#include "weights/pickle.h"

enum { DEEPEST = 8, MOST_KEYS_TOLD = 10 };

static size_t count_tensors(const struct pickled *dict)
{
    size_t n = 0;
    for (size_t i = 0; dict->kind == VALUE_DICT && i + 1 < dict->list.count; i += 2)
        n += dict->list.item[i]->kind == VALUE_TEXT && dict->list.item[i + 1]->kind == VALUE_TENSOR;
    return n;
}

/* ": `state_dict_ema` (320 tensors), `epoch`", or nothing. */
static const char *keys_of(struct arena *a, const struct pickled *dict)
{
    struct text t = {.arena = a};
    int told = 0;
    for (size_t i = 0; dict->kind == VALUE_DICT && i + 1 < dict->list.count; i += 2) {
        const struct pickled *key = dict->list.item[i];
        if (key->kind != VALUE_TEXT || told++ >= MOST_KEYS_TOLD)
            continue;
        size_t n = count_tensors(dict->list.item[i + 1]), length = key->text.length;
        text_add(&t, "%s`%.*s`", told == 1 ? ": it has " : ", ", (int)(length > SHOWN ? SHOWN : length),
                 key->text.bytes);
        if (n)
            text_add(&t, " (%zu tensor%s)", n, n == 1 ? "" : "s");
    }
    if (told > MOST_KEYS_TOLD)
        text_add(&t, " and %d more", told - MOST_KEYS_TOLD);
    return text_string(&t);
}

static const struct pickled *by_usual_names(const struct pickled *v)
{
    static const char *const usual[] = {"state_dict", "model", "model_state_dict"};
    for (int depth = 0; depth < DEEPEST; depth++) {
        const struct pickled *inner = NULL;
        for (size_t i = 0; i < LENGTH(usual) && !inner; i++) {
            inner = pickled_get(v, usual[i], strlen(usual[i]));
            inner = inner && inner->kind == VALUE_DICT ? inner : NULL;
        }
        if (!inner)
            break;
        v = inner;
    }
    return v;
}

/* Down through the keys that slashes part; a key may have slashes itself. */
static const struct pickled *by_key(struct checkpoint *c, const struct pickled *v, const char *key)
{
    for (const char *rest = key; *rest;) {
        size_t n = strlen(rest);
        const struct pickled *inner = pickled_get(v, rest, n);
        while (!inner && n > 0) { /* the longest beginning that is a key */
            for (n--; n > 0 && rest[n] != '/';)
                n--;
            inner = n ? pickled_get(v, rest, n) : NULL;
        }
        n = inner ? n : strcspn(rest, "/");
        if (!inner) {
            FAULT(c, weights_key, "--checkpoint-key=%.*s: there is no `%.*s`%s", SHOWN, key, (int)n, rest,
                  v->kind == VALUE_DICT ? keys_of(c->arena, v)
                                        : arena_printf(c->arena, " in %s", pickled_kind_name(v->kind)));
            return NULL;
        }
        v = inner;
        rest += n + (rest[n] == '/');
    }
    return v;
}

/* ---- one tensor ---- */

/* Does the last element lie in what is left of the storage? */
static bool check_reach(struct checkpoint *c, const struct pickled *v, const struct tensor *t)
{
    int64_t last = 0, step;
    for (int d = 0; d < t->rank; d++)
        if (t->elements &&
            (__builtin_mul_overflow(t->dim[d] - 1, t->stride[d], &step) || __builtin_add_overflow(last, step, &last)))
            return FAULT(c, weights_range, "the strides of tensor %.*s are too large to be counted", SHOWN, t->given);
    if (v->view.elements < 0 || (t->elements && last >= v->view.elements))
        return FAULT(c, weights_range,
                     "tensor %.*s, %s with strides %s from element %lld on, leaves its storage of %lld", SHOWN,
                     t->given, dims_text(c->arena, t->rank, t->dim), dims_text(c->arena, t->rank, t->stride),
                     (long long)t->first, (long long)t->storage->elements);
    return true;
}

static const int64_t *counts_of(struct arena *a, const struct pickled *tuple)
{
    int64_t *out = NEW_ARRAY(a, int64_t, tuple->list.count);
    for (size_t i = 0; i < tuple->list.count; i++)
        out[i] = tuple->list.item[i]->number;
    return out;
}

static bool is_row_major(const struct tensor *t)
{
    int64_t step = 1;
    bool yes = true;
    for (int d = t->rank - 1; d >= 0; d--) {
        yes = yes && (t->dim[d] == 1 || t->stride[d] == step);
        step *= t->dim[d]; /* no overflow: the elements were counted */
    }
    return yes;
}

static bool add_tensor(struct checkpoint *c, const struct pickled *name, const struct pickled *v)
{
    struct tensor t = {.given = pickled_text(c->arena, name),
                       .storage = v->view.storage,
                       .rank = (int)v->view.size->list.count,
                       .dim = counts_of(c->arena, v->view.size),
                       .stride = counts_of(c->arena, v->view.stride),
                       .first = v->view.first,
                       .elements = 1};
    if (strlen(t.given) != name->text.length)
        return FAULT(c, weights_name, "the name of tensor %.*s has a NUL", SHOWN, t.given);
    bool empty = false;
    for (int d = 0; d < t.rank; d++)
        empty = empty || t.dim[d] == 0;
    for (int d = 0; d < t.rank && !empty; d++)
        if (__builtin_mul_overflow(t.elements, t.dim[d], &t.elements))
            return FAULT(c, weights_range, "tensor %.*s has too many elements to be counted", SHOWN, t.given);
    t.elements = empty ? 0 : t.elements;
    if (!check_reach(c, v, &t))
        return false;
    t.stride = empty || is_row_major(&t) ? NULL : t.stride;
    PUSH(c->arena, c->tensor, c->n_tensor, c->capacity, t);
    return true;
}

bool state_dict_read(struct checkpoint *c, const struct pickled *root, const char *key)
{
    const struct pickled *dict = key ? by_key(c, root, key) : by_usual_names(root);
    if (!dict)
        return false;
    const char *what = key ? arena_printf(c->arena, "what --checkpoint-key=%.*s names", SHOWN, key) : "the file";
    if (dict->kind != VALUE_DICT)
        return FAULT(c, weights_key, "%s holds %s, no dictionary of tensors by name", what,
                     pickled_kind_name(dict->kind));
    if (!count_tensors(dict))
        return FAULT(c, weights_key, "%s holds no tensors by name%s%s", what, keys_of(c->arena, dict),
                     key ? "" : "; --checkpoint-key=KEY chooses one of them");
    for (size_t i = 0; i + 1 < dict->list.count; i += 2)
        if (dict->list.item[i]->kind == VALUE_TEXT && dict->list.item[i + 1]->kind == VALUE_TENSOR &&
            !add_tensor(c, dict->list.item[i], dict->list.item[i + 1]))
            return false;
    return true;
}
