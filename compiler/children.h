/* Child processes, several at a time, and the temporary files that vanish with them whatever happens. */
#ifndef NETC_CHILDREN_H
#define NETC_CHILDREN_H

#include "base/base.h"

struct child {
    const char *const *argv; /* ends with NULL; argv[0] is a path */
    const char *log;         /* the file that takes all it prints */
    int status;              /* as waitpid gives it; -1 if it could not be started */
    int error;               /* errno of the start */
};

/* From now on takes SIGINT, SIGTERM and SIGHUP, which kill the children and make children_run() false. One at a time. */
void temporary_watch(void);
/* The same, and makes a private directory under $TMPDIR. NULL and errno if it cannot. */
const char *temporary_begin(struct arena *);
/* A file beside an output that is to be renamed: removed by temporary_end() unless it was renamed before. A few at a
 * time. False and errno. */
bool temporary_claim(const char *path);
/* Kills the children and removes all that is temporary. */
void temporary_discard(void);
/* The same; if a signal came meanwhile, the run now ends by that signal. */
void temporary_end(void);
bool temporary_interrupted(void);

/* Runs all in `directory`, at most `jobs` at once. False once one failed or a signal came; the others have been
 * killed then, and *failed is the one that failed, or -1. */
bool children_run(struct child *, int n, int jobs, const char *directory, int *failed);

#endif
