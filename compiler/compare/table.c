/* netc compare for people: which network is which, what differs between them, their stages in rows, and what they are as a whole.
 *
 * What is compared stands side by side: a group of columns is one quantity, a column a network, called by its letter. Groups that
 * do not fit beside one another go below; one that is too wide alone has its digits shortened, then its ratios left out.
 */
#include <string.h>

#include "compare/compare.h"

enum {
    WIDEST = 116,
    GAP = 2,
    WIDEST_VALUE = 32,
    WIDEST_NAME = 40,
    MOST_COLUMNS = 2 * MOST_COMPARED,
    MOST_GROUPS = MOST_COMPARED + 4
};

char letter_of(int network)
{
    return (char)('A' + network);
}

/* ---- what a cell shows ---- */

struct number {
    bool known, real, alone; /* alone: it is a rest, whose ratio to another says nothing */
    int64_t n;
    double x;
};

static struct number whole(int64_t n)
{
    return (struct number){.known = true, .n = n, .x = (double)n};
}

static struct number real(double x)
{
    return (struct number){.known = true, .real = true, .x = x};
}

/* 4,089 and 4.089 G */
static const char *short_digits(struct arena *a, int64_t n)
{
    static const char unit[] = " kMGTPE";
    double x = (double)n;
    size_t u = 0;
    if (n < 10000)
        return grouped_digits(a, n);
    for (; x >= 999.5 && unit[u + 1]; u++)
        x /= 1000;
    return arena_printf(a, "%.*f %c", x < 9.9995 ? 3 : x < 99.995 ? 2 : 1, x, unit[u]);
}

struct form { /* how much room numbers take */
    bool shorter, ratios;
    int digits; /* behind the point, of times */
};

static const char *number_text(struct arena *a, struct number v, struct form form)
{
    if (!v.known)
        return "";
    if (v.real)
        return arena_printf(a, "%.*f", form.digits, v.x);
    return form.shorter ? short_digits(a, v.n) : grouped_digits(a, v.n);
}

static const char *ratio_text(struct arena *a, struct number v, struct number first)
{
    double ratio = v.known && first.known && !v.alone && first.x > 0 ? v.x / first.x : -1;
    return ratio < 0 ? "" : arena_printf(a, ratio < 9.995 ? "%.2f" : ratio < 99.95 ? "%.1f" : "%.0f", ratio);
}

static const char *at_most(struct arena *a, int width, const char *text)
{
    return strlen(text) <= (size_t)width ? text : arena_printf(a, "%.*s...", width - 3, text);
}

/* ---- tables ---- */

struct column {
    const char *head;
    const char **cell; /* a line each */
    int width;
    bool left;
};

struct group {
    const char *title;
    struct column column[MOST_COLUMNS];
    int n, width;
};

struct table {
    struct arena *arena;
    const char *corner, **label; /* a line each */
    int lines, width; /* of the labels */
    struct group group[MOST_GROUPS];
    int n;
};

static struct table new_table(struct arena *a, const char *corner, int room)
{
    return (struct table){
        .arena = a, .corner = corner, .label = NEW_ARRAY(a, const char *, room + 1), .width = (int)strlen(corner)};
}

static void add_line(struct table *t, const char *label)
{
    t->label[t->lines++] = label;
    t->width = (int)strlen(label) > t->width ? (int)strlen(label) : t->width;
}

static struct column *add_column(struct table *t, struct group *g, const char *head)
{
    struct column *c = &g->column[g->n++];
    *c = (struct column){
        .head = head, .cell = NEW_ARRAY(t->arena, const char *, t->lines + 1), .width = (int)strlen(head)};
    return c;
}

static void set_cell(struct column *c, int line, const char *text)
{
    c->cell[line] = text;
    c->width = (int)strlen(text) > c->width ? (int)strlen(text) : c->width;
}

static void add_group(struct table *t, struct group g)
{
    g.width = 0;
    for (int i = 0; i < g.n; i++)
        g.width += GAP + g.column[i].width;
    int missing = (int)strlen(g.title) + GAP - g.width;
    if (missing > 0) {
        g.column[0].width += missing;
        g.width += missing;
    }
    t->group[t->n++] = g;
}

/* Texts have no shorter form: as many columns as there is room for, the others in groups of their own. */
static void add_texts(struct table *t, const struct group *all)
{
    struct group g = {.title = all->title};
    int width = t->width;
    for (int i = 0; i < all->n; i++) {
        width += GAP + all->column[i].width;
        if (g.n && width > WIDEST) {
            add_group(t, g);
            g.n = 0;
            width = t->width + GAP + all->column[i].width;
        }
        g.column[g.n++] = all->column[i];
    }
    add_group(t, g);
}

/* Without the blanks at its end. */
static void put_line(struct text *out, const char *line)
{
    size_t n = strlen(line);
    while (n > 0 && line[n - 1] == ' ')
        n--;
    text_add(out, "%.*s\n", (int)n, line);
}

static void print_line(struct text *out, const struct table *t, int from, int to, int line)
{
    struct text s = {.arena = t->arena};
    text_add(&s, "%-*s", t->width, line < 0 ? t->corner : t->label[line]);
    for (int g = from; g < to; g++)
        for (int i = 0; i < t->group[g].n; i++) {
            const struct column *c = &t->group[g].column[i];
            text_add(&s, "%*s%*s", GAP + (i == 0 && g > from), "", c->left ? -c->width : c->width,
                     line < 0 ? c->head : c->cell[line]);
        }
    put_line(out, text_string(&s));
}

static void print_titles(struct text *out, const struct table *t, int from, int to)
{
    struct text s = {.arena = t->arena};
    bool any = false;
    text_add(&s, "%-*s", t->width, "");
    for (int g = from; g < to; g++) {
        const struct group *at = &t->group[g];
        bool left = at->column[0].left;
        text_add(&s, "%*s%*s", GAP + (g > from), "", left ? GAP - at->width : at->width - GAP, at->title);
        any = any || *at->title;
    }
    if (any)
        put_line(out, text_string(&s));
}

/* As many groups side by side as there is room for, then the next ones. */
static void print_table(struct text *out, const struct table *t)
{
    for (int from = 0, to; from < t->n; from = to) {
        int width = t->width + t->group[from].width;
        for (to = from + 1; to < t->n && width + 1 + t->group[to].width <= WIDEST; to++)
            width += 1 + t->group[to].width;
        if (from > 0)
            text_add(out, "\n");
        print_titles(out, t, from, to);
        for (int line = -1; line < t->lines; line++)
            print_line(out, t, from, to, line);
    }
}

static const char *letter(struct arena *a, int network)
{
    return arena_printf(a, "%c", letter_of(network));
}

/* number[network * t->lines + line] */
static struct group number_group(struct table *t, const char *title, const struct number *number, int n,
                                 struct form form)
{
    struct group g = {.title = title};
    for (int i = 0; i < n; i++) {
        struct column *c = add_column(t, &g, letter(t->arena, i));
        for (int line = 0; line < t->lines; line++)
            set_cell(c, line, number_text(t->arena, number[i * t->lines + line], form));
    }
    for (int i = 1; i < n && form.ratios; i++) {
        struct column *c = add_column(t, &g, arena_printf(t->arena, "%c/A", letter_of(i)));
        for (int line = 0; line < t->lines; line++)
            set_cell(c, line, ratio_text(t->arena, number[i * t->lines + line], number[line]));
    }
    return g;
}

static void add_numbers(struct table *t, const char *title, const struct number *number, int n, int digits)
{
    static const struct form forms[] = {{.ratios = true}, {.ratios = true, .shorter = true}, {.shorter = true}};
    for (size_t i = 0; i < LENGTH(forms); i++) {
        struct form form = forms[i];
        form.digits = digits;
        int before = t->n;
        add_group(t, number_group(t, title, number, n, form));
        if (t->width + t->group[before].width <= WIDEST || i + 1 == LENGTH(forms))
            return;
        t->n = before;
    }
}

/* ---- which is which ---- */

bool same_net(const struct compared *a, const struct compared *b)
{
    return strcmp(a->file, b->file) == 0 && strcmp(a->network, b->network) == 0;
}

const char *parameter_value(const struct compared *c, const char *parameter)
{
    for (int i = 0; i < c->n_parameter; i++)
        if (strcmp(c->parameter[i].name, parameter) == 0)
            return c->parameter[i].value;
    return NULL;
}

bool parameter_differs(const struct comparison *c, const char *parameter)
{
    for (int i = 0; i < c->n; i++) {
        const char *value = parameter_value(&c->network[i], parameter);
        for (int k = i + 1; value && k < c->n; k++)
            if (same_net(&c->network[i], &c->network[k]) &&
                strcmp(value, parameter_value(&c->network[k], parameter)) != 0)
                return true;
    }
    return false;
}

static void legend(struct text *out, const struct comparison *c)
{
    int width = 0;
    for (int i = 0; i < c->n; i++) {
        int n = (int)strlen(c->network[i].argument->text);
        width = n > width && n <= WIDEST / 2 ? n : width;
    }
    for (int i = 0; i < c->n; i++)
        text_add(out, "%c  %-*s  %s\n", letter_of(i), width, c->network[i].argument->text, c->network[i].file);
}

/* Of the networks that are the same net as the first: a line a parameter that differs between them. */
static void differences(struct text *out, const struct comparison *c, int first)
{
    const struct compared *net = &c->network[first];
    struct comparison family = {.network = NEW_ARRAY(out->arena, struct compared, MOST_COMPARED)};
    struct table t = new_table(out->arena, net->network, net->n_parameter);
    struct group g = {.title = ""};
    int member[MOST_COMPARED];
    for (int i = first; i < c->n; i++)
        if (same_net(net, &c->network[i])) {
            member[family.n] = i;
            family.network[family.n++] = c->network[i];
        }
    for (int i = 0; i < net->n_parameter; i++)
        if (parameter_differs(&family, net->parameter[i].name))
            add_line(&t, arena_printf(out->arena, "  %s", net->parameter[i].name));
    for (int k = 0; k < family.n; k++) {
        struct column *column = add_column(&t, &g, letter(out->arena, member[k]));
        for (int line = 0; line < t.lines; line++)
            set_cell(column, line,
                     at_most(out->arena, WIDEST_VALUE, parameter_value(&family.network[k], t.label[line] + 2)));
    }
    if (family.n < 2)
        return;
    text_add(out, "\n");
    add_texts(&t, &g);
    if (t.lines)
        print_table(out, &t);
    else {
        text_add(out, "%s: nothing differs between", net->network);
        for (int k = 0; k < family.n; k++)
            text_add(out, "%s%c", k == 0 ? " " : k + 1 < family.n ? ", " : " and ", letter_of(member[k]));
        text_add(out, "\n");
    }
}

static bool is_first(const struct comparison *c, int network)
{
    for (int i = 0; i < network; i++)
        if (same_net(&c->network[i], &c->network[network]))
            return false;
    return true;
}

/* ---- the stages ---- */

enum figure { FIGURE_PARAMS, FIGURE_MACS, FIGURE_LATENCY };

static const struct network_stage *stage_at(const struct comparison *c, int network, int row)
{
    int stage = c->row[row].stage[network];
    return stage < 0 ? NULL : &c->network[network].stages.stage[stage];
}

static bool measured(const struct comparison *c)
{
    return c->threads[0];
}

/* Lines are the rows, with a latency what is outside of them, the total. */
static struct number figure_at(const struct comparison *c, enum figure f, int latency, int network, int line)
{
    const struct compared *net = &c->network[network];
    const struct network_stage *s = line < (int)c->n_row ? stage_at(c, network, line) : NULL;
    if (line < (int)c->n_row && !s)
        return (struct number){0};
    if (f == FIGURE_LATENCY && line == (int)c->n_row)
        return (struct number){.known = true, .real = true, .alone = true, .x = net->outside[latency].ms};
    switch (f) {
    case FIGURE_PARAMS: return whole(s ? s->params : net->params);
    case FIGURE_MACS: return whole(s ? s->macs : net->macs);
    case FIGURE_LATENCY: break;
    }
    return real(s ? s->time[latency].ms : net->whole[latency].ms);
}

/* Of the network that is fastest four digits count. */
static int time_digits(const struct comparison *c)
{
    double least = 1e9;
    for (int i = 0; i < c->n; i++)
        for (int l = 0; l < LATENCIES && c->threads[l]; l++)
            least = c->network[i].whole[l].ms < least ? c->network[i].whole[l].ms : least;
    return least < 1 ? 4 : least < 10 ? 3 : least < 1000 ? 2 : 1;
}

static void add_figures(struct table *t, const struct comparison *c, const char *title, enum figure f, int latency)
{
    struct number *number = NEW_ARRAY(t->arena, struct number, c->n * t->lines);
    for (int i = 0; i < c->n; i++)
        for (int line = 0; line < t->lines; line++)
            number[i * t->lines + line] = figure_at(c, f, latency, i, line);
    add_numbers(t, title, number, c->n, time_digits(c));
}

static void add_shapes(struct table *t, const struct comparison *c)
{
    struct group g = {.title = "output"};
    for (int i = 0; i < c->n; i++) {
        struct column *column = add_column(t, &g, letter(t->arena, i));
        column->left = true;
        for (int line = 0; line < t->lines; line++) {
            const struct network_stage *s = line < (int)c->n_row ? stage_at(c, i, line) : NULL;
            set_cell(column, line, s ? shape_text(t->arena, s->shape) : "");
        }
    }
    add_texts(t, &g);
}

static const char *latency_title(struct arena *a, const struct comparison *c, int latency)
{
    int n = c->threads[latency];
    return arena_printf(a, "ms, %d thread%s", n, n > 1 ? "s" : "");
}

static struct table stage_lines(struct arena *a, const struct comparison *c, bool times)
{
    struct table t = new_table(a, "stage", (int)c->n_row + 2);
    for (size_t i = 0; i < c->n_row; i++)
        add_line(&t, at_most(a, WIDEST_NAME, c->row[i].name));
    if (times)
        add_line(&t, "outside");
    add_line(&t, "total");
    return t;
}

static void stage_tables(struct text *out, const struct comparison *c)
{
    struct table sizes = stage_lines(out->arena, c, false), times = stage_lines(out->arena, c, true);
    add_shapes(&sizes, c);
    add_figures(&sizes, c, "parameters", FIGURE_PARAMS, 0);
    add_figures(&sizes, c, "MACs", FIGURE_MACS, 0);
    print_table(out, &sizes);
    if (!measured(c))
        return;
    for (int l = 0; l < LATENCIES && c->threads[l]; l++)
        add_figures(&times, c, latency_title(out->arena, c, l), FIGURE_LATENCY, l);
    text_add(out, "\n");
    print_table(out, &times);
}

/* ---- as a whole ---- */

enum { WHOLE_FIGURES = 3, LATENCY_LINES = 3 };

static struct number whole_figure(const struct comparison *c, int network, int line)
{
    const struct compared *net = &c->network[network];
    const int64_t figure[WHOLE_FIGURES] = {net->activations, net->weights_bytes, net->workspace_bytes};
    if (line < WHOLE_FIGURES)
        return whole(figure[line]);
    const struct time *time = &net->whole[(line - WHOLE_FIGURES) / LATENCY_LINES];
    int which = (line - WHOLE_FIGURES) % LATENCY_LINES;
    return real(which == 0 ? time->ms : which == 1 ? time->low : time->high);
}

static void whole_table(struct text *out, const struct comparison *c)
{
    struct table t = new_table(out->arena, "", WHOLE_FIGURES + LATENCIES * LATENCY_LINES);
    add_line(&t, "activations");
    add_line(&t, "weights, bytes");
    add_line(&t, "workspace, bytes");
    for (int l = 0; l < LATENCIES && c->threads[l]; l++) {
        add_line(&t, latency_title(out->arena, c, l));
        add_line(&t, "  fastest round");
        add_line(&t, "  slowest round");
    }
    struct number *number = NEW_ARRAY(out->arena, struct number, c->n * t.lines);
    for (int i = 0; i < c->n; i++)
        for (int line = 0; line < t.lines; line++)
            number[i * t.lines + line] = whole_figure(c, i, line);
    add_numbers(&t, "", number, c->n, time_digits(c));
    print_table(out, &t);
}

/* ---- all ---- */

static void where_and_how(struct text *out, const struct comparison *c)
{
    text_add(out, "\ntarget %s%s%s", c->target->name, *c->options ? ", " : "", c->options);
    if (measured(c)) {
        text_add(out, " on %s, %d core%s, %s\n", c->processor, c->cores, c->cores > 1 ? "s" : "", c->system);
        text_add(out, "times: the median of %d round%s in turn", c->rounds, c->rounds > 1 ? "s" : "");
        if (c->batch > 1)
            text_add(out, ", a run of %d images", c->batch);
        text_add(out, "; outside: what threads wait, and what else is not a layer");
    }
    text_add(out, "\n");
}

void comparison_table(struct text *out, const struct comparison *c)
{
    legend(out, c);
    for (int i = 0; i < c->n; i++)
        if (is_first(c, i))
            differences(out, c, i);
    text_add(out, "\n");
    stage_tables(out, c);
    text_add(out, "\n");
    whole_table(out, c);
    where_and_how(out, c);
}
