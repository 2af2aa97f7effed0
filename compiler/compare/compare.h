/* netc compare: networks side by side, stage by stage.
 *
 *   arguments.c   "resnext50_32x4d,cardinality=8" -> file and definitions; which -D holds for which network
 *   stages.c      the names of a graph's nodes -> stages, and what each comes to
 *   align.c       stages of several networks -> rows
 *   measure.c     programs built and run in turn -> times of stages
 *   table.c, forms.c   the rows for people, as CSV and JSON
 */
#ifndef NETC_COMPARE_H
#define NETC_COMPARE_H

#include "base/base.h"
#include "front/front.h"
#include "graph/graph.h"
#include "targets/target.h"

enum { MOST_COMPARED = 8, LATENCIES = 2 }; /* latencies: on one thread, on several */

/* ---- arguments.c ---- */
struct compared_argument {
    const char *text; /* as given */
    const char *file; /* FILE[:NET] of it */
    struct definition *define;
    size_t n_define, cap_define;
};
/* NULL and a sentence in *why where it is no FILE[:NET],NAME=VALUE,... */
struct compared_argument *read_compared(struct arena *, const char *text, const char **why);
size_t compared_piece(const char *text); /* where behind commas its last NAME=VALUE begins; 0: there is none */
/* The definitions of one network: its own, and those of -D that its net has a parameter for and that it does not give itself. used[]
 * marks those. A file that cannot be read gets none: elaboration tells why. */
struct definition *compared_definitions(struct arena *, const struct front_options *all,
                                        const struct compared_argument *, int *n, bool *used);
/* What no network has a parameter for, with the nearest name that one of them has. */
void report_unused(struct arena *, struct diags *, const struct front_options *all, const bool *used,
                   struct compared_argument *const *, int n);

/* ---- stages.c ---- */
struct time {
    double ms; /* of the median round; the mean of the two in the middle where there is an even number of them */
    double low, high; /* of all rounds */
    double *sample; /* a round each */
};

struct network_stage {
    const char *name; /* "layer1", "stages.0", "stem" */
    int layers; /* nodes of the graph */
    struct shape shape; /* of the last of them */
    int64_t params, macs, activations; /* the stages of a network add up to its totals */
    struct time time[LATENCIES];
};

struct network_stages {
    struct network_stage *stage;
    size_t n, capacity;
    struct name_map of; /* nodes' names and beginnings of their paths to 1 + the number of a stage */
};
/* Of an elaborated graph, in whose arena they are. */
struct network_stages find_stages(const struct graph *);
/* Of a layer's name in a program, which a pass may have made; `before`: the stage of the layer before it, for names that say nothing. */
int stage_of_layer(const struct network_stages *, const char *layer, int before);

/* ---- one network ---- */
struct compared {
    const struct compared_argument *argument;
    struct definition *define; /* that hold for it */
    int n_define;
    const char *file, *network; /* as shown; the net's name */
    struct definition *parameter; /* all of the net's, with their values; none of a file of graph IR */
    int n_parameter;
    struct network_stages stages;
    int64_t params, macs, activations, weights_bytes, workspace_bytes;
    int runs[LATENCIES]; /* that its program makes in a turn; 0: not known yet */
    struct time whole[LATENCIES], outside[LATENCIES]; /* outside: the whole without its stages */
};

/* ---- align.c ---- */
struct compared_row {
    const char *name; /* "layer1", "layer1 / stages.0" */
    int stage[MOST_COMPARED]; /* of each network; -1: none */
};
struct comparison {
    struct compared *network;
    int n, batch;
    struct compared_row *row;
    size_t n_row, cap_row;
    const struct target *target;
    const char *options; /* that shape the code, "--batch=4" */
    const char *processor, *system; /* of this machine; NULL: nothing was measured */
    int cores, rounds, threads[LATENCIES]; /* threads: 0 for a latency that was not asked for */
};
/* By name, in order; between those, by position. */
void align_stages(struct arena *, struct comparison *);

/* ---- measure.c: between temporary_begin() and temporary_end() ---- */
struct measuring;
struct measure_job {
    struct arena *arena;
    struct diags *diags;
    struct comparison *comparison;
    const struct measuring *measuring;
};
bool measure_networks(struct measure_job *); /* false after a diagnostic or a signal */

/* ---- table.c, forms.c ---- */
char letter_of(int network); /* A, B ...: what the tables call it */
bool same_net(const struct compared *, const struct compared *); /* of one file: they are variants */
const char *parameter_value(const struct compared *, const char *parameter); /* NULL: it has none */
/* Does a parameter differ between networks of the same file and net? */
bool parameter_differs(const struct comparison *, const char *parameter);
void comparison_table(struct text *, const struct comparison *);
void comparison_csv(struct text *, const struct comparison *);
void comparison_json(struct text *, const struct comparison *);

#endif
