/* Where parameters' values come from: a checkpoint or the synthetic fill, behind one face.
 *
 * What would surprise: names are given twice. `module.`, which a model wrapped for several devices puts before every name, is
 * cut off when all tensors have it; only weights_check() sees whether the network itself has such names, and then they
 * get it back.
 */
#include "weights/internal.h"

#include <math.h>
#include <string.h>

static const uint64_t FNV_START = 0xcbf29ce484222325u;

static uint64_t fnv(uint64_t hash, const void *bytes, size_t n)
{
    for (const unsigned char *p = bytes, *end = p + n; p < end; p++)
        hash = (hash ^ *p) * 0x100000001b3u;
    return hash;
}

/* ---- names ---- */

static const char WRAPPER[] = "module.";

/* How many times every name of the file begins with `module.`. */
static size_t wrappers(const struct checkpoint *c)
{
    size_t length = strlen(WRAPPER);
    for (size_t n = 0; c->n_tensor; n++)
        for (size_t i = 0; i < c->n_tensor; i++)
            if (strncmp(c->tensor[i].given + n * length, WRAPPER, length) != 0)
                return n;
    return 0;
}

bool weights_name(struct weights *w, bool unwrap)
{
    size_t cut = unwrap ? wrappers(&w->file) * strlen(WRAPPER) : 0;
    w->unwrapped = cut > 0;
    w->index = (struct name_index){.arena = w->arena};
    for (size_t i = 0; i < w->file.n_tensor; i++) {
        struct tensor *t = &w->file.tensor[i];
        if (strlen(t->given) > LONGEST_NAME)
            return FAULT(&w->file, weights_name, "a tensor's name has %zu bytes, more than %d: %.*s...",
                         strlen(t->given), LONGEST_NAME, SHOWN, t->given);
        t->name = t->given + cut;
        if (w->renames && !renames_apply(w->renames, w->file.diags, t->name, &t->name))
            return false;
        bool is_new = true;
        size_t *place = t->name ? name_index_put(&w->index, t->name, &is_new) : NULL;
        if (!is_new)
            return FAULT(&w->file, weights_name, "the tensors %.*s and %.*s have one name, %.*s", SHOWN,
                         w->file.tensor[*place].given, SHOWN, t->given, SHOWN, t->name);
        if (place)
            *place = i;
    }
    return true;
}

struct tensor *weights_find(const struct weights *w, const char *name)
{
    const size_t *i = name_index_find(&w->index, name);
    return i ? &w->file.tensor[*i] : NULL;
}

struct weights *weights_open_as(struct arena *arena, struct diags *diags, const struct weights_source *source)
{
    struct weights *w = NEW(arena, struct weights);
    w->arena = arena;
    w->source = source->file;
    w->synthetic = strcmp(source->file, "synthetic") == 0;
    if (w->synthetic && (source->key || source->renames)) {
        diag_error_file(diags, CHECK_weights_key, source->file,
                        "the synthetic fill has no names to choose or to change");
        return NULL;
    }
    if (source->renames) {
        w->renames = renames_read(arena, diags, source->renames, source->folder, source->n_folder);
        if (!w->renames)
            return NULL;
    }
    if (!w->synthetic && !checkpoint_open(arena, diags, source->file, source->key, &w->file))
        return NULL;
    if (weights_name(w, true))
        return w;
    checkpoint_close(&w->file);
    return NULL;
}

struct weights *weights_open(struct arena *arena, struct diags *diags, const char *file)
{
    return weights_open_as(arena, diags, &(struct weights_source){.file = file});
}

void weights_close(struct weights *w)
{
    if (w)
        checkpoint_close(&w->file);
}

/* ---- values ---- */

void weights_get(struct weights *w, const char *name, struct shape shape, double *out)
{
    if (w->synthetic) {
        synthetic_fill(name, shape, out);
        return;
    }
    const struct tensor *t = weights_find(w, name);
    if (t && weights_same_shape(t, shape)) {
        checkpoint_values(&w->file, t, out);
        return;
    }
    for (int64_t i = 0, n = shape_elements(shape); i < n; i++)
        out[i] = (double)NAN;
}

uint64_t weights_digest(struct weights *w, const struct graph *graph)
{
    uint64_t hash = FNV_START;
    struct arena *scratch = arena_new("digest");
    for (size_t i = 0; i < graph->n_param; i++) {
        const struct param *p = graph->param[i];
        if (p->op != PARAM_LOADED) {
            continue;
        }
        int64_t n = shape_elements(p->shape);
        double *value = NEW_ARRAY(scratch, double, n);
        weights_get(w, p->name, p->shape, value);
        hash = fnv(hash, p->name, strlen(p->name) + 1);
        for (int64_t k = 0; k < n; k++) {
            float single = (float)value[k];
            hash = fnv(hash, &single, sizeof single);
        }
        arena_reset(scratch);
    }
    arena_free(scratch);
    return hash;
}
