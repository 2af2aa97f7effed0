/* What papers and packages printed about networks: netdefs/published.tsv, which says itself how it is read. */
#ifndef NETC_PUBLISHED_H
#define NETC_PUBLISHED_H

#include <jansson.h>

#include "base/base.h"

struct published;

/* Reads published.tsv of a folder of networks; NULL: of this netc's own. What is wrong in it is a warning and left out, since no
 * sweep depends on it; so is a file that is not there. All stays in the arena. The places in the warnings hold until
 * source_forget_all(). */
struct published *published_open(struct arena *, struct diags *, const char *folder);

/* The facts, in the file's order, about a network with these values: an object like that of a variant, {"cardinality": 8, ...}; what
 * it lacks, and NULL, are the network's defaults. An array, the caller's, of
 *     {"what": "top1_error", "value": 22.3, "unit": "%", "source": "ResNeXt (arXiv 1611.05431), table 3", "data": "ImageNet-1k",
 *      "image": 224, "hardware": null, "conditions": "single crop", "how": "second-hand", "network": "resnext50_32x4d"}
 * null: nothing was said; image null: the fact holds for any. The network is the one that the file names, which may be another
 * one that is the same with other values. */
json_t *published_facts(const struct published *, const char *network, const json_t *parameters);

#endif
