/* What a compiled network tells the runtime: one constant table, which netc writes into NAME.program.c. */
#ifndef NETC_MODEL_H
#define NETC_MODEL_H

#include <stdint.h>
#include <stddef.h>

enum { NETC_MAX_RANK = 6 };

enum netc_picture_op { NETC_RESIZE, NETC_CENTER_CROP, NETC_CENTER_BOX, NETC_GRAY, NETC_SWAP_RED_BLUE, NETC_NORMALIZE };
struct netc_picture_step { /* one operator of `input ... from picture |> ...`, in order */
    enum netc_picture_op op;
    int shorter, rows, columns; /* resize: shorter > 0, or rows and columns; center_crop: rows and columns */
    int bicubic, offset_ceil;
    double share;
    double mean[4], std[4], range;
    int channels;
};

struct netc_tensor {
    const char *name;
    int rank;                     /* without the batch */
    int64_t shape[NETC_MAX_RANK];
    int64_t elements;
    const char *const *labels;    /* outputs: one name a class, or NULL */
    int n_labels;
    const struct netc_picture_step *step; /* inputs: NULL if only raw tensors are read */
    int n_step;
};

enum netc_place { NETC_WORKSPACE, NETC_INPUT, NETC_OUTPUT };
struct netc_value { /* where a layer leaves its result, and how: LOOP_IR.md, layouts */
    enum netc_place place;
    int64_t at;                   /* byte of its first element: in the workspace, input or output of one image */
    int index;                    /* of the input or output */
    int rank;
    int64_t shape[NETC_MAX_RANK];
    int block, halo, segment;     /* channels a block (0: row-major), border, channels a segment (0: all) */
};

struct netc_layer { /* a call of the forward, in order */
    const char *name, *kernel;
    const char *what;             /* "conv1, relu: 3x224x224 -> f32[64,112,112] c16" */
    int64_t macs;                 /* multiply-adds an image */
    /* Bytes an image that its kernel touches: of values, of weights, of the result, border and pad lanes too; each
     * counted once, however often it is loaded. What is updated in place is read and written. */
    int64_t read, weights, written;
    struct netc_value value;
};

struct netc_view { /* a value that no layer makes: parts, or the whole, of what layers left */
    const char *name, *what;
    int after;                    /* it is whole once so many layers are done */
    struct netc_value value;
};

struct netc_stage { /* layers that run task by task, one after the other */
    int layer, n_layer;           /* the first of them, how many */
    int tasks[2];                 /* an image has tasks[0] * tasks[1] */
    const char *barrier;          /* why threads wait for one another before it; NULL: they do not */
};

struct netc_variant { /* the network for one processor */
    const char *target;
    int64_t workspace_bytes;      /* of one image */
    const struct netc_layer *layer;
    int n_layer;
    const struct netc_stage *stage;
    int n_stage;
    const struct netc_view *view;
    int n_view;
    /* NULL if this processor has what the code was built for, else what it lacks ("AVX-512 VL"). */
    const char *(*lacks)(void);
    /* workspace: batch x workspace_bytes, aligned to 64. input[i]: batch x elements f32, row-major; output[i] likewise.
     * threads >= 1. */
    void (*run)(const char *weights, void *workspace, const float *const *input, float *const *output, int threads);
    /* Task i, j of a layer for image n, whose workspace this is. */
    void (*call)(int layer, const char *weights, void *workspace, const float *const *input, float *const *output,
                 int n, int i, int j);
    /* Around calls, on their thread: the mode in which `run` computes (numbers below 2^-126 are zero). enter gives leave the one of before. */
    uint32_t (*enter)(void);
    void (*leave)(uint32_t mode);
    /* One slice (about 0.1 ms) of multiply-adds on this thread in the vectors of the target; returns the floating-point
     * operations it did. */
    double (*peak_slice)(void);
};

struct netc_weights { /* mapped by open; see the network's header, of whose NAME_net it is a copy */
    const void *weights;
    size_t bytes;
    int variant, error;
    const char *detail;
    char digest[17];
    int is_packing; /* detail is the line of this network's packing that the file has not: NAME PACKING = SOURCE */
};

struct netc_model {
    const char *name, *version, *target, *options;
    uint64_t digest; /* of the parameters; 0 if the program has no weights of its own, but maps a file */
    int64_t params, macs; /* macs: multiply-adds an image */
    int64_t weights_bytes; /* packed */
    int batch;
    int n_input, n_output;
    const struct netc_tensor *input, *output;
    const struct netc_variant *const *variant; /* best first */
    int n_variant;
    /* file: packed weights, NULL: those of the program. 0, or a code for strerror. */
    int (*open)(struct netc_weights *, const char *file);
    void (*close)(struct netc_weights *);
    const char *(*strerror)(int code);
};

extern const struct netc_model netc_model;

#endif
