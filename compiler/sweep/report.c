/* The HTML report of a sweep: report/page.html with its style, its script, the plotting library and the data put in where
 * it says @NAME@ on a line of its own.
 *
 * What would surprise: the data is the text of a network and of error messages, and stands inside of a <script>, where HTML's rules
 * for strings do not hold and a `</script>` or `<!--` would end or change it. So no `<` is left in it: JSON can write it as \u003c. */
#include "report.h"

#include <errno.h>
#include <string.h>

#include "build.h"

/* C23's, which clang has for years and warns of in C17. */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wc23-extensions"
static const char page[] = {
#embed "report/page.html"
    , '\0'};
static const char style[] = {
#embed "report/report.css"
    , '\0'};
static const char quantities[] = {
#embed "report/quantities.js"
    , '\0'};
static const char plot[] = {
#embed "report/plot.js"
    , '\0'};
static const char report[] = {
#embed "report/report.js"
    , '\0'};
static const char chart[] = {
#embed "report/chart.umd.js"
    , '\0'};
static const char license[] = {
#embed "report/chart.LICENSE"
    , '\0'};
#pragma clang diagnostic pop

static int add_escaped(const char *bytes, size_t n, void *text)
{
    for (const char *end = bytes + n, *next; bytes < end; bytes = next + 1) {
        next = memchr(bytes, '<', (size_t)(end - bytes));
        text_put(text, bytes, (size_t)((next ? next : end) - bytes));
        if (!next)
            break;
        text_put(text, "\\u003c", 6);
    }
    return 0;
}

static void add_data(struct text *t, json_t *sweep)
{
    if (json_dump_callback(sweep, add_escaped, t, JSON_COMPACT | JSON_REAL_PRECISION(15)))
        out_of_memory(t->length);
}

/* Without the comment on its last line: a browser whose developer tools are open would look for the file it names. */
static void add_chart(struct text *t)
{
    const char *comment = strstr(chart, "\n//# sourceMappingURL=");
    text_put(t, chart, comment ? (size_t)(comment - chart) : strlen(chart));
}

static const struct part {
    const char *line, *bytes; /* no bytes: a function adds it */
} parts[] = {{"@style@", style}, {"@data@", NULL},     {"@license@", license},      {"@chart@", NULL},
             {"@plot@", plot},   {"@report@", report}, {"@quantities@", quantities}};

static const struct part *find_part(const char *line, size_t n)
{
    for (size_t i = 0; i < LENGTH(parts); i++)
        if (strlen(parts[i].line) == n && memcmp(parts[i].line, line, n) == 0)
            return &parts[i];
    return NULL;
}

static void add_page(struct text *t, json_t *sweep)
{
    for (const char *line = page, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        const struct part *part = find_part(line, (size_t)(end - line));
        if (!part)
            text_put(t, line, (size_t)(end - line));
        else if (part->bytes)
            text_put(t, part->bytes, strlen(part->bytes));
        else if (strcmp(part->line, "@chart@") == 0)
            add_chart(t);
        else
            add_data(t, sweep);
        text_put(t, "\n", 1);
    }
}

static bool write_page(struct diags *diags, struct arena *arena, const char *path, json_t *sweep)
{
    const char *why, *fresh = claim_file(arena, path, &why);
    if (!fresh) {
        diag_error_file(diags, CHECK_build_write, path, "cannot be written: %s", why);
        return false;
    }
    struct text t = {.arena = arena};
    add_page(&t, sweep);
    if (!write_file(diags, fresh, path, text_string(&t), t.length))
        return false;
    if (rename(fresh, path) == 0)
        return true;
    diag_error_file(diags, CHECK_build_write, path, "cannot be written: %s", strerror(errno));
    return false;
}

bool sweep_report(struct diags *diags, const char *path, json_t *sweep)
{
    struct arena *arena = arena_new("report");
    bool good = write_page(diags, arena, path, sweep);
    arena_free(arena);
    return good;
}
