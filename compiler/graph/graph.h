/* Graph IR: what to compute. Values with static types, one operator a node, every node one result.
 *
 * A node names its inputs (other nodes) and its parameters. A parameter is either loaded from the weights file under its
 * own name or derived from others by a recipe (what fold_batch_norm makes), so that no pass needs the weights themselves
 * and a new checkpoint can be packed without compiling again. Shapes never contain the batch.
 */
#ifndef NETC_GRAPH_H
#define NETC_GRAPH_H

#include "base/base.h"

/* ---- type.c: shapes, layouts, types ---- */
enum { MAX_RANK = 6 };

struct shape {
    int rank;
    int64_t dim[MAX_RANK];
};

enum element { ELEMENT_F32, ELEMENT_COUNT }; /* f16 bf16 u8 s8 s32 come with the passes that use them */
extern const char *const element_name[ELEMENT_COUNT];

/* How a value lies in memory; LAYOUT_NONE before choose_layout.
 * plain:  row-major f32, the last dimension dense, the whole padded to a multiple of 16 elements, the padding written or not;
 *         block 1 ("rows"): without that padding, memory of the caller.
 * blocks: [C,H,W] as [blocks][H + 2 halo][W + 2 halo][block]. block is 16, or C itself where C < 16 and nothing needs vectors
 *         of channels (pictures). seg > 0: every seg channels start a new block; pad lanes are zero. halo: a border, written
 *         by the producer with zeros. */
enum layout_kind { LAYOUT_NONE, LAYOUT_PLAIN, LAYOUT_BLOCKS };
struct layout {
    enum layout_kind kind;
    int block, halo, seg;
};

struct type {
    enum element element;
    struct shape shape;
    struct layout layout;
};

int64_t shape_elements(struct shape);
bool shape_equal(struct shape, struct shape);
int number_digits(double); /* the least n for which %.*g with n gives a text that reads as the same number */
const char *shape_text(struct arena *, struct shape);   /* "256x56x56"; in the text form [256,56,56] */
const char *type_text(struct arena *, struct type);     /* "f32[256,56,56] c16 halo 1 seg 26" */
/* Of a type with a layout: blocks of channels and bytes, border and pad lanes included. */
int64_t layout_blocks(struct type);
int64_t layout_bytes(struct type);

/* ---- parameters: param.c ---- */
enum param_op {
    PARAM_LOADED,       /* from the weights file, under `name` */
    PARAM_CONSTANT,     /* value[] */
    PARAM_FOLD_WEIGHT,  /* from weight, gamma, var {eps}: weight * gamma / sqrt(var + eps) along axis 0 */
    PARAM_FOLD_BIAS,    /* from beta, gamma, mean, var {eps}, and the convolution's bias if any: beta + (bias - mean) * scale */
    PARAM_FOLD_SCALE,   /* from gamma, var {eps}: gamma / sqrt(var + eps) (a batch norm that nothing absorbed) */
    PARAM_CONCAT,       /* from two or more {axis}: one behind the other (what merge_branches makes) */
    PARAM_SUM,          /* from two or more: added, in this order */
    PARAM_TAKE,         /* from a parameter and a constant of row numbers: those rows of axis 0 (what arrange_weights makes) */
    PARAM_RECIPES
};
struct param {
    int id;
    const char *name; /* dotted */
    struct shape shape;
    enum param_op op;
    struct param **from;
    int n_from;
    double eps;
    int axis; /* PARAM_CONCAT */
    const double *value; /* PARAM_CONSTANT */
    struct origin origin;
};
struct recipe_info {
    const char *name;       /* "fold_weight": how the text form calls it */
    int min_from, max_from; /* max_from < 0: any number */
    bool has_eps, has_axis;
};
const struct recipe_info *recipe_info(enum param_op);

/* ---- operators: ops.def, attrs.def ---- */
#define OP(name, ...) OP_##name,
enum op {
#include "graph/ops.def"
    OP_COUNT
};
#undef OP

/* One flat record for all operators; which fields an operator has is a column of ops.def, how they are printed and read a row of attrs.def. */
struct attrs {
    int64_t kernel[2], stride[2], pad[2], dilation[2];
    int64_t groups;
    int64_t interleave; /* group_scale: so many groups take turns, channel by channel; 1: they stand one behind the other */
    int64_t out; /* conv, linear: output channels; not printed, it stands in the type */
    double eps;
    bool ceil, count_pad, reflect, bilinear;
    int64_t axis, start, size;
    struct shape shape; /* reshape, upsample, constant, parameter: the result; permute: the axes */
};

/* A row of attrs.def: where in struct attrs it lies and how both written forms call it. */
enum attr_kind { ATTR_PAIR, ATTR_INT, ATTR_REAL, ATTR_BOOL, ATTR_SHAPE };
struct attr_info {
    const char *name;   /* "kernel" */
    const char *word;   /* of the text form: "k" for kernel, else the name */
    enum attr_kind kind;
    size_t offset;      /* of the field */
};
/* The i-th attribute of an operator, in the order of ops.def; NULL past the last one. */
const struct attr_info *op_attr(enum op, int i);

enum arity { MAX_PARAMS = 5 };

enum { MOST_EPILOGUES = 8 };

/* What fuse_epilogues joins to a node, so many at most: applied in order to each element of its result. */
struct epilogue {
    enum op op;          /* relu sigmoid silu add mul */
    struct node *operand; /* add, mul: of the result's type, or [C,1,1]; NULL for activations */
};

/* choose_algorithm */
#define ALGORITHM(name, ...) ALGORITHM_##name,
enum algorithm {
    ALGORITHM_NONE,
#include "graph/algorithms.def"
    ALGORITHM_COUNT
};
#undef ALGORITHM

/* choose_schedule: how a nest is cut; data for the lowering, shown as {direct 1x14x32 band 4}. See lower/README in lower.h. */
struct schedule {
    int rows, cols, channels; /* the register tile */
    int band;                 /* output rows a task */
    int chunk;                /* blocks of output channels a task; 0: all */
    int depth;                /* blocks of input channels carried at a time through the accumulators; 0: all */
    /* What is asked for before it is needed; 0: nothing. */
    int prefetch;             /* weights, so many steps of the reduction ahead */
    int stream;               /* lines of the next tile's weights a block of inputs, into the second-level cache */
    int ahead;                /* inputs, so many blocks of the reduction ahead */
};

/* alias_storage: where a value lives. */
struct storage {
    int id;
    struct node *owner;
    int64_t bytes;
};

struct node {
    int id;              /* position in graph.node */
    enum op op;
    const char *name;    /* unique: %name in the text form */
    const char *path;    /* labels that lead here, "layer1.0.conv1"; "" at the top */
    struct node **in;
    int n_in;
    struct param *param[MAX_PARAMS]; /* slots of ops.def; NULL where an optional one is absent */
    struct attrs attrs;
    struct type type;
    struct epilogue *epilogue;
    int n_epilogue;
    enum algorithm algorithm;
    struct schedule schedule;
    struct storage *storage; /* alias_storage */
    int64_t lead;            /* first block of a view inside its storage's owner */
    struct origin origin;
    const char *source;      /* what the text form said behind ';' or ""; NULL: see origin (node_source gives either) */
    const double *value;     /* OP_constant: shape_elements numbers */
};

/* The operators of a picture's way into an input, in order. */
enum picture_op { PICTURE_RESIZE, PICTURE_CENTER_CROP, PICTURE_CENTER_BOX, PICTURE_GRAY, PICTURE_SWAP_RED_BLUE, PICTURE_NORMALIZE };
enum picture_filter { FILTER_BILINEAR, FILTER_BICUBIC };
enum { PICTURE_OPS = PICTURE_NORMALIZE + 1, PICTURE_FILTERS = FILTER_BICUBIC + 1 };
extern const char *const picture_op_name[PICTURE_OPS], *const picture_filter_name[PICTURE_FILTERS]; /* graph_text.c */
struct picture_step {
    enum picture_op op;
    int64_t shorter, size[2]; /* resize: shorter > 0, or size (rows, columns); center_crop: size */
    enum picture_filter filter;
    bool offset_ceil;         /* center_crop: offset = "ceil"; else round half to even */
    double share;             /* center_box */
    double mean[4], std[4], range;
    int channels;             /* normalize: how many of mean and std count */
    struct origin origin;
};

struct graph_input {
    struct node *node; /* OP_input */
    struct picture_step *step;
    int n_step; /* 0: raw tensors only */
};
struct graph_output {
    const char *name;
    struct node *node;
    const char *labels_file;     /* as written; NULL without */
    const char *const *labels;   /* one a class */
    int64_t n_labels;
};

/* Interned names to what they name: open addressing by the pointer. */
struct name_map {
    struct name_slot { const char *key; void *value; } *slot;
    size_t count, capacity;
};

struct graph {
    struct arena *arena;
    const char *name;   /* of the net */
    const char *file;   /* as shown */
    struct node **node; /* topological order */
    size_t n_node, cap_node;
    struct param **param;
    size_t n_param, cap_param;
    struct graph_input *input;
    size_t n_input, cap_input;
    struct graph_output *output;
    size_t n_output, cap_output;
    int batch;
    struct name_map nodes, params; /* every name that was ever given; kept by graph.c and param.c */
    struct name_map suffixes;      /* name to the next number behind it */
};

struct op_info {
    const char *name;
    int min_in, max_in;          /* max_in < 0: any number */
    const char *params;          /* "weight bias?" */
    const char *attrs;           /* "kernel stride pad dilation groups" */
    bool elementwise;            /* the result has the broadcast shape of the inputs */
};
const struct op_info *op_info(enum op);
bool op_by_name(const char *name, enum op *);

/* graph.c: building and editing */
struct graph *graph_new(struct arena *module, const char *name, const char *file);
/* Appends a node, infers its type (shape.c) and gives it a unique name. If `name` is NULL that is made of `path` and the operator:
 * an operator that owns parameters is called as its path ("layer1.0.conv1"), others path.op ("layer1.0.relu", at the top "relu"),
 * then relu2, relu3 ... A given `name` that is taken gets a number too. NULL after a diagnostic.
 * The node has no parameters yet: node_param() says what they must be. OP_input: the caller also adds a row to graph.input. */
struct node *graph_add(struct graph *, struct diags *, enum op, struct node *const *in, int n_in, const struct attrs *,
                       const char *path, const char *name, struct origin);
struct param *graph_param(struct graph *, const char *name, struct shape, struct origin); /* PARAM_LOADED */
struct param *graph_derived(struct graph *, const char *name, struct shape, enum param_op, struct param *const *from, int n, double eps);
/* The concatenation of n >= 2 parameters along an axis. */
struct param *graph_joined(struct graph *, const char *name, struct param *const *from, int n, int axis);
/* Of "conv1.0.weight", "conv1.1.weight" ... "conv1.weight": n >= 2 names without the one element that counts from 0; NULL: none does. */
const char *joined_name(const void *list, int n, const char *(*name_of)(const void *list, int i));
const char *joined_param_name(struct param *const *from, int n);
struct param *graph_find_param(const struct graph *, const char *name);
/* Slot of ops.def's parameter list ("weight" is 0 ...): leaf name and shape; false past the last one. */
bool node_param(const struct node *, int slot, const char **leaf, bool *optional, struct shape *);
/* One number, whatever its rank: kernels take it as a literal. */
bool node_is_number(const struct node *);
/* slice, concat along axis 0: every how many channels a piece may begin, the greatest number that divides all begins and sizes. */
int64_t node_unit(const struct node *);
/* Users of a node, outputs included (an output counts as one use). */
int node_uses(const struct graph *, const struct node *);
/* In inputs, epilogues and outputs; `with` itself may go on using `old`. */
void graph_replace(struct graph *, struct node *old, struct node *with);
/* Nodes and parameters that no output needs; inputs stay. Renumbers, keeping topological order. */
void graph_remove_dead(struct graph *);
/* Order only: `fresh`, usually just made by graph_add and so the last one, moves before `at`. */
void graph_insert_before(struct graph *, struct node *at, struct node *fresh);
/* graph_add of what `at` becomes: its path and its place in the source, just before it. */
struct node *graph_add_before(struct graph *, struct diags *, struct node *at, enum op, struct node *const *in, int n_in,
                              const struct attrs *);
struct node *graph_find_node(const struct graph *, const char *name); /* among the nodes that are still there */
const char *node_source(struct arena *, const struct node *);         /* "blocks/stems.net:5"; "" where unknown */
void **name_map_get(const struct name_map *, const char *name);       /* NULL: not there */
void name_map_put(struct arena *, struct name_map *, const char *name, void *value);
/* find_local_conv.c: is a sum the end of a local convolution that is written out? Of what. */
struct local_conv {
    struct node *values, *weights;
    const struct node *unfold;
    int64_t kernels; /* channel c uses number c mod that */
};
bool match_local_conv(const struct node *sum, struct local_conv *);
int64_t node_macs(const struct node *);     /* products of matrices and convolutions, a local one too: multiply-adds an image; else 0 */
bool param_counts(const struct param *);    /* among the parameters of a network: loaded, and not running_mean, running_var */
int64_t graph_params(const struct graph *); /* elements of those */
int64_t graph_macs(const struct graph *);
/* Elements that layers with multiply-adds write, an image: what networks' sizes are published as (Radosavovic et al. 2020,
 * Designing Network Design Spaces, section 3.2). */
int64_t graph_activations(const struct graph *);

/* pool.c: does a ceil-mode window reach past the padding? May the pool read a border of zeros instead of testing its bounds? */
bool pool_overhangs(const struct node *);
bool pool_reads_border(const struct node *);

/* shape.c: the type of a node from its inputs and attributes; every failure is a named check. */
bool infer_type(struct diags *, struct node *);

/* graph_text.c, graph_read.c: the text form, see grammar/GRAPH_IR.md. What is read is verified. */
void graph_print(struct text *, const struct graph *);
void node_attrs_print(struct text *, const struct node *);    /* " {k 3x3 pad 1}"; nothing where all have their defaults */
void node_schedule_print(struct text *, const struct node *); /* "  {direct 1x14x32 band 4}"; nothing without an algorithm */
void picture_steps_print(struct text *, const struct graph_input *); /* " resize shorter 256 bilinear | ..." */
extern const char *const algorithm_name[ALGORITHM_COUNT]; /* "" for ALGORITHM_NONE */
const char *node_default_path(enum op, const char *name); /* the path that a name made by graph_add tells */
struct graph *graph_read(struct arena *module, struct diags *, int file); /* NULL after diagnostics; spans point into the text */
/* graph_json.c: see grammar/GRAPH_JSON.md */
char *graph_json(struct arena *, const struct graph *);
char *graph_preprocess_json(struct arena *, const struct graph_input *); /* what stands there as "preprocess" */
char *graph_labels_json(struct arena *, const struct graph_output *);    /* and as "labels" */
/* graph_verify.c: the invariants, written out at the top of the file. */
bool graph_verify(struct diags *, const struct graph *);

/* graph_eval.c: the reference interpreter. Values are double, plain row-major, one image. */
struct weights; /* weights/weights.h */
/* The value of a parameter, loaded or derived, made anew in the arena: as many elements as its shape has. Use it, then reset the
 * arena: all weights of a network as doubles are much. */
const double *param_value(struct arena *, struct weights *, struct param *);
/* Evaluates every node; input[i] in order of graph.input. Returns values by node id (NULL: not evaluated), or NULL after a diagnostic. */
double **graph_eval(struct arena *, struct diags *, const struct graph *, struct weights *, const double *const *input);

/* ---- passes.def, pass.c ---- */
struct target; /* targets/target.h */
/* --winograd: where it is faster and exact enough (max_error), nowhere, or wherever it can be. */
enum winograd_mode { WINOGRAD_AUTO, WINOGRAD_OFF, WINOGRAD_ALWAYS };
extern const double winograd_default_error;
struct tuned;
struct pass_context {
    struct arena *module, *scratch;
    struct diags *diags;
    const struct target *target;
    int batch, threads;
    struct text *notes; /* what passes found that a reader of the network may want to know, a line each; NULL: nobody asks */
    enum winograd_mode winograd;
    double max_error; /* of a layer, relative to its largest output; 0: the default */
    const struct tuned *tuned; /* tune/tune.h: measured schedules for one target, in place of the model's; NULL: none */
};
void pass_note(struct pass_context *, const char *format, ...) PRINTF(2, 3);
#define PASS(name, ...) bool name(struct graph *, struct pass_context *);
#include "graph/passes.def"
#undef PASS

struct pass {
    const char *name;
    const char *needs; /* the pass that must have run before; "" without */
    const char *keeps;
    bool (*run)(struct graph *, struct pass_context *);
};
const struct pass *pass_at(int i);                /* in the order in which they run; NULL past the last */
const struct pass *pass_by_name(const char *name); /* NULL: unknown */
/* Who wants to see the graph after each pass: its text, or "(unchanged)". */
struct pass_watcher {
    void (*after)(void *data, const struct pass *, const char *text);
    void *data;
};
/* One pass and the verifier behind it; then `scratch` is emptied. */
bool run_pass(const struct pass *, struct graph *, struct pass_context *);
/* All passes in order, to the end of the one called `stop_after` (NULL: all; "": none). `watcher` may be NULL. False after a diagnostic. */
bool run_passes(struct graph *, struct pass_context *, const char *stop_after, const struct pass_watcher *);

#endif
