/* Windows as they lie, on plain rows with their border: products summed over a head's channels, or over the window (graph/find_windows.c);
 * and the border itself. Lanes are columns; of the last vector of a row a part is loaded and stored.
 */
#include "lower/generic.h"

/* ---- products ---- */

enum { MOST_VECTORS = 4, MOST_CHANNELS = 4 };

struct window {
    const struct attrs *a;
    struct buffer *x, *y, *out; /* x: with its border; y: the other factor */
    int64_t size, width; /* channels a head; columns */
    struct affine head, row;
};

/* Vectors of a row side by side: `n` whole ones from column `first`, or one of `count` lanes. */
struct stretch {
    struct affine first;
    int64_t n;
    int count;
};

static struct affine column_of(const struct lowering *l, const struct stretch *s, struct affine v)
{
    return affine_add(s->first, affine_scale(v, l->lanes));
}

static struct expr *around(struct lowering *l, const struct window *w, const struct stretch *s, struct affine channel,
                           struct affine ky, struct affine kx, struct affine v)
{
    struct affine y = affine_add(w->row, affine_scale(ky, w->a->dilation[0]));
    struct affine x = affine_add(column_of(l, s, v), affine_scale(kx, w->a->dilation[1]));
    return expr_load_some(&l->build, l->lanes, at(w->x, channel, y, x), s->count, 0);
}

static struct reg *start(struct lowering *l, int64_t rows, int64_t n)
{
    struct reg *acc = emit_reg(&l->build, fresh(l, "acc"), vector(l->lanes), 2, (int64_t[]){rows, n});
    struct affine c = loop(l, VAR_UNROLL, "c", rows), v = loop(l, VAR_UNROLL, "v", n);
    emit_set(&l->build, reg_at(acc, c, v), zero_of(l, l->lanes));
    end(l, v);
    end(l, c);
    return acc;
}

/* out[head, tap, row, ..] = sum over the head's channels of x * y[channel, row, ..]; the taps of a row of the window side by side */
static void dot(struct lowering *l, const struct window *w, const struct stretch *s)
{
    struct builder *b = &l->build;
    int64_t taps = w->a->kernel[1];
    struct affine ky = loop(l, VAR_FOR, "ky", w->a->kernel[0]), kx = loop(l, VAR_FOR, "kx", taps);
    struct reg *acc = start(l, 1, s->n);
    struct affine k = loop(l, VAR_FOR, "k", w->size), channel = affine_add(affine_scale(w->head, w->size), k);
    struct affine v = loop(l, VAR_UNROLL, "v", s->n);
    struct expr *y = expr_load_some(b, l->lanes, at(w->y, channel, w->row, column_of(l, s, v)), s->count, 0);
    struct reg_ref sum = reg_at(acc, l->zero, v);
    emit_set(b, sum, expr_op(b, VOP_fma, around(l, w, s, channel, ky, kx, v), y, expr_reg(b, sum)));
    end(l, v);
    end(l, k);
    v = loop(l, VAR_UNROLL, "v", s->n);
    struct affine tap = affine_add(affine_scale(ky, taps), kx);
    emit_store(b, at(w->out, w->head, tap, w->row, column_of(l, s, v)), expr_reg(b, reg_at(acc, l->zero, v)), s->count);
    end(l, v);
    end(l, kx);
    end(l, ky);
}

/* out[channel, row, ..] = sum over taps of x * y[head, tap, row, ..], some channels of a head side by side */
static void mix(struct lowering *l, const struct window *w, const struct stretch *s)
{
    struct builder *b = &l->build;
    int64_t side = MOST_CHANNELS;
    while (w->size % side)
        side--;
    struct affine k = loop(l, VAR_FOR, "k", w->size / side);
    struct affine channel = affine_add(affine_scale(w->head, w->size), affine_scale(k, side));
    struct reg *acc = start(l, side, s->n);
    struct affine ky = loop(l, VAR_FOR, "ky", w->a->kernel[0]), kx = loop(l, VAR_FOR, "kx", w->a->kernel[1]);
    struct affine tap = affine_add(affine_scale(ky, w->a->kernel[1]), kx), v = loop(l, VAR_UNROLL, "v", s->n);
    struct expr *y =
        emit_let(b, fresh(l, "yv"),
                 expr_load_some(b, l->lanes, at(w->y, w->head, tap, w->row, column_of(l, s, v)), s->count, 0));
    struct affine c = loop(l, VAR_UNROLL, "c", side);
    struct reg_ref sum = reg_at(acc, c, v);
    emit_set(b, sum, expr_op(b, VOP_fma, around(l, w, s, affine_add(channel, c), ky, kx, v), y, expr_reg(b, sum)));
    end(l, c);
    end(l, v);
    end(l, kx);
    end(l, ky);
    c = loop(l, VAR_UNROLL, "c", side);
    v = loop(l, VAR_UNROLL, "v", s->n);
    emit_store(b, at(w->out, affine_add(channel, c), w->row, column_of(l, s, v)), expr_reg(b, reg_at(acc, c, v)),
               s->count);
    end(l, v);
    end(l, c);
    end(l, k);
}

/* A row of the map: as many vectors at a time as divide it, then what is left. */
static void row_of(struct lowering *l, const struct window *w,
                   void (*some)(struct lowering *, const struct window *, const struct stretch *))
{
    int64_t whole = w->width / l->lanes, n = whole < MOST_VECTORS ? whole : MOST_VECTORS;
    while (n > 1 && whole % n)
        n--;
    if (whole) {
        struct affine t = loop(l, VAR_FOR, "t", whole / n);
        some(l, w, &(struct stretch){affine_scale(t, n * l->lanes), n, l->lanes});
        end(l, t);
    }
    if (w->width % l->lanes)
        some(l, w, &(struct stretch){affine_const(whole * l->lanes), 1, (int)(w->width % l->lanes)});
}

void generic_window(struct lowering *l)
{
    struct node *n = l->node;
    bool is_dot = n->op == OP_window_dot;
    const struct shape *x = &n->in[0]->type.shape, *out = &n->type.shape;
    struct window w = {.a = &n->attrs, .size = x->dim[0] / n->attrs.groups, .width = out->dim[out->rank - 1]};
    w.x = use_rows(l, DIR_IN, "x", n->in[0]);
    w.y = use_rows(l, DIR_IN, "y", n->in[1]);
    w.out = l->out = use_rows(l, DIR_OUT, "z", n);
    int64_t rows = out->dim[out->rank - 2];
    w.head = n->attrs.groups > 1 ? affine_var(kernel_task(&l->build, "h", n->attrs.groups), 1) : l->zero;
    w.row = rows > 1 ? affine_var(kernel_task(&l->build, "r", rows), 1) : l->zero;
    row_of(l, &w, is_dot ? dot : mix);
}

/* ---- a border of zeros ---- */

/* Zeros, or x where the row is one of the map's: `n` columns from `column` of the result on, which show those from `from` on. */
static void piece(struct lowering *l, const struct axes *to, struct element_ref x, struct affine row, int64_t rows,
                  int64_t column, int64_t n, bool inside)
{
    struct builder *b = &l->build;
    int last = to->rank - 1;
    for (int part = 0; part < 2; part++) {
        int64_t turns = part ? n % l->lanes != 0 : n / l->lanes;
        int count = part ? (int)(n % l->lanes) : l->lanes;
        if (!turns)
            continue;
        struct affine v = loop(l, VAR_FOR, "v", turns);
        struct affine along = part ? affine_const(n - count) : affine_scale(v, l->lanes);
        struct reg *value = emit_reg(b, fresh(l, "value"), vector(l->lanes), 0, NULL);
        emit_set(b, reg_at(value), zero_of(l, l->lanes));
        if (inside) {
            x.at[last] = along;
            if_begin(b, row, 0, rows);
            emit_set(b, reg_at(value), expr_load_some(b, l->lanes, x, count, 0));
            block_end(b);
        }
        struct element_ref ref = generic_at(l->out, to);
        ref.at[last] = affine_plus(along, column);
        emit_store(b, ref, expr_reg(b, reg_at(value)), count);
        end(l, v);
    }
}

void vector_pad(struct lowering *l, struct buffer *from)
{
    struct node *n = l->node;
    const struct shape *in = &n->in[0]->type.shape;
    int last = in->rank - 1;
    struct shape rows = n->type.shape;
    rows.dim[last] = 1;
    struct axes to = generic_open(l, rows, -1);
    struct element_ref x = generic_at(from, &to);
    x.at[last - 1] = affine_plus(to.at[last - 1], -n->attrs.pad[0]);
    int64_t pad = n->attrs.pad[1], width = in->dim[last], height = in->dim[last - 1];
    piece(l, &to, x, x.at[last - 1], height, 0, pad, false);
    piece(l, &to, x, x.at[last - 1], height, pad, width, true);
    piece(l, &to, x, x.at[last - 1], height, pad + width, pad, false);
    generic_close(l, &to);
}
