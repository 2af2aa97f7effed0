/* plan_buffers: an offset in the workspace for every storage. Two storages may share bytes if no epoch touches both. The largest
 * are placed first, each at the lowest offset that is free in all its epochs. The plan is for one image; a batch has as many. */
#include <stdlib.h>

#include "loop/loop.h"

enum { ALIGN = 64 };

static int by_size(const void *a, const void *b)
{
    const struct memory *x = *(struct memory *const *)a, *y = *(struct memory *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->id - y->id;
}

static bool alive_together(const struct memory *a, const struct memory *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which m does not meet any of the n placed ones. */
static int64_t lowest_offset(struct memory *const *placed, size_t n, const struct memory *m)
{
    int64_t offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < n; i++) {
            const struct memory *o = placed[i];
            if (!alive_together(o, m) || offset + m->bytes <= o->offset || o->offset + o->bytes <= offset)
                continue;
            offset = (o->offset + o->bytes + ALIGN - 1) / ALIGN * ALIGN;
            moved = true;
        }
    }
    return offset;
}

bool plan_buffers(struct program *p, struct pass_context *c)
{
    struct memory **list = NEW_ARRAY(c->scratch, struct memory *, p->n_memory + 1);
    size_t n = 0;
    for (size_t i = 0; i < p->n_memory; i++)
        if (p->memory[i]->kind == MEMORY_WORKSPACE && p->memory[i]->first >= 0)
            list[n++] = p->memory[i];
    qsort(list, n, sizeof *list, by_size);
    p->workspace_bytes = 0;
    for (size_t i = 0; i < n; i++) {
        list[i]->offset = lowest_offset(list, i, list[i]);
        int64_t end = (list[i]->offset + list[i]->bytes + ALIGN - 1) / ALIGN * ALIGN;
        if (end > p->workspace_bytes)
            p->workspace_bytes = end;
    }
    return true;
}
