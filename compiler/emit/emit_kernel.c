/* Prints one kernel as a C function, statement by statement. Nothing is decided here; what looks like a choice is
 * spelling:
 *   - a guard prints only the side that the ranges of its variables leave open, `if (r == 0)` rather than `if (0 <= r
 * && r < 1)`;
 *   - loops whose body is one loop need no braces, guards that hold one guard become one `if`;
 *   - a fence also keeps addresses from being computed too early: see fenced_variable().
 * Lines break at 120 columns. */
#include "emit/emit.h"

#include <string.h>

enum { LINE_WIDTH = 120, INDENT = 4 };

struct printer {
    struct text *out;
    int depth;
};

/* ---- lines ---- */

/* Where to break a line that is too long: behind the last comma, or before the last &&, outside of brackets; 0:
 * nowhere. */
static size_t line_break(const char *line, size_t length, size_t room)
{
    size_t at = 0;
    int brackets = 0;
    for (size_t i = 0; i < length && i < room; i++) {
        brackets += (line[i] == '[') - (line[i] == ']');
        bool comma = line[i] == ',' && line[i + 1] == ' ';
        bool and = line[i] == ' ' && line[i + 1] == '&' && line[i + 2] == '&';
        if (brackets == 0 && i > 0 && (comma || and)) {
            at = comma ? i + 1 : i;
        }
    }
    return at;
}

static void put_line(struct printer *p, const char *line)
{
    size_t length = strlen(line);
    int indent = p->depth * INDENT;
    while (indent + length > LINE_WIDTH) {
        size_t n = line_break(line, length, (size_t)(LINE_WIDTH - indent));
        if (n == 0) {
            break;
        }
        text_add(p->out, "%*s%.*s\n", indent, "", (int)n, line);
        line += n + 1;
        length -= n + 1;
        indent = (p->depth + 1) * INDENT;
    }
    text_add(p->out, "%*s%s\n", indent, "", line);
}

/* ---- statements ---- */

static void add_type(struct text *out, struct vtype type)
{
    text_add(out, "%s", type.is_index ? "i32" : "f32");
    if (type.lanes > 1) {
        text_add(out, "x%d", type.lanes);
    }
}

static void add_store(struct text *out, const struct stmt *s)
{
    int lanes = s->value->type.lanes;
    if (lanes == 1) {
        emit_element(out, &s->ref);
        text_put(out, " = ", 3);
        emit_expr(out, s->value);
        text_put(out, ";", 1);
        return;
    }
    bool part = s->lanes < lanes;
    text_add(out, "store%s%d%s(&", part || s->aligned ? "" : "u", lanes, part ? "_n" : "");
    emit_element(out, &s->ref);
    text_put(out, ", ", 2);
    emit_expr(out, s->value);
    if (part) {
        text_add(out, ", %d", s->lanes);
    }
    text_put(out, ");", 2);
}

/* What is fetched ahead may lie behind the buffer's end, where no subscript may point: then the address is a plain
 * number. */
static void add_prefetch(struct text *out, const struct element_ref *ref, int level)
{
    const struct buffer *buffer = ref->buffer;
    const char *word = level == 2 ? "prefetch2" : "prefetch";
    bool inside = true;
    int64_t stride = (int64_t)sizeof(float);
    for (int d = 0; d < buffer->rank; d++) {
        int64_t least, greatest;
        affine_range(ref->at[d], &least, &greatest);
        inside &= least >= 0 && greatest < buffer->dim[d];
        stride *= buffer->dim[d];
    }
    if (inside) {
        text_add(out, "%s(&", word);
        emit_element(out, ref);
        text_add(out, ");");
        return;
    }
    text_add(out, "%s((const void *)((intptr_t)%s", word, buffer->name);
    for (int d = 0; d < buffer->rank; d++) {
        int64_t zero;
        stride /= buffer->dim[d];
        if (!affine_is_const(ref->at[d], &zero) || zero != 0) {
            text_add(out, " + (");
            emit_affine(out, ref->at[d]);
            text_add(out, ") * %lld", (long long)stride);
        }
    }
    text_add(out, "));");
}

static bool add_guard(struct text *out, const struct stmt *s, bool first)
{
    int64_t least, greatest;
    affine_range(s->cond, &least, &greatest);
    bool below = least < s->lo, above = greatest >= s->hi;
    const char *join = first ? "" : " && ";
    if (s->hi == s->lo + 1) {
        text_add(out, "%s", join);
        emit_affine(out, s->cond);
        text_add(out, " == %lld", (long long)s->lo);
        return true;
    }
    if (below) {
        text_add(out, "%s%lld <= ", join, (long long)s->lo);
        emit_affine(out, s->cond);
        join = " && ";
    }
    if (above) {
        text_add(out, "%s", join);
        emit_affine(out, s->cond);
        text_add(out, " < %lld", (long long)s->hi);
    }
    return below || above;
}

static void add_block(struct printer *p, const struct stmt *s);

/* Guards that hold nothing but a guard are one condition. */
static void add_if(struct printer *p, const struct stmt *s)
{
    struct text line = {.arena = p->out->arena};
    text_add(&line, "if (");
    bool any = add_guard(&line, s, true);
    while (s->body && s->body->kind == STMT_IF && !s->body->next) {
        s = s->body;
        any |= add_guard(&line, s, !any);
    }
    text_add(&line, "%s) {", any ? "" : "1");
    put_line(p, text_string(&line));
    add_block(p, s->body);
    put_line(p, "}");
}

/* Where a loop's body is fenced, but its fenced loads stand still while the loop runs, clang computes all their
 * addresses before the loop and keeps them on the stack. Then the innermost variable that they are made of is to be
 * renewed in each turn. */
static const struct var *load_variable(const struct expr *e, const struct var *loop)
{
    const struct var *inner = NULL;
    if (!e) {
        return NULL;
    }
    for (int d = 0; (e->kind == EXPR_LOAD || e->kind == EXPR_SPLAT || e->kind == EXPR_PICK) && d < e->ref.buffer->rank;
         d++) {
        for (int t = 0; t < e->ref.at[d].n; t++) {
            const struct var *var = e->ref.at[d].term[t].var;
            if (var == loop) {
                return NULL;
            }
            inner = var->kind != VAR_UNROLL && (!inner || var->id > inner->id) ? var : inner;
        }
    }
    for (int i = 0; i < 3 && !inner; i++) {
        inner = load_variable(e->arg[i], loop);
    }
    return inner;
}

static const struct var *fenced_variable(const struct stmt *s, const struct var *loop)
{
    const struct var *found = NULL;
    bool fenced = false;
    for (; s && !found; s = s->next) {
        fenced |= s->kind == STMT_FENCE;
        if (fenced && (s->kind == STMT_LET || s->kind == STMT_SET)) {
            found = load_variable(s->value, loop);
        } else if (s->kind == STMT_LOOP && s->var->kind == VAR_UNROLL) {
            found = fenced_variable(s->body, loop);
        }
    }
    return found;
}

static void add_loop(struct printer *p, const struct stmt *s)
{
    const struct var *v = s->var;
    bool nest = s->body && s->body->kind == STMT_LOOP && !s->body->next;
    struct text line = {.arena = p->out->arena};
    text_add(&line, "%s (int %s = %lld; %s < %lld; %s++)%s", v->kind == VAR_UNROLL ? "unroll" : "for", v->name,
             (long long)v->lo, v->name, (long long)v->hi, v->name, nest ? "" : " {");
    put_line(p, text_string(&line));
    const struct var *renewed = v->kind == VAR_FOR && !nest ? fenced_variable(s->body, v) : NULL;
    if (renewed) {
        text_add(p->out, "%*srenew(%s);\n", (p->depth + 1) * INDENT, "", renewed->name);
    }
    add_block(p, s->body);
    if (!nest) {
        put_line(p, "}");
    }
}

static void add_comment(struct printer *p, const char *comment)
{
    int indent = p->depth * INDENT;
    text_add(p->out, "%*s/* ", indent, "");
    for (const char *c = comment; *c; c++) {
        if (*c != '\n') {
            text_put(p->out, c, 1);
        } else if (c[1]) {
            text_add(p->out, "\n%*s * ", indent, "");
        }
    }
    text_add(p->out, " */\n");
}

/* static const int iy_of[4] = {0, 0, 1, 1}; const int iy = iy_of[oy]; */
static void add_table(struct printer *p, const struct stmt *s)
{
    enum { A_LINE = 16 };
    struct text line = {.arena = p->out->arena};
    const char *name = s->var->name;
    text_add(&line, "static const int %s_of[%lld] = {", name, (long long)s->n_table);
    for (int64_t i = 0; i < s->n_table; i++) {
        if (i % A_LINE == 0 && s->n_table > A_LINE) {
            put_line(p, text_string(&line));
            line = (struct text){.arena = p->out->arena};
            text_add(&line, "    ");
        }
        text_add(&line, "%lld%s", (long long)s->table[i], i + 1 == s->n_table ? "" : (i + 1) % A_LINE ? ", " : ",");
    }
    text_add(&line, "};");
    put_line(p, text_string(&line));
    line = (struct text){.arena = p->out->arena};
    text_add(&line, "const int %s = %s_of[", name, name);
    emit_affine(&line, s->cond);
    text_add(&line, "];");
    put_line(p, text_string(&line));
}

static void add_statement(struct printer *p, const struct stmt *s)
{
    struct text line = {.arena = p->out->arena};
    switch (s->kind) {
    case STMT_LOOP: add_loop(p, s); return;
    case STMT_IF: add_if(p, s); return;
    case STMT_COMMENT: add_comment(p, s->text); return;
    case STMT_REG:
        add_type(&line, s->reg->type);
        text_add(&line, " %s", s->reg->name);
        for (int i = 0; i < s->reg->rank; i++) {
            text_add(&line, "[%lld]", (long long)s->reg->dim[i]);
        }
        text_put(&line, ";", 1);
        break;
    case STMT_SET:
        text_add(&line, "%s", s->target.reg->name);
        emit_subscripts(&line, s->target.at, s->target.reg->rank);
        text_put(&line, " = ", 3);
        emit_expr(&line, s->value);
        text_put(&line, ";", 1);
        break;
    case STMT_LET:
        add_type(&line, s->reg->type);
        text_add(&line, " %s = ", s->reg->name);
        emit_expr(&line, s->value);
        text_put(&line, ";", 1);
        break;
    case STMT_STORE: add_store(&line, s); break;
    case STMT_PREFETCH: add_prefetch(&line, &s->ref, s->level); break;
    case STMT_FENCE: text_add(&line, "fence;"); break;
    case STMT_TRANSPOSE: text_add(&line, "transpose%d(%s);", s->reg->type.lanes, s->reg->name); break;
    case STMT_TABLE: add_table(p, s); return;
    }
    put_line(p, text_string(&line));
}

static void add_block(struct printer *p, const struct stmt *s)
{
    p->depth++;
    for (; s; s = s->next) {
        add_statement(p, s);
    }
    p->depth--;
}

/* ---- the function ---- */

static bool affine_uses(const struct affine *a, int n, const struct var *var)
{
    for (int i = 0; i < n; i++) {
        for (int t = 0; t < a[i].n; t++) {
            if (a[i].term[t].var == var) {
                return true;
            }
        }
    }
    return false;
}

static bool expr_uses(const struct expr *e, const struct var *var)
{
    if (!e) {
        return false;
    }
    bool memory = e->kind == EXPR_LOAD || e->kind == EXPR_SPLAT || e->kind == EXPR_PICK;
    return (memory && affine_uses(e->ref.at, e->ref.buffer->rank, var)) ||
           (e->kind == EXPR_PICK && affine_uses(&e->pick_e, 1, var)) || expr_uses(e->arg[0], var) ||
           expr_uses(e->arg[1], var) || expr_uses(e->arg[2], var);
}

static bool block_uses(const struct stmt *s, const struct var *var)
{
    for (; s; s = s->next) {
        bool memory = s->kind == STMT_STORE || s->kind == STMT_PREFETCH;
        if (((s->kind == STMT_IF || s->kind == STMT_TABLE) && affine_uses(&s->cond, 1, var)) ||
            block_uses(s->body, var) || expr_uses(s->value, var) ||
            (memory && affine_uses(s->ref.at, s->ref.buffer->rank, var))) {
            return true;
        }
    }
    return false;
}

static void add_parameter(struct text *out, const struct buffer *buffer)
{
    text_add(out, "%sf32 %s[restrict %lld]", buffer->dir == DIR_IN ? "const " : "", buffer->name,
             (long long)buffer->dim[0]);
    for (int i = 1; i < buffer->rank; i++) {
        text_add(out, "[%lld]", (long long)buffer->dim[i]);
    }
}

/* "kernel void name(parameters)", on several lines if one does not hold it. */
static void add_signature(struct text *out, const struct kernel *kernel, const char *linkage, const char *prefix,
                          const char *end)
{
    struct text head = {.arena = out->arena}, list = {.arena = out->arena};
    text_add(&head, "%s%skernel void %s%s(", linkage, *linkage ? " " : "", prefix, kernel->name);
    for (int i = 0; i < kernel->n_buffer; i++) {
        text_add(&list, "%s", i > 0 ? ", " : "");
        add_parameter(&list, kernel->buffer[i]);
    }
    for (int i = 0; i < kernel->n_task; i++) {
        text_add(&list, "%sint %s", kernel->n_buffer + i > 0 ? ", " : "", kernel->task[i]->name);
    }
    text_add(&list, "%s)%s", list.length > 0 ? "" : "void", end);
    text_put(out, head.bytes, head.length);
    if (head.length + list.length <= LINE_WIDTH) {
        text_add(out, "%s\n", text_string(&list));
        return;
    }
    text_put(out, "\n", 1);
    const char *rest = text_string(&list);
    for (size_t n; INDENT + strlen(rest) > LINE_WIDTH && (n = line_break(rest, strlen(rest), LINE_WIDTH - INDENT)) > 0;
         rest += n + 1) {
        text_add(out, "%*s%.*s\n", INDENT, "", (int)n, rest);
    }
    text_add(out, "%*s%s\n", INDENT, "", rest);
}

void emit_prototype(struct text *out, const struct kernel *kernel, const char *prefix)
{
    add_signature(out, kernel, "", prefix, ";");
}

void emit_kernel(struct text *out, const struct kernel *kernel, const char *linkage, const char *prefix)
{
    struct printer p = {.out = out};
    text_put(out, "\n", 1);
    if (kernel->comment && *kernel->comment) {
        add_comment(&p, kernel->comment);
    }
    add_signature(out, kernel, linkage, prefix, "");
    put_line(&p, "{");
    p.depth = 1;
    for (int i = 0; i < kernel->n_task; i++) {
        if (!block_uses(kernel->body, kernel->task[i])) {
            text_add(out, "%*s(void)%s;\n", INDENT, "", kernel->task[i]->name);
        }
    }
    for (int i = 0; i < kernel->n_local; i++) {
        text_add(out, "%*s_Alignas(64) f32 %s", INDENT, "", kernel->local[i]->name);
        for (int d = 0; d < kernel->local[i]->rank; d++) {
            text_add(out, "[%lld]", (long long)kernel->local[i]->dim[d]);
        }
        text_add(out, ";\n");
    }
    p.depth = 0;
    add_block(&p, kernel->body);
    put_line(&p, "}");
}
