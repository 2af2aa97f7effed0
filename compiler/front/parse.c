/* A source to its syntax tree: reading files, their size and encoding, literals, labels.
 *
 * What would surprise: a file with errors still gives the tree of what could be read, but parse_source() keeps it to
 * itself, so that nothing is said about names that a broken definition would have made.
 */
#include "front/internal.h"

#include "net.tab.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct yy_buffer_state;
int net_lex_init_extra(struct parser *, void **scanner);
int net_lex_destroy(void *scanner);
struct yy_buffer_state *net__scan_bytes(const char *, int, void *scanner);

enum { MOST_PARSE_ERRORS = 100 };

void parser_error(struct parser *parser, enum check check, struct span span, const char *format, ...)
{
    if (parser->stopped || parser->recovering) {
        return;
    }
    va_list args;
    va_start(args, format);
    struct text text = {.arena = parser->perm};
    text_add_v(&text, format, args);
    va_end(args);
    diag_error_at(parser->diags, check, span, "%s", text_string(&text));
    parser->stopped = ++parser->errors == MOST_PARSE_ERRORS;
}

/* ---- reading ---- */

/* How many bytes the UTF-8 character at p has; 0 if it is none. */
static int utf8_length(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80) {
        return p[0] ? 1 : 0;
    }
    int n = p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : 0;
    if (n == 0 || (size_t)n > left) {
        return 0;
    }
    for (int i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool outside = (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf4 && p[1] >= 0x90);
    return overlong || outside ? 0 : n;
}

bool check_encoding(struct diags *diags, int file)
{
    const struct source *source = source_get(file);
    const unsigned char *bytes = (const unsigned char *)source->bytes;
    for (size_t at = 0; at < source->length;) {
        int n = utf8_length(bytes + at, source->length - at);
        if (n == 0) {
            struct span span = {file, (int)at, (int)at + 1};
            diag_error_at(diags, CHECK_encoding, span,
                          bytes[at] ? "the byte 0x%02x is no UTF-8 text" : "the text has a NUL byte", bytes[at]);
            return false;
        }
        at += (size_t)n;
    }
    return true;
}

int read_source(struct arena *perm, struct diags *diags, const char *path, const char *shown)
{
    size_t length = 0;
    const char *why = NULL;
    char *bytes = file_read(perm, path, MOST_FILE_BYTES, &length, &why);
    if (!bytes) {
        bool large = strstr(why, "bytes");
        diag_error_file(diags, large ? CHECK_file_size : CHECK_file_read, shown, "%s", why);
        return -1;
    }
    int file = source_add(path, shown, bytes, length);
    return check_encoding(diags, file) ? file : -1;
}

/* ---- parsing ---- */

/* At the outermost expression that leads to what is too deep. */
static void report_depth(struct parser *parser)
{
    const struct syntax *deep = parser->root;
    while (deep->kind < SYNTAX_choose) {
        const struct syntax *next = NULL;
        for (size_t i = 0; i < deep->count; i++) {
            next = deep->child[i] && (!next || deep->child[i]->depth > next->depth) ? deep->child[i] : next;
        }
        deep = next;
    }
    parser_error(parser, CHECK_nesting, deep->span, "this is nested deeper than %d", MOST_TREE_DEPTH);
}

struct syntax *parse_source(struct arena *perm, struct arena *module, struct diags *diags, int file, bool expression)
{
    const struct source *source = source_get(file);
    struct parser *parser = NEW(module, struct parser);
    parser->perm = perm;
    parser->module = module;
    parser->diags = diags;
    parser->file = file;
    parser->start = expression ? START_EXPRESSION : START_FILE;
    parser->next_brace = BRACKET_GROUP;
    net_lex_init_extra(parser, &parser->scanner); /* cannot fail: its memory is heap_alloc()'s */
    bool marked = source->length >= 3 && !memcmp(source->bytes, "\xef\xbb\xbf", 3); /* some editors start UTF-8 so */
    parser->at = marked ? 3 : 0;
    net__scan_bytes(source->bytes + parser->at, (int)source->length - parser->at, parser->scanner);
    int status = net_parse(parser);
    net_lex_destroy(parser->scanner);
    if (status == 0 && parser->errors == 0 && parser->root->depth > MOST_TREE_DEPTH) {
        report_depth(parser);
    }
    return status == 0 && parser->errors == 0 ? parser->root : NULL;
}

/* ---- literals and labels ---- */

const char *parse_string(struct parser *parser, const char *bytes, size_t n, struct span span)
{
    struct text text = {.arena = parser->perm};
    for (size_t i = 0; i < n; i++) {
        char c = bytes[i];
        if (c == '\\') {
            c = bytes[++i];
            if (c != '"' && c != '\\' && c != 'n') {
                int at = span.first + 1 + (int)i;
                parser_error(parser, CHECK_string_form, (struct span){span.file, at - 1, at + 1},
                             "in a string only \\\", \\\\ and \\n are escapes");
            }
            c = c == 'n' ? '\n' : c;
        }
        text_put(&text, &c, 1);
    }
    return intern(text_string(&text));
}

int64_t parse_integer(struct parser *parser, const char *digits, struct span span)
{
    errno = 0;
    long long value = strtoll(digits, NULL, 10);
    if (errno == ERANGE) {
        parser_error(parser, CHECK_int_range, span, "the integer is larger than %lld", (long long)INT64_MAX);
    }
    return value;
}

double parse_real(struct parser *parser, const char *digits, struct span span)
{
    double value = strtod(digits, NULL);
    if (!isfinite(value)) {
        parser_error(parser, CHECK_real_range, span, "the number is larger than a real can be");
    }
    return value;
}

bool parser_check_label(struct parser *parser, const struct syntax *label)
{
    const struct syntax *at = label;
    while (!at->parenthesised &&
           (at->kind == SYNTAX_dot_name || at->kind == SYNTAX_dot_int || at->kind == SYNTAX_index)) {
        at = at->child[0];
    }
    bool is_start = at->kind == SYNTAX_name || at->kind == SYNTAX_int || at->kind == SYNTAX_string ||
                    (at->kind == SYNTAX_list && at->count == 1);
    if (is_start && !at->parenthesised) {
        return true;
    }
    parser_error(parser, CHECK_label_form, label->span,
                 "a label is a name, an integer, a string or [index], followed by .name, .integer or [index]");
    if (at->kind == SYNTAX_real && !parser->stopped) {
        int whole = (int)strspn(at->text, "0123456789");
        diag_note(parser->diags, at->span, "this reads as a real number: write [%.*s]%s", whole, at->text,
                  at->text + whole);
    }
    return false;
}

bool print_syntax(struct text *text, struct arena *perm, struct diags *diags, const struct front_options *options)
{
    struct network_file wanted = find_network(perm, options);
    int file = read_source(perm, diags, wanted.path, wanted.shown);
    struct syntax *root = file < 0 ? NULL : parse_source(perm, perm, diags, file, false);
    if (!root) {
        return false;
    }
    syntax_print(text, root);
    return true;
}
