/* Renames: lines FROM -> TO, each applied in turn to what the line before made of a name.
 *
 *     res%a_*       -> layer%-1.0.*      # % is a whole number, * anything; TO takes them in their order
 *     *.se_module.* -> *.se.*
 *     last_linear.* -> fc.*
 *     aux.*         ->                   # these are dropped
 *
 * What would surprise: FROM is the whole name. A * takes as little as it can, a % all the digits that follow, so going
 * back to the last * alone finds a match if there is one.
 */
#include "weights/rename.h"

#include <string.h>
#include <unistd.h>

enum { LARGEST_FILE = 1 << 20, MOST_LINES = 1000, MOST_WILD = 8, MOST_DIGITS = 9, SHOWN_NAME = 100, MOST_NOTES = 3 };

struct rename {
    struct span span;
    const char *from, *to; /* to: NULL drops the name */
    int used;
};

struct renames {
    struct arena *arena;
    struct rename *line;
    size_t n, capacity;
};

struct capture { /* what a * or a % of FROM stands for */
    const char *first;
    size_t length;
};

/* ---- matching ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits(const char *s)
{
    size_t n = 0;
    while (is_digit(s[n]))
        n++;
    return n;
}

static bool match(const char *pattern, const char *name, struct capture *wild)
{
    const char *star = NULL; /* the last *, which may take one character more */
    int n = 0, n_star = 0;
    while (*name || *pattern) {
        size_t length = *pattern == '%' ? digits(name) : 0;
        if (*pattern == '*') {
            wild[n] = (struct capture){name, 0};
            star = pattern++;
            n_star = n++;
        } else if (length && length <= MOST_DIGITS) {
            wild[n++] = (struct capture){name, length};
            name += length;
            pattern++;
        } else if (*pattern && *pattern != '%' && *pattern == *name) {
            pattern++;
            name++;
        } else if (star && wild[n_star].first[wild[n_star].length]) {
            name = wild[n_star].first + ++wild[n_star].length;
            pattern = star + 1;
            n = n_star + 1;
        } else {
            return false;
        }
    }
    return true;
}

/* ---- replacing ---- */

static const struct capture *next_of(const char *from, const struct capture *wild, char kind, int k)
{
    for (int i = 0; *from; from++) {
        if (*from != '*' && *from != '%')
            continue;
        if (*from == kind && k-- == 0)
            return &wild[i];
        i++;
    }
    return NULL; /* a line that was read has no fewer than it asks for */
}

static long number_of(const char *s, size_t n)
{
    long number = 0;
    for (size_t i = 0; i < n; i++)
        number = 10 * number + (s[i] - '0');
    return number;
}

static bool replace(const struct rename *r, struct diags *diags, const char *name, const struct capture *wild,
                    struct text *out)
{
    int stars = 0, numbers = 0;
    for (const char *p = r->to; *p; p++) {
        if (*p == '*') {
            const struct capture *c = next_of(r->from, wild, '*', stars++);
            text_put(out, c->first, c->length);
        } else if (*p == '%') {
            const struct capture *c = next_of(r->from, wild, '%', numbers++);
            size_t n = p[1] == '+' || p[1] == '-' ? digits(p + 2) : 0;
            long number = number_of(c->first, c->length);
            n = n > MOST_DIGITS ? MOST_DIGITS : n;
            if (n)
                number += p[1] == '-' ? -number_of(p + 2, n) : number_of(p + 2, n);
            if (number < 0) {
                diag_error_at(diags, CHECK_rename_number, r->span, "tensor %.*s would get the number %ld", SHOWN_NAME,
                              name, number);
                return false;
            }
            if (n)
                text_add(out, "%ld", number);
            else
                text_put(out, c->first, c->length);
            p += n ? n + 1 : 0;
        } else {
            text_put(out, p, 1);
        }
    }
    return true;
}

bool renames_apply(struct renames *r, struct diags *diags, const char *name, const char **out)
{
    struct capture wild[MOST_WILD];
    *out = name;
    for (size_t i = 0; i < r->n && *out; i++) {
        struct rename *line = &r->line[i];
        if (!match(line->from, *out, wild))
            continue;
        line->used++;
        struct text text = {.arena = r->arena};
        if (line->to && !replace(line, diags, *out, wild, &text))
            return false;
        *out = line->to ? text_string(&text) : NULL;
    }
    return true;
}

void renames_unused(const struct renames *r, struct diags *diags)
{
    int told = 0;
    for (size_t i = 0; i < r->n; i++)
        if (!r->line[i].used && told++ < MOST_NOTES)
            diag_note(diags, r->line[i].span, "no tensor has a name that this line changes");
}

/* ---- reading ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of [*from, end), NULL at its end; a comment ends the line. */
static const char *word(struct arena *a, const char **from, const char *end)
{
    while (*from < end && is_blank(**from))
        ++*from;
    const char *first = *from;
    if (first < end && *first == '#')
        *from = end;
    if (*from == end)
        return NULL;
    while (*from < end && !is_blank(**from))
        ++*from;
    return arena_copy(a, first, (size_t)(*from - first));
}

static int count(const char *s, char c)
{
    int n = 0;
    for (; *s; s++)
        n += *s == c;
    return n;
}

static bool read_line(struct renames *r, struct diags *diags, const char *line, const char *end, struct span span)
{
    const char *at = line, *from = word(r->arena, &at, end), *arrow = from ? word(r->arena, &at, end) : NULL;
    const char *to = arrow ? word(r->arena, &at, end) : NULL, *more = to ? word(r->arena, &at, end) : NULL;
    if (!from)
        return true;
    const char *why = !arrow || strcmp(arrow, "->") != 0 || more ? "a line is FROM -> TO, or FROM -> to drop a tensor"
                      : memchr(line, 0, (size_t)(end - line))    ? "a name has no NUL"
                      : count(from, '*') + count(from, '%') > MOST_WILD ? "there are at most 8 * and % in a line"
                      : to && (count(to, '*') > count(from, '*') || count(to, '%') > count(from, '%'))
                          ? "the right side has more * or % than the left side, which says what they stand for"
                      : r->n == MOST_LINES ? "there are at most 1000 lines"
                                           : NULL;
    if (why) {
        diag_error_at(diags, CHECK_rename_line, span, "%s", why);
        return false;
    }
    PUSH(r->arena, r->line, r->n, r->capacity, ((struct rename){span, from, to, 0}));
    return true;
}

/* FILE, unless it is a plain word and no file: then one of those that come with the networks. */
static const char *find(struct arena *a, const char *file, const char *const *folder, int n)
{
    for (int i = 0; i < n && !strpbrk(file, "/.") && access(file, F_OK) != 0; i++) {
        const char *path = arena_printf(a, "%s/renames/%s.rename", folder[i], file);
        if (access(path, F_OK) == 0)
            return path;
    }
    return file;
}

struct renames *renames_read(struct arena *a, struct diags *diags, const char *file, const char *const *folder,
                             int n_folder)
{
    size_t length;
    const char *why, *path = find(a, file, folder, n_folder), *bytes = file_read(a, path, LARGEST_FILE, &length, &why);
    if (!bytes) {
        diag_error_file(diags, CHECK_rename_file, file, "these renames cannot be read: %s", why);
        return NULL;
    }
    const char *shown = path == file ? file : arena_printf(a, "netdefs/renames/%s.rename", file);
    int source = source_add(path, shown, bytes, length);
    struct renames *r = NEW(a, struct renames);
    bool fine = true;
    r->arena = a;
    for (const char *line = bytes, *end; line < bytes + length; line = end + 1) {
        end = memchr(line, '\n', (size_t)(bytes + length - line));
        end = end ? end : bytes + length;
        struct span span = {source, (int)(line - bytes), (int)(end - bytes)};
        fine = read_line(r, diags, line, end, span) && fine;
    }
    return fine ? r : NULL;
}
