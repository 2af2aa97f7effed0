/* Winograd's convolution: when it is taken (by choose_algorithm) and how it is cut (by choose_schedule). lower/winograd.c is what
 * computes it.
 *
 *   %y f32[64,56,56] = conv %x, @w, @b {k 3x3 pad 1} | relu   {winograd}
 *   %y f32[64,56,56] = conv %x, @w, @b {k 3x3 pad 1} | relu   {winograd 4x14x32 band 2}      F(4x4,3x3)
 *
 * F(4x4,3x3) has 4 times fewer multiply-adds, F(2x2,3x3) 2.25 times, and the tiles at the end of a map may be ragged. Against that
 * stand the transforms, the weights, 4 and 1.8 times as many, which on small maps are used faster than they come from memory, and
 * the rounding: in F(4) the terms of a transform are larger than what comes out. (F(2) rounds less than the direct sum, which is 9
 * times as long.) All of it is a matter of shapes, and so is the choice, but for the bound on the error. What would surprise: packed weights depend on the size of the tile, so it may depend on
 * nothing else.
 */
#include "graph/winograd.h"

#include <math.h>

#include "loop/loop.h"
#include "lower/lower.h"

const double winograd_default_error = 5e-5;

static int64_t ceiling(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

bool winograd_can(const struct node *n)
{
    const struct attrs *a = &n->attrs;
    enum { PIXEL_CHANNELS = 4 };
    if (n->op != OP_conv || n->type.shape.rank != 3 || a->kernel[0] != 3 || a->kernel[1] != 3 || a->stride[0] != 1 ||
        a->stride[1] != 1 || a->dilation[0] != 1 || a->dilation[1] != 1)
        return false;
    int64_t width = n->in[0]->type.shape.dim[0] / a->groups;
    if (a->groups == 1)
        return width > PIXEL_CHANNELS || n->in[0]->op != OP_input; /* pictures have blocks of their own */
    return width >= BLOCK || BLOCK % width != 0;
}

/* ---- the choice ---- */

/* Multiply-adds that take as long as m's convolution of a group. */
static double cost(const struct node *n, int m)
{
    const double a_weight = 30, input_4 = 430, output_4 = 340, input_2 = 190,
                 output_2 = 110; /* multiply-adds in the time */
    int64_t groups = n->attrs.groups, in = n->in[0]->type.shape.dim[0] / groups, out = n->type.shape.dim[0] / groups;
    int64_t oh = n->type.shape.dim[1], ow = n->type.shape.dim[2];
    double ins = (double)(ceiling(in, BLOCK) * BLOCK), outs = (double)(ceiling(out, BLOCK) * BLOCK);
    double points = m ? (m + 2) * (m + 2) : 9, tiles = (double)(m ? ceiling(oh, m) * ceiling(ow, m) : oh * ow);
    double multiply = points * tiles * (double)in * outs, weights = points * (double)in * outs * a_weight;
    double transform = m == 4   ? tiles * (ins * input_4 + outs * output_4)
                       : m == 2 ? tiles * (ins * input_2 + outs * output_2)
                                : 0;
    return most_of(multiply, weights) + (multiply < weights ? multiply : weights) / 4 + transform;
}

double winograd_error(int m, int64_t channels)
{
    double root = sqrt((double)channels);
    return m == 4 ? 4e-6 + 8e-7 * root : m == 2 ? 2e-7 + 6e-8 * root : 4e-7 + 1.6e-7 * root;
}

/* Do the transforms and products of one row of tiles of a group fit what a kernel may have on the stack? */
static bool fits(const struct node *n, int m)
{
    int64_t in = n->in[0]->type.shape.dim[0] / n->attrs.groups, points = (m + 2) * (m + 2);
    int64_t row = points * ceiling(n->type.shape.dim[2], m) * BLOCK * 4;
    return row * ((n->attrs.groups > 1 ? ceiling(in, BLOCK) : 0) + 2) <= MAX_LOCAL_BYTES;
}

int winograd_size(const struct node *n, const struct pass_context *c)
{
    const double margin = 0.9; /* gains below a tenth are not worth the memory */
    double error = c->max_error > 0 ? c->max_error : winograd_default_error;
    int64_t channels = n->in[0]->type.shape.dim[0] / (n->attrs.groups > 0 ? n->attrs.groups : 1);
    double best = c->winograd == WINOGRAD_ALWAYS ? 1e300 : cost(n, 0) * margin;
    int size = 0;
    if (c->winograd == WINOGRAD_OFF || !winograd_can(n))
        return 0;
    for (int m = 4; m >= 2; m -= 2) {
        double its = cost(n, m);
        if ((m == 4 && winograd_error(m, channels) > error) || !fits(n, m) || its >= best)
            continue;
        if (c->winograd == WINOGRAD_ALWAYS)
            return m;
        best = its;
        size = m;
    }
    return size;
}

/* ---- the schedule ---- */

struct tile {
    int64_t cols, nv;
    double cycles;
};

/* Of one channel in a register tile. A load takes more than its share of a cycle: with one vector of channels every multiply-add
 * has one. */
static double step_cycles(int64_t cols, int64_t nv, const struct target *t)
{
    double inputs = (double)cols / (t->by_lane ? t->lanes : 1), multiply = (double)(cols * nv) / 2;
    if (t->by_lane)
        multiply += (inputs + (double)nv) / 4; /* see choose_schedule.c */
    return most_of(most_of(multiply, (inputs + (double)nv) * 0.6), 4) + (double)(nv * t->lanes) / 40;
}

/* The best register tile for `tiles` tiles and `vectors` vectors of channels a group; `a_block` vectors make a block. */
static struct tile best_tile(int64_t tiles, int64_t vectors, int64_t a_block, int64_t most_blocks, bool even,
                             const struct target *t)
{
    struct tile best = {.cycles = 1e300};
    for (int64_t nv = 1; nv <= least_of(8, most_blocks * a_block) && nv <= vectors; nv++) {
        if ((nv < a_block ? a_block % nv : nv % a_block) != 0 || (even && vectors % nv))
            continue;
        for (int64_t cols = 1; cols <= least_of(tiles, 28); cols++) {
            if (cols * nv + nv + (t->by_lane ? cols + 1 : 1) > t->registers)
                break;
            struct cover c = cover(tiles, cols);
            double cycles = (double)c.n * step_cycles(c.size, nv, t);
            if (c.n_less)
                cycles += (double)c.n_less * step_cycles(c.size - 1, nv, t);
            cycles *= (double)ceiling(vectors, nv);
            if (cycles < best.cycles * 0.999)
                best = (struct tile){cols, nv, cycles};
        }
    }
    return best;
}

/* The most rows of tiles, of `rows` of them, whose scratch of `bytes` each is at most `room`; even bands if there are nearly as good. */
static int64_t band_of(int64_t rows, int64_t bytes, int64_t room)
{
    int64_t most_rows = room / bytes < 1 ? 1 : least_of(room / bytes, rows), bands = ceiling(rows, most_rows);
    for (int64_t band = most_rows; 2 * band > most_rows; band--)
        if (rows % band == 0)
            return band;
    return ceiling(rows, bands);
}

void schedule_winograd(struct node *n, const struct pass_context *c)
{
    enum { TASKS_WANTED = 8, BLOCKS = 2 };
    const struct target *t = c->target;
    struct conv_dims d = conv_dims(n);
    int64_t m = winograd_size(n, c), a_block = BLOCK / t->lanes, points = (m + 2) * (m + 2);
    int64_t th = ceiling(d.oh, m), tw = ceiling(d.ow, m), row = points * tw * BLOCK * 4; /* of a block */
    int64_t weights = points * d.ic * d.ob * BLOCK * 4, room = least_of(t->l2 * 3 / 8, MAX_LOCAL_BYTES);
    bool alone = d.groups > 1 || (weights <= t->l2 * 3 / 4 && (d.ib + BLOCKS) * row <= room);
    if (d.groups > 1 && weights > t->l2)
        room =
            MAX_LOCAL_BYTES; /* each band meets all weights of its group, which come from beyond the cache: rather few bands */
    int64_t inputs = alone ? d.ib : 0, band = band_of(th, (inputs + BLOCKS) * row, room);
    struct tile tile = best_tile(band * tw, d.ob * a_block, a_block, MAX_LOCAL_BYTES / row - inputs, d.groups > 1, t);
    int64_t nb = tile.nv < a_block ? 1 : tile.nv / a_block;
    band = least_of(band, MAX_LOCAL_BYTES / ((inputs + nb) * row));
    struct schedule *s = &n->schedule;
    *s = (struct schedule){
        .rows = (int)m, .cols = (int)tile.cols, .channels = (int)tile.nv * t->lanes, .band = (int)band, .prefetch = 1};
    if (d.groups > 1) {
        s->chunk = (int)choose_chunk(d.groups, TASKS_WANTED);
    } else if (!alone) {
        s->chunk = d.ob % nb ? 1 : (int)choose_chunk(d.ob / nb, 2 * TASKS_WANTED);
        s->depth = (int)choose_chunk(d.ib, TASKS_WANTED);
    }
}
