/* The interpreter of loop IR: runs one task of a kernel, so that lowerings are tested without a C compiler.
 *
 * The kernel is first translated into a tree of its own in which nothing is looked up any more: a variable is an index
 * into an array, a subscripted element is one sum over variables (the strides multiplied in), a register is a pointer.
 * A subscript that may leave its dimension by the ranges of its variables is checked each time; one that cannot is not.
 * Values are arrays of at most 64 lanes. What an operation means is its row of vops.def. */
#include "loop/loop.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

enum { MAX_LANES = 64 };

struct sum { /* c + k_i * variable_i */
    int64_t c;
    int n;
    struct {
        int var;
        int64_t k;
    } *term;
};
struct bound { /* 0 <= at, at + width <= limit */
    struct sum at;
    int64_t width, limit;
};
struct spot { /* where something lies: data[flat], and the bounds that are not certain */
    float *data;
    struct sum flat;
    struct bound *bound;
    int n_bound;
    const char *name; /* for diagnostics */
    const struct affine *at;
    int rank;
};
struct value { /* of an expression */
    enum expr_kind kind;
    enum vop op;
    int lanes, count, repeat; /* of a load, see loop.h */
    struct spot spot;
    int64_t offset[MAX_LANES]; /* pick: of each lane, from the least */
    float constant[MAX_LANES]; /* of a load, what stands in the other lanes */
    const struct value *arg[3];
};
struct step { /* a statement */
    enum stmt_kind kind;
    struct step *next, *body;
    int var;
    int64_t lo, hi;
    struct sum cond;
    const int64_t *table;
    struct spot spot; /* set, let, store: where to; reg: all of it */
    const struct value *value;
    int64_t count;    /* set, let, store: lanes written; reg: floats */
};
struct known_reg {
    const struct reg *reg;
    float *data;
};
struct machine {
    struct arena *arena;
    struct diags *diags;
    const struct kernel *kernel;
    float *const *data;
    float *local[MAX_LOCALS];
    struct known_reg *reg;
    size_t n_reg, cap_reg;
    int64_t *now;                /* by id: the variable's value */
    bool failed;
};

/* e^x by the same operations as exp1 of the helpers, so that programs and interpreter agree to the last bit. */
static float netc_exp(float x)
{
    x = -104.0f > x ? -104.0f : x;
    x = 89.0f < x ? 89.0f : x;
    float t = fmaf(x, 0x1.715476p0f, 0x1.8p23f);
    float n = t - 0x1.8p23f;
    float r = fmaf(n, -0x1.7f7d1cp-20f, fmaf(n, -0x1.62e4p-1f, x));
    static const float coefficient[] = {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                                        5.0000001201e-1f};
    float p = 1.9875691500e-4f;
    for (size_t i = 0; i < LENGTH(coefficient); i++) {
        p = fmaf(p, r, coefficient[i]);
    }
    p = fmaf(r * r, p, r) + 1.0f;
    uint32_t k;
    memcpy(&k, &t, sizeof k);
    k = k - 0x4b400000u + 254u;
    uint32_t half[2] = {(k >> 1) << 23, (k - (k >> 1)) << 23};
    float factor[2];
    memcpy(factor, half, sizeof factor);
    return p * factor[0] * factor[1];
}

/* ---- translation ---- */

static void sum_add(struct sum *sum, struct affine a, int64_t scale)
{
    sum->c += a.c * scale;
    for (int i = 0; i < a.n; i++) {
        int found = 0;
        while (found < sum->n && sum->term[found].var != a.term[i].var->id) {
            found++;
        }
        if (found == sum->n) {
            sum->term[sum->n].var = a.term[i].var->id;
            sum->term[sum->n++].k = 0;
        }
        sum->term[found].k += a.term[i].k * scale;
    }
}

static struct sum sum_new(struct machine *m, int terms)
{
    return (struct sum){.term = arena_alloc(m->arena, sizeof *(struct sum){0}.term * (size_t)(terms + 1))};
}

static struct sum sum_of(struct machine *m, struct affine a)
{
    struct sum sum = sum_new(m, a.n);
    sum_add(&sum, a, 1);
    return sum;
}

/* `width` neighbours along the last dimension from at[] on, in an array whose last dimension has elements of `lanes`
 * floats. */
static struct spot spot_new(struct machine *m, float *data, const char *name, const struct affine *at, int rank,
                            const int64_t *dim, int lanes, int64_t width)
{
    int terms = 0;
    for (int d = 0; d < rank; d++) {
        terms += at[d].n;
    }
    struct spot spot = {.data = data,
                        .flat = sum_new(m, terms),
                        .bound = NEW_ARRAY(m->arena, struct bound, rank + 1),
                        .name = name,
                        .at = at,
                        .rank = rank};
    int64_t stride = lanes;
    for (int d = rank - 1; d >= 0; d--) {
        int64_t least, greatest, extent = d == rank - 1 ? width : 1;
        affine_range(at[d], &least, &greatest);
        if (least < 0 || greatest + extent > dim[d]) {
            spot.bound[spot.n_bound++] = (struct bound){sum_of(m, at[d]), extent, dim[d]};
        }
        sum_add(&spot.flat, at[d], stride);
        stride *= dim[d];
    }
    return spot;
}

static struct spot element_spot(struct machine *m, const struct element_ref *ref, int64_t width)
{
    int i = 0;
    bool local = ref->buffer->dir == DIR_LOCAL;
    while ((local ? m->kernel->local : m->kernel->buffer)[i] != ref->buffer) {
        i++;
    }
    return spot_new(m, local ? m->local[i] : m->data[i], ref->buffer->name, ref->at, ref->buffer->rank,
                    ref->buffer->dim, 1, width);
}

static float *reg_data(struct machine *m, const struct reg *reg, int64_t *floats)
{
    int64_t size = reg->type.lanes;
    for (int d = 0; d < reg->rank; d++) {
        size *= reg->dim[d];
    }
    if (floats) {
        *floats = size;
    }
    for (size_t i = 0; i < m->n_reg; i++) {
        if (m->reg[i].reg == reg) {
            return m->reg[i].data;
        }
    }
    struct known_reg fresh = {reg, NEW_ARRAY(m->arena, float, size)};
    PUSH(m->arena, m->reg, m->n_reg, m->cap_reg, fresh);
    return fresh.data;
}

static struct spot reg_spot(struct machine *m, const struct reg_ref *ref)
{
    const struct reg *reg = ref->reg;
    return spot_new(m, reg_data(m, reg, NULL), reg->name, ref->at, reg->rank, reg->dim, reg->type.lanes, 1);
}

/* One lane of a register: a dimension more. */
static struct spot lane_spot(struct machine *m, const struct expr *e)
{
    const struct reg *reg = e->reg.reg;
    struct affine *at = NEW_ARRAY(m->arena, struct affine, reg->rank + 1);
    int64_t dim[LENGTH(reg->dim) + 1];
    memcpy(at, e->reg.at, sizeof *at * (size_t)reg->rank);
    memcpy(dim, reg->dim, sizeof *dim * (size_t)reg->rank);
    at[reg->rank] = e->lane;
    dim[reg->rank] = reg->type.lanes;
    return spot_new(m, reg_data(m, reg, NULL), reg->name, at, reg->rank + 1, dim, 1, 1);
}

static struct spot pick_spot(struct machine *m, const struct expr *e, int64_t *offset)
{
    int64_t least = INT64_MAX, greatest = INT64_MIN;
    for (int l = 0; l < e->type.lanes; l++) {
        offset[l] = pick_lane(e, l);
        least = offset[l] < least ? offset[l] : least;
        greatest = offset[l] > greatest ? offset[l] : greatest;
    }
    for (int l = 0; l < e->type.lanes; l++) {
        offset[l] -= least;
    }
    struct element_ref *ref = NEW(m->arena, struct element_ref);
    *ref = e->ref;
    struct affine *last = &ref->at[ref->buffer->rank - 1];
    *last = affine_plus(affine_add(*last, e->pick_e), least);
    return element_spot(m, ref, greatest - least + 1);
}

static const struct value *translate_expr(struct machine *m, const struct expr *e)
{
    if (!e) {
        return NULL;
    }
    struct value *v = NEW(m->arena, struct value);
    v->kind = e->kind;
    v->op = e->op;
    v->lanes = e->type.lanes;
    switch (e->kind) {
    case EXPR_LOAD:
        v->count = e->count;
        v->repeat = e->repeat;
        v->spot = element_spot(m, &e->ref, e->count ? e->count : e->repeat ? e->repeat : v->lanes);
        for (int l = 0; l < v->lanes; l++) {
            v->constant[l] = (float)e->value;
        }
        break;
    case EXPR_SPLAT: v->spot = element_spot(m, &e->ref, 1); break;
    case EXPR_PICK: v->spot = pick_spot(m, e, v->offset); break;
    case EXPR_REG: v->spot = reg_spot(m, &e->reg); break;
    case EXPR_LANE: v->spot = lane_spot(m, e); break;
    case EXPR_CONST:
        for (int l = 0; l < v->lanes; l++) {
            v->constant[l] = (float)e->value;
        }
        break;
    case EXPR_OP:
        for (int i = 0; i < 3; i++) {
            v->arg[i] = translate_expr(m, e->arg[i]);
        }
        break;
    }
    return v;
}

static struct step *translate_block(struct machine *m, const struct stmt *s)
{
    struct step *first = NULL, **tail = &first;
    for (; s; s = s->next) {
        if (s->kind == STMT_FENCE || s->kind == STMT_COMMENT || s->kind == STMT_PREFETCH) {
            continue;
        }
        struct step *step = *tail = NEW(m->arena, struct step);
        tail = &step->next;
        *step = (struct step){.kind = s->kind, .lo = s->lo, .hi = s->hi, .value = translate_expr(m, s->value)};
        step->count = s->value ? s->value->type.lanes : 0;
        switch (s->kind) {
        case STMT_LOOP:
            step->var = s->var->id;
            step->lo = s->var->lo;
            step->hi = s->var->hi;
            break;
        case STMT_TABLE:
            step->var = s->var->id;
            step->hi = s->n_table;
            step->table = s->table;
            step->cond = sum_of(m, s->cond);
            break;
        case STMT_IF: step->cond = sum_of(m, s->cond); break;
        case STMT_REG: step->spot.data = reg_data(m, s->reg, &step->count); break;
        case STMT_TRANSPOSE:
            step->spot.data = reg_data(m, s->reg, NULL);
            step->count = s->reg->type.lanes;
            break;
        case STMT_LET: step->spot = reg_spot(m, &(struct reg_ref){.reg = s->reg}); break;
        case STMT_SET: step->spot = reg_spot(m, &s->target); break;
        case STMT_STORE:
            step->count = s->lanes;
            step->spot = element_spot(m, &s->ref, s->lanes);
            break;
        default: break;
        }
        step->body = translate_block(m, s->body);
    }
    return first;
}

/* ---- running ---- */

static int64_t sum_now(const struct machine *m, const struct sum *sum)
{
    int64_t total = sum->c;
    for (int i = 0; i < sum->n; i++) {
        total += sum->term[i].k * m->now[sum->term[i].var];
    }
    return total;
}

/* "x[ib, 4r + q]", and the values of its variables. */
static void fail(struct machine *m, enum check check, const struct spot *spot, const char *what)
{
    struct text where = {.arena = m->arena}, values = {.arena = m->arena};
    bool *told = NEW_ARRAY(m->arena, bool, m->kernel->n_var + 1);
    text_add(&where, "%s", spot->name);
    for (int d = 0; d < spot->rank; d++) {
        text_add(&where, "%s%s", d > 0 ? ", " : "[", affine_text(m->arena, spot->at[d]));
        for (int t = 0; t < spot->at[d].n; t++) {
            const struct var *var = spot->at[d].term[t].var;
            if (!told[var->id]) {
                told[var->id] = true;
                text_add(&values, "%s%s %lld", values.length > 0 ? ", " : ", where ", var->name,
                         (long long)m->now[var->id]);
            }
        }
    }
    text_add(&where, "%s", spot->rank > 0 ? "]" : "");
    diag_error_file(m->diags, check, m->kernel->name, "%s %s%s", text_string(&where), what, text_string(&values));
    m->failed = true;
}

static float *locate(struct machine *m, const struct spot *spot)
{
    for (int i = 0; i < spot->n_bound; i++) {
        int64_t at = sum_now(m, &spot->bound[i].at);
        if (at < 0 || at + spot->bound[i].width > spot->bound[i].limit) {
            fail(m, CHECK_loop_bounds, spot, "is outside");
            return NULL;
        }
    }
    return spot->data + sum_now(m, &spot->flat);
}

static bool any_poison(const float *data, int n)
{
    bool any = false;
    for (int i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &data[i], sizeof bits);
        any |= bits == LOOP_POISON;
    }
    return any;
}

static const float zeros[MAX_LANES];

static const float *checked(struct machine *m, const struct value *v, const float *data)
{
    bool reg = v->kind == EXPR_REG || v->kind == EXPR_LANE;
    if (!any_poison(data, reg ? 1 : v->lanes)) { /* a register is set with all its lanes */
        return data;
    }
    fail(m, reg ? CHECK_loop_reg_unset : CHECK_loop_unwritten, &v->spot,
         reg ? "is read before it is set" : "was never written");
    return zeros;
}

static void apply(const struct value *v, const float *restrict x, const float *restrict y, const float *restrict z,
                  float *restrict out)
{
    switch (v->op) {
#define VOP(name, arity, ...)                   \
    case VOP_##name:                            \
        for (int l = 0; l < v->lanes; l++) {    \
            float a = x[l], b = y[l], c = z[l]; \
            (void)b, (void)c;                   \
            out[l] = (__VA_ARGS__);             \
        }                                       \
        break;
#include "loop/vops.def"
#undef VOP
    case VOP_COUNT: break;
    }
}

/* The value's lanes: in `room`, or where they are already. */
static const float *value_now(struct machine *m, const struct value *v, float *room)
{
    if (v->kind == EXPR_CONST) {
        return v->constant;
    }
    if (v->kind == EXPR_OP) {
        float a[MAX_LANES], b[MAX_LANES], c[MAX_LANES];
        const float *x = value_now(m, v->arg[0], a);
        const float *y = v->arg[1] ? value_now(m, v->arg[1], b) : x;
        const float *z = v->arg[2] ? value_now(m, v->arg[2], c) : x;
        apply(v, x, y, z, room);
        return room;
    }
    const float *from = locate(m, &v->spot);
    if (!from) {
        return zeros;
    }
    if (v->count) {
        memcpy(room, v->constant, sizeof *room * (size_t)v->lanes);
        memcpy(room, from, sizeof *room * (size_t)v->count);
        from = room;
    }
    for (int l = 0; v->repeat && l < v->lanes; l++) {
        room[l] = from[l % v->repeat];
    }
    from = v->repeat ? room : from;
    if (v->kind == EXPR_SPLAT || v->kind == EXPR_PICK || v->kind == EXPR_LANE) {
        for (int l = 0; l < v->lanes; l++) {
            room[l] = from[v->offset[l]];
        }
        from = room;
    }
    return checked(m, v, from);
}

static void assign(struct machine *m, const struct step *s)
{
    float room[MAX_LANES];
    const float *from = value_now(m, s->value, room);
    float *to = m->failed ? NULL : locate(m, &s->spot);
    if (to) {
        memmove(to, from, sizeof *to * (size_t)s->count);
    }
}

static void transpose(float *data, int64_t lanes)
{
    for (int64_t i = 0; i < lanes; i++) {
        for (int64_t k = 0; k < i; k++) {
            float other = data[i * lanes + k];
            data[i * lanes + k] = data[k * lanes + i];
            data[k * lanes + i] = other;
        }
    }
}

static void run(struct machine *m, const struct step *s)
{
    for (; s && !m->failed; s = s->next) {
        switch (s->kind) {
        case STMT_LOOP:
            for (int64_t i = s->lo; i < s->hi && !m->failed; i++) {
                m->now[s->var] = i;
                run(m, s->body);
            }
            break;
        case STMT_IF: {
            int64_t cond = sum_now(m, &s->cond);
            if (s->lo <= cond && cond < s->hi) {
                run(m, s->body);
            }
            break;
        }
        case STMT_TABLE: {
            int64_t at = sum_now(m, &s->cond);
            if (at < 0 || at >= s->hi) {
                diag_error_file(m->diags, CHECK_loop_bounds, m->kernel->name, "number %lld of a table of %lld is read",
                                (long long)at, (long long)s->hi);
                m->failed = true;
                break;
            }
            m->now[s->var] = s->table[at];
            break;
        }
        case STMT_REG: memset(s->spot.data, 0xff, sizeof(float) * (size_t)s->count); break;
        case STMT_TRANSPOSE: transpose(s->spot.data, s->count); break;
        default: assign(m, s); break;
        }
    }
}

bool kernel_eval(struct diags *diags, const struct kernel *kernel, float *const *data, const int64_t *task)
{
    struct arena *arena = arena_new("loop_eval");
    struct machine m = {.arena = arena, .diags = diags, .kernel = kernel, .data = data};
    m.now = NEW_ARRAY(arena, int64_t, kernel->n_var + 1);
    for (int i = 0; i < kernel->n_task; i++) {
        assert(kernel->task[i]->lo <= task[i] && task[i] < kernel->task[i]->hi);
        m.now[kernel->task[i]->id] = task[i];
    }
    for (int i = 0; i < kernel->n_local; i++) {
        size_t bytes = (size_t)buffer_bytes(kernel->local[i]);
        m.local[i] = memset(arena_alloc(arena, bytes), 0xff, bytes); /* LOOP_POISON */
    }
    run(&m, translate_block(&m, kernel->body));
    arena_free(arena);
    return !m.failed;
}
