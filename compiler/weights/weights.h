/* Parameters' values: read from a safetensors file or filled by rule; and the blob of packed weights. */
#ifndef NETC_WEIGHTS_H
#define NETC_WEIGHTS_H

#include "base/base.h"
#include "graph/graph.h"

struct weights;

/* "synthetic", or the path of a safetensors file (mapped; header and every offset, dtype, shape checked). NULL after one
 * clear diagnostic. */
struct weights *weights_open(struct arena *, struct diags *, const char *source);
/* Does the file have exactly what the graph loads (as it was elaborated: passes drop parameters)? Missing, surplus and
 * misshapen ones are listed by name with a near match; num_batches_tracked is ignored. */
bool weights_check(struct weights *, struct diags *, const struct graph *);
/* A loaded parameter as double (from f32, f16, bf16): writes as many elements as the shape has. What weights_check did
 * not let pass (a name that is not there, another shape) becomes NaN. */
void weights_get(struct weights *, const char *name, struct shape, double *out);
void weights_close(struct weights *);
/* FNV-1a, 64 bits, of everything loaded: what --info shows. The values count, not the dtype that the file keeps them in. */
uint64_t weights_digest(struct weights *, const struct graph *);

/* ---- safetensors.c: the table of a mapped file ---- */
struct tensor { /* an entry of the file; everything about it was checked against the file */
    const char *name;
    const char *dtype;          /* "F32" */
    double (*widen)(const unsigned char *, int64_t i); /* element i as double; NULL: this dtype cannot be a parameter */
    int rank;
    const int64_t *dim;
    int64_t elements;
    const unsigned char *bytes; /* row-major, little-endian, anywhere */
    bool used;                  /* weights_check: the graph loads it */
};
struct safetensors {
    const unsigned char *map; /* NULL: closed */
    size_t length;
    struct tensor *tensor; /* in order of their bytes */
    size_t n_tensor;
};
/* Maps and checks the file; false after one diagnostic, with nothing left open. Names and table lie in the arena. */
bool safetensors_open(struct arena *, struct diags *, const char *path, struct safetensors *);
void safetensors_close(struct safetensors *);

/* The synthetic fill of one tensor (rules at the top of synthetic.c). */
void synthetic_fill(const char *name, struct shape, double *out); /* rounded to float32 */
void synthetic_input(const char *name, int64_t n, double *out);   /* 2 v - 1, not rounded */

/* ---- packed.c: weights files (grammar/WEIGHTS.md) ---- */
struct pack;
struct program;
struct packed_about { /* what the file says about itself */
    uint64_t digest;     /* of the parameters */
    const char *options; /* that shaped the network: "-D width=8" */
};
/* The line of one packed parameter: from what and how its bytes are made. Programs of equal lines read each other's weights. */
const char *packing_line(struct arena *, const struct pack *);
/* What stands before the blob in a file: the text, and zeros up to a multiple of 4096 bytes. */
const char *packed_head(struct arena *, const struct program *, const struct packed_about *, const char *blob,
                        size_t *bytes);

/* pack.c: fills blob (program->weights_bytes, aligned to 64) with everything that the kernels read. */
void pack_weights(struct arena *scratch, const struct program *, struct weights *, char *blob);

#endif
