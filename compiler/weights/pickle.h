/* Pickles: the small stack language in which Python writes objects, read without Python and without running anything.
 *
 * The machine builds values. A global (`collections.OrderedDict`) is an entry of pickle_globals.def, and what calling
 * it gives is written here: a dictionary, a tensor, or VALUE_OTHER, which nobody looks into.
 */
#ifndef NETC_PICKLE_H
#define NETC_PICKLE_H

#include "weights/checkpoint.h"

enum { LARGEST_PICKLE = 64 << 20 }; /* as an entry of a zip */

enum pickled_kind {
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_TEXT,
    VALUE_BYTES,
    VALUE_TUPLE,
    VALUE_LIST,
    VALUE_DICT,
    VALUE_GLOBAL,
    VALUE_STORAGE,
    VALUE_TENSOR,
    VALUE_OTHER, /* harmless and without meaning here */
};

enum global_kind {
    GLOBAL_DICT,       /* called: a dictionary, of the pairs or of the dictionary that it is given */
    GLOBAL_TUPLE,      /* called: its argument */
    GLOBAL_TENSOR,     /* called: (storage, first element, sizes, strides, ...) */
    GLOBAL_PARAMETER,  /* called: its first argument */
    GLOBAL_APPLIED,    /* called: (function, type, arguments, state), the function on the arguments */
    GLOBAL_STORAGE,    /* a type of storage, never called */
    GLOBAL_INERT,      /* called: VALUE_OTHER */
};

struct global {
    const char *module, *name;
    enum global_kind kind;
    const struct dtype *dtype; /* of GLOBAL_STORAGE */
};

struct pickled {
    enum pickled_kind kind;
    union {
        int64_t number; /* BOOL, INT; a longer integer is VALUE_OTHER */
        struct {
            const char *bytes; /* not ended by NUL */
            size_t length;
        } text; /* TEXT, BYTES */
        struct {
            struct pickled **item; /* DICT: key, value, key, value */
            size_t count, capacity;
        } list; /* TUPLE, LIST, DICT */
        const struct global *global;
        struct { /* STORAGE: a part of one; TENSOR: a view of that part */
            struct stored *storage;
            int64_t first, elements; /* elements of the part */
            const struct pickled *size, *stride; /* tuples */
        } view;
    };
};

struct pickle {
    struct checkpoint *file;
    const char *where;          /* what messages call the text: "archive/data.pkl" */
    const unsigned char *bytes; /* the text, which values point into */
    size_t length;
    size_t at;                  /* where to begin; then behind the STOP */
    /* What a persistent id stands for; NULL after a diagnostic. The place of the machine's step is p->step. */
    struct pickled *(*persistent)(struct pickle *, const struct pickled *id);
    size_t step;                /* where the opcode stands that is being done */
    struct machine *machine;
};

/* The value that the text leaves; NULL after one diagnostic. */
struct pickled *pickle_run(struct pickle *);
/* A fault at the current step; false. */
#define PICKLE_FAULT(p, check, format, ...) \
    FAULT((p)->file, check, "%.*s, byte %zu: " format, SHOWN, (p)->where, (p)->step __VA_OPT__(, ) __VA_ARGS__)

const char *pickled_kind_name(enum pickled_kind);
bool pickled_is_text(const struct pickled *, const char *text);
/* The value of a key of a dictionary, NULL if it has none. */
const struct pickled *pickled_get(const struct pickled *dict, const char *key, size_t length);
const char *pickled_text(struct arena *, const struct pickled *); /* of TEXT, ended by NUL */

/* ---- pickle_call.c ---- */
struct pickled *pickled_new(struct pickle *, enum pickled_kind);
/* The row of the table, NULL if there is none. */
const struct global *global_find(struct pickle *, const char *module, size_t module_length, const char *name,
                                 size_t name_length);
/* What calling gives; NULL after a diagnostic. */
struct pickled *global_call(struct pickle *, const struct global *, const struct pickled *arguments);

#endif
