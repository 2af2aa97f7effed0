/* What `netc show` prints. */
#ifndef NETC_SHOW_H
#define NETC_SHOW_H

#include <jansson.h>

#include "graph/graph.h"
#include "loop/loop.h"

void show_layers(struct text *, const struct graph *); /* one row a layer of the elaborated network */
void show_params(struct text *, const struct graph *, bool json);
/* show_plan.c: the buffers as a table and drawn over time, at most 120 columns wide; `utf8`: with box-drawing characters. */
void show_plan(struct text *, const struct program *, bool utf8);
void show_plan_json(struct text *, const struct program *);

void put_json(struct text *, json_t *); /* takes the value */
void put_csv(struct text *, const char *field); /* RFC 4180: with quotes where it needs them */

#endif
