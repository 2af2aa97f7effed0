/* netc sweep: the variants of a network over ranges of its parameters, what each costs, and how fast each is.
 *
 *   space.c     --over, -D, --where -> variants, elaborated one by one: cut by an assertion, failed, or with their sizes
 *   solve.c     --solve, --equal: the value of one parameter that brings a variant nearest to the reference
 *   store.c     SQLite, a row a variant and measurement (grammar/SWEEP.md); resumed, and locked against another sweep
 *   measure.c   builds by children, programs run in turn, round by round
 *   train.c     --train: the PyTorch script, a child a variant and seed
 *   slurm.c     the same on the nodes of a cluster, slurm_queue.c what is asked of Slurm
 *   result.c    the whole as JSON -> table.c: a table, CSV -> report.c: HTML
 *
 * What is asked for is written into the database as it comes, and what is told is read from there: a sweep that was
 * interrupted and one that ran through tell the same.
 */
#ifndef NETC_SWEEP_H
#define NETC_SWEEP_H

#include <jansson.h>

#include "children.h"
#include "measured.h"
#include "netc.h"

/* ---- space.c ---- */
enum { MOST_VALUES = 10000, MOST_VARIANTS_SWEPT = 10000, KEY_LENGTH = 16 };

enum variant_status { VARIANT_OK, VARIANT_CUT, VARIANT_FAILED };
extern const char *const variant_status_name[]; /* "ok", "cut", "failed" */

struct swept {
    struct definition *define; /* -D, then --over, then --solve; room for one more */
    int n_define;
    const char *name;       /* what varies: "cardinality=8 width=14" */
    const char *defines;    /* all of it: "-D classes=10 -D cardinality=8 -D width=14" */
    enum variant_status status;
    const char *reason;     /* why it is not VARIANT_OK; NULL */
    json_t *parameters;     /* an object: all parameters of the net with their values */
    char key[KEY_LENGTH + 1]; /* digest of graph, parameters, target, options; "": it has no graph */
    int64_t params, macs, activations, weights_bytes, workspace_bytes;
    double deviation;       /* of what is --equal, relative to the reference; NAN: there is none */
    int64_t row;            /* in the database */
};

struct axis { /* of --over */
    const char *name, **value; /* texts of expressions */
    size_t n, capacity;
};

enum equal_what { EQUAL_NOTHING, EQUAL_MACS, EQUAL_PARAMS, EQUAL_LATENCY };
extern const char *const equal_name[]; /* "", "macs", "params", "latency" */
struct reference { /* of --equal */
    enum equal_what what;
    const char *text;       /* behind the =, as given */
    struct swept *variant;  /* NULL: it is a number */
    double value;           /* elements or ms */
};

struct sweep {
    struct netc *netc;
    struct arena *arena, *scratch;
    struct diags *diags;
    const struct options *options;
    const char *path, *shown, *text; /* of the .net file; its text */
    const struct net_outline *net;
    struct axis *axis;
    size_t n_axis, cap_axis;
    struct reference equal;
    struct swept *variant;
    size_t n_variant, cap_variant;
    struct store *store;
    struct timed *reference; /* solve_latency.c: the reference while variants are solved for its latency */
    int threads;            /* of the second latency */
    const char *trained;    /* the options of --train's measurements; NULL: nothing is trained */
    const char *compiler;   /* "clang version 19.1.7 ..." */
    const char *phase;      /* of the progress */
    double phase_begin;     /* seconds_now() */
    size_t built, to_build; /* programs, in this wave */
};

/* Reads the options that span the space. False after a diagnostic. */
bool space_open(struct sweep *);
/* All variants; those that --where does not want are left out. False after a diagnostic. */
bool space_walk(struct sweep *);
void space_close(struct sweep *); /* what no arena holds */
/* Reads NAME:VALUE,NAME:VALUE or with = into definitions behind those there are. False after a diagnostic. */
bool read_definitions(struct sweep *, const char *option, const char *text, struct swept *);
struct swept swept_new(struct sweep *); /* with the definitions of -D */
void swept_define(struct sweep *, struct swept *, const char *name,
                  const char *value); /* over an older one of the name */
void swept_finish(struct sweep *, struct swept *); /* its name and defines */
/* Elaborates it in memory of its own; `whole`: also weights and workspace, which takes ten times as long. `asked`: --where counts, and
 * false is a variant that it does not want. The net's parameters are told where they are known. */
bool swept_elaborate(struct sweep *, struct swept *, bool whole, bool asked);
double swept_quantity(const struct swept *, enum equal_what); /* macs or params */
const char *swept_graph(struct sweep *, const struct swept *); /* its JSON (grammar/GRAPH_JSON.md); NULL: it has none */

/* ---- solve.c ---- */
bool reference_open(struct sweep *); /* of --equal; false after a diagnostic */
/* The variant with another value of the parameter of --solve. */
struct swept swept_with(struct sweep *, const struct swept *, int64_t value);
/* Its value that brings macs or params nearest to the target; 0: with none it is a network. */
int64_t solve_size(struct sweep *, const struct swept *, enum equal_what, double target);
/* Gives the parameter of --solve the value that is nearest to the reference. A variant without one is cut, and its reason names
 * what is nearest on both sides. */
void solve_variant(struct sweep *, struct swept *);
/* solve_latency.c: the same for a latency, measured on one thread. False after a diagnostic or a signal. */
bool solve_latency(struct sweep *, struct swept *);
void solve_latency_end(struct sweep *);
/* The reference's latency, and how far from it each variant is, once they are measured. */
bool compare_latencies(struct sweep *);
/* Cuts a variant that is further from the reference than --tolerance. */
void check_tolerance(struct sweep *, struct swept *);

/* ---- store.c: grammar/SWEEP.md ---- */
enum { STORE_VERSION = 1 };
struct store;
enum measured_what {
    MEASURED_COMPILE,
    MEASURED_LATENCY,
    MEASURED_THROUGHPUT,
    MEASURED_ENERGY,
    MEASURED_ACCURACY,
    MEASURED_COUNT
};
extern const struct measured_row {
    const char *name, *unit;
} measured_row[MEASURED_COUNT];

/* NULL: in memory. NULL after a diagnostic: no database of ours, another version, in use. */
struct store *store_open(struct arena *, struct diags *, const char *path);
void store_close(struct store *); /* NULL is fine */
/* What is written between them is written at once. False after a diagnostic, as all that follows; nothing that is there already is lost. */
bool store_begin(struct store *);
bool store_commit(struct store *);
bool store_variant(struct store *, const struct sweep *, struct swept *); /* adds or renews it; sets ->row */
struct measurement { /* what is measured, and where; found again by all of it */
    int64_t variant; /* row */
    enum measured_what what;
    int threads, batch; /* 0: that is nothing to it */
    const char *options; /* of a training: "epochs=4"; "" */
    const char *compiler; /* "clang version 19.1.7", python; "" */
    int64_t row; /* set by store_measurement() */
};
bool store_measurement(struct store *, struct measurement *); /* finds it on this machine, or adds it */
struct sample {
    double value, low, high, share; /* NAN: not known */
};
bool store_sample(struct store *, const struct measurement *, int round, struct sample);
bool store_has(struct store *, const struct measurement *, int round);
int store_rounds(struct store *, const struct measurement *);
bool store_error(struct store *, const struct measurement *, const char *error); /* NULL: there is none any more */
bool store_variant_failed(struct store *, const struct swept *); /* writes what became of it */
struct wanted {
    int64_t variant;
    enum measured_what what;
    int threads, batch; /* -1: any; threads -2: more than one */
    const char *options; /* as in the measurement; NULL: any */
};
/* A measurement as JSON, on this machine if there is one, the latest: grammar/SWEEP.md's figure. JSON null: it was never made. */
json_t *store_figure(struct store *, struct wanted);
void store_read_anywhere(struct store *); /* figures of this machine do not come before others' */
/* Is all that --measure asks for there, in these many rounds, of any machine? threads 0: of as many as that has. */
bool store_is_measured(struct store *, const struct swept *, int threads, int batch, int rounds);
bool store_read_status(struct store *, struct swept *); /* what became of it, as it is written there */
/* Takes in what another database has: rows that are the same stay. */
bool store_merge(struct store *, const char *path);

/* ---- measure.c ---- */
bool measure_variants(struct sweep *);
struct measuring sweep_measuring(struct sweep *);
struct measured_program swept_program(struct sweep *, const struct swept *, int batch);
/* A round of a program: its --bench as JSON, the caller's; NULL and why. *runs is found if it is 0. */
json_t *sweep_bench(struct sweep *, const struct measured_program *, int threads, int *runs, const char **why);
struct sample program_sample(const json_t *bench, enum measured_what, int batch);

/* ---- slurm.c ---- */
bool slurm_variants(struct sweep *); /* as measure_variants() */

/* ---- progress.c ---- */
/* How far a phase of the sweep is, 0..1; nothing is shown in its first half second. */
void sweep_progress(struct sweep *, double done, const char *phase, const char *doing);

/* ---- train.c ---- */
/* Trains each variant with each seed, where the database lacks it. False after a diagnostic or a signal. */
bool train_variants(struct sweep *);

/* ---- result.c, table.c ---- */
json_t *sweep_json(struct sweep *); /* what --json prints: grammar/SWEEP.md */
void sweep_table(struct text *, json_t *sweep);
void sweep_csv(struct text *, json_t *sweep);

#endif
