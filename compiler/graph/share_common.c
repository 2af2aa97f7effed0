/* share_common: nodes that compute the same are computed once (value numbering). Needs nothing; keeps every value.
 *
 *   %a  f32[64,1,1] = global_avg_pool %x
 *   %b  f32[64,1,1] = global_avg_pool %x
 *   %y  f32[64,1,1] = add %a, %b
 *
 *   %a  f32[64,1,1] = global_avg_pool %x
 *   %y  f32[64,1,1] = add %a, %a
 *
 * Equal means: the same operator, attributes and epilogues, the same inputs after sharing, and parameters that are one
 * or are derived from the same by the same recipe. The first of equal nodes stays. Inputs are never shared.
 */
#include "graph/graph.h"

#include <string.h>

static bool same_param(const struct param *a, const struct param *b)
{
    if (a == b) {
        return true;
    }
    if (!a || !b || a->op != b->op || a->op == PARAM_LOADED || a->n_from != b->n_from || a->eps != b->eps ||
        a->axis != b->axis || !shape_equal(a->shape, b->shape)) {
        return false;
    }
    if (a->op == PARAM_CONSTANT) {
        return memcmp(a->value, b->value, (size_t)shape_elements(a->shape) * sizeof *a->value) == 0;
    }
    for (int k = 0; k < a->n_from; k++) {
        if (!same_param(a->from[k], b->from[k])) {
            return false;
        }
    }
    return true;
}

#define SAME_PAIR(a, b)  ((a)[0] == (b)[0] && (a)[1] == (b)[1])
#define SAME_INT(a, b)   ((a) == (b))
#define SAME_REAL(a, b)  ((a) == (b))
#define SAME_BOOL(a, b)  ((a) == (b))
#define SAME_SHAPE(a, b) shape_equal(a, b)

static bool same_attrs(const struct attrs *a, const struct attrs *b)
{
#define ATTR(name, short, kind, field) &&SAME_##kind(a->field, b->field)
    return a->out == b->out
#include "graph/attrs.def"
        ;
#undef ATTR
}

static bool same_type(const struct type *a, const struct type *b)
{
    return a->element == b->element && shape_equal(a->shape, b->shape) && a->layout.kind == b->layout.kind &&
           a->layout.block == b->layout.block && a->layout.halo == b->layout.halo && a->layout.seg == b->layout.seg;
}

static bool same_value(const struct node *a, const struct node *b)
{
    if (a->op != b->op || a->n_in != b->n_in || a->n_epilogue != b->n_epilogue || !same_type(&a->type, &b->type) ||
        !same_attrs(&a->attrs, &b->attrs)) {
        return false;
    }
    bool same = a->op != OP_constant ||
                memcmp(a->value, b->value, (size_t)shape_elements(a->type.shape) * sizeof *a->value) == 0;
    for (int k = 0; k < a->n_in; k++) {
        same = same && a->in[k] == b->in[k];
    }
    for (int k = 0; k < MAX_PARAMS; k++) {
        same = same && same_param(a->param[k], b->param[k]);
    }
    for (int k = 0; k < a->n_epilogue; k++) {
        same = same && a->epilogue[k].op == b->epilogue[k].op && a->epilogue[k].operand == b->epilogue[k].operand;
    }
    return same;
}

/* Nodes that can be equal fall into one bucket; what tells slices of one value apart counts too. */
static size_t bucket_of(const struct node *n, size_t buckets)
{
    uint64_t hash = (uint64_t)n->op * 31 + (uint64_t)n->attrs.start;
    for (int k = 0; k < n->n_in; k++) {
        hash = (hash ^ (uint64_t)n->in[k]->id) * UINT64_C(0x100000001b3);
    }
    return (hash ^ hash >> 29) % buckets;
}

bool share_common(struct graph *g, struct pass_context *context)
{
    size_t buckets = g->n_node + 1;
    struct node **first = NEW_ARRAY(context->scratch, struct node *, buckets); /* of a bucket */
    struct node **next = NEW_ARRAY(context->scratch, struct node *, buckets);  /* in the bucket, by id */
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *n = g->node[i], *known;
        if (n->op == OP_input) {
            continue;
        }
        size_t bucket = bucket_of(n, buckets);
        for (known = first[bucket]; known && !same_value(known, n); known = next[known->id]) {
        }
        if (known) {
            graph_replace(g, n, known);
        } else {
            next[n->id] = first[bucket];
            first[bucket] = n;
        }
    }
    graph_remove_dead(g);
    return true;
}
