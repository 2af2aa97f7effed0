/* The words of a graph's text form: bytes, blanks and comments, names, strings, numbers, lists, types. Works on the
 * bytes themselves; there are no tokens, since what a byte begins depends on the rule that reads it.
 */
#include "graph/graph_read.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_HALO = 1024, LARGEST_BLOCK = 64 }; /* keep layout_bytes inside 64 bits */

/* ---- bytes and words ---- */

struct span scan_span(const struct reader *r, size_t first)
{
    size_t last = r->at > first ? r->at : first;
    return (struct span){r->file, (int)first, (int)last};
}

int scan_byte(const struct reader *r, size_t at)
{
    return at < r->length ? (unsigned char)r->bytes[at] : -1;
}

/* ';' begins a comment only where nothing but blanks stands before it on its line: behind a statement it tells the
 * source. */
static bool begins_line(const struct reader *r)
{
    size_t at = r->at;
    while (at > 0 && (r->bytes[at - 1] == ' ' || r->bytes[at - 1] == '\t')) {
        at--;
    }
    return at == 0 || r->bytes[at - 1] == '\n';
}

/* The next byte behind blanks and comments; -1 at the end. */
int scan_look(struct reader *r)
{
    for (;; r->at++) {
        int c = scan_byte(r, r->at);
        if (c == '#' || (c == ';' && begins_line(r))) {
            while (scan_byte(r, r->at) != '\n' && r->at < r->length) {
                r->at++;
            }
        } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
            return c;
        }
        if (r->at >= r->length) {
            return -1;
        }
    }
}

bool scan_accept(struct reader *r, int c)
{
    bool found = scan_look(r) == c;
    r->at += found;
    return found;
}

bool scan_expect(struct reader *r, int c, const char *where)
{
    bool found = scan_accept(r, c);
    if (!found) {
        scan_fail(r, graph_text_syntax, r->at, "'%c' is expected %s", c, where);
    }
    return found;
}

static bool is_word_byte(int c)
{
    return c == '_' || (c >= 0 && c < 0x80 && isalnum(c));
}

/* How many bytes the word at the current place has; 0: there is none. */
static size_t word_length(struct reader *r)
{
    int c = scan_look(r);
    size_t n = 0;
    while (!(c >= '0' && c <= '9') && is_word_byte(scan_byte(r, r->at + n))) {
        n++;
    }
    return n;
}

bool scan_at_word(struct reader *r, const char *word)
{
    size_t n = word_length(r);
    return n == strlen(word) && !memcmp(r->bytes + r->at, word, n);
}

bool scan_accept_word(struct reader *r, const char *word)
{
    bool found = scan_at_word(r, word);
    r->at += found ? strlen(word) : 0;
    return found;
}

/* A word, interned; NULL (and a fault) if there is none. *first is where it starts. */
const char *scan_word(struct reader *r, const char *what, size_t *first)
{
    size_t n = word_length(r);
    *first = r->at;
    if (!n) {
        scan_fail(r, graph_text_syntax, r->at, "%s is expected here", what);
        return NULL;
    }
    r->at += n;
    return intern_n(r->bytes + *first, n);
}

/* Says that `word` is none of the n known ones, and which was probably meant. */
void scan_fail_unknown(struct reader *r, size_t first, const char *what, const char *word, const char *const *known,
                       size_t n)
{
    const char *near = nearest_name(word, known, n);
    scan_fail(r, graph_text_name, first, near ? "there is no %s '%s', is '%s' meant?" : "there is no %s '%s'", what,
              word, near);
}

/* ---- strings and names ---- */

static int hex_digit(int c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The byte that the escape behind a backslash stands for; -1: no escape. */
static int read_escape(struct reader *r)
{
    int c = scan_byte(r, r->at++);
    if (c == '"' || c == '\\') {
        return c;
    }
    if (c == 'n') {
        return '\n';
    }
    int high = c == 'x' ? hex_digit(scan_byte(r, r->at)) : -1, low = high < 0 ? -1 : hex_digit(scan_byte(r, r->at + 1));
    r->at += low < 0 ? 0 : 2;
    return low < 0 || high + low == 0 ? -1 : 16 * high + low;
}

const char *scan_string(struct reader *r)
{
    struct text text = {.arena = r->arena};
    size_t first = r->at;
    if (!scan_expect(r, '"', "before a string")) {
        return NULL;
    }
    for (;;) {
        int c = scan_byte(r, r->at);
        if (c <= 0 || c == '\n') {
            scan_fail(r, graph_text_syntax, first, "the string is not closed");
            return NULL;
        }
        r->at++;
        if (c == '"') {
            return intern_n(text_string(&text), text.length);
        }
        c = c == '\\' ? read_escape(r) : c;
        if (c < 0) {
            scan_fail(r, graph_text_syntax, first, "the string has an escape that is none of \\\" \\\\ \\n \\x41");
            return NULL;
        }
        char byte = (char)c;
        text_put(&text, &byte, 1);
    }
}

static bool is_name_byte(int c)
{
    return is_word_byte(c) || c == '.';
}

/* A bare or a quoted name; `may_be_empty` for paths and for the prefix of "@*". */
const char *scan_name(struct reader *r, const char *what, bool may_be_empty)
{
    const char *name;
    size_t first = r->at;
    if (scan_byte(r, r->at) == '"') {
        name = scan_string(r);
    } else {
        while (is_name_byte(scan_byte(r, r->at))) {
            r->at++;
        }
        name = intern_n(r->bytes + first, r->at - first);
    }
    if (name && !*name && !may_be_empty) {
        scan_fail(r, graph_text_syntax, first, "the name of %s is expected here", what);
        return NULL;
    }
    return name;
}

/* ---- numbers ---- */

bool scan_int(struct reader *r, int64_t least, int64_t most, int64_t *number)
{
    scan_look(r);
    size_t first = r->at;
    bool negative = scan_byte(r, r->at) == '-';
    r->at += negative;
    int64_t value = 0;
    size_t digits = 0;
    for (int c; (c = scan_byte(r, r->at)) >= '0' && c <= '9'; r->at++, digits++) {
        value = value > (INT64_MAX - 9) / 10 ? INT64_MAX - 9 : 10 * value + (c - '0');
    }
    if (!digits) {
        scan_fail(r, graph_text_syntax, first, "a whole number is expected here");
        return false;
    }
    *number = negative ? -value : value;
    if (*number < least || *number > most) {
        scan_fail(r, graph_text_number, first, "the number must be from %lld to %lld", (long long)least,
                  (long long)most);
        return false;
    }
    return true;
}

bool scan_small(struct reader *r, int least, int most, int *number)
{
    int64_t value;
    bool good = scan_int(r, least, most, &value);
    *number = good ? (int)value : least;
    return good;
}

bool scan_real(struct reader *r, double *number)
{
    char text[64], *end = text;
    scan_look(r);
    size_t first = r->at, n = 0;
    for (int c; n < sizeof text - 1 && (is_name_byte(c = scan_byte(r, first + n)) || c == '-' || c == '+'); n++) {
        text[n] = (char)c;
    }
    text[n] = '\0';
    r->at += n;
    bool plain = n > 0 && strspn(text, "+-.0123456789eEinfa") == n; /* no hexadecimal numbers */
    *number = plain ? strtod(text, &end) : 0;
    if (!plain || *end) {
        scan_fail(r, graph_text_syntax, first, "a number is expected here");
        return false;
    }
    return true;
}

/* "3x3", or "3" for both if `short_form`. An attribute's range is the shape rules' affair: here it only has to be a
 * number. */
bool scan_pair(struct reader *r, bool short_form, int64_t pair[2])
{
    if (!scan_int(r, INT64_MIN / 2, INT64_MAX / 2, &pair[0])) {
        return false;
    }
    if (scan_byte(r, r->at) != 'x') {
        pair[1] = pair[0];
        return short_form || scan_expect(r, 'x', "between two numbers");
    }
    r->at++;
    return scan_int(r, INT64_MIN / 2, INT64_MAX / 2, &pair[1]);
}

/* "[1, 2.5, 3]" */
const double *scan_numbers(struct reader *r, int64_t *count)
{
    double *list = NULL, number;
    size_t n = 0, capacity = 0;
    if (!scan_expect(r, '[', "before a list of numbers")) {
        return NULL;
    }
    while (scan_look(r) != ']') {
        if ((n && !scan_expect(r, ',', "between two numbers")) || !scan_real(r, &number)) {
            return NULL;
        }
        PUSH(r->arena, list, n, capacity, number);
    }
    r->at++;
    *count = (int64_t)n;
    return list ? list : NEW(r->arena, double);
}

/* ---- types ---- */

bool scan_dims(struct reader *r, struct shape *shape)
{
    *shape = (struct shape){0};
    size_t first = r->at;
    if (!scan_expect(r, '[', "before the dimensions")) {
        return false;
    }
    while (scan_look(r) != ']') {
        if (shape->rank == MAX_RANK) {
            scan_fail(r, graph_text_number, first, "a shape has at most %d dimensions", MAX_RANK);
            return false;
        }
        if ((shape->rank && !scan_expect(r, ',', "between two dimensions")) ||
            !scan_int(r, 0, INT32_MAX, &shape->dim[shape->rank])) {
            return false;
        }
        shape->rank++;
    }
    r->at++;
    return true;
}

bool scan_layout(struct reader *r, struct layout *layout)
{
    size_t n = word_length(r);
    if (scan_accept_word(r, "plain") || scan_accept_word(r, "rows")) {
        *layout = (struct layout){.kind = LAYOUT_PLAIN, .block = r->bytes[r->at - 1] == 's' ? 1 : 16};
        return true;
    }
    if (n < 2 || r->bytes[r->at] != 'c' || !isdigit((unsigned char)r->bytes[r->at + 1])) {
        return true;
    }
    r->at++;
    layout->kind = LAYOUT_BLOCKS;
    if (!scan_small(r, 1, LARGEST_BLOCK, &layout->block)) {
        return false;
    }
    if (scan_accept_word(r, "halo") && !scan_small(r, 1, MOST_HALO, &layout->halo)) {
        return false;
    }
    return !scan_accept_word(r, "seg") || scan_small(r, 1, INT32_MAX, &layout->seg);
}

/* The shape must be a possible one, since element counts are computed from it. */
bool scan_type(struct reader *r, struct type *type)
{
    size_t first;
    const char *word = scan_word(r, "a type, f32[...],", &first);
    *type = (struct type){0};
    if (!word) {
        return false;
    }
    if (strcmp(word, element_name[ELEMENT_F32]) != 0) {
        scan_fail_unknown(r, first, "element type", word, element_name, ELEMENT_COUNT);
        return false;
    }
    if (!scan_dims(r, &type->shape)) {
        return false;
    }
    int64_t elements = shape_elements(type->shape);
    if (elements < 1 || elements > INT32_MAX) {
        scan_fail(r, graph_text_number, first, "a value has 1 to %d elements", INT32_MAX);
        return false;
    }
    return true;
}

/* ---- the end of a statement ---- */

/* "; where it comes from" to the end of the line; "" if there is none. */
const char *scan_source(struct reader *r)
{
    if (scan_look(r) != ';') {
        return intern("");
    }
    size_t first = ++r->at;
    while (scan_byte(r, r->at) >= 0 && r->bytes[r->at] != '\n') {
        r->at++;
    }
    size_t last = r->at;
    while (last > first && isspace((unsigned char)r->bytes[last - 1])) {
        last--;
    }
    while (first < last && isspace((unsigned char)r->bytes[first])) {
        first++;
    }
    const char *nul = memchr(r->bytes + first, 0, last - first);
    return intern_n(r->bytes + first, nul ? (size_t)(nul - r->bytes) - first : last - first);
}
