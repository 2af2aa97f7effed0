/* The syntax tree: making nodes, the comment that documents a definition, the written form.
 *
 * A tree is written as nested lists, one line where it fits:
 *
 *     (block conv_shortcut
 *       (inputs x)
 *       (params out (stride 1))
 *       ...
 */
#include "front/internal.h"

#include <string.h>

static const char *const kind_names[] = {
#define SYNTAX(kind, ...) #kind,
#include "front/syntax.def"
#undef SYNTAX
};

static const char *const sign_texts[] = {
#define SIGN(name, text) text,
#include "front/signs.def"
#undef SIGN
};

const char *syntax_kind_name(enum syntax_kind kind)
{
    return kind_names[kind];
}

const char *sign_text(enum sign sign)
{
    return sign_texts[sign];
}

struct syntax *syntax_new(struct arena *arena, enum syntax_kind kind, struct span span)
{
    struct syntax *node = NEW(arena, struct syntax);
    node->kind = kind;
    node->span = node->mark = span;
    return node;
}

struct syntax *syntax_named(struct arena *arena, enum syntax_kind kind, struct span span, const char *text,
                            struct span mark)
{
    struct syntax *node = syntax_new(arena, kind, span);
    node->text = text;
    node->mark = mark;
    return node;
}

void syntax_add(struct arena *arena, struct syntax *parent, struct syntax *child)
{
    PUSH(arena, parent->child, parent->count, parent->capacity, child);
    if (child && child->depth >= parent->depth) {
        parent->depth = child->depth + 1;
    }
}

/* ---- documentation ---- */

/* The start of the line before the one that starts at `line`, or -1. */
static int line_before(const char *bytes, int line)
{
    if (line == 0) {
        return -1;
    }
    int at = line - 1;
    while (at > 0 && bytes[at - 1] != '\n') {
        at--;
    }
    return at;
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t\r");
}

const char *syntax_comment(struct arena *arena, const struct syntax *definition)
{
    const char *bytes = source_get(definition->span.file)->bytes;
    int first = definition->span.first;
    while (first > 0 && bytes[first - 1] != '\n') {
        first--;
    }
    int from = first;
    for (int at = line_before(bytes, first); at >= 0 && *skip_blanks(bytes + at) == '#'; at = line_before(bytes, at)) {
        from = at;
    }
    if (from == first) {
        return NULL;
    }
    struct text text = {.arena = arena};
    for (const char *line = bytes + from; line < bytes + first; line += strcspn(line, "\n") + 1) {
        const char *words = skip_blanks(skip_blanks(line) + 1);
        size_t length = strcspn(words, "\r\n");
        text_add(&text, "%s%.*s", line == bytes + from ? "" : "\n", (int)length, words);
    }
    return text_string(&text);
}

/* ---- the written form ---- */

enum { LINE_WIDTH = 100 };

static void print_quoted(struct text *out, const char *string)
{
    text_put(out, "\"", 1);
    for (const char *p = string; *p; p++) {
        if (*p == '\n') {
            text_put(out, "\\n", 2);
        } else {
            text_add(out, "%s%c", *p == '"' || *p == '\\' ? "\\" : "", *p);
        }
    }
    text_put(out, "\"", 1);
}

/* What stands behind the bracket: `(name x`, but a name, a number or a string alone is written as itself. */
static bool print_head(struct text *out, const struct syntax *node)
{
    switch (node->kind) {
    case SYNTAX_name: text_add(out, "%s", node->text); return false;
    case SYNTAX_int: text_add(out, "%lld", (long long)node->integer); return false;
    case SYNTAX_real: text_add(out, "%s", node->text); return false;
    case SYNTAX_bool: text_add(out, node->truth ? "true" : "false"); return false;
    case SYNTAX_string: print_quoted(out, node->text); return false;
    case SYNTAX_param: text_add(out, node->child[0] ? "(%s" : "%s", node->text); return node->child[0];
    case SYNTAX_binary:
    case SYNTAX_unary: text_add(out, "(%s", sign_text(node->sign)); return true;
    case SYNTAX_import:
        text_add(out, "(import ");
        print_quoted(out, node->text);
        return true;
    default:
        text_add(out, "(%s%s%s", syntax_kind_name(node->kind), node->text ? " " : "", node->text ? node->text : "");
        return true;
    }
}

static size_t last_child(const struct syntax *node)
{
    size_t n = node->count;
    while (n > 0 && !node->child[n - 1]) {
        n--;
    }
    return n;
}

static void print_flat(struct text *out, const struct syntax *node)
{
    if (!node) {
        text_put(out, "-", 1);
    } else if (print_head(out, node)) {
        for (size_t i = 0; i < last_child(node); i++) {
            text_put(out, " ", 1);
            print_flat(out, node->child[i]);
        }
        text_put(out, ")", 1);
    }
}

/* How wide print_flat() would be, but no more than `most`. */
static int width(const struct syntax *node, int most)
{
    if (!node) {
        return 1;
    }
    bool leaf = node->kind >= SYNTAX_name && node->kind <= SYNTAX_bool;
    int sum = node->text ? (int)strlen(node->text) : 5;
    sum += leaf ? 0 : 3 + (int)strlen(syntax_kind_name(node->kind));
    for (size_t i = 0; i < node->count && sum < most; i++) {
        sum += 1 + width(node->child[i], most - sum);
    }
    return sum;
}

static void print_at(struct text *out, const struct syntax *node, int indent)
{
    bool defines = node && (node->kind == SYNTAX_net || node->kind == SYNTAX_block || node->kind == SYNTAX_function);
    bool whole = defines || (node && (node->kind == SYNTAX_file || node->kind == SYNTAX_body));
    if (indent + width(node, LINE_WIDTH) < LINE_WIDTH && !(whole && node->count > 1)) {
        print_flat(out, node);
        return;
    }
    if (node && print_head(out, node)) {
        const char *comment = defines ? syntax_comment(out->arena, node) : NULL;
        if (comment) {
            text_add(out, "\n%*s; ", indent + 2, "");
            print_quoted(out, comment);
        }
        for (size_t i = 0; i < last_child(node); i++) {
            text_add(out, "\n%*s", indent + 2, "");
            print_at(out, node->child[i], indent + 2);
        }
        text_put(out, ")", 1);
    }
}

void syntax_print(struct text *out, const struct syntax *node)
{
    print_at(out, node, 0);
    text_put(out, "\n", 1);
}
