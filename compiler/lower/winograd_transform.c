/* The transforms of Winograd's convolution, F(2x2,3x3) and F(4x4,3x3) of Lavin and Gray (2015): Y = A^T [(G g G^T) . (B^T d B)] A.
 *
 *   F(4): B^T = | 4  0 -5  0 1 0 |   A^T = | 1 1  1 1  1 0 |        F(2): B^T = | 1  0 -1  0 |   A^T = | 1 1  1  0 |
 *               | 0 -4 -4  1 1 0 |         | 0 1 -1 2 -2 0 |                    | 0  1  1  0 |         | 0 1 -1 -1 |
 *               | 0  4 -4 -1 1 0 |         | 0 1  1 4  4 0 |                    | 0 -1  1  0 |
 *               | 0 -2 -1  2 1 0 |         | 0 1 -1 8 -8 1 |                    | 0  1  0 -1 |
 *               | 0  2 -1 -2 1 0 |
 *               | 0  4  0 -5 0 1 |
 *
 * Vectors lie along the channels, so a tile is a*a vectors: more than there are registers. What comes next to each other in
 * B^T is a sum and a difference of the same two terms, so the rows are made in phases of one or two; each phase loads what it
 * needs again, which costs less than keeping tiles on the stack. The fences keep phases apart.
 * What a tile at the end of an odd map would read beyond the border is zero; what it would write there is not computed.
 */
#include "lower/winograd.h"

struct spot { /* one tile of one block, `lane` on */
    struct affine ty, tx, t; /* row and column in the map; number in v and p */
    struct affine from, to; /* blocks: of x and v, or of p and the result */
    struct affine lane;
    int64_t rows, cols; /* of the input that are there, or of the output */
};

/* Tiles of the band, all rows and columns full or the last ones with `last_rows`, `last_cols`. */
static void each_tile(struct lowering *l, struct winograd *w, const struct band *band, int64_t full, int64_t last_rows,
                      int64_t last_cols, struct spot s,
                      void (*tile)(struct lowering *, struct winograd *, const struct spot *))
{
    int64_t ragged_y = band->last && last_rows < full, ragged_x = last_cols < full;
    for (int y = 0; y < 2; y++) {
        int64_t rows = y ? ragged_y : band->rows - ragged_y;
        if (!rows)
            continue;
        struct affine q = loop(l, VAR_FOR, "q", rows), row = affine_plus(q, y ? band->rows - 1 : 0);
        for (int x = 0; x < 2; x++) {
            int64_t cols = x ? ragged_x : w->tw - ragged_x;
            if (!cols)
                continue;
            struct affine tx = loop(l, VAR_FOR, "tx", cols), u = loop(l, VAR_FOR, "u", l->vectors);
            s.ty = affine_add(band->first, row);
            s.tx = affine_plus(tx, x ? w->tw - 1 : 0);
            s.t = affine_add(affine_scale(affine_add(band->at, row), w->tw), s.tx);
            s.lane = affine_scale(u, l->lanes);
            s.rows = y ? last_rows : full;
            s.cols = x ? last_cols : full;
            tile(l, w, &s);
            end(l, u);
            end(l, tx);
        }
        end(l, q);
    }
}

static struct expr *times(struct lowering *l, double k, struct expr *x, struct expr *plus)
{
    return expr_op(&l->build, VOP_fma, expr_const(&l->build, l->lanes, k), x, plus);
}

static struct expr *sum(struct lowering *l, struct expr *x, struct expr *y)
{
    return expr_op(&l->build, VOP_add, x, y, NULL);
}

static struct expr *difference(struct lowering *l, struct expr *x, struct expr *y)
{
    return expr_op(&l->build, VOP_sub, x, y, NULL);
}

static struct expr *let(struct lowering *l, const char *name, struct expr *value)
{
    return emit_let(&l->build, fresh(l, name), value);
}

/* ---- the input ---- */

struct column { /* of a transform of one dimension: elements of the input's column, or of a row of registers */
    struct winograd *w;
    const struct spot *s;
    struct affine j; /* which column */
    struct reg *reg;
    struct affine row; /* of reg */
};

static struct expr *element(struct lowering *l, const struct column *f, int64_t i)
{
    struct winograd *w = f->w;
    const struct spot *s = f->s;
    if (f->reg)
        return expr_reg(&l->build, reg_at(f->reg, f->row, affine_const(i)));
    if (i >= s->rows)
        return zero_of(l, l->lanes);
    struct affine y = affine_plus(affine_scale(s->ty, w->m), w->d.py + i),
                  x = affine_plus(affine_add(affine_scale(s->tx, w->m), f->j), w->d.px);
    return expr_load(&l->build, l->lanes, at(w->x, s->from, y, x, s->lane));
}

/* Rows first[phase] on of B^T d, one or two; how many. */
static int input_phases(const struct winograd *w)
{
    return w->m == 2 ? 3 : 4;
}

static int input_rows(struct lowering *l, const struct column *f, int phase, struct expr *out[2])
{
    struct expr *d[6];
    int last = input_phases(f->w) - 1;
    for (int i = 0; i < f->w->a; i++)
        d[i] = phase == 0 && i % 2 ? NULL : phase == last && i % 2 == 0 ? NULL : element(l, f, i);
    if (f->w->m == 2) {
        out[0] = phase == 0 ? difference(l, d[0], d[2]) : phase == 1 ? sum(l, d[1], d[2]) : difference(l, d[1], d[3]);
        out[1] = phase == 1 ? difference(l, d[2], d[1]) : NULL;
        return phase == 1 ? 2 : 1;
    }
    if (phase == 0 || phase == last) {
        int i = phase == 0 ? 0 : 1;
        out[0] = times(l, 4, d[i], times(l, -5, d[i + 2], d[i + 4]));
        return 1;
    }
    struct expr *even =
        let(l, "even", phase == 1 ? times(l, -4, d[2], d[4]) : difference(l, d[4], d[2])); /* of even rows of d */
    struct expr *odd = let(l, "odd", phase == 1 ? times(l, -4, d[1], d[3]) : difference(l, d[3], d[1]));
    out[0] = phase == 1 ? sum(l, even, odd) : times(l, 2, odd, even);
    out[1] = phase == 1 ? difference(l, even, odd) : times(l, -2, odd, even);
    return 2;
}

/* One row of registers transformed, and stored as row `row` of the tile. */
static void store_input_row(struct lowering *l, struct winograd *w, const struct spot *s, struct reg *rows,
                            struct affine k, struct affine row)
{
    struct builder *b = &l->build;
    struct column f = {w, s, l->zero, rows, k};
    struct reg *o = emit_reg(b, fresh(l, "z"), vector(l->lanes), 1, (int64_t[]){w->a});
    for (int phase = 0, at_row = 0; phase < input_phases(w); phase++) {
        struct expr *out[2];
        int n = input_rows(l, &f, phase, out);
        for (int i = 0; i < n; i++)
            emit_set(b, reg_at(o, affine_const(at_row++)), out[i]);
    }
    struct affine c = loop(l, VAR_UNROLL, "e", w->a);
    emit_store(b, at(w->v, affine_add(affine_scale(row, w->a), c), s->to, s->t, s->lane), expr_reg(b, reg_at(o, c)),
               l->lanes);
    end(l, c);
}

static void input_tile(struct lowering *l, struct winograd *w, const struct spot *s)
{
    struct builder *b = &l->build;
    for (int phase = 0, first = 0, n; phase < input_phases(w); phase++, first += n) {
        n = phase == 0 || phase == input_phases(w) - 1 ? 1 : 2;
        if (phase)
            emit_fence(b);
        struct reg *rows = emit_reg(b, fresh(l, "d"), vector(l->lanes), 2, (int64_t[]){n, w->a});
        struct expr *out[2];
        struct affine j = loop(l, VAR_UNROLL, "j", s->cols);
        struct column f = {w, s, j, NULL, l->zero};
        input_rows(l, &f, phase, out);
        for (int k = 0; k < n; k++)
            emit_set(b, reg_at(rows, affine_const(k), j), out[k]);
        end(l, j);
        for (int64_t none = s->cols; none < w->a; none++)
            for (int k = 0; k < n; k++)
                emit_set(b, reg_at(rows, affine_const(k), affine_const(none)), zero_of(l, l->lanes));
        struct affine k = loop(l, VAR_UNROLL, "k", n);
        store_input_row(l, w, s, rows, k, affine_plus(k, first));
        end(l, k);
    }
}

/* What the last tile of an extent finds of its input: `size` elements with their border, the first tile begins at `start`. */
static int64_t input_left(const struct winograd *w, int64_t size, int64_t start, int64_t tiles)
{
    int64_t left = size - start - w->m * (tiles - 1);
    return left < w->a ? left : w->a;
}

void winograd_input(struct lowering *l, struct winograd *w, struct affine xblock, struct affine vblock,
                    const struct band *band)
{
    struct spot s = {.from = xblock, .to = vblock};
    each_tile(l, w, band, w->a, input_left(w, w->x->dim[1], w->d.py, w->th),
              input_left(w, w->x->dim[2], w->d.px, w->tw), s, input_tile);
}

/* ---- the output ---- */

static struct expr *product_at(struct lowering *l, struct winograd *w, const struct spot *s, int64_t i, struct affine j)
{
    return expr_load(&l->build, l->lanes, at(w->p, affine_plus(j, i * w->a), s->from, s->t, s->lane));
}

/* Elements of A^T d wanted (bits), d[0 .. a); out[r] of what is not wanted is NULL. */
static void output_rows(struct lowering *l, const struct winograd *w, struct expr *const *d, unsigned wanted,
                        struct expr *out[4])
{
    bool even = wanted & 5, odd = wanted & 10, four = w->m == 4;
    struct expr *sum12 = even ? let(l, "near", sum(l, d[1], d[2])) : NULL;
    struct expr *sum34 = even && four ? let(l, "far", sum(l, d[3], d[4])) : NULL;
    struct expr *dif12 = odd ? let(l, "near_off", difference(l, d[1], d[2])) : NULL;
    struct expr *dif34 = odd && four ? let(l, "far_off", difference(l, d[3], d[4])) : NULL;
    for (int r = 0; r < 4; r++)
        out[r] = NULL;
    if (wanted & 1)
        out[0] = four ? sum(l, sum(l, d[0], sum12), sum34) : sum(l, d[0], sum12);
    if (wanted & 2)
        out[1] = four ? times(l, 2, dif34, dif12) : difference(l, dif12, d[3]);
    if (wanted & 4)
        out[2] = times(l, 4, sum34, sum12);
    if (wanted & 8)
        out[3] = sum(l, times(l, 8, dif34, dif12), d[5]);
}

/* Rows first, first + step .. of the tile, n of them. */
static void output_part(struct lowering *l, struct winograd *w, const struct spot *s, int64_t first, int64_t step,
                        int64_t n)
{
    struct builder *b = &l->build;
    struct reg *t = emit_reg(b, fresh(l, "t"), vector(l->lanes), 2, (int64_t[]){n, w->a});
    struct expr *d[6], *out[4];
    unsigned wanted = 0;
    for (int64_t k = 0; k < n; k++)
        wanted |= 1u << (first + k * step);
    struct affine j = loop(l, VAR_UNROLL, "j", w->a);
    for (int64_t i = 0; i < w->a; i++)
        d[i] = product_at(l, w, s, i, j);
    output_rows(l, w, d, wanted, out);
    for (int64_t k = 0; k < n; k++)
        emit_set(b, reg_at(t, affine_const(k), j), out[first + k * step]);
    end(l, j);
    /* a constant on all outputs of a row is one on element 1 before the transform: its column in A^T is ones */
    struct affine k = loop(l, VAR_UNROLL, "k", n), one = affine_const(1);
    struct expr *bias = expr_load(b, l->lanes, at(w->b, affine_add(affine_scale(s->to, BLOCK), s->lane)));
    emit_set(b, reg_at(t, k, one), sum(l, expr_reg(b, reg_at(t, k, one)), bias));
    struct reg *o = emit_reg(b, fresh(l, "z"), vector(l->lanes), 1, (int64_t[]){s->cols});
    for (int64_t i = 0; i < w->a; i++)
        d[i] = expr_reg(b, reg_at(t, k, affine_const(i)));
    output_rows(l, w, d, (1u << s->cols) - 1, out);
    for (int64_t c = 0; c < s->cols; c++)
        emit_set(b, reg_at(o, affine_const(c)), out[c]);
    struct affine c = loop(l, VAR_UNROLL, "e", s->cols);
    store_result(l, s->to, affine_plus(affine_add(affine_scale(s->ty, w->m), affine_scale(k, step)), first),
                 affine_add(affine_scale(s->tx, w->m), c), s->lane, expr_reg(b, reg_at(o, c)), l->lanes);
    end(l, c);
    end(l, k);
}

/* Where registers are few, even rows and odd rows apart: they have other sums. */
static void output_tile(struct lowering *l, struct winograd *w, const struct spot *s)
{
    if (s->rows * w->a + 8 <= l->target->registers) {
        output_part(l, w, s, 0, 1, s->rows);
        return;
    }
    output_part(l, w, s, 0, 2, (s->rows + 1) / 2);
    emit_fence(&l->build);
    if (s->rows > 1)
        output_part(l, w, s, 1, 2, s->rows / 2);
}

void winograd_output(struct lowering *l, struct winograd *w, struct affine block, struct affine slot,
                     const struct band *band)
{
    struct spot s = {.from = slot, .to = block};
    struct band here = *band;
    here.at = affine_const(0); /* products are of this band alone */
    each_tile(l, w, &here, w->m, w->d.oh - w->m * (w->th - 1), w->d.ow - w->m * (w->tw - 1), s, output_tile);
}
