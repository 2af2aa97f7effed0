/* Shared by the files that print what stands around the kernels. */
#ifndef NETC_EMIT_NAMES_H
#define NETC_EMIT_NAMES_H

#include "emit/emit.h"

struct program_names { /* what the C calls the places of the plan and of the blob, by index */
    struct arena *arena;
    const struct program *program;
    const char **memory, **weight;
    const char *prefix; /* of the kernels: "" where they are static */
};

const char *identifier(struct arena *, const char *name); /* every character that C does not take becomes _ */
const char *capitals(struct arena *, const char *name); /* as macros are written */
const char *file_name(const char *path);
/* Text of a user inside a comment: what would end it is parted. */
const char *harmless(struct arena *, const char *);
void put_string(struct text *, const char *); /* as a string of C */
void name_places(struct program_names *, const struct program *);
const char *memory_name(const struct program_names *, const struct memory *); /* of a storage of the workspace */
/* The first lines of a file: from what it was made, what it is; without `what` the comment stays open for emit_contents. */
void emit_banner(struct text *, const struct program *, const struct emit_options *, const char *target, const char *what);
void emit_contents(struct text *, const struct program *, const struct emit_options *); /* how it is compiled, the layers, the buffer plan */
void emit_places(struct text *, const struct program *, const struct program_names *);
const char *forward_name(struct arena *, const struct program *, const struct emit_options *);
void put_forward_signature(struct text *, const char *before, const char *name, const char *end);
const char *kernel_prefix(struct arena *, const struct program *, const struct emit_options *);
void put_call(struct text *, const struct program *, const struct program_names *, const struct call *,
              const char *const *task, int n_task, int indent);
/* emit_weights.c: weights from a file. What the system's headers are to declare, before the first of them; the code and the table. */
void emit_features(struct text *);
void emit_map_weights(struct text *, const struct program *);

/* ---- emit_ports.c: inputs and outputs as the caller of the functions sees them ---- */
struct port {
    const char *name;     /* the description's */
    const char *word;     /* of it in names of C: NET_word_labels; no two are equal, also in capitals */
    const char *variable; /* a parameter of NET_run: the word, or with _ behind it */
    const char *macro;    /* NET_WORD */
    struct shape shape;
    const struct graph_input *input;   /* or NULL */
    const struct graph_output *output; /* or NULL */
};
struct ports { /* the inputs, then the outputs */
    struct port *port;
    size_t n_input, n;
};
struct ports ports_of(struct arena *, const struct graph *);
const char *labels_name(struct arena *, const struct graph *, size_t output); /* the array of its class names */

/* ---- emit_header.c ---- */
void put_named(struct text *, const char *name, const char *text); /* $ becomes the name, @ the same in capitals */
/* Words, wrapped, with `first` before the first line and `next` before the others; a newline in the text stays. */
void put_wrapped(struct text *, const char *text, const char *first, const char *next, int width);
/* A function's first line, broken behind commas where it is longer than 120. */
void put_signature(struct text *, const char *);
void put_run(struct text *, const struct graph *, const char *before, const char *end); /* the signature of NET_run */

/* ---- emit_api.c: the weights and the functions of NAME.h, for one program or for several of which one is picked ---- */
int64_t workspace_of(const struct program *const *, int n); /* bytes that a run of any of them needs, at least 64 */
const char *targets_of(struct arena *, const struct program *const *, int n); /* "x86-64-v3 or scalar" */
void emit_api(struct text *, const struct program *const *, int n, const struct emit_options *);

#endif
