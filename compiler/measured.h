/* Networks that are measured: programs with synthetic weights, built by children of this netc and run one at a time. Between
 * temporary_begin() and temporary_end(); after a signal all of this says so and does nothing. */
#ifndef NETC_MEASURED_H
#define NETC_MEASURED_H

#include <jansson.h>

#include "options.h"

struct measured_program {
    const char *file; /* as on a command line */
    const struct definition *define;
    int n_define, batch;
    void *owner; /* the caller's */
    const char *path, *log; /* set by programs_build(), as what follows */
    double build_seconds;
    const char *error; /* why there is none; NULL */
};
struct measuring {
    struct arena *arena, *scratch;
    const struct options *options; /* what shapes the code of all alike: -I, --target, --winograd, --max-error */
    int jobs; /* builds at a time */
};
/* Builds all in a folder, each by `netc build`; `ended` is told of each, and may be NULL. False after a signal. */
bool programs_build(const struct measuring *, struct measured_program *, size_t n, const char *directory,
                    void (*ended)(struct measured_program *));
/* Runs one with an action, --bench or --profile, and --json: what it tells, the caller's; NULL and why, which is NULL after a
 * signal. `why` is in the arena. */
json_t *program_tells(const struct measuring *, const struct measured_program *, const char *action, int threads,
                      int runs, const char **why);
/* How many runs take so many milliseconds; found by a few, which also bring the program into memory. 0 and why. */
int program_runs(const struct measuring *, const struct measured_program *, int threads, double ms, const char **why);

/* What a child said that ended badly: its first error, or else its last line. */
const char *child_fault(struct arena *, const char *log, int status);

#endif
