/* Inside the generic lowering (generic.c, generic_vector.c, generic_product.c, generic_window.c, generic_matmul.c,
 * generic_table.c); nobody else includes it. */
#ifndef NETC_LOWER_GENERIC_H
#define NETC_LOWER_GENERIC_H

#include "lower/turn.h"

struct axes { /* the loops over the result, outermost first */
    int rank;
    struct affine at[MAX_RANK];
};

/* Loops over a shape, the outermost as tasks; axis `skip` stands at 0 (-1: none). */
struct axes generic_open(struct lowering *, struct shape, int skip);
void generic_close(struct lowering *, struct axes *);
struct element_ref generic_at(struct buffer *, const struct axes *);
struct buffer *generic_result(struct lowering *); /* declares it, and the epilogues' operands */
void generic_store(struct lowering *, struct axes *, struct expr *value); /* epilogues, then the store */
/* The same for the first `count` lanes of a vector, neighbours along the last axis of which `at` is the first. */
void generic_store_vector(struct lowering *, struct axes *at, struct expr *value, int count);
/* A value, or the result with its epilogues' operands, of as many elements in another shape. */
struct buffer *generic_use(struct lowering *, enum direction, const char *name, const struct node *, struct shape);
struct buffer *generic_result_as(struct lowering *, struct shape);
void generic_end(struct lowering *, struct affine opened); /* of a loop; a task needs no end */
struct buffer *generic_weights(struct lowering *, const char *name, struct param *); /* as they are */

/* generic_vector.c */
void vector_elementwise(struct lowering *);
void vector_permute(struct lowering *);
void vector_slice(struct lowering *);
void vector_concat(struct lowering *);
void vector_softmax(struct lowering *);
void vector_reduction(struct lowering *); /* sum, mean: the axis goes */

/* generic_product.c */
void generic_conv(struct lowering *); /* conv of other ranks, convolve, conv1d */
void generic_local_conv(struct lowering *); /* of weights that were not arranged */
void generic_unfold(struct lowering *);
void generic_pad(struct lowering *);
void generic_group_norm(struct lowering *);

/* generic_window.c */
void generic_window(struct lowering *); /* window_dot, window_mix */
void vector_pad(struct lowering *, struct buffer *from); /* with zeros */

/* generic_matmul.c */
void generic_linear(struct lowering *);
void generic_matmul(struct lowering *);

/* generic_table.c */
void generic_take(struct lowering *);
void generic_upsample(struct lowering *);

#endif
