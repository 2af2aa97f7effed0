/* Building kernels: the lowering calls these in the order in which the text of the kernel reads. Each statement goes
 * to the end of the innermost open block. Whether a load or a store is aligned is worked out here, so that no
 * lowering has to think of it. Names are not made unique here: the caller chooses readable ones and the verifier
 * refuses a name declared twice in a scope. */
#include <assert.h>

#include "loop/loop.h"

enum {
    CACHE_LINE_ELEMENTS = 16
}; /* buffers start at multiples of 64 bytes, of 16 f32; a caller's need not: loop_caller */

static struct stmt *append(struct builder *b, enum stmt_kind kind)
{
    struct stmt *stmt = NEW(b->arena, struct stmt);
    stmt->kind = kind;
    *b->tail[b->depth] = stmt;
    b->tail[b->depth] = &stmt->next;
    return stmt;
}

static void open_block(struct builder *b, struct stmt *stmt)
{
    assert(b->depth + 1 < (int)LENGTH(b->tail) && "blocks nest too deeply");
    b->tail[++b->depth] = &stmt->body;
}

struct builder kernel_begin(struct arena *arena, const char *name)
{
    struct builder b = {.arena = arena, .kernel = NEW(arena, struct kernel)};
    b.kernel->name = intern(name);
    b.tail[0] = &b.kernel->body;
    return b;
}

struct kernel *kernel_end(struct builder *b)
{
    assert(b->depth == 0 && "a block is still open");
    return b->kernel;
}

struct buffer *kernel_buffer(struct builder *b, enum direction dir, const char *name, int rank, const int64_t *dim)
{
    struct kernel *k = b->kernel;
    assert(rank >= 1 && rank <= MAX_BUFFER_RANK);
    assert(dir == DIR_LOCAL ? k->n_local < MAX_LOCALS : k->n_buffer < MAX_BUFFERS);
    struct buffer *buffer = NEW(b->arena, struct buffer);
    *buffer = (struct buffer){.name = intern(name), .dir = dir, .element = ELEMENT_F32, .rank = rank};
    for (int i = 0; i < rank; i++)
        buffer->dim[i] = dim[i];
    if (dir == DIR_LOCAL)
        k->local[k->n_local++] = buffer;
    else
        k->buffer[k->n_buffer++] = buffer;
    return buffer;
}

int64_t buffer_bytes(const struct buffer *buffer)
{
    int64_t bytes = sizeof(float);
    for (int d = 0; d < buffer->rank; d++) {
        bytes *= buffer->dim[d];
    }
    return bytes;
}

static struct var *new_var(struct builder *b, enum var_kind kind, const char *name, int64_t lo, int64_t hi)
{
    struct var *var = NEW(b->arena, struct var);
    *var = (struct var){.name = intern(name), .lo = lo, .hi = hi, .kind = kind, .id = b->kernel->n_var++};
    return var;
}

struct var *kernel_task(struct builder *b, const char *name, int64_t n)
{
    assert(b->kernel->n_task < MAX_TASKS);
    return b->kernel->task[b->kernel->n_task++] = new_var(b, VAR_TASK, name, 0, n);
}

struct var *loop_begin(struct builder *b, enum var_kind kind, const char *name, int64_t lo, int64_t hi)
{
    struct stmt *stmt = append(b, STMT_LOOP);
    stmt->var = new_var(b, kind, name, lo, hi);
    open_block(b, stmt);
    return stmt->var;
}

void if_begin(struct builder *b, struct affine cond, int64_t lo, int64_t hi)
{
    struct stmt *stmt = append(b, STMT_IF);
    stmt->cond = cond;
    stmt->lo = lo;
    stmt->hi = hi;
    open_block(b, stmt);
}

struct var *emit_table(struct builder *b, const char *name, struct affine at, const int64_t *number, int64_t n)
{
    int64_t least = number[0], greatest = number[0];
    for (int64_t i = 1; i < n; i++) {
        least = number[i] < least ? number[i] : least;
        greatest = number[i] > greatest ? number[i] : greatest;
    }
    struct stmt *stmt = append(b, STMT_TABLE);
    stmt->var = new_var(b, VAR_TABLE, name, least, greatest + 1);
    stmt->cond = at;
    stmt->table = number;
    stmt->n_table = n;
    return stmt->var;
}

void block_end(struct builder *b)
{
    assert(b->depth > 0 && "no block is open");
    b->depth--;
}

static struct reg *new_reg(struct builder *b, const char *name, struct vtype type, int rank, const int64_t *dim)
{
    struct reg *reg = NEW(b->arena, struct reg);
    assert(rank >= 0 && rank <= (int)LENGTH(reg->dim));
    *reg = (struct reg){.name = intern(name), .type = type, .rank = rank};
    for (int i = 0; i < rank; i++)
        reg->dim[i] = dim[i];
    return reg;
}

struct reg *emit_reg(struct builder *b, const char *name, struct vtype type, int rank, const int64_t *dim)
{
    return append(b, STMT_REG)->reg = new_reg(b, name, type, rank, dim);
}

void emit_set(struct builder *b, struct reg_ref target, struct expr *value)
{
    struct stmt *stmt = append(b, STMT_SET);
    stmt->target = target;
    stmt->value = value;
}

struct expr *emit_let(struct builder *b, const char *name, struct expr *value)
{
    struct stmt *stmt = append(b, STMT_LET);
    stmt->reg = new_reg(b, name, value->type, 0, NULL);
    stmt->value = value;
    return expr_reg(b, (struct reg_ref){.reg = stmt->reg});
}

struct stmt *emit_store(struct builder *b, struct element_ref ref, struct expr *value, int lanes)
{
    struct stmt *stmt = append(b, STMT_STORE);
    stmt->ref = ref;
    stmt->value = value;
    stmt->lanes = lanes;
    stmt->aligned = ref_is_aligned(&ref, value->type.lanes);
    return stmt;
}

void emit_prefetch(struct builder *b, struct element_ref ref, int level)
{
    struct stmt *stmt = append(b, STMT_PREFETCH);
    stmt->ref = ref;
    stmt->level = level;
}

void emit_transpose(struct builder *b, struct reg *reg)
{
    append(b, STMT_TRANSPOSE)->reg = reg;
}

void emit_fence(struct builder *b)
{
    append(b, STMT_FENCE);
}

void emit_comment(struct builder *b, const char *text)
{
    append(b, STMT_COMMENT)->text = arena_printf(b->arena, "%s", text);
}

struct element_ref at(struct buffer *buffer, ...)
{
    struct element_ref ref = {.buffer = buffer};
    va_list list;
    va_start(list, buffer);
    for (int i = 0; i < buffer->rank; i++)
        ref.at[i] = va_arg(list, struct affine);
    va_end(list);
    return ref;
}

struct reg_ref reg_at(struct reg *reg, ...)
{
    struct reg_ref ref = {.reg = reg};
    va_list list;
    va_start(list, reg);
    for (int i = 0; i < reg->rank; i++)
        ref.at[i] = va_arg(list, struct affine);
    va_end(list);
    return ref;
}

/* The offset in elements is affine too: its constant and every coefficient must be multiples of the lanes. A
 * variable of one value counts as a constant. */
bool ref_is_aligned(const struct element_ref *ref, int lanes)
{
    if (lanes < 1 || CACHE_LINE_ELEMENTS % lanes != 0)
        return false;
    int64_t stride = 1, constant = 0;
    for (int d = ref->buffer->rank - 1; d >= 0; d--) {
        const struct affine *form = &ref->at[d];
        constant += form->c % lanes * stride;
        for (int i = 0; i < form->n; i++) {
            const struct var *var = form->term[i].var;
            int64_t step = form->term[i].k % lanes * stride;
            if (var->hi - var->lo == 1)
                constant += step * (var->lo % lanes);
            else if (step % lanes != 0)
                return false;
        }
        constant %= lanes;
        stride = stride * (ref->buffer->dim[d] % lanes) % lanes;
    }
    return constant % lanes == 0;
}

static struct expr *new_expr(struct builder *b, enum expr_kind kind, int lanes)
{
    struct expr *expr = NEW(b->arena, struct expr);
    expr->kind = kind;
    expr->type = (struct vtype){.element = ELEMENT_F32, .lanes = lanes};
    return expr;
}

struct expr *expr_load(struct builder *b, int lanes, struct element_ref ref)
{
    struct expr *expr = new_expr(b, EXPR_LOAD, lanes);
    expr->ref = ref;
    expr->aligned = ref_is_aligned(&ref, lanes);
    return expr;
}

struct expr *expr_load_some(struct builder *b, int lanes, struct element_ref ref, int count, double fill)
{
    struct expr *expr = expr_load(b, lanes, ref);
    if (count < lanes) {
        expr->aligned = false;
        expr->count = count;
        expr->value = fill;
    }
    return expr;
}

struct expr *expr_load_repeated(struct builder *b, int lanes, struct element_ref ref, int n)
{
    struct expr *expr = expr_load(b, lanes, ref);
    if (n < lanes) {
        expr->aligned = false;
        expr->repeat = n;
    }
    return expr;
}

struct expr *expr_splat(struct builder *b, int lanes, struct element_ref ref)
{
    struct expr *expr = new_expr(b, EXPR_SPLAT, lanes);
    expr->ref = ref;
    return expr;
}

int64_t pick_lane(const struct expr *e, int64_t l)
{
    int64_t group = (l + e->pick_base) / e->pick_b, last = CACHE_LINE_ELEMENTS / e->pick_b - 1;
    return e->pick_a * (group < last ? group : last);
}

struct expr *expr_pick(struct builder *b, int lanes, struct element_ref ref, int64_t a, int64_t every, int64_t base,
                       struct affine e)
{
    struct expr *expr = new_expr(b, EXPR_PICK, lanes);
    expr->ref = ref;
    expr->pick_a = a;
    expr->pick_b = every;
    expr->pick_base = base;
    expr->pick_e = e;
    return expr;
}

struct expr *expr_reg(struct builder *b, struct reg_ref ref)
{
    struct expr *expr = new_expr(b, EXPR_REG, ref.reg->type.lanes);
    expr->type = ref.reg->type;
    expr->reg = ref;
    return expr;
}

struct expr *expr_lane(struct builder *b, struct reg_ref ref, struct affine lane)
{
    struct expr *expr = expr_reg(b, ref);
    expr->kind = EXPR_LANE;
    expr->lane = lane;
    return expr;
}

struct expr *expr_const(struct builder *b, int lanes, double value)
{
    struct expr *expr = new_expr(b, EXPR_CONST, lanes);
    expr->value = value;
    return expr;
}

struct expr *expr_op(struct builder *b, enum vop op, struct expr *x, struct expr *y, struct expr *z)
{
    struct expr *expr = new_expr(b, EXPR_OP, x->type.lanes);
    expr->type = x->type;
    expr->op = op;
    expr->arg[0] = x;
    expr->arg[1] = y;
    expr->arg[2] = z;
    return expr;
}
