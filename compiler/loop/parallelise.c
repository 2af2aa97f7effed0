/* parallelise: stages and barriers. One kernel a stage comes in; neighbours with equal tasks become one stage where no task needs
 * what another task of it writes, and a barrier stands only where data crosses tasks.
 *
 *   stage r 0..14 { call conv2 }  stage r 0..14 { call conv3 }    =>    stage r 0..14 { call conv2  call conv3 }
 *
 * An epoch is what lies between two barriers: within it a thread may be stages ahead of another, so a stage is held against all
 * stages of its epoch, not only the one before.
 */
#include "loop/loop.h"

static bool equal_tasks(const struct stage *a, const struct stage *b)
{
    if (a->n_task != b->n_task)
        return false;
    for (int i = 0; i < a->n_task; i++)
        if (a->task[i] != b->task[i])
            return false;
    return true;
}

/* The first conflict of `later` with a stage of the epoch that begins at `first`. */
static const struct memory *conflict_in_epoch(const struct program *p, const struct stage *first,
                                              const struct stage *later)
{
    for (const struct stage *s = first; s && s != later; s = s->next) {
        const struct memory *m = stages_conflict(p, s, later);
        if (m)
            return m;
    }
    return NULL;
}

static void append_calls(struct stage *to, struct call *calls)
{
    struct call **tail = &to->call;
    while (*tail)
        tail = &(*tail)->next;
    *tail = calls;
}

static void touch(struct program *p)
{
    for (size_t i = 0; i < p->n_memory; i++)
        p->memory[i]->first = p->memory[i]->last = -1;
    for (struct stage *s = p->stage; s; s = s->next)
        for (struct call *c = s->call; c; c = c->next)
            for (int i = 0; i < c->kernel->n_buffer; i++) {
                struct memory *m = c->arg[i].memory;
                if (m->first < 0)
                    m->first = s->epoch;
                m->last = s->epoch;
            }
}

bool parallelise(struct program *p, struct pass_context *c)
{
    struct stage *first = p->stage, *last = p->stage; /* of the epoch; of all */
    int epoch = 0;
    for (struct stage *s = p->stage ? p->stage->next : NULL, *next; s; s = next) {
        next = s->next;
        const struct memory *m = conflict_in_epoch(p, first, s);
        if (m) {
            s->barrier = arena_printf(p->arena, "%s needs %s of other threads", s->call->layer, m->name);
            epoch++;
            first = s;
        } else if (equal_tasks(last, s)) {
            append_calls(last, s->call);
            last->next = next;
            continue;
        }
        s->epoch = epoch;
        last = s;
    }
    p->n_epoch = epoch + 1;
    touch(p);
    (void)c;
    return true;
}
