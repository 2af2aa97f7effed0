/* The kit of the lowerings: covering an extent with tiles, arguments with their place in memory, epilogues, borders.
 * A lowering adds its reduction; tails and epilogues are written here once. */
#include <assert.h>
#include <string.h>

#include "lower/lower.h"

struct cover cover(int64_t extent, int64_t tile)
{
    int64_t tiles = (extent + tile - 1) / tile, size = (extent + tiles - 1) / tiles;
    int64_t n_less = tiles * size - extent;
    return (struct cover){tiles - n_less, size, n_less};
}

struct vtype vector(int lanes)
{
    return (struct vtype){.element = ELEMENT_F32, .lanes = lanes};
}

struct expr *zero_of(struct lowering *l, int lanes)
{
    return expr_const(&l->build, lanes, 0);
}

const char *fresh(struct lowering *l, const char *name)
{
    int i = 0;
    name = intern(name);
    while (i < l->n_name && l->name[i].name != name)
        i++;
    if (i == l->n_name) {
        assert(i < (int)LENGTH(l->name));
        l->name[l->n_name++].name = name;
        l->name[i].times = 0;
    }
    int n = ++l->name[i].times;
    return n == 1 ? name : intern_printf("%s%d", name, n);
}

struct affine loop(struct lowering *l, enum var_kind kind, const char *name, int64_t n)
{
    if (n == 1)
        return affine_const(0);
    return affine_var(loop_begin(&l->build, kind, name, 0, n), 1);
}

void end(struct lowering *l, struct affine opened)
{
    if (opened.n)
        block_end(&l->build);
}

/* ---- arguments ---- */

static int64_t block_bytes(const struct node *v)
{
    struct layout y = v->type.layout;
    if (y.kind != LAYOUT_BLOCKS)
        return BLOCK * 4; /* a part of [C,1,1] taken as plain */
    return (v->type.shape.dim[1] + 2 * y.halo) * (v->type.shape.dim[2] + 2 * y.halo) * y.block * 4;
}

struct argument value_place(const struct program *p, const struct node *value)
{
    for (size_t i = 0; value->storage && i < p->n_memory; i++)
        if (p->memory[i]->id == value->storage->id)
            return (struct argument){p->memory[i], value->lead * block_bytes(value)};
    return (struct argument){0};
}

static struct buffer *declare(struct lowering *l, enum direction dir, const char *name, int rank, const int64_t *dim,
                              struct argument a)
{
    l->arg[l->build.kernel->n_buffer] = a;
    return kernel_buffer(&l->build, dir, name, rank, dim);
}

struct buffer *use_value(struct lowering *l, enum direction dir, const char *name, const struct node *v)
{
    struct argument a = value_place(l->program, v);
    struct layout y = v->type.layout;
    if (y.kind == LAYOUT_PLAIN) {
        int64_t dim[3] = {(shape_elements(v->type.shape) + BLOCK - 1) / BLOCK, 1, BLOCK};
        return declare(l, dir, name, 3, dim, a);
    }
    int64_t h = v->type.shape.dim[1], w = v->type.shape.dim[2];
    if (l->flat && !y.halo)
        return declare(l, dir, name, 3, (int64_t[]){layout_blocks(v->type), h * w, y.block}, a);
    return declare(l, dir, name, 4, (int64_t[]){layout_blocks(v->type), h + 2 * y.halo, w + 2 * y.halo, y.block}, a);
}

struct buffer *use_halves(struct lowering *l, enum direction dir, const char *name, const struct node *v)
{
    return declare(l, dir, name, 2, (int64_t[]){2, layout_blocks(v->type) / 2 * BLOCK}, value_place(l->program, v));
}

struct buffer *use_rows(struct lowering *l, enum direction dir, const char *name, const struct node *v)
{
    int64_t one = 1;
    bool scalar = v->type.shape.rank == 0;
    struct argument a = value_place(l->program, v);
    return declare(l, dir, name, scalar ? 1 : v->type.shape.rank, scalar ? &one : v->type.shape.dim, a);
}

struct buffer *use_weights(struct lowering *l, const char *name, struct pack pack, int rank, const int64_t *dim)
{
    struct program *p = l->program;
    int64_t elements = 1;
    for (int i = 0; i < rank; i++)
        elements *= dim[i];
    pack.layer = l->node;
    pack.rank = rank;
    memcpy(pack.dim, dim, sizeof *dim * (size_t)rank);
    pack.memory = NEW(p->arena, struct memory);
    *pack.memory =
        (struct memory){.name = pack.param ? pack.param->name : arena_printf(p->arena, "%s.zeros", l->node->name),
                        .kind = MEMORY_WEIGHTS,
                        .bytes = elements * 4,
                        .offset = p->weights_bytes,
                        .id = -1};
    p->weights_bytes += (elements * 4 + 63) / 64 * 64;
    PUSH(p->arena, p->pack, p->n_pack, p->cap_pack, pack);
    return declare(l, DIR_IN, name, rank, dim, (struct argument){pack.memory, 0});
}

struct memory *scratch_memory(struct lowering *l, const char *what, int64_t bytes)
{
    struct program *p = l->program;
    struct memory *m = NEW(p->arena, struct memory);
    *m = (struct memory){.name = arena_printf(p->arena, "%s.%s", l->node->name, what),
                         .kind = MEMORY_WORKSPACE,
                         .bytes = bytes,
                         .id = (int)p->graph->n_node + l->node->id, /* no storage's */
                         .first = -1,
                         .last = -1,
                         .per_image = true,
                         .layout = arena_printf(p->arena, "f32[%lld]", (long long)bytes / 4)};
    PUSH(p->arena, p->memory, p->n_memory, p->cap_memory, m);
    return m;
}

struct buffer *use_memory(struct lowering *l, enum direction dir, const char *name, struct memory *m, int rank,
                          const int64_t *dim)
{
    return declare(l, dir, name, rank, dim, (struct argument){m, 0});
}

bool same_place(const struct node *a, const struct node *b)
{
    return a->storage == b->storage && a->lead == b->lead && shape_equal(a->type.shape, b->type.shape);
}

void use_result(struct lowering *l)
{
    struct node *n = l->node;
    bool in_place = false;
    for (int i = 0; i < n->n_epilogue; i++)
        if (n->epilogue[i].operand && same_place(n->epilogue[i].operand, n))
            in_place = true;
    for (int i = 0; i < n->n_epilogue; i++) {
        struct node *o = n->epilogue[i].operand;
        if (o && !node_is_number(o) && !same_place(o, n))
            l->operand[i] = use_value(l, DIR_IN, arena_printf(l->build.arena, "e%d", i), o);
    }
    l->out = use_value(l, in_place ? DIR_INOUT : DIR_OUT, "y", n);
    for (int i = 0; i < n->n_epilogue; i++)
        if (n->epilogue[i].operand && same_place(n->epilogue[i].operand, n))
            l->operand[i] = l->out;
}

/* ---- results ---- */

static struct element_ref position(struct buffer *b, int halo, struct affine block, struct affine y, struct affine x,
                                   struct affine lane)
{
    if (b->rank == 3)
        return at(b, block, x, lane);
    return at(b, block, affine_plus(y, halo), affine_plus(x, halo), lane);
}

struct element_ref result_at(struct lowering *l, struct buffer *b, struct affine block, struct affine y,
                             struct affine x, struct affine lane)
{
    return position(b, l->node->type.layout.halo, block, y, x, lane);
}

/* The operand's vector at a position of the result: the same place, or its only one. */
static struct expr *operand_value(struct lowering *l, int i, struct affine block, struct affine y, struct affine x,
                                  struct affine lane, int lanes)
{
    const struct node *o = l->node->epilogue[i].operand;
    if (node_is_number(o))
        return expr_const(&l->build, lanes, o->value[0]);
    bool whole = shape_equal(o->type.shape, l->node->type.shape);
    struct affine oy = whole ? y : l->zero, ox = whole ? x : l->zero;
    return expr_load(&l->build, lanes, position(l->operand[i], o->type.layout.halo, block, oy, ox, lane));
}

void fetch_operands(struct lowering *l, struct affine block, struct affine y, struct affine x)
{
    for (int i = 0; i < l->node->n_epilogue; i++) {
        const struct node *o = l->node->epilogue[i].operand;
        if (o && shape_equal(o->type.shape, l->node->type.shape))
            emit_prefetch(&l->build, position(l->operand[i], o->type.layout.halo, block, y, x, l->zero), 1);
    }
}

struct expr *apply_epilogues(struct lowering *l, struct expr *value, struct affine block, struct affine y,
                             struct affine x, struct affine lane, int lanes)
{
    for (int i = 0; i < l->node->n_epilogue; i++) {
        const struct epilogue *e = &l->node->epilogue[i];
        switch (e->op) {
        case OP_relu: value = expr_op(&l->build, VOP_relu, value, NULL, NULL); break;
        case OP_sigmoid: value = expr_op(&l->build, VOP_sigmoid, value, NULL, NULL); break;
        case OP_silu: value = expr_op(&l->build, VOP_silu, value, NULL, NULL); break;
        default:
            value = expr_op(&l->build, e->op == OP_add ? VOP_add : VOP_mul, value,
                            operand_value(l, i, block, y, x, lane, lanes), NULL);
        }
    }
    return value;
}

void store_result(struct lowering *l, struct affine block, struct affine y, struct affine x, struct affine lane,
                  struct expr *value, int lanes)
{
    value = apply_epilogues(l, value, block, y, x, lane, lanes);
    emit_store(&l->build, result_at(l, l->out, block, y, x, lane), value, lanes);
}

/* ---- borders ---- */

static void zero_at(struct lowering *l, struct affine block, struct affine row, struct affine column)
{
    int block_size = l->node->type.layout.block, lanes = block_size % l->lanes ? 1 : l->lanes;
    struct affine v = loop(l, VAR_UNROLL, "hv", block_size / lanes);
    emit_store(&l->build, at(l->out, block, row, column, affine_scale(v, lanes)), zero_of(l, lanes), lanes);
    end(l, v);
}

/* Columns [0, halo) and [halo + W, W + 2 halo) of the rows that the task computes. */
static void zero_sides(struct lowering *l, struct affine block, struct affine first, int64_t rows)
{
    int halo = l->node->type.layout.halo;
    int64_t width = l->node->type.shape.dim[2];
    struct affine q = loop(l, VAR_FOR, "hq", rows);
    for (int side = 0; side < 2; side++) {
        struct affine x = loop(l, VAR_FOR, "hx", halo);
        zero_at(l, block, affine_plus(affine_add(first, q), halo), affine_plus(x, side ? halo + width : 0));
        end(l, x);
    }
    end(l, q);
}

static void zero_rows(struct lowering *l, struct affine block, int64_t first)
{
    int halo = l->node->type.layout.halo;
    struct affine y = loop(l, VAR_FOR, "hy", halo);
    struct affine x = loop(l, VAR_FOR, "hx", l->node->type.shape.dim[2] + 2 * halo);
    zero_at(l, block, affine_plus(y, first), x);
    end(l, x);
    end(l, y);
}

void store_border(struct lowering *l, struct affine block, int64_t blocks, struct affine first, int64_t rows,
                  bool above, bool below, const struct affine *band)
{
    int halo = l->node->type.layout.halo;
    if (!halo || l->out->dir == DIR_INOUT)
        return;
    emit_comment(&l->build, "border");
    struct affine b = loop(l, VAR_FOR, "hb", blocks), at_block = affine_add(block, b);
    zero_sides(l, at_block, first, rows);
    if (above && band)
        if_begin(&l->build, *band, 0, 1);
    if (above)
        zero_rows(l, at_block, 0);
    if (above && band)
        block_end(&l->build);
    if (below)
        zero_rows(l, at_block, halo + l->node->type.shape.dim[1]);
    end(l, b);
}

void store_halo(struct lowering *l, struct affine block, int64_t blocks, struct affine band, int64_t bands,
                int64_t rows)
{
    int halo = l->node->type.layout.halo;
    if (!halo || l->out->dir == DIR_INOUT)
        return; /* in place: the border is zero already */
    int64_t height = l->node->type.shape.dim[1];
    emit_comment(&l->build, "border");
    struct affine b = loop(l, VAR_FOR, "hb", blocks);
    struct affine at_block = affine_add(block, b);
    zero_sides(l, at_block, affine_scale(band, rows), rows);
    for (int edge = 0; edge < 2; edge++) {
        if (bands > 1)
            if_begin(&l->build, band, edge ? bands - 1 : 0, edge ? bands : 1);
        zero_rows(l, at_block, edge ? halo + height : 0);
        if (bands > 1)
            block_end(&l->build);
    }
    end(l, b);
}
