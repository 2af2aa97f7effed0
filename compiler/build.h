/* The driver: from generated C and packed weights to an executable, or to a folder of C. */
#ifndef NETC_BUILD_H
#define NETC_BUILD_H

#include "base/base.h"
#include "targets/target.h"

enum { MOST_PARTS = 64 }; /* files that kernels are spread over, --parts */

struct build_part { /* one C file: NAME SUFFIX .c */
    const char *suffix; /* "" for the part with tables and forward, ".kernels.0" ... */
    const char *text;
    size_t length;
};

struct build_job {
    struct arena *arena;     /* scratch is enough */
    const char *name;        /* of the network */
    const struct target *target;
    const struct build_part *part;
    int n_part;
    const void *weights;     /* the blob, written as NAME.weights; NULL: no such file */
    size_t weights_bytes;
    const char *output;      /* the executable */
    const char *runtime_dir; /* where model.h and the runtime's sources are */
    const char *keep_dir;    /* the generated files stay here, also when clang fails; NULL: they go */
    int jobs;                /* clangs at once; 0: as many as cores */
};

/* Builds the executable; nothing half-written stays, whatever happens. clang is $NETC_CC, clang-19 or a clang that
 * is new enough. False after a diagnostic; after SIGINT, SIGTERM or SIGHUP it cleans up and the run ends by that
 * signal. */
bool build_executable(struct diags *, const struct build_job *);

/* Writes the C files and the weights into a folder, which is made if need be: all of them or none. */
bool emit_to_directory(struct diags *, const struct build_job *, const char *directory);

#endif
