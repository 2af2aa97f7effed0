/* The language: text to syntax tree (grammar/net.l, net.y), imports, elaboration to graph IR. This is what other
 * folders call; what the files of this folder share stands in front/internal.h.
 */
#ifndef NETC_FRONT_H
#define NETC_FRONT_H

#include "base/base.h"
#include "graph/graph.h"

struct definition { /* -D name=value */
    const char *name, *value;
};

struct front_options {
    const char *file;                 /* FILE or FILE:NAME of the command line */
    const char *const *import_dir;    /* -I, in order; then the installed netdefs */
    int n_import_dir;
    const struct definition *define;
    int n_define;
    int batch;
};

/* Reads, parses, checks and elaborates. NULL after diagnostics; never leaves a half-made graph. */
struct graph *elaborate_file(struct arena *perm, struct arena *module, struct diags *, const struct front_options *);

/* The same for a text in memory (the fuzzer's way in), which stays in use: options->file says what to call it and may
 * end in :NAME. */
struct graph *elaborate_text(struct arena *perm, struct arena *module, struct diags *, const struct front_options *,
                             const char *bytes, size_t length);

/* The syntax tree of one file as text, for tests and `netc show --ast`. */
bool print_syntax(struct text *, struct arena *perm, struct diags *, const char *file);

#endif
