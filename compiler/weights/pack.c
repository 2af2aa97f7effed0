/* Packing recipes: from a parameter's row-major values to the order in which a kernel reads them.
 *
 *   PACK_PANELS  [O, I/g, kh, kw] -> [blocks of outputs][blocks of inputs][kh][kw][inputs of a block][16]
 *   PACK_SPREAD  [O, I/g, kh, kw] -> [blocks of outputs][inputs of a group][kh][kw][16]
 *   PACK_WINOGRAD [O, I/g, 3, 3] -> [blocks of outputs][36 or 16 points][blocks of inputs][inputs of a block][16]: G g G^T
 *                in double, rounded once (Lavin and Gray, 2015)
 *   PACK_VECTOR  [C] -> [blocks * 16]
 *   PACK_TURNED  [O, I] -> [I][O]
 *   PACK_PLAIN   as it is, zeros up to a multiple of 16
 * Pad lanes are zero. Where channels stand in blocks is the layout of the value that the kernel reads or writes.
 */
#include <string.h>

#include "lower/lower.h"
#include "weights/weights.h"

/* The channel at (block, lane) of a layout with `channels` channels; -1 in a pad lane. */
static int64_t channel_at(struct layout y, int64_t channels, int64_t block, int64_t lane)
{
    int64_t size = y.kind == LAYOUT_BLOCKS ? y.block : BLOCK, seg = y.kind == LAYOUT_BLOCKS && y.seg ? y.seg : channels;
    int64_t a_seg = (seg + size - 1) / size, inside = block % a_seg * size + lane, c = block / a_seg * seg + inside;
    return inside < seg && c < channels ? c : -1;
}

static void pack_panels(const struct pack *p, const double *from, float *to)
{
    struct conv_dims d = conv_dims(p->node);
    int64_t rows = d.lanes_in ? d.lanes_in : d.block, oc = d.oc * d.groups;
    for (int64_t ob = 0; ob < d.groups * d.ob; ob++)
        for (int64_t ib = 0; ib < d.ib; ib++)
            for (int64_t k = 0; k < d.kh * d.kw; k++)
                for (int64_t i = 0; i < rows; i++) {
                    int64_t ic = d.groups == 1          ? channel_at(p->in, d.ic, ib, i)
                                 : ib * rows + i < d.ic ? ib * rows + i
                                                        : -1;
                    for (int64_t lane = 0; lane < BLOCK; lane++) {
                        int64_t o = channel_at(p->out, oc, ob, lane);
                        *to++ = o < 0 || ic < 0 ? 0 : (float)from[(o * d.ic + ic) * d.kh * d.kw + k];
                    }
                }
}

static void pack_spread(const struct pack *p, const double *from, float *to)
{
    struct conv_dims d = conv_dims(p->node);
    for (int64_t ob = 0; ob < d.ob; ob++)
        for (int64_t ic = 0; ic < d.ic; ic++)
            for (int64_t k = 0; k < d.kh * d.kw; k++)
                for (int64_t lane = 0; lane < BLOCK; lane++) {
                    int64_t o = channel_at(p->out, d.oc * d.groups, ob, lane);
                    *to++ = o < 0 ? 0 : (float)from[(o * d.ic + ic) * d.kh * d.kw + k];
                }
}

/* u = G g G^T, `points` points a side. */
static void transform_kernel(int64_t points, const double *g, double *u)
{
    static const double four[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}},
                        six[6][3] = {{1. / 4, 0, 0},
                                     {-1. / 6, -1. / 6, -1. / 6},
                                     {-1. / 6, 1. / 6, -1. / 6},
                                     {1. / 24, 1. / 12, 1. / 6},
                                     {1. / 24, -1. / 12, 1. / 6},
                                     {0, 0, 1}};
    const double(*G)[3] = points == 4 ? four : six;
    for (int64_t i = 0; i < points; i++) {
        double row[3];
        for (int c = 0; c < 3; c++)
            row[c] = G[i][0] * g[c] + G[i][1] * g[3 + c] + G[i][2] * g[6 + c];
        for (int64_t j = 0; j < points; j++)
            *u++ = row[0] * G[j][0] + row[1] * G[j][1] + row[2] * G[j][2];
    }
}

static void pack_winograd(const struct pack *p, const double *from, float *to)
{
    struct conv_dims d = conv_dims(p->node);
    int64_t points = p->dim[1], oc = d.oc * d.groups, inputs = d.ib * BLOCK;
    for (int64_t ob = 0; ob < d.groups * d.ob; ob++, to += points * inputs * BLOCK)
        for (int64_t i = 0; i < inputs * BLOCK; i++) {
            int64_t lane = i % BLOCK, at = i / BLOCK, o = channel_at(p->out, oc, ob, lane);
            int64_t ic = d.groups == 1 ? channel_at(p->in, d.ic, at / BLOCK, at % BLOCK) : at < d.ic ? at : -1;
            double u[36];
            if (o < 0 || ic < 0)
                continue; /* zeros are there */
            transform_kernel(points == 16 ? 4 : 6, from + (o * d.ic + ic) * 9, u);
            for (int64_t xi = 0; xi < points; xi++)
                to[xi * inputs * BLOCK + i] = (float)u[xi];
        }
}

static void pack_vector(const struct pack *p, const double *from, float *to)
{
    int64_t channels = p->param->shape.dim[0];
    for (int64_t i = 0; i < p->memory->bytes / 4; i++) {
        int64_t c = channel_at(p->out, channels, i / BLOCK, i % BLOCK);
        to[i] = c < 0 ? 0 : (float)from[c];
    }
}

static void pack_turned(const struct shape *shape, const double *from, float *to)
{
    int64_t outputs = shape->dim[0], inputs = shape->dim[1];
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t i = 0; i < inputs; i++)
            to[i * outputs + o] = (float)from[o * inputs + i];
}

static void pack_one(const struct pack *p, const double *from, float *to)
{
    switch (p->kind) {
    case PACK_PANELS: pack_panels(p, from, to); break;
    case PACK_SPREAD: pack_spread(p, from, to); break;
    case PACK_WINOGRAD: pack_winograd(p, from, to); break;
    case PACK_VECTOR: pack_vector(p, from, to); break;
    case PACK_TURNED: pack_turned(&p->param->shape, from, to); break;
    case PACK_PLAIN:
        for (int64_t i = 0; i < shape_elements(p->param->shape); i++)
            to[i] = (float)from[i];
    }
}

void pack_weights(struct arena *scratch, const struct program *p, struct weights *w, char *blob)
{
    memset(blob, 0, (size_t)p->weights_bytes);
    for (size_t i = 0; i < p->n_pack; i++) {
        const struct pack *k = &p->pack[i];
        if (!k->param)
            continue; /* zeros */
        pack_one(k, param_value(scratch, w, k->param), (float *)(void *)(blob + k->memory->offset));
        arena_reset(scratch);
    }
}
