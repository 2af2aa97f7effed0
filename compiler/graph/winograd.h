/* When Winograd's convolution is taken, and how it is cut: see winograd.c. */
#ifndef NETC_GRAPH_WINOGRAD_H
#define NETC_GRAPH_WINOGRAD_H

#include "graph/graph.h"

/* Could the lowering compute it: 3 x 3, stride and dilation 1, over a map, groups that begin blocks? */
bool winograd_can(const struct node *);
/* About the largest error of an output of m x m tiles, relative to the layer's largest output, by the channels of a sum: 1.5 to 3 times what
 * tests/unit/test_winograd.c measures. m = 0: of the direct sum. */
double winograd_error(int m, int64_t channels);
/* Outputs a side of a tile, 4 or 2, of the form that is fastest among those that are exact enough; 0: another algorithm. */
int winograd_size(const struct node *, const struct pass_context *);
void schedule_winograd(struct node *, const struct pass_context *);

#endif
