/* Transposition in register tiles: as many vectors as lanes are loaded along one axis, change rows and columns among each other
 * (`transpose` of loop IR), and are stored along the other. What permute does to tensors, and conversion between rows and blocks of
 * channels, where a row's axis is the position's and a block's the channel's.
 *
 * Axes need be no multiple of the lanes: of the last tile parts of vectors are loaded and stored. Plain rows may be the caller's, which are
 * at no multiple of anything, so their side is never said to be aligned.
 */
#include "lower/turn.h"

static struct element_ref moved_by(struct element_ref ref, int axis, struct affine by)
{
    ref.at[axis] = affine_add(ref.at[axis], by);
    return ref;
}

/* One tile: rows and columns are at most the lanes. */
static void tile(struct lowering *l, const struct turn *t, struct affine row, struct affine column, int64_t rows,
                 int64_t columns)
{
    struct builder *b = &l->build;
    int64_t lanes = l->lanes, stored = t->fill ? lanes : rows;
    int from_last = t->from.buffer->rank - 1, to_last = t->to.buffer->rank - 1;
    struct element_ref from = moved_by(moved_by(t->from, t->from_axis, row), from_last, column),
                       to = moved_by(moved_by(t->to, t->to_axis, column), to_last, row);
    struct reg *v = emit_reg(b, fresh(l, "t"), vector(l->lanes), 1, &lanes);
    struct affine i = loop(l, VAR_UNROLL, "i", rows);
    struct expr *x = t->blocked ? expr_load(b, l->lanes, moved_by(from, t->from_axis, i))
                                : expr_load_some(b, l->lanes, moved_by(from, t->from_axis, i), (int)columns, 0);
    x->aligned = x->aligned && t->blocked;
    emit_set(b, reg_at(v, i), x);
    end(l, i);
    if (rows < lanes) {
        i = loop(l, VAR_UNROLL, "i", lanes - rows);
        emit_set(b, reg_at(v, affine_plus(i, rows)), zero_of(l, l->lanes));
        end(l, i);
    }
    if (lanes > 1)
        emit_transpose(b, v);
    struct affine j = loop(l, VAR_UNROLL, "j", columns);
    struct stmt *store = emit_store(b, moved_by(to, t->to_axis, j), expr_reg(b, reg_at(v, j)), (int)stored);
    store->aligned = store->aligned && t->fill;
    end(l, j);
}

/* A column of tiles, then what is left below it. */
static void down(struct lowering *l, const struct turn *t, struct affine column, int64_t columns)
{
    int64_t whole = t->rows / l->lanes, rest = t->rows % l->lanes;
    if (whole) {
        struct affine r = loop(l, VAR_FOR, "tr", whole);
        tile(l, t, affine_scale(r, l->lanes), column, l->lanes, columns);
        end(l, r);
    }
    if (rest)
        tile(l, t, affine_const(whole * l->lanes), column, rest, columns);
}

void turn(struct lowering *l, const struct turn *t)
{
    int64_t whole = t->columns / l->lanes, rest = t->columns % l->lanes;
    if (whole) {
        struct affine c = loop(l, VAR_FOR, "tc", whole);
        down(l, t, affine_scale(c, l->lanes), l->lanes);
        end(l, c);
    }
    if (rest)
        down(l, t, affine_const(whole * l->lanes), rest);
}

/* ---- rows and blocks of channels ---- */

struct sides {
    struct buffer *rows, *blocks;
    bool to_blocks, flat;
    int halo;
    int64_t columns; /* positions along a row, or of the band */
    struct affine position, y; /* flat: first position; else the row */
};

static struct element_ref row_at(const struct sides *s, struct affine channel)
{
    struct affine zero = affine_const(0);
    return s->flat ? at(s->rows, channel, s->position) : at(s->rows, channel, s->y, zero);
}

static struct element_ref block_at(const struct sides *s, struct affine block, struct affine lane)
{
    return s->flat ? at(s->blocks, block, s->position, lane)
                   : at(s->blocks, block, affine_plus(s->y, s->halo), affine_const(s->halo), lane);
}

/* `channels` channels of one block, of which `lanes` from `lane` on; the pad lanes of a block become zero. */
static void part_of_block(struct lowering *l, const struct sides *s, struct affine block, struct affine channel,
                          struct affine lane, int64_t channels)
{
    int position = s->flat ? 1 : 2;
    struct element_ref rows = row_at(s, affine_add(channel, lane)), blocks = block_at(s, block, lane);
    if (s->to_blocks && channels == 0) {
        struct affine x = loop(l, VAR_FOR, "ix", s->columns);
        emit_store(&l->build, moved_by(blocks, position, x), zero_of(l, l->lanes), l->lanes);
        end(l, x);
    } else if (s->to_blocks) {
        turn(l, &(struct turn){.from = rows,
                               .to = blocks,
                               .to_axis = position,
                               .rows = channels,
                               .columns = s->columns,
                               .fill = true});
    } else if (channels) {
        turn(l, &(struct turn){.from = blocks,
                               .to = rows,
                               .from_axis = position,
                               .rows = s->columns,
                               .columns = channels,
                               .blocked = true});
    }
}

static void some_blocks(struct lowering *l, const struct sides *s, struct affine first, struct affine channel,
                        int64_t blocks, int64_t channels)
{
    if (!blocks || !channels)
        return;
    struct affine o = loop(l, VAR_FOR, "o", blocks), block = affine_add(first, o);
    channel = affine_add(channel, affine_scale(o, BLOCK));
    if (channels == BLOCK) {
        struct affine u = loop(l, VAR_FOR, "u", l->vectors);
        part_of_block(l, s, block, channel, affine_scale(u, l->lanes), l->lanes);
        end(l, u);
    } else {
        for (int64_t lane = 0; lane < BLOCK; lane += l->lanes) {
            int64_t left = channels - lane;
            part_of_block(l, s, block, channel, affine_const(lane), left < 0 ? 0 : least_of(left, l->lanes));
        }
    }
    end(l, o);
}

/* Segments of `full` whole blocks and a last one of `rest` channels, then `left` channels. */
static void all_blocks(struct lowering *l, const struct sides *s, const struct node *blocked)
{
    struct layout y = blocked->type.layout;
    int64_t channels = blocked->type.shape.dim[0], seg = y.seg ? y.seg : channels;
    int64_t full = seg / BLOCK, rest = seg % BLOCK, a_seg = full + (rest > 0), segments = channels / seg,
            left = channels % seg;
    struct affine k = loop(l, VAR_FOR, "s", segments), first = affine_scale(k, a_seg), channel = affine_scale(k, seg);
    some_blocks(l, s, first, channel, full, BLOCK);
    some_blocks(l, s, affine_plus(first, full), affine_plus(channel, full * BLOCK), 1, rest);
    end(l, k);
    first = affine_const(segments * a_seg);
    channel = affine_const(segments * seg);
    some_blocks(l, s, first, channel, left / BLOCK, BLOCK);
    some_blocks(l, s, affine_plus(first, left / BLOCK), affine_plus(channel, left / BLOCK * BLOCK), 1, left % BLOCK);
}

/* Rows of a map, or all of them as one where no border is between them. */
static void flatten(struct sides *s, int64_t h, int64_t w)
{
    s->rows->rank = 2;
    s->rows->dim[1] = h * w;
    s->blocks->rank = 3;
    s->blocks->dim[1] = h * w;
    s->blocks->dim[2] = BLOCK;
}

void turn_blocks(struct lowering *l, bool to_blocks)
{
    struct node *n = l->node, *v = n->in[0];
    const struct node *blocked = to_blocks ? n : v;
    struct sides s = {.to_blocks = to_blocks, .halo = blocked->type.layout.halo};
    struct buffer *from = to_blocks ? use_rows(l, DIR_IN, "x", v) : use_value(l, DIR_IN, "x", v);
    struct buffer *to = l->out = to_blocks ? use_value(l, DIR_OUT, "y", n) : use_rows(l, DIR_OUT, "y", n);
    s.rows = to_blocks ? from : to;
    s.blocks = to_blocks ? to : from;
    s.flat = s.halo == 0;
    int64_t h = n->type.shape.dim[1], w = n->type.shape.dim[2], band = n->schedule.band ? n->schedule.band : h,
            bands = h / band;
    if (s.flat)
        flatten(&s, h, w);
    struct affine r = bands > 1 ? affine_var(kernel_task(&l->build, "r", bands), 1) : l->zero;
    struct affine q = loop(l, VAR_FOR, "q", s.flat ? 1 : band);
    s.columns = s.flat ? band * w : w;
    s.position = affine_scale(r, band * w);
    s.y = affine_add(affine_scale(r, band), q);
    all_blocks(l, &s, blocked);
    end(l, q);
    if (to_blocks)
        store_halo(l, l->zero, layout_blocks(n->type), r, bands, band);
}
