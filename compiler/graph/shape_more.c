/* Types of what attention and the heads of detection and segmentation need: products of values, windows laid open, rows taken by
 * index, borders, larger maps. */
#include "graph/shape.h"

#include <math.h>

#define dims rule_dims

bool infer_convolve(struct rule *rule, struct shape *result)
{
    const struct node *n = rule->node;
    const struct shape *in = &n->in[0]->type.shape, *kernel = &n->in[1]->type.shape;
    if (!check_rank(rule, 3, MAX_RANK, "at least 3 axes, [C,H,W]")) {
        return false;
    }
    if (kernel->rank != 4 || kernel->dim[2] != n->attrs.kernel[0] || kernel->dim[3] != n->attrs.kernel[1]) {
        fail(rule, convolve_kernel,
             "the kernel of convolve is a tensor [out, channels a group, rows, columns], this one is %s",
             dims(rule, *kernel));
        return rule_note(rule, 1);
    }
    if (!infer_grouped(rule, kernel->dim[0], result)) {
        return false;
    }
    if (kernel->dim[1] * n->attrs.groups != in->dim[in->rank - 3]) {
        fail(rule, convolve_kernel, "a kernel %s in %lld groups takes %lld channels, the input has %lld",
             dims(rule, *kernel), (long long)n->attrs.groups, (long long)(kernel->dim[1] * n->attrs.groups),
             (long long)in->dim[in->rank - 3]);
        rule_note(rule, 0);
        return rule_note(rule, 1);
    }
    if (n->n_in == 3 && !shape_equal(n->in[2]->type.shape, (struct shape){1, {kernel->dim[0]}})) {
        fail(rule, convolve_kernel, "the bias of convolve is a tensor [%lld], one number an output, this one is %s",
             (long long)kernel->dim[0], dims(rule, n->in[2]->type.shape));
        return rule_note(rule, 2);
    }
    return true;
}

bool infer_conv1d(struct rule *rule, struct shape *result)
{
    const struct attrs *attrs = &rule->node->attrs;
    if (!check_rank(rule, 2, 2, "2 axes, [C,L]") || !check_range(rule, "output channels", attrs->out, 1) ||
        !check_range(rule, "kernel", attrs->kernel[1], 1) || !check_range(rule, "pad", attrs->pad[1], 0)) {
        return false;
    }
    if (attrs->kernel[0] != 1 || attrs->pad[0] != 0) { /* the language cannot say that, a text of graph IR can */
        return fail(rule, attribute_range, "conv1d slides along one axis: its kernel is 1xN, its pad 0xN");
    }
    *result = rule->node->in[0]->type.shape;
    int64_t room = result->dim[1] + 2 * attrs->pad[1] - attrs->kernel[1];
    if (room < 0) {
        fail(rule, kernel_fits_input, "conv1d kernel reaches over %lld, the input has %lld with its padding",
             (long long)attrs->kernel[1], (long long)(result->dim[1] + 2 * attrs->pad[1]));
        return rule_note(rule, 0);
    }
    struct shape weight = {3, {attrs->out, result->dim[0], attrs->kernel[1]}};
    *result = (struct shape){2, {attrs->out, room + 1}};
    return check_shape(rule, &weight);
}

bool infer_group_norm(struct rule *rule, struct shape *result)
{
    const struct attrs *attrs = &rule->node->attrs;
    *result = rule->node->in[0]->type.shape;
    if (!check_rank(rule, 1, MAX_RANK, "at least 1 axis, the channels") || !check_eps(rule) ||
        !check_range(rule, "groups", attrs->groups, 1)) {
        return false;
    }
    if (result->dim[0] % attrs->groups) {
        fail(rule, norm_groups, "the groups of group_norm must divide the %lld channels, %lld does not",
             (long long)result->dim[0], (long long)attrs->groups);
        return rule_note(rule, 0);
    }
    return true;
}

/* What passes make: only texts of graph IR can be wrong here. [C,H,W] -> [2C,1,1] */
bool infer_moments(struct rule *rule, struct shape *result)
{
    *result = (struct shape){3, {2 * rule->node->in[0]->type.shape.dim[0], 1, 1}};
    return check_rank(rule, 3, 3, "3 axes, [C,H,W]");
}

/* [2C,1,1] -> [2C,1,1] */
bool infer_group_scale(struct rule *rule, struct shape *result)
{
    const struct attrs *attrs = &rule->node->attrs;
    *result = rule->node->in[0]->type.shape;
    if (!check_rank(rule, 3, 3, "3 axes, [2C,1,1]") || !check_eps(rule) ||
        !check_range(rule, "groups", attrs->groups, 1) || !check_range(rule, "interleave", attrs->interleave, 1)) {
        return false;
    }
    if (result->dim[0] % (2 * attrs->groups) || attrs->groups % attrs->interleave) {
        fail(rule, norm_groups, "the groups of group_scale divide its channels and are a multiple of interleave");
        return rule_note(rule, 0);
    }
    return true;
}

static bool is_channels(struct shape s, int64_t n)
{
    return shape_equal(s, (struct shape){3, {n, 1, 1}});
}

/* [C,H,W], [2C,1,1] -> [C,H,W] */
bool infer_rescale(struct rule *rule, struct shape *result)
{
    *result = rule->node->in[0]->type.shape;
    if (!check_rank(rule, 3, 3, "3 axes, [C,H,W]")) {
        return false;
    }
    if (!is_channels(rule->node->in[1]->type.shape, 2 * result->dim[0])) {
        fail(rule, graph_types, "rescale takes two numbers a channel");
        return rule_note(rule, 1);
    }
    return true;
}

/* [C,H,W], [C,1,1], [C,H,W], [C,1,1] .. -> [C,H,W] */
bool infer_gated_sum(struct rule *rule, struct shape *result)
{
    const struct node *n = rule->node;
    *result = n->in[0]->type.shape;
    if (!check_rank(rule, 3, 3, "3 axes, [C,H,W]")) {
        return false;
    }
    for (int k = 0; k < n->n_in; k++) {
        const struct shape *s = &n->in[k]->type.shape;
        if (n->n_in % 2 || !(k % 2 ? is_channels(*s, result->dim[0]) : shape_equal(*s, *result))) {
            fail(rule, graph_types, "gated_sum takes values of one shape, each with its gate [C,1,1]");
            return rule_note(rule, k);
        }
    }
    return true;
}

/* [.., M, K] x [.., K, N] -> [.., M, N]; the axes in front broadcast from the right. */
bool infer_matmul(struct rule *rule, struct shape *result)
{
    struct shape a = rule->node->in[0]->type.shape, b = rule->node->in[1]->type.shape;
    bool good = a.rank >= 2 && b.rank >= 2 && a.dim[a.rank - 1] == b.dim[b.rank - 2];
    result->rank = a.rank > b.rank ? a.rank : b.rank;
    for (int i = 3; good && i <= result->rank; i++) {
        int64_t p = i <= a.rank ? a.dim[a.rank - i] : 1, q = i <= b.rank ? b.dim[b.rank - i] : 1;
        good = p == q || p == 1 || q == 1;
        result->dim[result->rank - i] = p > q ? p : q;
    }
    if (!good) {
        fail(rule, matmul_shapes, "matmul takes [.., M, K] and [.., K, N], not %s and %s", dims(rule, a),
             dims(rule, b));
        rule_note(rule, 0);
        return rule->node->in[0] != rule->node->in[1] && rule_note(rule, 1);
    }
    result->dim[result->rank - 2] = a.dim[a.rank - 2];
    result->dim[result->rank - 1] = b.dim[b.rank - 1];
    return true;
}

bool infer_pad(struct rule *rule, struct shape *result)
{
    const struct attrs *attrs = &rule->node->attrs;
    if (!check_rank(rule, 2, MAX_RANK, "at least 2 axes, [..,H,W]")) {
        return false;
    }
    *result = rule->node->in[0]->type.shape;
    for (int i = 0; i < 2; i++) {
        int64_t *size = &result->dim[result->rank - 2 + i];
        if (!check_range(rule, "n", attrs->pad[i], 0)) {
            return false;
        }
        if (attrs->reflect && attrs->pad[i] >= *size) {
            fail(rule, pad_reflect, "a border of %lld that reflects needs more than %lld %s inside, the input has %lld",
                 (long long)attrs->pad[i], (long long)attrs->pad[i], i ? "columns" : "rows", (long long)*size);
            return rule_note(rule, 0);
        }
        *size += 2 * attrs->pad[i];
    }
    return true;
}

bool infer_upsample(struct rule *rule, struct shape *result)
{
    const struct shape *to = &rule->node->attrs.shape, *in = &rule->node->in[0]->type.shape;
    if (!check_rank(rule, 3, 3, "3 axes, [C,H,W]")) {
        return false;
    }
    *result = *to;
    if (to->rank != 3 || to->dim[0] != in->dim[0]) { /* the language cannot say that, a text of graph IR can */
        return fail(rule, graph_types, "upsample keeps the %lld channels of its input, [%lld,H,W], this is %s",
                    (long long)in->dim[0], (long long)in->dim[0], dims(rule, *to));
    }
    return check_range(rule, "size", to->dim[1], 1) && check_range(rule, "size", to->dim[2], 1);
}

/* [C,H,W] -> [C, kernel rows * columns, H', W'] */
bool infer_unfold(struct rule *rule, struct shape *result)
{
    const struct attrs *attrs = &rule->node->attrs;
    if (!check_rank(rule, 3, 3, "3 axes, [C,H,W]")) {
        return false;
    }
    struct shape map = rule->node->in[0]->type.shape;
    if (!infer_window(rule, true, false, &map)) {
        return false;
    }
    *result = (struct shape){4, {map.dim[0], attrs->kernel[0] * attrs->kernel[1], map.dim[1], map.dim[2]}};
    return true;
}

/* values [C,H,W], weights [G,taps,H',W'] -> [C,H',W']; or weights [blocks * taps * 16,H',W'], see arrange_weights.c, and perhaps what
 * rescales those. Only texts of graph IR can be wrong here. */
bool infer_local_conv(struct rule *rule, struct shape *result)
{
    const struct attrs *attrs = &rule->node->attrs;
    struct shape w = rule->node->in[1]->type.shape;
    if (!check_rank(rule, 3, 3, "3 axes, [C,H,W]")) {
        return false;
    }
    *result = rule->node->in[0]->type.shape;
    if (!infer_window(rule, true, false, result)) {
        return false;
    }
    int64_t taps = attrs->kernel[0] * attrs->kernel[1], channels = result->dim[0], blocks = (channels + 15) / 16;
    bool good = w.rank >= 3 && w.dim[w.rank - 2] == result->dim[1] && w.dim[w.rank - 1] == result->dim[2];
    if (w.rank == 4) {
        good = good && channels % w.dim[0] == 0 && w.dim[1] == taps;
    } else {
        int64_t kernels = w.dim[0] / taps;
        good = good && w.rank == 3 && taps <= w.dim[0] && w.dim[0] % taps == 0 &&
               (kernels < 16 ? 16 % kernels == 0 : kernels % 16 == 0 && blocks % (kernels / 16) == 0);
    }
    good = good && (rule->node->n_in < 3 || (w.rank == 3 && is_channels(rule->node->in[2]->type.shape, 2 * w.dim[0])));
    if (!good) {
        fail(rule, graph_types, "local_conv of %lld channels takes weights [G,%lld,%lld,%lld], these are %s",
             (long long)channels, (long long)taps, (long long)result->dim[1], (long long)result->dim[2], dims(rule, w));
        return rule_note(rule, 1);
    }
    return true;
}

/* values [C,H,W], kernels [K,1,rows,columns], perhaps bias [K] -> [H',W',K,C]. Only texts of graph IR can be wrong here. */
bool infer_each_conv(struct rule *rule, struct shape *result)
{
    const struct node *n = rule->node;
    struct shape map = n->in[0]->type.shape, w = n->in[1]->type.shape;
    if (!check_rank(rule, 3, 3, "3 axes, [C,H,W]") || !infer_window(rule, true, false, &map)) {
        return false;
    }
    bool good = w.rank == 4 && w.dim[1] == 1 && w.dim[2] == n->attrs.kernel[0] && w.dim[3] == n->attrs.kernel[1] &&
                map.dim[0] % 16 == 0;
    if (!good || (n->n_in > 2 && !shape_equal(n->in[2]->type.shape, (struct shape){1, {w.dim[0]}}))) {
        fail(rule, graph_types, "each_conv takes kernels [K,1,rows,columns] and a bias [K], these are %s",
             dims(rule, w));
        return rule_note(rule, 1);
    }
    *result = (struct shape){4, {map.dim[1], map.dim[2], w.dim[0], map.dim[0]}};
    return true;
}

/* windows of [C,H,W] and [C,H',W'] -> [groups,taps,H',W'], or the other way around. Only texts of graph IR can be wrong here. */
bool infer_window_product(struct rule *rule, struct shape *result)
{
    const struct node *n = rule->node;
    struct shape map = n->in[0]->type.shape, other = n->in[1]->type.shape;
    struct attrs *attrs = &rule->node->attrs;
    if (!check_rank(rule, 3, 3, "3 axes, [C,H,W]") || !check_range(rule, "groups", attrs->groups, 1)) {
        return false;
    }
    attrs->stride[0] = attrs->stride[1] = 1; /* that is no attribute of theirs */
    attrs->pad[0] = attrs->pad[1] = 0;
    if (!infer_window(rule, true, false, &map)) {
        return false;
    }
    struct shape taps = {4, {attrs->groups, attrs->kernel[0] * attrs->kernel[1], map.dim[1], map.dim[2]}};
    bool dot = n->op == OP_window_dot;
    if (map.dim[0] % attrs->groups || !shape_equal(other, dot ? map : taps)) {
        fail(rule, graph_types, "%s takes windows and %s, not %s", rule->name, dims(rule, dot ? map : taps),
             dims(rule, other));
        return rule_note(rule, 1);
    }
    *result = dot ? taps : map;
    return true;
}

/* x [N, ..], indices [a, b] -> [a, b, ..] */
bool infer_take(struct rule *rule, struct shape *result)
{
    const struct node *index = rule->node->in[1];
    struct shape in = rule->node->in[0]->type.shape, at = index->type.shape;
    if (!check_rank(rule, 1, MAX_RANK, "at least 1 axis")) {
        return false;
    }
    if (index->op != OP_constant) {
        return fail(rule, take_index, "the indices of take are a list of whole numbers that are known here");
    }
    for (int64_t i = 0; index->value && i < shape_elements(at); i++) {
        double k = index->value[i];
        if (!(k >= 0 && k < (double)in.dim[0] && k == floor(k))) {
            fail(rule, take_index, "index %g of take is none of the input's %lld rows, 0 to %lld", k,
                 (long long)in.dim[0], (long long)(in.dim[0] - 1));
            return rule_note(rule, 0);
        }
    }
    *result = at;
    for (int i = 1; i < in.rank; i++) {
        if (result->rank < MAX_RANK) {
            result->dim[result->rank] = in.dim[i];
        }
        result->rank++;
    }
    return true; /* too many axes: check_shape says so */
}
