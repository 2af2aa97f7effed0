/* Printing C. Nothing is decided here: statement by statement from loop IR. */
#ifndef NETC_EMIT_H
#define NETC_EMIT_H

#include "base/base.h"
#include "loop/loop.h"
#include "targets/target.h"

/* One kernel as a C function, an empty line before it; linkage is "static" in a file of its own or "" where the forward stands in another file. */
void emit_kernel(struct text *, const struct kernel *, const char *linkage, const char *prefix);
/* Its declaration, for a file that calls a kernel which stands in another. */
void emit_prototype(struct text *, const struct kernel *, const char *prefix);
/* Its parts, emit_expr.c: 4 * r + q; [4 * r + q][i]; x[4 * r + q][i]; fma16(xs, wv[v], acc[p][v]). */
void emit_affine(struct text *, struct affine);
void emit_subscripts(struct text *, const struct affine *, int rank);
void emit_element(struct text *, const struct element_ref *);
void emit_expr(struct text *, const struct expr *);
/* The helper headers (common, then the target's), copied into the C so that it stands alone; an empty line before them. */
void emit_helpers(struct text *, const struct target *);

struct emit_options {
    const char *options;   /* what the banner says: "-D cardinality=8 --target=x86-64-v4 --batch=1" */
    int part, parts;       /* parts > 1: part 0 has banner, tables and forward, each kernel is in the part that kernel_part[] says */
    const int *kernel_part;
    const char *weights_file; /* name of the blob for .incbin */
    uint64_t digest;
    int64_t params, macs;
};
/* The whole network as C: banner, tables, kernels in order of use, forward, the table the runtime reads. */
void emit_program(struct text *, const struct program *, const struct emit_options *);

#endif
