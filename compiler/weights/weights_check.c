/* Does a checkpoint fit a network? The one place that compares the two.
 *
 * What would surprise: it wants the graph as it was elaborated: passes drop parameters that no output needs, and those
 * would look like surplus.
 */
#include "weights/internal.h"

#include <string.h>

enum { MOST_LISTED = 15, MOST_CANDIDATES = 2000 };

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
    const char **name; /* at most MOST_CANDIDATES of them */
    size_t count, capacity, all;
};

static void add_name(struct names *names, const char *name)
{
    names->all++;
    if (names->count < MOST_CANDIDATES)
        PUSH(names->arena, names->name, names->count, names->capacity, name);
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

bool weights_same_shape(const struct tensor *t, struct shape shape)
{
    bool same = t->rank == shape.rank;
    for (int d = 0; same && d < shape.rank; d++)
        same = t->dim[d] == shape.dim[d];
    return same;
}

static void check_param(struct listing *misshapen, const struct param *p, struct tensor *t)
{
    struct weights *w = misshapen->weights;
    t->used = true;
    if (!weights_same_shape(t, p->shape)) {
        if (list_one(misshapen))
            diag_error_file(misshapen->diags, CHECK_weights_shape, w->source,
                            "parameter %s is %s in the file, the network needs %s", p->name,
                            dims_text(w->arena, t->rank, t->dim), dims_text(w->arena, p->shape.rank, p->shape.dim));
    } else if (!t->storage->dtype->widen && list_one(misshapen)) {
        diag_error_file(misshapen->diags, CHECK_weights_dtype, w->source,
                        "parameter %s has dtype %s, not F32, F16, BF16 or F64", p->name, t->storage->dtype->name);
    }
}

/* "model." where every unused name is that and a name that is lacking: the model was saved inside another one. */
static const char *wrapper(struct weights *w, const struct names *unused, const struct names *lacking)
{
    const char *first = unused->count && lacking->count ? unused->name[0] : "", *dot = strchr(first, '.');
    if (!dot)
        return NULL;
    size_t n = (size_t)(dot - first) + 1;
    bool found = false;
    for (size_t i = 0; i < unused->count; i++) {
        if (strncmp(unused->name[i], first, n) != 0)
            return NULL;
        found |= strcmp(unused->name[i] + n, lacking->name[0]) == 0;
    }
    return found ? arena_copy(w->arena, first, n) : NULL;
}

/* Does the network itself have names that begin with what was cut off? */
static bool needs_wrapper(const struct weights *w, const struct graph *graph)
{
    for (size_t i = 0; i < graph->n_param; i++) {
        const struct param *p = graph->param[i];
        if (p->op == PARAM_LOADED && strncmp(p->name, "module.", 7) == 0 && !weights_find(w, p->name))
            return true;
    }
    return false;
}

/* Marks the tensors that the graph loads, tells misshapen ones, collects the others. */
static void compare(struct weights *w, const struct graph *graph, struct listing *misshapen, struct names *lacking,
                    struct names *unused)
{
    for (size_t i = 0; i < w->file.n_tensor; i++)
        w->file.tensor[i].used = !w->file.tensor[i].name || is_ignored(w->file.tensor[i].name);
    for (size_t i = 0; i < graph->n_param; i++) {
        const struct param *p = graph->param[i];
        struct tensor *t = p->op == PARAM_LOADED ? weights_find(w, p->name) : NULL;
        if (t)
            check_param(misshapen, p, t);
        else if (p->op == PARAM_LOADED)
            add_name(lacking, p->name);
    }
    for (size_t i = 0; i < w->file.n_tensor; i++)
        if (!w->file.tensor[i].used)
            add_name(unused, w->file.tensor[i].name);
}

static void tell(struct listing *missing, struct listing *surplus, const struct names *lacking,
                 const struct names *unused)
{
    for (size_t i = 0; i < lacking->count && list_one(missing); i++)
        diag_error_file(missing->diags, CHECK_weights_missing, missing->weights->source,
                        "parameter %s is not in the file%s", lacking->name[i],
                        meant(unused, lacking->name[i], "it has"));
    for (size_t i = 0; i < unused->count && list_one(surplus); i++)
        diag_error_file(surplus->diags, CHECK_weights_surplus, surplus->weights->source,
                        "the file has %.*s, which is no parameter of the network%s", SHOWN, unused->name[i],
                        meant(lacking, unused->name[i], "it needs"));
    missing->n = (int)lacking->all;
    surplus->n = (int)unused->all;
}

/* Are the bytes there, of all that is loaded? */
static bool check_bytes(struct weights *w)
{
    for (size_t i = 0; i < w->file.n_tensor; i++) {
        const struct tensor *t = &w->file.tensor[i];
        if (t->used && t->name && !is_ignored(t->name) && !checkpoint_check(&w->file, t))
            return false;
    }
    return true;
}

bool weights_check(struct weights *w, struct diags *diags, const struct graph *graph)
{
    int errors = diag_errors(diags);
    if (w->synthetic)
        return true;
    if (w->unwrapped && needs_wrapper(w, graph) && !weights_name(w, false))
        return false;
    struct listing missing = {w, diags, CHECK_weights_missing, "parameters are missing", 0};
    struct listing surplus = {w, diags, CHECK_weights_surplus, "tensors of the file are no parameters", 0};
    struct listing misshapen = {w, diags, CHECK_weights_shape, "parameters have another shape or dtype", 0};
    struct names lacking = {.arena = w->arena}, unused = {.arena = w->arena};
    compare(w, graph, &misshapen, &lacking, &unused);
    const char *prefix = wrapper(w, &unused, &lacking);
    if (prefix) {
        diag_error_file(
            diags, CHECK_weights_missing, w->source,
            "all names begin with `%s`, which the network's parameters do not: the line `%s* -> *` in a file "
            "for --rename cuts it off",
            prefix, prefix);
        return false;
    }
    tell(&missing, &surplus, &lacking, &unused);
    list_rest(&missing);
    list_rest(&surplus);
    list_rest(&misshapen);
    if (diag_errors(diags) == errors)
        return check_bytes(w);
    if (w->renames)
        renames_unused(w->renames, diags);
    return false;
}

/* ---- which network would fit? ---- */

struct weights_fit weights_fit(const struct weights *w, const struct graph *graph)
{
    struct weights_fit fit = {.rows = 0};
    int found = 0;
    for (size_t i = 0; i < w->file.n_tensor; i++)
        fit.surplus += w->file.tensor[i].name && !is_ignored(w->file.tensor[i].name);
    for (size_t i = 0; i < graph->n_param; i++) {
        const struct param *p = graph->param[i];
        const struct tensor *t = p->op == PARAM_LOADED ? weights_find(w, p->name) : NULL;
        fit.missing += p->op == PARAM_LOADED && !t;
        found += t != NULL;
        if (!t || weights_same_shape(t, p->shape)) {
            fit.fitting += t != NULL;
            continue;
        }
        int64_t rows = t->rank ? t->dim[0] : -1;
        fit.rows = fit.misshapen++ == 0 || fit.rows == rows ? rows : -1;
    }
    fit.surplus -= found;
    return fit;
}

const char *weights_stages(struct arena *arena, const struct weights *w)
{
    enum { MOST_STAGES = 8, MOST_BLOCKS = 1000 };
    int depth[MOST_STAGES + 1] = {0}, stage, block, n = 0;
    for (size_t i = 0; i < w->file.n_tensor; i++) {
        const char *name = w->file.tensor[i].name ? w->file.tensor[i].name : "";
        bool first = sscanf(name, "layer%2d.%4d.", &stage, &block) == 2,
             zero = !first && sscanf(name, "stages.%2d.%4d.", &stage, &block) == 2;
        stage += zero;
        if ((first || zero) && stage >= 1 && stage <= MOST_STAGES && block >= 0 && block < MOST_BLOCKS &&
            depth[stage] <= block)
            depth[stage] = block + 1;
    }
    struct text t = {.arena = arena};
    while (n < MOST_STAGES && depth[n + 1])
        n++;
    for (int k = 1; k <= n; k++)
        text_add(&t, "%s%d", k > 1 ? "," : "[", depth[k]);
    return n ? arena_printf(arena, "%s]", text_string(&t)) : NULL;
}

size_t weights_tensors(const struct weights *w)
{
    return w->file.n_tensor;
}
