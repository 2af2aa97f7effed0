/* alias_storage: which values share memory. Needs choose_layout; changes no value.
 *
 *   %y f32[256,56,56] c16       = conv %t2, ... | add %x | relu
 *   %y f32[256,56,56] c16 in %x = conv %t2, ... | add %x | relu       ; x is read here for the last time: y takes over
 *
 * A storage is owned by one value. Views (slices, reshapes, conversions that change no byte) lie inside their input's storage,
 * what a concatenation joins inside the concatenation's. A sum takes over an operand that nobody reads later.
 */
#include "graph/graph.h"

struct place { /* where a value lies: blocks [lead, lead + blocks) of a storage */
    struct storage *storage;
    int64_t lead, blocks;
};

/* Plain values count in blocks too, of 16 elements: what they share memory with is [C,1,1]. */
static int64_t blocks_of(const struct node *n)
{
    return layout_blocks(n->type);
}

static bool overlap(const struct node *a, const struct node *b)
{
    return a->storage == b->storage && a->lead < b->lead + blocks_of(b) && b->lead < a->lead + blocks_of(a);
}

/* The first block of channel `start`, which lies at a segment's or a block's begin. */
static int64_t block_of_channel(struct layout l, int64_t start)
{
    if (!l.seg)
        return start / l.block;
    return start / l.seg * ((l.seg + l.block - 1) / l.block);
}

static void own(struct graph *g, struct node *n)
{
    n->storage = NEW(g->arena, struct storage);
    *n->storage = (struct storage){.id = n->id, .owner = n, .bytes = layout_bytes(n->type)};
    n->lead = 0;
}

/* Members of a concatenation are placed when the first of them is met. */
static void place_members(struct graph *g, struct node *concat)
{
    own(g, concat);
    int64_t lead = 0;
    for (int i = 0; i < concat->n_in; i++) {
        concat->in[i]->storage = concat->storage;
        concat->in[i]->lead = lead;
        lead += blocks_of(concat->in[i]);
    }
}

static bool reads(const struct node *n, const struct node *value)
{
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] == value)
            return true;
    for (int i = 0; i < n->n_epilogue; i++)
        if (n->epilogue[i].operand == value)
            return true;
    return false;
}

/* May `n` be written over `v`? Nobody reads those bytes later, and n itself reads them only at the place that it writes. */
static bool can_take_over(const struct graph *g, const struct node *n, const struct node *v, const int *last_use)
{
    enum op source = v->storage ? v->storage->owner->op : OP_input;
    if (source == OP_constant || source == OP_parameter || source == OP_input)
        return false;
    if (v->type.layout.kind != LAYOUT_BLOCKS || v->type.layout.block != n->type.layout.block ||
        v->type.layout.halo != n->type.layout.halo || v->type.layout.seg != n->type.layout.seg ||
        !shape_equal(v->type.shape, n->type.shape))
        return false;
    if (n->algorithm != ALGORITHM_map && overlap(n->in[0], v))
        return false;
    for (int i = 0; i < n->id; i++) {
        const struct node *m = g->node[i];
        if (m->storage && overlap(m, v) && last_use[i] > n->id)
            return false;
        /* two views of one storage that are not the same bytes: n would read what it has overwritten */
        if (m != v && m->storage && overlap(m, v) && reads(n, m) &&
            !(m->lead == v->lead && blocks_of(m) == blocks_of(v)))
            return false;
    }
    for (size_t i = (size_t)n->id; i < g->n_node;
         i++) /* concatenations still to come own their members' places already */
        if (g->node[i] != n && g->node[i]->storage && overlap(g->node[i], v))
            return false;
    return true;
}

static struct node *victim(const struct graph *g, const struct node *n, const int *last_use)
{
    if (n->algorithm == ALGORITHM_map)
        for (int i = 0; i < n->n_in; i++)
            if (can_take_over(g, n, n->in[i], last_use))
                return n->in[i];
    if (n->algorithm == ALGORITHM_map || n->algorithm == ALGORITHM_direct || n->algorithm == ALGORITHM_spread ||
        n->algorithm == ALGORITHM_winograd)
        for (int i = 0; i < n->n_epilogue; i++) {
            struct node *o = n->epilogue[i].operand;
            if (o && shape_equal(o->type.shape, n->type.shape) && can_take_over(g, n, o, last_use))
                return o;
        }
    return NULL;
}

static void place(struct graph *g, struct node *n, struct node *const *member_of, const int *last_use)
{
    if (n->op == OP_concat && n->algorithm == ALGORITHM_view) {
        if (!n->storage)
            place_members(g, n);
        return;
    }
    if (n->algorithm == ALGORITHM_view) {
        n->storage = n->in[0]->storage;
        n->lead = n->in[0]->lead + (n->op == OP_slice ? block_of_channel(n->in[0]->type.layout, n->attrs.start) : 0);
        return;
    }
    if (member_of[n->id]) {
        if (!member_of[n->id]->storage)
            place_members(g, member_of[n->id]);
        return;
    }
    struct node *v = victim(g, n, last_use);
    if (v) {
        n->storage = v->storage;
        n->lead = v->lead;
    } else
        own(g, n);
}

bool alias_storage(struct graph *g, struct pass_context *c)
{
    int *last_use = NEW_ARRAY(c->scratch, int, g->n_node);
    struct node **member_of = NEW_ARRAY(c->scratch, struct node *, g->n_node);
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *n = g->node[i];
        for (int k = 0; k < n->n_in; k++) {
            last_use[n->in[k]->id] = n->id;
            if (n->op == OP_concat && n->algorithm == ALGORITHM_view)
                member_of[n->in[k]->id] = n;
        }
        for (int k = 0; k < n->n_epilogue; k++)
            if (n->epilogue[k].operand)
                last_use[n->epilogue[k].operand->id] = n->id;
    }
    for (size_t i = 0; i < g->n_output; i++)
        last_use[g->output[i].node->id] = (int)g->n_node;
    for (size_t i = 0; i < g->n_node; i++)
        place(g, g->node[i], member_of, last_use);
    return true;
}
