/* Shared by the files that print the forward and its tables. */
#ifndef NETC_EMIT_NAMES_H
#define NETC_EMIT_NAMES_H

#include "emit/emit.h"

struct program_names { /* what the C calls the places of the plan and of the blob, by index */
    struct arena *arena;
    const char **memory, **weight;
};

const char *identifier(struct arena *, const char *name); /* every character that C does not take becomes _ */
void name_places(struct program_names *, const struct program *);
void emit_banner(struct text *, const struct program *, const struct emit_options *);
void emit_places(struct text *, const struct program *, const struct program_names *);
void emit_model(struct text *, const struct program *, const struct emit_options *);

#endif
