/* Published facts, and which of them are of a variant: netdefs/published.tsv.
 *
 *     resnext50_32x4d  cardinality=1 width=64  224  top1_error  23.9 %  ...      a fact
 *     resnet50         cardinality=1 width=64       same_as     resnext50_32x4d  resnet50 is that network with these values
 *
 * A variant's network and values, and a fact's, are brought to one form: all parameters with their values, by the defaults of the
 * .net file, under the name of the network that others are the same as. Two such forms meet if they have the same values; what
 * only one of them has stands at its default there. So resnet50 finds ResNeXt's row 1x64d, resnet101 that of 101 layers.
 *
 * What would surprise: a default that is an expression (shorter = floor(image * 256 / 224)) is not computed and meets any value.
 */
#include "sweep/published.h"

#include <stdlib.h>
#include <string.h>

#include "front/front.h"

enum { MOST_BYTES = 16 << 20 };
enum column { NETWORK, PARAMETERS, IMAGE, QUANTITY, VALUE, DATA, HARDWARE, CONDITIONS, SOURCE, HOW, COLUMNS };
static const char *const column_name[] = {"network", "parameters", "image",      "quantity", "value",
                                          "data",    "hardware",   "conditions", "source",   "how"};

static const struct {
    const char *name, *unit;
} quantity_row[] = {
    {"top1_error", "%"},    {"top5_error", "%"}, {"top1_accuracy", "%"},
    {"top5_accuracy", "%"}, {"params", "M"},     {"gmacs", "G"},
    {"activations", "M"},   {"latency", "ms"},   {"throughput", "images/s"},
    {"training_step", "s"}, {"file_size", "MB"},
};

/* These say how pictures are cut and what is put out: nothing that a fact is about. */
static const char *const indifferent[] = {"shorter", "features"};

struct setting {
    const char *name, *value; /* value: in one spelling, see spelled(); NULL: an expression */
    bool is_default;
};

struct form { /* a network with all its values */
    const char *network; /* interned */
    struct setting *setting;
    size_t n, capacity;
};

struct net {
    const char *name;      /* interned */
    struct form defaults;  /* network: the one that it is the same as, or itself */
};

struct fact {
    struct form form;
    const char *network, *quantity, *unit, *text[COLUMNS]; /* text: NULL is nothing said */
    double value;
    int image; /* 0: any */
};

struct published {
    struct arena *arena;
    struct diags *diags;
    const char *folder;
    int file;
    struct net *net;
    size_t n_net, cap_net;
    struct fact *fact;
    size_t n_fact, cap_fact;
};

struct line {
    struct span field[COLUMNS];
    const char *text[COLUMNS];
};

#define complain(p, check, span, ...) diag_warning((p)->diags, CHECK_##check, span, __VA_ARGS__)

/* ---- values ---- */

/* The value without blanks, its numbers in one form: [3, 4, 23, 3] and [3,4,23,3], 0.2 and 2e-1 are the same. */
static const char *spelled(struct arena *arena, const char *text)
{
    struct text out = {.arena = arena};
    while (*text) {
        char *end = NULL;
        bool digit = (*text >= '0' && *text <= '9') || (*text == '-' && text[1] >= '0' && text[1] <= '9');
        double number = digit ? strtod(text, &end) : 0;
        size_t word = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
        if (digit) {
            text_add(&out, "%.17g", number);
            text = end;
        } else if (word) {
            text_put(&out, text, word);
            text += word;
        } else {
            text_put(&out, text, !strchr(" \t\r\n\"", *text));
            text++;
        }
    }
    return text_string(&out);
}

/* Is this the text of a value, not of an expression that stands for one? */
static bool is_value(const char *spelling)
{
    return spelling[strspn(spelling, "0123456789.+-e[],")] == '\0' || !strcmp(spelling, "true") ||
           !strcmp(spelling, "false");
}

static void add_json(struct text *out, const json_t *value)
{
    if (json_is_array(value)) {
        text_add(out, "[");
        for (size_t i = 0; i < json_array_size(value); i++) {
            text_add(out, i ? "," : "");
            add_json(out, json_array_get(value, i));
        }
        text_add(out, "]");
    } else if (json_is_string(value))
        text_add(out, "%s", json_string_value(value));
    else if (json_is_number(value))
        text_add(out, "%.17g", json_number_value(value));
    else
        text_add(out, "%s", json_is_true(value) ? "true" : json_is_false(value) ? "false" : "null");
}

/* ---- forms ---- */

static struct setting *setting_of(const struct form *form, const char *name)
{
    for (size_t i = 0; i < form->n; i++)
        if (strcmp(form->setting[i].name, name) == 0)
            return &form->setting[i];
    return NULL;
}

static struct form copied(struct arena *arena, const struct form *form)
{
    struct form copy = {.network = form->network};
    for (size_t i = 0; i < form->n; i++)
        PUSH(arena, copy.setting, copy.n, copy.capacity, form->setting[i]);
    return copy;
}

static void set_value(struct arena *arena, struct form *form, const char *name, const char *text)
{
    const char *value = spelled(arena, text);
    struct setting *known = setting_of(form, name);
    if (!known)
        PUSH(arena, form->setting, form->n, form->capacity, ((struct setting){intern(name), value, false}));
    else if (!known->value || strcmp(known->value, value))
        *known = (struct setting){known->name, value, false};
}

static bool matters(const char *name, bool any_image)
{
    for (size_t i = 0; i < LENGTH(indifferent); i++)
        if (strcmp(name, indifferent[i]) == 0)
            return false;
    return !any_image || strcmp(name, "image") != 0;
}

/* Has `b` no other value than `a` where both have one, and `a` its default where `b` has none? */
static bool covers(const struct form *a, const struct form *b, bool any_image)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct setting *mine = &a->setting[i], *other = setting_of(b, mine->name);
        bool same = !other ? mine->is_default : !mine->value || !other->value || !strcmp(mine->value, other->value);
        if (!same && matters(mine->name, any_image))
            return false;
    }
    return true;
}

static bool meet(const struct form *a, const struct form *b, bool any_image)
{
    return a->network == b->network && covers(a, b, any_image) && covers(b, a, any_image);
}

/* ---- networks ---- */

static struct net *known_net(const struct published *p, const char *name)
{
    for (size_t i = 0; i < p->n_net; i++)
        if (p->net[i].name == name)
            return &p->net[i];
    return NULL;
}

/* Of the folder's file NAME.net; NULL: there is none. */
static struct net *find_net(struct published *p, const char *name)
{
    name = intern(name);
    struct net *known = known_net(p, name);
    if (known || !*name || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")])
        return known;
    struct file_outline outline = outline_file(p->arena, arena_printf(p->arena, "%s/%s.net", p->folder, name));
    for (size_t i = 0; i < outline.n_net; i++) {
        const struct net_outline *found = &outline.net[i];
        if (strcmp(found->name, name) != 0)
            continue;
        struct net net = {.name = name, .defaults = {.network = name}};
        for (int k = 0; k < found->n_param; k++) {
            const char *value = found->value[k] ? spelled(p->arena, found->value[k]) : "";
            struct setting setting = {intern(found->param[k]), is_value(value) && *value ? value : NULL, true};
            PUSH(p->arena, net.defaults.setting, net.defaults.n, net.defaults.capacity, setting);
        }
        PUSH(p->arena, p->net, p->n_net, p->cap_net, net);
        return &p->net[p->n_net - 1];
    }
    return NULL;
}

/* ---- reading ---- */

/* The line's columns; what is missing at its end is empty. False: it has too many. */
static bool split_line(struct published *p, const char *bytes, size_t first, size_t end, struct line *line)
{
    for (int c = 0; c < COLUMNS; c++) {
        const char *tab = memchr(bytes + first, '\t', end - first);
        size_t last = tab ? (size_t)(tab - bytes) : end;
        line->field[c] = (struct span){p->file, (int)first, (int)last};
        line->text[c] = arena_copy(p->arena, bytes + first, last - first);
        first = tab ? last + 1 : end;
        if (tab && c == COLUMNS - 1) {
            complain(p, published_line, ((struct span){p->file, (int)last, (int)end}),
                     "the line has more than %d columns: %s is the last", (int)COLUMNS, column_name[COLUMNS - 1]);
            return false;
        }
    }
    return true;
}

static bool check_names(struct published *p, const struct line *line)
{
    for (int c = 0; c < COLUMNS; c++) {
        if (strcmp(line->text[c], column_name[c]) != 0) {
            complain(p, published_line, line->field[c],
                     "column %d is '%s', expected is '%s': the first line names the columns%s", c + 1, line->text[c],
                     column_name[c], c ? "" : ", parted by tabs");
            return false;
        }
    }
    return true;
}

static struct net *read_net(struct published *p, const struct line *line, enum column column)
{
    const char *text = line->text[column];
    struct net *net = find_net(p, text);
    if (!net) {
        size_t n, count = 0;
        const char *const folder[] = {p->folder};
        struct front_options front = {.import_dir = folder, .n_import_dir = 1};
        const struct network *list = list_networks(p->arena, &front, &n);
        const char **name = NEW_ARRAY(p->arena, const char *, n + 1);
        for (size_t i = 0; i < n; i++)
            name[count++] = list[i].name;
        const char *near = nearest_name(text, name, count);
        complain(p, published_network, line->field[column], "there is no network '%s' beside this file%s%s%s", text,
                 near ? ", is '" : "", near ? near : "", near ? "' meant?" : "");
    }
    return net;
}

/* The words NAME=VALUE of the second column, over what the form has. */
static bool read_parameters(struct published *p, const struct line *line, const struct net *net, bool own,
                            struct form *form)
{
    const char *text = line->text[PARAMETERS], *word = text;
    while (*(word += strspn(word, " "))) {
        size_t length = strcspn(word, " "), name_length = strcspn(word, "= ");
        int first = line->field[PARAMETERS].first + (int)(word - text);
        struct span span = {p->file, first, first + (int)length};
        const char *name = arena_copy(p->arena, word, name_length);
        bool has = setting_of(&net->defaults, name);
        if (name_length + 1 >= length || word[name_length] != '=' || !name_length) {
            complain(p, published_network, span, "'%s' is not NAME=VALUE, without blanks",
                     arena_copy(p->arena, word, length));
            return false;
        }
        if (has != own) {
            complain(p, published_network, span,
                     own ? "%s has no parameter '%s'"
                         : "%s has a parameter '%s' of its own: same_as gives "
                           "values to those that it lacks",
                     net->name, name);
            return false;
        }
        set_value(p->arena, form, name, arena_copy(p->arena, word + name_length + 1, length - name_length - 1));
        word += length;
    }
    return true;
}

/* A line `NETWORK  VALUES  _  same_as  OTHER`. */
static bool read_same(struct published *p, const struct line *line, struct net *net)
{
    const char *name = net->name; /* the array of nets may move */
    const struct net *other = read_net(p, line, VALUE);
    net = known_net(p, name);
    if (!other)
        return false;
    if (other == net || other->defaults.network != other->name || net->defaults.network != name) {
        complain(p, published_network, line->field[VALUE], "%s is the same as %s already: let all say the same one",
                 other->defaults.network != other->name ? other->name : name,
                 other->defaults.network != other->name ? other->defaults.network : net->defaults.network);
        return false;
    }
    struct form form = copied(p->arena, &net->defaults);
    if (!read_parameters(p, line, net, false, &form))
        return false;
    for (size_t i = net->defaults.n; i < form.n; i++) {
        if (!setting_of(&other->defaults, form.setting[i].name)) {
            complain(p, published_network, line->field[PARAMETERS], "%s has no parameter '%s'", other->name,
                     form.setting[i].name);
            return false;
        }
    }
    form.network = other->name;
    net->defaults = form;
    return true;
}

/* "22.3 %": a number and the quantity's unit. */
static bool read_value(struct published *p, const struct line *line, struct fact *fact)
{
    const char *text = line->text[VALUE], *names[LENGTH(quantity_row) + 1] = {"same_as"};
    for (size_t i = 0; i < LENGTH(quantity_row); i++) {
        names[i + 1] = quantity_row[i].name;
        if (strcmp(line->text[QUANTITY], quantity_row[i].name) == 0) {
            fact->quantity = quantity_row[i].name;
            fact->unit = quantity_row[i].unit;
        }
    }
    if (!fact->quantity) {
        const char *near = nearest_name(line->text[QUANTITY], names, LENGTH(names));
        complain(p, published_value, line->field[QUANTITY],
                 "'%s' is no quantity%s%s%s: the head of the file lists them", line->text[QUANTITY],
                 near ? ", is '" : "", near ? near : "", near ? "' meant?" : "");
        return false;
    }
    size_t digits = strspn(text, "0123456789.");
    char *end = NULL;
    fact->value = strtod(text, &end);
    if (!digits || end != text + digits || *end != ' ' || strcmp(end + 1, fact->unit) != 0 || fact->value <= 0 ||
        fact->value > 1e12) {
        complain(p, published_value, line->field[VALUE], "'%s' is no %s, which is a number above 0, a blank and %s",
                 text, fact->quantity, fact->unit);
        return false;
    }
    return true;
}

static bool read_image(struct published *p, const struct line *line, struct fact *fact)
{
    const char *text = line->text[IMAGE];
    size_t digits = strspn(text, "0123456789");
    if (text[digits] || digits > 6 || (digits && !atoi(text))) {
        complain(p, published_value, line->field[IMAGE], "'%s' is no size of an image: a number of pixels, or nothing",
                 text);
        return false;
    }
    fact->image = atoi(text);
    return true;
}

static void read_fact(struct published *p, const struct line *line, struct net *net)
{
    struct fact fact = {.network = net->name, .form = copied(p->arena, &net->defaults)};
    if (!read_parameters(p, line, net, true, &fact.form) || !read_image(p, line, &fact) || !read_value(p, line, &fact))
        return;
    if (!*line->text[SOURCE]) {
        complain(p, published_line, line->field[SOURCE], "a fact has a source");
        return;
    }
    if (fact.image && !setting_of(&net->defaults, "image"))
        complain(p, published_network, line->field[IMAGE], "%s has no parameter 'image'", net->name);
    else if (fact.image)
        set_value(p->arena, &fact.form, "image", line->text[IMAGE]);
    for (int c = 0; c < COLUMNS; c++)
        fact.text[c] = *line->text[c] ? line->text[c] : NULL;
    PUSH(p->arena, p->fact, p->n_fact, p->cap_fact, fact);
}

/* All lines of one kind: those of same_as, which others stand on, or those of facts. */
static void read_lines(struct published *p, const char *bytes, size_t length, bool same)
{
    bool named = false;
    for (size_t at = 0; at < length;) {
        const char *newline = memchr(bytes + at, '\n', length - at);
        size_t first = at, end = newline ? (size_t)(newline - bytes) : length;
        struct line line;
        at = end + 1;
        end -= end > first && bytes[end - 1] == '\r';
        if (end == first || bytes[first] == '#' || !split_line(p, bytes, first, end, &line))
            continue;
        if (!named && !check_names(p, &line))
            return;
        bool skipped = !named || (strcmp(line.text[QUANTITY], "same_as") == 0) != same;
        named = true;
        struct net *net = skipped ? NULL : read_net(p, &line, NETWORK);
        if (net && same)
            read_same(p, &line, net);
        else if (net)
            read_fact(p, &line, net);
    }
}

struct published *published_open(struct arena *arena, struct diags *diags, const char *folder)
{
    struct published *p = NEW(arena, struct published);
    *p = (struct published){.arena = arena, .diags = diags, .folder = folder ? folder : data_folder(arena, "netdefs")};
    const char *path = arena_printf(arena, "%s/published.tsv", p->folder), *why = NULL;
    size_t length;
    const char *bytes = file_read(arena, path, MOST_BYTES, &length, &why);
    if (!bytes) {
        complain(p, file_read, NO_SPAN, "the published facts in %s are left out: %s", path, why);
        return p;
    }
    p->file = source_add(path, folder ? path : "netdefs/published.tsv", bytes, length);
    read_lines(p, bytes, length, true);
    read_lines(p, bytes, length, false);
    return p;
}

/* ---- telling ---- */

static json_t *text_or_null(const char *text)
{
    json_t *string = text ? json_string(text) : NULL; /* none of bytes that are no UTF-8 */
    return string ? string : json_null();
}

static json_t *fact_json(const struct fact *fact)
{
    json_t *o = json_object();
    json_object_set_new(o, "what", json_string(fact->quantity));
    json_object_set_new(o, "value", json_real(fact->value));
    json_object_set_new(o, "unit", json_string(fact->unit));
    json_object_set_new(o, "source", text_or_null(fact->text[SOURCE]));
    json_object_set_new(o, "data", text_or_null(fact->text[DATA]));
    json_object_set_new(o, "image", fact->image ? json_integer(fact->image) : json_null());
    json_object_set_new(o, "hardware", text_or_null(fact->text[HARDWARE]));
    json_object_set_new(o, "conditions", text_or_null(fact->text[CONDITIONS]));
    json_object_set_new(o, "how", text_or_null(fact->text[HOW]));
    json_object_set_new(o, "network", json_string(fact->network));
    return o;
}

json_t *published_facts(const struct published *p, const char *network, const json_t *parameters)
{
    json_t *facts = json_array();
    const struct net *net = known_net(p, intern(network));
    if (!net)
        return facts;
    struct form form = copied(p->arena, &net->defaults);
    for (void *i = json_object_iter((json_t *)parameters); i; i = json_object_iter_next((json_t *)parameters, i)) {
        struct text value = {.arena = p->arena};
        add_json(&value, json_object_iter_value(i));
        set_value(p->arena, &form, json_object_iter_key(i), text_string(&value));
    }
    for (size_t i = 0; i < p->n_fact; i++)
        if (meet(&form, &p->fact[i].form, p->fact[i].image == 0))
            json_array_append_new(facts, fact_json(&p->fact[i]));
    return facts;
}
