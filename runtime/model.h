/* What a compiled network tells the runtime: one constant table, written by netc at the end of the generated C. */
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

struct netc_layer { /* a call of the forward, in order */
    const char *name, *kernel;
    int64_t macs;                 /* multiply-adds an image */
};

struct netc_model {
    const char *name, *version, *target, *options;
    uint64_t digest;              /* of the weights */
    int64_t params, macs;         /* macs: multiply-adds an image */
    int64_t weights_bytes, workspace_bytes;
    int batch;
    int n_input, n_output;
    const struct netc_tensor *input, *output;
    const struct netc_layer *layer;
    int n_layer;
    /* NULL if this processor has what the code was built for, else what it lacks ("AVX-512 VL"). */
    const char *(*lacks)(void);
    /* workspace: workspace_bytes, aligned to 64. input[i]: batch x elements f32, row-major; output[i] likewise. threads >= 1. */
    void (*run)(void *workspace, const float *const *input, float *const *output, int threads);
    /* One slice (about 0.1 ms) of multiply-adds on this thread in the vectors of the target; returns the floating-point operations it did. */
    double (*peak_slice)(void);
};

extern const struct netc_model netc_model;

#endif
