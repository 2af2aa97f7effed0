/* Schedules that were measured on a processor, in place of those that choose_schedule's model gives.
 *
 *   netc tune:    graph -> kinds of layers (search.c) -> candidates (graph/schedule_space.c) -> a shared library of kernels
 *                 (library.c) -> times (measure.c) -> a file of tuned schedules (tuned_file.c)
 *   netc build:   the file (tuned_read) -> choose_schedule, which asks apply_tuned() at its end
 *
 * What a kernel is depends on its layer's signature and schedule alone, so that equal layers, in any network, share a line.
 */
#ifndef NETC_TUNE_H
#define NETC_TUNE_H

#include "graph/graph.h"
#include "lower/lower.h"

/* ---- signature.c ---- */
/* What the kernel of a scheduled layer depends on beside schedule and target, interned:
 * "conv f32[64,56,56] c16 -> f32[256,56,56] c16 {k 1x1} | add f32[256,56,56] c16 in place | relu". */
const char *layer_signature(struct arena *scratch, const struct node *);

/* ---- tuned_file.c: grammar/TUNED.md ---- */
enum { TUNED_VERSION = 1 };
struct tuned_line {
    const char *signature; /* interned */
    enum algorithm algorithm;
    struct schedule schedule;
    struct span span; /* of the schedule */
};
struct tuned {
    const char *path;
    const struct target *target;
    struct tuned_line *line;
    size_t n, capacity;
};
/* NULL after a diagnostic. `path` is as given. */
struct tuned *tuned_read(struct arena *, struct diags *, const char *path);
/* Replaces the schedules of the graph's layers by those of context->tuned, if that is for context->target. False after a diagnostic. */
bool apply_tuned(struct graph *, struct pass_context *);

struct tuned_about { /* what a file says about itself */
    const char *network, *options; /* "-D width=8" or "" */
    const struct target *target;
    double seconds;
    int tried; /* schedules that were measured */
};
struct kind;
/* The lines sorted, those of kinds that were measured. */
void tuned_print(struct text *, const struct tuned_about *, const struct kind *, size_t n);
const char *schedule_words(struct arena *, const struct node *layer, const struct schedule *); /* "{direct 1x14x32 band 4}" */

/* ---- library.c ---- */
enum { MOST_FILES = 64 };
/* All tasks of a layer's kernels, one after another; the buffers of all its kernels, in order. */
typedef void candidate_run(void *const *buffer);
struct candidate {
    const struct stage *stage; /* of one layer: a kernel, or more */
    candidate_run *run;        /* set by library_make() */
};
struct library_maker {
    struct diags *diags;
    const struct target *target;
    const char *compiler, *cache; /* clang; ccache or NULL */
    const char *directory;        /* private */
    int jobs, made;               /* clangs at once; libraries so far */
};
/* Compiles the kernels, several files at a time, and loads them; they stay loaded to the end of the run. False after a diagnostic or
 * a signal. */
bool library_make(struct library_maker *, struct arena *scratch, struct candidate *, size_t n);

/* ---- measure.c ---- */
struct bench { /* the memory that kernels work on */
    struct arena *arena, *scratch;
    char *weights; /* a ring as large as the network's packed weights: what a call reads is as cold as in the network */
    size_t weights_bytes, at;
    char *values[2]; /* of one layer: inputs, operands, result; two, to compare results */
    size_t values_bytes;
};
struct bench bench_open(struct arena *, size_t weights_bytes);

enum { MOST_ROUNDS = 4096 };
struct samples { /* seconds, in the order of the rounds */
    double *second;
    int n, capacity;
};
/* Seconds of a layer, on values that were just written and on weights that were not just read; the mean of some turns. */
double bench_time(struct bench *, const struct candidate *, int turns);
/* Do two ways to compute a layer write the same bits? */
bool bench_same(struct bench *, const struct candidate *, const struct candidate *);
/* The lower eighth: other processes only ever add, and the least of all is luck. */
double samples_time(const struct samples *, struct arena *scratch);
/* Is `other` faster by more than the noise? *ratio is its time by that of `base`. Both have as many samples, taken in turn. */
bool samples_beat(const struct samples *base, const struct samples *other, struct arena *scratch, double *ratio);

/* ---- search.c ---- */
struct trial {
    struct schedule schedule;
    struct candidate way;
    const char *text; /* of the kernels: another schedule with the same one is not tried */
    double ratio;     /* of its time to the model's */
    bool wins;        /* by more than the noise */
    bool same;        /* as an earlier trial */
    bool checked;     /* its bits are the model's */
    struct samples samples; /* of the batch that is measured now */
};
struct kind { /* layers of one signature */
    const char *signature;
    struct node *node; /* one of them */
    int layers;
    struct trial *trial; /* [0] is the model's */
    size_t n_trial, cap_trial;
    size_t best; /* of the trials */
    double model_seconds; /* 0: not measured */
    int turns; /* calls a sample, so that the clock can tell */
    struct schedules list; /* candidates near trial `near`, those before `next` were looked at */
    size_t near, next;
};
struct tuning {
    struct arena *arena; /* for the whole search */
    struct arena *scratch;
    struct diags *diags;
    const struct target *target;
    const struct graph *graph;
    struct program *program; /* lowered as the model says */
    struct library_maker maker;
    double seconds;          /* that it may take */
    struct bench bench;
    struct kind *kind;
    size_t n_kind, cap_kind;
    int tried;               /* schedules that were measured */
    double begin, took;
};
/* Measures until the time is over or a signal comes. False after a diagnostic: a defect. */
bool tune_search(struct tuning *);
/* Sums are made in one order whatever the schedule is: reports it if two ways to compute a layer differ. */
bool same_bits(struct tuning *, const struct kind *, const struct trial *model, const struct trial *other);
double kind_best_seconds(const struct kind *);
/* Seconds of all layers that were measured, by the model's schedules and by the best. */
void tuning_total(const struct tuning *, double *model, double *best);

/* ---- progress.c ---- */
void tune_progress(const struct tuning *, const char *doing);

#endif
