/* The rules that every kernel keeps. Lowering bugs show here, before any C exists. In order; a kernel that breaks 0
 * or 1 is not looked at further.
 *
 *   0  loop_sizes          bounds, extents and coefficients are in a range in which nothing below overflows;
 *                          unrolled code is of a sensible size, locals fit a stack
 *   1  loop_names          every name is declared once where it is visible (nothing is shadowed), before it is
 *      loop_types          used, and is no word of loop IR; lanes of an operation's arguments, of a set's register
 *      loop_direction      and of a store agree; every reference has as many subscripts as dimensions; `in` is
 *                          never stored
 *   2  loop_bounds         the interval of each subscript, narrowed by the guards around it, lies inside its
 *                          dimension, with all lanes of a load or store and the block of 16 of a pick. Prefetches
 *                          may run past an end
 *   3  loop_reg_subscript  registers.c: their subscripts, and numbers of their lanes, use only unrolled variables and
 *      loop_reg_unset      constants, and stay inside; each element is set before it is read
 *   4  loop_store_digits   subscripts of stores are mixed-radix digits (access.c) that use each variable around
 *                          them once, tasks too;
 *      loop_store_once     the boxes of a buffer do not meet;
 *      loop_store_all      those of an `out` buffer fill it
 *   5  loop_inout          a load from an inout or out buffer is either of elements that a later store in the same
 *                          turn of the loops around both covers (in-place: old values), or of elements that an
 *                          earlier store so covers (a sum carried through the buffer). A store behind a load of the
 *                          second kind of the same elements is an update: it is no first store, so rule 4 does not
 *                          count it, and a loop that repeats it is allowed
 *   6  loop_aligned        `load`, `store` only where offset and coefficients are multiples of the lanes; picks
 *                          start a block
 *
 * Locals keep rules 0 to 3 and 6: they belong to the task, are stored and stored again in any order, and whether what is
 * loaded was stored before the interpreter finds out.
 *
 * So each element of an out or inout buffer is written by exactly one task or by none, and no task reads what
 * another task of the same call writes: what is left for program_verify is what happens between calls. */
#include <string.h>

#include "loop/loop.h"

enum { MAX_NAME = 200, MAX_LANES = 64, MAX_UNROLL = 1024, MAX_REG = 4096, MAX_DEPTH = 60 };
static const int64_t MAX_BOUND = 1 << 24, MAX_COEFFICIENT = 1u << 31, MAX_OFFSET = (int64_t)1 << 40,
                     MAX_ELEMENTS = (int64_t)1 << 40;

struct visible { /* a declared name; exactly one of the three */
    const char *name;
    const struct buffer *buffer;
    const struct var *var;
    const struct reg *reg;
};
struct verifier {
    struct diags *diags;
    struct arena *arena;
    const struct kernel *kernel;
    struct visible *visible;
    size_t n_visible, cap_visible;
    const struct var **by_id; /* which variable has an id */
    int errors_before;
};

PRINTF(3, 4) static bool fail(struct verifier *v, enum check check, const char *format, ...)
{
    struct text text = {.arena = v->arena};
    va_list list;
    va_start(list, format);
    text_add_v(&text, format, list);
    va_end(list);
    diag_error_file(v->diags, check, v->kernel->name != NULL ? v->kernel->name : "kernel", "%s", text_string(&text));
    return false;
}

static bool failed(const struct verifier *v)
{
    return diag_errors(v->diags) != v->errors_before;
}

/* ---- rules 0 and 1: names, sizes, types ---- */

static const struct visible *find_visible(const struct verifier *v, const void *thing)
{
    for (size_t i = thing != NULL ? v->n_visible : 0; i-- > 0;) {
        const struct visible *it = &v->visible[i];
        if (it->buffer == thing || it->var == thing || it->reg == thing) {
            return it;
        }
    }
    return NULL;
}

static void declare(struct verifier *v, struct visible it)
{
    if (it.name == NULL || !loop_name_is_valid(it.name) || strlen(it.name) > MAX_NAME) {
        fail(v, CHECK_loop_names, "\"%s\" cannot be a name", it.name != NULL ? it.name : "");
    } else {
        for (size_t i = 0; i < v->n_visible; i++) {
            if (strcmp(v->visible[i].name, it.name) == 0) {
                fail(v, CHECK_loop_names, "%s is declared where another %s is visible", it.name, it.name);
                break;
            }
        }
    }
    PUSH(v->arena, v->visible, v->n_visible, v->cap_visible, it);
}

static void declare_var(struct verifier *v, const struct var *var)
{
    if (var->lo < -MAX_BOUND || var->hi > MAX_BOUND || var->lo >= var->hi) {
        fail(v, CHECK_loop_sizes, "%s has the range %lld..%lld", var->name, (long long)var->lo, (long long)var->hi);
    } else if (var->kind == VAR_UNROLL && var->hi - var->lo > MAX_UNROLL) {
        fail(v, CHECK_loop_sizes, "%s is unrolled %lld times", var->name, (long long)(var->hi - var->lo));
    }
    if (var->id < 0 || var->id >= v->kernel->n_var || v->by_id[var->id] != NULL) {
        fail(v, CHECK_loop_names, "%s does not have a number of its own", var->name);
    } else {
        v->by_id[var->id] = var;
    }
    declare(v, (struct visible){.name = var->name, .var = var});
}

static void declare_reg(struct verifier *v, const struct reg *reg)
{
    int64_t elements = 1;
    for (int d = 0; d < reg->rank; d++) {
        elements *= reg->dim[d] >= 1 && reg->dim[d] <= MAX_REG && elements <= MAX_REG ? reg->dim[d] : MAX_REG + 1;
    }
    if (elements > MAX_REG || reg->type.lanes < 1 || reg->type.lanes > MAX_LANES) {
        fail(v, CHECK_loop_sizes, "register %s has too many elements or lanes, or none", reg->name);
    }
    declare(v, (struct visible){.name = reg->name, .reg = reg});
}

static void declare_buffer(struct verifier *v, const struct buffer *buffer)
{
    int64_t elements = 1;
    for (int d = 0; d < buffer->rank; d++) {
        bool fits = buffer->dim[d] >= 1 && buffer->dim[d] <= MAX_ELEMENTS / elements;
        elements = fits ? elements * buffer->dim[d] : MAX_ELEMENTS;
        if (!fits) {
            fail(v, CHECK_loop_sizes, "buffer %s has the dimension %lld", buffer->name, (long long)buffer->dim[d]);
        }
    }
    if (buffer->rank < 1 || buffer->rank > MAX_BUFFER_RANK) {
        fail(v, CHECK_loop_sizes, "buffer %s has %d dimensions", buffer->name, buffer->rank);
    }
    declare(v, (struct visible){.name = buffer->name, .buffer = buffer});
}

static void check_locals(struct verifier *v)
{
    int64_t bytes = 0;
    for (int i = 0; i < v->kernel->n_local; i++) {
        int errors = diag_errors(v->diags);
        declare_buffer(v, v->kernel->local[i]);
        if (diag_errors(v->diags) == errors) {
            bytes += buffer_bytes(v->kernel->local[i]);
        }
        if (bytes > MAX_LOCAL_BYTES) {
            fail(v, CHECK_loop_sizes, "the locals up to %s take %lld bytes of stack, more than %d",
                 v->kernel->local[i]->name, (long long)bytes, MAX_LOCAL_BYTES);
            return;
        }
    }
}

static void check_affine(struct verifier *v, const struct affine *form)
{
    if (form->c < -MAX_OFFSET || form->c > MAX_OFFSET) {
        fail(v, CHECK_loop_sizes, "a subscript has the constant %lld", (long long)form->c);
    }
    for (int i = 0; i < form->n; i++) {
        if (form->term[i].k < -MAX_COEFFICIENT || form->term[i].k > MAX_COEFFICIENT || form->term[i].k == 0) {
            fail(v, CHECK_loop_sizes, "%s has the coefficient %lld", form->term[i].var->name,
                 (long long)form->term[i].k);
        }
        if (find_visible(v, form->term[i].var) == NULL) {
            fail(v, CHECK_loop_names, "%s is used outside of its loop", form->term[i].var->name);
        }
        if (i > 0 && form->term[i - 1].var->id >= form->term[i].var->id) {
            fail(v, CHECK_loop_names, "the terms of a form are not in the order of their variables");
        }
    }
}

static void check_ref(struct verifier *v, const struct element_ref *ref)
{
    if (find_visible(v, ref->buffer) == NULL) {
        fail(v, CHECK_loop_names, "a buffer of another kernel is used");
        return;
    }
    for (int d = 0; d < ref->buffer->rank; d++) {
        check_affine(v, &ref->at[d]);
    }
}

static void check_unrolled(struct verifier *v, const struct reg_ref *ref, const struct affine *form)
{
    check_affine(v, form);
    for (int i = 0; i < form->n; i++) {
        if (form->term[i].var->kind != VAR_UNROLL) {
            fail(v, CHECK_loop_reg_subscript, "%s: %s is not unrolled", reg_ref_text(v->arena, ref),
                 form->term[i].var->name);
        }
    }
}

static void check_reg_ref(struct verifier *v, const struct reg_ref *ref)
{
    if (find_visible(v, ref->reg) == NULL) {
        fail(v, CHECK_loop_names, "register %s is used outside of the block that declares it", ref->reg->name);
        return;
    }
    for (int d = 0; d < ref->reg->rank; d++) {
        check_unrolled(v, ref, &ref->at[d]);
    }
}

static bool same_type(struct vtype a, struct vtype b)
{
    return a.element == b.element && a.lanes == b.lanes && a.is_index == b.is_index;
}

static const char *type_name(struct verifier *v, struct vtype type)
{
    return type.lanes == 1 ? "one lane" : arena_printf(v->arena, "%d lanes", type.lanes);
}

static void check_expr(struct verifier *v, const struct expr *expr)
{
    static const int arity[] = {
#define VOP(name, count, ...) count,
#include "loop/vops.def"
#undef VOP
    };
    if (expr->type.lanes < 1 || expr->type.lanes > MAX_LANES) {
        fail(v, CHECK_loop_types, "an expression has %d lanes", expr->type.lanes);
    }
    if (expr->kind == EXPR_LOAD || expr->kind == EXPR_SPLAT || expr->kind == EXPR_PICK) {
        check_ref(v, &expr->ref);
    }
    if (expr->kind == EXPR_LOAD && (expr->count < 0 || expr->count > expr->type.lanes)) {
        fail(v, CHECK_loop_types, "%d lanes of a load with %s are read", expr->count, type_name(v, expr->type));
    }
    if (expr->kind == EXPR_LOAD && expr->repeat &&
        (expr->repeat < 0 || expr->count || expr->type.lanes % expr->repeat)) {
        fail(v, CHECK_loop_types, "%d elements are repeated in %s", expr->repeat, type_name(v, expr->type));
    }
    if (expr->kind == EXPR_PICK) {
        check_affine(v, &expr->pick_e);
        if (expr->pick_b < 1 || expr->pick_b > PICK_BLOCK || expr->pick_a < 0 || expr->pick_a > MAX_LANES ||
            expr->pick_base < 0 || expr->pick_base > MAX_LANES) {
            fail(v, CHECK_loop_types, "lanes(%lld/%lld) from %lld", (long long)expr->pick_a, (long long)expr->pick_b,
                 (long long)expr->pick_base);
        }
    }
    if (expr->kind == EXPR_LANE) {
        check_unrolled(v, &expr->reg, &expr->lane);
    }
    if (expr->kind == EXPR_REG || expr->kind == EXPR_LANE) {
        check_reg_ref(v, &expr->reg);
        if (!same_type(expr->type, expr->reg.reg->type)) {
            fail(v, CHECK_loop_types, "%s is used with another type than it has", reg_ref_text(v->arena, &expr->reg));
        }
    }
    if (expr->kind == EXPR_OP) {
        for (int i = 0; i < 3; i++) {
            if ((expr->arg[i] != NULL) != (i < arity[expr->op])) {
                fail(v, CHECK_loop_types, "%s takes %d arguments", vop_name(expr->op), arity[expr->op]);
            }
            if (expr->arg[i] == NULL) {
                break;
            }
            check_expr(v, expr->arg[i]);
            if (!same_type(expr->type, expr->arg[i]->type)) {
                fail(v, CHECK_loop_types, "an argument of %s has %s, the result %s", vop_name(expr->op),
                     type_name(v, expr->arg[i]->type), type_name(v, expr->type));
            }
        }
    }
}

static void check_assigned(struct verifier *v, const struct reg *reg, const struct expr *value)
{
    if (!same_type(reg->type, value->type)) {
        fail(v, CHECK_loop_types, "%s has %s, its value %s", reg->name, type_name(v, reg->type),
             type_name(v, value->type));
    }
}

static void check_store(struct verifier *v, const struct stmt *stmt)
{
    check_expr(v, stmt->value);
    check_ref(v, &stmt->ref);
    if (stmt->value->type.is_index || stmt->lanes < 1 || stmt->lanes > stmt->value->type.lanes) {
        fail(v, CHECK_loop_types, "%d lanes of a value with %s are stored", stmt->lanes,
             type_name(v, stmt->value->type));
    }
    if (stmt->ref.buffer->dir == DIR_IN) {
        fail(v, CHECK_loop_direction, "%s is an in buffer and is stored", stmt->ref.buffer->name);
    }
}

/* What is stored, and where tasks and guards end, must be read off the subscripts. */
static void check_no_table(struct verifier *v, const struct affine *form, int n)
{
    for (int i = 0; i < n; i++) {
        for (int t = 0; t < form[i].n; t++) {
            if (form[i].term[t].var->kind == VAR_TABLE) {
                fail(v, CHECK_loop_store_digits, "%s comes from a table and may stand in subscripts of loads only",
                     form[i].term[t].var->name);
                return;
            }
        }
    }
}

static void check_table(struct verifier *v, const struct stmt *stmt)
{
    int64_t least, greatest;
    affine_range(stmt->cond, &least, &greatest);
    if (least < 0 || greatest >= stmt->n_table) {
        fail(v, CHECK_loop_bounds, "%s is number %s of a table: %lld to %lld, it has %lld", stmt->var->name,
             affine_text(v->arena, stmt->cond), (long long)least, (long long)greatest, (long long)stmt->n_table);
    }
}

static void check_transpose(struct verifier *v, const struct reg *reg)
{
    if (find_visible(v, reg) == NULL) {
        fail(v, CHECK_loop_names, "register %s is used outside of the block that declares it", reg->name);
    }
    if (reg->rank != 1 || reg->dim[0] != reg->type.lanes) {
        fail(v, CHECK_loop_types, "%s is transposed, but does not have as many vectors as lanes", reg->name);
    }
}

static void check_block(struct verifier *v, const struct stmt *stmt, int depth)
{
    size_t outer = v->n_visible;
    if (depth > MAX_DEPTH) {
        fail(v, CHECK_loop_sizes, "blocks nest deeper than %d", MAX_DEPTH);
        return;
    }
    for (; stmt != NULL; stmt = stmt->next) {
        size_t here = v->n_visible;
        switch (stmt->kind) {
        case STMT_LOOP:
            declare_var(v, stmt->var);
            check_block(v, stmt->body, depth + 1);
            v->n_visible = here;
            break;
        case STMT_IF:
            check_affine(v, &stmt->cond);
            check_no_table(v, &stmt->cond, 1);
            if (stmt->lo < -MAX_OFFSET || stmt->hi > MAX_OFFSET || stmt->lo >= stmt->hi) {
                fail(v, CHECK_loop_sizes, "the guard %s in %lld..%lld is empty", affine_text(v->arena, stmt->cond),
                     (long long)stmt->lo, (long long)stmt->hi);
            }
            check_block(v, stmt->body, depth + 1);
            break;
        case STMT_TABLE:
            check_affine(v, &stmt->cond);
            check_no_table(v, &stmt->cond, 1);
            check_table(v, stmt);
            declare_var(v, stmt->var);
            break;
        case STMT_REG: declare_reg(v, stmt->reg); break;
        case STMT_SET:
            check_expr(v, stmt->value);
            check_reg_ref(v, &stmt->target);
            check_assigned(v, stmt->target.reg, stmt->value);
            break;
        case STMT_LET:
            check_expr(v, stmt->value);
            declare_reg(v, stmt->reg);
            check_assigned(v, stmt->reg, stmt->value);
            break;
        case STMT_STORE:
            check_store(v, stmt);
            check_no_table(v, stmt->ref.at, stmt->ref.buffer->rank);
            break;
        case STMT_PREFETCH: check_ref(v, &stmt->ref); break;
        case STMT_TRANSPOSE: check_transpose(v, stmt->reg); break;
        case STMT_FENCE:
        case STMT_COMMENT: break;
        }
    }
    v->n_visible = outer;
}

/* ---- rules 2 and 6: bounds and alignment ---- */

static void check_access(struct verifier *v, const struct access *access)
{
    const struct buffer *buffer = access->ref->buffer;
    for (int d = 0; d < buffer->rank; d++) {
        int64_t least, greatest;
        scope_range(access->scope, access->ref->at[d], &least, &greatest);
        greatest += d == buffer->rank - 1 ? access->width - 1 : 0;
        if (least < 0 || greatest >= buffer->dim[d]) {
            fail(v, CHECK_loop_bounds, "%s %s: dimension %d has %lld elements, met are %lld to %lld",
                 access->is_store ? "store" : "load", element_ref_text(v->arena, access->ref), d,
                 (long long)buffer->dim[d], (long long)least, (long long)greatest);
        }
    }
    const struct expr *expr = access->expr;
    bool aligned = expr == NULL              ? access->stmt->aligned
                   : expr->kind == EXPR_LOAD ? expr->aligned
                                             : expr->kind == EXPR_PICK;
    int lanes = expr == NULL ? access->stmt->value->type.lanes : access->width;
    if (aligned && !ref_is_aligned(access->ref, lanes)) {
        fail(v, CHECK_loop_aligned, "%s is not at a multiple of %d elements", element_ref_text(v->arena, access->ref),
             lanes);
    }
    if (expr != NULL && expr->kind == EXPR_PICK) {
        int64_t least, greatest;
        scope_range(access->scope, expr->pick_e, &least, &greatest);
        if (least + pick_lane(expr, 0) < 0 || greatest + pick_lane(expr, expr->type.lanes - 1) >= PICK_BLOCK) {
            fail(v, CHECK_loop_bounds, "pick %s: lanes(%lld/%lld, %s) leaves the block of %d",
                 element_ref_text(v->arena, access->ref), (long long)expr->pick_a, (long long)expr->pick_b,
                 affine_text(v->arena, expr->pick_e), PICK_BLOCK);
        }
    }
}

/* ---- rules 4 and 5: stores, and loads of what is stored ---- */

/* Whether some other access, of the wanted kind and side in the text, covers this one. */
static bool covered(const struct accesses *list, size_t i, bool by_store, bool earlier)
{
    for (size_t j = earlier ? 0 : i + 1; j < (earlier ? i : list->count); j++) {
        if (list->at[j].is_store == by_store && access_covered(list, &list->at[i], &list->at[j])) {
            return true;
        }
    }
    return false;
}

/* A store of what was loaded before, which was stored before that. */
static bool is_update(const struct accesses *list, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (!list->at[j].is_store && list->at[j].ref->buffer == list->at[i].ref->buffer &&
            access_covered(list, &list->at[i], &list->at[j]) && covered(list, j, true, true)) {
            return true;
        }
    }
    return false;
}

struct written { /* the box of a first store */
    int64_t lo[MAX_BUFFER_RANK], hi[MAX_BUFFER_RANK], count[MAX_BUFFER_RANK];
    const bool *met[MAX_BUFFER_RANK]; /* [lo, hi), NULL: all */
    const struct access *access;
};

static struct written make_written(const struct access *access, const struct box *box)
{
    struct written w = {.access = access};
    for (int d = 0; d < access->ref->buffer->rank; d++) {
        w.lo[d] = box->lo[d] > box->clip_lo[d] ? box->lo[d] : box->clip_lo[d];
        w.hi[d] = box->hi[d] < box->clip_hi[d] ? box->hi[d] : box->clip_hi[d];
        w.hi[d] = w.hi[d] > w.lo[d] ? w.hi[d] : w.lo[d];
        w.met[d] = box->met[d] != NULL ? box->met[d] + (w.lo[d] - box->lo[d]) : NULL;
        w.count[d] = w.met[d] != NULL ? 0 : w.hi[d] - w.lo[d];
        for (int64_t i = w.lo[d]; w.met[d] != NULL && i < w.hi[d]; i++) {
            w.count[d] += w.met[d][i - w.lo[d]];
        }
    }
    return w;
}

static bool meet_in(const struct written *a, const struct written *b, int d)
{
    int64_t lo = a->lo[d] > b->lo[d] ? a->lo[d] : b->lo[d], hi = a->hi[d] < b->hi[d] ? a->hi[d] : b->hi[d];
    if (a->met[d] == NULL && b->met[d] == NULL) {
        return lo < hi;
    }
    for (int64_t i = lo; i < hi; i++) {
        if ((a->met[d] == NULL || a->met[d][i - a->lo[d]]) && (b->met[d] == NULL || b->met[d][i - b->lo[d]])) {
            return true;
        }
    }
    return false;
}

static bool boxes_meet(const struct written *a, const struct written *b, int rank)
{
    for (int d = 0; d < rank; d++) {
        if (!meet_in(a, b, d)) {
            return false;
        }
    }
    return true;
}

static void check_boxes(struct verifier *v, const struct buffer *buffer, const struct written *box, size_t n)
{
    int64_t stored = 0, elements = 1;
    for (int d = 0; d < buffer->rank; d++) {
        elements *= buffer->dim[d];
    }
    for (size_t i = 0; i < n; i++) {
        int64_t volume = 1;
        for (int d = 0; d < buffer->rank; d++) {
            volume *= box[i].count[d];
        }
        stored += volume;
        for (size_t j = 0; j < i; j++) {
            if (boxes_meet(&box[i], &box[j], buffer->rank)) {
                fail(v, CHECK_loop_store_once, "%s and %s store the same elements",
                     element_ref_text(v->arena, box[j].access->ref), element_ref_text(v->arena, box[i].access->ref));
                return;
            }
        }
    }
    if (buffer->dir == DIR_OUT && stored != elements) {
        fail(v, CHECK_loop_store_all, "of %s's %lld elements %lld are stored", buffer->name, (long long)elements,
             (long long)stored);
    }
}

static void check_stores(struct verifier *v, const struct accesses *list, const struct buffer *buffer)
{
    struct written *box = NEW_ARRAY(v->arena, struct written, list->count + 1);
    size_t n = 0;
    bool sound = true;
    for (size_t i = 0; i < list->count; i++) {
        const struct access *access = &list->at[i];
        if (access->ref->buffer != buffer) {
            continue;
        }
        if (!access->is_store) {
            if (!covered(list, i, true, true) && !(buffer->dir == DIR_INOUT && covered(list, i, true, false))) {
                sound = fail(v, CHECK_loop_inout, "%s is loaded, but not stored %s by the same task",
                             element_ref_text(v->arena, access->ref),
                             buffer->dir == DIR_INOUT ? "in the same turn" : "before");
            }
            continue;
        }
        struct box digits;
        const char *why = "";
        if (is_update(list, i)) {
            continue;
        }
        if (!access_box(list, access, -1, true, &digits, &why)) {
            sound = fail(v, CHECK_loop_store_digits, "store %s: %s", element_ref_text(v->arena, access->ref), why);
            continue;
        }
        box[n++] = make_written(access, &digits);
    }
    if (sound) {
        check_boxes(v, buffer, box, n);
    }
}

bool kernel_verify(struct diags *diags, const struct kernel *kernel)
{
    struct arena *arena = arena_new("loop_verify");
    struct verifier v = {.diags = diags, .arena = arena, .kernel = kernel, .errors_before = diag_errors(diags)};
    v.by_id = NEW_ARRAY(arena, const struct var *, kernel->n_var + 1);
    if (kernel->name == NULL || !loop_name_is_valid(kernel->name)) {
        fail(&v, CHECK_loop_names, "\"%s\" cannot be the name of a kernel", kernel->name != NULL ? kernel->name : "");
    }
    for (int i = 0; i < kernel->n_buffer; i++) {
        declare_buffer(&v, kernel->buffer[i]);
    }
    for (int i = 0; i < kernel->n_task; i++) {
        declare_var(&v, kernel->task[i]);
    }
    check_locals(&v);
    check_block(&v, kernel->body, 0);
    if (!failed(&v)) {
        struct accesses list = kernel_accesses(arena, kernel);
        for (size_t i = 0; i < list.count; i++) {
            check_access(&v, &list.at[i]);
        }
        registers_verify(diags, kernel);
        for (int i = 0; i < kernel->n_buffer && !failed(&v); i++) {
            if (kernel->buffer[i]->dir != DIR_IN) {
                check_stores(&v, &list, kernel->buffer[i]);
            }
        }
    }
    bool sound = !failed(&v);
    arena_free(arena);
    return sound;
}
