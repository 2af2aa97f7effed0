/* The reference interpreter: a graph evaluated by plain loops in double. It is the oracle of every pass and every
 * target, so each operator is written as its definition reads.
 *
 * Values are row-major, whatever layout a pass chose, and are all kept until the arena goes, so that tests can look at
 * any of them; parameters are made for one node at a time and given back, since they are most of a network.
 * What would surprise: convolutions walk the output once for each weight. So the inner loop is one row of multiply-adds
 * without tests, because the outputs that a tap reaches are an interval that is computed beforehand, and the whole is
 * fast enough to judge a network of a billion multiply-adds in seconds.
 */
#include "graph/eval.h"
#include "weights/weights.h"

#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

/* ---- parameters ---- */

static double *fold_scale(struct arena *arena, struct weights *w, struct param *gamma, struct param *var, double eps)
{
    int64_t n = shape_elements(gamma->shape);
    const double *g = param_value(arena, w, gamma), *v = param_value(arena, w, var);
    double *scale = NEW_ARRAY(arena, double, n);
    for (int64_t c = 0; c < n; c++) {
        scale[c] = g[c] / sqrt(v[c] + eps);
    }
    return scale;
}

static double *fold_weight(struct arena *arena, struct weights *w, const struct param *p)
{
    const double *weight = param_value(arena, w, p->from[0]);
    const double *scale = fold_scale(arena, w, p->from[1], p->from[2], p->eps);
    int64_t n = shape_elements(p->shape), row = n / p->shape.dim[0];
    double *out = NEW_ARRAY(arena, double, n);
    for (int64_t i = 0; i < n; i++) {
        out[i] = weight[i] * scale[i / row];
    }
    return out;
}

static double *fold_bias(struct arena *arena, struct weights *w, const struct param *p)
{
    const double *beta = param_value(arena, w, p->from[0]), *mean = param_value(arena, w, p->from[2]);
    const double *bias = p->n_from > 4 ? param_value(arena, w, p->from[4]) : NULL;
    const double *scale = fold_scale(arena, w, p->from[1], p->from[3], p->eps);
    int64_t n = shape_elements(p->shape);
    double *out = NEW_ARRAY(arena, double, n);
    for (int64_t c = 0; c < n; c++) {
        out[c] = beta[c] + ((bias ? bias[c] : 0) - mean[c]) * scale[c];
    }
    return out;
}

static double *join_params(struct arena *arena, struct weights *w, const struct param *p)
{
    struct split whole = split_at(p->shape, p->axis);
    double *out = NEW_ARRAY(arena, double, shape_elements(p->shape)), *to = out;
    for (int k = 0; k < p->n_from; k++) {
        const double *from = param_value(arena, w, p->from[k]);
        int64_t run = p->from[k]->shape.dim[p->axis] * whole.inner;
        for (int64_t o = 0; o < whole.outer; o++) {
            memcpy(to + o * whole.n * whole.inner, from + o * run, (size_t)run * sizeof *out);
        }
        to += run;
    }
    return out;
}

static double *add_params(struct arena *arena, struct weights *w, const struct param *p)
{
    int64_t n = shape_elements(p->shape);
    double *out = NEW_ARRAY(arena, double, n);
    for (int k = 0; k < p->n_from; k++) {
        const double *from = param_value(arena, w, p->from[k]);
        for (int64_t i = 0; i < n; i++) {
            out[i] += from[i];
        }
    }
    return out;
}

static double *take_rows(struct arena *arena, struct weights *w, const struct param *p)
{
    const double *from = param_value(arena, w, p->from[0]), *row = param_value(arena, w, p->from[1]);
    struct split rows = split_at(p->shape, 0);
    double *out = NEW_ARRAY(arena, double, rows.n *rows.inner);
    for (int64_t i = 0; i < rows.n; i++) {
        memcpy(out + i * rows.inner, from + (int64_t)row[i] * rows.inner, (size_t)rows.inner * sizeof *out);
    }
    return out;
}

const double *param_value(struct arena *arena, struct weights *w, struct param *p)
{
    switch (p->op) {
    case PARAM_CONSTANT: return p->value;
    case PARAM_FOLD_WEIGHT: return fold_weight(arena, w, p);
    case PARAM_FOLD_BIAS: return fold_bias(arena, w, p);
    case PARAM_FOLD_SCALE: return fold_scale(arena, w, p->from[0], p->from[1], p->eps);
    case PARAM_CONCAT: return join_params(arena, w, p);
    case PARAM_SUM: return add_params(arena, w, p);
    case PARAM_TAKE: return take_rows(arena, w, p);
    default: break;
    }
    double *out = NEW_ARRAY(arena, double, shape_elements(p->shape));
    weights_get(w, p->name, p->shape, out);
    return out;
}

/* ---- what an operator sees ---- */

const double *eval_input(const struct eval *e, const struct node *n, int i)
{
    return e->value[n->in[i]->id];
}

const double *eval_param(struct eval *e, const struct node *n, int slot)
{
    return n->param[slot] ? param_value(e->parameters, e->weights, n->param[slot]) : NULL;
}

struct split split_at(struct shape shape, int64_t axis)
{
    struct split s = {1, shape.dim[axis], 1};
    for (int d = 0; d < shape.rank; d++) {
        s.outer *= d < axis ? shape.dim[d] : 1;
        s.inner *= d > axis ? shape.dim[d] : 1;
    }
    return s;
}

/* out[i0,i1,..] = from[offset + i0 * stride[0] + i1 * stride[1] + ..]: what permute, slice and broadcasting are. */
static void gather(const double *from, const int64_t *stride, struct shape shape, double *out)
{
    int64_t index[MAX_RANK] = {0}, n = shape_elements(shape);
    for (int64_t i = 0; i < n; i++) {
        out[i] = *from;
        for (int d = shape.rank - 1; d >= 0; d--) {
            from += stride[d];
            if (++index[d] < shape.dim[d]) {
                break;
            }
            from -= stride[d] * shape.dim[d];
            index[d] = 0;
        }
    }
}

static void row_major(struct shape shape, int64_t *stride)
{
    int64_t step = 1;
    for (int d = shape.rank - 1; d >= 0; d--) {
        stride[d] = step;
        step *= shape.dim[d];
    }
}

/* The value itself if it has the shape already, else a copy spread from the right. */
const double *eval_broadcast(struct arena *arena, const double *value, struct shape from, struct shape to)
{
    if (shape_equal(from, to)) {
        return value;
    }
    int64_t own[MAX_RANK], stride[MAX_RANK] = {0};
    row_major(from, own);
    for (int d = 0; d < from.rank; d++) {
        stride[to.rank - from.rank + d] = from.dim[d] == 1 ? 0 : own[d];
    }
    double *out = NEW_ARRAY(arena, double, shape_elements(to));
    gather(value, stride, to, out);
    return out;
}

/* ---- convolution and matrix product ---- */

struct window window_of(const struct node *n, int i)
{
    const struct attrs *a = &n->attrs;
    const struct shape *in = &n->in[0]->type.shape, *out = &n->type.shape;
    return (struct window){in->dim[in->rank - 2 + i],
                           out->dim[out->rank - 2 + i],
                           a->kernel[i],
                           a->stride[i],
                           a->pad[i],
                           n->op == OP_conv || n->op == OP_convolve || n->op == OP_unfold || n->op == OP_local_conv ||
                                   n->op == OP_each_conv
                               ? a->dilation[i]
                               : 1};
}

/* The outputs [first, last) of one axis for which a tap of the kernel lies inside the input, at o * stride + shift. */
struct tap {
    int64_t first, last, shift;
};

static struct tap tap_at(const struct window *w, int64_t k)
{
    struct tap t = {.shift = k * w->dilation - w->pad};
    t.first = t.shift < 0 ? (-t.shift + w->stride - 1) / w->stride : 0;
    t.last = t.shift < w->n ? (w->n - 1 - t.shift) / w->stride + 1 : 0;
    t.last = t.last < w->out ? t.last : w->out;
    return t;
}

/* out += weight * in over one plane, for one tap */
static void add_tap(const struct window *wy, const struct window *wx, struct tap y, struct tap x, double weight,
                    const double *restrict in, double *restrict out)
{
    int64_t stride = wx->stride;
    for (int64_t oy = y.first; oy < y.last; oy++) {
        const double *row = in + (oy * wy->stride + y.shift) * wx->n;
        double *to = out + oy * wx->out;
        if (stride == 1) {
            for (int64_t ox = x.first; ox < x.last; ox++) {
                to[ox] += weight * row[ox + x.shift];
            }
        } else {
            for (int64_t ox = x.first; ox < x.last; ox++) {
                to[ox] += weight * row[ox * stride + x.shift];
            }
        }
    }
}

/* A 1 x 1 kernel without stride or padding sees a plane as one long row. */
static void flatten_plane(struct window *wy, struct window *wx)
{
    if (wy->kernel * wx->kernel * wy->stride * wx->stride == 1 && wy->pad + wx->pad == 0) {
        wx->n *= wy->n;
        wx->out = wx->n;
        wy->n = wy->out = 1;
    }
}

/* out[oc] = bias[oc] + sum over ky, kx, ic of the group of weight[oc][ic][ky][kx] * in[ic] shifted */
static void eval_conv(struct eval *e, const struct node *n, double *out)
{
    const struct shape *in = &n->in[0]->type.shape;
    bool given = n->op == OP_convolve; /* kernel and bias are values */
    const double *weight = given ? eval_input(e, n, 1) : eval_param(e, n, 0);
    const double *bias = !given ? eval_param(e, n, 1) : n->n_in > 2 ? eval_input(e, n, 2) : NULL;
    struct window wy = window_of(n, 0), wx = window_of(n, 1);
    int64_t ics = in->dim[in->rank - 3], ocs = n->type.shape.dim[in->rank - 3],
            images = shape_elements(*in) / (ics * wy.n * wx.n);
    int64_t group_in = ics / n->attrs.groups, group_out = ocs / n->attrs.groups, taps = wy.kernel * wx.kernel;
    flatten_plane(&wy, &wx);
    int64_t in_plane = wy.n * wx.n, out_plane = wy.out * wx.out;
    for (int64_t o = 0; o < images * ocs; o++, out += out_plane) {
        int64_t oc = o % ocs, ic = oc / group_out * group_in;
        const double *x = eval_input(e, n, 0) + (o / ocs * ics + ic) * in_plane, *w = weight + oc * group_in * taps;
        for (int64_t i = 0; bias && i < out_plane; i++) {
            out[i] = bias[oc];
        }
        for (int64_t t = 0; t < taps; t++) {
            struct tap y_tap = tap_at(&wy, t / wx.kernel), x_tap = tap_at(&wx, t % wx.kernel);
            for (int64_t i = 0; i < group_in; i++) {
                add_tap(&wy, &wx, y_tap, x_tap, w[i * taps + t], x + i * in_plane, out);
            }
        }
    }
}

/* out[.., o] = bias[o] + sum over i of weight[o][i] * in[.., i] */
static void eval_linear(struct eval *e, const struct node *n, double *out)
{
    const double *weight = eval_param(e, n, 0), *bias = eval_param(e, n, 1), *x = eval_input(e, n, 0);
    struct shape in = n->in[0]->type.shape;
    int64_t features = in.dim[in.rank - 1], outs = n->attrs.out, rows = shape_elements(in) / features;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t o = 0; o < outs; o++) {
            double sum = bias ? bias[o] : 0;
            for (int64_t i = 0; i < features; i++) {
                sum += weight[o * features + i] * x[r * features + i];
            }
            out[r * outs + o] = sum;
        }
    }
}

/* ---- norms: channels are axis 0 ---- */

static void eval_batch_norm(struct eval *e, const struct node *n, double *out)
{
    const double *gamma = eval_param(e, n, 0), *beta = eval_param(e, n, 1), *mean = eval_param(e, n, 2),
                 *var = eval_param(e, n, 3);
    const double *x = eval_input(e, n, 0);
    struct split s = split_at(n->type.shape, 0);
    for (int64_t i = 0; i < s.n * s.inner; i++) {
        int64_t c = i / s.inner;
        out[i] = (x[i] - mean[c]) / sqrt(var[c] + n->attrs.eps) * gamma[c] + beta[c];
    }
}

static void eval_scale_shift(struct eval *e, const struct node *n, double *out)
{
    const double *scale = eval_param(e, n, 0), *shift = eval_param(e, n, 1), *x = eval_input(e, n, 0);
    struct split s = split_at(n->type.shape, 0);
    for (int64_t i = 0; i < s.n * s.inner; i++) {
        out[i] = x[i] * scale[i / s.inner] + shift[i / s.inner];
    }
}

/* ---- element by element; epilogues are the same functions ---- */

static double apply(enum op op, double a, double b)
{
    switch (op) {
    case OP_relu: return a > 0 ? a : a != a ? a : 0; /* not a number stays so */
    case OP_sigmoid: return 1 / (1 + exp(-a));
    case OP_silu: return a / (1 + exp(-a));
    case OP_add: return a + b;
    case OP_sub: return a - b;
    case OP_mul: return a * b;
    case OP_div: return a / b;
    default: return (double)NAN;
    }
}

static void eval_elementwise(struct eval *e, const struct node *n, double *out)
{
    int64_t count = shape_elements(n->type.shape);
    const double *operand[2] = {0};
    for (int i = 0; i < n->n_in && i < 2; i++) {
        operand[i] = eval_broadcast(e->parameters, eval_input(e, n, i), n->in[i]->type.shape, n->type.shape);
    }
    for (int64_t i = 0; i < count; i++) {
        out[i] = apply(n->op, operand[0][i], operand[1] ? operand[1][i] : 0);
    }
}

static void eval_gated_sum(struct eval *e, const struct node *n, double *out)
{
    struct split s = split_at(n->type.shape, 0);
    for (int k = 0; k < n->n_in; k += 2) {
        const double *x = eval_input(e, n, k), *gate = eval_input(e, n, k + 1);
        for (int64_t i = 0; i < s.n * s.inner; i++) {
            out[i] += x[i] * gate[i / s.inner];
        }
    }
}

static void apply_epilogues(struct eval *e, const struct node *n, double *out)
{
    int64_t count = shape_elements(n->type.shape);
    for (int k = 0; k < n->n_epilogue; k++) {
        const struct node *with = n->epilogue[k].operand;
        const double *b =
            with ? eval_broadcast(e->parameters, e->value[with->id], with->type.shape, n->type.shape) : NULL;
        for (int64_t i = 0; i < count; i++) {
            out[i] = apply(n->epilogue[k].op, out[i], b ? b[i] : 0);
        }
    }
}

/* ---- pools ---- */

/* Cells [first, last) of one axis that window o covers inside the image; returns how many it covers with padding. */
static int64_t covered(const struct window *w, int64_t o, int64_t *first, int64_t *last)
{
    int64_t a = o * w->stride - w->pad, b = a + w->kernel < w->n + w->pad ? a + w->kernel : w->n + w->pad;
    *first = a > 0 ? a : 0;
    *last = b < w->n ? b : w->n;
    return b - a;
}

/* Padding counts as minus infinity for the maximum; for the average it counts in the divisor if count_pad, but what a
 * window of a `ceil` pool covers beyond the padding never does. */
static void eval_pool(struct eval *e, const struct node *n, double *out)
{
    struct window wy = window_of(n, 0), wx = window_of(n, 1);
    const double *x = eval_input(e, n, 0);
    bool average = n->op == OP_avg_pool;
    int64_t plane = wy.n * wx.n, count = shape_elements(n->type.shape), y0, y1, x0, x1;
    for (int64_t o = 0; o < count; o++) {
        const double *from = x + o / (wy.out * wx.out) * plane;
        int64_t padded = covered(&wy, o / wx.out % wy.out, &y0, &y1);
        padded *= covered(&wx, o % wx.out, &x0, &x1);
        double sum = 0, most = -(double)INFINITY;
        for (int64_t iy = y0; iy < y1; iy++) {
            for (int64_t ix = x0; ix < x1; ix++) {
                double cell = from[iy * wx.n + ix];
                sum += cell;
                most = cell > most || cell != cell ? cell : most;
            }
        }
        int64_t divisor = n->attrs.count_pad ? padded : (y1 - y0) * (x1 - x0);
        out[o] = average ? sum / (double)divisor : most;
    }
}

static void eval_global_avg_pool(struct eval *e, const struct node *n, double *out)
{
    struct split s = split_at(n->in[0]->type.shape, 0);
    for (int64_t c = 0; c < s.n; c++) {
        double sum = 0;
        for (int k = 0; k < n->n_in; k++) {
            const double *x = eval_input(e, n, k) + c * s.inner;
            for (int64_t i = 0; i < s.inner; i++) {
                sum += x[i];
            }
        }
        out[c] = sum / (double)s.inner;
    }
}

/* ---- moving elements ---- */

static void eval_permute(struct eval *e, const struct node *n, double *out)
{
    int64_t own[MAX_RANK], stride[MAX_RANK];
    row_major(n->in[0]->type.shape, own);
    for (int d = 0; d < n->type.shape.rank; d++) {
        stride[d] = own[n->attrs.shape.dim[d]];
    }
    gather(eval_input(e, n, 0), stride, n->type.shape, out);
}

static void eval_slice(struct eval *e, const struct node *n, double *out)
{
    int64_t stride[MAX_RANK];
    row_major(n->in[0]->type.shape, stride);
    gather(eval_input(e, n, 0) + n->attrs.start * stride[n->attrs.axis], stride, n->type.shape, out);
}

static void eval_concat(struct eval *e, const struct node *n, double *out)
{
    struct split whole = split_at(n->type.shape, n->attrs.axis);
    for (int64_t o = 0; o < whole.outer; o++) {
        for (int k = 0; k < n->n_in; k++) {
            int64_t run = n->in[k]->type.shape.dim[n->attrs.axis] * whole.inner;
            memcpy(out, eval_input(e, n, k) + o * run, (size_t)run * sizeof *out);
            out += run;
        }
    }
}

static void eval_copy(struct eval *e, const struct node *n, double *out)
{
    memcpy(out, eval_input(e, n, 0), (size_t)shape_elements(n->type.shape) * sizeof *out);
}

/* ---- along an axis ---- */

static void eval_softmax(struct eval *e, const struct node *n, double *out)
{
    struct split s = split_at(n->type.shape, n->attrs.axis);
    for (int64_t k = 0; k < s.outer * s.inner; k++) {
        int64_t at = k / s.inner * s.n * s.inner + k % s.inner;
        const double *x = eval_input(e, n, 0) + at;
        double most = x[0], sum = 0;
        for (int64_t i = 1; i < s.n; i++) {
            most = x[i * s.inner] > most ? x[i * s.inner] : most;
        }
        for (int64_t i = 0; i < s.n; i++) {
            sum += out[at + i * s.inner] = exp(x[i * s.inner] - most);
        }
        for (int64_t i = 0; i < s.n; i++) {
            out[at + i * s.inner] /= sum;
        }
    }
}

static void eval_reduction(struct eval *e, const struct node *n, double *out)
{
    struct split s = split_at(n->in[0]->type.shape, n->attrs.axis);
    for (int64_t k = 0; k < s.outer * s.inner; k++) {
        const double *x = eval_input(e, n, 0) + k / s.inner * s.n * s.inner + k % s.inner;
        double sum = 0;
        for (int64_t i = 0; i < s.n; i++) {
            sum += x[i * s.inner];
        }
        out[k] = n->op == OP_mean ? sum / (double)s.n : sum;
    }
}

/* ---- the graph ---- */

static void eval_constant(struct eval *e, const struct node *n, double *out)
{
    const double *value = n->op == OP_parameter ? eval_param(e, n, 0) : n->value;
    memcpy(out, value, (size_t)shape_elements(n->type.shape) * sizeof *out);
}

static void (*const evaluate[OP_COUNT])(struct eval *, const struct node *, double *out) = {
    [OP_constant] = eval_constant,
    [OP_parameter] = eval_constant,
    [OP_conv] = eval_conv,
    [OP_convolve] = eval_conv,
    [OP_conv1d] = eval_conv1d,
    [OP_linear] = eval_linear,
    [OP_batch_norm] = eval_batch_norm,
    [OP_group_norm] = eval_group_norm,
    [OP_moments] = eval_moments,
    [OP_group_scale] = eval_group_scale,
    [OP_rescale] = eval_rescale,
    [OP_scale_shift] = eval_scale_shift,
    [OP_relu] = eval_elementwise,
    [OP_sigmoid] = eval_elementwise,
    [OP_silu] = eval_elementwise,
    [OP_add] = eval_elementwise,
    [OP_sub] = eval_elementwise,
    [OP_mul] = eval_elementwise,
    [OP_div] = eval_elementwise,
    [OP_gated_sum] = eval_gated_sum,
    [OP_matmul] = eval_matmul,
    [OP_max_pool] = eval_pool,
    [OP_avg_pool] = eval_pool,
    [OP_global_avg_pool] = eval_global_avg_pool,
    [OP_pad] = eval_pad,
    [OP_upsample] = eval_upsample,
    [OP_unfold] = eval_unfold,
    [OP_local_conv] = eval_local_conv,
    [OP_each_conv] = eval_each_conv,
    [OP_window_dot] = eval_window,
    [OP_window_mix] = eval_window,
    [OP_reshape] = eval_copy,
    [OP_permute] = eval_permute,
    [OP_slice] = eval_slice,
    [OP_concat] = eval_concat,
    [OP_take] = eval_take,
    [OP_softmax] = eval_softmax,
    [OP_sum] = eval_reduction,
    [OP_mean] = eval_reduction,
    [OP_convert] = eval_copy, /* layouts do not exist here */
};

static void take_inputs(struct eval *e, const struct graph *g, const double *const *input)
{
    for (size_t i = 0; i < g->n_input; i++) {
        const struct node *n = g->input[i].node;
        size_t bytes = (size_t)shape_elements(n->type.shape) * sizeof **input;
        e->value[n->id] = arena_alloc(e->arena, bytes);
        memcpy(e->value[n->id], input[i], bytes);
    }
}

double **graph_eval(struct arena *arena, struct diags *diags, const struct graph *g, struct weights *w,
                    const double *const *input)
{
    struct eval e = {arena, arena_new("parameters"), w, NEW_ARRAY(arena, double *, g->n_node)};
    bool fine = true;
    take_inputs(&e, g, input);
    for (size_t i = 0; i < g->n_node && fine; i++) {
        const struct node *n = g->node[i];
        if (e.value[n->id]) { /* an input */
            continue;
        }
        if (!evaluate[n->op]) {
            diag_error(diags, CHECK_operator_evaluated, n->origin, "the interpreter does not know the operator %s",
                       op_info(n->op)->name);
            fine = false;
            continue;
        }
        double *out = NEW_ARRAY(arena, double, shape_elements(n->type.shape));
        evaluate[n->op](&e, n, out);
        apply_epilogues(&e, n, out);
        e.value[n->id] = out;
        arena_reset(e.parameters);
    }
    arena_free(e.parameters);
    return fine ? e.value : NULL;
}
