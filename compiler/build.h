/* The driver: from generated C and packed weights to an executable, a library or a folder of C. */
#ifndef NETC_BUILD_H
#define NETC_BUILD_H

#include "base/base.h"
#include "targets/target.h"

enum { MOST_PARTS = 64 }; /* files that kernels are spread over, --parts */

enum build_kind { BUILD_EXE, BUILD_STATIC, BUILD_SHARED, BUILD_SOURCE, BUILD_KINDS };
extern const char *const build_kind_name[BUILD_KINDS]; /* "exe" ... */

enum { COMPILED_IN_PROGRAM = 1, COMPILED_IN_LIBRARY = 2 };
struct build_file { /* a generated file, called NAME SUFFIX */
    const char *suffix; /* ".c", ".h", ".kernels.0.c" ... */
    const char *text;
    size_t length;
    int compiled;       /* where it is compiled by itself; 0: it is a header, or included */
    const char *flags;  /* of its target, for clang */
};

struct weights_file { /* packed weights that are mapped at start */
    const char *path;
    const void *head; /* what weights/packed.c puts in front of the blob */
    size_t head_bytes;
    const void *blob;
    size_t blob_bytes;
};

struct build_job {
    struct arena *arena;     /* scratch is enough */
    const char *name;        /* of the network: of everything that is written */
    enum build_kind kind;
    const struct build_file *file;
    int n_file;
    const void *weights;     /* the blob, written as NAME.weights beside the C; NULL: no such file */
    size_t weights_bytes;
    const struct weights_file *weights_file; /* is written together with the output; NULL: there is none */
    const char *description; /* for the pkg-config file: a line */
    const char *readme;      /* of BUILD_SOURCE: its README.md */
    const char *output;      /* the executable, or the folder of the others */
    const char *runtime_dir; /* where model.h and the runtime's sources are */
    const char *arch;        /* cross-compiled for: aarch64; NULL: this machine's own */
    const char *sysroot;     /* headers and libraries of arch; NULL: looked for */
    const char *keep_dir;    /* the generated files stay here, also when clang fails; NULL: they go */
    int jobs;                /* clangs at once; 0: as many as cores */
};

/* Builds an executable, or a library with its header and pkg-config file; nothing half-written stays, whatever happens.
 * False after a diagnostic; after SIGINT, SIGTERM or SIGHUP it cleans up and the run ends by that signal. */
bool build_output(struct diags *, const struct build_job *);
extern const char program_libraries[], runtime_needs[]; /* "-ljansson ..."; what to install for them */

/* Writes a folder that builds with make and a C compiler, in the same way as a whole or not at all. No clang is needed. */
bool build_source(struct diags *, const struct build_job *);

/* Writes the C files and the weights into a folder, which is made if need be, and the weights file: all of them or none. */
bool emit_to_directory(struct diags *, const struct build_job *, const char *directory);

/* Writes the weights file alone: whole or not at all, over an older one in a single step, as programs may have that one mapped. */
bool replace_weights_file(struct diags *, struct arena *scratch, const struct weights_file *);

/* ---- build_cross.c ---- */
struct cross { /* words for clang, ending with NULL; none where nothing is crossed */
    const char *compile[3], *link[3]; /* link: besides those of compile */
    const char *sysroot;
};
bool find_cross(struct diags *, const struct build_job *, struct cross *); /* false after a diagnostic */
int usable_cores(void); /* by this process; build.c */
/* ---- clang.c: other programs ---- */
const char *find_program(struct arena *, const char *name); /* in PATH, unless it has a /; absolute; NULL: none */
/* $NETC_CC, clang-19, or a clang that is new enough; NULL and what to do about it. `temporary`: of temporary_begin(). */
const char *find_clang(struct arena *, const char *temporary, const char **why);
/* The first line that a program prints for an option; "" if it fails. */
const char *program_output(struct arena *, const char *temporary, const char *program, const char *option);
void print_version(struct arena *); /* netc --version */

/* ---- build_files.c: what the driver writes ---- */
/* Diagnostics name `shown`: a file or folder is written elsewhere until it is whole. */
bool write_file(struct diags *, const char *path, const char *shown, const void *bytes, size_t n);
bool write_generated(struct diags *, const struct build_job *, const char *directory, const char *shown);
bool make_folder(struct diags *, const char *path, bool *made); /* made: it was not there */
bool write_to_folder(struct diags *, const struct build_job *,
                     const char *directory); /* emit_to_directory in a build */
int lock_folder(const char *path); /* against another netc; until the descriptor (or -1) is closed */
bool write_weights_file(struct diags *, const char *path, const struct weights_file *); /* under this name */
const char *claim_weights(struct diags *, struct arena *,
                          const struct weights_file *); /* claim_file(), or a diagnostic and NULL */
bool rename_weights(struct diags *, const char *fresh, const struct weights_file *); /* to its own name */
bool is_generated(int folder, const char *name); /* C that netc wrote */
/* A name for an output until it is whole, as temporary_claim(); NULL and why not. */
const char *claim_file(struct arena *, const char *path, const char **why);
const char *absolute_path(struct arena *, const char *path);
/* The names of the runtime's sources and headers, in order; none after a diagnostic. */
const char *const *runtime_files(struct diags *, const struct build_job *, size_t *n);

#endif
