/* What winograd.c, which multiplies, and winograd_transform.c share. */
#ifndef NETC_WINOGRAD_H
#define NETC_WINOGRAD_H

#include "lower/lower.h"

struct winograd {
    struct conv_dims d;
    struct schedule s;
    int64_t m, a; /* outputs and inputs a side of a tile: a = m + 2 */
    int64_t th, tw; /* tiles of the map */
    int64_t nb, nu, subs; /* the register tile's blocks, vectors a block, parts of a block */
    struct buffer *x, *v, *w, *b, *p; /* input, its transform, weights, bias, products */
};

/* Rows of tiles that one pass through the kernel takes. */
struct band {
    struct affine first, at; /* the first one in the map, and where its transform lies in v */
    int64_t rows;
    bool last; /* the map's last row of tiles is among them */
};

/* v[.., vblock, ..] = B^T d B of block xblock of the input, for all tiles of the band. */
void winograd_input(struct lowering *, struct winograd *, struct affine xblock, struct affine vblock,
                    const struct band *);
/* Block `block` of the result = A^T p[.., slot, ..] A + bias with the epilogues, for all tiles of the band. */
void winograd_output(struct lowering *, struct winograd *, struct affine block, struct affine slot,
                     const struct band *);

#endif
