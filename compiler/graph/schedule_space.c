/* Which schedules a layer can have: what choose_schedule chooses from, `netc tune` measures and a file of tuned schedules
 * may ask for. A row of the table says for an algorithm what its lowering takes on a target (`fault`) and which values of
 * every field are worth a try (`axes`); an algorithm without a row has nothing that would change what a kernel costs.
 *
 * What would surprise: a schedule never changes a value. Each result is one sum in the order of its inputs, however the
 * loops around it are cut; a field that would change that order, or the packed weights, has one value here.
 */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "lower/lower.h"

enum {
    MOST_VALUES = 96,
    MOST_UNROLLED = 1024,
    TASKS_WANTED = 8,
    MOST_AHEAD = 1024,
    MOST_STREAM = 64,
    MOST_VECTORS = 8
};

/* The fields of a schedule. Those before FIELD_DEPTH depend on one another: a tile decides which chunks come out even. */
enum field {
    FIELD_ROWS,
    FIELD_COLS,
    FIELD_CHANNELS,
    FIELD_BAND,
    FIELD_CHUNK,
    FIELD_DEPTH,
    FIELD_PREFETCH,
    FIELD_STREAM,
    FIELD_AHEAD,
    FIELDS
};
static const size_t field_offset[FIELDS] = {
    offsetof(struct schedule, rows),     offsetof(struct schedule, cols),   offsetof(struct schedule, channels),
    offsetof(struct schedule, band),     offsetof(struct schedule, chunk),  offsetof(struct schedule, depth),
    offsetof(struct schedule, prefetch), offsetof(struct schedule, stream), offsetof(struct schedule, ahead)};

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

static void add_range(struct axes *axes, enum field f, int64_t first, int64_t last)
{
    for (int64_t k = first; k <= last; k++)
        add_value(axes, f, k);
}

static void add_divisors(struct axes *axes, enum field f, int64_t of, int64_t times)
{
    for (int64_t k = 1; k <= of; k++)
        if (of % k == 0)
            add_value(axes, f, k * times);
}

/* Register tiles of channels, and the divisors of how many there are in `blocks` blocks. */
static void add_channels(struct axes *axes, int64_t blocks, const struct target *t)
{
    for (int64_t nv = 1; nv <= least_of(blocks * (BLOCK / t->lanes), MOST_VECTORS); nv++)
        add_value(axes, FIELD_CHANNELS, nv * t->lanes);
}

static void add_chunks(struct axes *axes, int64_t blocks)
{
    for (int64_t k = 1; k <= least_of(blocks, MOST_VECTORS); k++)
        add_divisors(axes, FIELD_CHUNK, (blocks + k - 1) / k, 1);
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
    return s->depth || s->prefetch || s->stream || s->ahead ? "it has no depth, prefetch, stream or ahead" : no_fault;
}

/* cols positions x channels in registers, beside a row of weights and the inputs. */
static const char *tile_fault(struct arena *a, const struct target *t, const struct schedule *s,
                              const struct conv_dims *d)
{
    int64_t a_block = BLOCK / t->lanes, nv = s->channels / t->lanes, vectors = d->ob * a_block;
    if (nv < 1 || s->channels % t->lanes || nv > vectors || nv > t->registers ||
        (nv < a_block ? a_block % nv : nv % a_block) || (d->groups > 1 && vectors % nv))
        return say(a, "%d channels are no tile of %lld on vectors of %d", s->channels, (long long)d->ob * BLOCK,
                   t->lanes);
    int64_t needed = s->cols * nv + nv + (t->by_lane ? s->cols + 1 : 1);
    return needed > t->registers ? say(a, "it needs %lld of %d registers", (long long)needed, t->registers) : no_fault;
}

static int64_t blocks_of(const struct schedule *s) /* of a tile, at least one */
{
    return s->channels < BLOCK ? 1 : s->channels / BLOCK;
}

/* ---- direct ---- */

struct direct_cut {
    struct conv_dims d;
    int64_t nb, width, a_group; /* blocks a tile; tiles of channels a group */
    bool tail; /* the last of them is smaller */
};

static struct direct_cut direct_cut(const struct node *n, const struct schedule *s)
{
    struct direct_cut c = {.d = conv_dims(n), .nb = blocks_of(s)};
    c.width = s->rows ? c.d.ow : c.d.oh * c.d.ow;
    c.a_group = (c.d.ob + c.nb - 1) / c.nb;
    c.tail = c.d.ob % c.nb != 0;
    return c;
}

static const char *direct_shape_fault(struct arena *a, const struct schedule *s, const struct direct_cut *c)
{
    bool alone = c->d.flat && c->d.oh * c->d.ow == 1;
    if (s->rows > 1 || (s->rows == 0 && !c->d.flat) || (s->rows && alone))
        return say(a, "a tile has %s", alone ? "0 rows" : c->d.flat ? "1 row, or 0" : "1 row");
    if (s->cols < 1 || s->cols > c->width)
        return say(a, "a tile has 1 to %lld columns", (long long)c->width);
    if (!s->rows && s->band != c->d.oh)
        return say(a, "without rows a band is all %lld", (long long)c->d.oh);
    return band_fault(a, s, c->d.oh);
}

static const char *dense_chunk_fault(struct arena *a, const struct schedule *s, const struct direct_cut *c)
{
    if (c->a_group % s->chunk || (c->tail && s->chunk != 1))
        return say(a, "chunk %d does not divide the %lld tiles%s", s->chunk, (long long)c->a_group,
                   c->tail ? ", the last of which is smaller" : "");
    return no_fault;
}

/* A part of one group, or whole groups; those that share a block of inputs stay together. */
static const char *grouped_chunk_fault(struct arena *a, const struct schedule *s, const struct direct_cut *c)
{
    int64_t groups = s->chunk / c->a_group, together = c->d.lanes_in ? BLOCK / c->d.lanes_in : 1;
    bool part = s->chunk < c->a_group;
    if (part ? c->a_group % s->chunk || c->tail || s->band != c->d.oh : s->chunk % c->a_group || c->d.groups % groups)
        return say(a, "chunk %d cuts groups of %lld tiles, of which there are %lld", s->chunk, (long long)c->a_group,
                   (long long)c->d.groups);
    if (together > 1 && (part || groups % together))
        return say(a, "chunk %d cuts the %lld groups of a block", s->chunk, (long long)together);
    return no_fault;
}

static const char *depth_fault(struct arena *a, const struct node *n, const struct schedule *s,
                               const struct direct_cut *c)
{
    if (c->d.ic % BLOCK || n->in[0]->type.layout.seg || c->d.lanes_in || s->channels % BLOCK)
        return say(a, "depth needs whole blocks");
    if (s->depth >= c->d.ib || c->d.ib % s->depth)
        return say(a, "depth %d is no part of the %lld blocks", s->depth, (long long)c->d.ib);
    int64_t sums = (s->rows ? s->band : c->d.oh) * c->d.ow * c->nb * BLOCK * 4;
    return sums > MAX_LOCAL_BYTES ? say(a, "its sums have %lld bytes", (long long)sums) : no_fault;
}

static const char *direct_fault(struct arena *a, const struct node *n, const struct target *t, const struct schedule *s)
{
    struct direct_cut c = direct_cut(n, s);
    const char *fault = direct_shape_fault(a, s, &c);
    fault = fault ? fault : tile_fault(a, t, s, &c.d);
    if (!fault && s->chunk)
        fault = c.d.groups > 1 ? grouped_chunk_fault(a, s, &c) : dense_chunk_fault(a, s, &c);
    if (!fault && s->depth)
        fault = depth_fault(a, n, s, &c);
    if (!fault && (s->prefetch > MOST_AHEAD || s->ahead > MOST_AHEAD || s->stream > MOST_STREAM))
        fault = say(a, "it fetches more than %d steps or blocks ahead, or %d lines", MOST_AHEAD, MOST_STREAM);
    return fault;
}

static int64_t direct_tasks(const struct node *n, const struct schedule *s)
{
    struct direct_cut c = direct_cut(n, s);
    return c.d.oh / s->band * (s->chunk ? c.d.groups * c.a_group / s->chunk : 1);
}

static int64_t direct_extent(const struct node *n, const struct schedule *s)
{
    return direct_cut(n, s).width;
}

int64_t stream_lines(const struct schedule *s, const struct conv_dims *d)
{
    int64_t width = s->rows ? d->ow : d->oh * d->ow, height = s->rows ? s->band : 1;
    int64_t tiles = height * ((width + s->cols - 1) / s->cols), inputs = d->lanes_in ? d->lanes_in : d->block;
    int64_t panels = s->depth ? 1 : s->channels / BLOCK;
    return (panels * d->kh * d->kw * inputs + tiles - 1) / tiles;
}

static void direct_axes(const struct node *n, const struct target *t, const struct schedule *near, struct axes *axes)
{
    static const int steps[] = {0, 16, 32, 64, 128};
    struct conv_dims d = conv_dims(n);
    add_range(axes, FIELD_ROWS, d.flat ? 0 : 1, 1);
    add_range(axes, FIELD_COLS, 1, least_of(d.flat ? d.oh * d.ow : d.ow, t->registers));
    add_channels(axes, d.ob, t);
    add_divisors(axes, FIELD_BAND, d.oh, 1);
    add_value(axes, FIELD_CHUNK, 0);
    add_chunks(axes, d.ob);
    for (int64_t k = 1; d.groups > 1 && k <= least_of(d.ob, MOST_VECTORS); k++)
        add_divisors(axes, FIELD_CHUNK, d.groups, (d.ob + k - 1) / k);
    add_value(axes, FIELD_DEPTH, 0);
    add_divisors(axes, FIELD_DEPTH, d.ib, 1);
    for (size_t i = 0; i < LENGTH(steps); i++)
        add_value(axes, FIELD_PREFETCH, steps[i]);
    add_value(axes, FIELD_STREAM, 0);
    add_value(axes, FIELD_STREAM, least_of(stream_lines(near, &d), MOST_STREAM));
    add_range(axes, FIELD_AHEAD, 0, 2);
}

/* What is fetched of the next tile comes in equal shares with this one. */
static void direct_settle(const struct node *n, const struct schedule *near, struct schedule *s)
{
    struct conv_dims d = conv_dims(n);
    int64_t lines = stream_lines(s, &d);
    s->stream = (near->stream || s->depth) && lines <= MOST_STREAM ? (int)lines : 0;
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
    if ((int64_t)s->rows * s->cols * weights > MOST_UNROLLED)
        return say(a, "it unrolls more than %d multiply-adds", MOST_UNROLLED);
    if (d.ob % spread_chunk(&d, s))
        return say(a, "chunk %d does not divide the %lld blocks", s->chunk, (long long)d.ob);
    return other_fault(s);
}

static int64_t spread_tasks(const struct node *n, const struct schedule *s)
{
    struct conv_dims d = conv_dims(n);
    return d.oh / s->band * (d.ob / spread_chunk(&d, s));
}

static void spread_axes(const struct node *n, const struct target *t, const struct schedule *near, struct axes *axes)
{
    struct conv_dims d = conv_dims(n);
    (void)near;
    add_range(axes, FIELD_ROWS, 1, least_of(d.oh, 8));
    add_range(axes, FIELD_COLS, 1, least_of(d.ow, t->registers));
    add_value(axes, FIELD_CHANNELS, t->lanes);
    add_divisors(axes, FIELD_BAND, d.oh, 1);
    add_divisors(axes, FIELD_CHUNK, d.ob, 1);
}

static int64_t map_width(const struct node *n, const struct schedule *s)
{
    (void)s;
    return n->type.shape.dim[2];
}

/* ---- winograd ---- */

struct winograd_cut {
    struct conv_dims d;
    int64_t m, th, tw, nb, tiles;
    int64_t row; /* bytes of a block's row of tiles in the transformed domain */
    bool two; /* kernels: the first transforms the input */
};

static struct winograd_cut winograd_cut(const struct node *n, const struct schedule *s)
{
    struct winograd_cut c = {.d = conv_dims(n), .m = n->schedule.rows, .nb = blocks_of(s)};
    c.th = (c.d.oh + c.m - 1) / c.m;
    c.tw = (c.d.ow + c.m - 1) / c.m;
    c.tiles = (c.d.ob + c.nb - 1) / c.nb;
    c.row = (c.m + 2) * (c.m + 2) * c.tw * BLOCK * 4;
    c.two = c.d.groups == 1 && s->chunk;
    return c;
}

static const char *winograd_chunk_fault(struct arena *a, const struct schedule *s, const struct winograd_cut *c)
{
    int64_t of = c->d.groups > 1 ? c->d.groups : c->tiles;
    if (s->chunk ? of % s->chunk || (c->two && c->d.ob % c->nb && s->chunk != 1) : c->d.groups > 1)
        return say(a, "chunk %d does not divide the %lld %s", s->chunk, (long long)of,
                   c->d.groups > 1 ? "groups" : "tiles of channels");
    if (c->two ? s->depth < 1 || c->d.ib % s->depth : s->depth)
        return say(a, "depth %d is not %s", s->depth, c->two ? "a part of the blocks of inputs" : "0, without a chunk");
    return no_fault;
}

/* The size of a tile (rows) is what the weights were packed for. */
static const char *winograd_fault(struct arena *a, const struct node *n, const struct target *t,
                                  const struct schedule *s)
{
    struct winograd_cut c = winograd_cut(n, s);
    if (s->rows != c.m)
        return say(a, "its weights are packed for tiles of %lld rows", (long long)c.m);
    if (s->band < 1 || s->band > c.th || s->cols < 1 || s->cols > s->band * c.tw)
        return say(a, "a band has 1 to %lld rows of %lld tiles, of which a register tile has some", (long long)c.th,
                   (long long)c.tw);
    const char *fault = tile_fault(a, t, s, &c.d);
    fault = fault ? fault : winograd_chunk_fault(a, s, &c);
    if (fault)
        return fault;
    int64_t scratch = ((c.two ? 0 : c.d.ib) + least_of(c.nb, c.d.ob)) * s->band * c.row;
    if (scratch > MAX_LOCAL_BYTES)
        return say(a, "its scratch has %lld bytes", (long long)scratch);
    return s->prefetch > 1 || s->stream || s->ahead ? "it has prefetch 0 or 1, no stream and no ahead" : no_fault;
}

static int64_t winograd_tasks(const struct node *n, const struct schedule *s)
{
    struct winograd_cut c = winograd_cut(n, s);
    return (c.th + s->band - 1) / s->band * (c.d.groups > 1 ? c.d.groups / s->chunk : c.two ? c.tiles / s->chunk : 1);
}

static int64_t winograd_extent(const struct node *n, const struct schedule *s)
{
    return s->band * winograd_cut(n, s).tw;
}

static void winograd_axes(const struct node *n, const struct target *t, const struct schedule *near, struct axes *axes)
{
    struct winograd_cut c = winograd_cut(n, near);
    add_value(axes, FIELD_ROWS, c.m);
    add_range(axes, FIELD_COLS, 1, least_of(c.th * c.tw, t->registers));
    add_channels(axes, c.d.ob, t);
    add_range(axes, FIELD_BAND, 1, least_of(c.th, 16));
    add_range(axes, FIELD_PREFETCH, 0, 1);
    if (c.d.groups > 1) {
        add_divisors(axes, FIELD_CHUNK, c.d.groups, 1);
        return;
    }
    add_value(axes, FIELD_CHUNK, 0);
    add_chunks(axes, c.d.ob);
    add_divisors(axes, FIELD_DEPTH, c.d.ib, 1);
}

/* Two kernels share out the transform of the input, one has it for itself. */
static void winograd_settle(const struct node *n, const struct schedule *near, struct schedule *s)
{
    bool two = n->attrs.groups == 1 && s->chunk;
    s->depth = !two ? 0 : s->depth ? s->depth : near->depth ? near->depth : 1;
}

/* ---- local ---- */

struct local_cut {
    int64_t blocks, period, rows, cols;
};

static struct local_cut local_cut(const struct node *n)
{
    return (struct local_cut){layout_blocks(n->type), local_period(n), n->type.shape.dim[1], n->type.shape.dim[2]};
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

static int64_t local_tasks(const struct node *n, const struct schedule *s)
{
    struct local_cut c = local_cut(n);
    return c.rows / s->band * (s->chunk ? c.blocks / s->chunk : 1);
}

static void local_axes(const struct node *n, const struct target *t, const struct schedule *near, struct axes *axes)
{
    struct local_cut c = local_cut(n);
    (void)near;
    add_value(axes, FIELD_ROWS, 1);
    add_range(axes, FIELD_COLS, 1, least_of(c.cols, t->registers));
    add_divisors(axes, FIELD_CHANNELS, c.blocks / c.period, BLOCK);
    add_divisors(axes, FIELD_BAND, c.rows, 1);
    add_value(axes, FIELD_CHUNK, 0);
    add_divisors(axes, FIELD_CHUNK, c.blocks / c.period, c.period);
}

/* ---- all ---- */

static const struct space {
    const char *(*fault)(struct arena *, const struct node *, const struct target *, const struct schedule *);
    int64_t (*tasks)(const struct node *, const struct schedule *); /* of one without a fault */
    int64_t (*extent)(const struct node *, const struct schedule *); /* of which `cols` is a part */
    void (*axes)(const struct node *, const struct target *, const struct schedule *near, struct axes *);
    void (*settle)(const struct node *, const struct schedule *near,
                   struct schedule *); /* fields that follow; or NULL */
} space_of[ALGORITHM_COUNT] = {
    [ALGORITHM_direct] = {direct_fault, direct_tasks, direct_extent, direct_axes, direct_settle},
    [ALGORITHM_spread] = {spread_fault, spread_tasks, map_width, spread_axes, NULL},
    [ALGORITHM_winograd] = {winograd_fault, winograd_tasks, winograd_extent, winograd_axes, winograd_settle},
    [ALGORITHM_local] = {local_fault, local_tasks, map_width, local_axes, NULL},
};

bool schedule_is_tuned(enum algorithm algorithm)
{
    return space_of[algorithm].fault;
}

const char *schedule_fault(struct arena *a, const struct node *n, const struct target *t, const struct schedule *s)
{
    return space_of[n->algorithm].fault ? space_of[n->algorithm].fault(a, n, t, s) : "its schedules are not tuned";
}

bool schedule_equal(const struct schedule *a, const struct schedule *b)
{
    for (enum field f = 0; f < FIELDS; f++)
        if (field_value(a, f) != field_value(b, f))
            return false;
    return true;
}

/* ---- what is likely ---- */

/* What a tile costs for each multiply-add: two of them a cycle, two loads, a latency of four; weights are streamed. */
static double tile_cost(enum algorithm algorithm, const struct schedule *s, const struct target *t)
{
    double positions = (double)(algorithm == ALGORITHM_spread ? s->rows : 1) * s->cols;
    double nv = (double)s->channels / t->lanes, work = positions * nv;
    double cycles = fmax(fmax(work / 2, (positions + nv) / 2), 4);
    return (cycles + nv * t->lanes / 40) / work;
}

/* In doublings: how far `s` is from `near`, which is tried the sooner the less it is. */
static double distance(enum algorithm algorithm, const struct schedule *s, const struct schedule *near,
                       const struct target *t)
{
    double far = s->rows == near->rows && s->cols == near->cols && s->channels == near->channels ? 0 : 0.5;
    far += 4 * fmax(0, log2(tile_cost(algorithm, s, t) / tile_cost(algorithm, near, t)));
    far += fabs(log2((double)s->band / near->band));
    if (s->chunk && near->chunk)
        far += fabs(log2((double)s->chunk * s->channels / ((double)near->chunk * near->channels)));
    else if (s->chunk || near->chunk)
        far += 1;
    for (enum field f = FIELD_DEPTH; f < FIELDS; f++)
        if (field_value(s, f) != field_value(near, f))
            far += f == FIELD_STREAM ? 0.1 : 0.6;
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
    const struct space *space;
    const struct node *node;
    const struct target *target;
    struct schedule near;
    int64_t tasks; /* at least so many: they keep several threads busy, which the clock of one does not show */
    struct ranked *found;
    size_t n, capacity;
};

/* Of widths that cut the extent alike, as 7 and 13 of 14 positions, one counts. */
static void visit(struct walk *w, struct schedule s)
{
    int64_t extent = w->space->extent(w->node, &s);
    if (s.cols < 1 || (s.cols != w->near.cols && cover(extent, s.cols).size != s.cols))
        return;
    if (!w->space->fault(NULL, w->node, w->target, &s) && w->space->tasks(w->node, &s) >= w->tasks)
        PUSH(w->arena, w->found, w->n, w->capacity,
             ((struct ranked){distance(w->node->algorithm, &s, &w->near, w->target), w->n, s}));
}

/* All values of the fields from `f` to `last` in every combination; what follows from them is settled where `settle` says so. */
static void visit_all(struct walk *w, const struct axes *axes, enum field f, enum field last, bool settle,
                      struct schedule s)
{
    if (f > last) {
        if (settle && w->space->settle)
            w->space->settle(w->node, &w->near, &s);
        visit(w, s);
        return;
    }
    for (int i = 0; i < axes->n[f]; i++) {
        *field_of(&s, f) = axes->value[f][i];
        visit_all(w, axes, f + 1, last, settle, s);
    }
}

struct schedules schedule_candidates(struct arena *a, const struct node *n, const struct target *t,
                                     const struct schedule *near)
{
    struct arena *scratch = arena_new("candidates");
    struct walk w = {.arena = scratch, .space = &space_of[n->algorithm], .node = n, .target = t, .near = *near};
    struct axes *axes = NEW(scratch, struct axes);
    w.tasks = least_of(w.space->tasks(n, &n->schedule), TASKS_WANTED);
    w.space->axes(n, t, near, axes);
    visit(&w, *near); /* perhaps a width that is cut as a smaller one */
    visit_all(&w, axes, FIELD_ROWS, FIELD_CHUNK, true, *near);
    visit_all(&w, axes, FIELD_DEPTH, FIELD_PREFETCH, true, *near);
    for (enum field f = FIELD_DEPTH; f < FIELDS; f++)
        visit_all(&w, axes, f, f, false, *near);
    qsort(w.found, w.n, sizeof *w.found, nearer);
    struct schedules list = {.at = NEW_ARRAY(a, struct schedule, w.n + 1)};
    for (size_t i = 0; i < w.n; i++)
        if (i == 0 || !schedule_equal(&w.found[i].schedule, &list.at[list.n - 1]))
            list.at[list.n++] = w.found[i].schedule;
    arena_free(scratch);
    return list;
}
