/* Rule 3 of loop_verify.c: subscripts of registers stay inside, and each element is set before it is read.
 *
 * The kernel is run as far as its registers go. Unrolled loops run in full, since their variables are the only ones
 * that subscripts of registers use; so those are known exactly. A `for` runs once: what its body sets, and a later
 * turn may read, it sets in every turn. What is set under a guard of which it is not known whether it holds (it
 * speaks of tasks or `for` variables) counts inside that guard only. */
#include "loop/loop.h"

#include <string.h>

enum { MAX_UNROLLED_STATEMENTS = 1 << 20, STEP_BYTES = 64 };

struct live { /* a register whose declaration was passed */
    const struct reg *reg;
    bool *set; /* by element */
};
struct run {
    struct diags *diags;
    struct arena *arena;
    const struct kernel *kernel;
    struct live *live;
    size_t n_live, cap_live;
    int64_t *value; /* of unrolled variables, by id */
    bool *known;
    int steps;
    bool too_many;
    const struct stmt *stmt, *blamed; /* a statement is blamed once, not for every turn */
};

static int64_t value_of(const struct run *v, const struct affine *form)
{
    int64_t value = form->c;
    for (int t = 0; t < form->n; t++) {
        value += form->term[t].k * v->value[form->term[t].var->id];
    }
    return value;
}

static bool *find_element(struct run *v, const struct reg_ref *ref)
{
    size_t it = v->n_live - 1;
    int64_t element = 0;
    while (v->live[it].reg != ref->reg) {
        it--; /* rule 1: it is there */
    }
    for (int d = 0; d < ref->reg->rank; d++) {
        int64_t i = value_of(v, &ref->at[d]);
        if (i < 0 || i >= ref->reg->dim[d]) {
            if (v->blamed != v->stmt) {
                diag_error_file(v->diags, CHECK_loop_reg_subscript, v->kernel->name, "%s: subscript %d is %lld of %lld",
                                reg_ref_text(v->arena, ref), d, (long long)i, (long long)ref->reg->dim[d]);
            }
            v->blamed = v->stmt;
            return NULL;
        }
        element = element * ref->reg->dim[d] + i;
    }
    return &v->live[it].set[element];
}

static void check_lane(struct run *v, const struct expr *expr)
{
    int64_t lane = value_of(v, &expr->lane);
    if ((lane < 0 || lane >= expr->type.lanes) && v->blamed != v->stmt) {
        v->blamed = v->stmt;
        diag_error_file(v->diags, CHECK_loop_reg_subscript, v->kernel->name, "%s: lane %lld of %d",
                        reg_ref_text(v->arena, &expr->reg), (long long)lane, expr->type.lanes);
    }
}

static void run_expr(struct run *v, const struct expr *expr)
{
    if (expr->kind == EXPR_LANE) {
        check_lane(v, expr);
    }
    if (expr->kind == EXPR_REG || expr->kind == EXPR_LANE) {
        const bool *set = find_element(v, &expr->reg);
        if (set != NULL && !*set && v->blamed != v->stmt) {
            v->blamed = v->stmt;
            diag_error_file(v->diags, CHECK_loop_reg_unset, v->kernel->name, "%s is read before it is set",
                            reg_ref_text(v->arena, &expr->reg));
        }
    } else if (expr->kind == EXPR_OP) {
        for (int i = 0; i < 3 && expr->arg[i] != NULL; i++) {
            run_expr(v, expr->arg[i]);
        }
    }
}

static size_t reg_elements(const struct reg *reg)
{
    size_t n = 1;
    for (int d = 0; d < reg->rank; d++) {
        n *= (size_t)reg->dim[d];
    }
    return n;
}

static void make_live(struct run *v, const struct reg *reg, bool set)
{
    struct live it = {reg, NULL};
    /* Unrolled loops come here again and again: the place of the last time is used again. */
    if (v->n_live < v->cap_live && v->live[v->n_live].reg == reg && v->live[v->n_live].set != NULL) {
        it.set = v->live[v->n_live].set;
    } else {
        it.set = NEW_ARRAY(v->arena, bool, reg_elements(reg));
    }
    memset(it.set, set, reg_elements(reg));
    v->steps += (int)(reg_elements(reg) / STEP_BYTES);
    PUSH(v->arena, v->live, v->n_live, v->cap_live, it);
}

static void run_block(struct run *v, const struct stmt *stmt);

/* Where it is not known whether the guard holds, what is set inside counts inside only. */
static void run_if(struct run *v, const struct stmt *stmt)
{
    int64_t least = stmt->cond.c, greatest = stmt->cond.c;
    for (int i = 0; i < stmt->cond.n; i++) {
        const struct var *var = stmt->cond.term[i].var;
        int64_t k = stmt->cond.term[i].k;
        int64_t lo = v->known[var->id] ? v->value[var->id] : var->lo, last = v->known[var->id] ? lo : var->hi - 1;
        least += k * (k > 0 ? lo : last);
        greatest += k * (k > 0 ? last : lo);
    }
    if (greatest < stmt->lo || least >= stmt->hi) {
        return;
    }
    bool holds = least >= stmt->lo && greatest < stmt->hi;
    bool **saved = holds ? NULL : NEW_ARRAY(v->arena, bool *, v->n_live);
    for (size_t i = 0; !holds && i < v->n_live; i++) {
        size_t n = reg_elements(v->live[i].reg);
        saved[i] = memcpy(NEW_ARRAY(v->arena, bool, n), v->live[i].set, n);
        v->steps += (int)(n / STEP_BYTES);
    }
    run_block(v, stmt->body);
    for (size_t i = 0; !holds && i < v->n_live; i++) {
        memcpy(v->live[i].set, saved[i], reg_elements(v->live[i].reg));
    }
}

static void run_loop(struct run *v, const struct stmt *stmt)
{
    int id = stmt->var->id;
    bool unroll = stmt->var->kind == VAR_UNROLL;
    v->known[id] = unroll;
    for (int64_t i = stmt->var->lo; i < (unroll ? stmt->var->hi : stmt->var->lo + 1); i++) {
        v->value[id] = i;
        run_block(v, stmt->body);
        if (v->steps > MAX_UNROLLED_STATEMENTS) {
            return;
        }
    }
}

static void run_transpose(struct run *v, const struct reg *reg)
{
    struct reg_ref ref = {.reg = (struct reg *)reg};
    for (int64_t i = 0; reg->rank == 1 && i < reg->dim[0]; i++) {
        ref.at[0] = affine_const(i);
        run_expr(v, &(struct expr){.kind = EXPR_REG, .reg = ref});
    }
}

static void run_block(struct run *v, const struct stmt *stmt)
{
    size_t outer = v->n_live;
    for (; stmt != NULL && v->steps <= MAX_UNROLLED_STATEMENTS; stmt = stmt->next) {
        v->stmt = stmt;
        if (++v->steps > MAX_UNROLLED_STATEMENTS && !v->too_many) {
            v->too_many = true;
            diag_error_file(v->diags, CHECK_loop_sizes, v->kernel->name, "more than %d statements after unrolling",
                            MAX_UNROLLED_STATEMENTS);
        }
        switch (stmt->kind) {
        case STMT_LOOP: run_loop(v, stmt); break;
        case STMT_IF: run_if(v, stmt); break;
        case STMT_REG: make_live(v, stmt->reg, false); break;
        case STMT_SET: {
            run_expr(v, stmt->value);
            bool *set = find_element(v, &stmt->target);
            if (set != NULL) {
                *set = true;
            }
            break;
        }
        case STMT_LET:
            run_expr(v, stmt->value);
            make_live(v, stmt->reg, true);
            break;
        case STMT_STORE: run_expr(v, stmt->value); break;
        case STMT_TRANSPOSE: run_transpose(v, stmt->reg); break;
        case STMT_TABLE: v->known[stmt->var->id] = false; break;
        case STMT_PREFETCH:
        case STMT_FENCE:
        case STMT_COMMENT: break;
        }
    }
    v->n_live = outer;
}

void registers_verify(struct diags *diags, const struct kernel *kernel)
{
    struct run v = {.diags = diags, .arena = arena_new("registers"), .kernel = kernel};
    v.value = NEW_ARRAY(v.arena, int64_t, kernel->n_var + 1);
    v.known = NEW_ARRAY(v.arena, bool, kernel->n_var + 1);
    run_block(&v, kernel->body);
    arena_free(v.arena);
}
