/* Arrays of numpy (.npy), for the reference interpreter's input and output. */
#ifndef NETC_NPY_H
#define NETC_NPY_H

#include "base/base.h"
#include "graph/graph.h"

/* float32 or float64, C order, of this shape or with one leading axis of 1. NULL after a diagnostic. */
double *npy_read(struct arena *, struct diags *, const char *path, struct shape);
/* Version 1.0, float64, [1, shape]. A diagnostic names `shown`; a file that could not be written whole stays. */
bool npy_write(struct diags *, const char *path, const char *shown, struct shape, const double *);

#endif
