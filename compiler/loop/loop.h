/* Loop IR: how to compute it. Structured code and nothing else. A kernel does one task; the forward lists stages of tasks.
 * The text form is documented in grammar/LOOP_IR.md; the verifier's rules at the top of loop_verify.c.
 *
 *   kernel conv1x1_relu__avx512_1x14x32 {
 *       # y[oc,oy,ox] = max(0, b[oc] + sum_ic x[ic,oy,ox] * w[oc,ic])
 *       in x f32[16, 56, 56, 16]; in w f32[8, 256, 16]; in b f32[128]; out y f32[8, 58, 58, 16]; task r 0..14
 *       for o 0..4, q 0..4, t 0..4 {
 *           reg acc f32x16[14, 2]
 *           unroll p 0..14, v 0..2 { acc[p, v] = load b[32o + 16v] }
 *           ...
 */
#ifndef NETC_LOOP_H
#define NETC_LOOP_H

#include "base/base.h"
#include "graph/graph.h"

/* ---- affine.c: c + sum of k_i * var_i ---- */
enum var_kind { VAR_TASK, VAR_FOR, VAR_UNROLL, VAR_TABLE };
struct var {
    const char *name;
    int64_t lo, hi; /* [lo, hi) */
    enum var_kind kind;
    int id;         /* number inside its kernel */
};
enum { MAX_TERMS = 8 };
struct affine {
    int64_t c;
    int n;
    struct { struct var *var; int64_t k; } term[MAX_TERMS]; /* ascending var->id, k != 0 */
};
struct affine affine_const(int64_t);
struct affine affine_var(struct var *, int64_t k);           /* k * var */
struct affine affine_add(struct affine, struct affine);
struct affine affine_plus(struct affine, int64_t);
struct affine affine_scale(struct affine, int64_t);
bool affine_equal(struct affine, struct affine);
bool affine_is_const(struct affine, int64_t *value);
/* Least and greatest value over the variables' ranges. */
void affine_range(struct affine, int64_t *least, int64_t *greatest);
const char *affine_text(struct arena *, struct affine);      /* "14t + p + 1" */

/* ---- types, buffers, expressions ---- */
struct vtype { /* value in a register: lanes 1 is a scalar */
    enum element element; /* ELEMENT_F32; index vectors have is_index */
    int lanes;
    bool is_index;
};
enum direction { DIR_IN, DIR_OUT, DIR_INOUT, DIR_LOCAL };
enum { MAX_BUFFER_RANK = 8 };
struct buffer { /* a kernel's parameter; DIR_LOCAL: scratch of one task, on its stack, with nothing in it to begin with */
    const char *name;
    enum direction dir;
    enum element element;
    int rank;
    int64_t dim[MAX_BUFFER_RANK];
};
struct element_ref { /* x[ib, 4r + q, 14t + p, i] */
    struct buffer *buffer;
    struct affine at[MAX_BUFFER_RANK];
};
struct reg { /* a register array: reg acc f32x16[14, 2]; rank 0: one register; also what `let` declares */
    const char *name;
    struct vtype type;
    int rank;
    int64_t dim[4];
};
struct reg_ref {
    struct reg *reg;
    struct affine at[4];
};

/* vops.def: VOP(name, arity, scalar meaning as a C expression of a, b, c, spelling) */
#define VOP(name, ...) VOP_##name,
enum vop {
#include "loop/vops.def"
    VOP_COUNT
};
#undef VOP

enum { PICK_BLOCK = 16 };
enum expr_kind {
    EXPR_LOAD,  /* load x[..]: lanes neighbours along the last dimension; aligned says load, else loadu; of `count`, `value` behind them;
                   of `repeat`, those again and again */
    EXPR_SPLAT, /* splat x[..]: one element to all lanes */
    EXPR_PICK,  /* pick x[..], lanes(a/b, e): from the block of 16 that starts at x[..], lane l gets element a * ((l + base) / b) + e;
                   base is the first lane of this vector in the block */
    EXPR_REG,   /* acc[p, v], or the name of a let */
    EXPR_LANE,  /* lane i of xv[p]: one lane of a register to all lanes of one alike */
    EXPR_CONST, /* 0.5: the same number in all lanes */
    EXPR_OP     /* fma(a, b, c) */
};
struct expr {
    enum expr_kind kind;
    struct vtype type;
    struct element_ref ref;  /* load splat pick */
    bool aligned;            /* load */
    int count;               /* load: lanes that are read; 0: all */
    int repeat;              /* load: elements that are read, a part of the lanes; 0: all */
    int64_t pick_a, pick_b, pick_base;
    struct affine pick_e;
    struct reg_ref reg;
    struct affine lane;
    double value;
    enum vop op;
    struct expr *arg[3];
};

enum stmt_kind { STMT_LOOP, STMT_IF, STMT_TABLE, STMT_REG, STMT_SET, STMT_LET, STMT_STORE, STMT_PREFETCH, STMT_FENCE, STMT_TRANSPOSE, STMT_COMMENT };
struct stmt {
    enum stmt_kind kind;
    struct stmt *next;
    /* STMT_LOOP: one variable; nested single loops print as `for o 0..4, q 0..4 {` */
    struct var *var;
    struct stmt *body;
    /* STMT_IF: lo <= cond < hi */
    struct affine cond;
    int64_t lo, hi;
    /* STMT_TABLE: var, to the end of the block, is table[cond]; it may stand in subscripts that are read */
    const int64_t *table;
    int64_t n_table;
    /* STMT_REG, STMT_LET: reg declared; STMT_TRANSPOSE: reg of as many vectors as lanes; STMT_SET: element */
    struct reg *reg;
    struct reg_ref target;
    /* STMT_SET, STMT_LET, STMT_STORE */
    struct expr *value;
    struct element_ref ref; /* STMT_STORE, STMT_PREFETCH */
    int level;              /* STMT_PREFETCH: of the cache that wants it, 1 or 2 */
    bool aligned;           /* STMT_STORE */
    int lanes;              /* STMT_STORE: how many lanes are written (value's, or fewer: `:10`) */
    const char *text;       /* STMT_COMMENT */
};

enum { MAX_BUFFERS = 40, MAX_TASKS = 2, MAX_LOCALS = 4 };
#define MAX_LOCAL_BYTES (512 << 10) /* of a kernel's locals together: threads have stacks of a few MB */
struct kernel {
    const char *name;    /* what__how, unique in the program */
    const char *comment; /* lines: equation, tile */
    struct buffer *buffer[MAX_BUFFERS];
    int n_buffer;
    struct buffer *local[MAX_LOCALS]; /* no arguments: calls do not know them */
    int n_local;
    struct var *task[MAX_TASKS]; /* kernel's last parameters */
    int n_task;
    struct stmt *body;
    int n_var;
    int64_t macs;        /* of all tasks, one image */
    int id;
};

/* ---- the program: memory, weights, forward ---- */
enum memory_kind { MEMORY_WORKSPACE, MEMORY_INPUT, MEMORY_OUTPUT, MEMORY_WEIGHTS };
struct memory { /* a storage (or the caller's input, output) with its place */
    const char *name;
    enum memory_kind kind;
    int64_t bytes;      /* of one image */
    int64_t offset;     /* plan_buffers; in the blob for weights */
    int first, last;    /* epochs */
    bool per_image;     /* batch > 1: one copy an image, `bytes` apart */
    const char *layout; /* for the table: "[256,56,56] c16 halo 1" */
    int index;          /* of the net's input or output */
    int id;
};
struct argument { /* what a call passes: memory + first byte */
    struct memory *memory;
    int64_t lead; /* bytes */
};
struct call {
    struct kernel *kernel;
    struct argument arg[MAX_BUFFERS];
    const char *comment; /* "conv1, relu: x [256,56,56] -> t1 [128,56,56] halo 1" */
    const char *layer;   /* name of the node */
    const struct node *node; /* that is computed; NULL in programs that were read from text */
    struct call *next;
};
struct stage { /* tasks shared out statically over threads: images x tasks */
    int64_t task[MAX_TASKS];
    int n_task;
    struct call *call;
    const char *barrier; /* why there is a barrier before this stage; NULL: none */
    int epoch;
    struct stage *next;
};
/* How a packed weight is made from a parameter: element [i0, i1, ...] of the packed array comes from a flat index of the parameter or is 0. */
enum pack_kind {
    PACK_PANELS, /* conv, linear [O, I/g, kh, kw] -> [O blocks][I' ][kh][kw]... see weights/pack.c */
    PACK_SPREAD,
    PACK_WINOGRAD, /* [O, I/g, 3, 3] -> [O blocks][points][I blocks][16][16] */
    PACK_VECTOR, /* [C] -> [blocks * 16], pad lanes zero */
    PACK_TURNED, /* [O, I] -> [I, O], padded as a plain one */
    PACK_PLAIN   /* row-major, padded to a multiple of 16 */
};
struct pack {
    struct param *param; /* NULL: zeros (a convolution without bias) */
    enum pack_kind kind;
    struct layout in, out; /* of the node's input and output: segments and blocks */
    int64_t groups;
    const struct node *node; /* the convolution or linear layer; NULL for the others */
    struct memory *memory;
    const struct node *layer; /* that reads it; NULL in programs that were read from text */
    int rank;                 /* of the packed array */
    int64_t dim[MAX_BUFFER_RANK];
};
/* A value that no call makes: parts, or the whole, of what calls wrote. For --dump; not in the text. */
struct program_view {
    const struct node *node;
    struct argument place;
    const char *comment; /* as a call's */
    int after;           /* it is whole once so many calls are done */
};
struct program {
    struct arena *arena;
    const struct graph *graph;
    const struct target *target;
    struct kernel **kernel;
    size_t n_kernel, cap_kernel;
    struct memory **memory; /* workspace storages, inputs, outputs */
    size_t n_memory, cap_memory;
    struct pack *pack;      /* the weights, in the order of the blob */
    size_t n_pack, cap_pack;
    struct program_view *view;
    size_t n_view, cap_view;
    struct stage *stage;
    int n_epoch;
    int64_t workspace_bytes, weights_bytes;
    int batch;
};

/* ---- loop.c: building kernels. Statements go to the innermost open block. ---- */
struct builder {
    struct arena *arena;
    struct kernel *kernel;
    struct stmt **tail[64]; /* where the next statement of each open block goes */
    int depth;
};
struct builder kernel_begin(struct arena *, const char *name);
struct kernel *kernel_end(struct builder *); /* all blocks must be closed */
struct buffer *kernel_buffer(struct builder *, enum direction, const char *name, int rank, const int64_t *dim);
int64_t buffer_bytes(const struct buffer *);
struct var *kernel_task(struct builder *, const char *name, int64_t n);
struct var *loop_begin(struct builder *, enum var_kind, const char *name, int64_t lo, int64_t hi); /* for or unroll */
void if_begin(struct builder *, struct affine, int64_t lo, int64_t hi);
void block_end(struct builder *); /* of a loop or an if */
/* A variable that takes its value from n numbers (kept, not copied): what no affine form says, such as the row that is nearest. */
struct var *emit_table(struct builder *, const char *name, struct affine at, const int64_t *number, int64_t n);
struct reg *emit_reg(struct builder *, const char *name, struct vtype, int rank, const int64_t *dim);
void emit_set(struct builder *, struct reg_ref, struct expr *);
struct expr *emit_let(struct builder *, const char *name, struct expr *); /* returns a use of it */
struct stmt *emit_store(struct builder *, struct element_ref, struct expr *, int lanes); /* alignment is worked out */
void emit_prefetch(struct builder *, struct element_ref, int level);
void emit_transpose(struct builder *, struct reg *); /* lane l of vector v and lane v of vector l change places */
void emit_fence(struct builder *);
void emit_comment(struct builder *, const char *text);
struct element_ref at(struct buffer *, ...); /* rank affines follow: at(x, ib, iy, ix, i) */
struct reg_ref reg_at(struct reg *, ...);    /* rank affines follow */
/* A word that may name a kernel, buffer, variable or register: letters, digits, _, and no word of loop IR. */
bool loop_name_is_valid(const char *);
const char *vop_name(enum vop);
bool ref_is_aligned(const struct element_ref *, int lanes); /* provably at a multiple of the vector's bytes, if its buffer starts at a multiple of 64 */
struct expr *expr_load(struct builder *, int lanes, struct element_ref);   /* alignment is worked out from offset and coefficients */
/* The first `count` lanes, and `fill` behind them: nothing is read there. */
struct expr *expr_load_some(struct builder *, int lanes, struct element_ref, int count, double fill);
/* Lane l is element l mod n, which divides the lanes or is a multiple of them. */
struct expr *expr_load_repeated(struct builder *, int lanes, struct element_ref, int n);
struct expr *expr_splat(struct builder *, int lanes, struct element_ref);
/* What a pick takes for lane l, less its e: a * group, the group being (l + base) / b; lanes behind the last whole group of a block
 * of 16 stay with that group, so that no lane leaves the block. */
int64_t pick_lane(const struct expr *, int64_t l);
struct expr *expr_pick(struct builder *, int lanes, struct element_ref, int64_t a, int64_t b, int64_t base, struct affine e);
struct expr *expr_reg(struct builder *, struct reg_ref);
struct expr *expr_lane(struct builder *, struct reg_ref, struct affine lane); /* lane: of unrolled variables */
struct expr *expr_const(struct builder *, int lanes, double);
struct expr *expr_op(struct builder *, enum vop, struct expr *a, struct expr *b, struct expr *c); /* NULLs past the arity */

/* ---- loop_text.c ---- */
void kernel_print(struct text *, const struct kernel *);
const char *element_ref_text(struct arena *, const struct element_ref *); /* "x[ib, 4r + q, 0]" */
const char *reg_ref_text(struct arena *, const struct reg_ref *);
void program_print(struct text *, const struct program *); /* kernels, memory, weights, forward */
/* The text of a kernel with its name left out, buffers and variables renamed by order: equal text is one function. */
const char *kernel_canonical(struct arena *, const struct kernel *);

/* ---- loop_read.c: NULL after diagnostics ---- */
struct kernel *kernel_read(struct arena *, struct diags *, int file);   /* a file that holds one kernel */
struct program *program_read(struct arena *, struct diags *, int file); /* what program_print writes; packs know only their memory */

/* ---- access.c: every load and store of a kernel with the loops and guards around it ---- */
struct range { /* [lo, hi) */
    int64_t lo, hi;
};
struct scope { /* the kernel itself (depth 0), a loop, or a guard */
    const struct scope *up;
    const struct stmt *stmt; /* NULL: the kernel */
    int depth;
    struct range *range;     /* by var id, narrowed by the guards up to here */
    bool dead;               /* inside a guard that never holds */
};
struct access {
    const struct element_ref *ref;
    int width;               /* neighbours along the last dimension */
    bool is_store;
    const struct stmt *stmt; /* that it stands in */
    const struct expr *expr; /* NULL: a store */
    const struct scope *scope;
};
struct accesses { /* in the order of the text; prefetches are none, nor is what stands in dead guards */
    struct arena *arena;
    const struct kernel *kernel;
    struct access *at;
    size_t count, capacity;
    int *level;              /* by var id: depth of the loop's scope, 0 for tasks */
    bool *used;              /* scratch, by var id */
};
struct accesses kernel_accesses(struct arena *, const struct kernel *); /* of a kernel whose names and sizes were verified */
/* Least and greatest value of a form under the loops and guards. */
void scope_range(const struct scope *, struct affine, int64_t *least, int64_t *greatest);
/* The elements of an access as a box, the loops outside of depth `fixed` (-1: none, not even tasks) standing still: dimension d is
 * fixed[d] + [lo, hi) where the result lies in [clip_lo, clip_hi). False and a reason if the subscripts are no mixed-radix
 * digits or a guard cuts no box. With `once`, for stores: false too if an element would be met twice, but gaps are allowed; then
 * met[d][i] says whether lo + i is met (NULL: all of them are). */
struct box {
    struct affine fixed[MAX_BUFFER_RANK];
    int64_t lo[MAX_BUFFER_RANK], hi[MAX_BUFFER_RANK];
    int64_t clip_lo[MAX_BUFFER_RANK], clip_hi[MAX_BUFFER_RANK];
    bool *met[MAX_BUFFER_RANK];
};
bool access_box(const struct accesses *, const struct access *, int fixed, bool once, struct box *, const char **why);
/* Whether all that `inner` meets is met by `outer` in the same turn of the loops around both. */
bool access_covered(const struct accesses *, const struct access *inner, const struct access *outer);

/* ---- loop_verify.c: the rules are listed at its top ---- */
bool kernel_verify(struct diags *, const struct kernel *);
void registers_verify(struct diags *, const struct kernel *); /* its rule 3; names and sizes were verified */
bool program_verify(struct diags *, const struct program *); /* program_verify.c: calls, memory, epochs, data races between tasks */

/* ---- footprint.c ---- */
/* What one task reads or writes of a buffer: per dimension an interval whose ends are affine in the tasks (step per task). */
struct footprint {
    bool touched, exact; /* exact: the box is all written */
    int64_t lo[MAX_BUFFER_RANK], hi[MAX_BUFFER_RANK];      /* for task 0, [lo, hi) */
    int64_t step[MAX_BUFFER_RANK][MAX_TASKS];              /* added per task index; lo and hi move alike */
    int64_t all_lo[MAX_BUFFER_RANK], all_hi[MAX_BUFFER_RANK]; /* over all tasks */
    /* Writes only: a box inside, moving with the same steps, whose elements in [sure_all_lo, sure_all_hi) the task surely
     * writes. Differs from lo, hi where the first and last tasks also write a border. */
    bool sure;
    int64_t sure_lo[MAX_BUFFER_RANK], sure_hi[MAX_BUFFER_RANK];
    int64_t sure_all_lo[MAX_BUFFER_RANK], sure_all_hi[MAX_BUFFER_RANK];
};
struct footprint kernel_reads(const struct kernel *, const struct buffer *);
struct footprint kernel_writes(const struct kernel *, const struct buffer *);
/* The bytes of a buffer that all tasks together load (or store), each counted once: the positions met in each dimension,
 * multiplied. So the rows and columns that a stride skips do not count; of a block of channels, which is a cache line
 * at most, all lanes do. */
int64_t kernel_touches(const struct kernel *, const struct buffer *, bool stores);
/* The memory for whose sake the second call, in a later place of the same stage or in a later stage of the same epoch, needs a barrier
 * before it; NULL: none. The rule is conservative. parallelise asks it and program_verify checks with it. */
const struct memory *calls_conflict(const struct program *, const struct stage *, const struct call *, const struct stage *, const struct call *);
const struct memory *stages_conflict(const struct program *, const struct stage *earlier, const struct stage *later);

/* ---- loop_eval.c: the interpreter of one task. data[i]: the floats of buffer i. A caller that fills unwritten memory with LOOP_POISON
 * is told when it is read; an access outside of its buffer fails too. False after a diagnostic. ---- */
#define LOOP_POISON UINT32_C(0xffffffff) /* the bits of a NaN that no arithmetic makes; memset(p, 0xff, bytes) writes it */
bool kernel_eval(struct diags *, const struct kernel *, float *const *data, const int64_t *task);

/* ---- passes over the program ---- */
bool share_kernels(struct program *, struct pass_context *);
bool parallelise(struct program *, struct pass_context *);
bool plan_buffers(struct program *, struct pass_context *);

#endif
