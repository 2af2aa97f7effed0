/* The reference interpreter's rules of attention and of the heads of detection and segmentation. */
#include "graph/eval.h"

#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

/* out[o][l] = bias[o] + sum over i, k of weight[o][i][k] * x[i][l + k - pad] */
void eval_conv1d(struct eval *e, const struct node *n, double *out)
{
    const double *weight = eval_param(e, n, 0), *bias = eval_param(e, n, 1), *x = eval_input(e, n, 0);
    const struct shape *in = &n->in[0]->type.shape, *to = &n->type.shape;
    int64_t taps = n->attrs.kernel[1];
    for (int64_t o = 0; o < to->dim[0]; o++) {
        for (int64_t l = 0; l < to->dim[1]; l++) {
            double sum = bias ? bias[o] : 0;
            for (int64_t i = 0; i < in->dim[0]; i++) {
                for (int64_t k = 0; k < taps; k++) {
                    int64_t at = l + k - n->attrs.pad[1];
                    sum += at >= 0 && at < in->dim[1] ? weight[(o * in->dim[0] + i) * taps + k] * x[i * in->dim[1] + at]
                                                      : 0;
                }
            }
            out[o * to->dim[1] + l] = sum;
        }
    }
}

/* y = (x - mean) / sqrt(var + eps) * gamma + beta; mean and biased variance over a group's channels and positions
 * (Wu, He. "Group Normalization", 2018, equations 1 to 3). */
void eval_group_norm(struct eval *e, const struct node *n, double *out)
{
    const double *gamma = eval_param(e, n, 0), *beta = eval_param(e, n, 1), *x = eval_input(e, n, 0);
    struct split s = split_at(n->type.shape, 0);
    int64_t count = s.n / n->attrs.groups * s.inner;
    for (int64_t g = 0; g < n->attrs.groups; g++) {
        const double *from = x + g * count;
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < count; i++) {
            mean += from[i];
        }
        mean /= (double)count;
        for (int64_t i = 0; i < count; i++) {
            variance += (from[i] - mean) * (from[i] - mean);
        }
        variance /= (double)count;
        for (int64_t i = 0; i < count; i++) {
            int64_t c = (g * count + i) / s.inner;
            out[g * count + i] = (from[i] - mean) / sqrt(variance + n->attrs.eps) * gamma[c] + beta[c];
        }
    }
}

/* What split_group_norm makes of a group norm. Of each channel the mean, then of each the biased variance. */
void eval_moments(struct eval *e, const struct node *n, double *out)
{
    const double *x = eval_input(e, n, 0);
    struct split s = split_at(n->in[0]->type.shape, 0);
    for (int64_t c = 0; c < s.n; c++, x += s.inner) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < s.inner; i++) {
            mean += x[i] / (double)s.inner;
        }
        for (int64_t i = 0; i < s.inner; i++) {
            variance += (x[i] - mean) * (x[i] - mean) / (double)s.inner;
        }
        out[c] = mean;
        out[s.n + c] = variance;
    }
}

/* Equally many numbers with these means and variances have the mean of the means, and the mean of the variances plus the variance of
 * the means. Groups that take turns: channel (o * size + k) * interleave + l is the k-th of its group. */
void eval_group_scale(struct eval *e, const struct node *n, double *out)
{
    const double *gamma = eval_param(e, n, 0), *beta = eval_param(e, n, 1), *mean = eval_input(e, n, 0);
    int64_t channels = n->type.shape.dim[0] / 2, size = channels / n->attrs.groups, step = n->attrs.interleave;
    for (int64_t g = 0; g < n->attrs.groups; g++) {
        int64_t first = g / step * size * step + g % step, end = first + size * step;
        double of_group = 0, variance = 0;
        for (int64_t c = first; c < end; c += step) {
            of_group += mean[c] / (double)size;
        }
        for (int64_t c = first; c < end; c += step) {
            variance += (mean[channels + c] + (mean[c] - of_group) * (mean[c] - of_group)) / (double)size;
        }
        for (int64_t c = first; c < end; c += step) {
            out[c] = gamma[c] / sqrt(variance + n->attrs.eps);
            out[channels + c] = beta[c] - of_group * out[c];
        }
    }
}

void eval_rescale(struct eval *e, const struct node *n, double *out)
{
    const double *x = eval_input(e, n, 0), *scale = eval_input(e, n, 1);
    struct split s = split_at(n->type.shape, 0);
    for (int64_t i = 0; i < s.n * s.inner; i++) {
        out[i] = x[i] * scale[i / s.inner] + scale[s.n + i / s.inner];
    }
}

/* out[.., m, n] = sum over k of a[.., m, k] * b[.., k, n] */
void eval_matmul(struct eval *e, const struct node *n, double *out)
{
    const struct shape *to = &n->type.shape;
    struct shape a_shape = *to, b_shape = *to;
    const struct shape *a_in = &n->in[0]->type.shape, *b_in = &n->in[1]->type.shape;
    int64_t m = to->dim[to->rank - 2], columns = to->dim[to->rank - 1], depth = a_in->dim[a_in->rank - 1];
    a_shape.dim[to->rank - 1] = depth;
    b_shape.dim[to->rank - 2] = depth;
    const double *a = eval_broadcast(e->parameters, eval_input(e, n, 0), *a_in, a_shape);
    const double *b = eval_broadcast(e->parameters, eval_input(e, n, 1), *b_in, b_shape);
    for (int64_t row = 0; row < shape_elements(*to) / columns; row++) {
        const double *matrix = b + row / m * depth * columns;
        for (int64_t k = 0; k < depth; k++) {
            for (int64_t c = 0; c < columns; c++) {
                out[row * columns + c] += a[row * depth + k] * matrix[k * columns + c];
            }
        }
    }
}

/* Which row or column a border shows; -1: none, a zero. Reflection leaves the edge itself out. */
static int64_t behind_border(int64_t at, int64_t size, bool reflect)
{
    if (at >= 0 && at < size) {
        return at;
    }
    return !reflect ? -1 : at < 0 ? -at : 2 * (size - 1) - at;
}

void eval_pad(struct eval *e, const struct node *n, double *out)
{
    const double *x = eval_input(e, n, 0);
    const struct shape *in = &n->in[0]->type.shape, *to = &n->type.shape;
    int64_t ih = in->dim[in->rank - 2], iw = in->dim[in->rank - 1], oh = to->dim[in->rank - 2],
            ow = to->dim[in->rank - 1];
    for (int64_t i = 0; i < shape_elements(*to); i++) {
        int64_t y = behind_border(i / ow % oh - n->attrs.pad[0], ih, n->attrs.reflect);
        int64_t ix = behind_border(i % ow - n->attrs.pad[1], iw, n->attrs.reflect);
        out[i] = y < 0 || ix < 0 ? 0 : x[(i / (oh * ow) * ih + y) * iw + ix];
    }
}

/* The centres of pixels stay where they are: position o of `out` lies at (o + 0.5) * in / out - 0.5 of the input. What lies outside
 * of the outermost centres takes their value. */
struct between {
    int64_t first, second;
    double share; /* of the second */
};

static struct between bilinear_at(int64_t o, int64_t in, int64_t out)
{
    double at = ((double)o + 0.5) * (double)in / (double)out - 0.5;
    at = at < 0 ? 0 : at;
    int64_t first = (int64_t)at;
    return (struct between){first, first + 1 < in ? first + 1 : first, at - (double)first};
}

void eval_upsample(struct eval *e, const struct node *n, double *out)
{
    const double *x = eval_input(e, n, 0);
    const struct shape *in = &n->in[0]->type.shape, *to = &n->type.shape;
    int64_t ih = in->dim[1], iw = in->dim[2], oh = to->dim[1], ow = to->dim[2];
    for (int64_t i = 0; i < shape_elements(*to); i++) {
        const double *map = x + i / (oh * ow) * ih * iw;
        int64_t oy = i / ow % oh, ox = i % ow;
        if (!n->attrs.bilinear) {
            out[i] = map[oy * ih / oh * iw + ox * iw / ow];
            continue;
        }
        struct between y = bilinear_at(oy, ih, oh), c = bilinear_at(ox, iw, ow);
        double upper = map[y.first * iw + c.first] * (1 - c.share) + map[y.first * iw + c.second] * c.share;
        double lower = map[y.second * iw + c.first] * (1 - c.share) + map[y.second * iw + c.second] * c.share;
        out[i] = upper * (1 - y.share) + lower * y.share;
    }
}

/* out[c][ky * columns + kx][oy][ox] = x[c][oy * stride + ky * dilation - pad][..], zero outside */
void eval_unfold(struct eval *e, const struct node *n, double *out)
{
    struct window wy = window_of(n, 0), wx = window_of(n, 1);
    const double *x = eval_input(e, n, 0);
    int64_t plane = wy.out * wx.out, taps = wy.kernel * wx.kernel;
    for (int64_t i = 0; i < shape_elements(n->type.shape); i++) {
        int64_t tap = i / plane % taps, oy = i / wx.out % wy.out, ox = i % wx.out;
        int64_t iy = oy * wy.stride + tap / wx.kernel * wy.dilation - wy.pad;
        int64_t ix = ox * wx.stride + tap % wx.kernel * wx.dilation - wx.pad;
        bool inside = iy >= 0 && iy < wy.n && ix >= 0 && ix < wx.n;
        out[i] = inside ? x[(i / (plane * taps) * wy.n + iy) * wx.n + ix] : 0;
    }
}

/* out[c][oy][ox] = sum over taps of w[c mod G][tap][oy][ox] * x[c][oy * stride + ky * dilation - pad][..], zero outside. Arranged weights
 * have the kernel of channel c in lane c mod 16 of block (c / 16) mod blocks, or, of fewer than 16, as the (c mod G)-th of a tap; and may
 * be rescaled first. */
void eval_local_conv(struct eval *e, const struct node *n, double *out)
{
    struct window wy = window_of(n, 0), wx = window_of(n, 1);
    const double *x = eval_input(e, n, 0), *w = eval_input(e, n, 1), *scale = n->n_in > 2 ? eval_input(e, n, 2) : NULL;
    const struct shape *kernels = &n->in[1]->type.shape;
    int64_t plane = wy.out * wx.out, taps = wy.kernel * wx.kernel;
    int64_t few = kernels->rank == 3 && kernels->dim[0] < taps * 16 ? kernels->dim[0] / taps : 0;
    for (int64_t i = 0; i < shape_elements(n->type.shape); i++) {
        int64_t c = i / plane, oy = i / wx.out % wy.out, ox = i % wx.out;
        double sum = 0;
        for (int64_t tap = 0; tap < taps; tap++) {
            int64_t iy = oy * wy.stride + tap / wx.kernel * wy.dilation - wy.pad;
            int64_t ix = ox * wx.stride + tap % wx.kernel * wx.dilation - wx.pad;
            int64_t row = kernels->rank == 4 ? c % kernels->dim[0] * taps + tap
                          : few              ? tap * few + c % few
                                             : (c / 16 % (kernels->dim[0] / (taps * 16)) * taps + tap) * 16 + c % 16;
            bool inside = iy >= 0 && iy < wy.n && ix >= 0 && ix < wx.n;
            double weight = w[row * plane + i % plane];
            weight = scale ? weight * scale[row] + scale[kernels->dim[0] + row] : weight;
            sum += weight * (inside ? x[(c * wy.n + iy) * wx.n + ix] : 0);
        }
        out[i] = sum;
    }
}

/* out[oy][ox][k][c] = bias[k] + sum over taps of w[k][tap] * x[c][oy * stride + ky * dilation - pad][..], zero outside */
void eval_each_conv(struct eval *e, const struct node *n, double *out)
{
    const struct attrs *a = &n->attrs;
    const double *x = eval_input(e, n, 0), *w = eval_input(e, n, 1), *bias = n->n_in > 2 ? eval_input(e, n, 2) : NULL;
    const struct shape *in = &n->in[0]->type.shape, *to = &n->type.shape;
    int64_t kernels = to->dim[2], channels = to->dim[3], taps = a->kernel[0] * a->kernel[1];
    for (int64_t i = 0; i < shape_elements(*to); i++) {
        int64_t c = i % channels, k = i / channels % kernels, ox = i / (channels * kernels) % to->dim[1],
                oy = i / (channels * kernels * to->dim[1]);
        double sum = bias ? bias[k] : 0;
        for (int64_t tap = 0; tap < taps; tap++) {
            int64_t iy = oy * a->stride[0] + tap / a->kernel[1] * a->dilation[0] - a->pad[0];
            int64_t ix = ox * a->stride[1] + tap % a->kernel[1] * a->dilation[1] - a->pad[1];
            bool inside = iy >= 0 && iy < in->dim[1] && ix >= 0 && ix < in->dim[2];
            sum += inside ? w[k * taps + tap] * x[(c * in->dim[1] + iy) * in->dim[2] + ix] : 0;
        }
        out[i] = sum;
    }
}

/* dot: out[g][tap][y][x] = sum over c of group g of a[c][y + ky * dilation][x + kx * dilation] * b[c][y][x];
 * mix: out[c][y][x] = sum over taps of the same a * b[g][tap][y][x] */
void eval_window(struct eval *e, const struct node *n, double *out)
{
    const struct attrs *at = &n->attrs;
    const double *a = eval_input(e, n, 0), *b = eval_input(e, n, 1);
    const struct shape *in = &n->in[0]->type.shape, *to = &n->type.shape;
    int64_t h = to->dim[to->rank - 2], w = to->dim[to->rank - 1], plane = h * w, taps = at->kernel[0] * at->kernel[1];
    int64_t size = in->dim[0] / at->groups;
    bool dot = n->op == OP_window_dot;
    for (int64_t i = 0; i < in->dim[0] * taps * plane; i++) {
        int64_t c = i / (taps * plane), tap = i / plane % taps, p = i % plane, g = c / size;
        int64_t y = p / w + tap / at->kernel[1] * at->dilation[0], x = p % w + tap % at->kernel[1] * at->dilation[1];
        double around = a[(c * in->dim[1] + y) * in->dim[2] + x];
        if (dot) {
            out[(g * taps + tap) * plane + p] += around * b[c * plane + p];
        } else {
            out[c * plane + p] += around * b[(g * taps + tap) * plane + p];
        }
    }
}

void eval_take(struct eval *e, const struct node *n, double *out)
{
    const double *x = eval_input(e, n, 0), *index = eval_input(e, n, 1);
    int64_t row = split_at(n->in[0]->type.shape, 0).inner, count = shape_elements(n->in[1]->type.shape);
    for (int64_t i = 0; i < count; i++) {
        memcpy(out + i * row, x + (int64_t)index[i] * row, (size_t)row * sizeof *out);
    }
}
