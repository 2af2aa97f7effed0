/* Printing loop IR. grammar/LOOP_IR.md describes the text; loop_read.c reads it back, and what is printed from that
 * is the same text.
 *
 * Loops of one kind with nothing between them stand in one line (`for o 0..4, q 0..4 {`), guards too; a block of one
 * statement that fits a line stands in its head's line. Subscripts print as affine_text gives them. */
#include "loop/loop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "targets/target.h"

#define VOP(name, ...) #name,
static const char *const vop_names[] = {
#include "loop/vops.def"
};
#undef VOP

const char *vop_name(enum vop op)
{
    return vop_names[op];
}

bool loop_name_is_valid(const char *name)
{
    static const char *const words[] = {
        "kernel", "in",    "out",   "inout", "task",  "for",    "unroll",    "if",   "reg",      "let",    "store",
        "load",   "loadu", "splat", "pick",  "lanes", "fence",  "transpose", "else", "prefetch", "zero",   "inf",
        "nan",    "from",  "at",    "f32",   "i32",   "storeu", "lane",      "of",   "local",    "repeat", "prefetch2"};
    if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') || *name == '_')) {
        return false;
    }
    for (const char *c = name; *c != '\0'; c++) {
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_')) {
            return false;
        }
    }
    for (size_t i = 0; i < LENGTH(words); i++) {
        if (strcmp(name, words[i]) == 0) {
            return false;
        }
    }
    for (size_t i = 0; i < LENGTH(vop_names); i++) {
        if (strcmp(name, vop_names[i]) == 0) {
            return false;
        }
    }
    return true;
}

/* ---- expressions ---- */

static void put_subscripts(struct text *out, const struct affine *form, int rank)
{
    for (int d = 0; d < rank; d++) {
        text_add(out, "%s%s", d ? ", " : "[", affine_text(out->arena, form[d]));
    }
    if (rank > 0) {
        text_add(out, "]");
    }
}

static void put_ref(struct text *out, const struct element_ref *ref)
{
    text_add(out, "%s", ref->buffer->name);
    put_subscripts(out, ref->at, ref->buffer->rank);
}

static void put_reg(struct text *out, const struct reg_ref *ref)
{
    text_add(out, "%s", ref->reg->name);
    put_subscripts(out, ref->at, ref->reg->rank);
}

const char *element_ref_text(struct arena *arena, const struct element_ref *ref)
{
    struct text text = {.arena = arena};
    put_ref(&text, ref);
    return text_string(&text);
}

const char *reg_ref_text(struct arena *arena, const struct reg_ref *ref)
{
    struct text text = {.arena = arena};
    put_reg(&text, ref);
    return text_string(&text);
}

static void put_type(struct text *out, struct vtype type)
{
    text_add(out, type.is_index ? "i32" : "f32");
    if (type.lanes != 1) {
        text_add(out, "x%d", type.lanes);
    }
}

static void put_const(struct text *out, double value)
{
    char digits[40];
    if (value == 0 && !signbit(value)) {
        text_add(out, "zero");
    } else if (isnan(value)) {
        text_add(out, "nan");
    } else if (isinf(value)) {
        text_add(out, value < 0 ? "-inf" : "inf");
    } else {
        int precision = 6;
        do {
            snprintf(digits, sizeof digits, "%.*g", precision++, value);
        } while (strtod(digits, NULL) != value && precision < 18);
        text_add(out, "%s", digits);
    }
}

static void put_expr(struct text *out, const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_LOAD:
        text_add(out, expr->aligned ? "load " : "loadu ");
        put_ref(out, &expr->ref);
        if (expr->count) {
            text_add(out, ":%d else ", expr->count);
            put_const(out, expr->value);
        }
        if (expr->repeat) {
            text_add(out, " repeat %d", expr->repeat);
        }
        break;
    case EXPR_SPLAT:
        text_add(out, "splat ");
        put_ref(out, &expr->ref);
        break;
    case EXPR_PICK:
        text_add(out, "pick ");
        put_ref(out, &expr->ref);
        text_add(out, ", lanes(%lld/%lld, %s)", (long long)expr->pick_a, (long long)expr->pick_b,
                 affine_text(out->arena, expr->pick_e));
        if (expr->pick_base != 0) {
            text_add(out, " from %lld", (long long)expr->pick_base);
        }
        break;
    case EXPR_REG: put_reg(out, &expr->reg); break;
    case EXPR_LANE:
        text_add(out, "lane %s of ", affine_text(out->arena, expr->lane));
        put_reg(out, &expr->reg);
        break;
    case EXPR_CONST: put_const(out, expr->value); break;
    case EXPR_OP:
        text_add(out, "%s(", vop_name(expr->op));
        for (int i = 0; i < 3 && expr->arg[i] != NULL; i++) {
            text_add(out, i ? ", " : "");
            put_expr(out, expr->arg[i]);
        }
        text_add(out, ")");
        break;
    }
}

/* The lanes of a set or a let stand in a declaration, and those of a value that names a register in the register's. */
static bool names_register(const struct expr *expr)
{
    if (expr->kind == EXPR_OP) {
        for (int i = 0; i < 3 && expr->arg[i] != NULL; i++) {
            if (names_register(expr->arg[i])) {
                return true;
            }
        }
    }
    return expr->kind == EXPR_REG || expr->kind == EXPR_LANE;
}

/* ---- statements ---- */

/* plain: a line a statement and no comments, so that comments do not show in the canonical text by the lines they break. */
struct printer {
    struct text *out;
    bool plain;
};

static void put_block(const struct printer *p, const struct stmt *stmt, int depth);

static void indent(struct text *out, int depth)
{
    text_add(out, "%*s", 4 * depth, "");
}

static void put_comment(struct text *out, const char *text, int depth)
{
    for (const char *line = text; line != NULL;) {
        const char *end = strchr(line, '\n');
        size_t n = end != NULL ? (size_t)(end - line) : strlen(line);
        indent(out, depth);
        text_add(out, n > 0 ? "# " : "#");
        text_put(out, line, n);
        text_add(out, "\n");
        line = end != NULL ? end + 1 : NULL;
    }
}

static bool is_block(const struct stmt *stmt)
{
    return stmt->kind == STMT_LOOP || stmt->kind == STMT_IF;
}

/* Whether the head of `inner`, the only statement in `outer`, continues outer's. */
static bool joins(const struct stmt *outer, const struct stmt *inner)
{
    return inner != NULL && inner->next == NULL && inner->kind == outer->kind &&
           (outer->kind == STMT_IF || (outer->kind == STMT_LOOP && outer->var->kind == inner->var->kind));
}

static bool fits_line(const struct stmt *stmt)
{
    return stmt->kind == STMT_COMMENT
               ? false
               : !is_block(stmt) || (stmt->body != NULL && stmt->body->next == NULL && fits_line(stmt->body));
}

static void put_store(struct text *out, const struct stmt *stmt)
{
    text_add(out, stmt->aligned ? "store " : "storeu ");
    put_ref(out, &stmt->ref);
    if (stmt->lanes != stmt->value->type.lanes) {
        text_add(out, ":%d", stmt->lanes);
    }
    if (!names_register(stmt->value)) {
        text_add(out, " ");
        put_type(out, stmt->value->type);
    }
    text_add(out, " = ");
    put_expr(out, stmt->value);
}

static void put_simple(struct text *out, const struct stmt *stmt)
{
    switch (stmt->kind) {
    case STMT_REG:
        text_add(out, "reg %s ", stmt->reg->name);
        put_type(out, stmt->reg->type);
        for (int d = 0; d < stmt->reg->rank; d++) {
            text_add(out, "%s%lld%s", d ? ", " : "[", (long long)stmt->reg->dim[d],
                     d + 1 == stmt->reg->rank ? "]" : "");
        }
        break;
    case STMT_SET:
        put_reg(out, &stmt->target);
        text_add(out, " = ");
        put_expr(out, stmt->value);
        break;
    case STMT_LET:
        text_add(out, "let %s ", stmt->reg->name);
        put_type(out, stmt->reg->type);
        text_add(out, " = ");
        put_expr(out, stmt->value);
        break;
    case STMT_STORE: put_store(out, stmt); break;
    case STMT_PREFETCH:
        text_add(out, stmt->level == 2 ? "prefetch2 " : "prefetch ");
        put_ref(out, &stmt->ref);
        break;
    case STMT_FENCE: text_add(out, "fence"); break;
    case STMT_TRANSPOSE: text_add(out, "transpose %s", stmt->reg->name); break;
    case STMT_TABLE:
        text_add(out, "table %s[%s] {", stmt->var->name, affine_text(out->arena, stmt->cond));
        for (int64_t i = 0; i < stmt->n_table; i++) {
            text_add(out, "%s%lld", i ? ", " : "", (long long)stmt->table[i]);
        }
        text_add(out, "}");
        break;
    case STMT_LOOP:
    case STMT_IF:
    case STMT_COMMENT: break;
    }
}

/* The head of a block and of those that join it; the innermost of them. */
static const struct stmt *put_head(struct text *out, const struct stmt *stmt, bool plain)
{
    text_add(out, stmt->kind == STMT_IF ? "if " : stmt->var->kind == VAR_FOR ? "for " : "unroll ");
    for (;; stmt = stmt->body) {
        if (stmt->kind == STMT_IF) {
            text_add(out, "%s in %lld..%lld", affine_text(out->arena, stmt->cond), (long long)stmt->lo,
                     (long long)stmt->hi);
        } else {
            text_add(out, "%s %lld..%lld", stmt->var->name, (long long)stmt->var->lo, (long long)stmt->var->hi);
        }
        if (plain || !joins(stmt, stmt->body)) {
            text_add(out, " {");
            return stmt;
        }
        text_add(out, ", ");
    }
}

static void put_in_line(struct text *out, const struct stmt *stmt)
{
    if (is_block(stmt)) {
        stmt = put_head(out, stmt, false);
        text_add(out, " ");
        put_in_line(out, stmt->body);
        text_add(out, " }");
    } else {
        put_simple(out, stmt);
    }
}

static void put_block(const struct printer *p, const struct stmt *stmt, int depth)
{
    for (; stmt != NULL; stmt = stmt->next) {
        if (stmt->kind == STMT_COMMENT) {
            if (!p->plain) {
                put_comment(p->out, stmt->text, depth);
            }
            continue;
        }
        indent(p->out, depth);
        if (p->plain ? !is_block(stmt) : fits_line(stmt)) {
            put_in_line(p->out, stmt);
            text_add(p->out, "\n");
        } else {
            const struct stmt *inner = put_head(p->out, stmt, p->plain);
            text_add(p->out, "\n");
            put_block(p, inner->body, depth + 1);
            indent(p->out, depth);
            text_add(p->out, "}\n");
        }
    }
}

/* ---- kernels ---- */

enum { COLUMNS = 120 };

/* Parameters: as many on a line as fit. */
static void put_item(struct text *out, size_t *line, bool first, const char *item)
{
    if (first) {
        indent(out, 1);
    } else if (out->length - *line + 2 + strlen(item) > COLUMNS) {
        text_add(out, "\n");
        *line = out->length;
        indent(out, 1);
    } else {
        text_add(out, "; ");
    }
    text_add(out, "%s", item);
}

static const char *buffer_text(struct arena *arena, const struct buffer *buffer)
{
    static const char *const direction[] = {"in", "out", "inout", "local"};
    struct text item = {.arena = arena};
    text_add(&item, "%s %s f32", direction[buffer->dir], buffer->name);
    for (int d = 0; d < buffer->rank; d++) {
        text_add(&item, "%s%lld", d ? ", " : "[", (long long)buffer->dim[d]);
    }
    text_add(&item, "]");
    return text_string(&item);
}

static void put_params(struct text *out, const struct kernel *kernel)
{
    size_t line = out->length;
    for (int i = 0; i < kernel->n_buffer; i++) {
        put_item(out, &line, i == 0, buffer_text(out->arena, kernel->buffer[i]));
    }
    for (int i = 0; i < kernel->n_task; i++) {
        const char *item =
            arena_printf(out->arena, "task %s 0..%lld", kernel->task[i]->name, (long long)kernel->task[i]->hi);
        put_item(out, &line, i == 0 && kernel->n_buffer == 0, item);
    }
    for (int i = 0; i < kernel->n_local; i++) {
        put_item(out, &line, i + kernel->n_buffer + kernel->n_task == 0, buffer_text(out->arena, kernel->local[i]));
    }
    if (kernel->n_buffer + kernel->n_task + kernel->n_local > 0) {
        text_add(out, "\n");
    }
}

void kernel_print(struct text *out, const struct kernel *kernel)
{
    struct printer p = {out, false};
    text_add(out, "kernel %s {\n", kernel->name);
    if (kernel->comment != NULL) {
        put_comment(out, kernel->comment, 1);
    }
    put_params(out, kernel);
    put_block(&p, kernel->body, 1);
    text_add(out, "}\n");
}

/* ---- the canonical text ---- */

struct renamed {
    const char **name, *before;
};
struct renaming {
    struct arena *arena;
    struct renamed *at;
    size_t count, capacity;
};

/* Declarations come before uses in the text, so their order is the order of appearance. */
static void rename_one(struct renaming *r, const char **name, char kind)
{
    struct renamed it = {name, *name};
    PUSH(r->arena, r->at, r->count, r->capacity, it);
    *name = intern_printf("%c%zu", kind, r->count);
}

static void rename_block(struct renaming *r, struct stmt *stmt)
{
    for (; stmt != NULL; stmt = stmt->next) {
        if (stmt->kind == STMT_LOOP || stmt->kind == STMT_TABLE) {
            rename_one(r, &stmt->var->name, 'v');
        } else if (stmt->kind == STMT_REG || stmt->kind == STMT_LET) {
            rename_one(r, &stmt->reg->name, 'r');
        }
        if (is_block(stmt)) {
            rename_block(r, stmt->body);
        }
    }
}

/* The names are changed for the time of printing and put back. */
const char *kernel_canonical(struct arena *arena, const struct kernel *kernel)
{
    struct renaming r = {.arena = arena};
    struct text out = {.arena = arena};
    struct printer p = {&out, true};
    for (int i = 0; i < kernel->n_buffer; i++) {
        rename_one(&r, &kernel->buffer[i]->name, 'b');
    }
    for (int i = 0; i < kernel->n_task; i++) {
        rename_one(&r, &kernel->task[i]->name, 'v');
    }
    for (int i = 0; i < kernel->n_local; i++) {
        rename_one(&r, &kernel->local[i]->name, 'l');
    }
    rename_block(&r, kernel->body);
    put_params(&out, kernel);
    put_block(&p, kernel->body, 1);
    while (r.count > 0) {
        r.count--;
        *r.at[r.count].name = r.at[r.count].before;
    }
    return text_string(&out);
}

/* ---- the program ---- */

static void put_memories(struct text *out, const struct program *program)
{
    text_add(out, "memory %lld {\n", (long long)program->workspace_bytes);
    for (size_t i = 0; i < program->n_memory; i++) {
        const struct memory *m = program->memory[i];
        if (m->kind == MEMORY_WEIGHTS) {
            continue;
        }
        text_add(out, "    %s %lld ", m->name, (long long)m->bytes);
        if (m->kind == MEMORY_WORKSPACE && m->first < 0) {
            text_add(out, "unused");
        } else if (m->kind == MEMORY_WORKSPACE) {
            text_add(out, "at %lld epochs %d to %d", (long long)m->offset, m->first, m->last);
        } else {
            text_add(out, "%s %d", m->kind == MEMORY_INPUT ? "input" : "output", m->index);
        }
        text_add(out, "%s%s%s\n", m->per_image ? " each image" : "", m->layout != NULL ? " # " : "",
                 m->layout != NULL ? m->layout : "");
    }
    text_add(out, "}\n\nweights %lld {\n", (long long)program->weights_bytes);
    for (size_t i = 0; i < program->n_pack; i++) {
        const struct memory *m = program->pack[i].memory;
        text_add(out, "    %s %lld at %lld\n", m->name, (long long)m->bytes, (long long)m->offset);
    }
    text_add(out, "}\n");
}

static void put_call(struct text *out, const struct call *call)
{
    const struct kernel *kernel = call->kernel;
    if (call->comment != NULL) {
        put_comment(out, call->comment, 2);
    }
    text_add(out, "        call %s(", kernel->name);
    for (int i = 0; i < kernel->n_buffer; i++) {
        text_add(out, "%s%s", i ? ", " : "", call->arg[i].memory->name);
        if (call->arg[i].lead != 0) {
            text_add(out, " + %lld", (long long)call->arg[i].lead);
        }
    }
    for (int i = 0; i < kernel->n_task; i++) {
        text_add(out, "%s%s", i || kernel->n_buffer ? ", " : "", i ? "s" : "r");
    }
    text_add(out, ")\n");
}

void program_print(struct text *out, const struct program *program)
{
    if (program->target != NULL) {
        text_add(out, "target %s\n", program->target->name);
    }
    if (program->batch > 1) {
        text_add(out, "batch %d\n", program->batch);
    }
    for (size_t i = 0; i < program->n_kernel; i++) {
        text_add(out, "\n");
        kernel_print(out, program->kernel[i]);
    }
    text_add(out, "\n");
    put_memories(out, program);
    text_add(out, "\nforward {\n");
    for (const struct stage *stage = program->stage; stage != NULL; stage = stage->next) {
        if (stage->barrier != NULL) {
            text_add(out, "    barrier # %s\n", stage->barrier);
        }
        text_add(out, "    stage ");
        for (int i = 0; i < stage->n_task; i++) {
            text_add(out, "%s 0..%lld%s", i ? "s" : "r", (long long)stage->task[i], i + 1 < stage->n_task ? ", " : " ");
        }
        text_add(out, "{\n");
        for (const struct call *call = stage->call; call != NULL; call = call->next) {
            put_call(out, call);
        }
        text_add(out, "    }\n");
    }
    text_add(out, "}\n");
}
