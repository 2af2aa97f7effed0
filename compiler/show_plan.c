/* netc show --plan: the buffers of the workspace as a table, and drawn over time.
 *
 * The drawing is a map: down is time, a row an epoch (what runs between two barriers) with the layers it computes;
 * across are addresses. A buffer is a box from the epoch that writes it to the last one that reads it:
 *
 *     epoch  layers                     0          10 kB      20 kB  28.7 kB       bytes
 *         0  pixels.blocks                            [pixels.blocks--]           14,400
 *         1  conv1                      +-conv1------+                            12,800
 *         2  layer1.conv1 conv2         +------------++-conv1-----------+         28,672 peak
 *
 * What would surprise: a box is at least one column wide, and smaller buffers are drawn over larger ones, so that none
 * is lost. Bytes are those of one image.
 */
#include "show.h"

#include <inttypes.h>
#include <string.h>

enum { EPOCH = 5, MOST_LAYERS = 34, MAP = 60 }; /* columns; with gaps and bytes 120 at most */

static bool is_planned(const struct memory *m)
{
    return m->kind == MEMORY_WORKSPACE && m->first >= 0;
}

/* ---- the table ---- */

static void table(struct text *t, const struct program *p)
{
    struct arena *a = t->arena;
    int width = 6;
    for (size_t i = 0; i < p->n_memory; i++)
        if ((int)strlen(p->memory[i]->name) > width)
            width = (int)strlen(p->memory[i]->name);
    text_add(t, "%-*s  %13s  %13s  %-9s  value\n", width, "buffer", "offset", "bytes", "epochs");
    for (size_t i = 0; i < p->n_memory; i++) {
        const struct memory *m = p->memory[i];
        if (is_planned(m))
            text_add(t, "%-*s  %13s  %13s  %-9s  %s\n", width, m->name, grouped_digits(a, m->offset),
                     grouped_digits(a, m->bytes),
                     arena_printf(a, m->first == m->last ? "%d" : "%d-%d", m->first, m->last), m->layout);
    }
}

void show_plan_json(struct text *t, const struct program *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < p->n_memory; i++) {
        const struct memory *m = p->memory[i];
        if (is_planned(m))
            json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:i, s:i, s:s}", "name", m->name, "offset",
                                                  (json_int_t)m->offset, "bytes", (json_int_t)m->bytes, "first_epoch",
                                                  m->first, "last_epoch", m->last, "value", m->layout));
    }
    put_json(t,
             json_pack("{s:I, s:I, s:i, s:i, s:o}", "workspace_bytes", (json_int_t)p->workspace_bytes, "weights_bytes",
                       (json_int_t)p->weights_bytes, "epochs", p->n_epoch, "batch", p->batch, "buffers", list));
}

/* ---- the margins: layers, addresses ---- */

/* The layers of an epoch: a block's path is said once, what has no room is counted. "layer1.0.conv2 conv3 +2" */
static const char *layers_of(struct arena *a, const struct program *p, int epoch)
{
    struct text t = {.arena = a};
    size_t path = 0;
    int left_out = 0;
    const char *first = NULL;
    for (const struct stage *s = p->stage; s; s = s->next) {
        for (const struct call *c = s->epoch == epoch ? s->call : NULL; c; c = c->next) {
            const char *name = c->layer;
            if (!first) {
                const char *dot = strrchr(name, '.');
                path = dot ? (size_t)(dot + 1 - name) : 0;
                first = name;
            } else if (strncmp(name, first, path) == 0) {
                name += path;
            }
            enum { COUNT = 4 }; /* room for " +12" */
            if (t.length && (left_out || t.length + 1 + strlen(name) > MOST_LAYERS - COUNT))
                left_out++;
            else
                text_add(&t, "%s%.*s", t.length ? " " : "", MOST_LAYERS - COUNT, name);
        }
    }
    if (left_out)
        text_add(&t, " +%d", left_out);
    return text_string(&t);
}

/* 1, 2 or 5 times a power of ten: the smallest step of which at most four fit. */
static int64_t address_step(int64_t bytes)
{
    int64_t step = 1;
    while (bytes / step > 4) {
        if (bytes / (2 * step) <= 4)
            return 2 * step;
        if (bytes / (5 * step) <= 4)
            return 5 * step;
        step *= 10;
    }
    return step;
}

static const char *short_bytes(struct arena *a, int64_t bytes)
{
    if (bytes >= 1000000)
        return arena_printf(a, "%.3g MB", (double)bytes / 1e6);
    return bytes >= 1000 ? arena_printf(a, "%.3g kB", (double)bytes / 1e3) : arena_printf(a, "%" PRId64, bytes);
}

static int column(const struct program *p, int64_t address)
{
    return (int)(address * MAP / p->workspace_bytes);
}

/* Addresses above the columns where they are; the last one is the workspace's size. */
static void print_ruler(struct text *t, const struct program *p)
{
    struct arena *a = t->arena;
    char line[MAP + 32];
    memset(line, ' ', sizeof line);
    int64_t step = address_step(p->workspace_bytes);
    for (int64_t at = 0; at < p->workspace_bytes; at += step) {
        const char *label = short_bytes(a, at);
        if (column(p, at) + (int)strlen(label) < MAP - 9) /* not into the last one */
            memcpy(line + column(p, at), label, strlen(label));
    }
    const char *end = short_bytes(a, p->workspace_bytes);
    memcpy(line + MAP - strlen(end), end, strlen(end));
    text_add(t, "%.*s", MAP, line);
}

/* ---- the boxes ---- */

struct glyphs {
    const char *across, *down, *top_left, *top_right, *low_left, *low_right, *only_left, *only_right, *dot;
};
static const struct glyphs ascii = {"-", "|", "+", "+", "+", "+", "[", "]", "#"};
static const struct glyphs boxes = {"─", "│", "┌", "┐", "└", "┘", "╶", "╴", "▪"};

/* The name where there is room for it, or its last part; "" if there is none. */
static const char *fitting_name(const char *name, int room)
{
    const char *dot = strrchr(name, '.');
    return (int)strlen(name) <= room ? name : dot && (int)strlen(dot + 1) <= room ? dot + 1 : "";
}

/* One row of a box into cells, which are strings. */
static void draw(struct arena *a, const char **cell, const struct program *p, const struct memory *m, int epoch,
                 const struct glyphs *g)
{
    int from = column(p, m->offset), to = column(p, m->offset + m->bytes);
    from = from < MAP ? from : MAP - 1;
    to = to > from ? to : from + 1;
    bool first = epoch == m->first, last = epoch == m->last;
    const char *left = first && last ? g->only_left : first ? g->top_left : last ? g->low_left : g->down;
    const char *right = first && last ? g->only_right : first ? g->top_right : last ? g->low_right : g->down;
    for (int i = from; i < to; i++)
        cell[i] = first || last ? g->across : " ";
    cell[from] = to - from > 1 ? left : first && last ? g->dot : g->down;
    if (to - from > 1)
        cell[to - 1] = right;
    const char *name = first ? fitting_name(m->name, to - from - 2) : "";
    int at = from + (to - from > (int)strlen(name) + 3 ? 2 : 1);
    for (; *name; name++)
        cell[at++] = arena_copy(a, name, 1);
}

/* All that live in an epoch, the largest first; returns their bytes. */
static int64_t draw_epoch(struct arena *a, const char **cell, const struct program *p, int epoch,
                          const struct glyphs *g)
{
    int64_t live = 0, last_bytes = INT64_MAX;
    for (int i = 0; i < MAP; i++)
        cell[i] = " ";
    for (;;) {
        int64_t bytes = -1; /* the largest below last_bytes */
        for (size_t i = 0; i < p->n_memory; i++) {
            const struct memory *m = p->memory[i];
            if (is_planned(m) && m->first <= epoch && epoch <= m->last && m->bytes < last_bytes && m->bytes > bytes)
                bytes = m->bytes;
        }
        for (size_t i = 0; i < p->n_memory && bytes >= 0; i++) {
            const struct memory *m = p->memory[i];
            if (is_planned(m) && m->first <= epoch && epoch <= m->last && m->bytes == bytes) {
                draw(a, cell, p, m, epoch, g);
                live += bytes;
            }
        }
        if (bytes < 0)
            return live;
        last_bytes = bytes;
    }
}

static void drawing(struct text *t, const struct program *p, const struct glyphs *g)
{
    struct arena *a = t->arena;
    int64_t *live = NEW_ARRAY(a, int64_t, p->n_epoch + 1), most = 0;
    const char **cell = NEW_ARRAY(a, const char *, (size_t)MAP *(size_t)(p->n_epoch + 1));
    int width = 6, peak = 0;
    for (int e = 0; e < p->n_epoch; e++) {
        live[e] = draw_epoch(a, &cell[e * MAP], p, e, g);
        if (live[e] > most)
            most = live[e], peak = e;
        if ((int)strlen(layers_of(a, p, e)) > width)
            width = (int)strlen(layers_of(a, p, e));
    }
    text_add(t, "\n%*s  %-*s  ", EPOCH, "epoch", width, "layers");
    print_ruler(t, p);
    text_add(t, "%12s\n", "bytes");
    for (int e = 0; e < p->n_epoch; e++) {
        text_add(t, "%*d  %-*s  ", EPOCH, e, width, layers_of(a, p, e));
        for (int i = 0; i < MAP; i++)
            text_add(t, "%s", cell[e * MAP + i]);
        text_add(t, "%12s%s\n", grouped_digits(a, live[e]), live[e] == most ? " peak" : "");
    }
    text_add(t, "\npeak %s bytes in epoch %d: %.0f %% of the workspace\n", grouped_digits(a, most), peak,
             100.0 * (double)most / (double)p->workspace_bytes);
}

void show_plan(struct text *t, const struct program *p, bool utf8)
{
    struct arena *a = t->arena;
    table(t, p);
    if (p->workspace_bytes > 0)
        drawing(t, p, utf8 ? &boxes : &ascii);
    text_add(t, "%sworkspace %s bytes an image, weights %s bytes, %d epochs\n", p->workspace_bytes > 0 ? "" : "\n",
             grouped_digits(a, p->workspace_bytes), grouped_digits(a, p->weights_bytes), p->n_epoch);
}
