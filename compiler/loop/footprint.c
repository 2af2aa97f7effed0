/* What one task reads and writes of a buffer, and from that, whether two calls may stand in one epoch.
 *
 * A footprint is an interval a dimension that moves with the task. Where accesses move differently (the main part of
 * a map with 4r + q, its upper border with row 0 for task 0 alone) one step is chosen and the interval widened until
 * it holds them all. For writes a second box is kept, inside: what the task surely writes. Since each element is
 * written by one task of a kernel (rule 4 of the verifier), what lies in the sure box of task r is written by no
 * other task: that is how a consumer of rows [4r, 4r + 4) needs no barrier behind a producer that also writes
 * borders. */
#include "loop/loop.h"

#include <string.h>

/* ---- footprints ---- */

static bool all_tasks(const struct accesses *list, const struct access *access)
{
    for (int t = 0; t < list->kernel->n_task; t++) {
        const struct var *task = list->kernel->task[t];
        const struct range *r = &access->scope->range[task->id];
        if (r->lo > task->lo || r->hi < task->hi) {
            return false;
        }
    }
    return true;
}

/* Coefficients of the tasks in one subscript. */
static void task_steps(const struct kernel *kernel, const struct affine *form, int64_t step[MAX_TASKS])
{
    memset(step, 0, sizeof(int64_t) * MAX_TASKS);
    for (int i = 0; i < form->n; i++) {
        for (int t = 0; t < kernel->n_task; t++) {
            if (form->term[i].var == kernel->task[t]) {
                step[t] = form->term[i].k;
            }
        }
    }
}

static void widen(struct footprint *f, int d, int64_t lo, int64_t hi, int64_t all_lo, int64_t all_hi)
{
    if (!f->touched) {
        f->lo[d] = lo;
        f->hi[d] = hi;
        f->all_lo[d] = all_lo;
        f->all_hi[d] = all_hi;
        return;
    }
    f->lo[d] = lo < f->lo[d] ? lo : f->lo[d];
    f->hi[d] = hi > f->hi[d] ? hi : f->hi[d];
    f->all_lo[d] = all_lo < f->all_lo[d] ? all_lo : f->all_lo[d];
    f->all_hi[d] = all_hi > f->all_hi[d] ? all_hi : f->all_hi[d];
}

static void join(struct footprint *f, const struct accesses *list, const struct access *access)
{
    const struct kernel *kernel = list->kernel;
    for (int d = 0; d < access->ref->buffer->rank; d++) {
        struct affine form = access->ref->at[d], rest = affine_const(form.c);
        int64_t step[MAX_TASKS], lo, last, all_lo, all_last;
        int64_t width = d == access->ref->buffer->rank - 1 ? access->width : 1;
        task_steps(kernel, &form, step);
        for (int i = 0; i < form.n; i++) {
            if (form.term[i].var->kind != VAR_TASK) {
                rest.term[rest.n++] = form.term[i];
            }
        }
        struct scope here = *access->scope;
        scope_range(&here, form, &all_lo, &all_last);
        here.stmt = NULL; /* the ranges alone: guards speak of the whole form */
        scope_range(&here, rest, &lo, &last);
        for (int t = 0; t < kernel->n_task; t++) {
            const struct range *r = &access->scope->range[kernel->task[t]->id];
            int64_t k = step[t] - f->step[d][t]; /* by which this access runs ahead of the chosen step */
            lo += k * (k > 0 ? r->lo : r->hi - 1);
            last += k * (k > 0 ? r->hi - 1 : r->lo);
        }
        widen(f, d, lo, last + width, all_lo, all_last + width);
    }
    f->touched = true;
}

/* ---- the sure box ---- */

struct sure {
    int64_t lo[MAX_BUFFER_RANK], hi[MAX_BUFFER_RANK], all_lo[MAX_BUFFER_RANK], all_hi[MAX_BUFFER_RANK];
};

static bool sure_box(const struct footprint *f, const struct accesses *list, const struct access *access,
                     struct sure *sure)
{
    struct box box;
    const char *why;
    if (!all_tasks(list, access) || !access_box(list, access, 0, false, &box, &why)) {
        return false;
    }
    for (int d = 0; d < access->ref->buffer->rank; d++) {
        int64_t step[MAX_TASKS];
        task_steps(list->kernel, &box.fixed[d], step);
        if (memcmp(step, f->step[d], sizeof step) != 0) {
            return false;
        }
        sure->lo[d] = box.lo[d];
        sure->hi[d] = box.hi[d];
        sure->all_lo[d] = box.clip_lo[d];
        sure->all_hi[d] = box.clip_hi[d];
    }
    return true;
}

/* Joins b to a where together they are a box: they differ in one dimension and touch there. */
static bool merge(struct sure *a, const struct sure *b, int rank)
{
    int differs = -1;
    for (int d = 0; d < rank; d++) {
        if (a->all_lo[d] != b->all_lo[d] || a->all_hi[d] != b->all_hi[d]) {
            return false;
        }
        if (a->lo[d] != b->lo[d] || a->hi[d] != b->hi[d]) {
            if (differs >= 0) {
                return false;
            }
            differs = d;
        }
    }
    if (differs < 0) {
        return true;
    }
    if (a->hi[differs] != b->lo[differs] && b->hi[differs] != a->lo[differs]) {
        return false;
    }
    if (b->lo[differs] < a->lo[differs]) {
        a->lo[differs] = b->lo[differs];
    } else {
        a->hi[differs] = b->hi[differs];
    }
    return true;
}

static size_t merge_all(struct sure *box, size_t n, int rank)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i + 1; j < n; j++) {
            if (merge(&box[i], &box[j], rank)) {
                box[j] = box[--n];
                i = (size_t)-1; /* what has grown may touch more */
                break;
            }
        }
    }
    return n;
}

static void find_sure(struct footprint *f, const struct accesses *list, const struct buffer *buffer)
{
    struct sure *box = NEW_ARRAY(list->arena, struct sure, list->count + 1), *best = NULL;
    size_t n = 0;
    int64_t most = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->at[i].is_store && list->at[i].ref->buffer == buffer && sure_box(f, list, &list->at[i], &box[n])) {
            n++;
        }
    }
    n = merge_all(box, n, buffer->rank);
    for (size_t i = 0; i < n; i++) {
        int64_t volume = 1;
        for (int d = 0; d < buffer->rank; d++) {
            volume *= box[i].hi[d] - box[i].lo[d];
        }
        if (volume > most) {
            most = volume;
            best = &box[i];
        }
    }
    if (best == NULL) {
        return;
    }
    f->sure = f->exact = true;
    for (int d = 0; d < buffer->rank; d++) {
        f->sure_lo[d] = best->lo[d];
        f->sure_hi[d] = best->hi[d];
        f->sure_all_lo[d] = best->all_lo[d];
        f->sure_all_hi[d] = best->all_hi[d];
        f->exact = f->exact && best->lo[d] == f->lo[d] && best->hi[d] == f->hi[d] && best->all_lo[d] <= f->all_lo[d] &&
                   best->all_hi[d] >= f->all_hi[d];
    }
}

static struct footprint footprint(const struct kernel *kernel, const struct buffer *buffer, bool stores)
{
    struct footprint f = {0};
    struct arena *arena = arena_new("footprint");
    struct accesses list = kernel_accesses(arena, kernel);
    const struct access *leader = NULL; /* whose steps are taken: the first that all tasks do */
    for (size_t i = 0; i < list.count; i++) {
        const struct access *access = &list.at[i];
        if (access->ref->buffer == buffer && access->is_store == stores &&
            (leader == NULL || (!all_tasks(&list, leader) && all_tasks(&list, access)))) {
            leader = access;
        }
    }
    for (int d = 0; leader != NULL && d < buffer->rank; d++) {
        task_steps(kernel, &leader->ref->at[d], f.step[d]);
    }
    for (size_t i = 0; i < list.count; i++) {
        if (list.at[i].ref->buffer == buffer && list.at[i].is_store == stores) {
            join(&f, &list, &list.at[i]);
        }
    }
    if (f.touched && stores) {
        find_sure(&f, &list, buffer);
    }
    arena_free(arena);
    return f;
}

struct footprint kernel_reads(const struct kernel *kernel, const struct buffer *buffer)
{
    return footprint(kernel, buffer, false);
}

struct footprint kernel_writes(const struct kernel *kernel, const struct buffer *buffer)
{
    return footprint(kernel, buffer, true);
}

/* ---- how much of a buffer ---- */

/* Of sums met[0 .. n) those that one more summand makes, k * turn for turn in [0, turns): a place is met if one is at
 * most turns - 1 steps of k before it. */
static void add_summand(struct arena *arena, bool *met, int64_t n, int64_t k, int64_t turns)
{
    int64_t *since = NEW_ARRAY(arena, int64_t, n);
    for (int64_t i = 0; i < n; i++) {
        since[i] = met[i] ? 0 : i < k ? turns : since[i - k] + 1;
        met[i] = since[i] < turns;
    }
}

/* The positions of dimension d that an access meets are added to met. Guards count as far as they narrow variables. */
static void mark_positions(struct arena *arena, const struct access *access, int d, bool *met)
{
    const struct affine *form = &access->ref->at[d];
    const struct buffer *buffer = access->ref->buffer;
    int64_t least = form->c, span = d == buffer->rank - 1 ? access->width : 1;
    for (int i = 0; i < form->n; i++) {
        const struct range *r = &access->scope->range[form->term[i].var->id];
        int64_t k = form->term[i].k;
        least += k * (k < 0 ? r->hi - 1 : r->lo);
        span += (k < 0 ? -k : k) * (r->hi - 1 - r->lo);
    }
    bool *sum = NEW_ARRAY(arena, bool, span);
    sum[0] = true;
    add_summand(arena, sum, span, 1, d == buffer->rank - 1 ? access->width : 1);
    for (int i = 0; i < form->n; i++) {
        const struct range *r = &access->scope->range[form->term[i].var->id];
        add_summand(arena, sum, span, form->term[i].k < 0 ? -form->term[i].k : form->term[i].k, r->hi - r->lo);
    }
    for (int64_t i = 0; i < span; i++) {
        int64_t at = least + i;
        if (sum[i] && at >= 0 && at < buffer->dim[d]) {
            met[at] = true;
        }
    }
}

int64_t kernel_touches(const struct kernel *kernel, const struct buffer *buffer, bool stores)
{
    enum { LINE = 64 / sizeof(float) };
    struct arena *arena = arena_new("touches");
    struct accesses list = kernel_accesses(arena, kernel);
    int64_t elements = 1;
    for (int d = 0; d < buffer->rank; d++) {
        bool *met = NEW_ARRAY(arena, bool, buffer->dim[d]);
        int64_t count = 0;
        for (size_t i = 0; i < list.count; i++) {
            if (list.at[i].ref->buffer == buffer && list.at[i].is_store == stores) {
                mark_positions(arena, &list.at[i], d, met);
            }
        }
        for (int64_t i = 0; i < buffer->dim[d]; i++) {
            count += met[i];
        }
        bool whole = count && d > 0 && d == buffer->rank - 1 && buffer->dim[d] <= LINE;
        elements *= whole ? buffer->dim[d] : count;
    }
    arena_free(arena);
    return elements * (int64_t)sizeof(float);
}

/* ---- conflicts ---- */

/* Two views of one memory have common coordinates where they differ in the first dimension alone, by whole steps of
 * it. */
static bool shift_between(const struct buffer *a, int64_t lead_a, const struct buffer *b, int64_t lead_b,
                          int64_t *shift)
{
    if (a->rank != b->rank) {
        return false;
    }
    int64_t stride = buffer_bytes(a) / a->dim[0];
    for (int d = 1; d < a->rank; d++) {
        if (a->dim[d] != b->dim[d]) {
            return false;
        }
    }
    *shift = (lead_b - lead_a) / stride;
    return (lead_b - lead_a) % stride == 0;
}

static void move(struct footprint *f, int64_t shift)
{
    f->lo[0] += shift;
    f->hi[0] += shift;
    f->all_lo[0] += shift;
    f->all_hi[0] += shift;
    f->sure_lo[0] += shift;
    f->sure_hi[0] += shift;
    f->sure_all_lo[0] += shift;
    f->sure_all_hi[0] += shift;
}

static bool never_meet(const struct footprint *a, const struct footprint *b, int rank)
{
    for (int d = 0; d < rank; d++) {
        if (a->all_hi[d] <= b->all_lo[d] || b->all_hi[d] <= a->all_lo[d]) {
            return true;
        }
    }
    return false;
}

/* Different tasks never meet: for each index of the task there is a dimension that it alone moves, by more than both
 * are wide. */
static bool tasks_apart(const struct footprint *a, const struct footprint *b, int rank, const struct stage *stage)
{
    for (int t = 0; t < stage->n_task; t++) {
        bool apart = stage->task[t] == 1;
        for (int d = 0; d < rank && !apart; d++) {
            int64_t step = a->step[d][t];
            bool alone = memcmp(a->step[d], b->step[d], sizeof a->step[d]) == 0;
            for (int u = 0; u < MAX_TASKS; u++) {
                alone = alone && (u == t || a->step[d][u] == 0);
            }
            apart = alone && step > 0 && a->lo[d] + step >= b->hi[d] && b->lo[d] + step >= a->hi[d];
        }
        if (!apart) {
            return false;
        }
    }
    return true;
}

/* What the task touches by `inner`, it surely writes by `outer`: so no other task of outer's kernel writes it. */
static bool surely_inside(const struct footprint *inner, const struct footprint *outer, int rank)
{
    if (!outer->sure) {
        return false;
    }
    for (int d = 0; d < rank; d++) {
        if (memcmp(inner->step[d], outer->step[d], sizeof inner->step[d]) != 0 || inner->lo[d] < outer->sure_lo[d] ||
            inner->hi[d] > outer->sure_hi[d] || inner->all_lo[d] < outer->sure_all_lo[d] ||
            inner->all_hi[d] > outer->sure_all_hi[d]) {
            return false;
        }
    }
    return true;
}

struct view { /* one argument of one call */
    const struct call *call;
    const struct stage *stage;
    int i;
};

static bool ways_conflict(struct view a, bool a_writes, struct view b, bool b_writes, bool same_tasks)
{
    const struct buffer *x = a.call->kernel->buffer[a.i], *y = b.call->kernel->buffer[b.i];
    struct footprint f = a_writes ? kernel_writes(a.call->kernel, x) : kernel_reads(a.call->kernel, x);
    struct footprint g = b_writes ? kernel_writes(b.call->kernel, y) : kernel_reads(b.call->kernel, y);
    int64_t shift;
    if (!f.touched || !g.touched) {
        return false;
    }
    if (!shift_between(x, a.call->arg[a.i].lead, y, b.call->arg[b.i].lead, &shift)) {
        return true;
    }
    move(&g, shift);
    if (never_meet(&f, &g, x->rank)) {
        return false;
    }
    return !(same_tasks && (tasks_apart(&f, &g, x->rank, a.stage) || (a_writes && surely_inside(&g, &f, x->rank)) ||
                            (b_writes && surely_inside(&f, &g, x->rank))));
}

static bool views_conflict(const struct program *program, struct view a, struct view b)
{
    const struct buffer *x = a.call->kernel->buffer[a.i], *y = b.call->kernel->buffer[b.i];
    const struct argument *p = &a.call->arg[a.i], *q = &b.call->arg[b.i];
    if (p->memory != q->memory || (x->dir == DIR_IN && y->dir == DIR_IN) || p->lead + buffer_bytes(x) <= q->lead ||
        q->lead + buffer_bytes(y) <= p->lead) {
        return false;
    }
    bool same_tasks = a.stage->n_task == b.stage->n_task && (program->batch <= 1 || p->memory->per_image);
    for (int t = 0; t < a.stage->n_task && same_tasks; t++) {
        same_tasks = a.stage->task[t] == b.stage->task[t];
    }
    bool x_reads = x->dir != DIR_OUT, x_writes = x->dir != DIR_IN, y_reads = y->dir != DIR_OUT,
         y_writes = y->dir != DIR_IN;
    return (x_writes && y_reads && ways_conflict(a, true, b, false, same_tasks)) ||
           (x_reads && y_writes && ways_conflict(a, false, b, true, same_tasks)) ||
           (x_writes && y_writes && ways_conflict(a, true, b, true, same_tasks));
}

const struct memory *calls_conflict(const struct program *program, const struct stage *stage, const struct call *call,
                                    const struct stage *later_stage, const struct call *later)
{
    for (int i = 0; i < call->kernel->n_buffer; i++) {
        for (int j = 0; j < later->kernel->n_buffer; j++) {
            if (views_conflict(program, (struct view){call, stage, i}, (struct view){later, later_stage, j})) {
                return call->arg[i].memory;
            }
        }
    }
    return NULL;
}

const struct memory *stages_conflict(const struct program *program, const struct stage *earlier,
                                     const struct stage *later)
{
    for (const struct call *a = earlier->call; a != NULL; a = a->next) {
        for (const struct call *b = later->call; b != NULL; b = b->next) {
            const struct memory *memory = calls_conflict(program, earlier, a, later, b);
            if (memory != NULL) {
                return memory;
            }
        }
    }
    return NULL;
}
