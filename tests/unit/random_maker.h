/* What random graphs are made with: numbers from a seed, nodes with their parameters, values to go on with. */
#ifndef NETC_TEST_RANDOM_MAKER_H
#define NETC_TEST_RANDOM_MAKER_H

#include "program_case.h"

struct maker {
    struct arena *arena;
    struct fixture f;
    struct graph *graph;
    uint32_t state;
    bool exact; /* only what keeps small integers */
    bool wide; /* many channels on small maps: tasks are tiles of channels */
    int64_t budget; /* multiply-adds still allowed */
};

static uint32_t below(struct maker *m, uint32_t n)
{
    m->state ^= m->state << 13;
    m->state ^= m->state >> 17;
    m->state ^= m->state << 5;
    return (m->state >> 8) % n;
}

#define PICK(m, array) (array)[below(m, LENGTH(array))]

static struct node *add(struct maker *m, enum op op, struct node *a, struct node *b, struct attrs attrs)
{
    struct fixture *f = &m->f;
    struct node *n = fixture_add(f, op, a, b, attrs, arena_printf(m->arena, "l%zu", m->graph->n_node));
    cr_assert(n, "%s", fixture_report(f));
    const char *leaf;
    bool optional;
    struct shape shape;
    for (int k = 0; node_param(n, k, &leaf, &optional, &shape); k++) {
        if (!optional || below(m, 2)) {
            n->param[k] = graph_param(m->graph, intern_printf("%s.%s", n->path, leaf), shape, nowhere);
        }
    }
    return n;
}

static struct node *plain(struct maker *m, enum op op, struct node *a, struct node *b)
{
    return add(m, op, a, b, (struct attrs){0});
}

/* ---- values made so far ---- */

static struct node *any(struct maker *m)
{
    size_t n = m->graph->n_node;
    return m->graph->node[below(m, 3) ? n - 1 - below(m, n < 5 ? (uint32_t)n : 5) : below(m, (uint32_t)n)];
}

static struct node *any_map(struct maker *m)
{
    struct node *x = any(m);
    for (int i = 0; i < 30 && x->type.shape.rank != 3; i++) {
        x = any(m);
    }
    return x->type.shape.rank == 3 ? x : m->graph->node[0];
}

static struct node *like(struct maker *m, const struct node *x, bool channels_too)
{
    for (int i = 0; i < 20; i++) {
        struct node *n = any(m);
        const int64_t *a = n->type.shape.dim, *b = x->type.shape.dim;
        if (n->type.shape.rank == 3 && a[1] == b[1] && a[2] == b[2] && (!channels_too || a[0] == b[0])) {
            return n;
        }
    }
    return NULL;
}

static struct node *constant(struct maker *m, struct shape shape)
{
    struct node *c = add(m, OP_constant, NULL, NULL, (struct attrs){.shape = shape});
    int64_t n = shape_elements(shape);
    double *value = NEW_ARRAY(m->arena, double, n);
    for (int64_t i = 0; i < n; i++) {
        value[i] = (double)(1 + below(m, 4)) * (below(m, 2) ? 1 : -1) * (m->exact ? 1 : 0.75);
    }
    c->value = value;
    return c;
}

#endif
