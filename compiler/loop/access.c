/* Every load and store of a kernel with the loops and guards around it, and the sets of elements that they meet. The
 * verifier and the footprints stand on this file.
 *
 * A guard `if e in lo..hi` is used three ways: it narrows the range of each of its variables (r in 13..14 leaves r
 * one value); it bounds any form that differs from e by something whose range is known; and around a store or a load
 * whose subscript is e plus a constant it cuts the box (the ragged last band of rows: `if 4r + q in 0..55`).
 *
 * A box is read off mixed-radix digits: in each dimension the coefficients, in ascending order, are each equal to
 * the span of the digits before (4r + q with q 0..4: q spans 4, so r steps by 4), starting with the width of the
 * access in the last dimension. Then the subscript meets every value of its interval exactly once. Coefficients
 * larger than the span leave gaps: 7r + q with q 0..4 is half of a band of 7 rows that is cut into 4 and 3. Such
 * boxes carry a map of what is met. */
#include "loop/loop.h"

#include <string.h>

/* ---- ranges ---- */

static int64_t floor_div(int64_t a, int64_t b) /* b > 0 */
{
    return a / b - (a % b < 0);
}

/* Range of a - b, term by term: the difference itself may have more terms than a form can hold. */
static void difference_range(const struct range *range, const struct affine *a, const struct affine *b, int64_t *least,
                             int64_t *greatest)
{
    int i = 0, j = 0;
    *least = *greatest = a->c - b->c;
    while (i < a->n || j < b->n) {
        int id_a = i < a->n ? a->term[i].var->id : INT32_MAX, id_b = j < b->n ? b->term[j].var->id : INT32_MAX;
        int id = id_a < id_b ? id_a : id_b;
        int64_t k = (id_a == id ? a->term[i++].k : 0) - (id_b == id ? b->term[j++].k : 0);
        *least += k * (k > 0 ? range[id].lo : range[id].hi - 1);
        *greatest += k * (k > 0 ? range[id].hi - 1 : range[id].lo);
    }
}

void scope_range(const struct scope *scope, struct affine form, int64_t *least, int64_t *greatest)
{
    static const struct affine nothing;
    difference_range(scope->range, &form, &nothing, least, greatest);
    for (const struct scope *s = scope; s->stmt != NULL; s = s->up) {
        if (s->stmt->kind == STMT_IF) {
            int64_t least_rest, greatest_rest;
            difference_range(scope->range, &form, &s->stmt->cond, &least_rest, &greatest_rest);
            if (s->stmt->lo + least_rest > *least) {
                *least = s->stmt->lo + least_rest;
            }
            if (s->stmt->hi - 1 + greatest_rest < *greatest) {
                *greatest = s->stmt->hi - 1 + greatest_rest;
            }
        }
    }
}

/* Narrows each variable of the guard by what the others can add. False: the guard never holds. */
static bool narrow(struct range *range, const struct stmt *guard)
{
    const struct affine *form = &guard->cond;
    if (form->n == 0) {
        return guard->lo <= form->c && form->c < guard->hi;
    }
    for (int i = 0; i < form->n; i++) {
        struct affine rest = *form;
        struct range *r = &range[form->term[i].var->id];
        int64_t k = form->term[i].k, least, greatest;
        rest.n--;
        memmove(&rest.term[i], &rest.term[i + 1], sizeof rest.term[0] * (size_t)(rest.n - i));
        difference_range(range, &rest, &(struct affine){0}, &least, &greatest);
        /* guard->lo - greatest <= k * var <= guard->hi - 1 - least */
        int64_t from = guard->lo - greatest, to = guard->hi - 1 - least;
        int64_t lo = k > 0 ? -floor_div(-from, k) : -floor_div(to, -k);
        int64_t last = k > 0 ? floor_div(to, k) : floor_div(-from, -k);
        r->lo = lo > r->lo ? lo : r->lo;
        r->hi = last + 1 < r->hi ? last + 1 : r->hi;
        if (r->lo >= r->hi) {
            return false;
        }
    }
    return true;
}

/* ---- collecting ---- */

struct collector {
    struct accesses list;
    const struct stmt *stmt;
    const struct scope *scope;
};

static void add_access(struct collector *c, const struct element_ref *ref, int width, const struct expr *expr)
{
    if (c->scope->dead) {
        return;
    }
    struct access access = {
        .ref = ref, .width = width, .is_store = expr == NULL, .stmt = c->stmt, .expr = expr, .scope = c->scope};
    PUSH(c->list.arena, c->list.at, c->list.count, c->list.capacity, access);
}

static void collect_expr(struct collector *c, const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_LOAD:
        add_access(c, &expr->ref, expr->count ? expr->count : expr->repeat ? expr->repeat : expr->type.lanes, expr);
        break;
    case EXPR_SPLAT: add_access(c, &expr->ref, 1, expr); break;
    case EXPR_PICK: add_access(c, &expr->ref, PICK_BLOCK, expr); break;
    case EXPR_OP:
        for (int i = 0; i < 3 && expr->arg[i] != NULL; i++) {
            collect_expr(c, expr->arg[i]);
        }
        break;
    case EXPR_REG:
    case EXPR_LANE:
    case EXPR_CONST: break;
    }
}

static const struct scope *open_scope(struct collector *c, const struct stmt *stmt)
{
    struct scope *scope = NEW(c->list.arena, struct scope);
    *scope = *c->scope;
    scope->up = c->scope;
    scope->stmt = stmt;
    scope->depth++;
    if (stmt->kind == STMT_LOOP) {
        scope->range[stmt->var->id] = (struct range){stmt->var->lo, stmt->var->hi};
        c->list.level[stmt->var->id] = scope->depth;
    } else {
        int n = c->list.kernel->n_var;
        scope->range = NEW_ARRAY(c->list.arena, struct range, n);
        memcpy(scope->range, c->scope->range, sizeof(struct range) * (size_t)n);
        scope->dead = scope->dead || !narrow(scope->range, stmt);
    }
    return scope;
}

static void collect_block(struct collector *c, const struct stmt *stmt)
{
    for (; stmt != NULL; stmt = stmt->next) {
        c->stmt = stmt;
        if (stmt->kind == STMT_LOOP || stmt->kind == STMT_IF) {
            const struct scope *outer = c->scope;
            c->scope = open_scope(c, stmt);
            collect_block(c, stmt->body);
            c->scope = outer;
        } else if (stmt->kind == STMT_TABLE) {
            c->scope->range[stmt->var->id] = (struct range){stmt->var->lo, stmt->var->hi};
            c->list.level[stmt->var->id] = c->scope->depth;
        } else if (stmt->kind == STMT_SET || stmt->kind == STMT_LET || stmt->kind == STMT_STORE) {
            collect_expr(c, stmt->value);
            if (stmt->kind == STMT_STORE) {
                add_access(c, &stmt->ref, stmt->lanes, NULL);
            }
        }
    }
}

struct accesses kernel_accesses(struct arena *arena, const struct kernel *kernel)
{
    struct collector c = {.list = {.arena = arena, .kernel = kernel}};
    struct scope *root = NEW(arena, struct scope);
    root->range = NEW_ARRAY(arena, struct range, kernel->n_var + 1);
    c.list.level = NEW_ARRAY(arena, int, kernel->n_var + 1);
    c.list.used = NEW_ARRAY(arena, bool, kernel->n_var + 1);
    for (int i = 0; i < kernel->n_task; i++) {
        root->range[kernel->task[i]->id] = (struct range){kernel->task[i]->lo, kernel->task[i]->hi};
    }
    c.scope = root;
    collect_block(&c, kernel->body);
    return c.list;
}

/* ---- boxes ---- */

enum { MAX_MAP = 1 << 20 };

struct digit {
    const struct var *var;
    int64_t k, lo, n;
};

static void sort_digits(struct digit *digit, int n)
{
    for (int i = 1; i < n; i++) {
        for (int j = i; j > 0 && digit[j].k < digit[j - 1].k; j--) {
            struct digit swap = digit[j];
            digit[j] = digit[j - 1];
            digit[j - 1] = swap;
        }
    }
}

/* What the digits meet of [0, span): each digit repeats, at its distance, what those before it meet. */
static bool *map_digits(struct arena *arena, const struct digit *digit, int n, int64_t width, int64_t span)
{
    bool *met = NEW_ARRAY(arena, bool, span);
    int64_t before = width;
    memset(met, true, (size_t)width);
    for (int i = 0; i < n; i++) {
        for (int64_t t = 1; t < digit[i].n; t++) {
            memcpy(met + t * digit[i].k, met, (size_t)before);
        }
        before += digit[i].k * (digit[i].n - 1);
    }
    return met;
}

/* One dimension: the part that stands still, and the interval of the rest. */
static bool dimension_box(const struct accesses *list, const struct access *access, int d, int fixed, bool gaps,
                          struct box *box, const char **why)
{
    const struct affine *form = &access->ref->at[d];
    struct digit digit[MAX_TERMS];
    int n = 0;
    int64_t width = d == access->ref->buffer->rank - 1 ? access->width : 1, span = width;
    bool dense = true;
    box->met[d] = NULL;
    box->fixed[d].n = 0;
    box->fixed[d].c = 0;
    box->lo[d] = form->c;
    for (int i = 0; i < form->n; i++) {
        const struct var *var = form->term[i].var;
        const struct range *r = &access->scope->range[var->id];
        if (list->level[var->id] <= fixed) {
            box->fixed[d].term[box->fixed[d].n++] = form->term[i];
        } else if (r->hi - r->lo > 1) {
            digit[n++] = (struct digit){var, form->term[i].k, r->lo, r->hi - r->lo};
        } else {
            box->lo[d] += form->term[i].k * r->lo;
        }
    }
    sort_digits(digit, n);
    for (int i = 0; i < n; i++) {
        dense = dense && digit[i].k == span;
        if (gaps ? digit[i].k < span : !dense) {
            *why = arena_printf(list->arena,
                                "dimension %d: the coefficient of %s is %lld and the span of the digits before it %lld",
                                d, digit[i].var->name, (long long)digit[i].k, (long long)span);
            return false;
        }
        if (list->used[digit[i].var->id]) {
            *why = arena_printf(list->arena, "%s is a digit twice", digit[i].var->name);
            return false;
        }
        list->used[digit[i].var->id] = true;
        box->lo[d] += digit[i].k * digit[i].lo;
        span += digit[i].k * (digit[i].n - 1);
    }
    box->hi[d] = box->lo[d] + span;
    if (!dense && span > MAX_MAP) {
        *why = arena_printf(list->arena, "dimension %d: digits with gaps span %lld elements", d, (long long)span);
        return false;
    }
    if (!dense) {
        box->met[d] = map_digits(list->arena, digit, n, width, span);
    }
    return true;
}

/* A guard that does not already hold everywhere must cut one dimension of the box. */
static bool clip(const struct accesses *list, const struct access *access, const struct stmt *guard, struct box *box,
                 const char **why)
{
    int64_t least, greatest;
    const struct range *range = access->scope->range;
    difference_range(range, &guard->cond, &(struct affine){0}, &least, &greatest);
    if (guard->lo <= least && greatest < guard->hi) {
        return true;
    }
    int rank = access->ref->buffer->rank;
    for (int d = 0; d < rank; d++) {
        difference_range(range, &access->ref->at[d], &guard->cond, &least, &greatest);
        if (least != greatest || (d == rank - 1 && access->width > 1)) {
            continue;
        }
        if (guard->lo + least > box->clip_lo[d]) {
            box->clip_lo[d] = guard->lo + least;
        }
        if (guard->hi + least < box->clip_hi[d]) {
            box->clip_hi[d] = guard->hi + least;
        }
        return true;
    }
    *why = arena_printf(list->arena, "the guard %s in %lld..%lld does not cut one of the subscripts",
                        affine_text(list->arena, guard->cond), (long long)guard->lo, (long long)guard->hi);
    return false;
}

static bool every_variable_used(const struct accesses *list, const struct access *access, int fixed, const char **why)
{
    const struct range *range = access->scope->range;
    const struct var *missing = NULL;
    for (const struct scope *s = access->scope; s->depth > fixed && s->stmt != NULL; s = s->up) {
        if (s->stmt->kind == STMT_LOOP && !list->used[s->stmt->var->id] &&
            range[s->stmt->var->id].hi - range[s->stmt->var->id].lo > 1) {
            missing = s->stmt->var;
        }
    }
    for (int i = 0; fixed < 0 && i < list->kernel->n_task; i++) {
        const struct var *var = list->kernel->task[i];
        if (!list->used[var->id] && range[var->id].hi - range[var->id].lo > 1) {
            missing = var;
        }
    }
    if (missing != NULL) {
        *why = arena_printf(list->arena, "%s is in no subscript, so the same elements are met %lld times",
                            missing->name, (long long)(range[missing->id].hi - range[missing->id].lo));
    }
    return missing == NULL;
}

bool access_box(const struct accesses *list, const struct access *access, int fixed, bool once, struct box *box,
                const char **why)
{
    memset(list->used, 0, sizeof(bool) * (size_t)list->kernel->n_var);
    for (int d = 0; d < access->ref->buffer->rank; d++) {
        box->clip_lo[d] = 0;
        box->clip_hi[d] = access->ref->buffer->dim[d];
        if (!dimension_box(list, access, d, fixed, once, box, why)) {
            return false;
        }
    }
    for (const struct scope *s = access->scope; s->depth > fixed && s->stmt != NULL; s = s->up) {
        if (s->stmt->kind == STMT_IF && !clip(list, access, s->stmt, box, why)) {
            return false;
        }
    }
    return !once || every_variable_used(list, access, fixed, why);
}

static const struct scope *common_scope(const struct scope *a, const struct scope *b)
{
    while (a != b) {
        if (a->depth >= b->depth) {
            a = a->up;
        } else {
            b = b->up;
        }
    }
    return a;
}

/* Guards around `outer` alone may have narrowed the loops around both. */
static bool fixed_ranges_inside(const struct accesses *list, const struct scope *common, const struct access *inner,
                                const struct access *outer)
{
    const struct range *in = inner->scope->range, *out = outer->scope->range;
    for (int i = 0; i < list->kernel->n_task; i++) {
        int id = list->kernel->task[i]->id;
        if (in[id].lo < out[id].lo || in[id].hi > out[id].hi) {
            return false;
        }
    }
    for (; common->stmt != NULL; common = common->up) {
        if (common->stmt->kind == STMT_LOOP) {
            int id = common->stmt->var->id;
            if (in[id].lo < out[id].lo || in[id].hi > out[id].hi) {
                return false;
            }
        }
    }
    return true;
}

bool access_covered(const struct accesses *list, const struct access *inner, const struct access *outer)
{
    const struct scope *common = common_scope(inner->scope, outer->scope);
    const char *why;
    struct box box;
    if (inner->ref->buffer != outer->ref->buffer || !fixed_ranges_inside(list, common, inner, outer) ||
        !access_box(list, outer, common->depth, false, &box, &why)) {
        return false;
    }
    for (int d = 0; d < inner->ref->buffer->rank; d++) {
        struct affine moving = inner->ref->at[d], fixed = affine_const(0);
        int64_t least, greatest, width = d == inner->ref->buffer->rank - 1 ? inner->width : 1;
        moving.n = 0;
        for (int i = 0; i < inner->ref->at[d].n; i++) {
            struct affine *part = list->level[inner->ref->at[d].term[i].var->id] <= common->depth ? &fixed : &moving;
            part->term[part->n++] = inner->ref->at[d].term[i];
        }
        difference_range(inner->scope->range, &moving, &(struct affine){0}, &least, &greatest);
        if (!affine_equal(fixed, box.fixed[d]) || least < box.lo[d] || greatest + width > box.hi[d]) {
            return false;
        }
        scope_range(inner->scope, inner->ref->at[d], &least, &greatest);
        if (least < box.clip_lo[d] || greatest + width > box.clip_hi[d]) {
            return false;
        }
    }
    return true;
}
