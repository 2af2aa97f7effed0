/* Inside shape inference (shape.c, shape_more.c): what rules are made of. Nobody else includes it. */
#ifndef NETC_GRAPH_SHAPE_H
#define NETC_GRAPH_SHAPE_H

#include "graph/graph.h"

/* What every rule needs: where to report and what it looks at. */
struct rule {
    struct diags *diags;
    struct node *node;
    const char *name;
    struct arena *arena;
};

#define fail(rule, check, ...) (diag_error((rule)->diags, CHECK_##check, (rule)->node->origin, __VA_ARGS__), false)

const char *rule_dims(struct rule *, struct shape);  /* "[64,56,56]" */
bool rule_note(struct rule *,
               int k); /* "the input has 100 channels, it comes from here", at the producer of input k; false */
bool check_shape(struct rule *, const struct shape *);
bool check_rank(struct rule *, int least, int most, const char *needs); /* of the first input */
bool check_range(struct rule *, const char *what, int64_t value, int64_t least);
bool check_eps(struct rule *);
/* Kernel, stride, pad (and dilation) are in range; writes rows and columns of the result, the last two axes. */
bool infer_window(struct rule *, bool dilated, bool ceil, struct shape *result);
/* Channels, groups and outputs agree; then the window. */
bool infer_grouped(struct rule *, int64_t out, struct shape *result);

/* shape_more.c: the rules of attention and heads */
bool infer_convolve(struct rule *, struct shape *);
bool infer_conv1d(struct rule *, struct shape *);
bool infer_group_norm(struct rule *, struct shape *);
bool infer_matmul(struct rule *, struct shape *);
bool infer_pad(struct rule *, struct shape *);
bool infer_upsample(struct rule *, struct shape *);
bool infer_moments(struct rule *, struct shape *result);
bool infer_group_scale(struct rule *, struct shape *result);
bool infer_rescale(struct rule *, struct shape *result);
bool infer_gated_sum(struct rule *, struct shape *result);
bool infer_local_conv(struct rule *, struct shape *);
bool infer_each_conv(struct rule *, struct shape *);
bool infer_window_product(struct rule *, struct shape *);
bool infer_unfold(struct rule *, struct shape *);
bool infer_take(struct rule *, struct shape *);

#endif
