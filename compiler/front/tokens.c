/* From the scanner to the parser: brackets are matched here, and here a faulty text is skipped.
 *
 * What would surprise: a closing bracket may be invented. No statement starts inside ( or [, and no definition inside
 * anything, so where one does (at the start of a line), the open brackets are reported, closed, and the rest of the
 * file reads as it was meant. A keyword followed by `=` is reported and read as a name. After a syntax error the
 * tokens up to the next statement of the innermost body, or the next definition, are dropped here, whole brackets at a
 * time, so that one fault gives one message.
 */
#include "front/internal.h"

#include "net.tab.h"

#include <string.h>

int net_scan(NET_STYPE *, struct span *, void *scanner);

static const char open_sign[] = "([{{", close_sign[] = ")]}}";

/* ---- what a token is ---- */

static bool is_item_keyword(int kind)
{
    return kind == NET || kind == BLOCK || kind == FUNCTION || kind == IMPORT;
}

/* Words that only ever start a statement. */
static bool is_statement_keyword(int kind)
{
    return kind == LET || kind == VAR || kind == SET || kind == RETURN || kind == ASSERT || kind == INPUT ||
           kind == OUTPUT;
}

static bool is_keyword(int kind)
{
    return kind >= IMPORT && kind <= SHARED;
}

static bool is_first_on_line(struct span span)
{
    const char *bytes = source_get(span.file)->bytes;
    int at = span.first;
    while (at > 0 && (bytes[at - 1] == ' ' || bytes[at - 1] == '\t')) {
        at--;
    }
    return at == 0 || bytes[at - 1] == '\n';
}

/* `in = 3` among arguments, `let in = 3`: a keyword where only a name can stand. */
static bool is_misused_keyword(const struct parser *parser, const struct token *token)
{
    const char *next = source_get(token->span.file)->bytes + token->span.last;
    next += strspn(next, " \t\r\n");
    bool among_arguments = parser->n_open && parser->open[parser->n_open - 1].kind == BRACKET_ROUND;
    bool is_named = next[0] == '=' && next[1] != '=' && (among_arguments || is_statement_keyword(parser->last.kind));
    return is_keyword(token->kind) && is_named;
}

/* ---- brackets ---- */

static void push_back(struct parser *parser, struct token token)
{
    parser->pending[parser->n_pending++] = token;
}

static struct token take_pending(struct parser *parser)
{
    struct token token = parser->pending[--parser->n_pending];
    parser->n_open -= token.closes;
    token.closes = false;
    return token;
}

static const char *before_what(const struct token *token, char *room, size_t size)
{
    const struct source *source = source_get(token->span.file);
    int n = token->span.last - token->span.first;
    snprintf(room, size, n ? "before `%.*s`" : "before the end", n > 20 ? 20 : n, source->bytes + token->span.first);
    return room;
}

/* Closes the brackets above `keep` with invented tokens, which come before `token`; the innermost one is reported. */
static struct token close_brackets(struct parser *parser, int keep, struct token token)
{
    char room[40];
    struct bracket inner = parser->open[parser->n_open - 1];
    parser_error(parser, CHECK_bracket_open, inner.span, "this `%c` is not closed %s", open_sign[inner.kind],
                 before_what(&token, room, sizeof room));
    push_back(parser, token);
    for (int i = keep; i < parser->n_open; i++) {
        struct token close = {.kind = close_sign[parser->open[i].kind],
                              .bracket = parser->open[i].kind,
                              .invented = true,
                              .closes = true};
        close.span = (struct span){token.span.file, token.span.first, token.span.first};
        push_back(parser, close);
    }
    return take_pending(parser);
}

static bool open_bracket(struct parser *parser, struct token *token)
{
    if (parser->n_open == MOST_NESTING) {
        parser_error(parser, CHECK_nesting, token->span, "brackets are nested deeper than %d", MOST_NESTING);
        parser->stopped = true;
        return false;
    }
    token->bracket = token->kind == '(' ? BRACKET_ROUND : token->kind == '[' ? BRACKET_SQUARE : parser->next_brace;
    if (token->kind == '{' && parser->last.kind == ':') {
        token->bracket = BRACKET_GROUP;
    }
    parser->open[parser->n_open++] = (struct bracket){token->bracket, token->span};
    return true;
}

static bool closes(int kind, struct bracket bracket)
{
    return close_sign[bracket.kind] == kind;
}

/* Matches a closing bracket; false: it closes nothing and is dropped. */
static bool close_bracket(struct parser *parser, struct token *token)
{
    int at = parser->n_open - 1;
    while (at >= 0 && !closes(token->kind, parser->open[at])) {
        at--;
    }
    if (at == parser->n_open - 1 && at >= 0) {
        token->bracket = parser->open[--parser->n_open].kind;
        return true;
    }
    if (at >= 0) {
        struct token late = *token;
        late.bracket = parser->open[at].kind;
        late.closes = true;
        *token = close_brackets(parser, at + 1, late);
        return true;
    }
    struct bracket *top = parser->n_open ? &parser->open[parser->n_open - 1] : NULL;
    if (top && token->kind != '}' && top->kind <= BRACKET_SQUARE) {
        parser_error(parser, CHECK_bracket_open, token->span, "`%c` cannot close a `%c`", token->kind,
                     open_sign[top->kind]);
        diag_note(parser->diags, top->span, "it was opened here");
        token->kind = close_sign[top->kind];
        token->bracket = top->kind;
        parser->n_open--;
        return true;
    }
    parser_error(parser, CHECK_bracket_stray, token->span, "this `%c` closes nothing", token->kind);
    return false;
}

/* What must be closed where a keyword or the end of the text stands: how many brackets may stay open. */
static int brackets_to_keep(const struct parser *parser, const struct token *token)
{
    int keep = parser->n_open;
    if (token->kind == END_OF_TEXT || (is_item_keyword(token->kind) && is_first_on_line(token->span))) {
        return 0;
    }
    if (is_statement_keyword(token->kind) && is_first_on_line(token->span)) {
        while (keep > 0 && parser->open[keep - 1].kind != BRACKET_BODY) {
            keep--;
        }
    }
    return keep;
}

/* What a `{` that follows would open: the body of a definition or of `if`, `for`, `else`; else the steps of a group. */
static void note_keyword(struct parser *parser, int kind)
{
    if (kind == IF || kind == FOR || kind == ELSE || is_item_keyword(kind)) {
        parser->next_brace = BRACKET_BODY;
    } else if (kind == THEN || is_statement_keyword(kind)) {
        parser->next_brace = BRACKET_GROUP;
    }
}

/* ---- the stream ---- */

/* One token of the scanner with its brackets matched; false: there is nothing to hand out. */
static bool filter(struct parser *parser, struct token *token)
{
    if (is_misused_keyword(parser, token)) {
        const struct source *source = source_get(token->span.file);
        token->text = intern_n(source->bytes + token->span.first, (size_t)(token->span.last - token->span.first));
        parser_error(parser, CHECK_reserved_word, token->span, "`%s` is a word of the language and cannot be a name",
                     token->text);
        token->kind = NAME;
    }
    int keep = brackets_to_keep(parser, token);
    note_keyword(parser, token->kind);
    if (keep < parser->n_open) {
        *token = close_brackets(parser, keep, *token);
        return true;
    }
    switch (token->kind) {
    case '(':
    case '[':
    case '{': return open_bracket(parser, token);
    case ')':
    case ']':
    case '}': return close_bracket(parser, token);
    default: return true;
    }
}

static struct token next_token(struct parser *parser)
{
    struct token token = {.kind = END_OF_TEXT};
    while (!parser->stopped) {
        if (parser->n_pending) {
            return take_pending(parser);
        }
        NET_STYPE value = {0};
        token = (struct token){0};
        token.kind = net_scan(&value, &token.span, parser->scanner);
        token.text = value.text;
        if (token.kind == END_OF_TEXT) {
            token.span = (struct span){parser->file, parser->at, parser->at};
        }
        if (filter(parser, &token)) {
            return token;
        }
    }
    return (struct token){.kind = END_OF_TEXT, .span = {parser->file, parser->at, parser->at}};
}

int net_lex(NET_STYPE *value, struct span *at, struct parser *parser)
{
    struct token token = {.kind = parser->start, .span = {parser->file, 0, 0}};
    if (parser->start) {
        parser->start = 0;
    } else {
        token = next_token(parser);
    }
    memmove(parser->before + 1, parser->before, sizeof parser->before - sizeof *parser->before);
    parser->before[0] = parser->last;
    parser->last = token;
    value->text = token.text;
    *at = token.span;
    return token.kind;
}

/* ---- recovery ---- */

/* May the parser go on at this token, when the innermost body is the bracket `base` - 1? */
static bool is_restart(const struct parser *parser, const struct token *token, int base)
{
    if (token->kind == END_OF_TEXT || (token->kind == '}' && parser->n_open < base)) {
        return true;
    }
    if (parser->n_open > base) {
        return false;
    }
    if (base == 0) {
        return is_item_keyword(token->kind) || token->kind == LET;
    }
    bool is_word = token->kind == IF || token->kind == FOR;
    return is_statement_keyword(token->kind) || (is_word && is_first_on_line(token->span));
}

void token_recover(struct parser *parser, struct token unexpected)
{
    bool opens = !unexpected.invented && (unexpected.kind == '(' || unexpected.kind == '[' || unexpected.kind == '{');
    int base = parser->n_open - opens;
    while (base > 0 && parser->open[base - 1].kind != BRACKET_BODY) {
        base--;
    }
    bool ends_body = unexpected.kind == '}' && unexpected.bracket == BRACKET_BODY;
    bool misplaced = is_keyword(unexpected.kind) && !is_first_on_line(unexpected.span);
    if (!unexpected.again && (ends_body || (!misplaced && is_restart(parser, &unexpected, base)))) {
        unexpected.again = true;
        push_back(parser, unexpected);
        return;
    }
    parser->recovering = true;
    struct token token = next_token(parser);
    while (!is_restart(parser, &token, base)) {
        token = next_token(parser);
    }
    parser->recovering = false;
    token.again = true;
    push_back(parser, token);
}

/* ---- messages ---- */

static bool ends_value(int kind)
{
    return kind == NAME || kind == INT || kind == REAL || kind == STRING || kind == DOT_NAME || kind == DOT_INT ||
           kind == TRUE || kind == FALSE || kind == ')' || kind == ']';
}

static const char *words_of(const struct parser *parser, struct span span)
{
    return intern_n(source_get(parser->file)->bytes + span.first, (size_t)(span.last - span.first));
}

static const char *shown(const struct parser *parser, struct token token)
{
    static const char *const kind[] = {"name", "integer", "number", "string"};
    int which = token.kind == NAME ? 0 : token.kind == INT ? 1 : token.kind == REAL ? 2 : token.kind == STRING ? 3 : -1;
    if (token.kind == END_OF_TEXT) {
        return "end of the text";
    }
    const char *words = words_of(parser, token.span);
    return which >= 0 ? intern_printf("%s `%s`", kind[which], words) : intern_printf("`%s`", words);
}

/* Mistakes of form: something stands where another spelling was meant. */
static const char *guess_spelling(const struct parser *parser, bool operator_possible)
{
    struct token last = parser->last, before = parser->before[0], third = parser->before[1];
    const char *previous = words_of(parser, before.span);
    bool after_name = before.kind == NAME;
    if (last.kind == '(' && after_name && third.kind == BLOCK) {
        return intern_printf("the inputs of a block stand before its name: block x |> %s(...)", previous);
    }
    if (last.kind == '=' && after_name && (third.kind == PIPE || third.kind == ':')) {
        return intern_printf("a label is written with a colon, `%s: ...`; `=` belongs to let, var, set and arguments",
                             previous);
    }
    if (last.kind == '{' && (after_name || before.kind == INT) && operator_possible) {
        return intern_printf("a group of steps needs a colon behind its label: `%s: { ... }`", previous);
    }
    if (last.kind == OUTPUT && before.kind == PIPE) {
        return "an output is a statement: output NAME = ...";
    }
    if ((last.kind == '<' || last.kind == '>' || (last.kind >= EQ && last.kind <= GE)) && operator_possible) {
        return "comparisons do not chain: write `a < b and b < c`";
    }
    if (last.kind == IF && before.kind == ':') {
        return "a label stands before a call: put the `if` into a `let` above, or into brackets";
    }
    return NULL;
}

static const char *guess_missing(const struct parser *parser, bool operator_possible, bool statement_possible)
{
    struct token last = parser->last, before = parser->before[0];
    const char *word = words_of(parser, last.span);
    if (last.kind == NAME && operator_possible && before.kind == NAME && parser->before[1].kind == PIPE) {
        return intern_printf("is `:` missing behind the label `%s`, or `|>` before `%s`?",
                             words_of(parser, before.span), word);
    }
    if ((last.kind == NAME || last.kind == INT || last.kind == '{') && operator_possible && ends_value(before.kind)) {
        return intern_printf("is `|>` missing before `%s`?", word);
    }
    if (last.kind == NAME && statement_possible) {
        return "a statement starts with a word: let, var, set, return, if, for, assert, input, output";
    }
    return NULL;
}

/* The likeliest mistake behind an unexpected token; NULL if there is none in mind. */
static const char *guess(const struct parser *parser, bool operator_possible, bool statement_possible)
{
    int kind = parser->last.kind;
    const char *spelling = guess_spelling(parser, operator_possible);
    if (spelling) {
        return spelling;
    }
    if (kind == SHARED) {
        return "`shared` is reserved: weights cannot be shared yet";
    }
    bool joins = kind == IF || kind == THEN || kind == ELSE || kind == AND || kind == OR || kind == NOT;
    if (is_keyword(kind) && !joins && !operator_possible && !statement_possible) {
        return intern_printf("`%s` is a word of the language and cannot be a name",
                             words_of(parser, parser->last.span));
    }
    return guess_missing(parser, operator_possible, statement_possible);
}

void syntax_error(struct parser *parser, const char *const *expected, int n, bool operator_possible,
                  bool statement_possible)
{
    struct token unexpected = parser->last;
    if (!unexpected.invented) { /* else the missing bracket was reported */
        struct text text = {.arena = parser->perm};
        for (int i = 0; i < n; i++) {
            text_add(&text, "%s%s", i == 0 ? "" : i == n - 1 ? " or " : ", ", expected[i]);
        }
        parser_error(parser, CHECK_syntax, unexpected.span, "unexpected %s; expected %s", shown(parser, unexpected),
                     text_string(&text));
        const char *hint = parser->stopped ? NULL : guess(parser, operator_possible, statement_possible);
        int opens = unexpected.kind == '(' || unexpected.kind == '[' || unexpected.kind == '{';
        int open = parser->n_open - opens;
        if (hint) {
            diag_note(parser->diags, unexpected.span, "%s", hint);
        } else if (!parser->stopped && open > 0 && parser->open[open - 1].kind != BRACKET_BODY) {
            diag_note(parser->diags, parser->open[open - 1].span, "inside this `%c`",
                      open_sign[parser->open[open - 1].kind]);
        }
    }
    token_recover(parser, unexpected);
}
