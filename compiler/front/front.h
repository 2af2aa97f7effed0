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

/* What is asked of a net beside its graph. The names in a condition are the net's parameters, and params, macs and activations of
 * the graph (see graph.h), which hide behind parameters of these names. */
struct net_question {
    const char *const *condition; /* expressions that give a bool */
    int n_condition;
    /* The answers, also where the net's body has faults: */
    struct definition *parameter; /* every parameter with its value, as the language writes it */
    int n_parameter;
    const struct argument *value; /* of the parameters, for front/ itself */
    int unmet;                    /* the first condition that is false: there is no graph then, and no diagnostic; -1: none */
};

struct front_options {
    const char *file;                 /* FILE or FILE:NAME of the command line */
    const char *const *import_dir;    /* -I, in order; then the installed netdefs */
    int n_import_dir;
    const struct definition *define;
    int n_define;
    int batch;
    struct net_question *question; /* NULL: none */
};

/* Reads, parses, checks and elaborates. NULL after diagnostics; never leaves a half-made graph. */
struct graph *elaborate_file(struct arena *perm, struct arena *module, struct diags *, const struct front_options *);

/* The same for a text in memory (the fuzzer's way in), which stays in use: options->file says what to call it and may
 * end in :NAME. */
struct graph *elaborate_text(struct arena *perm, struct arena *module, struct diags *, const struct front_options *,
                             const char *bytes, size_t length);

/* The syntax tree of one file as text, for tests and `netc show --ast`. */
bool print_syntax(struct text *, struct arena *perm, struct diags *, const struct front_options *);

/* ---- networks.c: FILE, FILE:NET, NAME, NAME:NET on a command line; a NAME stands for NAME.net on the import path ---- */
struct network_file {
    const char *path, *shown;
    const char *net; /* NULL: the only one */
};
struct network_file find_network(struct arena *, const struct front_options *); /* of options->file; always an answer */

/* Of several values parted by commas: the length of the first, whose own commas are inside brackets or strings. */
size_t value_length(const char *text);

struct network { /* a file of the import path that has a net */
    const char *name;  /* resnet50, fashion/resnext */
    const char *about; /* its first line, where that is a comment; "" */
};
struct network *list_networks(struct arena *, const struct front_options *, size_t *n); /* by name */
/* A note for a file that is not there. */
void suggest_network(struct arena *, struct diags *, const struct front_options *, const char *file);

struct net_outline { /* what can be said without elaboration */
    const char *name;
    const char **param, **value; /* the text of its default; NULL: none */
    int n_param;
};
struct file_outline {
    const char *about;
    struct net_outline *net;
    size_t n_net;
};
struct file_outline outline_file(struct arena *, const char *path); /* empty if it cannot be read or has faults */

#endif
