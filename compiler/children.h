/* Child processes, several at a time, and the temporary files that vanish with them whatever happens. */
#ifndef NETC_CHILDREN_H
#define NETC_CHILDREN_H

#include "base/base.h"

struct child {
    const char *const *argv; /* ends with NULL; argv[0] is a path */
    const char *log;         /* the file that takes all it prints */
    int status;              /* as waitpid gives it; -1 if it could not be started */
    int error;               /* errno of the start */
    bool may_fail;           /* the others go on */
    bool tidy;               /* has temporary files of its own: it is asked to end, not killed */
    double seconds;          /* how long it took */
    void (*ended)(struct child *); /* called as soon as it has ended; NULL: nobody asks */
    void *data;              /* for that */
};

/* From now on signals that ask the run to end kill the children and make children_run() false. */
void temporary_begin(void);
/* A new private directory in another one (NULL: in $TMPDIR, else /tmp), which is removed with the files in it: its absolute name. NULL and errno if it
 * cannot be made. A few at a time. */
const char *temporary_directory(const char *parent);
/* The same with a name of its own and as open to others as any folder. In a temporary directory it is removed before that one. */
const char *temporary_folder(const char *parent, const char *name);
void temporary_remove(const char *directory); /* earlier than at the end */
void temporary_release(const char *directory); /* or not at all: it has been renamed */
/* A new file beside an output, to be renamed when it is whole; removed unless it was. Its name, or NULL and errno. A few at
 * a time. */
const char *temporary_claim(const char *output);
/* Kills the children and removes all that is temporary. */
void temporary_discard(void);
/* The same; if a signal came meanwhile, the run now ends by that signal. */
void temporary_end(void);
bool temporary_interrupted(void);

/* Runs all in `directory`, at most `jobs` at once. False once one failed that may not or a signal came; the others have been
 * killed then, and *failed is the one that failed, or -1. */
bool children_run(struct child *, int n, int jobs, const char *directory, int *failed);
/* Runs one to its end, also after a signal, and only then kills it if it takes `patience` seconds more: what has to be told to somebody
 * else before this run ends. */
void child_run_anyway(struct child *, const char *directory, double patience);

#endif
