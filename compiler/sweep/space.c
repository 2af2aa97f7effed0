/* The variants: ranges of parameters, their product, and each one elaborated.
 *
 * What would surprise: each variant is elaborated in memory of its own, and the registry of source files is emptied behind it, so
 * that ten thousand of them take no more memory than one. No place in a text may be kept across that: reasons are words. */
#include "sweep/sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const variant_status_name[] = {"ok", "cut", "failed"};

/* ---- texts of values ---- */

static const char *trimmed(struct arena *arena, const char *first, const char *end)
{
    while (first < end && *first == ' ')
        first++;
    while (end > first && end[-1] == ' ')
        end--;
    return arena_copy(arena, first, (size_t)(end - first));
}

static bool whole_number(const char *text, const char **end, int64_t *number)
{
    char *behind;
    errno = 0;
    *number = strtoll(text, &behind, 10);
    *end = behind;
    return behind != text && errno == 0;
}

static bool range_fault(struct sweep *s, const struct axis *axis, const char *text, const char *why)
{
    diag_error_file(s->diags, CHECK_sweep_range, arena_printf(s->arena, "--over %s", axis->name), "'%s' %s", text, why);
    return false;
}

static bool add_value(struct sweep *s, struct axis *axis, const char *text)
{
    for (size_t i = 0; i < axis->n; i++)
        if (strcmp(axis->value[i], text) == 0)
            return true;
    if (axis->n == MOST_VALUES)
        return range_fault(s, axis, text,
                           "is one of more than 10000 values: take larger steps, A..B+STEP or A..B*FACTOR");
    PUSH(s->arena, axis->value, axis->n, axis->capacity, text);
    return true;
}

/* A..B, A..B+STEP, A..B*FACTOR; both ends belong to it. */
static bool add_range(struct sweep *s, struct axis *axis, const char *text)
{
    static const char form[] = "is no range: it is A..B, A..B+STEP or A..B*FACTOR of whole numbers, such as 1..32*2";
    const char *at = text;
    int64_t first, last, step = 1;
    if (!whole_number(at, &at, &first) || strncmp(at, "..", 2) != 0 || !whole_number(at + 2, &at, &last))
        return range_fault(s, axis, text, form);
    bool times = *at == '*';
    if (*at && ((!times && *at != '+') || !whole_number(at + 1, &at, &step) || *at))
        return range_fault(s, axis, text, form);
    if (step < 1 + times || (times && first < 1))
        return range_fault(s, axis, text,
                           times ? "never ends: FACTOR is at least 2, A at least 1" : "never ends: STEP is at least 1");
    if (first > last)
        return range_fault(s, axis, text, "is empty: the first number is larger than the last");
    for (int64_t value = first; value <= last; value = times ? value * step : value + step) {
        if (!add_value(s, axis, arena_printf(s->arena, "%" PRId64, value)))
            return false;
        if (value > INT64_MAX / (times ? step : 1) - step)
            break;
    }
    return true;
}

static bool add_values(struct sweep *s, struct axis *axis, const char *text)
{
    for (const char *end;; text = end + 1) {
        end = text + value_length(text);
        const char *value = trimmed(s->arena, text, end);
        if (!*value)
            return range_fault(s, axis, text, "lacks a value: --over NAME=1,2,4 or NAME=1..32*2");
        if (!(strstr(value, "..") && *value != '"' && *value != '[' ? add_range(s, axis, value)
                                                                    : add_value(s, axis, value)))
            return false;
        if (!*end)
            return true;
    }
}

/* ---- names ---- */

static bool known_parameter(struct sweep *s, const char *option, const char *name)
{
    for (int i = 0; i < s->net->n_param; i++)
        if (strcmp(s->net->param[i], name) == 0)
            return true;
    const char *near = nearest_name(name, s->net->param, (size_t)s->net->n_param);
    struct text all = {.arena = s->arena};
    for (int i = 0; i < s->net->n_param; i++)
        text_add(&all, "%s%s", i ? ", " : "", s->net->param[i]);
    diag_error_file(s->diags, CHECK_sweep_parameter, option, "%s has no parameter `%s`%s%s%s; %s%s", s->net->name, name,
                    near ? ", did you mean `" : "", near ? near : "", near ? "`?" : "",
                    s->net->n_param ? "its parameters are " : "it has none", text_string(&all));
    return false;
}

static bool free_parameter(struct sweep *s, const char *option, const char *name)
{
    const struct front_options *front = &s->options->front;
    const char *other = NULL;
    for (int i = 0; i < front->n_define; i++)
        other = strcmp(front->define[i].name, name) ? other : "-D";
    for (size_t i = 0; i < s->n_axis; i++)
        other = strcmp(s->axis[i].name, name) ? other : "--over";
    if (!other)
        return known_parameter(s, option, name);
    diag_error_file(s->diags, CHECK_sweep_parameter, option, "`%s` has values by %s already: take one of both away",
                    name, other);
    return false;
}

static bool open_axis(struct sweep *s, const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        diag_error_file(s->diags, CHECK_sweep_range, "--over",
                        "'%s' is not NAME=VALUES, such as cardinality=1,2,4 or 1..32*2", text);
        return false;
    }
    struct axis axis = {.name = trimmed(s->arena, text, equals)};
    if (!free_parameter(s, arena_printf(s->arena, "--over %s", axis.name), axis.name) ||
        !add_values(s, &axis, equals + 1))
        return false;
    PUSH(s->arena, s->axis, s->n_axis, s->cap_axis, axis);
    return true;
}

static const struct net_outline *find_outline(struct sweep *s)
{
    struct network_file wanted = find_network(s->arena, &s->options->front);
    struct file_outline *file = NEW(s->arena, struct file_outline);
    size_t length;
    const char *why;
    s->path = wanted.path;
    s->shown = wanted.shown;
    s->text = file_read(s->arena, wanted.path, 64 << 20, &length, &why);
    *file = outline_file(s->arena, wanted.path);
    for (size_t i = 0; i < file->n_net; i++)
        if (wanted.net ? strcmp(file->net[i].name, wanted.net) == 0 : file->n_net == 1)
            return &file->net[i];
    return NULL;
}

bool space_open(struct sweep *s)
{
    const struct sweep_options *o = &s->options->sweep;
    s->net = find_outline(s);
    if (!s->net) { /* what is wrong is told by who reads it in earnest */
        if (elaborate(s->netc))
            diag_error_file(s->diags, CHECK_sweep_parameter, s->options->file,
                            "it has no parameters: a sweep takes a .net file");
        return false;
    }
    for (int i = 0; i < s->options->front.n_define; i++)
        if (!known_parameter(s, "-D", s->options->front.define[i].name))
            return false;
    for (int i = 0; i < o->n_over; i++)
        if (!open_axis(s, o->over[i]))
            return false;
    source_forget_all();
    return !o->solve || free_parameter(s, "--solve", o->solve);
}

/* ---- one variant ---- */

struct swept swept_new(struct sweep *s)
{
    const struct front_options *front = &s->options->front;
    struct swept v = {.deviation = NAN, .n_define = front->n_define};
    v.define = NEW_ARRAY(s->arena, struct definition, (size_t)front->n_define + (size_t)s->net->n_param + 1);
    for (int i = 0; i < front->n_define; i++)
        v.define[i] = front->define[i];
    return v;
}

void swept_define(struct sweep *s, struct swept *v, const char *name, const char *value)
{
    (void)s;
    int i = 0;
    while (i < v->n_define && strcmp(v->define[i].name, name) != 0)
        i++;
    v->define[i] = (struct definition){name, value};
    v->n_define += i == v->n_define;
}

bool read_definitions(struct sweep *s, const char *option, const char *text, struct swept *v)
{
    for (const char *end;; text = end + 1) {
        end = text + value_length(text);
        const char *sign = text + strcspn(text, ":=");
        const char *name = trimmed(s->arena, text, sign < end ? sign : end);
        if (sign >= end || !*name || sign + 1 == end) {
            diag_error_file(s->diags, CHECK_sweep_equal, option, "'%s' is neither a number nor NAME:VALUE,NAME:VALUE",
                            trimmed(s->arena, text, end));
            return false;
        }
        if (!known_parameter(s, option, name))
            return false;
        swept_define(s, v, name, trimmed(s->arena, sign + 1, end));
        if (!*end)
            return true;
    }
}

static json_t *value_json(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    return value ? value : json_string(text);
}

/* Of a variant that is no network not all parameters have values: those that were given, null for the others. */
static void complete_parameters(struct sweep *s, struct swept *v)
{
    v->parameters = v->parameters ? v->parameters : json_object();
    for (int i = 0; i < s->net->n_param; i++) {
        const char *name = s->net->param[i], *given = NULL;
        for (int k = 0; k < v->n_define; k++)
            given = strcmp(v->define[k].name, name) ? given : v->define[k].value;
        if (!json_object_get(v->parameters, name))
            json_object_set_new(v->parameters, name, given ? value_json(given) : json_null());
    }
}

void swept_finish(struct sweep *s, struct swept *v)
{
    struct text name = {.arena = s->arena}, defines = {.arena = s->arena};
    for (int i = 0; i < v->n_define; i++) {
        text_add(&defines, "%s-D %s=%s", i ? " " : "", v->define[i].name, v->define[i].value);
        if (i >= s->options->front.n_define)
            text_add(&name, "%s%s=%s", name.length ? " " : "", v->define[i].name, v->define[i].value);
    }
    v->name = name.length ? text_string(&name) : s->net->name;
    v->defines = text_string(&defines);
    complete_parameters(s, v);
}

static json_t *parameters_json(const struct net_question *q)
{
    json_t *all = json_object();
    for (int i = 0; i < q->n_parameter; i++)
        json_object_set_new(all, q->parameter[i].name, value_json(q->parameter[i].value));
    return all;
}

static uint64_t hash(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return (h ^ 0xff) * 0x100000001b3u; /* an end, so that "ab" "c" is not "a" "bc" */
}

/* The graph's text without the places in the .net files that its lines come from: they say nothing of what it computes. */
static uint64_t hash_graph(uint64_t h, char *text)
{
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        char *place = strstr(line, "  ; ");
        if (place)
            *place = '\0';
        h = hash(h, line);
    }
    return h;
}

/* FNV-1a of everything that shapes the code. */
static void set_key(struct sweep *s, struct swept *v, const struct graph *g, struct arena *arena)
{
    struct text t = {.arena = arena};
    graph_print(&t, g);
    char *parameters = json_dumps(v->parameters, JSON_SORT_KEYS | JSON_COMPACT);
    uint64_t h = hash(hash(hash_graph(0xcbf29ce484222325u, t.bytes), parameters), s->options->target->name);
    heap_free(parameters);
    snprintf(v->key, sizeof v->key, "%016" PRIx64, hash(h, s->options->shaped));
}

static void set_failure(struct sweep *s, struct swept *v, const struct diags *diags)
{
    enum check check = CHECK_COUNT;
    const char *why = diag_first(diags, s->arena, &check);
    v->status = check == CHECK_assertion ? VARIANT_CUT : VARIANT_FAILED;
    v->reason = why ? why : "it cannot be elaborated";
}

static void measure_sizes(struct sweep *s, struct swept *v, struct netc *n, struct graph *g, bool whole)
{
    v->params = graph_params(g);
    v->macs = graph_macs(g);
    v->activations = graph_activations(g);
    set_key(s, v, g, n->module);
    struct program *p = whole ? compile(n, g) : NULL;
    if (p) {
        v->weights_bytes = p->weights_bytes;
        v->workspace_bytes = p->workspace_bytes;
    } else if (whole)
        set_failure(s, v, n->diags);
}

/* Elaborates it in memory of its own; NULL where it cannot be, or a condition is not met. */
static struct graph *open_variant(struct sweep *s, const struct swept *v, struct netc *n, struct net_question *q)
{
    *n = *s->netc;
    n->perm = arena_new("variant's texts");
    n->module = arena_new("variant");
    n->scratch = arena_new("variant's scratch");
    n->diags = diags_new(n->perm);
    n->context.module = n->module;
    n->context.scratch = n->scratch;
    n->context.diags = n->diags;
    struct front_options front = s->options->front;
    front.define = v->define;
    front.n_define = v->n_define;
    front.question = q;
    return elaborate_file(n->perm, n->module, n->diags, &front);
}

static void close_variant(struct netc *n)
{
    arena_free(n->scratch);
    arena_free(n->module);
    arena_free(n->perm);
    source_forget_all();
}

bool swept_elaborate(struct sweep *s, struct swept *v, bool whole, bool asked)
{
    const struct sweep_options *o = &s->options->sweep;
    struct netc n;
    struct net_question q = {.condition = o->where, .n_condition = asked ? o->n_where : 0, .unmet = -1};
    struct graph *g = open_variant(s, v, &n, &q);
    v->status = VARIANT_OK;
    v->reason = NULL;
    v->key[0] = '\0';
    json_decref(v->parameters);
    v->parameters = parameters_json(&q);
    if (g)
        measure_sizes(s, v, &n, g, whole);
    else if (q.unmet < 0)
        set_failure(s, v, n.diags);
    close_variant(&n);
    return g || q.unmet < 0;
}

const char *swept_graph(struct sweep *s, const struct swept *v)
{
    struct netc n;
    struct net_question q = {.unmet = -1};
    struct graph *g = open_variant(s, v, &n, &q);
    const char *json = g ? graph_json(s->arena, g) : NULL;
    close_variant(&n);
    return json;
}

double swept_quantity(const struct swept *v, enum equal_what what)
{
    return what == EQUAL_MACS ? (double)v->macs : (double)v->params;
}

/* ---- all of them ---- */

static size_t count_variants(struct sweep *s)
{
    size_t all = 1;
    for (size_t i = 0; i < s->n_axis; i++) {
        all *= s->axis[i].n;
        if (all > MOST_VARIANTS_SWEPT) {
            diag_error_file(s->diags, CHECK_sweep_range, "--over", "more than %d variants: take fewer values",
                            MOST_VARIANTS_SWEPT);
            return 0;
        }
    }
    return all;
}

/* Variant `index` of the product, the last --over turning fastest. */
static struct swept variant_at(struct sweep *s, size_t index)
{
    struct swept v = swept_new(s);
    size_t left = index;
    const char **value = NEW_ARRAY(s->scratch, const char *, s->n_axis + 1);
    for (size_t i = s->n_axis; i-- > 0; left /= s->axis[i].n)
        value[i] = s->axis[i].value[left % s->axis[i].n];
    for (size_t i = 0; i < s->n_axis; i++)
        swept_define(s, &v, s->axis[i].name, value[i]);
    return v;
}

/* A condition that is no condition would make every variant fail: it is told once. */
static bool condition_fault(struct sweep *s, const struct swept *v)
{
    static const char place[] = "--where:";
    if (v->status != VARIANT_FAILED || strncmp(v->reason, place, strlen(place)) != 0)
        return false;
    diag_error_file(s->diags, CHECK_sweep_parameter, "--where", "%s", v->reason + strlen(place));
    return true;
}

bool space_walk(struct sweep *s)
{
    size_t all = count_variants(s);
    for (size_t i = 0; i < all; i++) {
        struct swept v = variant_at(s, i);
        if (s->options->sweep.solve && s->equal.what == EQUAL_LATENCY) {
            if (!solve_latency(s, &v))
                return false;
        } else if (s->options->sweep.solve)
            solve_variant(s, &v);
        if (v.status == VARIANT_OK && !swept_elaborate(s, &v, true, true)) {
            json_decref(v.parameters);
            continue;
        }
        if (condition_fault(s, &v)) {
            json_decref(v.parameters);
            return false;
        }
        if (v.status == VARIANT_OK)
            check_tolerance(s, &v);
        swept_finish(s, &v);
        PUSH(s->arena, s->variant, s->n_variant, s->cap_variant, v);
        sweep_progress(s, (double)(i + 1) / (double)all, "variants", v.name);
        if (temporary_interrupted())
            break;
    }
    return all > 0;
}

void space_close(struct sweep *s)
{
    for (size_t i = 0; i < s->n_variant; i++)
        json_decref(s->variant[i].parameters);
    if (s->equal.variant)
        json_decref(s->equal.variant->parameters);
}
