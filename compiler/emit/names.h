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
void put_string(struct text *, const char *); /* as a string of C */
void name_places(struct program_names *, const struct program *);
const char *memory_name(const struct program_names *, const struct memory *); /* of a storage of the workspace */
/* The first lines of a file: from what it was made, what it is; without `what` the comment stays open for emit_contents. */
void emit_banner(struct text *, const struct program *, const struct emit_options *, const char *what);
void emit_contents(struct text *, const struct program *,
                   const struct emit_options *); /* the layers, the buffer plan */
void emit_places(struct text *, const struct program *, const struct program_names *);
const char *forward_name(struct arena *, const struct program *, const struct emit_options *);
const char *kernel_prefix(struct arena *, const struct program *, const struct emit_options *);
void put_call(struct text *, const struct program *, const struct program_names *, const struct call *,
              const char *const *task, int n_task, int indent);
/* emit_weights.c: weights from a file. What the system's headers are to declare, before the first of them; the code and the table. */
void emit_features(struct text *);
void emit_map_weights(struct text *, const struct program *);
/* emit_api.c: the weights and the functions of NAME.h, for one program or for several that one is picked of. */
const char *labels_name(struct arena *, const struct graph *, size_t output); /* the array of its class names */
void emit_api(struct text *, const struct program *const *, int n, const struct emit_options *);

#endif
