/* Building and editing graphs: operators by name, nodes and their names, uses, replacing, removing.
 *
 * What would surprise: a name that was given once is never given again, even when its node is gone, so that names in
 * two dumps of one run mean the same; and finding a name is a hash look-up, since there are networks of thousands of
 * nodes.
 */
#include "graph/graph.h"

#include <string.h>

static const struct op_info info[OP_COUNT] = {
#define OP(name, least, most, params, attrs, elementwise) \
    [OP_##name] = {#name, least, most, params, attrs, elementwise},
#include "graph/ops.def"
#undef OP
};

const struct op_info *op_info(enum op op)
{
    return &info[op];
}

bool op_by_name(const char *name, enum op *op)
{
    for (int i = 0; i < OP_COUNT; i++) {
        if (!strcmp(info[i].name, name)) {
            *op = (enum op)i;
            return true;
        }
    }
    return false;
}

static const struct attr_info attr[] = {
#define ATTR(name, word, kind, field) {#name, #word, ATTR_##kind, offsetof(struct attrs, field)},
#include "graph/attrs.def"
#undef ATTR
};

const struct attr_info *op_attr(enum op op, int i)
{
    const char *word = info[op].attrs;
    for (; i > 0 && *word; i--) {
        word += strcspn(word, " ");
        word += strspn(word, " ");
    }
    size_t length = strcspn(word, " ");
    for (size_t k = 0; length && k < LENGTH(attr); k++) {
        if (strlen(attr[k].name) == length && !memcmp(attr[k].name, word, length)) {
            return &attr[k];
        }
    }
    return NULL;
}

/* ---- names ---- */

/* The slot of a key or the free one where it belongs; capacity is a power of two and never full. */
static struct name_slot *name_slot(const struct name_map *map, const char *name)
{
    uint64_t hash = (uint64_t)(uintptr_t)name * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = hash >> 32;; i++) {
        struct name_slot *slot = &map->slot[i & (map->capacity - 1)];
        if (!slot->key || slot->key == name) {
            return slot;
        }
    }
}

void **name_map_get(const struct name_map *map, const char *name)
{
    if (!map->capacity) {
        return NULL;
    }
    struct name_slot *slot = name_slot(map, name);
    return slot->key ? &slot->value : NULL;
}

void name_map_put(struct arena *arena, struct name_map *map, const char *name, void *value)
{
    if (2 * (map->count + 1) > map->capacity) {
        struct name_map bigger = {.capacity = map->capacity ? 2 * map->capacity : 64, .count = map->count};
        bigger.slot = NEW_ARRAY(arena, struct name_slot, bigger.capacity);
        for (size_t i = 0; i < map->capacity; i++) {
            if (map->slot[i].key) {
                *name_slot(&bigger, map->slot[i].key) = map->slot[i];
            }
        }
        *map = bigger;
    }
    struct name_slot *slot = name_slot(map, name);
    map->count += !slot->key;
    *slot = (struct name_slot){name, value};
}

static const char *unique_name(struct graph *graph, const char *base)
{
    if (!name_map_get(&graph->nodes, base)) {
        return base;
    }
    void **last = name_map_get(&graph->suffixes, base);
    intptr_t number = last ? (intptr_t)*last : 1;
    const char *name;
    do {
        name = intern_printf("%s%lld", base, (long long)++number);
    } while (name_map_get(&graph->nodes, name));
    name_map_put(graph->arena, &graph->suffixes, base, (void *)number);
    return name;
}

static const char *default_name(struct graph *graph, enum op op, const char *path)
{
    if (!*path) {
        return unique_name(graph, intern(info[op].name));
    }
    if (*info[op].params && !name_map_get(&graph->nodes, path)) {
        return path;
    }
    return unique_name(graph, intern_printf("%s.%s", path, info[op].name));
}

struct node *graph_find_node(const struct graph *graph, const char *name)
{
    void **found = name_map_get(&graph->nodes, intern(name));
    struct node *node = found ? *found : NULL;
    bool present = node && node->id >= 0 && (size_t)node->id < graph->n_node && graph->node[node->id] == node;
    return present ? node : NULL;
}

const char *node_source(struct arena *arena, const struct node *node)
{
    if (node->source) {
        return node->source;
    }
    struct span span = node->origin.span;
    if (span.file < 0 || !source_get(span.file)) {
        return "";
    }
    int line, column;
    source_place(span, &line, &column);
    return arena_printf(arena, "%s:%d", source_get(span.file)->shown, line);
}

/* ---- building ---- */

struct graph *graph_new(struct arena *module, const char *name, const char *file)
{
    struct graph *graph = NEW(module, struct graph);
    graph->arena = module;
    graph->name = intern(name);
    graph->file = intern(file ? file : "");
    graph->batch = 1;
    return graph;
}

static void renumber(struct graph *graph)
{
    for (size_t i = 0; i < graph->n_node; i++) {
        graph->node[i]->id = (int)i;
    }
}

struct node *graph_add(struct graph *graph, struct diags *diags, enum op op, struct node *const *in, int n_in,
                       const struct attrs *attrs, const char *path, const char *name, struct origin origin)
{
    struct node *node = NEW(graph->arena, struct node);
    node->op = op;
    node->path = intern(path ? path : "");
    node->in = NEW_ARRAY(graph->arena, struct node *, n_in + 1);
    node->n_in = n_in;
    for (int i = 0; i < n_in; i++) {
        node->in[i] = in[i];
    }
    if (attrs) {
        node->attrs = *attrs;
    }
    node->origin = origin;
    if (!infer_type(diags, node)) {
        return NULL;
    }
    node->name = name ? unique_name(graph, intern(name)) : default_name(graph, op, node->path);
    name_map_put(graph->arena, &graph->nodes, node->name, node);
    node->id = (int)graph->n_node;
    PUSH(graph->arena, graph->node, graph->n_node, graph->cap_node, node);
    return node;
}

/* ---- editing ---- */

int node_uses(const struct graph *graph, const struct node *node)
{
    int uses = 0;
    for (size_t i = 0; i < graph->n_node; i++) {
        const struct node *user = graph->node[i];
        for (int k = 0; k < user->n_in; k++) {
            uses += user->in[k] == node;
        }
        for (int k = 0; k < user->n_epilogue; k++) {
            uses += user->epilogue[k].operand == node;
        }
    }
    for (size_t i = 0; i < graph->n_output; i++) {
        uses += graph->output[i].node == node;
    }
    return uses;
}

void graph_replace(struct graph *graph, struct node *old, struct node *with)
{
    for (size_t i = 0; i < graph->n_node; i++) {
        struct node *user = graph->node[i];
        if (user == with) {
            continue;
        }
        for (int k = 0; k < user->n_in; k++) {
            user->in[k] = user->in[k] == old ? with : user->in[k];
        }
        for (int k = 0; k < user->n_epilogue; k++) {
            user->epilogue[k].operand = user->epilogue[k].operand == old ? with : user->epilogue[k].operand;
        }
    }
    for (size_t i = 0; i < graph->n_output; i++) {
        graph->output[i].node = graph->output[i].node == old ? with : graph->output[i].node;
    }
}

/* Nodes that are known to be needed and whose own needs are still to be looked at. */
struct worklist {
    struct arena *arena;
    struct node **node;
    size_t count, capacity;
    bool *needed; /* by id */
};

static void need(struct worklist *work, struct node *node)
{
    if (node && !work->needed[node->id]) {
        work->needed[node->id] = true;
        PUSH(work->arena, work->node, work->count, work->capacity, node);
    }
}

static void find_needed_nodes(const struct graph *graph, struct worklist *work)
{
    for (size_t i = 0; i < graph->n_output; i++) {
        need(work, graph->output[i].node);
    }
    for (size_t i = 0; i < graph->n_input; i++) {
        need(work, graph->input[i].node);
    }
    while (work->count) {
        const struct node *node = work->node[--work->count];
        for (int k = 0; k < node->n_in; k++) {
            need(work, node->in[k]);
        }
        for (int k = 0; k < node->n_epilogue; k++) {
            need(work, node->epilogue[k].operand);
        }
        need(work, node->storage ? node->storage->owner : NULL);
    }
}

/* Sources of a derived parameter stand before it, so that one walk from the last to the first is enough. */
static void remove_dead_params(struct graph *graph)
{
    bool *needed = NEW_ARRAY(graph->arena, bool, graph->n_param + 1);
    for (size_t i = 0; i < graph->n_node; i++) {
        for (int k = 0; k < MAX_PARAMS; k++) {
            if (graph->node[i]->param[k]) {
                needed[graph->node[i]->param[k]->id] = true;
            }
        }
    }
    for (size_t i = graph->n_param; i-- > 0;) {
        for (int k = 0; needed[i] && k < graph->param[i]->n_from; k++) {
            needed[graph->param[i]->from[k]->id] = true;
        }
    }
    struct name_map kept = {0};
    size_t n = 0;
    for (size_t i = 0; i < graph->n_param; i++) {
        struct param *param = graph->param[i];
        if (needed[i]) {
            param->id = (int)n;
            graph->param[n++] = param;
            name_map_put(graph->arena, &kept, param->name, param);
        }
    }
    graph->n_param = n;
    graph->params = kept;
}

void graph_remove_dead(struct graph *graph)
{
    renumber(graph);
    struct worklist work = {.arena = graph->arena, .needed = NEW_ARRAY(graph->arena, bool, graph->n_node + 1)};
    find_needed_nodes(graph, &work);
    size_t n = 0;
    for (size_t i = 0; i < graph->n_node; i++) {
        if (work.needed[i]) {
            graph->node[n++] = graph->node[i];
        } else {
            graph->node[i]->id = -1;
        }
    }
    graph->n_node = n;
    renumber(graph);
    remove_dead_params(graph);
}

void graph_insert_before(struct graph *graph, struct node *at, struct node *fresh)
{
    size_t from = 0, to = 0;
    while (from < graph->n_node && graph->node[from] != fresh) {
        from++;
    }
    if (from == graph->n_node) {
        PUSH(graph->arena, graph->node, graph->n_node, graph->cap_node, fresh);
    }
    memmove(graph->node + from, graph->node + from + 1, (graph->n_node - from - 1) * sizeof *graph->node);
    while (to < graph->n_node - 1 && graph->node[to] != at) {
        to++;
    }
    memmove(graph->node + to + 1, graph->node + to, (graph->n_node - 1 - to) * sizeof *graph->node);
    graph->node[to] = fresh;
    renumber(graph);
}

struct node *graph_add_before(struct graph *graph, struct diags *diags, struct node *at, enum op op,
                              struct node *const *in, int n_in, const struct attrs *attrs)
{
    struct node *fresh = graph_add(graph, diags, op, in, n_in, attrs, at->path, NULL, at->origin);
    if (fresh) {
        fresh->source = at->source;
        graph_insert_before(graph, at, fresh);
    }
    return fresh;
}

bool node_is_number(const struct node *node)
{
    return node->op == OP_constant && shape_elements(node->type.shape) == 1;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    return b ? common_divisor(b, a % b) : a;
}

int64_t node_unit(const struct node *node)
{
    if (node->op == OP_slice) {
        return common_divisor(common_divisor(node->attrs.start, node->attrs.size), node->in[0]->type.shape.dim[0]);
    }
    int64_t unit = 0;
    for (int i = 0; i < node->n_in; i++) {
        unit = common_divisor(node->in[i]->type.shape.dim[0], unit);
    }
    return unit;
}
