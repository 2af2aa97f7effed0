/* A checkpoint of another network: which of the known ones it fits, perhaps with another value of a parameter.
 *
 * What would surprise: the known networks are elaborated one after the other, every time; that takes a few milliseconds
 * each and happens only when the run has failed anyway. What goes wrong with one of them (it has several nets, it does
 * not know -D) is not told: it is passed over.
 */
#include <stdlib.h>
#include <string.h>

#include "netc.h"
#include "weights/weights.h"

enum { MOST_TOLD = 3, MOST_DEFINES = 16, MOST_VARIED = 6 };

struct candidate {
    const char *file;
    struct definition define[MOST_DEFINES];
    int n_define;
    int n_own; /* that the user gave */
    bool elaborates;
    struct weights_fit fit;
};

static int misfit(const struct candidate *c)
{
    return c->elaborates ? c->fit.misshapen + c->fit.missing + c->fit.surplus : INT32_MAX;
}

static void measure(struct netc *n, struct candidate *c)
{
    struct front_options front = n->options.front;
    struct arena *module = arena_new("candidate");
    front.file = c->file;
    front.define = c->define;
    front.n_define = c->n_define;
    const struct graph *g = elaborate_file(n->perm, module, diags_new(module), &front);
    c->elaborates = g;
    c->fit = g ? weights_fit(n->weights, g) : (struct weights_fit){0};
    arena_free(module);
}

/* ---- with another -D ---- */

static const struct net_outline *outline_of(struct netc *n, const char *file)
{
    struct front_options front = n->options.front;
    front.file = file;
    struct network_file found = find_network(n->perm, &front);
    struct file_outline outline = outline_file(n->perm, found.path);
    for (size_t i = 0; i < outline.n_net; i++)
        if (!found.net || strcmp(outline.net[i].name, found.net) == 0)
            return &outline.net[i];
    return NULL;
}

/* Keeps the candidate with one more definition if fewer tensors misfit then. */
static void try(struct netc *n, struct candidate *c, const char *name, const char *value)
{
    struct candidate other = *c;
    if (c->n_define == MOST_DEFINES || misfit(c) == 0 || !value)
        return;
    other.define[other.n_define++] = (struct definition){name, value};
    measure(n, &other);
    if (misfit(&other) < misfit(c))
        *c = other;
}

static bool defined(const struct candidate *c, const char *name)
{
    for (int i = 0; i < c->n_define; i++)
        if (strcmp(c->define[i].name, name) == 0)
            return true;
    return false;
}

/* blocks and classes can be read from the checkpoint; of the others the usual values are tried, one parameter alone. */
static void vary(struct netc *n, struct candidate *c)
{
    static const char *const usual[] = {"1",  "2",  "4",  "8",  "14", "16", "18",
                                        "24", "26", "32", "40", "48", "64", "128"};
    static const char *const scalar[] = {"width", "cardinality", "scale", "radix"};
    const struct net_outline *net = outline_of(n, c->file);
    bool has[LENGTH(scalar)] = {0}, blocks = false, classes = false;
    for (int i = 0; net && i < net->n_param; i++) {
        bool open = !defined(c, net->param[i]);
        blocks = blocks || (open && strcmp(net->param[i], "blocks") == 0);
        classes = classes || (open && strcmp(net->param[i], "classes") == 0);
        for (size_t k = 0; k < LENGTH(scalar); k++)
            has[k] = has[k] || (open && strcmp(net->param[i], scalar[k]) == 0);
    }
    if (blocks)
        try(n, c, "blocks", weights_stages(n->perm, n->weights));
    if (classes && c->fit.rows > 0)
        try(n, c, "classes", arena_printf(n->perm, "%lld", (long long)c->fit.rows));
    for (size_t k = 0; k < LENGTH(scalar); k++)
        for (size_t i = 0; has[k] && i < LENGTH(usual) && misfit(c) > 0; i++) {
            struct candidate one = *c;
            try(n, &one, scalar[k], usual[i]);
            if (classes && !defined(&one, "classes") && one.fit.rows > 0)
                try(n, &one, "classes", arena_printf(n->perm, "%lld", (long long)one.fit.rows));
            if (misfit(&one) == 0)
                *c = one;
        }
}

/* ---- the note ---- */

static const char *call_of(struct netc *n, const struct candidate *c)
{
    struct text t = {.arena = n->perm};
    text_add(&t, "%s", c->file);
    for (int i = 0; i < c->n_define; i++)
        text_add(&t, " -D %s=%s", c->define[i].name, c->define[i].value);
    return text_string(&t);
}

static void note_exact(struct netc *n, const char *calls)
{
    diag_note(n->diags, NO_SPAN, "its %zu tensors are those of %s", weights_tensors(n->weights), calls);
}

static void note_nearest(struct netc *n, const struct candidate *c)
{
    diag_note(n->diags, NO_SPAN,
              "nearest of the known networks is %s: %d of its parameters fit, %d have another shape, %d are "
              "missing, and the file has %d more tensors",
              call_of(n, c), c->fit.fitting, c->fit.misshapen, c->fit.missing, c->fit.surplus);
}

/* The given network, if it is one that can be elaborated again and most names are right. */
static bool suggest_own(struct netc *n, const struct graph *g)
{
    const struct options *o = &n->options;
    struct candidate own = {
        .file = o->file, .n_define = o->front.n_define, .elaborates = true, .fit = weights_fit(n->weights, g)};
    if (strcmp(o->file, "-") == 0 || own.n_define > MOST_DEFINES || own.fit.fitting < own.fit.missing + own.fit.surplus)
        return false;
    for (int i = 0; i < own.n_define; i++)
        own.define[i] = o->front.define[i];
    vary(n, &own);
    if (misfit(&own) == 0)
        note_exact(n, call_of(n, &own));
    return misfit(&own) == 0;
}

static int by_misfit(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int m = misfit(x), k = misfit(y);
    return m != k ? (m > k) - (m < k) : strcmp(x->file, y->file);
}

/* All networks that have a name, the fitting ones first. */
static struct candidate *known_networks(struct netc *n, size_t *count)
{
    const struct network *list = list_networks(n->perm, &n->options.front, count);
    struct candidate *all = NEW_ARRAY(n->perm, struct candidate, *count + 1);
    for (size_t i = 0; i < *count; i++) {
        all[i].file = list[i].name;
        measure(n, &all[i]);
    }
    qsort(all, *count, sizeof *all, by_misfit);
    return all;
}

void suggest_fitting(struct netc *n, const struct graph *g)
{
    struct weights_fit given = weights_fit(n->weights, g);
    size_t count;
    int misfits = given.misshapen + given.missing + given.surplus;
    if (misfits == 0 || suggest_own(n, g))
        return; /* it fits and is damaged, or is told */
    struct candidate *known = known_networks(n, &count);
    struct text exact = {.arena = n->perm};
    for (size_t i = 0; i < count && i < MOST_TOLD && misfit(&known[i]) == 0; i++)
        text_add(&exact, "%s%s", i ? " or " : "", known[i].file);
    for (size_t i = 0; i < count && i < MOST_VARIED && !exact.length && known[i].elaborates; i++) {
        vary(n, &known[i]);
        if (misfit(&known[i]) == 0)
            text_add(&exact, "%s", call_of(n, &known[i]));
    }
    if (exact.length)
        note_exact(n, text_string(&exact));
    else if (count && misfit(known) < misfits && known->fit.fitting > known->fit.surplus + known->fit.missing)
        note_nearest(n, known);
}
