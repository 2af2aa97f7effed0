/* Diagnostics: collected while the compiler works, printed together, in order of arrival.
 *
 *     broken.net:9:17: error: conv groups must divide the 100 input channels, 32 does not  [conv_groups_divide_input]
 *         9 |     |> conv2: conv(inner, 3, groups = cardinality)
 *           |                              ^~~~~~~~~~~~~~~~~~~~
 *     broken.net:7:9: note: the input has 100 channels because inner = 100
 *
 * What would surprise: a block that is expanded many times gives the same error many times; the same check at the same
 * place with the same words is kept once, whatever calls led there, but diag_errors() counts every one, so that "were
 * there errors since" stays true. Columns count bytes; carets are placed by what a terminal shows. */
#include "base/base.h"

#include <string.h>

enum { MOST_ERRORS = 50, MOST_CALLS = 8, WINDOW = 160, GUTTER = 5 };
enum severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE };

struct diag {
    enum severity severity;
    enum check check;
    struct span span;
    const char *path; /* of a fault without lines; else NULL */
    const char *message;
    const struct site *site;
};

struct diags {
    struct arena *arena;
    struct diag *diag;
    size_t count, capacity;
    size_t printed;
    uint64_t *seen; /* hashes of what is kept or counted: open addressing, 0 is empty */
    size_t n_seen, seen_size;
    int errors;     /* all of them */
    int kept[2];    /* by severity: at most MOST_ERRORS */
    int more[2];    /* distinct ones beyond that */
    int more_printed[2];
    bool skip_notes; /* the diagnostic before was not kept */
};

#define CHECK(name, text) #name,
static const char *const check_names[] = {
#include "base/checks.def"
};
#undef CHECK

const char *check_name(enum check check)
{
    return (unsigned)check < CHECK_COUNT ? check_names[check] : "?";
}

struct diags *diags_new(struct arena *perm)
{
    struct diags *diags = NEW(perm, struct diags);
    diags->arena = perm;
    return diags;
}

int diag_errors(const struct diags *diags)
{
    return diags->errors;
}

/* ---- collecting ---- */

static uint64_t hash_more(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ p[i]) * 0x100000001b3u;
    }
    return hash;
}

static uint64_t hash_diag(const struct diag *diag)
{
    int head[] = {diag->severity, (int)diag->check, diag->span.file, diag->span.first, diag->span.last};
    uint64_t hash = hash_more(0xcbf29ce484222325u, head, sizeof head);
    hash = hash_more(hash, diag->message, strlen(diag->message));
    if (diag->path) {
        hash = hash_more(hash, diag->path, strlen(diag->path));
    }
    return hash ? hash : 1;
}

static bool add_hash(uint64_t *seen, size_t size, uint64_t hash)
{
    size_t i = (size_t)(hash ^ hash >> 32) & (size - 1);
    for (; seen[i]; i = (i + 1) & (size - 1)) {
        if (seen[i] == hash) {
            return false;
        }
    }
    seen[i] = hash;
    return true;
}

static bool seen_before(struct diags *diags, uint64_t hash)
{
    if (diags->n_seen * 2 >= diags->seen_size) {
        size_t size = diags->seen_size ? diags->seen_size * 2 : 128;
        uint64_t *seen = NEW_ARRAY(diags->arena, uint64_t, size);
        for (size_t i = 0; i < diags->seen_size; i++) {
            if (diags->seen[i]) {
                add_hash(seen, size, diags->seen[i]);
            }
        }
        diags->seen = seen;
        diags->seen_size = size;
    }
    bool fresh = add_hash(diags->seen, diags->seen_size, hash);
    diags->n_seen += fresh;
    return !fresh;
}

static void collect(struct diags *diags, struct diag diag, const char *format, va_list args)
{
    if (diag.severity == SEVERITY_NOTE && diags->skip_notes) {
        return;
    }
    /* Formatted outside the arena first: what is not kept should cost no memory however often it happens. */
    char small[512];
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    struct text text = {.arena = diags->arena};
    diag.message = small;
    if (n >= (int)sizeof small) {
        text_add_v(&text, format, again);
        diag.message = text_string(&text);
    }
    va_end(again);
    if (diag.severity != SEVERITY_NOTE) {
        diags->errors += diag.severity == SEVERITY_ERROR;
        diags->skip_notes = true;
        if (seen_before(diags, hash_diag(&diag))) {
            return;
        }
        if (diags->kept[diag.severity] == MOST_ERRORS) {
            diags->more[diag.severity]++;
            return;
        }
        diags->kept[diag.severity]++;
        diags->skip_notes = false;
    }
    if (diag.message == small) {
        diag.message = arena_copy(diags->arena, small, strlen(small));
    }
    PUSH(diags->arena, diags->diag, diags->count, diags->capacity, diag);
}

#define COLLECT(...)                                              \
    do {                                                          \
        va_list args;                                             \
        va_start(args, format);                                   \
        collect(diags, (struct diag){__VA_ARGS__}, format, args); \
        va_end(args);                                             \
    } while (0)

void diag_error(struct diags *diags, enum check check, struct origin origin, const char *format, ...)
{
    COLLECT(SEVERITY_ERROR, check, origin.span, NULL, NULL, origin.site);
}

void diag_error_at(struct diags *diags, enum check check, struct span span, const char *format, ...)
{
    COLLECT(SEVERITY_ERROR, check, span, NULL, NULL, NULL);
}

void diag_error_file(struct diags *diags, enum check check, const char *path, const char *format, ...)
{
    COLLECT(SEVERITY_ERROR, check, NO_SPAN, arena_copy(diags->arena, path, strlen(path)), NULL, NULL);
}

void diag_warning(struct diags *diags, enum check check, struct span span, const char *format, ...)
{
    COLLECT(SEVERITY_WARNING, check, span, NULL, NULL, NULL);
}

void diag_note(struct diags *diags, struct span span, const char *format, ...)
{
    COLLECT(SEVERITY_NOTE, CHECK_COUNT, span, NULL, NULL, NULL);
}

/* ---- the source line and its carets ---- */

/* One character of a line: how many bytes it has and how many columns a terminal gives it. Bytes that are no UTF-8 and
 * control characters, which a terminal might obey, are shown as one replacement character. */
struct glyph {
    int bytes, columns;
    bool printable;
};

static int columns_of(uint32_t c)
{
    if ((c >= 0x300 && c <= 0x36f) || (c >= 0x200b && c <= 0x200f) || c == 0xfeff) {
        return 0;
    }
    bool wide = (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
                (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
                (c >= 0x1f300 && c <= 0x1faff) || (c >= 0x20000 && c <= 0x3fffd);
    return wide ? 2 : 1;
}

static struct glyph glyph_at(const char *text, int length)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] == '\t') {
        return (struct glyph){1, 1, true};
    }
    if (p[0] < 0x80) {
        return (struct glyph){1, 1, p[0] >= 0x20 && p[0] != 0x7f};
    }
    int n = p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : 0;
    if (n == 0 || n > length) {
        return (struct glyph){1, 1, false};
    }
    uint32_t c = p[0] & (0xffu >> (n + 1));
    for (int i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return (struct glyph){1, 1, false};
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    bool control = (c >= 0x80 && c < 0xa0) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    return control ? (struct glyph){n, 1, false} : (struct glyph){n, columns_of(c), true};
}

/* Which part of a long line is shown: bytes [*from, *to) around the span. */
static void choose_window(const char *line, int length, int first, int *from, int *to)
{
    *from = 0;
    *to = length;
    if (length <= WINDOW) {
        return;
    }
    if (first > WINDOW / 3) {
        *from = first - WINDOW / 3;
    }
    if (*to > *from + WINDOW) {
        *to = *from + WINDOW;
    }
    while (*from > 0 && ((unsigned char)line[*from] & 0xc0) == 0x80 && *from > first - WINDOW / 2) {
        (*from)--; /* not in the middle of a character */
    }
    while (*to < length && ((unsigned char)line[*to] & 0xc0) == 0x80 && *to < *from + WINDOW + 4) {
        (*to)++;
    }
}

/* The line from `from` to `to` as it is, then below it blanks up to `first` and carets up to `last`. */
static void print_line(FILE *out, int number, const char *line, int from, int to, int length, int first, int last)
{
    fprintf(out, "%*d | %s", GUTTER, number, from > 0 ? "..." : "");
    for (int i = from; i < to;) {
        struct glyph glyph = glyph_at(line + i, length - i);
        fprintf(out, "%.*s", glyph.printable ? glyph.bytes : 3, glyph.printable ? line + i : "\xef\xbf\xbd");
        i += glyph.bytes;
    }
    fprintf(out, "%s\n%*s | %s", to < length ? "..." : "", GUTTER, "", from > 0 ? "   " : "");
    bool started = false;
    for (int i = from; i < to && (i < last || !started);) {
        struct glyph glyph = glyph_at(line + i, length - i);
        for (int k = 0; k < glyph.columns; k++) {
            bool under = i + glyph.bytes > first;
            fputc(under ? started ? '~' : '^' : line[i] == '\t' ? '\t' : ' ', out);
            started |= under;
        }
        i += glyph.bytes;
    }
    fputs(started ? "\n" : "^\n", out); /* at the end of the line or of the file */
}

static void print_excerpt(FILE *out, struct span span)
{
    const struct source *source = source_get(span.file);
    int number, column;
    source_place(span, &number, &column);
    if ((size_t)span.first > source->length) {
        return;
    }
    const char *line = source->bytes + span.first - (column - 1), *end = source->bytes + source->length;
    const char *newline = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
    int length = (int)((newline ? newline : end) - line);
    if (length > 0 && line[length - 1] == '\r') {
        length--;
    }
    int first = column - 1, last = first + (span.last > span.first ? span.last - span.first : 1);
    if (last > length) {
        last = length; /* a span of several lines: its first one */
    }
    int from, to;
    choose_window(line, length, first, &from, &to);
    print_line(out, number, line, from, to, length, first, last);
}

/* ---- printing ---- */

static const char *const severity_text[] = {"error", "warning", "note"};

/* Bytes that a terminal would obey are not passed on, whatever a file is called and whatever is quoted from it. */
static void print_harmless(FILE *out, const char *text, const char *kept)
{
    for (const char *p = text; *p; p++) {
        bool control = ((unsigned char)*p < 0x20 && !strchr(kept, *p)) || *p == 0x7f;
        fputc(control ? '?' : *p, out);
    }
}

static void print_head(FILE *out, struct span span, const char *path, enum severity severity)
{
    const struct source *source = source_get(span.file);
    if (source) {
        int line, column;
        source_place(span, &line, &column);
        print_harmless(out, source->shown, "");
        fprintf(out, ":%d:%d: ", line, column);
    } else if (path) {
        print_harmless(out, path, "");
        fputs(": ", out);
    } else if (severity != SEVERITY_NOTE) {
        fputs("netc: ", out);
    }
    fprintf(out, "%s: ", severity_text[severity]);
}

const char *diag_first(const struct diags *diags, struct arena *arena, enum check *check)
{
    size_t i = 0;
    while (i < diags->count && diags->diag[i].severity != SEVERITY_ERROR)
        i++;
    if (i == diags->count)
        return NULL;
    const struct diag *diag = &diags->diag[i];
    const struct source *source = source_get(diag->span.file);
    int line, column;
    *check = diag->check;
    if (!source)
        return arena_printf(arena, "%s%s%s", diag->path ? diag->path : "", diag->path ? ": " : "", diag->message);
    source_place(diag->span, &line, &column);
    return arena_printf(arena, "%s:%d:%d: %s", source->shown, line, column, diag->message);
}

static void print_site(FILE *out, const struct site *site)
{
    print_head(out, site->call, NULL, SEVERITY_NOTE);
    fprintf(out, "in %s, called from here\n", site->block ? site->block : "a block");
    if (source_get(site->call.file)) {
        print_excerpt(out, site->call);
    }
}

/* A recursion without end has thousands of calls: the first and the last ones tell it. */
static void print_sites(FILE *out, const struct site *site)
{
    int depth = 0, i = 0;
    for (const struct site *s = site; s; s = s->parent) {
        depth++;
    }
    for (const struct site *s = site; s; s = s->parent, i++) {
        if (depth <= MOST_CALLS || i < MOST_CALLS - 2 || i >= depth - 2) {
            print_site(out, s);
        } else if (i == MOST_CALLS - 2) {
            fprintf(out, "note: ... %d calls between ...\n", depth - MOST_CALLS);
        }
    }
}

static void print_more(struct diags *diags, FILE *out, enum severity severity)
{
    int more = diags->more[severity] - diags->more_printed[severity];
    if (more > 0) {
        fprintf(out, "... and %d more %s%s\n", more, severity_text[severity], more == 1 ? "" : "s");
        diags->more_printed[severity] = diags->more[severity];
    }
}

void diag_print(struct diags *diags, FILE *out)
{
    const struct site *site = NULL;
    for (size_t i = diags->printed; i < diags->count; i++) {
        const struct diag *diag = &diags->diag[i];
        if (diag->severity != SEVERITY_NOTE) {
            print_sites(out, site); /* of the one before: behind its notes */
            site = diag->site;
        }
        print_head(out, diag->span, diag->path, diag->severity);
        print_harmless(out, diag->message, "\n\t");
        if (diag->severity != SEVERITY_NOTE) {
            fprintf(out, "  [%s]", check_name(diag->check));
        }
        fputc('\n', out);
        if (source_get(diag->span.file)) {
            print_excerpt(out, diag->span);
        }
    }
    print_sites(out, site);
    diags->printed = diags->count;
    print_more(diags, out, SEVERITY_ERROR);
    print_more(diags, out, SEVERITY_WARNING);
}
