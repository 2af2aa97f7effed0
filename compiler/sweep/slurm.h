/* Slurm, a cluster's queue of jobs, as its users see it: sbatch, squeue and scancel, run and read. */
#ifndef NETC_SLURM_H
#define NETC_SLURM_H

#include "base/base.h"

enum job_state {
    JOB_UNKNOWN,   /* Slurm does not know it, or not any more */
    JOB_PENDING,
    JOB_RUNNING,
    JOB_COMPLETED, /* with exit code 0 */
    JOB_REFUSED,   /* cancelled by somebody, or over a limit: another attempt would end in the same way */
    JOB_LOST       /* by a node that failed or could not start it, and anything else */
};

struct job { /* a task of a job array */
    long array; /* 0: it was not submitted */
    int task;
    enum job_state state;
    char word[24], reason[40]; /* of Slurm for the state, and why it waits */
};

struct slurm {
    struct arena *arena, *scratch;
    struct diags *diags;
    const char *directory; /* private, for what the programs print */
    const char *sbatch, *squeue, *scancel;
};

/* Finds the programs. False after a diagnostic that says how to get them. */
bool slurm_open(struct slurm *);
/* sbatch with these words behind its name; the array's number, or 0 after a diagnostic with sbatch's own words. */
long slurm_submit(struct slurm *, const char *const *word, size_t n);
/* How the jobs are. False and what squeue says if it cannot tell. */
bool slurm_look(struct slurm *, struct job *const *job, size_t n, const char **why);
/* Takes arrays out of the queue, also after a signal. What Slurm says to that is of no use any more. */
void slurm_cancel(struct slurm *, const long *array, size_t n);

#endif
