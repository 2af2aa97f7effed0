/* choose_layout: how every value lies in memory. Needs choose_algorithm; keeps every value.
 *
 *   %t1 f32[128,56,56]               = conv %x, ...
 *   %t1 f32[128,56,56] c16 halo 1    = conv %x, ...       ; a 3x3 convolution reads it: the producer writes the border
 *
 * Four steps, each a function below:
 *   insert_converts   between values whose kinds differ (rows of the caller, plain, pixels, blocks)
 *   choose_segments   a split at 26 channels makes every 26 channels start a block, for all values added to or pooled from it
 *   own_members       what a concatenation joins is written in place by its producer, or copied
 *   choose_halos      the widest border that a reader wants, shared by all views of one storage
 */
#include "graph/graph.h"

enum { BLOCK = 16, DENSE = -1, PIXEL_CHANNELS = 4 };

enum kind { KIND_ROWS, KIND_PLAIN, KIND_PIXELS, KIND_BLOCKS, KIND_COUNT };

struct layouts { /* the pass's own state, indexed by node id */
    struct graph *graph;
    struct pass_context *context;
    enum kind *kind;
    int *parent; /* classes of values with the same segments */
    int64_t *seg; /* of a class: 0 free, DENSE, or channels */
    size_t capacity;
};

/* ---- kinds ---- */

static enum kind kind_of(const struct node *n)
{
    switch (n->algorithm) {
    case ALGORITHM_NONE: return n->op == OP_input ? KIND_ROWS : KIND_PLAIN;
    case ALGORITHM_generic:
    case ALGORITHM_each: return KIND_PLAIN; /* of the latter the values are blocks, see kind_wanted */
    case ALGORITHM_view: return n->op == OP_reshape ? KIND_PLAIN : KIND_BLOCKS;
    case ALGORITHM_direct: return n->op == OP_linear ? KIND_PLAIN : KIND_BLOCKS;
    default: return KIND_BLOCKS;
    }
}

/* As what a node reads input k. */
static enum kind kind_wanted(const struct node *n, int k)
{
    return n->algorithm == ALGORITHM_each && k == 0 ? KIND_BLOCKS : kind_of(n);
}

/* Of [C,H,W], in blocks; one over more axes works on plain rows. */
static bool is_tiled_conv(const struct node *n)
{
    return n->op == OP_conv && n->algorithm != ALGORITHM_generic;
}

static bool reads_pixels(const struct node *n, const struct node *input)
{
    return is_tiled_conv(n) && n->attrs.groups == 1 && input->op == OP_input &&
           input->type.shape.dim[0] <= PIXEL_CHANNELS;
}

/* Was the padding of a plain value written, behind its last element? Most lowerings write elements only. */
static bool has_padding(const struct node *n)
{
    if (shape_elements(n->type.shape) % BLOCK == 0)
        return true;
    if (n->op == OP_reshape)
        return has_padding(n->in[0]);
    return (n->op == OP_linear && n->algorithm == ALGORITHM_direct) || n->op == OP_constant || n->op == OP_parameter;
}

/* A new convert node of `value`; the caller puts it where it belongs. */
static struct node *new_convert(struct layouts *s, struct node *value, enum kind kind)
{
    struct graph *g = s->graph;
    struct node *c = graph_add(g, s->context->diags, OP_convert, &value, 1, &(struct attrs){0}, "",
                               intern_printf("%s.%s", value->name,
                                             kind == KIND_ROWS    ? "rows"
                                             : kind == KIND_PLAIN ? "plain"
                                                                  : "blocks"),
                               value->origin);
    if (!c)
        return NULL;
    c->algorithm = ALGORITHM_convert;
    return c;
}

struct made {
    struct node *convert[KIND_COUNT];
};

/* `value` as `kind`: itself, or its one conversion, which is appended to the new order when first asked for. */
static struct node *as_kind(struct layouts *s, struct made *made, struct node *value, enum kind from, enum kind kind,
                            struct node ***order, size_t *n, size_t *capacity)
{
    if (from == kind)
        return value;
    struct node **slot = &made[value->id].convert[kind];
    if (!*slot) {
        *slot = new_convert(s, value, kind);
        PUSH(s->graph->arena, *order, *n, *capacity, *slot);
    }
    return *slot;
}

static bool insert_converts(struct layouts *s)
{
    struct graph *g = s->graph;
    size_t n_old = g->n_node, n = 0, capacity = 0;
    struct node **old = g->node, **order = NULL;
    struct made *made = NEW_ARRAY(s->context->scratch, struct made, n_old);
    enum kind *kind = NEW_ARRAY(s->context->scratch, enum kind, n_old);
    for (size_t i = 0; i < n_old; i++)
        kind[i] = kind_of(old[i]);
    for (size_t i = 0; i < n_old; i++) {
        struct node *at = old[i];
        enum kind want = kind[i];
        for (int k = 0; k < at->n_in; k++) {
            enum kind w = reads_pixels(at, at->in[k]) ? KIND_PIXELS : kind_wanted(at, k);
            if (at->algorithm == ALGORITHM_map && node_is_number(at->in[k]))
                continue;
            at->in[k] = as_kind(s, made, at->in[k], kind[at->in[k]->id], w, &order, &n, &capacity);
        }
        for (int k = 0; k < at->n_epilogue; k++)
            if (at->epilogue[k].operand && !node_is_number(at->epilogue[k].operand)) {
                struct node *o = at->epilogue[k].operand;
                /* a linear layer reads vectors of it: a copy has the padding */
                bool vectors = at->op == OP_linear && at->algorithm == ALGORITHM_direct;
                enum kind from = vectors && kind[o->id] == KIND_PLAIN && !has_padding(o) ? KIND_ROWS : kind[o->id];
                at->epilogue[k].operand = as_kind(s, made, o, from, want, &order, &n, &capacity);
            }
        PUSH(g->arena, order, n, capacity, at);
    }
    for (size_t i = 0; i < g->n_output; i++) {
        struct node *v = g->output[i].node;
        struct node *c = new_convert(
            s, v, KIND_ROWS); /* always: the caller's memory is written by one kernel, whatever else reads the value */
        PUSH(g->arena, order, n, capacity, c);
        g->output[i].node = c;
    }
    g->node = order;
    g->n_node = n;
    g->cap_node = capacity;
    for (size_t i = 0; i < n; i++)
        order[i]->id = (int)i;
    s->kind = NEW_ARRAY(s->context->scratch, enum kind, n);
    for (size_t i = 0; i < n; i++)
        s->kind[i] = kind_of(order[i]);
    for (size_t i = 0; i < n_old; i++)
        for (int k = 0; k < KIND_COUNT; k++)
            if (made[i].convert[k])
                s->kind[made[i].convert[k]->id] = (enum kind)k;
    for (size_t i = 0; i < g->n_output; i++)
        s->kind[g->output[i].node->id] = KIND_ROWS;
    return true;
}

/* ---- segments ---- */

static int root(struct layouts *s, int i)
{
    while (s->parent[i] != i)
        i = s->parent[i] = s->parent[s->parent[i]];
    return i;
}

static bool in_blocks(const struct layouts *s, const struct node *n)
{
    return s->kind[n->id] == KIND_BLOCKS;
}

static int64_t normal_seg(int64_t seg, const struct node *n)
{
    return seg % BLOCK == 0 || seg >= n->type.shape.dim[0] ? DENSE : seg;
}

/* Puts a fresh copy of `value` before `at`, in a class of its own with these segments. */
static struct node *insert_copy(struct layouts *s, struct node *at, struct node *value, int64_t seg)
{
    struct graph *g = s->graph;
    struct node *c = new_convert(s, value, KIND_BLOCKS);
    graph_insert_before(g, at, c);
    size_t n = g->n_node;
    enum kind *kind = NEW_ARRAY(s->context->scratch, enum kind, n);
    int *parent = NEW_ARRAY(s->context->scratch, int, n);
    int64_t *segs = NEW_ARRAY(s->context->scratch, int64_t, n);
    for (int i = 0; i < (int)n; i++) { /* ids behind the copy moved by one */
        int before = i < c->id ? i : i - 1;
        int up = s->parent[before];
        kind[i] = i == c->id ? KIND_BLOCKS : s->kind[before];
        parent[i] = i == c->id ? i : up < c->id ? up : up + 1;
        segs[i] = i == c->id ? seg : s->seg[before];
    }
    s->kind = kind;
    s->parent = parent;
    s->seg = segs;
    return c;
}

/* The value that `at` shall read instead of *slot so that it has these segments: itself if its class has them or is free. */
static void require(struct layouts *s, struct node *at, struct node **slot, int64_t seg)
{
    if (!in_blocks(s, *slot))
        return;
    int r = root(s, (*slot)->id);
    if (s->seg[r] == 0)
        s->seg[r] = seg;
    if (s->seg[r] != seg)
        *slot = insert_copy(s, at, *slot, seg);
}

/* `at` reads *slot lane by lane: both get the same segments. */
static void join(struct layouts *s, struct node *at, struct node **slot)
{
    if (!in_blocks(s, *slot) || !in_blocks(s, at))
        return;
    int a = root(s, at->id), b = root(s, (*slot)->id);
    if (a == b)
        return;
    if (s->seg[a] && s->seg[b] && s->seg[a] != s->seg[b]) {
        *slot = insert_copy(s, at, *slot, s->seg[a]);
        return;
    }
    if (!s->seg[a])
        s->seg[a] = s->seg[b];
    s->parent[b] = a;
}

/* Segments of what a grouped convolution reads (in = true) or writes. */
static int64_t group_seg(const struct node *n, bool in)
{
    int64_t channels = in ? n->in[0]->type.shape.dim[0] : n->type.shape.dim[0], width = channels / n->attrs.groups;
    if (n->algorithm == ALGORITHM_spread)
        return BLOCK % width == 0 ? DENSE : width * (BLOCK / width);
    if (width % BLOCK == 0 || (in && BLOCK % width == 0 && n->attrs.groups % (BLOCK / width) == 0))
        return DENSE;
    return width;
}

/* A slice or a concatenation along the channels that needs no copy. */
static bool is_piece(const struct node *n)
{
    return n->algorithm == ALGORITHM_view && (n->op == OP_slice || n->op == OP_concat);
}

/* Two numbers a channel, those of all channels and then those of all again: input k, or the result (-1). */
static bool is_two_a_channel(const struct node *n, int k)
{
    switch (n->op) {
    case OP_moments: return k < 0;
    case OP_group_scale: return true;
    case OP_rescale: return k == 1;
    case OP_local_conv: return k == 2;
    default: return false;
    }
}

/* The channels of whom stand without gaps, since numbers of theirs come from elsewhere. */
static bool is_dense(const struct node *n)
{
    return n->algorithm == ALGORITHM_local || n->algorithm == ALGORITHM_each || n->algorithm == ALGORITHM_moments ||
           n->op == OP_rescale;
}

static void seed_segments(struct layouts *s, struct node *n)
{
    int64_t seg = 0;
    if (is_tiled_conv(n) && n->attrs.groups > 1)
        seg = group_seg(n, false);
    if (is_piece(n) && node_unit(n) % BLOCK != 0) /* else it may take what it meets: see join_pieces */
        seg = node_unit(n);
    if (is_dense(n)) /* which weights a lane wants follows from its channel */
        seg = DENSE;
    if (is_two_a_channel(n, -1))
        seg = n->type.shape.dim[0] / 2;
    if (seg == DENSE)
        s->seg[n->id] = DENSE;
    else if (seg)
        s->seg[n->id] = normal_seg(seg, n);
}

/* A slice or a concatenation: its pieces must begin at blocks. Segments of which whole numbers make a piece stay as they are. */
static void join_pieces(struct layouts *s, struct node *n)
{
    int64_t unit = node_unit(n), seg = s->seg[root(s, n->id)];
    for (int i = 0; i < n->n_in && seg <= 0; i++)
        seg = in_blocks(s, n->in[i]) ? s->seg[root(s, n->in[i]->id)] : 0;
    if (seg <= 0 || unit % seg != 0)
        seg = unit;
    if (!s->seg[root(s, n->id)])
        s->seg[root(s, n->id)] = normal_seg(seg, n);
    for (int i = 0; i < n->n_in; i++)
        require(s, n, &n->in[i], normal_seg(s->seg[root(s, n->id)] > 0 ? seg : unit, n->in[i]));
}

static void read_segments(struct layouts *s, struct node *n)
{
    if (is_piece(n)) {
        join_pieces(s, n);
        return;
    }
    bool lanewise =
        n->algorithm == ALGORITHM_map || n->algorithm == ALGORITHM_pool || n->algorithm == ALGORITHM_global_pool;
    for (int i = 0; i < n->n_in; i++) {
        struct node **slot = &n->in[i];
        if (is_two_a_channel(n, i))
            require(s, n, slot, normal_seg((*slot)->type.shape.dim[0] / 2, *slot));
        else if (is_dense(n))
            require(s, n, slot, DENSE);
        else if (lanewise)
            join(s, n, slot);
        else if (is_tiled_conv(n) && n->attrs.groups > 1)
            require(s, n, slot, normal_seg(group_seg(n, true), *slot));
    }
    for (int i = 0; i < n->n_epilogue; i++)
        if (n->epilogue[i].operand)
            join(s, n, &n->epilogue[i].operand);
}

static void choose_segments(struct layouts *s)
{
    struct graph *g = s->graph;
    s->parent = NEW_ARRAY(s->context->scratch, int, g->n_node);
    s->seg = NEW_ARRAY(s->context->scratch, int64_t, g->n_node);
    for (size_t i = 0; i < g->n_node; i++)
        s->parent[i] = (int)i;
    for (size_t i = 0; i < g->n_node; i++)
        seed_segments(s, g->node[i]);
    for (size_t i = 0; i < g->n_node; i++) { /* copies are put before the node: its position moves */
        struct node *n = g->node[i];
        read_segments(s, n);
        i = (size_t)n->id;
    }
}

/* ---- members of concatenations ---- */

static void own_members(struct layouts *s)
{
    struct graph *g = s->graph;
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *n = g->node[i];
        if (n->op != OP_concat || n->algorithm != ALGORITHM_view)
            continue;
        for (int k = 0; k < n->n_in; k++) {
            struct node *m = n->in[k];
            bool own = m->algorithm != ALGORITHM_view && m->algorithm != ALGORITHM_NONE;
            for (size_t j = 0; j < g->n_node && own; j++) { /* a member of one concatenation, once */
                struct node *other = g->node[j];
                if (other->op != OP_concat || other->algorithm != ALGORITHM_view)
                    continue;
                for (int q = 0; q < other->n_in; q++)
                    if (other->in[q] == m && !(other == n && q == k))
                        own = own && (other == n ? q > k : other->id > n->id);
            }
            if (!own)
                n->in[k] = insert_copy(s, n, m, s->seg[root(s, m->id)]);
        }
        i = (size_t)n->id;
    }
}

/* ---- halos ---- */

/* The border that a reader wants of its input; a pool that cannot use zeros tests its bounds instead. */
static int64_t wanted_halo(const struct node *n)
{
    int64_t pad = n->attrs.pad[0] > n->attrs.pad[1] ? n->attrs.pad[0] : n->attrs.pad[1];
    if (is_tiled_conv(n) || n->algorithm == ALGORITHM_local || n->algorithm == ALGORITHM_each)
        return pad;
    return (n->op == OP_max_pool || n->op == OP_avg_pool) && pool_reads_border(n) ? pad : 0;
}

static void choose_halos(struct layouts *s, int *halo)
{
    struct graph *g = s->graph;
    int n = (int)g->n_node;
    for (int i = 0; i < n; i++)
        s->parent[i] = i; /* now classes of values that share a storage */
    for (int i = 0; i < n; i++) {
        struct node *v = g->node[i];
        if (v->algorithm != ALGORITHM_view || v->op == OP_reshape)
            continue;
        for (int k = 0; k < v->n_in; k++)
            s->parent[root(s, v->in[k]->id)] = root(s, i);
    }
    for (int i = 0; i < n; i++) {
        struct node *v = g->node[i];
        if (v->n_in == 0 || v->algorithm == ALGORITHM_generic)
            continue;
        int r = root(s, v->in[0]->id);
        int want = (int)wanted_halo(v);
        if (want > halo[r])
            halo[r] = want;
    }
}

static struct layout layout_for(enum kind kind, int64_t channels, int64_t seg, int halo)
{
    switch (kind) {
    case KIND_ROWS: return (struct layout){.kind = LAYOUT_PLAIN, .block = 1};
    case KIND_PLAIN: return (struct layout){.kind = LAYOUT_PLAIN, .block = BLOCK};
    case KIND_PIXELS: return (struct layout){.kind = LAYOUT_BLOCKS, .block = (int)channels, .halo = halo};
    default: return (struct layout){.kind = LAYOUT_BLOCKS, .block = BLOCK, .halo = halo, .seg = seg > 0 ? (int)seg : 0};
    }
}

/* A conversion that changes no byte: [C,1,1] in blocks without border or segments is [C] plain. From blocks to blocks it is a copy
 * that somebody wanted; and who reads blocks reads all lanes, so what is plain must have its padding. */
static bool same_bytes(const struct node *n)
{
    const struct node *end[2] = {n->in[0], n};
    for (int i = 0; i < 2; i++) {
        const struct type *t = &end[i]->type;
        if (t->layout.block != BLOCK || t->layout.seg || t->layout.halo)
            return false;
        if (t->layout.kind == LAYOUT_BLOCKS && t->shape.dim[1] * t->shape.dim[2] != 1)
            return false;
    }
    if (n->in[0]->type.layout.kind == n->type.layout.kind)
        return false;
    return n->type.layout.kind == LAYOUT_PLAIN || has_padding(n->in[0]);
}

/* What becomes a view cannot be written into a concatenation's memory. */
static bool *members(struct layouts *s)
{
    struct graph *g = s->graph;
    bool *member = NEW_ARRAY(s->context->scratch, bool, g->n_node);
    for (size_t i = 0; i < g->n_node; i++) {
        const struct node *n = g->node[i];
        for (int k = 0; k < n->n_in && n->op == OP_concat && n->algorithm == ALGORITHM_view; k++)
            member[n->in[k]->id] = true;
    }
    return member;
}

bool choose_layout(struct graph *g, struct pass_context *c)
{
    struct layouts s = {.graph = g, .context = c};
    if (!insert_converts(&s))
        return false;
    choose_segments(&s);
    own_members(&s);
    int64_t *seg = NEW_ARRAY(c->scratch, int64_t, g->n_node);
    int *halo = NEW_ARRAY(c->scratch, int, g->n_node);
    bool *member = members(&s);
    for (size_t i = 0; i < g->n_node; i++)
        seg[i] = s.seg[root(&s, (int)i)];
    choose_halos(&s, halo);
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *n = g->node[i];
        n->type.layout = layout_for(s.kind[i], n->type.shape.dim[0], seg[i], halo[root(&s, (int)i)]);
    }
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *n = g->node[i];
        if (n->op == OP_convert && n->in[0]->op != OP_input && !member[i] && same_bytes(n))
            n->algorithm = ALGORITHM_view;
    }
    return true;
}
