/* What a processor can do, as rows of targets.def. */
#ifndef NETC_TARGET_H
#define NETC_TARGET_H

#include "base/base.h"

struct target {
    const char *name;      /* x86-64-v4 */
    const char *isa;       /* the part of kernels' names: avx512 */
    const char *helpers;   /* which helper header the C includes: helpers_avx512.h */
    const char *flags;     /* for clang: -march=x86-64-v4 -mprefer-vector-width=512 */
    const char *summary;
    const char *arch;      /* aarch64, as in the triple aarch64-linux-gnu; "": the C is for any */
    int lanes;             /* f32 in a vector register */
    int registers;         /* vector registers */
    bool by_lane;          /* a multiply-add takes a factor from any lane of a register, for nothing */
    int l1, l2;            /* bytes a core may count on */
};

extern const char common_flags[]; /* for the C of every target; those of a row come behind them */

enum { MOST_VARIANTS = 4 };
struct target_set { /* several targets in one program, best first */
    const char *name, *summary;
    const char *member[MOST_VARIANTS + 1]; /* ends with NULL */
};

const struct target_set *target_set_at(int i);         /* NULL past the last */
const struct target_set *target_set_by_name(const char *name); /* NULL: no set */
const struct target *target_by_name(const char *name); /* "native" is resolved; NULL: unknown */
const struct target *target_at(int i);                 /* NULL past the last */
/* The best target that the processor at hand runs. */
const struct target *target_native(void);
bool target_runs_here(const struct target *);
/* The architecture that its programs are cross-compiled for; NULL: it is this machine's own. */
const char *target_foreign_arch(const struct target *);

#endif
