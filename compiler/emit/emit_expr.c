/* Prints subscripts and expressions as C.
 *
 * Vectors of one lane are plain floats, so that the scalar target reads as ordinary C: a load is x[i][j]. The helpers'
 * names are those of vops.def with the number of lanes behind. A pick takes one half of its block when all its indexes
 * lie there (the 8 lanes of AVX2). */
#include "emit/emit.h"

#include <math.h>
#include <string.h>

/* ---- subscripts ---- */

static void add_term(struct text *out, bool first, int64_t k, const char *name)
{
    const char *sign = first ? (k < 0 ? "-" : "") : k < 0 ? " - " : " + ";
    int64_t size = k < 0 ? -k : k;
    if (size == 1) {
        text_add(out, "%s%s", sign, name);
    } else {
        text_add(out, "%s%lld * %s", sign, (long long)size, name);
    }
}

/* 14 * t + p + 1; a positive term comes first where there is one. */
void emit_affine(struct text *out, struct affine a)
{
    int lead = 0;
    while (lead < a.n && a.term[lead].k < 0) {
        lead++;
    }
    bool first = true;
    for (int i = 0; i < a.n; i++) {
        int t = lead == a.n ? i : i == 0 ? lead : i <= lead ? i - 1 : i;
        add_term(out, first, a.term[t].k, a.term[t].var->name);
        first = false;
    }
    if (first) {
        text_add(out, "%lld", (long long)a.c);
    } else if (a.c != 0) {
        text_add(out, " %c %lld", a.c < 0 ? '-' : '+', (long long)(a.c < 0 ? -a.c : a.c));
    }
}

void emit_subscripts(struct text *out, const struct affine *at, int rank)
{
    for (int i = 0; i < rank; i++) {
        text_put(out, "[", 1);
        emit_affine(out, at[i]);
        text_put(out, "]", 1);
    }
}

void emit_element(struct text *out, const struct element_ref *ref)
{
    text_add(out, "%s", ref->buffer->name);
    emit_subscripts(out, ref->at, ref->buffer->rank);
}

/* The element `offset` further along the last dimension. */
static struct element_ref element_plus(struct element_ref ref, struct affine offset)
{
    struct affine *last = &ref.at[ref.buffer->rank - 1];
    *last = affine_add(*last, offset);
    return ref;
}

/* ---- expressions ---- */

static void add_constant(struct text *out, double value)
{
    float f = (float)value;
    char digits[40];
    if (isnan(f) || isinf(f)) {
        text_add(out, "%s", isnan(f) ? "NAN" : f < 0 ? "-INFINITY" : "INFINITY");
        return;
    }
    snprintf(digits, sizeof digits, "%.9g", (double)f);
    text_add(out, "%s%sf", digits, strpbrk(digits, ".e") ? "" : ".0");
}

static void add_vector_constant(struct text *out, const struct expr *e)
{
    if (e->type.lanes == 1) {
        add_constant(out, e->value);
    } else if (e->value == 0.0 && !signbit(e->value)) {
        text_add(out, "zero%d()", e->type.lanes);
    } else {
        text_add(out, "splat%d(", e->type.lanes);
        add_constant(out, e->value);
        text_put(out, ")", 1);
    }
}

/* {0, 0, 0, 0, 0, 5, 5, ...}: groups that do not divide the block */
static void add_odd_groups(struct text *out, const struct expr *e)
{
    text_add(out, "(i32x%d){", e->type.lanes);
    for (int l = 0; l < e->type.lanes; l++) {
        text_add(out, "%s%lld", l > 0 ? ", " : "", (long long)pick_lane(e, l));
    }
    text_put(out, "}", 1);
}

/* 4 * ((lane8 + 8) / 4) */
static void add_groups(struct text *out, const struct expr *e)
{
    if (e->pick_a != 1) {
        text_add(out, "%lld * ", (long long)e->pick_a);
    }
    bool group = e->pick_a != 1 && (e->pick_b != 1 || e->pick_base != 0);
    text_add(out, "%s", group ? "(" : "");
    if (e->pick_base == 0) {
        text_add(out, "lane%d", e->type.lanes);
    } else {
        const char *open = e->pick_b != 1 ? "(" : "", *close = e->pick_b != 1 ? ")" : "";
        text_add(out, "%slane%d + %lld%s", open, e->type.lanes, (long long)e->pick_base, close);
    }
    if (e->pick_b != 1) {
        text_add(out, " / %lld", (long long)e->pick_b);
    }
    text_add(out, "%s", group ? ")" : "");
}

/* 4 * (lane16 / 4) + i */
static void add_pick_index(struct text *out, const struct expr *e)
{
    if (16 % e->pick_b != 0) {
        add_odd_groups(out, e);
    } else {
        add_groups(out, e);
    }
    if (e->pick_e.n > 0 || e->pick_e.c != 0) {
        text_put(out, " + ", 3);
        bool minus = e->pick_e.n == 0 ? e->pick_e.c < 0 : e->pick_e.term[0].k < 0;
        text_add(out, "%s", minus ? "(" : "");
        emit_affine(out, e->pick_e);
        text_add(out, "%s", minus ? ")" : "");
    }
}

static void add_pick(struct text *out, const struct expr *e)
{
    int lanes = e->type.lanes;
    if (lanes == 1) {
        struct element_ref ref = element_plus(e->ref, affine_plus(e->pick_e, pick_lane(e, 0)));
        emit_element(out, &ref);
        return;
    }
    int64_t least, greatest;
    affine_range(e->pick_e, &least, &greatest);
    least += e->pick_a < 0 ? pick_lane(e, lanes - 1) : pick_lane(e, 0);
    greatest += e->pick_a < 0 ? pick_lane(e, 0) : pick_lane(e, lanes - 1);
    bool narrow = least / lanes == greatest / lanes;
    struct element_ref ref = element_plus(e->ref, affine_const(narrow ? least / lanes * lanes : 0));
    text_add(out, "pick%d%s(&", lanes, narrow ? "" : "_wide");
    emit_element(out, &ref);
    text_put(out, ", ", 2);
    add_pick_index(out, e);
    text_put(out, ")", 1);
}

/* dup4(xv[p], i); one lane is the register itself */
static void add_lane(struct text *out, const struct expr *e)
{
    if (e->type.lanes > 1) {
        text_add(out, "dup%d(", e->type.lanes);
    }
    text_add(out, "%s", e->reg.reg->name);
    emit_subscripts(out, e->reg.at, e->reg.reg->rank);
    if (e->type.lanes > 1) {
        text_put(out, ", ", 2);
        emit_affine(out, e->lane);
        text_put(out, ")", 1);
    }
}

#define VOP(name, arity, ...) {#name, arity},
static const struct {
    const char *name;
    int arity;
} vops[] = {
#include "loop/vops.def"
};
#undef VOP

/* Operations that C has an operator for, and how tightly it binds; 0: a helper. */
static int infix(const struct expr *e, char *sign)
{
    if (e->kind != EXPR_OP) {
        return 0;
    }
    switch (e->op) {
    case VOP_add: *sign = '+'; return 1;
    case VOP_sub: *sign = '-'; return 1;
    case VOP_mul: *sign = '*'; return 2;
    case VOP_div: *sign = '/'; return 2;
    default: return 0;
    }
}

static void add_operand(struct text *out, const struct expr *e, int binds)
{
    char sign;
    bool brackets = infix(e, &sign) != 0 && infix(e, &sign) < binds;
    text_add(out, "%s", brackets ? "(" : "");
    emit_expr(out, e);
    text_add(out, "%s", brackets ? ")" : "");
}

static void add_op(struct text *out, const struct expr *e)
{
    char sign;
    int binds = infix(e, &sign);
    if (binds > 0) {
        add_operand(out, e->arg[0], binds);
        text_add(out, " %c ", sign);
        add_operand(out, e->arg[1], binds + 1); /* a - (b + c) needs its brackets, and a + (b + c) keeps its order */
        return;
    }
    text_add(out, "%s%d(", vops[e->op].name, e->type.lanes);
    for (int i = 0; i < vops[e->op].arity; i++) {
        text_add(out, "%s", i > 0 ? ", " : "");
        emit_expr(out, e->arg[i]);
    }
    text_put(out, ")", 1);
}

void emit_expr(struct text *out, const struct expr *e)
{
    int lanes = e->type.lanes;
    switch (e->kind) {
    case EXPR_LOAD:
        if (lanes > 1 && e->repeat) {
            text_add(out, "repeat%d(&", lanes);
        } else if (lanes > 1) {
            text_add(out, "load%s%d%s(&", e->aligned || e->count ? "" : "u", lanes, e->count ? "_n" : "");
        }
        emit_element(out, &e->ref);
        if (lanes > 1 && e->count) {
            text_add(out, ", %d, ", e->count);
            add_constant(out, e->value);
        }
        if (lanes > 1 && e->repeat) {
            text_add(out, ", %d", e->repeat);
        }
        text_add(out, "%s", lanes > 1 ? ")" : "");
        break;
    case EXPR_SPLAT:
        if (lanes > 1) {
            text_add(out, "splat%d(", lanes);
        }
        emit_element(out, &e->ref);
        text_add(out, "%s", lanes > 1 ? ")" : "");
        break;
    case EXPR_PICK: add_pick(out, e); break;
    case EXPR_REG:
        text_add(out, "%s", e->reg.reg->name);
        emit_subscripts(out, e->reg.at, e->reg.reg->rank);
        break;
    case EXPR_LANE: add_lane(out, e); break;
    case EXPR_CONST: add_vector_constant(out, e); break;
    case EXPR_OP: add_op(out, e); break;
    }
}
