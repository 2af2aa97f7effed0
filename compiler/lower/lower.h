/* From scheduled graph IR to loop IR. A lowering builds the nest of one family of operators from the schedule, the way a
 * micro-kernel is designed by hand; nest.c is the kit they share (tiles, epilogues, borders, arguments). Nothing here chooses: what
 * can be chosen stands in the schedule.
 *
 * The schedule (struct schedule) of a node:
 *   direct   rows x cols x channels is the register tile. rows = 0: the map is taken as one row of positions (1 x 1 convolutions).
 *            band: output rows a task; chunk: tiles of channels a task, of whole groups or of a part of one.
 *   spread   the same; channels is one vector; chunk counts blocks.
 *   winograd rows: outputs a side of a tile; cols tiles x channels is the register tile; band: rows of tiles; see winograd.c.
 *   local    cols x channels is the register tile: its blocks are those that use the same weights; chunk: blocks a task, in which those
 *            of all weights are whole.
 *   each     rows x cols is the register tile: kernels x columns; a task is a row of the result of one block.
 *   others   band: output rows a task; chunk: blocks a task.
 */
#ifndef NETC_LOWER_H
#define NETC_LOWER_H

#include "graph/graph.h"
#include "loop/loop.h"
#include "targets/target.h"

enum { BLOCK = 16 };

/* The numbers that schedule, lowering and packing of a convolution share. A linear layer is one of 1 x 1 on a map of 1 x 1. */
struct conv_dims {
    int64_t groups, ic, oc; /* channels a group */
    int64_t ih, iw, oh, ow;
    int64_t kh, kw, sy, sx, dy, dx; /* kernel, stride, dilation */
    int64_t py, px; /* first input row and column of tap 0 inside the bordered map: halo - pad */
    int64_t ib, ob; /* blocks of input and output channels a group (ib: of what the reduction walks) */
    int64_t block; /* channels a block of the input: 16, or the pixels' own number */
    int64_t lanes_in; /* > 0: groups share an input block, this many channels each */
    bool flat; /* may be taken as one row of positions */
};
struct conv_dims conv_dims(const struct node *);

/* ---- graph/schedule_space.c: which schedules a node can have. A row of its table an algorithm ---- */
struct schedules {
    struct schedule *at;
    size_t n;
};
bool schedule_is_tuned(enum algorithm); /* it has a row */
/* NULL: the lowering takes it. Else why not; with arena NULL, any text. */
const char *schedule_fault(struct arena *, const struct node *, const struct target *, const struct schedule *);
/* All that make about as many tasks as the node's own schedule does, those that are likely, and near `near`, first; `near` itself, too. */
struct schedules schedule_candidates(struct arena *, const struct node *, const struct target *,
                                     const struct schedule *near);
bool schedule_equal(const struct schedule *, const struct schedule *);
/* Of a direct convolution: lines that each block of inputs fetches of the next tile's weights, so that all are there in time. */
int64_t stream_lines(const struct schedule *, const struct conv_dims *);

/* ---- local_conv.c: how the weights of a local convolution lie ---- */
int64_t local_kernels(const struct node *); /* a tap, one behind the other; 0: blocks of weights */
int64_t local_period(const struct node *); /* every how many blocks of channels use the same weights */

/* ---- nest.c: the kit ---- */
struct argument value_place(const struct program *, const struct node *value); /* where it lies; memory NULL: nowhere */
struct lowering {
    struct program *program;
    const struct target *target;
    struct node *node;
    struct builder build;
    struct argument arg[MAX_BUFFERS];
    int lanes, vectors; /* f32 in a register; registers a block */
    struct affine zero;
    struct buffer *out;
    struct buffer *operand[MOST_EPILOGUES]; /* of the epilogues, in order; `out` itself where the sum is made in place */
    bool flat;
    struct {
        const char *name;
        int times;
    } name[64]; /* registers declared so far: see fresh() */
    int n_name;
    struct stage *stage, **tail; /* of the kernels that are done */
};

static inline int64_t least_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline double most_of(double a, double b)
{
    return a > b ? a : b;
}

/* The largest number of units a task, a divisor, so that there are enough tasks: graph/choose_schedule.c. */
int64_t choose_chunk(int64_t units, int64_t wanted);

/* Extents cut into `n` tiles of `size` and then `n_less` of size - 1: as even as it gets. */
struct cover {
    int64_t n, size, n_less;
};
struct cover cover(int64_t extent, int64_t tile);

struct buffer *use_value(struct lowering *, enum direction, const char *name, const struct node *value);
/* [2C,1,1] as [2, C], with the pad lanes of both halves. */
struct buffer *use_halves(struct lowering *, enum direction, const char *name, const struct node *value);
struct buffer *use_rows(struct lowering *, enum direction, const char *name,
                        const struct node *value); /* plain, row-major */
struct buffer *use_weights(struct lowering *, const char *name, struct pack, int rank, const int64_t *dim);
/* Memory of the node's own, from one of its kernels to the next. */
struct memory *scratch_memory(struct lowering *, const char *what, int64_t bytes);
struct buffer *use_memory(struct lowering *, enum direction, const char *name, struct memory *, int rank,
                          const int64_t *dim);
/* A node of several kernels: what was built so far is one, called before the next. What it writes is not the node's value. */
void next_kernel(struct lowering *, struct kernel *, const char *call_comment);
/* Does the operand of an epilogue lie where the result will, so that the sum is made in place? */
bool same_place(const struct node *, const struct node *);
/* Declares the buffers of the node's result and of its epilogues' operands. */
void use_result(struct lowering *);

/* A loop, or the constant lo where it would turn once. Close with end(). */
struct affine loop(struct lowering *, enum var_kind, const char *name, int64_t n);
void end(struct lowering *, struct affine opened);

/* The name, or with a number behind if the kernel has a register of that name already: loops of one turn open no scope. */
const char *fresh(struct lowering *, const char *name);

struct vtype vector(int lanes);
struct expr *zero_of(struct lowering *, int lanes);
/* The node's epilogues applied to a value of `lanes` channels at (block, y, x, lane) of the result; without borders. */
struct expr *apply_epilogues(struct lowering *, struct expr *, struct affine block, struct affine y, struct affine x,
                             struct affine lane, int lanes);
/* Asks for what they will read there. */
void fetch_operands(struct lowering *, struct affine block, struct affine y, struct affine x);
void store_result(struct lowering *, struct affine block, struct affine y, struct affine x, struct affine lane,
                  struct expr *, int lanes);
/* Zeros around rows [first, first + rows) of blocks [block, block + blocks) of the result, the border's rows where the band touches it. */
void store_halo(struct lowering *, struct affine block, int64_t blocks, struct affine band, int64_t bands,
                int64_t rows);
/* The same for rows [first, first + rows) where bands are not alike; the rows above or below the map, too, if asked for
 * (those above by band 0 alone, if there are several like this one). */
void store_border(struct lowering *, struct affine block, int64_t blocks, struct affine first, int64_t rows, bool above,
                  bool below, const struct affine *band);
struct element_ref result_at(struct lowering *, struct buffer *, struct affine block, struct affine y, struct affine x,
                             struct affine lane);

/* ---- the lowerings ---- */
struct kernel *lower_direct(struct lowering *);
struct kernel *lower_spread(struct lowering *);
struct kernel *lower_winograd(struct lowering *);
struct kernel *lower_local(struct lowering *);
struct kernel *lower_each(struct lowering *);
struct kernel *lower_pool(struct lowering *);
struct kernel *lower_global_pool(struct lowering *);
struct kernel *lower_moments(struct lowering *);
struct kernel *lower_group_scale(struct lowering *);
struct kernel *lower_map(struct lowering *);
struct kernel *lower_convert(struct lowering *);
struct kernel *lower_generic(struct lowering *);

/* ---- names.c ---- */
const char *kernel_name(struct arena *, const struct node *, const struct target *);
const char *kernel_comment(struct arena *, const struct node *);
const char *call_comment(struct arena *, const struct node *);
const char *view_comment(struct arena *, const struct node *);

/* ---- program.c: the whole graph; stages one a kernel, in the order of the nodes ---- */
struct program *lower(struct graph *, struct pass_context *);
/* One node, as its schedule says: appends to the program's kernels and packs. Its stages, in order. */
struct stage *lower_node(struct program *, struct node *, const struct target *);

#endif
