/* What weights.c and weights_check.c share. */
#ifndef NETC_WEIGHTS_INTERNAL_H
#define NETC_WEIGHTS_INTERNAL_H

#include "weights/checkpoint.h"
#include "weights/rename.h"
#include "weights/weights.h"

struct weights {
    const char *source;
    bool synthetic;
    struct arena *arena;
    struct checkpoint file;
    struct name_index index; /* of file.tensor by name */
    struct renames *renames; /* NULL: none */
    bool unwrapped;          /* `module.` was cut off */
};

/* Gives every tensor its name, without `module.` if unwrap says so and all have it. False after a diagnostic. */
bool weights_name(struct weights *, bool unwrap);
struct tensor *weights_find(const struct weights *, const char *name);
bool weights_same_shape(const struct tensor *, struct shape);

#endif
