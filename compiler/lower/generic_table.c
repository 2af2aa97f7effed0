/* Rows by index, and maps made larger: where an element comes from stands in tables that are worked out here. */
#include "lower/generic.h"

/* x [N, ..], indices [a, b] -> [a, b, ..] */
void generic_take(struct lowering *l)
{
    struct node *n = l->node;
    const struct node *index = n->in[1];
    const struct shape *in = &n->in[0]->type.shape, *at_index = &index->type.shape;
    int64_t count = shape_elements(*at_index), *number = NEW_ARRAY(l->build.arena, int64_t, count);
    for (int64_t i = 0; i < count; i++)
        number[i] = (int64_t)index->value[i];
    struct buffer *from = use_rows(l, DIR_IN, "x", n->in[0]);
    generic_result(l);
    struct axes x = generic_open(l, n->type.shape, -1), row = {.rank = in->rank};
    struct affine flat = l->zero;
    for (int i = 0; i < at_index->rank; i++)
        flat = affine_add(affine_scale(flat, at_index->dim[i]), x.at[i]);
    row.at[0] = affine_var(emit_table(&l->build, "row", flat, number, count), 1);
    for (int i = 1; i < in->rank; i++)
        row.at[i] = x.at[at_index->rank + i - 1];
    generic_store(l, &x, expr_load(&l->build, 1, generic_at(from, &row)));
    generic_close(l, &x);
}

/* ---- upsample ---- */

struct line { /* one axis: for each result the two positions that it lies between, and the share of the second */
    int64_t *first, *second;
    double *share;
};

/* Centres stay where they are: result o lies at (o + 0.5) * in / out - 0.5. */
static struct line line_of(struct arena *a, int64_t in, int64_t out, bool bilinear)
{
    struct line line = {NEW_ARRAY(a, int64_t, out), NEW_ARRAY(a, int64_t, out), NEW_ARRAY(a, double, out)};
    for (int64_t o = 0; o < out; o++) {
        double at = ((double)o + 0.5) * (double)in / (double)out - 0.5;
        at = at < 0 ? 0 : at;
        line.first[o] = bilinear ? (int64_t)at : o * in / out;
        line.second[o] = line.first[o] + 1 < in ? line.first[o] + 1 : line.first[o];
        line.share[o] = at - (double)line.first[o];
    }
    return line;
}

static struct buffer *use_shares(struct lowering *l, const char *name, const double *share, int64_t n)
{
    struct param *p = NEW(l->program->arena, struct param);
    *p = (struct param){.name = arena_printf(l->program->arena, "%s.%s", l->node->name, name),
                        .op = PARAM_CONSTANT,
                        .value = share,
                        .shape = {1, {n}},
                        .id = -1};
    return use_weights(l, name, (struct pack){.param = p, .kind = PACK_PLAIN}, 1, &n);
}

static struct affine table(struct lowering *l, const char *name, struct affine at, const int64_t *number, int64_t n)
{
    return affine_var(emit_table(&l->build, name, at, number, n), 1);
}

/* (1 - share) * a + share * b: not a + share * (b - a), which makes no number of two infinities. */
static struct expr *between(struct lowering *l, struct expr *a, struct expr *b, struct expr *share)
{
    struct expr *rest = expr_op(&l->build, VOP_sub, expr_const(&l->build, 1, 1), share, NULL);
    return expr_op(&l->build, VOP_fma, share, b, expr_op(&l->build, VOP_mul, rest, a, NULL));
}

void generic_upsample(struct lowering *l)
{
    struct builder *b = &l->build;
    struct node *n = l->node;
    bool bilinear = n->attrs.bilinear;
    const struct shape *in = &n->in[0]->type.shape, *out = &n->type.shape;
    struct line rows = line_of(b->arena, in->dim[1], out->dim[1], bilinear),
                columns = line_of(b->arena, in->dim[2], out->dim[2], bilinear);
    struct buffer *from = use_rows(l, DIR_IN, "x", n->in[0]);
    struct buffer *row_share = bilinear ? use_shares(l, "row_share", rows.share, out->dim[1]) : NULL;
    struct buffer *column_share = bilinear ? use_shares(l, "column_share", columns.share, out->dim[2]) : NULL;
    generic_result(l);
    struct axes x = generic_open(l, *out, -1);
    struct affine y0 = table(l, "iy", x.at[1], rows.first, out->dim[1]),
                  x0 = table(l, "ix", x.at[2], columns.first, out->dim[2]);
    if (!bilinear) {
        generic_store(l, &x, expr_load(b, 1, at(from, x.at[0], y0, x0)));
        generic_close(l, &x);
        return;
    }
    struct affine y1 = table(l, "next_y", x.at[1], rows.second, out->dim[1]),
                  x1 = table(l, "next_x", x.at[2], columns.second, out->dim[2]);
    struct expr *across = expr_load(b, 1, at(column_share, x.at[2])), *down = expr_load(b, 1, at(row_share, x.at[1]));
    struct expr *upper = emit_let(b, "upper",
                                  between(l, emit_let(b, "u0", expr_load(b, 1, at(from, x.at[0], y0, x0))),
                                          expr_load(b, 1, at(from, x.at[0], y0, x1)), across));
    struct expr *lower = emit_let(b, "lower",
                                  between(l, emit_let(b, "l0", expr_load(b, 1, at(from, x.at[0], y1, x0))),
                                          expr_load(b, 1, at(from, x.at[0], y1, x1)), across));
    generic_store(l, &x, between(l, upper, lower, down));
    generic_close(l, &x);
}
