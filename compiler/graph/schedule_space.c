/* Which schedules a layer can have: what choose_schedule chooses from, `netc tune` measures and a file of tuned schedules
 * may ask for. A row of the table says for an algorithm what its lowering takes on a target (`fault`) and which values of
 * every field are worth a try (`axes`); an algorithm without a row has nothing that would change what a kernel costs.
 *
 * What would surprise: a schedule never changes a value. Each result is one sum in the order of its inputs, however the
 * loops around it are cut; a row whose field would change that order has no place here.
 */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "lower/lower.h"

enum { MOST_VALUES = 96, MOST_STEPS = 1024, TASKS_WANTED = 8 };

/* The fields of a schedule. Those before FIELD_DEPTH depend on one another: a tile decides which chunks come out even. */
enum field { FIELD_ROWS, FIELD_COLS, FIELD_CHANNELS, FIELD_BAND, FIELD_CHUNK, FIELD_DEPTH, FIELD_PREFETCH, FIELDS };
static const size_t field_offset[FIELDS] = {offsetof(struct schedule, rows),     offsetof(struct schedule, cols),
                                            offsetof(struct schedule, channels), offsetof(struct schedule, band),
                                            offsetof(struct schedule, chunk),    offsetof(struct schedule, depth),
                                            offsetof(struct schedule, prefetch)};

static int *field_of(struct schedule *s, enum field f)
{
    return (int *)(void *)((char *)s + field_offset[f]);
}

static int field_value(const struct schedule *s, enum field f)
{
    return *(const int *)(const void *)((const char *)s + field_offset[f]);
}

struct axes {
    int value[FIELDS][MOST_VALUES], n[FIELDS];
};

static void add_value(struct axes *axes, enum field f, int64_t value)
{
    for (int i = 0; i < axes->n[f]; i++)
        if (axes->value[f][i] == value)
            return;
    if (axes->n[f] < MOST_VALUES && value <= INT32_MAX)
        axes->value[f][axes->n[f]++] = (int)value;
}

static void add_divisors(struct axes *axes, enum field f, int64_t of, int64_t times)
{
    for (int64_t k = 1; k <= of; k++)
        if (of % k == 0)
            add_value(axes, f, k * times);
}

/* Widths of tiles that are told apart: 13 of 14 positions are cut as 7 are. */
static void add_covers(struct axes *axes, enum field f, int64_t extent, int64_t most)
{
    for (int64_t size = 1; size <= least_of(extent, most); size++)
        if (cover(extent, size).size == size)
            add_value(axes, f, size);
}

static const char *const no_fault = NULL;

/* Why a schedule cannot be; who only asks whether gives no arena. */
#define say(arena, ...) ((arena) ? arena_printf(arena, __VA_ARGS__) : "")

static const char *band_fault(struct arena *a, const struct schedule *s, int64_t rows)
{
    return s->band < 1 || rows % s->band ? say(a, "band %d does not divide the %lld rows", s->band, (long long)rows)
                                         : no_fault;
}

static const char *other_fault(const struct schedule *s)
{
    return s->depth || s->prefetch ? "it has no depth and no prefetch" : no_fault;
}

/* ---- direct ---- */

struct direct_cut {
    struct conv_dims d;
    int64_t a_block, nv, width, tiles;
    bool tail;
};

static struct direct_cut direct_cut(const struct node *n, const struct target *t, const struct schedule *s)
{
    struct direct_cut c = {.d = conv_dims(n), .a_block = BLOCK / t->lanes, .nv = s->channels / t->lanes};
    int64_t blocks = c.nv < c.a_block ? 1 : c.nv / c.a_block;
    c.width = s->rows ? c.d.ow : c.d.oh * c.d.ow;
    c.tiles = (c.d.ob + blocks - 1) / blocks;
    c.tail = c.d.ob % blocks != 0;
    return c;
}

static const char *direct_tile_fault(struct arena *a, const struct target *t, const struct schedule *s,
                                     const struct direct_cut *c)
{
    if (s->rows > 1 || (s->rows == 0 && !c->d.flat) || (s->rows && c->d.oh * c->d.ow == 1))
        return say(a, "a tile has %s", c->d.oh * c->d.ow == 1 ? "0 rows" : c->d.flat ? "1 row, or 0" : "1 row");
    if (s->cols < 1 || s->cols > c->width)
        return say(a, "a tile has 1 to %lld columns", (long long)c->width);
    int64_t nv = c->nv, vectors = c->d.ob * c->a_block;
    if (nv < 1 || s->channels % t->lanes || nv > vectors || nv > t->registers ||
        (nv < c->a_block ? c->a_block % nv : nv % c->a_block) || (c->d.groups > 1 && vectors % nv))
        return say(a, "%d channels are no tile of %lld on vectors of %d", s->channels, (long long)c->d.ob * BLOCK,
                   t->lanes);
    int64_t needed = s->cols * nv + nv + (t->by_lane ? s->cols + 1 : 1);
    return needed > t->registers ? say(a, "it needs %lld of %d registers", (long long)needed, t->registers) : no_fault;
}

static const char *direct_chunk_fault(struct arena *a, const struct schedule *s, const struct direct_cut *c)
{
    int64_t of = c->d.groups > 1 ? c->d.groups : c->tiles;
    if (s->chunk == 0)
        return no_fault;
    if (of % s->chunk || (c->tail && c->d.groups == 1 && s->chunk != 1))
        return say(a, "chunk %d does not divide the %lld %s", s->chunk, (long long)of,
                   c->d.groups > 1 ? "groups"
                   : c->tail       ? "tiles, the last of which is smaller"
                                   : "tiles");
    if (c->d.lanes_in && s->chunk % (BLOCK / c->d.lanes_in))
        return say(a, "chunk %d cuts the %lld groups of a block", s->chunk, (long long)(BLOCK / c->d.lanes_in));
    return no_fault;
}

static const char *direct_fault(struct arena *a, const struct node *n, const struct target *t, const struct schedule *s)
{
    struct direct_cut c = direct_cut(n, t, s);
    const char *fault = direct_tile_fault(a, t, s, &c);
    fault = fault ? fault : band_fault(a, s, c.d.oh);
    if (!fault && !s->rows && s->band != c.d.oh)
        fault = "without rows a band is all of them";
    fault = fault ? fault : direct_chunk_fault(a, s, &c);
    return fault ? fault : other_fault(s);
}

static int64_t direct_tasks(const struct node *n, const struct target *t, const struct schedule *s)
{
    struct direct_cut c = direct_cut(n, t, s);
    int64_t of = c.d.groups > 1 ? c.d.groups : c.tiles;
    return c.d.oh / s->band * (s->chunk ? of / s->chunk : 1);
}

static void direct_axes(const struct node *n, const struct target *t, struct axes *axes)
{
    struct conv_dims d = conv_dims(n);
    int64_t vectors = d.ob * (BLOCK / t->lanes);
    add_value(axes, FIELD_ROWS, 1);
    if (d.flat)
        add_value(axes, FIELD_ROWS, 0);
    for (int flat = 0; flat <= d.flat; flat++)
        add_covers(axes, FIELD_COLS, flat ? d.oh * d.ow : d.ow, t->registers);
    for (int64_t nv = 1; nv <= least_of(vectors, 8); nv++)
        add_value(axes, FIELD_CHANNELS, nv * t->lanes);
    add_divisors(axes, FIELD_BAND, d.oh, 1);
    add_value(axes, FIELD_CHUNK, 0);
    if (d.groups > 1)
        add_divisors(axes, FIELD_CHUNK, d.groups, 1);
    for (int64_t blocks = 1; d.groups == 1 && blocks <= least_of(d.ob, 8); blocks++)
        add_divisors(axes, FIELD_CHUNK, (d.ob + blocks - 1) / blocks, 1);
}

/* ---- spread ---- */

static int64_t spread_chunk(const struct conv_dims *d, const struct schedule *s) /* as lower_spread takes it */
{
    int64_t span = d->oc == d->ic ? BLOCK : BLOCK / d->oc * d->ic, parts = BLOCK / span;
    int64_t chunk = s->chunk ? s->chunk : d->ob;
    return parts > 1 ? parts * (chunk / parts ? chunk / parts : 1) : chunk;
}

static const char *spread_fault(struct arena *a, const struct node *n, const struct target *t, const struct schedule *s)
{
    struct conv_dims d = conv_dims(n);
    const char *fault = band_fault(a, s, d.oh);
    if (fault)
        return fault;
    if (s->rows < 1 || s->rows > s->band || s->cols < 1 || s->cols > d.ow || s->channels != t->lanes)
        return say(a, "a tile has 1 to %d rows, 1 to %lld columns and %d channels", s->band, (long long)d.ow, t->lanes);
    if (s->rows > 1 && d.sy > 1)
        return say(a, "with a stride a tile has 1 row: several would add the taps in another order");
    int64_t weights = s->rows > 1 ? d.kh * d.kw : d.kw, needed = (int64_t)s->rows * s->cols + weights + 1;
    if (needed > t->registers && (s->rows > 1 || s->cols > 1))
        return say(a, "it needs %lld of %d registers", (long long)needed, t->registers);
    if ((int64_t)s->rows * s->cols * weights > MOST_STEPS)
        return say(a, "it unrolls more than %d multiply-adds", MOST_STEPS);
    if (d.ob % spread_chunk(&d, s))
        return say(a, "chunk %d does not divide the %lld blocks", s->chunk, (long long)d.ob);
    return other_fault(s);
}

static int64_t spread_tasks(const struct node *n, const struct target *t, const struct schedule *s)
{
    struct conv_dims d = conv_dims(n);
    (void)t;
    return d.oh / s->band * (d.ob / spread_chunk(&d, s));
}

static void spread_axes(const struct node *n, const struct target *t, struct axes *axes)
{
    struct conv_dims d = conv_dims(n);
    for (int64_t rows = 1; rows <= least_of(d.oh, 8); rows++)
        add_value(axes, FIELD_ROWS, rows);
    add_covers(axes, FIELD_COLS, d.ow, t->registers);
    add_value(axes, FIELD_CHANNELS, t->lanes);
    add_divisors(axes, FIELD_BAND, d.oh, 1);
    add_divisors(axes, FIELD_CHUNK, d.ob, 1);
}

/* ---- local ---- */

struct local_cut {
    int64_t blocks, period, rows, cols;
};

static struct local_cut local_cut(const struct node *n)
{
    return (struct local_cut){layout_blocks(n->type),
                              layout_blocks(n->in[1]->type) / (n->attrs.kernel[0] * n->attrs.kernel[1]),
                              n->type.shape.dim[1], n->type.shape.dim[2]};
}

static const char *local_fault(struct arena *a, const struct node *n, const struct target *t, const struct schedule *s)
{
    struct local_cut c = local_cut(n);
    int64_t tile = s->channels / BLOCK, chunk = s->chunk ? s->chunk : c.blocks;
    const char *fault = band_fault(a, s, c.rows);
    if (fault)
        return fault;
    if (s->rows != 1 || s->cols < 1 || s->cols > c.cols || tile < 1 || s->channels % BLOCK)
        return say(a, "a tile has 1 row, 1 to %lld columns and blocks of %d channels", (long long)c.cols, BLOCK);
    if (s->cols * tile + 2 > t->registers && s->cols * tile > 1)
        return say(a, "it needs %lld of %d registers", (long long)(s->cols * tile + 2), t->registers);
    if (c.blocks % chunk || chunk % (c.period * tile))
        return say(a, "chunk %lld is no part of %lld blocks that is whole tiles of %lld", (long long)chunk,
                   (long long)c.blocks, (long long)(c.period * tile));
    return other_fault(s);
}

static int64_t local_tasks(const struct node *n, const struct target *t, const struct schedule *s)
{
    struct local_cut c = local_cut(n);
    (void)t;
    return c.rows / s->band * (s->chunk ? c.blocks / s->chunk : 1);
}

static void local_axes(const struct node *n, const struct target *t, struct axes *axes)
{
    struct local_cut c = local_cut(n);
    add_value(axes, FIELD_ROWS, 1);
    add_covers(axes, FIELD_COLS, c.cols, t->registers);
    add_divisors(axes, FIELD_CHANNELS, c.blocks / c.period, BLOCK);
    add_divisors(axes, FIELD_BAND, c.rows, 1);
    add_value(axes, FIELD_CHUNK, 0);
    add_divisors(axes, FIELD_CHUNK, c.blocks / c.period, c.period);
}

/* ---- all ---- */

static const struct space {
    const char *(*fault)(struct arena *, const struct node *, const struct target *, const struct schedule *);
    int64_t (*tasks)(const struct node *, const struct target *, const struct schedule *); /* of one without a fault */
    void (*axes)(const struct node *, const struct target *, struct axes *);
} space_of[ALGORITHM_COUNT] = {
    [ALGORITHM_direct] = {direct_fault, direct_tasks, direct_axes},
    [ALGORITHM_spread] = {spread_fault, spread_tasks, spread_axes},
    [ALGORITHM_local] = {local_fault, local_tasks, local_axes},
};

bool schedule_is_tuned(enum algorithm algorithm)
{
    return space_of[algorithm].fault;
}

const char *schedule_fault(struct arena *a, const struct node *n, const struct target *t, const struct schedule *s)
{
    return space_of[n->algorithm].fault ? space_of[n->algorithm].fault(a, n, t, s) : "its schedules are not tuned";
}

/* What a tile costs for each multiply-add: two of them a cycle, two loads, a latency of four; weights are streamed. */
static double tile_cost(const struct schedule *s, const struct target *t)
{
    double positions = (double)(s->rows ? s->rows : 1) * s->cols, nv = (double)s->channels / t->lanes;
    double work = positions * nv, cycles = fmax(fmax(work / 2, (positions + nv) / 2), 4);
    return (cycles + nv * t->lanes / 40) / work;
}

/* In doublings: how far `s` is from `near`, which is tried the sooner the less it is. */
static double distance(const struct schedule *s, const struct schedule *near, const struct target *t)
{
    double far = s->rows == near->rows && s->cols == near->cols && s->channels == near->channels ? 0 : 0.5;
    far += 4 * fmax(0, log2(tile_cost(s, t) / tile_cost(near, t))) + fabs(log2((double)s->band / near->band));
    if (s->chunk && near->chunk)
        far += fabs(log2((double)s->chunk * s->channels / ((double)near->chunk * near->channels)));
    else if (s->chunk || near->chunk)
        far += 1;
    for (enum field f = FIELD_DEPTH; f < FIELDS; f++)
        if (field_value(s, f) != field_value(near, f))
            far += 1;
    return far;
}

struct ranked {
    double far;
    size_t place;
    struct schedule schedule;
};

static int nearer(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return x->far != y->far ? (x->far > y->far) - (x->far < y->far) : (x->place > y->place) - (x->place < y->place);
}

struct walk {
    struct arena *arena;
    const struct node *node;
    const struct target *target;
    struct schedule near;
    int64_t tasks; /* at least so many: they keep several threads busy, which the clock of one does not show */
    struct ranked *found;
    size_t n, capacity;
};

static void visit(struct walk *w, struct schedule s)
{
    const struct space *space = &space_of[w->node->algorithm];
    if (!space->fault(NULL, w->node, w->target, &s) && space->tasks(w->node, w->target, &s) >= w->tasks)
        PUSH(w->arena, w->found, w->n, w->capacity, ((struct ranked){distance(&s, &w->near, w->target), w->n, s}));
}

/* All values of the fields from `f` to `last` in every combination. */
static void visit_all(struct walk *w, const struct axes *axes, enum field f, enum field last, struct schedule s)
{
    if (f > last) {
        visit(w, s);
        return;
    }
    for (int i = 0; i < axes->n[f]; i++) {
        *field_of(&s, f) = axes->value[f][i];
        visit_all(w, axes, f + 1, last, s);
    }
}

struct schedules schedule_candidates(struct arena *a, const struct node *n, const struct target *t,
                                     const struct schedule *near)
{
    struct arena *scratch = arena_new("candidates");
    const struct space *space = &space_of[n->algorithm];
    struct axes *axes = NEW(scratch, struct axes);
    struct walk w = {.arena = scratch, .node = n, .target = t, .near = *near};
    w.tasks = least_of(space->tasks(n, t, &n->schedule), TASKS_WANTED);
    space->axes(n, t, axes);
    visit(&w, *near); /* perhaps a width that is cut as a smaller one */
    visit_all(&w, axes, FIELD_ROWS, FIELD_CHUNK, *near);
    for (enum field f = FIELD_DEPTH; f < FIELDS; f++)
        visit_all(&w, axes, f, f, *near);
    qsort(w.found, w.n, sizeof *w.found, nearer);
    struct schedules list = {.at = NEW_ARRAY(a, struct schedule, w.n + 1)};
    for (size_t i = 0; i < w.n; i++)
        if (i == 0 || !schedule_equal(&w.found[i].schedule, &list.at[list.n - 1]))
            list.at[list.n++] = w.found[i].schedule;
    arena_free(scratch);
    return list;
}

bool schedule_equal(const struct schedule *a, const struct schedule *b)
{
    for (enum field f = 0; f < FIELDS; f++)
        if (field_value(a, f) != field_value(b, f))
            return false;
    return true;
}
