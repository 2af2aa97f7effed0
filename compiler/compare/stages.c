/* Which layers of a network make a stage, told by their names alone.
 *
 * Names are paths, layer1.0.conv1, and the paths a tree. A list of blocks is a stage: layer1 with layer1.0, layer1.1 ..., each of
 * several layers; where lists of blocks stand in a list themselves (stages.0 to stages.3) or behind a name of their own (backbone),
 * each of them is one. Behind the first of them a group of several layers without such a list (classifier, fpn) is a stage, too. What
 * stands in front of them all is the stem, layers with multiply-adds that are left behind them, with all around, the head; single layers
 * in between belong to the stage that they lead into.
 *
 * What would surprise: a network without a list of blocks has its groups of several layers for stages, and one without those, such as
 * a few convolutions in a row, a stage for each layer that has multiply-adds.
 */
#include <string.h>

#include "compare/compare.h"

struct part { /* of a path */
    const char *path;
    struct part *first, *next; /* inside; beside */
    int layers;                /* with multiply-adds, in all of it */
};

struct tree {
    struct arena *arena;
    struct part root;
    struct name_map part; /* by path */
};

static struct part *part_of(struct tree *t, const char *path)
{
    void **known = name_map_get(&t->part, path);
    if (!*path || known)
        return *path ? *known : &t->root;
    const char *dot = strrchr(path, '.');
    struct part *up = part_of(t, dot ? intern_n(path, (size_t)(dot - path)) : intern("")),
                *new = NEW(t->arena, struct part);
    *new = (struct part){.path = path, .next = up->first};
    up->first = new;
    name_map_put(t->arena, &t->part, path, new);
    return new;
}

/* The first `depth` elements; NULL where there are fewer. */
static const char *beginning(const char *path, int depth)
{
    size_t n = 0;
    for (int i = 0; i < depth; i++) {
        if (!path[n])
            return NULL;
        n += i > 0;
        n += strcspn(path + n, ".");
    }
    return intern_n(path, n);
}

static struct tree *grow(struct arena *a, const struct graph *g)
{
    struct tree *t = NEW(a, struct tree);
    *t = (struct tree){.arena = a, .root = {.path = ""}};
    for (size_t i = 0; i < g->n_node; i++) {
        const char *path = intern(g->node[i]->path), *begin;
        part_of(t, path);
        for (int depth = 0; node_macs(g->node[i]) && (begin = beginning(path, depth)); depth++)
            part_of(t, begin)->layers++;
    }
    return t;
}

static const char *last_element(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

static bool is_number(const char *word)
{
    return word[strspn(word, "0123456789")] == '\0';
}

/* Numbered parts, some of several layers. */
static bool is_list(const struct part *p)
{
    bool blocks = false;
    for (const struct part *c = p->first; c; c = c->next) {
        if (!is_number(last_element(c->path)))
            return false;
        blocks = blocks || c->layers > 1;
    }
    return blocks;
}

static bool is_list_of_blocks(const struct part *p)
{
    for (const struct part *c = p->first; c; c = c->next)
        if (is_list(c))
            return false;
    return is_list(p);
}

static int lists_below(const struct part *p)
{
    int n = 0;
    for (const struct part *c = p->first; c; c = c->next)
        n += is_list_of_blocks(c) ? 1 : lists_below(c);
    return n;
}

/* Where stages stand side by side: the whole, or what wraps them. */
static bool holds_stages(const struct part *p, bool lists)
{
    int groups = 0;
    if (lists)
        return !is_list_of_blocks(p) && lists_below(p) > 1;
    for (const struct part *c = p->first; c; c = c->next)
        groups += c->layers > 1;
    return groups > 1;
}

/* The outermost part around a node that could be a stage: NULL for a layer by itself. */
static const struct part *group_of(struct tree *t, const struct node *node, bool lists)
{
    const char *path = intern(node->path), *begin;
    for (int depth = 1; (begin = beginning(path, depth)); depth++) {
        const struct part *p = part_of(t, begin);
        /* Without lists only what wraps the whole network is looked into. */
        if (holds_stages(p, lists) && (lists || 10 * p->layers > 9 * t->root.layers))
            continue;
        return p->layers > 1 ? p : NULL;
    }
    return NULL;
}

/* "backbone.layer1" is layer1, "stages.0" stages.0. */
static const char *short_name(const char *path)
{
    const char *name = last_element(path);
    while (is_number(name) && name > path) {
        name--;
        while (name > path && name[-1] != '.')
            name--;
    }
    return name;
}

static int new_stage(struct arena *a, struct network_stages *s, const char *name)
{
    PUSH(a, s->stage, s->n, s->capacity, ((struct network_stage){.name = name}));
    return (int)s->n - 1;
}

/* The stage of a group; one that is shortened to a name that another has is called by its whole path. */
static int stage_named(struct arena *a, struct network_stages *s, struct name_map *known, const char *path)
{
    void **place = name_map_get(known, path);
    if (place)
        return (int)(intptr_t)*place - 1;
    const char *name = short_name(path);
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->stage[i].name, name) == 0)
            name = path;
    int stage = new_stage(a, s, name);
    name_map_put(a, known, path, (void *)(intptr_t)(stage + 1));
    return stage;
}

struct groups {
    const struct part **of; /* a node; NULL: it is a layer by itself, or of the stem */
    size_t first, last;     /* the nodes that begin and end what is neither stem nor head */
};

/* False: there is none. */
static bool find_groups(const struct graph *g, struct tree *t, bool lists, struct groups *groups)
{
    bool found = false, layers = false;
    for (size_t i = 0; i < g->n_node; i++) {
        const struct part *p = group_of(t, g->node[i], lists);
        bool begins = p && (!lists || is_list_of_blocks(p));
        groups->of[i] = found || begins ? p : NULL;
        if (!found && begins)
            groups->first = layers ? i : 0;
        found = found || begins;
        layers = layers || g->node[i]->op != OP_input;
        groups->last = groups->of[i] ? i : groups->last;
    }
    return found;
}

static void by_groups(const struct graph *g, const struct groups *groups, struct network_stages *s, int *stage)
{
    struct name_map known = {0};
    size_t first = groups->first, last = groups->last;
    bool layers_behind = false;
    int head = -1;
    for (size_t i = last + 1; i < g->n_node; i++)
        layers_behind = layers_behind || node_macs(g->node[i]);
    for (size_t i = 0; i < first; i++)
        stage[i] = i > 0 ? stage[0] : new_stage(g->arena, s, "stem");
    for (size_t i = first, k = first; i <= last; i++) {
        for (k = k < i ? i : k; !groups->of[k];)
            k++;
        stage[i] = stage_named(g->arena, s, &known, groups->of[k]->path);
    }
    for (size_t i = last + 1; i < g->n_node; i++) {
        if (head == -1 && strcmp(s->stage[stage[last]].name, "head") == 0)
            head = stage[last];
        else if (head == -1)
            head = layers_behind ? new_stage(g->arena, s, "head") : stage[last];
        stage[i] = head;
    }
}

static void by_layers(const struct graph *g, struct network_stages *s, int *stage)
{
    bool begun = false;
    for (size_t i = 0; i < g->n_node; i++) {
        bool layer = node_macs(g->node[i]);
        if (s->n == 0 || (layer && begun))
            new_stage(g->arena, s, g->node[i]->name);
        if (layer && !begun)
            s->stage[0].name = g->node[i]->name;
        begun = begun || layer;
        stage[i] = (int)s->n - 1;
    }
}

/* ---- what they come to ---- */

static void add(int64_t *sum, int64_t n)
{
    if (__builtin_add_overflow(*sum, n, sum))
        *sum = INT64_MAX;
}

/* A parameter that several nodes use counts where it is used first, one that is derived as those that it comes from. */
static void add_params(struct arena *a, struct name_map *seen, struct param *const *param, int n, int64_t *sum)
{
    for (int i = 0; i < n; i++) {
        if (!param[i] || name_map_get(seen, param[i]->name))
            continue;
        name_map_put(a, seen, param[i]->name, param[i]);
        add(sum, param_counts(param[i]) ? shape_elements(param[i]->shape) : 0);
        add_params(a, seen, param[i]->from, param[i]->n_from, sum);
    }
}

static void add_up(const struct graph *g, struct network_stages *s, const int *stage)
{
    struct name_map seen = {0};
    for (size_t i = 0; i < g->n_node; i++) {
        const struct node *node = g->node[i];
        struct network_stage *at = &s->stage[stage[i]];
        int64_t macs = node_macs(node);
        at->layers += node->op != OP_input;
        at->shape = node->type.shape;
        add(&at->macs, macs);
        add(&at->activations, macs ? shape_elements(node->type.shape) : 0);
        add_params(g->arena, &seen, node->param, MAX_PARAMS, &at->params);
    }
}

static void remember_names(const struct graph *g, struct network_stages *s, const int *stage)
{
    for (int paths = 0; paths < 2; paths++) { /* a node's own name counts more than that others lie behind it */
        for (size_t i = 0; i < g->n_node; i++) {
            const char *begin, *name = paths ? g->node[i]->path : g->node[i]->name;
            for (int depth = 1; paths && (begin = beginning(name, depth)); depth++)
                if (!name_map_get(&s->of, begin))
                    name_map_put(g->arena, &s->of, begin, (void *)(intptr_t)(stage[i] + 1));
            if (!paths)
                name_map_put(g->arena, &s->of, intern(name), (void *)(intptr_t)(stage[i] + 1));
        }
    }
}

struct network_stages find_stages(const struct graph *g)
{
    struct network_stages s = {0};
    struct tree *t = grow(g->arena, g);
    struct groups groups = {.of = NEW_ARRAY(g->arena, const struct part *, g->n_node + 1)};
    int *stage = NEW_ARRAY(g->arena, int, g->n_node + 1);
    if (find_groups(g, t, true, &groups) || find_groups(g, t, false, &groups))
        by_groups(g, &groups, &s, stage);
    else
        by_layers(g, &s, stage);
    add_up(g, &s, stage);
    remember_names(g, &s, stage);
    return s;
}

/* "fc.rows" is made for fc, "layer1.0.conv1" of layer1.0.conv1.0 and others. */
int stage_of_layer(const struct network_stages *s, const char *layer, int before)
{
    size_t n = strlen(layer);
    while (n > 0) {
        void **found = name_map_get(&s->of, intern_n(layer, n));
        if (found)
            return (int)(intptr_t)*found - 1;
        while (n > 0 && layer[n - 1] != '.')
            n--;
        n -= n > 0;
    }
    return before;
}
