/* The command line of netc: one struct for all commands, filled by options.c. */
#ifndef NETC_OPTIONS_H
#define NETC_OPTIONS_H

#include "base/base.h"
#include "build.h"
#include "compare/compare.h"
#include "front/front.h"
#include "graph/graph.h"
#include "targets/target.h"

enum command {
    COMMAND_BUILD,
    COMMAND_PACK,
    COMMAND_EXPORT,
    COMMAND_CHECK,
    COMMAND_SHOW,
    COMMAND_RUN,
    COMMAND_TUNE,
    COMMAND_SWEEP,
    COMMAND_COMPARE,
    COMMAND_LIST,
    COMMAND_PASS,
    COMMAND_LOOP,
    COMMAND_COUNT
};

struct command_row {
    const char *name, *arguments, *summary, *more;
};
struct option_row {
    int commands, value; /* commands: bit 1 << COMMAND_X; value: the short form's letter, or more than any letter */
    const char *name, *argument, *help; /* argument: "[=X]" optional, "=X" needed, "" none; X as complete.c reads it */
};
const struct command_row *command_row(size_t i); /* of enum command; NULL past the last */
const struct option_row *option_row(size_t i); /* NULL past the last */
bool option_is_short(const struct option_row *); /* it has a short form, its value */

struct sweep_options { /* of netc sweep; compare has measure, csv and rounds, too */
    const char *const *over; /* --over NAME=VALUES, in order */
    const char *const *where; /* --where EXPR */
    int n_over, n_where;
    const char *solve, *equal; /* --solve NAME, --equal WHAT=REFERENCE; NULL */
    double tolerance; /* --tolerance as a share, 0.02; NAN: any deviation */
    bool measure, csv;
    int rounds, throughput; /* --rounds, --throughput: images a run */
    const char *db, *html; /* NULL: none */
    bool slurm; /* --on=slurm */
    const char *partition; /* NULL: Slurm's default */
    const char *const *slurm_option; /* --slurm-option, in order */
    int n_slurm_option, poll; /* --poll: seconds; 0: the default */
    bool train;
    int epochs, seeds, seed, limit; /* --epochs, --seeds, --seed: the first; --train-limit: pictures, 0: all */
    double rate; /* --train-rate; 0: not given */
    const char *data; /* --data; NULL: where Debian has it */
};

struct options {
    enum command command;
    struct front_options front; /* file, -I, -D, --batch */
    const char *file; /* as given */
    struct compared_argument *compared[MOST_COMPARED]; /* compare A B ...: in the place of file */
    int n_compared;
    const struct target *target;
    const struct target_set *set; /* --target names several: target is the first of them; NULL: one */
    enum build_kind kind;
    const char *name; /* --name: what the output calls the network; NULL: its own name */
    const char *weights_file; /* --weights-file: where the packed weights go; NULL: into the output */
    const char *weights, *output, *input;
    const char *checkpoint_key; /* --checkpoint-key: where in the checkpoint; NULL: at the usual places */
    const char *rename; /* --rename: other names for its tensors; NULL: none */
    const char *keep; /* --keep=DIR: the generated C stays there */
    const char *tuned; /* --tuned: measured schedules; NULL: the model's */
    const char *sysroot; /* --sysroot=DIR: libraries of another architecture; NULL: looked for */
    const char *emit_c; /* --emit-c=DIR: the C and the packed weights, nothing is built */
    const char *after; /* show --ir=after:PASS, run --after=PASS */
    const char *layer; /* run --layer: the value that is written; NULL: the first output */
    const char *passes; /* pass PASSES FILE */
    bool ir, params, plan, json, ast, eval;
    int jobs, parts;
    int seconds; /* --time */
    int threads; /* --threads; 0: as many as cores */
    struct sweep_options sweep;
    int batch; /* --batch; 0: it was not given */
    enum winograd_mode winograd; /* --winograd */
    double max_error; /* --max-error; 0: the default */
    const char *command_line; /* as it was given, without the words' quotes */
    const char *shaped; /* --winograd and the like of `described` */
    const char *described; /* the options that shape the code, for its banner: "-D width=8 --batch=2" */
};

extern const char *const winograd_mode_name[3]; /* of enum winograd_mode */

/* Letters, digits and _, no digit in front, at most 100: what files and functions are called. */
bool output_name_is_valid(const char *);

/* Prints help or a message and ends the run with the exit code if there is nothing to do: help, version, wrong usage. */
struct options read_options(struct arena *, int argc, char **argv);

#endif
