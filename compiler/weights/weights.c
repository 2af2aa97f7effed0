/* Where parameters' values come from: a safetensors file or the synthetic fill, behind one face.
 *
 * What would surprise: weights_check() is the one place that compares a file with a graph, and it wants the graph as
 * it was elaborated: passes drop parameters that no output needs, and those would look like surplus.
 */
#include "weights/weights.h"

#include <math.h>
#include <string.h>

enum { MOST_LISTED = 15, MOST_CANDIDATES = 2000, SHOWN = 100 };

struct weights {
    const char *source;
    bool synthetic;
    struct arena *arena;
    struct safetensors file;
    uint32_t *slot; /* open addressing by name: index into file.tensor plus 1 */
    size_t n_slot;  /* a power of two */
};

static uint64_t fnv(uint64_t hash, const void *bytes, size_t n)
{
    for (const unsigned char *p = bytes, *end = p + n; p < end; p++) {
        hash = (hash ^ *p) * 0x100000001b3u;
    }
    return hash;
}

static const uint64_t FNV_START = 0xcbf29ce484222325u;

/* ---- the table of names ---- */

static struct tensor *find_tensor(const struct weights *w, const char *name, size_t *place)
{
    *place = fnv(FNV_START, name, strlen(name)) & (w->n_slot - 1);
    for (; w->slot[*place]; *place = (*place + 1) & (w->n_slot - 1)) {
        struct tensor *t = &w->file.tensor[w->slot[*place] - 1];
        if (strcmp(t->name, name) == 0) {
            return t;
        }
    }
    return NULL;
}

static void index_names(struct weights *w)
{
    w->n_slot = 16;
    while (w->n_slot < 2 * w->file.n_tensor) {
        w->n_slot *= 2;
    }
    w->slot = NEW_ARRAY(w->arena, uint32_t, w->n_slot);
    for (size_t i = 0; i < w->file.n_tensor; i++) {
        size_t place;
        find_tensor(w, w->file.tensor[i].name, &place);
        w->slot[place] = (uint32_t)i + 1;
    }
}

struct weights *weights_open(struct arena *arena, struct diags *diags, const char *source)
{
    struct weights *w = NEW(arena, struct weights);
    w->arena = arena;
    w->source = source;
    w->synthetic = strcmp(source, "synthetic") == 0;
    if (!w->synthetic && !safetensors_open(arena, diags, source, &w->file)) {
        return NULL;
    }
    index_names(w);
    return w;
}

void weights_close(struct weights *w)
{
    if (w) {
        safetensors_close(&w->file);
    }
}

/* ---- does the file fit the graph? ---- */

/* At most MOST_LISTED faults of a kind are told one by one. */
struct listing {
    struct weights *weights;
    struct diags *diags;
    enum check check;
    const char *what;
    int n;
};

static bool list_one(struct listing *l)
{
    return l->n++ < MOST_LISTED;
}

static void list_rest(const struct listing *l)
{
    if (l->n > MOST_LISTED) {
        diag_error_file(l->diags, l->check, l->weights->source, "and %d more %s", l->n - MOST_LISTED, l->what);
    }
}

struct names {
    struct arena *arena;
    const char **name;
    size_t count, capacity;
};

static void add_name(struct names *names, const char *name)
{
    if (names->count < MOST_CANDIDATES) {
        PUSH(names->arena, names->name, names->count, names->capacity, name);
    }
}

/* ", did you mean NAME?" or nothing. */
static const char *meant(const struct names *names, const char *name, const char *words)
{
    const char *near = nearest_name(name, names->name, names->count);
    return near ? arena_printf(names->arena, "; %s %.*s", words, SHOWN, near) : "";
}

static bool is_ignored(const char *name)
{
    const char *dot = strrchr(name, '.');
    return strcmp(dot ? dot + 1 : name, "num_batches_tracked") == 0;
}

static bool same_shape(const struct tensor *t, struct shape shape)
{
    bool same = t->rank == shape.rank;
    for (int d = 0; same && d < shape.rank; d++) {
        same = t->dim[d] == shape.dim[d];
    }
    return same;
}

static const char *tensor_shape(struct arena *arena, const struct tensor *t)
{
    struct text text = {.arena = arena};
    text_put(&text, "[", 1);
    for (int d = 0; d < t->rank; d++) {
        text_add(&text, "%s%lld", d ? "," : "", (long long)t->dim[d]);
    }
    text_put(&text, "]", 1);
    return text_string(&text);
}

static const char *param_shape(struct arena *arena, struct shape shape)
{
    return tensor_shape(arena, &(struct tensor){.rank = shape.rank, .dim = shape.dim});
}

static void check_param(struct listing *misshapen, const struct param *p, struct tensor *t)
{
    struct weights *w = misshapen->weights;
    t->used = true;
    if (!same_shape(t, p->shape)) {
        if (list_one(misshapen)) {
            diag_error_file(misshapen->diags, CHECK_weights_shape, w->source,
                            "parameter %s is %s in the file, the network needs %s", p->name, tensor_shape(w->arena, t),
                            param_shape(w->arena, p->shape));
        }
    } else if (!t->widen && list_one(misshapen)) {
        diag_error_file(misshapen->diags, CHECK_weights_dtype, w->source,
                        "parameter %s has dtype %s, not F32, F16 or BF16", p->name, t->dtype);
    }
}

/* "module." where every unused name is that and a name that is lacking: the model was saved inside a wrapper. */
static const char *wrapper(struct weights *w, const struct names *unused, const struct names *lacking)
{
    const char *first = unused->count && lacking->count ? unused->name[0] : "", *dot = strchr(first, '.');
    if (!dot) {
        return NULL;
    }
    size_t n = (size_t)(dot - first) + 1;
    bool found = false;
    for (size_t i = 0; i < unused->count; i++) {
        if (strncmp(unused->name[i], first, n) != 0) {
            return NULL;
        }
        found |= strcmp(unused->name[i] + n, lacking->name[0]) == 0;
    }
    return found ? arena_copy(w->arena, first, n) : NULL;
}

bool weights_check(struct weights *w, struct diags *diags, const struct graph *graph)
{
    if (w->synthetic) {
        return true;
    }
    int errors = diag_errors(diags);
    struct listing missing = {w, diags, CHECK_weights_missing, "parameters are missing", 0};
    struct listing surplus = {w, diags, CHECK_weights_surplus, "tensors of the file are no parameters", 0};
    struct listing misshapen = {w, diags, CHECK_weights_shape, "parameters have another shape or dtype", 0};
    struct names lacking = {.arena = w->arena}, unused = {.arena = w->arena};
    for (size_t i = 0; i < w->file.n_tensor; i++) {
        w->file.tensor[i].used = is_ignored(w->file.tensor[i].name);
    }
    for (size_t i = 0; i < graph->n_param; i++) {
        size_t place;
        struct param *p = graph->param[i];
        struct tensor *t = p->op == PARAM_LOADED ? find_tensor(w, p->name, &place) : NULL;
        if (t) {
            check_param(&misshapen, p, t);
        } else if (p->op == PARAM_LOADED) {
            add_name(&lacking, p->name);
            missing.n++;
        }
    }
    for (size_t i = 0; i < w->file.n_tensor; i++) {
        if (!w->file.tensor[i].used) {
            add_name(&unused, w->file.tensor[i].name);
            surplus.n++;
        }
    }
    const char *prefix = wrapper(w, &unused, &lacking);
    if (prefix) {
        diag_error_file(diags, CHECK_weights_missing, w->source,
                        "all names begin with `%s`, which the network's parameters do not: save the inner model's state_dict",
                        prefix);
        return false;
    }
    for (size_t i = 0; i < lacking.count && i < MOST_LISTED; i++) {
        diag_error_file(diags, CHECK_weights_missing, w->source, "parameter %s is not in the file%s", lacking.name[i],
                        meant(&unused, lacking.name[i], "it has"));
    }
    for (size_t i = 0; i < unused.count && i < MOST_LISTED; i++) {
        diag_error_file(diags, CHECK_weights_surplus, w->source,
                        "the file has %.*s, which is no parameter of the network%s", SHOWN, unused.name[i],
                        meant(&lacking, unused.name[i], "it needs"));
    }
    list_rest(&missing);
    list_rest(&surplus);
    list_rest(&misshapen);
    return diag_errors(diags) == errors;
}

/* ---- values ---- */

void weights_get(struct weights *w, const char *name, struct shape shape, double *out)
{
    if (w->synthetic) {
        synthetic_fill(name, shape, out);
        return;
    }
    size_t place;
    const struct tensor *t = find_tensor(w, name, &place);
    bool usable = t && t->widen && same_shape(t, shape);
    int64_t n = shape_elements(shape);
    for (int64_t i = 0; i < n; i++) {
        out[i] = usable ? t->widen(t->bytes, i) : (double)NAN;
    }
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
