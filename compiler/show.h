/* What `netc show` prints. */
#ifndef NETC_SHOW_H
#define NETC_SHOW_H

#include "graph/graph.h"
#include "loop/loop.h"

void show_layers(struct text *, const struct graph *); /* one row a layer of the elaborated network */
void show_params(struct text *, const struct graph *, bool json);
void show_plan(struct text *, const struct program *, bool json);

#endif
