/* Transposition in register tiles, see turn.c. */
#ifndef NETC_LOWER_TURN_H
#define NETC_LOWER_TURN_H

#include "lower/lower.h"

/* Element (i, j) of rows x columns: i along `from_axis` of `from` and the last axis of `to`, j along the last axis of `from` and
 * `to_axis` of `to`. */
struct turn {
    struct element_ref from, to; /* of (0, 0) */
    int from_axis, to_axis;
    int64_t rows, columns;
    bool blocked; /* `from` is blocks, of which whole vectors may be loaded */
    bool fill; /* `to` is blocks: lanes behind the last row become zero */
};
void turn(struct lowering *, const struct turn *);

/* The conversion of a value of rank 3 between rows and blocks of 16 channels. */
void turn_blocks(struct lowering *, bool to_blocks);

#endif
