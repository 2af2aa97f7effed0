/* The rules between kernels, for a program whose kernels were verified one by one:
 *
 *      loop_call           every buffer of a call lies in its memory, from its lead on, which is a multiple of 64
 *                          bytes; weights and inputs are only read; the arguments of one call do not overlap where
 *                          one is written (the C says restrict)
 *      loop_caller         what a call touches of an input or an output it touches by loads and stores that need no
 *                          more than a float's alignment: those arrays are the caller's, and in a batch an image
 *                          begins wherever the one before it ends
 *      loop_stage          a kernel has the tasks of its stage; epochs count the barriers
 *   7  loop_race           within an epoch no task touches what another one writes; the same index is the same task
 *                          only in stages of equal shape (calls_conflict)
 *   8  loop_memory         memories that share bytes have no common epoch; offsets are multiples of 64, and a
 *                          memory is used in its epochs only
 *      loop_unwritten      what a call reads of the workspace or an output, earlier calls wrote
 */
#include "loop/loop.h"

enum { ALIGNMENT = 64 };

struct checker {
    struct diags *diags;
    struct arena *arena;
    const struct program *program;
};

PRINTF(3, 4) static void fail(struct checker *c, enum check check, const char *format, ...)
{
    struct text text = {.arena = c->arena};
    va_list list;
    va_start(list, format);
    text_add_v(&text, format, list);
    va_end(list);
    const struct graph *graph = c->program->graph;
    diag_error_file(c->diags, check, graph != NULL ? graph->name : "program", "%s", text_string(&text));
}

static const char *call_name(const struct call *call)
{
    return call->layer != NULL ? call->layer : call->kernel->name;
}

/* ---- calls and stages ---- */

static bool check_argument(struct checker *c, const struct call *call, int i)
{
    const struct buffer *buffer = call->kernel->buffer[i];
    const struct argument *arg = &call->arg[i];
    if (arg->memory == NULL) {
        fail(c, CHECK_loop_call, "%s: nothing is passed as %s", call_name(call), buffer->name);
        return false;
    }
    if (arg->lead < 0 || arg->lead % ALIGNMENT != 0 || arg->lead > arg->memory->bytes ||
        buffer_bytes(buffer) > arg->memory->bytes - arg->lead) {
        fail(c, CHECK_loop_call, "%s: %s of %lld bytes is %s + %lld, which has %lld bytes", call_name(call),
             buffer->name, (long long)buffer_bytes(buffer), arg->memory->name, (long long)arg->lead,
             (long long)arg->memory->bytes);
        return false;
    }
    if (buffer->dir != DIR_IN && (arg->memory->kind == MEMORY_WEIGHTS || arg->memory->kind == MEMORY_INPUT)) {
        fail(c, CHECK_loop_call, "%s writes %s, which is constant", call_name(call), arg->memory->name);
    }
    if (buffer->dir != DIR_IN && c->program->batch > 1 && !arg->memory->per_image) {
        fail(c, CHECK_loop_call, "%s: all images write the same %s", call_name(call), arg->memory->name);
    }
    return true;
}

static void check_overlap(struct checker *c, const struct call *call)
{
    for (int i = 0; i < call->kernel->n_buffer; i++) {
        for (int j = 0; j < i; j++) {
            const struct argument *a = &call->arg[i], *b = &call->arg[j];
            const struct buffer *x = call->kernel->buffer[i], *y = call->kernel->buffer[j];
            if (a->memory == b->memory && (x->dir != DIR_IN || y->dir != DIR_IN) &&
                a->lead < b->lead + buffer_bytes(y) && b->lead < a->lead + buffer_bytes(x)) {
                fail(c, CHECK_loop_call, "%s: %s and %s overlap in %s", call_name(call), y->name, x->name,
                     a->memory->name);
            }
        }
    }
}

/* Whether the C of an access is an instruction that faults away from a multiple of the vector's bytes. */
static bool needs_alignment(const struct access *access)
{
    if (access->is_store) {
        const struct stmt *store = access->stmt;
        return store->aligned && store->value->type.lanes > 1 && store->lanes == store->value->type.lanes;
    }
    return access->expr->kind == EXPR_LOAD && access->expr->aligned && access->expr->type.lanes > 1;
}

static void check_caller(struct checker *c, const struct call *call, const struct accesses *list, int i)
{
    const struct memory *memory = call->arg[i].memory;
    if (memory->kind != MEMORY_INPUT && memory->kind != MEMORY_OUTPUT) {
        return;
    }
    for (size_t k = 0; k < list->count; k++) {
        const struct access *access = &list->at[k];
        if (access->ref->buffer == call->kernel->buffer[i] && needs_alignment(access)) {
            fail(c, CHECK_loop_caller, "%s: %s of %s, the caller's %s, needs an aligned array", call_name(call),
                 element_ref_text(c->arena, access->ref), call->kernel->name, memory->name);
            return;
        }
    }
}

static void check_callers(struct checker *c, const struct call *call)
{
    struct accesses list = kernel_accesses(c->arena, call->kernel);
    for (int i = 0; i < call->kernel->n_buffer; i++) {
        check_caller(c, call, &list, i);
    }
}

static void check_tasks(struct checker *c, const struct stage *stage, const struct call *call)
{
    bool same = stage->n_task == call->kernel->n_task;
    for (int t = 0; t < stage->n_task && same; t++) {
        same = stage->task[t] == call->kernel->task[t]->hi;
    }
    if (!same) {
        fail(c, CHECK_loop_stage, "%s has other tasks than its stage", call_name(call));
    }
}

/* False: nothing further can be said. */
static bool check_calls(struct checker *c)
{
    bool sound = true;
    int epoch = 0;
    for (const struct stage *stage = c->program->stage; stage != NULL; stage = stage->next) {
        epoch += stage->barrier != NULL;
        if (stage->epoch != epoch) {
            fail(c, CHECK_loop_stage, "a stage is of epoch %d, the barriers say %d", stage->epoch, epoch);
        }
        for (const struct call *call = stage->call; call != NULL; call = call->next) {
            bool here = true;
            for (int i = 0; i < call->kernel->n_buffer; i++) {
                here = check_argument(c, call, i) && here;
            }
            if (here) {
                check_overlap(c, call);
                check_callers(c, call);
            }
            check_tasks(c, stage, call);
            sound = sound && here;
        }
    }
    if (c->program->stage != NULL && c->program->n_epoch != epoch + 1) {
        fail(c, CHECK_loop_stage, "the program has %d epochs, the barriers say %d", c->program->n_epoch, epoch + 1);
    }
    return sound;
}

/* ---- rule 7 ---- */

static void check_race(struct checker *c, const struct stage *stage, const struct call *call, const struct stage *other,
                       const struct call *later)
{
    for (; later != NULL; later = later->next) {
        const struct memory *memory = calls_conflict(c->program, stage, call, other, later);
        if (memory != NULL) {
            fail(c, CHECK_loop_race,
                 "%s and then %s touch %s without a barrier between: tasks of one meet those of the other",
                 call_name(call), call_name(later), memory->name);
        }
    }
}

static void check_races(struct checker *c)
{
    for (const struct stage *stage = c->program->stage; stage != NULL; stage = stage->next) {
        for (const struct call *call = stage->call; call != NULL; call = call->next) {
            check_race(c, stage, call, stage, call->next);
            for (const struct stage *other = stage->next; other != NULL && other->epoch == stage->epoch;
                 other = other->next) {
                check_race(c, stage, call, other, other->call);
            }
        }
    }
}

/* ---- rule 8 ---- */

static void check_place(struct checker *c, const struct memory *m, int64_t limit)
{
    if (m->bytes < 0 || m->offset < 0 || m->offset % ALIGNMENT != 0 || m->offset > limit ||
        m->bytes > limit - m->offset) {
        fail(c, CHECK_loop_memory, "%s, %lld bytes at %lld, does not lie at a multiple of %d in %lld bytes", m->name,
             (long long)m->bytes, (long long)m->offset, ALIGNMENT, (long long)limit);
    }
}

static bool share_bytes(const struct memory *a, const struct memory *b)
{
    return a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

/* The plan is for one image; a batch has as many workspaces. What nothing uses has no place. */
static bool is_planned(const struct memory *m)
{
    return m->kind == MEMORY_WORKSPACE && m->first >= 0;
}

static void check_memories(struct checker *c)
{
    const struct program *program = c->program;
    for (size_t i = 0; i < program->n_memory; i++) {
        const struct memory *m = program->memory[i];
        if (!is_planned(m)) {
            continue;
        }
        check_place(c, m, program->workspace_bytes);
        for (size_t j = 0; j < i; j++) {
            const struct memory *o = program->memory[j];
            if (is_planned(o) && share_bytes(m, o) && m->first <= o->last && o->first <= m->last) {
                fail(c, CHECK_loop_memory, "%s and %s share bytes, and both are in use in epoch %d", o->name, m->name,
                     m->first > o->first ? m->first : o->first);
            }
        }
    }
    for (size_t i = 0; i < program->n_pack; i++) {
        check_place(c, program->pack[i].memory, program->weights_bytes);
        for (size_t j = 0; j < i; j++) {
            if (program->pack[i].memory != program->pack[j].memory &&
                share_bytes(program->pack[i].memory, program->pack[j].memory)) {
                fail(c, CHECK_loop_memory, "%s and %s share bytes", program->pack[j].memory->name,
                     program->pack[i].memory->name);
            }
        }
    }
}

/* ---- reading what was written ---- */

struct piece { /* bytes of a memory that were written */
    const struct memory *memory;
    int64_t lo, hi;
    struct piece *next;
};

static bool is_written(const struct piece *all, const struct memory *memory, int64_t lo, int64_t hi)
{
    bool moved = true;
    while (lo < hi && moved) {
        moved = false;
        for (const struct piece *p = all; p != NULL; p = p->next) {
            if (p->memory == memory && p->lo <= lo && p->hi > lo) {
                lo = p->hi;
                moved = true;
            }
        }
    }
    return lo >= hi;
}

static void check_use(struct checker *c, const struct stage *stage, const struct call *call, int i,
                      const struct piece *written)
{
    const struct memory *m = call->arg[i].memory;
    const struct buffer *buffer = call->kernel->buffer[i];
    if (m->kind == MEMORY_WORKSPACE && (stage->epoch < m->first || stage->epoch > m->last)) {
        fail(c, CHECK_loop_memory, "%s uses %s in epoch %d, it lives from %d to %d", call_name(call), m->name,
             stage->epoch, m->first, m->last);
    }
    if (buffer->dir != DIR_OUT && (m->kind == MEMORY_WORKSPACE || m->kind == MEMORY_OUTPUT) &&
        !is_written(written, m, call->arg[i].lead, call->arg[i].lead + buffer_bytes(buffer))) {
        fail(c, CHECK_loop_unwritten, "%s reads %s, of which not all was written before", call_name(call), m->name);
    }
}

static void check_uses(struct checker *c)
{
    struct piece *written = NULL;
    for (const struct stage *stage = c->program->stage; stage != NULL; stage = stage->next) {
        for (const struct call *call = stage->call; call != NULL; call = call->next) {
            for (int i = 0; i < call->kernel->n_buffer; i++) {
                check_use(c, stage, call, i, written);
            }
            for (int i = 0; i < call->kernel->n_buffer; i++) {
                if (call->kernel->buffer[i]->dir == DIR_OUT) {
                    struct piece *piece = NEW(c->arena, struct piece);
                    int64_t lead = call->arg[i].lead;
                    *piece = (struct piece){call->arg[i].memory, lead, lead + buffer_bytes(call->kernel->buffer[i]),
                                            written};
                    written = piece;
                }
            }
        }
    }
}

bool program_verify(struct diags *diags, const struct program *program)
{
    struct arena *arena = arena_new("program_verify");
    struct checker c = {diags, arena, program};
    int before = diag_errors(diags);
    check_memories(&c);
    if (check_calls(&c)) {
        check_races(&c);
        check_uses(&c);
    }
    arena_free(arena);
    return diag_errors(diags) == before;
}
