/* Reading kernels back as loop_text.c prints them (grammar/LOOP_IR.md), by recursive descent. The first fault ends
 * the reading with one diagnostic; whether what was read makes sense is the verifier's question, but no bytes may
 * crash the reader: every limit of the structures is asked before it is met.
 *
 * What would surprise: lanes are not written in expressions. They come from the declaration of the register that is
 * set, from a register in the expression, or, where a store has neither, from the type written in front of its `=`. */
#include "loop/scan.h"

#include <stdlib.h>

enum { MAX_BLOCKS = 56, MAX_NESTED = 32 };

/* ---- names ---- */

static const struct declared *find_name(struct reader *r, const char *name, size_t first, const char *what)
{
    for (size_t i = r->n_name; i-- > 0 && !r->failed;) {
        if (r->name[i].name == name) {
            return &r->name[i];
        }
    }
    const char **all = NEW_ARRAY(r->arena, const char *, r->n_name + 1);
    for (size_t i = 0; i < r->n_name; i++) {
        all[i] = r->name[i].name;
    }
    const char *near = nearest_name(name, all, r->n_name);
    fail(r, CHECK_loop_names, first, r->pos, "no %s is called %s here%s%s", what, name,
         near != NULL ? "; did you mean " : "", near != NULL ? near : "");
    return NULL;
}

static const char *read_new_name(struct reader *r)
{
    skip_space(r);
    size_t first = r->pos;
    const char *name = read_word(r, "a name");
    if (!r->failed && !loop_name_is_valid(name)) {
        fail(r, CHECK_loop_names, first, r->pos, "%s cannot be a name", name);
    }
    return name;
}

static void declare(struct reader *r, struct declared it)
{
    PUSH(r->arena, r->name, r->n_name, r->cap_name, it);
}

/* ---- affine forms and references ---- */

static bool small(int64_t k)
{
    return k >= -((int64_t)1 << MAX_NUMBER_BITS) && k <= (int64_t)1 << MAX_NUMBER_BITS;
}

static struct affine read_term(struct reader *r, bool minus)
{
    skip_space(r);
    size_t first = r->pos;
    int64_t k = is_digit(peek(r)) ? read_digits(r) : 1;
    bool only_number = r->pos > first;
    if (word_length(r) == 0) {
        if (!only_number) {
            unexpected(r, "a number or a variable");
        }
        return affine_const(minus ? -k : k);
    }
    size_t start = r->pos;
    const char *name = read_word(r, "a variable");
    const struct declared *it = find_name(r, name, start, "variable");
    if (it != NULL && it->var == NULL) {
        fail(r, CHECK_loop_names, start, r->pos, "%s is no variable", name);
    }
    return r->failed ? affine_const(0) : affine_var(it->var, minus ? -k : k);
}

static bool room_for(const struct affine *form, const struct affine *term)
{
    bool known = term->n == 0;
    for (int i = 0; i < form->n; i++) {
        known = known || form->term[i].var == term->term[0].var;
    }
    return known || form->n < MAX_TERMS;
}

static struct affine read_affine(struct reader *r)
{
    skip_space(r);
    size_t first = r->pos;
    struct affine form = read_term(r, accept(r, "-"));
    while (!r->failed && (next_is(r, "+") || next_is(r, "-"))) {
        bool minus = peek(r) == '-';
        r->pos++;
        struct affine term = read_term(r, minus);
        if (!room_for(&form, &term)) {
            fail(r, CHECK_loop_sizes, first, r->pos, "more than %d variables", MAX_TERMS);
            break;
        }
        form = affine_add(form, term);
        bool sound = small(form.c);
        for (int i = 0; i < form.n; i++) {
            sound = sound && small(form.term[i].k);
        }
        if (!sound) {
            fail(r, CHECK_loop_sizes, first, r->pos, "the number is too large");
        }
    }
    return form;
}

static void read_subscripts(struct reader *r, struct affine *at, int rank)
{
    for (int d = 0; d < rank && !r->failed; d++) {
        expect(r, d ? "," : "[");
        at[d] = read_affine(r);
    }
    if (rank > 0) {
        expect(r, "]");
    }
}

static struct element_ref read_ref(struct reader *r)
{
    struct element_ref ref = {0};
    skip_space(r);
    size_t first = r->pos;
    const char *name = read_word(r, "a buffer");
    const struct declared *it = find_name(r, name, first, "buffer");
    if (it != NULL && it->buffer == NULL) {
        fail(r, CHECK_loop_names, first, r->pos, "%s is no buffer", name);
    }
    if (!r->failed) {
        ref.buffer = it->buffer;
        read_subscripts(r, ref.at, ref.buffer->rank);
    }
    return ref;
}

static struct reg_ref read_reg(struct reader *r, const char *name, size_t first)
{
    struct reg_ref ref = {0};
    const struct declared *it = find_name(r, name, first, "register");
    if (it != NULL && it->reg == NULL) {
        fail(r, CHECK_loop_names, first, r->pos, "%s is no register", name);
    }
    if (!r->failed) {
        ref.reg = it->reg;
        read_subscripts(r, ref.at, ref.reg->rank);
    }
    return ref;
}

static struct vtype read_type(struct reader *r)
{
    struct vtype type = {.element = ELEMENT_F32, .lanes = 1};
    skip_space(r);
    size_t first = r->pos, n = word_length(r);
    if (r->failed || n < 3 || (memcmp(r->bytes + first, "f32", 3) != 0 && memcmp(r->bytes + first, "i32", 3) != 0)) {
        unexpected(r, "a type, as f32x16");
        return type;
    }
    type.is_index = r->bytes[first] == 'i';
    r->pos += 3;
    if (n > 3) {
        int64_t lanes = 0;
        bool x = peek(r) == 'x';
        r->pos++;
        lanes = x ? read_digits(r) : 0;
        if (!r->failed && (lanes < 1 || lanes > 64 || r->pos != first + n)) {
            fail(r, CHECK_loop_types, first, first + n, "a vector has 1 to 64 lanes");
        }
        type.lanes = (int)lanes;
    }
    return type;
}

/* ---- expressions ---- */

static struct expr *read_expr(struct reader *r, int depth);
static struct expr *read_number(struct reader *r);

/* x[..], perhaps :12 else zero */
static struct expr *read_load(struct reader *r, bool aligned)
{
    struct element_ref ref = read_ref(r);
    if (r->failed) {
        return NULL;
    }
    struct expr *expr = expr_load(&r->b, 1, ref);
    expr->aligned = aligned;
    if (accept(r, ":")) {
        expr->count = (int)read_size(r);
        expect(r, "else");
        skip_space(r);
        struct expr *fill = accept(r, "zero") ? expr_const(&r->b, 1, 0.0) : read_number(r);
        expr->value = fill ? fill->value : 0;
    } else if (accept(r, "repeat")) {
        expr->repeat = (int)read_size(r);
    }
    return r->failed ? NULL : expr;
}

static struct expr *read_pick(struct reader *r)
{
    struct element_ref ref = read_ref(r);
    expect(r, ",");
    expect(r, "lanes");
    expect(r, "(");
    int64_t a = read_int(r), every, base = 0;
    expect(r, "/");
    every = read_int(r);
    expect(r, ",");
    struct affine e = read_affine(r);
    expect(r, ")");
    if (accept(r, "from")) {
        base = read_int(r);
    }
    return r->failed ? NULL : expr_pick(&r->b, 1, ref, a, every, base, e);
}

static struct expr *read_lane(struct reader *r)
{
    struct affine lane = read_affine(r);
    expect(r, "of");
    skip_space(r);
    size_t first = r->pos;
    const char *name = read_word(r, "a register");
    struct reg_ref ref = read_reg(r, name, first);
    return r->failed ? NULL : expr_lane(&r->b, ref, lane);
}

static struct expr *read_number(struct reader *r)
{
    char digits[48];
    size_t n = 0;
    while (n + 1 < sizeof digits && r->pos + n < r->length &&
           (is_word_byte((unsigned char)r->bytes[r->pos + n]) || strchr("+-.", r->bytes[r->pos + n]))) {
        digits[n] = r->bytes[r->pos + n];
        n++;
    }
    digits[n] = '\0';
    char *end = digits;
    double value = strtod(digits, &end);
    if (end == digits || is_word_byte((unsigned char)*end)) {
        unexpected(r, "an expression");
        return NULL;
    }
    r->pos += (size_t)(end - digits);
    return expr_const(&r->b, 1, value);
}

static bool read_op(struct reader *r, const char *name, struct expr **result, int depth)
{
    static const int arity[] = {
#define VOP(name, count, ...) count,
#include "loop/vops.def"
#undef VOP
    };
    for (int op = 0; op < VOP_COUNT; op++) {
        if (strcmp(vop_name(op), name) == 0) {
            struct expr *arg[3] = {NULL, NULL, NULL};
            for (int i = 0; i < arity[op] && !r->failed; i++) {
                expect(r, i ? "," : "(");
                arg[i] = read_expr(r, depth + 1);
            }
            expect(r, ")");
            *result = r->failed ? NULL : expr_op(&r->b, op, arg[0], arg[1], arg[2]);
            return true;
        }
    }
    return false;
}

static struct expr *read_expr(struct reader *r, int depth)
{
    skip_space(r);
    size_t first = r->pos;
    if (depth > MAX_NESTED) {
        fail(r, CHECK_loop_sizes, first, first, "expressions nest deeper than %d", MAX_NESTED);
    }
    if (r->failed) {
        return NULL;
    }
    bool aligned = accept(r, "load");
    if (aligned || accept(r, "loadu")) {
        return read_load(r, aligned);
    }
    if (accept(r, "splat")) {
        struct element_ref ref = read_ref(r);
        return r->failed ? NULL : expr_splat(&r->b, 1, ref);
    }
    if (accept(r, "pick")) {
        return read_pick(r);
    }
    if (accept(r, "lane")) {
        return read_lane(r);
    }
    if (accept(r, "zero")) {
        return expr_const(&r->b, 1, 0.0);
    }
    if (is_digit(peek(r)) || peek(r) == '-' || peek(r) == '.' || next_is(r, "inf") || next_is(r, "nan")) {
        return read_number(r);
    }
    const char *name = read_word(r, "an expression");
    struct expr *expr = NULL;
    if (r->failed || read_op(r, name, &expr, depth)) {
        return expr;
    }
    struct reg_ref ref = read_reg(r, name, first);
    return r->failed ? NULL : expr_reg(&r->b, ref);
}

static bool is_register(const struct expr *expr)
{
    return expr->kind == EXPR_REG || expr->kind == EXPR_LANE;
}

static int lanes_of(const struct expr *expr)
{
    int lanes = is_register(expr) ? expr->type.lanes : 0;
    for (int i = 0; i < 3 && expr->kind == EXPR_OP && expr->arg[i] != NULL && lanes == 0; i++) {
        lanes = lanes_of(expr->arg[i]);
    }
    return lanes;
}

static void set_lanes(struct expr *expr, int lanes)
{
    if (!is_register(expr)) {
        expr->type = (struct vtype){.element = ELEMENT_F32, .lanes = lanes};
    }
    for (int i = 0; i < 3 && expr->kind == EXPR_OP && expr->arg[i] != NULL; i++) {
        set_lanes(expr->arg[i], lanes);
    }
}

/* `= E`; lanes 0: from a register in E. */
static struct expr *read_value(struct reader *r, int lanes)
{
    expect(r, "=");
    skip_space(r);
    size_t first = r->pos;
    struct expr *value = read_expr(r, 0);
    if (r->failed) {
        return NULL;
    }
    lanes = lanes == 0 ? lanes_of(value) : lanes;
    if (lanes == 0) {
        fail(r, CHECK_loop_types, first, r->pos, "no register tells the lanes: write the type before the =");
    }
    set_lanes(value, lanes);
    return value;
}

/* ---- statements ---- */

static void read_block(struct reader *r);

static void read_prefetch(struct reader *r, int level)
{
    struct element_ref ref = read_ref(r);
    if (!r->failed) {
        emit_prefetch(&r->b, ref, level);
    }
}

static void read_store(struct reader *r, bool aligned)
{
    struct element_ref ref = read_ref(r);
    int64_t lanes = accept(r, ":") ? read_size(r) : 0;
    struct vtype type = {.lanes = 0};
    if (!next_is(r, "=") && !r->failed) {
        type = read_type(r);
    }
    struct expr *value = read_value(r, type.lanes);
    if (!r->failed) {
        struct stmt *stmt = emit_store(&r->b, ref, value, lanes == 0 ? value->type.lanes : (int)lanes);
        stmt->aligned = aligned;
    }
}

/* Each head opens a block; all of them are closed by the one brace. */
static void read_heads(struct reader *r, bool is_if, enum var_kind kind)
{
    int opened = 0;
    size_t outer = r->n_name;
    do {
        int64_t lo, hi;
        if (r->b.depth >= MAX_BLOCKS) {
            fail(r, CHECK_loop_sizes, r->pos, r->pos, "blocks nest deeper than %d", MAX_BLOCKS);
            return;
        }
        if (is_if) {
            struct affine cond = read_affine(r);
            expect(r, "in");
            read_range(r, &lo, &hi);
            if_begin(&r->b, cond, lo, hi);
        } else {
            const char *name = read_new_name(r);
            read_range(r, &lo, &hi);
            struct var *var = loop_begin(&r->b, kind, name, lo, hi);
            declare(r, (struct declared){.name = name, .var = var});
        }
        opened++;
    } while (accept(r, ","));
    expect(r, "{");
    read_block(r);
    expect(r, "}");
    for (; opened > 0; opened--) {
        block_end(&r->b);
    }
    r->n_name = outer;
}

static void read_reg_declaration(struct reader *r)
{
    const char *name = read_new_name(r);
    struct vtype type = read_type(r);
    int64_t dim[4];
    int rank = 0;
    if (accept(r, "[")) {
        do {
            if (rank == 4) {
                fail(r, CHECK_loop_sizes, r->pos, r->pos, "a register has at most 4 dimensions");
                return;
            }
            dim[rank++] = read_size(r);
        } while (accept(r, ","));
        expect(r, "]");
    }
    if (!r->failed) {
        declare(r, (struct declared){.name = name, .reg = emit_reg(&r->b, name, type, rank, dim)});
    }
}

static void read_let(struct reader *r)
{
    const char *name = read_new_name(r);
    struct vtype type = read_type(r);
    struct expr *value = read_value(r, type.lanes);
    if (!r->failed) {
        struct expr *use = emit_let(&r->b, name, value);
        use->reg.reg->type = type;
        declare(r, (struct declared){.name = name, .reg = use->reg.reg});
    }
}

/* table t[2oy + q] {0, 0, 1, 1} */
static void read_table(struct reader *r)
{
    enum { MOST_NUMBERS = 1 << 20 };
    const char *name = read_new_name(r);
    int64_t *number = NULL;
    size_t n = 0, capacity = 0;
    expect(r, "[");
    struct affine form = read_affine(r);
    expect(r, "]");
    expect(r, "{");
    do {
        int64_t value = read_int(r);
        PUSH(r->arena, number, n, capacity, value);
    } while (!r->failed && n < MOST_NUMBERS && accept(r, ","));
    expect(r, "}");
    if (!r->failed) {
        declare(r, (struct declared){.name = name, .var = emit_table(&r->b, name, form, number, (int64_t)n)});
    }
}

static void read_set(struct reader *r)
{
    skip_space(r);
    size_t first = r->pos;
    const char *name = read_word(r, "a statement");
    struct reg_ref target = read_reg(r, name, first);
    struct expr *value = r->failed ? NULL : read_value(r, target.reg->type.lanes);
    if (!r->failed) {
        emit_set(&r->b, target, value);
    }
}

static void read_transpose(struct reader *r)
{
    skip_space(r);
    size_t first = r->pos;
    const char *name = read_word(r, "a register");
    const struct declared *it = find_name(r, name, first, "register");
    if (it != NULL && it->reg == NULL) {
        fail(r, CHECK_loop_names, first, r->pos, "%s is no register", name);
    }
    if (!r->failed) {
        emit_transpose(&r->b, it->reg);
    }
}

static void read_block(struct reader *r)
{
    while (!r->failed && !next_is(r, "}") && r->pos < r->length) {
        if (accept(r, "#")) {
            emit_comment(&r->b, read_comment(r));
        } else if (accept(r, "for")) {
            read_heads(r, false, VAR_FOR);
        } else if (accept(r, "unroll")) {
            read_heads(r, false, VAR_UNROLL);
        } else if (accept(r, "if")) {
            read_heads(r, true, VAR_FOR);
        } else if (accept(r, "reg")) {
            read_reg_declaration(r);
        } else if (accept(r, "table")) {
            read_table(r);
        } else if (accept(r, "let")) {
            read_let(r);
        } else if (accept(r, "store")) {
            read_store(r, true);
        } else if (accept(r, "storeu")) {
            read_store(r, false);
        } else if (accept(r, "prefetch")) {
            read_prefetch(r, 1);
        } else if (accept(r, "prefetch2")) {
            read_prefetch(r, 2);
        } else if (accept(r, "fence")) {
            emit_fence(&r->b);
        } else if (accept(r, "transpose")) {
            read_transpose(r);
        } else {
            read_set(r);
        }
    }
}

/* ---- kernels ---- */

static void read_buffer(struct reader *r, enum direction dir)
{
    int64_t dim[MAX_BUFFER_RANK];
    int rank = 0;
    const char *name = read_new_name(r);
    expect(r, "f32");
    expect(r, "[");
    do {
        if (rank == MAX_BUFFER_RANK || r->b.kernel->n_buffer == MAX_BUFFERS || r->b.kernel->n_local == MAX_LOCALS) {
            fail(r, CHECK_loop_sizes, r->pos, r->pos, "a kernel has at most %d buffers and %d locals, of %d dimensions",
                 MAX_BUFFERS, MAX_LOCALS, MAX_BUFFER_RANK);
            return;
        }
        dim[rank++] = read_size(r);
    } while (accept(r, ","));
    expect(r, "]");
    if (!r->failed) {
        declare(r, (struct declared){.name = name, .buffer = kernel_buffer(&r->b, dir, name, rank, dim)});
    }
}

static void read_task(struct reader *r)
{
    int64_t lo, hi;
    const char *name = read_new_name(r);
    skip_space(r);
    size_t first = r->pos;
    read_range(r, &lo, &hi);
    if (!r->failed && (lo != 0 || r->b.kernel->n_task == MAX_TASKS)) {
        fail(r, CHECK_loop_sizes, first, r->pos, "a kernel has at most %d tasks, which start at 0", MAX_TASKS);
    }
    if (!r->failed) {
        declare(r, (struct declared){.name = name, .var = kernel_task(&r->b, name, hi)});
    }
}

struct kernel *read_kernel_body(struct reader *r)
{
    struct text comment = {.arena = r->arena};
    bool commented = false;
    r->n_name = 0;
    r->b = kernel_begin(r->arena, read_new_name(r));
    expect(r, "{");
    while (accept(r, "#")) {
        text_add(&comment, "%s%s", commented ? "\n" : "", read_comment(r));
        commented = true;
    }
    r->b.kernel->comment = commented ? text_string(&comment) : NULL;
    while (!r->failed) {
        if (accept(r, "in")) {
            read_buffer(r, DIR_IN);
        } else if (accept(r, "out")) {
            read_buffer(r, DIR_OUT);
        } else if (accept(r, "inout")) {
            read_buffer(r, DIR_INOUT);
        } else if (accept(r, "local")) {
            read_buffer(r, DIR_LOCAL);
        } else if (accept(r, "task")) {
            read_task(r);
        } else {
            break;
        }
    }
    read_block(r);
    expect(r, "}");
    return r->failed ? NULL : kernel_end(&r->b);
}

struct kernel *kernel_read(struct arena *arena, struct diags *diags, int file)
{
    struct reader r;
    if (!open_file(&r, arena, diags, file)) {
        return NULL;
    }
    skip_comments(&r);
    expect(&r, "kernel");
    struct kernel *kernel = r.failed ? NULL : read_kernel_body(&r);
    skip_comments(&r);
    if (!r.failed && r.pos < r.length) {
        unexpected(&r, "the end of the text");
    }
    return r.failed ? NULL : kernel;
}
