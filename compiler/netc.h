/* What main.c and the commands share: the run's state and the pipeline. */
#ifndef NETC_H
#define NETC_H

#include "graph/graph.h"
#include "loop/loop.h"
#include "options.h"
#include "weights/weights.h"

struct netc {
    struct arena *perm, *module, *scratch;
    struct diags *diags;
    struct options options;
    struct pass_context context;
    struct weights *weights; /* that were opened, to be closed at the end; NULL: none */
};

struct loop_pass {
    const char *name;
    bool (*run)(struct program *, struct pass_context *);
};

/* ---- main.c: the pipeline ---- */
const struct loop_pass *loop_pass_at(size_t i); /* in order; NULL past the last */
struct graph *elaborate(struct netc *);
/* The network, called --name, with the weights that belong to it, which the caller may close early; NULL after a diagnostic. */
struct graph *elaborate_with_weights(struct netc *, struct weights **);
struct program *to_program(struct netc *, struct graph *optimised, const char *after);
struct program *compile(struct netc *, struct graph *elaborated);

/* ---- the commands: false after a diagnostic ---- */
bool command_build(struct netc *);
bool command_pack(struct netc *);
bool command_export(struct netc *);
bool command_show(struct netc *, struct text *);
bool command_run(struct netc *);
bool command_list(struct netc *, struct text *);
bool command_pass(struct netc *, struct text *);
bool command_loop(struct netc *, struct text *);
bool command_tune(struct netc *, struct text *);
bool command_sweep(struct netc *, struct text *);
bool command_compare(struct netc *, struct text *);
struct tuned *open_tuned(struct netc *); /* command_tune.c: the file of --tuned; NULL after a diagnostic */

/* Is an output (NULL: none) another file than the one that the weights come from? Reports it. */
bool spares_checkpoint(struct netc *, const char *path);
/* Packs the weights and makes what a file has in front of them; file->path is where it will lie (NULL: nowhere). */
bool pack_file(struct netc *, const struct program *, struct weights *, const struct packed_about *,
               struct weights_file *file);
/* complete.c: `netc --complete WORDS`, what the shells' completions ask. Prints and ends the run. */
_Noreturn void complete(struct arena *, char **words, int n);

/* suggest.c: after weights_check() has told what of n->weights does not fit the graph: which network would fit them. */
void suggest_fitting(struct netc *, const struct graph *);

struct graph *read_ir(struct netc *); /* the file as graph IR */
bool unknown_pass(struct netc *, const char *name); /* reports it; always false */

#endif
