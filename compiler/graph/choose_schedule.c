/* choose_schedule: how each nest is cut. Needs choose_layout; changes no value, only which loops compute it.
 *
 *   %t1 ... = conv %x, ... | relu  {direct}
 *   %t1 ... = conv %x, ... | relu  {direct 1x14x32 band 4}
 *
 * Accumulators, a row of weights and the inputs of a step fit the registers together: one input, or one vector of them a
 * position where multiply-adds take a lane; then one more, for the weights of the next step. Register tiles are ranked
 * by a model of a core with two multiply-add units, two loads a cycle and a latency of four: the cost of a whole row of
 * tiles, with tails. Tasks are bands of rows where the weights are small, so that layers follow one another
 * without barriers; tiles of channels where they are large, so that every thread streams its own part of them once.
 * The number of threads is not known here: the cut must suit 1, 2 and more, and the sums never depend on it.
 */
#include "graph/winograd.h"
#include "lower/lower.h"
#include "tune/tune.h"

enum { TASKS_WANTED = 8, MAX_COLS = 28, LATENCY = 4, MAX_STREAM = 64 };

/* Cycles of one step of the reduction of a tile of `cols` positions and `nv` vectors. */
static double step_cycles(int64_t cols, int64_t nv, const struct target *t)
{
    double multiply = (double)(cols * nv) / 2, inputs = (double)cols / (t->by_lane ? t->lanes : 1);
    /* a load takes more than its share of a cycle: with one vector of channels every multiply-add has one */
    double loads = (inputs + (double)nv) * (t->by_lane || t->lanes == 1 ? 0.5 : 0.6);
    if (t->by_lane) {
        multiply += loads / 2; /* small cores are among them, which issue two instructions a cycle, of whatever kind */
    }
    double stream = (double)(nv * t->lanes * 4) / 40; /* weights come from the second-level cache, never quite hidden */
    return most_of(most_of(multiply, loads), most_of(stream, LATENCY)) + stream / 4;
}

/* All tiles of one row of `positions`. */
static double row_cycles(int64_t positions, int64_t cols, int64_t nv, const struct target *t)
{
    struct cover c = cover(positions, cols);
    return (double)c.n * step_cycles(c.size, nv, t) +
           (c.n_less ? (double)c.n_less * step_cycles(c.size - 1, nv, t) : 0);
}

struct tile {
    int64_t cols, nv;
    double cycles;
};

/* The best tile for `rows` rows of `positions` and `vectors` vectors of channels a group; `a_block` vectors make a block.
 * Groups are cut into equal tiles (`even`), so that tasks of several groups write whole boxes. */
static struct tile best_tile(int64_t rows, int64_t positions, int64_t vectors, int64_t a_block, bool even,
                             double reduction, const struct target *t)
{
    struct tile best = {.cycles = 1e300};
    for (int64_t nv = 1; nv <= 8; nv++) {
        if (nv < a_block ? a_block % nv != 0 : nv % a_block != 0)
            continue;
        if (nv > vectors)
            break;
        if (even && vectors % nv)
            continue;
        for (int64_t cols = 1; cols <= least_of(positions, MAX_COLS); cols++) {
            if (cols * nv + nv + (t->by_lane ? cols + 1 : 1) > t->registers)
                break;
            int64_t full = vectors / nv, rest = vectors % nv;
            double cycles =
                (double)full * row_cycles(positions, cols, nv, t) + (rest ? row_cycles(positions, cols, rest, t) : 0);
            cycles =
                (double)rows * (cycles * reduction + (double)(cover(positions, cols).n * (full + (rest > 0))) * 12);
            if (cycles < best.cycles * 0.999)
                best = (struct tile){cols, nv, cycles};
        }
    }
    return best;
}

/* The largest band of rows that makes enough tasks, an even number if one is near. */
static int64_t choose_band(int64_t rows, int64_t wanted)
{
    int64_t best = 1;
    for (int64_t band = 1; band <= rows; band++) {
        if (rows % band)
            continue;
        int64_t tasks = rows / band;
        if (tasks < wanted && band > 1)
            break;
        if (tasks % 2 == 0 || best == 1)
            best = band;
    }
    return best;
}

int64_t choose_chunk(int64_t units, int64_t wanted)
{
    int64_t best = 1;
    for (int64_t chunk = 1; chunk <= units; chunk++)
        if (units % chunk == 0 && units / chunk >= wanted)
            best = chunk;
    return best;
}

/* What the caches of a core do not foresee: weights come 64 steps before their use, the next block of inputs while this one is used
 * (of larger kernels without stride, taps meet the same lines anyway). Not what is small, nor where loads are of whole vectors of
 * inputs, nor in plain C. */
static void choose_fetches(struct schedule *s, const struct node *n, const struct conv_dims *d, int64_t weight_bytes,
                           const struct target *t)
{
    if (t->by_lane || t->lanes == 1 || n->op == OP_linear) /* this one is nothing but a stream: processors see those */
        return;
    s->prefetch = weight_bytes > t->l1 / 2 ? 64 : 0;
    s->ahead = (d->kh * d->kw == 1 || d->sx > 1) && d->ib > 1 && layout_bytes(n->in[0]->type) > t->l1;
}

/* Weights that are met once and come from far: those of the next tile of channels arrive in equal shares while the positions of this
 * tile go by; behind the last tile lie the next layer's. With few positions there is no time for it. */
static void choose_stream(struct schedule *s, const struct conv_dims *d)
{
    int64_t lines = stream_lines(s, d);
    if ((s->prefetch || s->depth) && lines <= MAX_STREAM)
        s->stream = (int)lines;
}

/* Few positions, large weights: slices of the reduction whose weights, inputs and sums are near together. */
static void choose_depth(struct schedule *s, const struct node *n, const struct conv_dims *d, int64_t weight_bytes,
                         const struct target *t)
{
    int64_t positions = (s->rows ? s->band : d->oh) * d->ow, blocks = s->channels / BLOCK;
    bool whole = d->ic % BLOCK == 0 && !n->in[0]->type.layout.seg && !d->lanes_in;
    if (!s->prefetch || !whole || blocks < 1 || positions > 64 || positions <= s->cols || weight_bytes <= t->l2 / 2)
        return;
    int64_t seen = d->kh * d->kw == 1 ? d->oh * d->ow : d->ih * d->iw;
    int64_t a_slice = d->kh * d->kw * blocks * BLOCK * BLOCK * 4 + seen * BLOCK * 4, depth = 1;
    while (2 * depth < d->ib && d->ib % (2 * depth) == 0 && 2 * depth * a_slice + positions * blocks * 64 <= t->l1)
        depth *= 2;
    if (depth >= d->ib)
        return;
    s->depth = (int)depth;
    s->prefetch = 0; /* the stream brings the next slice right to the core */
}

static void schedule_direct(struct node *n, const struct target *t)
{
    struct conv_dims d = conv_dims(n);
    int64_t a_block = BLOCK / t->lanes;
    double reduction = (double)(d.ic * d.kh * d.kw);
    struct tile rows = best_tile(d.oh, d.ow, d.ob * a_block, a_block, d.groups > 1, reduction, t);
    struct tile flat = d.flat ? best_tile(1, d.oh * d.ow, d.ob * a_block, a_block, false, reduction, t)
                              : (struct tile){.cycles = 1e300};
    bool is_flat = d.flat && (flat.cycles < rows.cycles * 0.97 || d.oh * d.ow == 1);
    struct tile tile = is_flat ? flat : rows;
    struct schedule *s = &n->schedule;
    *s = (struct schedule){
        .rows = is_flat ? 0 : 1, .cols = (int)tile.cols, .channels = (int)tile.nv * t->lanes, .band = (int)d.oh};
    int64_t tile_blocks = tile.nv < a_block ? 1 : tile.nv / a_block;
    int64_t tiles = d.groups * ((d.ob + tile_blocks - 1) / tile_blocks);
    bool tail = d.ob % tile_blocks != 0;
    int64_t weight_bytes = d.groups * d.ob * BLOCK * d.ic * d.kh * d.kw * 4;
    choose_fetches(s, n, &d, weight_bytes, t);
    /* a strided 1 x 1 uses a part of what it fetches: rather weights twice than such inputs */
    int64_t near = d.kh * d.kw == 1 && d.sx > 1 ? t->l2 / 2 : t->l2 / 4;
    if (!is_flat && weight_bytes <= near) {
        s->band = (int)choose_band(d.oh, TASKS_WANTED);
        if (d.oh / s->band >= TASKS_WANTED)
            return;
        s->band = (int)d.oh;
    }
    int64_t a_group = tiles / d.groups;
    if (d.lanes_in)
        s->chunk = (int)(BLOCK / d.lanes_in * a_group); /* a task reads one block */
    else if (d.groups >= TASKS_WANTED)
        s->chunk = (int)(choose_chunk(d.groups, 2 * TASKS_WANTED) * a_group);
    else if (tail)
        s->chunk = d.groups > 1 ? (int)a_group : 1;
    else
        s->chunk = (int)choose_chunk(a_group, (2 * TASKS_WANTED + d.groups - 1) / d.groups);
    int64_t tasks = tiles / s->chunk;
    bool stream = weight_bytes > t->l2 / 4 && tasks >= TASKS_WANTED / 2; /* rather fewer tasks than weights twice */
    if (tasks < TASKS_WANTED && !is_flat && !stream && s->chunk % a_group == 0)
        s->band = (int)choose_band(d.oh, (TASKS_WANTED + tasks - 1) / tasks);
    choose_depth(s, n, &d, weight_bytes, t);
    choose_stream(s, &d);
}

/* Few blocks: bands of rows as well. A band is whole tiles, so tile and band are chosen together: the tallest tile, then the largest band. */
static void spread_bands(struct schedule *s, int64_t height, int64_t wanted)
{
    int most = s->rows;
    s->rows = s->band = 1;
    for (int64_t band = 1; band <= height; band++) {
        if (height % band || height / band < wanted)
            continue;
        int rows = (int)least_of(most, band);
        while (band % rows)
            rows--;
        if (rows < s->rows)
            continue;
        s->rows = rows;
        s->band = (int)band;
    }
}

static void schedule_spread(struct node *n, const struct target *t)
{
    struct conv_dims d = conv_dims(n);
    bool by_rows = t->registers >= 32 && d.sy == 1 && d.kh * d.kw <= 9;
    struct schedule *s = &n->schedule;
    *s = (struct schedule){.rows = by_rows ? 4 : 1,
                           .cols = by_rows              ? 4
                                   : t->registers >= 32 ? 14
                                                        : 8,
                           .channels = t->lanes,
                           .chunk = 1};
    s->rows = (int)least_of(s->rows, d.oh);
    s->cols = (int)least_of(s->cols, d.ow);
    s->band = (int)d.oh;
    if (d.ob < TASKS_WANTED)
        spread_bands(s, d.oh, (TASKS_WANTED + d.ob - 1) / d.ob);
}

/* The largest divisor of `n` up to `limit`. */
static int64_t divisor(int64_t n, int64_t limit)
{
    while (n % limit)
        limit--;
    return limit;
}

/* Accumulators take half of the registers: the rest is what clang loads ahead. Blocks that use the same weights come first, as they
 * save loads. Tasks are bands of rows, of small maps blocks as well; a task has whole periods of weights. */
static void schedule_local(struct node *n, const struct target *t)
{
    int64_t blocks = layout_blocks(n->type), rows = n->type.shape.dim[1];
    int64_t period = local_period(n);
    int64_t band = choose_band(rows, TASKS_WANTED), same = blocks / period, units = same;
    if (rows / band < TASKS_WANTED / 2) {
        band = rows;
        units = choose_chunk(same, TASKS_WANTED);
    }
    int64_t tile = divisor(units, least_of(units, 4));
    n->schedule = (struct schedule){.rows = 1,
                                    .cols = (int)least_of(t->registers / 2 / tile, n->type.shape.dim[2]),
                                    .channels = (int)(tile * BLOCK),
                                    .band = (int)band,
                                    .chunk = (int)(units < same ? units * period : 0)};
    n->schedule.cols = n->schedule.cols > 8 ? 8 : n->schedule.cols;
}

/* A tile of columns x kernels; a row of the result and a block of channels are a task. */
static void schedule_each(struct node *n, const struct target *t)
{
    int64_t kernels = divisor(n->type.shape.dim[2], least_of(n->type.shape.dim[2], 4));
    n->schedule = (struct schedule){.rows = (int)kernels,
                                    .cols = (int)least_of((t->registers - kernels - 1) / kernels, 7),
                                    .channels = BLOCK,
                                    .band = 1};
}

/* Pools, maps, conversions: rows if there are enough, else blocks too. */
static void schedule_simple(struct node *n)
{
    struct schedule *s = &n->schedule;
    struct shape shape = n->type.shape;
    int64_t rows = shape.rank == 3 ? shape.dim[1] : 1,
            blocks = n->type.layout.kind == LAYOUT_BLOCKS ? layout_blocks(n->type) : 1;
    if (n->algorithm == ALGORITHM_global_pool || n->algorithm == ALGORITHM_moments) {
        blocks = layout_blocks(n->in[0]->type);
        *s = (struct schedule){.chunk = (int)choose_chunk(blocks, TASKS_WANTED)};
        return;
    }
    *s = (struct schedule){
        .rows = 1, .cols = 1, .channels = n->type.layout.block, .band = (int)choose_band(rows, TASKS_WANTED)};
    if (rows / s->band < TASKS_WANTED && n->type.layout.kind == LAYOUT_BLOCKS && n->algorithm != ALGORITHM_convert) {
        s->band = (int)rows;
        s->chunk = (int)choose_chunk(blocks, TASKS_WANTED);
    }
}

bool choose_schedule(struct graph *g, struct pass_context *c)
{
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *n = g->node[i];
        switch (n->algorithm) {
        case ALGORITHM_NONE:
        case ALGORITHM_view:
        case ALGORITHM_group_scale:
        case ALGORITHM_generic: break;
        case ALGORITHM_direct: schedule_direct(n, c->target); break;
        case ALGORITHM_spread: schedule_spread(n, c->target); break;
        case ALGORITHM_winograd: schedule_winograd(n, c); break;
        case ALGORITHM_each: schedule_each(n, c->target); break;
        case ALGORITHM_local: schedule_local(n, c->target); break;
        default: schedule_simple(n);
        }
    }
    return !c->tuned || apply_tuned(g, c); /* what was measured goes before the model */
}
