/* Files of tuned schedules, grammar/TUNED.md: written by `netc tune`, read by what schedules, and applied behind the model.
 *
 * What would surprise: a line that no layer of the network has is nothing wrong, since a file may serve several networks and
 * sizes; only a file of which no line fits at all is warned of. A line that fits a layer whose lowering cannot take the
 * schedule is an error: it is from another netc, or was written by hand.
 */
#include <stdlib.h>
#include <string.h>

#include "graph/graph_read.h"
#include "tune/tune.h"

enum { MOST_BYTES = 16 << 20 };
static const char arrow[] = " => ", again[] = "`netc tune` writes it anew";

/* ---- reading ---- */

struct lines { /* of a file */
    struct arena *arena;
    struct diags *diags;
    int file;
    const char *bytes;
    size_t at, length; /* the line [first, at) is the last one that was taken */
    size_t first, end; /* end: without its newline and the blanks before it */
    struct tuned *tuned;
};

#define refuse(l, check, from, to, ...) \
    diag_error_at((l)->diags, CHECK_##check, (struct span){(l)->file, (int)(from), (int)(to)}, __VA_ARGS__)

/* The next line that is neither empty nor a comment. */
static bool next_line(struct lines *l)
{
    while (l->at < l->length) {
        const char *newline = memchr(l->bytes + l->at, '\n', l->length - l->at);
        l->first = l->at;
        l->end = newline ? (size_t)(newline - l->bytes) : l->length;
        l->at = newline ? l->end + 1 : l->length;
        while (l->end > l->first && strchr(" \t\r", l->bytes[l->end - 1]))
            l->end--;
        if (l->end > l->first && l->bytes[l->first] != '#')
            return true;
    }
    l->first = l->end = l->length;
    return false;
}

/* Does the line begin with this word, alone or with a blank behind it? What follows, in the arena; else NULL. */
static const char *after_word(const struct lines *l, const char *word)
{
    size_t n = strlen(word), length = l->end - l->first;
    if (length < n || memcmp(l->bytes + l->first, word, n) != 0 || (length > n && l->bytes[l->first + n] != ' '))
        return NULL;
    return arena_copy(l->arena, l->bytes + l->first + n + (length > n), length - n - (length > n));
}

static bool read_version(struct lines *l)
{
    const char *version = next_line(l) ? after_word(l, "netc-tuned") : NULL, *wanted = "netc-tuned 1";
    if (!version) {
        refuse(l, tuned_format, l->first, l->end,
               "these are no tuned schedules: the first line is '%s', expected is '%s'; `netc tune` writes such files",
               arena_copy(l->arena, l->bytes + l->first, least_of((int64_t)(l->end - l->first), 40)), wanted);
        return false;
    }
    if (strcmp(version, wanted + strlen("netc-tuned ")) != 0) {
        refuse(l, tuned_format, l->first, l->end, "the file has version '%s' of the format, this netc reads %d: %s",
               version, TUNED_VERSION, again);
        return false;
    }
    return true;
}

static bool read_target(struct lines *l, const char *name)
{
    const char *known[16];
    size_t n = 0;
    for (int i = 0; n < LENGTH(known) && target_at(i); i++) {
        known[n++] = target_at(i)->name;
        if (strcmp(name, target_at(i)->name) == 0)
            l->tuned->target = target_at(i);
    }
    const char *near = nearest_name(name, known, n);
    if (!l->tuned->target)
        refuse(l, tuned_target, l->first, l->end, "there is no target '%s'%s%s%s; --target=help lists them", name,
               near ? ", is '" : "", near ? near : "", near ? "' meant?" : "");
    return l->tuned->target;
}

/* Up to the line `layers`. */
static bool read_head(struct lines *l)
{
    static const char *const notes[] = {"processor", "network", "netc", "measured"};
    while (next_line(l)) {
        const char *target = after_word(l, "target");
        bool known = target;
        if (target && !read_target(l, target))
            return false;
        for (size_t i = 0; i < LENGTH(notes); i++)
            known = known || after_word(l, notes[i]);
        if (after_word(l, "layers")) {
            if (!l->tuned->target)
                refuse(l, tuned_target, l->first, l->end, "a line `target NAME` is missing before this one: %s", again);
            return l->tuned->target;
        }
        if (!known) {
            refuse(l, tuned_line, l->first, l->end,
                   "expected is target, processor, network, netc or measured with a value, or layers");
            return false;
        }
    }
    refuse(l, tuned_line, l->length, l->length, "the file ends before its line `layers`: %s", again);
    return false;
}

static bool read_algorithm(struct lines *l, size_t from, enum algorithm *algorithm)
{
    size_t n = 0, first = from + 1;
    while (first + n < l->end && strchr("abcdefghijklmnopqrstuvwxyz0123456789_", l->bytes[first + n]))
        n++;
    const char *word = arena_copy(l->arena, l->bytes + first, n), *known[ALGORITHM_COUNT];
    size_t count = 0;
    for (int i = 1; i < ALGORITHM_COUNT; i++)
        if (schedule_is_tuned((enum algorithm)i)) {
            known[count++] = algorithm_name[i];
            if (strcmp(word, algorithm_name[i]) == 0)
                *algorithm = (enum algorithm)i;
        }
    if (*algorithm)
        return true;
    struct text list = {.arena = l->arena};
    for (size_t i = 0; i < count; i++)
        text_add(&list, "%s%s", !i ? "" : i + 1 < count ? ", " : " or ", known[i]);
    refuse(l, tuned_line, first, first + n, "'%s' is no algorithm that is tuned, expected is %s: %s", word,
           text_string(&list), again);
    return false;
}

/* SIGNATURE => {SCHEDULE} ; whatever, up to the line's end */
static bool read_layer(struct lines *l)
{
    const char *line = l->bytes + l->first, *found = memmem(line, l->end - l->first, arrow, strlen(arrow));
    size_t from = found ? (size_t)(found - l->bytes) + strlen(arrow) : 0;
    struct tuned_line one = {0};
    if (!found || from >= l->end || l->bytes[from] != '{') {
        refuse(l, tuned_line, l->first, l->end, "expected is LAYER => {SCHEDULE}, or `end`: %s", again);
        return false;
    }
    if (!read_algorithm(l, from, &one.algorithm))
        return false;
    struct node node = {0};
    struct reader r = {
        .arena = l->arena, .diags = l->diags, .file = l->file, .bytes = l->bytes, .at = from, .length = l->end};
    if (!graph_read_schedule(&r, &node) || r.failed)
        return false;
    one.span = (struct span){l->file, (int)from, (int)r.at};
    int c = scan_look(&r);
    if (c >= 0 && c != ';') {
        refuse(l, tuned_line, r.at, l->end, "behind a schedule stands nothing, or ; and a remark");
        return false;
    }
    one.schedule = node.schedule;
    one.signature = intern_n(line, (size_t)(found - line));
    for (size_t i = 0; i < l->tuned->n; i++)
        if (l->tuned->line[i].signature == one.signature && l->tuned->line[i].algorithm == one.algorithm) {
            refuse(l, tuned_line, l->first, l->end, "this layer is there twice: one of the lines is to go");
            diag_note(l->diags, l->tuned->line[i].span, "here is the other");
            return false;
        }
    PUSH(l->arena, l->tuned->line, l->tuned->n, l->tuned->capacity, one);
    return true;
}

struct tuned *tuned_read(struct arena *arena, struct diags *diags, const char *path)
{
    struct lines l = {.arena = arena, .diags = diags, .tuned = NEW(arena, struct tuned)};
    const char *why;
    l.bytes = file_read(arena, path, MOST_BYTES, &l.length, &why);
    if (!l.bytes) {
        diag_error_file(diags, CHECK_file_read, path, "%s", why);
        return NULL;
    }
    l.file = source_add(path, path, l.bytes, l.length);
    l.tuned->path = path;
    if (!read_version(&l) || !read_head(&l))
        return NULL;
    while (next_line(&l)) {
        if (after_word(&l, "end")) {
            if (!next_line(&l))
                return l.tuned;
            refuse(&l, tuned_line, l.first, l.end, "behind `end` stands nothing");
            return NULL;
        }
        if (!read_layer(&l))
            return NULL;
    }
    refuse(&l, tuned_line, l.length, l.length, "the file ends before its line `end`, a part of it is missing: %s",
           again);
    return NULL;
}

/* ---- applying ---- */

static const struct tuned_line *find_line(const struct tuned *t, const char *signature, enum algorithm algorithm)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->line[i].signature == signature && t->line[i].algorithm == algorithm)
            return &t->line[i];
    return NULL;
}

bool apply_tuned(struct graph *g, struct pass_context *c)
{
    const struct tuned *t = c->tuned;
    size_t fits = 0;
    bool fine = true;
    if (t->target != c->target)
        return true; /* one of several targets: the others are the model's */
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *n = g->node[i];
        const struct tuned_line *line =
            schedule_is_tuned(n->algorithm) ? find_line(t, layer_signature(c->scratch, n), n->algorithm) : NULL;
        const char *fault = line ? schedule_fault(c->scratch, n, c->target, &line->schedule) : NULL;
        if (fault) {
            diag_error_at(c->diags, CHECK_tuned_schedule, line->span,
                          "on %s this layer cannot have the schedule: %s; take the line out, or %s", t->target->name,
                          fault, again);
            diag_note(c->diags, n->origin.span, "it is %s", n->name);
            fine = false;
        } else if (line)
            n->schedule = line->schedule;
        fits += line != NULL;
    }
    if (!fits && t->n)
        diag_warning(c->diags, CHECK_tuned_unused, t->line[0].span,
                     "none of the %zu layers of %s is one of %s, whose schedules are all the model's: it is of another "
                     "network, or of one with other options",
                     t->n, t->path, g->name);
    return fine;
}

/* ---- writing ---- */

const char *schedule_words(struct arena *arena, const struct node *layer, const struct schedule *s)
{
    struct text t = {.arena = arena};
    struct node node = {.algorithm = layer->algorithm, .schedule = *s};
    node_schedule_print(&t, &node);
    const char *words = text_string(&t);
    return words + strspn(words, " ");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void tuned_print(struct text *t, const struct tuned_about *about, const struct kind *kind, size_t n)
{
    const char **line = NEW_ARRAY(t->arena, const char *, n + 1);
    size_t lines = 0;
    for (size_t i = 0; i < n; i++) {
        const struct kind *k = &kind[i];
        if (!k->model_seconds)
            continue;
        const char *model = schedule_words(t->arena, k->node, &k->trial[0].schedule);
        const char *best = schedule_words(t->arena, k->node, &k->trial[k->best].schedule);
        line[lines++] = k->best ? arena_printf(t->arena, "%s%s%s ; %.4g ms, the model's %s %.4g ms", k->signature,
                                               arrow, best, 1e3 * kind_best_seconds(k), model, 1e3 * k->model_seconds)
                                : arena_printf(t->arena, "%s%s%s ; %.4g ms, as the model has it", k->signature, arrow,
                                               best, 1e3 * k->model_seconds);
    }
    qsort(line, lines, sizeof *line, by_text);
    text_add(
        t, "netc-tuned %d\ntarget %s\nprocessor %s\nnetwork %s%s%s\nnetc %s\nmeasured %d schedules in %.0f s\nlayers\n",
        TUNED_VERSION, about->target->name, processor_name(t->arena), about->network, *about->options ? " " : "",
        about->options, NETC_VERSION, about->tried, about->seconds);
    for (size_t i = 0; i < lines; i++)
        text_add(t, "%s\n", line[i]);
    text_add(t, "end\n");
}
