/* What reading kernels (loop_read.c) and programs (program_read.c) share: words and numbers over the bytes of a
 * file. White space and `;` only separate. The first fault is the one that is reported; after it every function does
 * nothing, so callers may go on to the end of what they do. */
#ifndef NETC_SCAN_H
#define NETC_SCAN_H

#include "loop/loop.h"

#include <string.h>

enum { MAX_NUMBER_BITS = 41, MAX_SIZE_BITS = 31 };

struct declared { /* one of the three */
    const char *name;
    struct buffer *buffer;
    struct var *var;
    struct reg *reg;
};
struct reader {
    struct arena *arena;
    struct diags *diags;
    int file;
    const char *bytes;
    size_t length, pos;
    bool failed;
    struct builder b;
    struct declared *name;
    size_t n_name, cap_name;
};

struct kernel *read_kernel_body(struct reader *); /* behind the word `kernel`; NULL after a diagnostic */

/* ---- words and numbers ---- */

PRINTF(5, 6)
static inline bool fail(struct reader *r, enum check check, size_t first, size_t last, const char *format, ...)
{
    if (!r->failed) {
        struct text text = {.arena = r->arena};
        va_list list;
        va_start(list, format);
        text_add_v(&text, format, list);
        va_end(list);
        diag_error_at(r->diags, check, (struct span){r->file, (int)first, (int)last}, "%s", text_string(&text));
    }
    r->failed = true;
    return false;
}

static inline int peek(const struct reader *r)
{
    return r->pos < r->length ? (unsigned char)r->bytes[r->pos] : -1;
}

static inline void skip_space(struct reader *r)
{
    while (peek(r) == ' ' || peek(r) == '\n' || peek(r) == '\t' || peek(r) == '\r' || peek(r) == ';') {
        r->pos++;
    }
}

static inline bool is_word_byte(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static inline bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static inline size_t word_length(const struct reader *r)
{
    size_t n = 0;
    while (r->pos + n < r->length && is_word_byte((unsigned char)r->bytes[r->pos + n])) {
        n++;
    }
    return is_digit(peek(r)) ? 0 : n;
}

static inline bool next_is(struct reader *r, const char *word)
{
    skip_space(r);
    size_t n = strlen(word);
    bool same = r->length - r->pos >= n && memcmp(r->bytes + r->pos, word, n) == 0;
    return !r->failed && same && (!is_word_byte((unsigned char)word[0]) || word_length(r) == n);
}

static inline bool accept(struct reader *r, const char *word)
{
    bool found = next_is(r, word);
    r->pos += found ? strlen(word) : 0;
    return found;
}

static inline bool unexpected(struct reader *r, const char *wanted)
{
    skip_space(r);
    size_t n = word_length(r);
    if (r->pos >= r->length) {
        return fail(r, CHECK_syntax, r->length, r->length, "expected %s, the text ends", wanted);
    }
    return fail(r, CHECK_syntax, r->pos, r->pos + (n > 0 ? n : 1), "expected %s", wanted);
}

static inline bool expect(struct reader *r, const char *word)
{
    return accept(r, word) || unexpected(r, word);
}

static inline const char *read_word(struct reader *r, const char *wanted)
{
    skip_space(r);
    size_t n = word_length(r);
    if (r->failed || n == 0) {
        unexpected(r, wanted);
        return "?";
    }
    r->pos += n;
    return intern_n(r->bytes + r->pos - n, n);
}

static inline int64_t read_digits(struct reader *r)
{
    size_t first = r->pos;
    int64_t value = 0;
    if (r->failed || !is_digit(peek(r))) {
        unexpected(r, "a number");
        return 0;
    }
    for (; is_digit(peek(r)); r->pos++) {
        value = value * 10 + (peek(r) - '0');
        if (value > (int64_t)1 << MAX_NUMBER_BITS) {
            fail(r, CHECK_loop_sizes, first, r->pos + 1, "the number is too large");
            return 0;
        }
    }
    return value;
}

static inline int64_t read_int(struct reader *r)
{
    bool minus = accept(r, "-");
    skip_space(r);
    return minus ? -read_digits(r) : read_digits(r);
}

static inline int64_t read_size(struct reader *r)
{
    skip_space(r);
    size_t first = r->pos;
    int64_t size = read_digits(r);
    if (!r->failed && (size < 1 || size > (int64_t)1 << MAX_SIZE_BITS)) {
        fail(r, CHECK_loop_sizes, first, r->pos, "a dimension is from 1 to %lld", 1LL << MAX_SIZE_BITS);
    }
    return size;
}

static inline void read_range(struct reader *r, int64_t *lo, int64_t *hi)
{
    *lo = read_int(r);
    expect(r, "..");
    *hi = read_int(r);
}

/* The rest of the line behind `#` and one space. */
static inline const char *read_comment(struct reader *r)
{
    size_t n = 0;
    r->pos += peek(r) == ' ';
    while (r->pos + n < r->length && r->bytes[r->pos + n] != '\n') {
        n++;
    }
    r->pos += n;
    return arena_copy(r->arena, r->bytes + r->pos - n, n);
}

/* ---- files ---- */

static inline bool open_file(struct reader *r, struct arena *arena, struct diags *diags, int file)
{
    const struct source *source = source_get(file);
    *r =
        (struct reader){.arena = arena, .diags = diags, .file = file, .bytes = source->bytes, .length = source->length};
    const char *nul = memchr(source->bytes, '\0', source->length);
    if (nul != NULL) {
        size_t place = (size_t)(nul - source->bytes);
        return fail(r, CHECK_encoding, place, place + 1, "a NUL byte");
    }
    return true;
}

static inline void skip_comments(struct reader *r)
{
    while (accept(r, "#")) {
        read_comment(r);
    }
}

#endif
