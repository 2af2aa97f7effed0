/* Parameters' values: read from a checkpoint or filled by rule; and the blob of packed weights. */
#ifndef NETC_WEIGHTS_H
#define NETC_WEIGHTS_H

#include "base/base.h"
#include "graph/graph.h"

struct weights;

struct weights_source {
    const char *file;          /* "synthetic", or a checkpoint; what it is is told by its content */
    const char *key; /* --checkpoint-key: where in a file of torch.save the state_dict is; NULL: at the usual places */
    const char *renames; /* --rename: a file, or a name of one in renames/ of a folder; NULL: none */
    const char *const *folder; /* the import path */
    int n_folder;
};
/* A checkpoint is mapped; its table and every offset, dtype, shape and stride are checked. NULL after one clear diagnostic. */
struct weights *weights_open_as(struct arena *, struct diags *, const struct weights_source *);
struct weights *weights_open(struct arena *, struct diags *, const char *file);
/* Does the file have exactly what the graph loads (as it was elaborated: passes drop parameters)? Missing, surplus and
 * misshapen ones are listed by name with a near match; num_batches_tracked is ignored. */
bool weights_check(struct weights *, struct diags *, const struct graph *);
/* How a checkpoint and a network compare; nothing is told. */
struct weights_fit {
    int fitting, misshapen, missing, surplus; /* parameters, but surplus: tensors of the file */
    int64_t rows; /* that all misshapen ones have in the file, if they have the same; else -1 */
};
struct weights_fit weights_fit(const struct weights *, const struct graph *);
/* "[3,4,6,3]": how many blocks the names tell (layer1.0. to layer1.2. are three); NULL: none. */
const char *weights_stages(struct arena *, const struct weights *);
size_t weights_tensors(const struct weights *); /* how many the checkpoint has */
/* A loaded parameter as double (from f32, f16, bf16, f64 rounded to f32): writes as many elements as the shape has. What weights_check did
 * not let pass (a name that is not there, another shape) becomes NaN, and so does what cannot be read again, with a diagnostic:
 * who writes something that was made of values asks for errors before. */
void weights_get(struct weights *, const char *name, struct shape, double *out);
void weights_close(struct weights *); /* may be called twice; NULL is nothing */
/* FNV-1a, 64 bits, of everything loaded: what --info shows. The values count, not the dtype that the file keeps them in. */
uint64_t weights_digest(struct weights *, const struct graph *);

/* The synthetic fill of one tensor (rules at the top of synthetic.c). */
void synthetic_fill(const char *name, struct shape, double *out); /* rounded to float32 */
void synthetic_input(const char *name, int64_t n, double *out); /* 2 v - 1, not rounded */

/* ---- packed.c: weights files (grammar/WEIGHTS.md) ---- */
struct pack;
struct program;
struct packed_about { /* what the file says about itself */
    uint64_t digest; /* of the parameters */
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
