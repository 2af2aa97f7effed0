/* Arrays in files, for the reference interpreter's input and output: numpy's .npy, and .safetensors for several. */
#ifndef NETC_NPY_H
#define NETC_NPY_H

#include "base/base.h"
#include "graph/graph.h"

/* float32 or float64, C order, of this shape or with one leading axis of 1. NULL after a diagnostic. */
double *npy_read(struct arena *, struct diags *, const char *path, struct shape);
/* Version 1.0, float64, [1, shape]. A diagnostic names `shown`; a file that could not be written whole stays. */
bool npy_write(struct diags *, const char *path, const char *shown, struct shape, const double *);
struct named_array {
    const char *name; /* unique */
    struct shape shape;
    const double *value;
};
/* float64, each [1, shape], in the given order. As npy_write about faults. */
bool safetensors_write(struct arena *scratch, struct diags *, const char *path, const char *shown,
                       const struct named_array *, size_t n);

#endif
