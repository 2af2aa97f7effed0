/* Inside compiler/export/; nobody else includes it.
 *
 * A graph's values have no batch axis, ONNX's have one in front. Only a value that depends on an input has a batch: what is
 * made of parameters and constants alone keeps its own axes, so that a parameter is the checkpoint's tensor itself. Both
 * broadcast from the right, therefore a value without a batch fits as it is; one with a batch whose rank is the smaller gets
 * axes of 1 behind its batch (aligned()).
 */
#ifndef NETC_EXPORT_MODEL_H
#define NETC_EXPORT_MODEL_H

#include "export/export.h"
#include "onnx.pb-c.h"

enum { ONNX_IR = ONNX__VERSION__IR_VERSION, ONNX_OPSET = 17, MAX_AXES = MAX_RANK + 2 };

/* Sizes of an ONNX value, its batch included, or any list of whole numbers. In the target of a Reshape 0 keeps the axis that is there, -1
 * is what is left. */
struct axes {
    int n;
    int64_t size[2 * MAX_AXES];
};

/* Values that stand in the file: raw bytes, little-endian, row-major. One of the sources is set; none: `fill` everywhere. */
struct initializer {
    const char *name;
    Onnx__TensorProto__DataType type; /* FLOAT, INT32, INT64 */
    struct axes axes;
    const struct param *param;
    const double *real;
    const int64_t *whole;
    const int32_t *position;
    double fill;
};

struct value { /* of a node, by its id */
    const char *name; /* NULL: nothing asked for it yet */
    const char *spread; /* the same with a batch axis, where it has none; NULL: nobody needed that */
    bool live; /* an output needs it */
    bool batched;
    bool guarded; /* a border of zeros that a pool reads: see export_pad() */
};

struct exporter {
    struct arena *arena;
    struct diags *diags;
    const struct graph *graph;
    int64_t batch;
    int64_t bytes; /* of all initializers, shapes and names left out */
    bool failed; /* after a diagnostic */
    struct value *value;
    struct name_map names; /* of values: what is taken */
    struct name_map shared; /* initializers that are told by their content: name to name */
    const char *images; /* the batch as a value, [N]; NULL: nobody needed that */
    Onnx__NodeProto **node;
    size_t n_node, cap_node;
    struct initializer *initializer;
    size_t n_initializer, cap_initializer;
    Onnx__ValueInfoProto **info;
    size_t n_info, cap_info;
};

/* ---- pieces.c ---- */
/* The name itself, or one with a number behind it if it is taken. */
const char *claim_name(struct exporter *, const char *name);
/* Appends a node. It is called as the network's node if it makes that one's value, else as what it makes. */
Onnx__NodeProto *emit_node(struct exporter *, const struct node *, const char *op, const char *out, int n,
                           const char *const *in);
#define EMIT(x, node, op, out, ...) \
    emit_node(x, node, op, out, (int)LENGTH(((const char *const[]){__VA_ARGS__})), (const char *const[]){__VA_ARGS__})
void set_int(struct exporter *, Onnx__NodeProto *, const char *name, int64_t);
void set_float(struct exporter *, Onnx__NodeProto *, const char *name, double);
void set_text(struct exporter *, Onnx__NodeProto *, const char *name, const char *);
void set_ints(struct exporter *, Onnx__NodeProto *, const char *name, struct axes);
/* Appends it under a name that is free; false if the model became too large. */
bool add_initializer(struct exporter *, struct initializer *);
/* The name of the initializer that `key` tells all about; *fresh: it is to be made. */
const char *shared_name(struct exporter *, const char *key, bool *fresh);
const char *whole_numbers(struct exporter *, struct axes); /* a list of int64: one initializer for all that are alike */
const char *filled(struct exporter *, int64_t n, double value); /* the same of n equal floats */
const char *parameter(struct exporter *, const struct node *, int slot); /* "": the node has none */
const char *part(struct exporter *, const struct node *,
                 const char *what); /* a name for something on the way to its value */
void refuse(struct exporter *, const struct node *, const char *why);
void too_large(struct exporter *);

/* ---- values.c: inputs and results, with and without batch ---- */
bool is_batched(const struct exporter *, const struct node *);
const char *value_of(struct exporter *, const struct node *);
const char *input(struct exporter *, const struct node *, int k);
struct axes axes_of(struct shape, bool with_first, int64_t first);
struct axes result_axes(const struct exporter *, const struct node *,
                        int64_t batch); /* of a value, as a Reshape's target too */
const char *reshape(struct exporter *, const struct node *, const char *in, const char *out, struct axes);
/* Input k with `rank` axes besides its batch, 1 where it has none. */
const char *aligned(struct exporter *, const struct node *, int k, int rank);
/* Of any node, with a batch axis in any case. */
const char *spread(struct exporter *, const struct node *);
/* Operators that take exactly [images, the last `keep` axes]: axes in front become images, and are put back. */
const char *flat_input(struct exporter *, const struct node *, int k, int keep);
const char *flat_result(struct exporter *, const struct node *, int keep);
void unflatten(struct exporter *, const struct node *, int keep);

/* ---- operators.c, windows.c: each appends the nodes that make the node's value ---- */
void export_node(struct exporter *, const struct node *);
void export_conv(struct exporter *, const struct node *);
void export_convolve(struct exporter *, const struct node *);
void export_conv1d(struct exporter *, const struct node *);
void export_pool(struct exporter *, const struct node *);
void export_global_avg_pool(struct exporter *, const struct node *);
void export_pad(struct exporter *, const struct node *);
void export_upsample(struct exporter *, const struct node *);
void export_unfold(struct exporter *, const struct node *);

#endif
