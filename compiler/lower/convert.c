/* From one layout to another, element by element; equal blocks are copied in vectors. Pictures come in and results go out here,
 * and what the blocked lowerings cannot read passes through plain rows. */
#include "lower/turn.h"

/* Blocks of one value seen as segments of `full` whole blocks and `rest` channels in a last one: `segments` times, then `left` channels. */
struct segments {
    int64_t segments, full, rest, left;
};

static struct segments segments_of(const struct node *v)
{
    struct layout y = v->type.layout;
    int64_t channels = v->type.shape.dim[0], seg = y.seg ? y.seg : channels;
    return (struct segments){channels / seg, seg / y.block, seg % y.block, channels % seg};
}

static struct affine blocks_first(struct affine s, struct segments g)
{
    return affine_scale(s, g.full + (g.rest > 0));
}

/* rows[channel, y, x] <-> blocks[block, y, x, lane] for `blocks` blocks of `channels` channels; the lanes behind them become zero. */
static void some_blocks(struct lowering *l, struct buffer *from, struct buffer *to, bool to_blocks,
                        const struct node *blocked, struct affine first_block, struct affine first_channel,
                        int64_t blocks, int64_t channels, struct affine y)
{
    struct builder *b = &l->build;
    int block_size = blocked->type.layout.block, halo = blocked->type.layout.halo;
    if (!blocks || !channels)
        return;
    struct affine o = loop(l, VAR_FOR, "o", blocks), x = loop(l, VAR_FOR, "ix", blocked->type.shape.dim[2]);
    for (int pad = 0; pad < (to_blocks && channels < block_size ? 2 : 1); pad++) {
        struct affine i =
            loop(l, block_size < BLOCK ? VAR_UNROLL : VAR_FOR, "i", pad ? block_size - channels : channels);
        struct affine lane = affine_plus(i, pad ? channels : 0);
        struct affine channel = affine_add(first_channel, affine_add(affine_scale(o, block_size), lane));
        struct affine block = affine_add(first_block, o), by = affine_plus(y, halo), bx = affine_plus(x, halo);
        if (pad)
            emit_store(b, at(to, block, by, bx, lane), zero_of(l, 1), 1);
        else if (to_blocks)
            emit_store(b, at(to, block, by, bx, lane), expr_load(b, 1, at(from, channel, y, x)), 1);
        else
            emit_store(b, at(to, channel, y, x), expr_load(b, 1, at(from, block, by, bx, lane)), 1);
        end(l, i);
    }
    end(l, x);
    end(l, o);
}

/* Between rows of a rank-3 value and blocks of it; a task is a band of rows. */
static void rows_and_blocks(struct lowering *l, bool to_blocks)
{
    struct node *n = l->node;
    const struct node *v = n->in[0], *blocked = to_blocks ? n : v;
    if (blocked->type.layout.block == BLOCK) {
        turn_blocks(l, to_blocks);
        return;
    }
    struct buffer *from = to_blocks ? use_rows(l, DIR_IN, "x", v) : use_value(l, DIR_IN, "x", v);
    struct buffer *to = l->out = to_blocks ? use_value(l, DIR_OUT, "y", n) : use_rows(l, DIR_OUT, "y", n);
    int64_t h = n->type.shape.dim[1], band = n->schedule.band ? n->schedule.band : h, bands = h / band;
    struct segments g = segments_of(blocked);
    int64_t block = blocked->type.layout.block, seg = g.full * block + g.rest;
    struct affine r = bands > 1 ? affine_var(kernel_task(&l->build, "r", bands), 1) : l->zero;
    struct affine q = loop(l, VAR_FOR, "q", band), s = loop(l, VAR_FOR, "s", g.segments);
    struct affine y = affine_add(affine_scale(r, band), q), first = blocks_first(s, g), channel = affine_scale(s, seg);
    some_blocks(l, from, to, to_blocks, blocked, first, channel, g.full, block, y);
    some_blocks(l, from, to, to_blocks, blocked, affine_plus(first, g.full), affine_plus(channel, g.full * block), 1,
                g.rest, y);
    end(l, s);
    if (g.left) {
        first = affine_const(g.segments * (g.full + (g.rest > 0)));
        channel = affine_const(g.segments * seg);
        some_blocks(l, from, to, to_blocks, blocked, first, channel, g.left / block, block, y);
        some_blocks(l, from, to, to_blocks, blocked, affine_plus(first, g.left / block),
                    affine_plus(channel, g.left / block * block), 1, g.left % block, y);
    }
    end(l, q);
    if (to_blocks)
        store_halo(l, l->zero, layout_blocks(n->type), r, bands, band);
}

/* Equal blocks, perhaps other borders. */
static void copy_blocks(struct lowering *l)
{
    struct node *n = l->node;
    const struct node *v = n->in[0];
    struct buffer *from = use_value(l, DIR_IN, "x", v);
    l->out = use_value(l, DIR_OUT, "y", n);
    int64_t h = n->type.shape.dim[1], band = n->schedule.band, bands = h / band, blocks = layout_blocks(n->type);
    struct affine r = bands > 1 ? affine_var(kernel_task(&l->build, "r", bands), 1) : l->zero;
    struct affine o = loop(l, VAR_FOR, "o", blocks), q = loop(l, VAR_FOR, "q", band),
                  x = loop(l, VAR_FOR, "ix", n->type.shape.dim[2]);
    struct affine u = loop(l, VAR_FOR, "u", l->vectors), lane = affine_scale(u, l->lanes),
                  y = affine_add(affine_scale(r, band), q);
    int halo = v->type.layout.halo;
    struct expr *value = expr_load(&l->build, l->lanes, at(from, o, affine_plus(y, halo), affine_plus(x, halo), lane));
    emit_store(&l->build, at(l->out, o, affine_plus(y, n->type.layout.halo), affine_plus(x, n->type.layout.halo), lane),
               value, l->lanes);
    end(l, u);
    end(l, x);
    end(l, q);
    end(l, o);
    store_halo(l, l->zero, blocks, r, bands, band);
}

/* One blocking to another: channel c of one is at a place that no affine form of the other's names, so channels are gathered one
 * by one. Rare: only where two readers want different segments of one value. */
static void regroup(struct lowering *l)
{
    struct builder *b = &l->build;
    struct node *n = l->node;
    const struct node *v = n->in[0];
    struct buffer *from = use_value(l, DIR_IN, "x", v);
    l->out = use_value(l, DIR_OUT, "y", n);
    int64_t h = n->type.shape.dim[1], band = n->schedule.band, bands = h / band, blocks = layout_blocks(n->type),
            channels = n->type.shape.dim[0];
    struct affine r = bands > 1 ? affine_var(kernel_task(b, "r", bands), 1) : l->zero;
    struct affine q = loop(l, VAR_FOR, "q", band), x = loop(l, VAR_FOR, "ix", n->type.shape.dim[2]);
    struct affine y = affine_add(affine_scale(r, band), q);
    struct segments in = segments_of(v), out = segments_of(n);
    int64_t in_seg = in.full * BLOCK + in.rest, out_seg = out.full * BLOCK + out.rest,
            out_blocks = out.full + (out.rest > 0);
    for (int64_t o = 0; o < blocks; o++)
        for (int64_t lane = 0; lane < BLOCK; lane++) {
            int64_t inside = o % out_blocks * BLOCK + lane, c = o / out_blocks * out_seg + inside;
            struct expr *value = zero_of(l, 1);
            if (inside < out_seg && c < channels) {
                int64_t block = c / in_seg * (in.full + (in.rest > 0)) + c % in_seg / BLOCK;
                value = expr_load(b, 1,
                                  at(from, affine_const(block), affine_plus(y, v->type.layout.halo),
                                     affine_plus(x, v->type.layout.halo), affine_const(c % in_seg % BLOCK)));
            }
            emit_store(b,
                       at(l->out, affine_const(o), affine_plus(y, n->type.layout.halo),
                          affine_plus(x, n->type.layout.halo), affine_const(lane)),
                       value, 1);
        }
    end(l, x);
    end(l, q);
    store_halo(l, l->zero, blocks, r, bands, band);
}

/* Plain to plain: the caller's exact rows against rows padded to whole blocks. */
static void copy_rows(struct lowering *l)
{
    struct node *n = l->node;
    int64_t elements = shape_elements(n->type.shape), padded = (elements + BLOCK - 1) / BLOCK * BLOCK;
    bool pad = n->type.layout.block == BLOCK;
    struct node flat = *n->in[0], out = *n;
    flat.type.shape = (struct shape){1, {elements}};
    out.type.shape = (struct shape){1, {pad ? padded : elements}};
    struct buffer *from = use_rows(l, DIR_IN, "x", &flat), *to = use_rows(l, DIR_OUT, "y", &out);
    struct affine i = loop(l, VAR_FOR, "i", elements);
    emit_store(&l->build, at(to, i), expr_load(&l->build, 1, at(from, i)), 1);
    end(l, i);
    if (!pad || padded == elements)
        return;
    i = loop(l, VAR_FOR, "i", padded - elements);
    emit_store(&l->build, at(to, affine_plus(i, elements)), zero_of(l, 1), 1);
    end(l, i);
}

struct kernel *lower_convert(struct lowering *l)
{
    struct layout from = l->node->in[0]->type.layout, to = l->node->type.layout;
    if (from.kind == LAYOUT_PLAIN && to.kind == LAYOUT_PLAIN)
        copy_rows(l);
    else if (from.kind == LAYOUT_PLAIN)
        rows_and_blocks(l, true);
    else if (to.kind == LAYOUT_PLAIN)
        rows_and_blocks(l, false);
    else if (from.seg == to.seg && from.block == to.block)
        copy_blocks(l);
    else
        regroup(l);
    return kernel_end(&l->build);
}
