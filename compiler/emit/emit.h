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

/* The files of a network. One processor: NAME.h, NAME.c, NAME.program.c. Several, of which one is picked at start: NAME.h, NAME.c with
 * the API, NAME.program.c, and NAME.ISA.c, NAME.ISA.program.c for each. Kernels of large networks stand in files of their own,
 * NAME[.ISA].kernels.N.c, so that clang can work on several. */
struct emit_options {
    const char *options; /* what the banner says: "-D cardinality=8 --batch=1" */
    const char *target; /* what --info says */
    bool variant; /* the program is one of several */
    bool linked; /* NAME.weights becomes part of the program; else it is mapped from a file at start */
    int parts; /* > 1: part 0 has tables and forward, each kernel is in the part that kernel_part[] says */
    const int *kernel_part;
    uint64_t digest; /* of the parameters */
    int64_t params, macs;
};
void emit_header(struct text *, const struct program *const *, int n, const struct emit_options *); /* NAME.h */
void emit_network(struct text *, const struct program *, const struct emit_options *,
                  int part); /* NAME.c or NAME.ISA.c, or their kernels */
void emit_variants(struct text *, const struct program *const *, int n,
                   const struct emit_options *); /* NAME.c that picks one */
void emit_program(struct text *, const struct program *const *, int n,
                  const struct emit_options *); /* NAME.program.c */
/* README.md of a folder of C: what it is and how it is used. */
void emit_readme(struct text *, const struct program *const *, int n, const struct emit_options *);
void emit_variant_program(struct text *, const struct program *, const struct emit_options *); /* NAME.ISA.program.c */

#endif
