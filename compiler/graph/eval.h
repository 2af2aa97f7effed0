/* Inside the reference interpreter (graph_eval.c, eval_more.c); nobody else includes it. */
#ifndef NETC_GRAPH_EVAL_H
#define NETC_GRAPH_EVAL_H

#include "graph/graph.h"

struct weights;
struct eval {
    struct arena *arena; /* values */
    struct arena *parameters; /* emptied after every node */
    struct weights *weights;
    double **value; /* by node id */
};

/* Elements in front of, along and behind an axis. */
struct split {
    int64_t outer, n, inner;
};

/* A window that slides over one axis: of `n` inputs, `out` results. */
struct window {
    int64_t n, out, kernel, stride, pad, dilation;
};

const double *eval_input(const struct eval *, const struct node *, int i);
const double *eval_param(struct eval *, const struct node *, int slot); /* NULL: the node has none */
struct split split_at(struct shape, int64_t axis);
struct window window_of(const struct node *, int i); /* over rows (0), columns (1) */
/* The value itself if it has the shape already, else a copy spread from the right. */
const double *eval_broadcast(struct arena *, const double *value, struct shape from, struct shape to);

/* eval_more.c */
void eval_conv1d(struct eval *, const struct node *, double *out);
void eval_group_norm(struct eval *, const struct node *, double *out);
void eval_moments(struct eval *, const struct node *, double *out);
void eval_group_scale(struct eval *, const struct node *, double *out);
void eval_rescale(struct eval *, const struct node *, double *out);
void eval_matmul(struct eval *, const struct node *, double *out);
void eval_pad(struct eval *, const struct node *, double *out);
void eval_upsample(struct eval *, const struct node *, double *out);
void eval_local_conv(struct eval *, const struct node *, double *out);
void eval_each_conv(struct eval *, const struct node *, double *out);
void eval_window(struct eval *, const struct node *, double *out);
void eval_unfold(struct eval *, const struct node *, double *out);
void eval_take(struct eval *, const struct node *, double *out);

#endif
