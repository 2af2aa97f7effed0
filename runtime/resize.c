/* Resizing as Pillow's Image.resize does it, to the last bit: bilinear or bicubic (Keys 1981, a = -1/2), the filter
 * made as wide as a pixel of the result where the picture shrinks (antialias).
 *
 * A pass along the rows, rounded to 8 bits, then one along the columns; a pass that keeps the size is left out. The
 * weights are 32 bit fixed-point numbers with 22 bits behind the point. They are computed in double, in this order of
 * operations and without fused multiply-adds: another order gives other last bits.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

#ifdef __clang__ /* gcc has no such pragma, and under -std=c17 no such habit */
#pragma STDC FP_CONTRACT OFF
#endif

enum { BITS = 22, HALF = 1 << (BITS - 1) };

struct weights { /* of one direction: result i is the sum of `count[i]` pixels from `first[i]` on */
    int room;    /* weights a result */
    int *first, *count;
    int32_t *weight;
};

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) {
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    }
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static void free_weights(struct weights *w)
{
    free(w->first);
    free(w->weight);
}

static bool new_weights(struct weights *w, int from, int to, double support)
{
    w->room = (int)ceil(support) * 2 + 1;
    w->room = w->room < from ? w->room : from;
    w->first = calloc((size_t)to, 2 * sizeof *w->first);
    w->count = w->first ? w->first + to : NULL;
    w->weight = calloc((size_t)to, (size_t)w->room * sizeof *w->weight);
    return w->first && w->weight;
}

static bool fill_weights(struct weights *w, int from, int to, bool cubic)
{
    const double scale = (double)from / to, stretch = scale < 1 ? 1 : scale, narrow = 1 / stretch;
    const double support = (cubic ? 2 : 1) * stretch;
    *w = (struct weights){0};
    double *exact = new_weights(w, from, to, support) ? malloc((size_t)w->room * sizeof *exact) : NULL;
    for (int i = 0; exact && i < to; i++) {
        const double centre = (i + 0.5) * scale;
        const int low = (int)(centre - support + 0.5), high = (int)(centre + support + 0.5);
        const int first = low < 0 ? 0 : low, count = (high > from ? from : high) - first;
        double sum = 0;
        for (int k = 0; k < count; k++) {
            exact[k] = (cubic ? bicubic : bilinear)((k + first - centre + 0.5) * narrow);
            sum += exact[k];
        }
        for (int k = 0; k < count; k++) {
            const double weight = (sum != 0 ? exact[k] / sum : exact[k]) * (1 << BITS);
            w->weight[(size_t)i * (size_t)w->room + (size_t)k] = (int32_t)(weight < 0 ? weight - 0.5 : weight + 0.5);
        }
        w->first[i] = first;
        w->count[i] = count;
    }
    const bool good = exact != NULL;
    free(exact);
    return good;
}

static uint8_t to_byte(int32_t sum)
{
    sum >>= BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* One row, of gray or of RGB pixels. */
static void along_row(const struct weights *w, const uint8_t *from, int columns, int channels, uint8_t *to)
{
    for (int x = 0; x < columns; x++) {
        const int32_t *weight = w->weight + (size_t)x * (size_t)w->room;
        const uint8_t *pixel = from + (size_t)w->first[x] * (size_t)channels;
        int32_t sum[3] = {HALF, HALF, HALF};
        if (channels == 1) {
            for (int k = 0; k < w->count[x]; k++) {
                sum[0] += pixel[k] * weight[k];
            }
            *to++ = to_byte(sum[0]);
            continue;
        }
        for (int k = 0; k < w->count[x]; k++, pixel += 3) {
            sum[0] += pixel[0] * weight[k];
            sum[1] += pixel[1] * weight[k];
            sum[2] += pixel[2] * weight[k];
        }
        for (int c = 0; c < 3; c++) {
            *to++ = to_byte(sum[c]);
        }
    }
}

/* Row y of the result; sum: room for n numbers. */
static void across_rows(const struct weights *w, const uint8_t *from, int64_t stride, int y, int n, int32_t *sum,
                        uint8_t *to)
{
    for (int x = 0; x < n; x++) {
        sum[x] = HALF;
    }
    for (int k = 0; k < w->count[y]; k++) {
        const uint8_t *row = from + (w->first[y] + k) * stride;
        const int32_t weight = w->weight[(size_t)y * (size_t)w->room + (size_t)k];
        for (int x = 0; x < n; x++) {
            sum[x] += row[x] * weight;
        }
    }
    for (int x = 0; x < n; x++) {
        to[x] = to_byte(sum[x]);
    }
}

struct passes {
    struct weights horizontal, vertical;
    uint8_t *between; /* after the first pass */
    int32_t *sum;
};

static bool resize(struct passes *p, const struct pixels *from, int rows, int columns, bool cubic, uint8_t *to)
{
    const int n = columns * from->channels;
    struct pixels now = *from;
    if (columns != from->columns) {
        p->between = rows != from->rows ? malloc((size_t)from->rows * (size_t)n) : NULL;
        uint8_t *out = rows != from->rows ? p->between : to;
        if (!out || !fill_weights(&p->horizontal, from->columns, columns, cubic)) {
            return false;
        }
        for (int y = 0; y < from->rows; y++) {
            along_row(&p->horizontal, from->at + y * from->stride, columns, from->channels, out + (int64_t)y * n);
        }
        now.at = out;
        now.stride = n;
    }
    if (rows != from->rows) {
        p->sum = malloc((size_t)n * sizeof *p->sum);
        if (!p->sum || !fill_weights(&p->vertical, from->rows, rows, cubic)) {
            return false;
        }
        for (int y = 0; y < rows; y++) {
            across_rows(&p->vertical, now.at, now.stride, y, n, p->sum, to + (int64_t)y * n);
        }
    } else if (columns == from->columns) {
        for (int y = 0; y < rows; y++) {
            memcpy(to + (int64_t)y * n, from->at + y * from->stride, (size_t)n);
        }
    }
    return true;
}

const char *resize_pixels(const struct pixels *from, int rows, int columns, bool cubic, uint8_t *to,
                          const struct why *why)
{
    struct passes passes = {0};
    const bool good = resize(&passes, from, rows, columns, cubic, to);
    free_weights(&passes.horizontal);
    free_weights(&passes.vertical);
    free(passes.between);
    free(passes.sum);
    return good ? NULL : because(why, "out of memory");
}
