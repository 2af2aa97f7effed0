/* The sweep's JSON as a table for people and as comma-separated values. */
#include <math.h>
#include <string.h>

#include "show.h"
#include "sweep/sweep.h"

/* A column: where its number stands in a variant, and how people and programs read it. */
static const struct column {
    const char *member, *part; /* of the variant; of the figure there, NULL: the member itself */
    const char *head, *unit;   /* of the table: two lines; NULL: it is in the CSV alone */
    double scale;              /* for people; 0: by thousands, as the largest of the column is */
    int decimals;
    const char *csv;           /* NULL: it is in the table alone */
} columns[] = {
    {"params", NULL, "params", "", 0, 3, "params"},
    {"macs", NULL, "MACs", "", 0, 3, "macs"},
    {"activations", NULL, "activ.", "", 0, 2, "activations"},
    {"weights_bytes", NULL, "weights", "B", 0, 2, "weights_bytes"},
    {"workspace_bytes", NULL, "workspace", "B", 0, 2, "workspace_bytes"},
    {"deviation", NULL, "deviation", "%", 100, 2, "deviation"},
    {"compile", "median", "compile", "s", 1, 1, "compile_s"},
    {"latency_1", "median", "1 thread", "ms", 1, 3, "latency_1_ms"},
    {"latency_1", "low", NULL, NULL, 1, 3, "latency_1_low_ms"},
    {"latency_1", "high", NULL, NULL, 1, 3, "latency_1_high_ms"},
    {"latency_1", "spread", "+-", "%", 1, 1, NULL},
    {"latency_1", "share", "of peak", "%", 100, 1, "share_1"},
    {"latency_n", "median", "threads", "ms", 1, 3, "latency_n_ms"},
    {"latency_n", "low", NULL, NULL, 1, 3, "latency_n_low_ms"},
    {"latency_n", "high", NULL, NULL, 1, 3, "latency_n_high_ms"},
    {"latency_n", "spread", "+-", "%", 1, 1, NULL},
    {"latency_n", "share", "of peak", "%", 100, 1, "share_n"},
    {"throughput", "median", "batch", "img/s", 1, 1, "throughput_images_s"},
    {"energy", "median", "energy", "J", 1, 3, "energy_j"},
    {"accuracy", "mean", "accuracy", "%", 1, 2, "accuracy"},
    {"accuracy", "sd", "+-", "", 1, 2, "accuracy_sd"},
    {"accuracy", "n", NULL, NULL, 1, 0, "accuracy_seeds"},
};

/* NAN: there is none. */
static double cell(const json_t *variant, const struct column *c)
{
    const json_t *value = json_object_get(variant, c->member);
    if (c->part && strcmp(c->part, "spread") == 0) { /* half of what lies between the rounds, by their median */
        double low = json_number_value(json_object_get(value, "low")),
               high = json_number_value(json_object_get(value, "high")),
               median = json_number_value(json_object_get(value, "median"));
        return median > 0 ? 50 * (high - low) / median : NAN;
    }
    value = c->part ? json_object_get(value, c->part) : value;
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static bool is_empty(const json_t *variants, const struct column *c)
{
    size_t i;
    const json_t *variant;
    json_array_foreach((json_t *)variants, i, variant)
    {
        if (!isnan(cell(variant, c)))
            return false;
    }
    return true;
}

static const char *value_text(struct arena *arena, const json_t *value)
{
    char *dumped =
        json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
    const char *text = dumped ? arena_printf(arena, "%s", dumped) : value ? json_string_value(value) : "";
    if (dumped)
        heap_free(dumped);
    return text;
}

static const char *parameter_text(struct arena *arena, const json_t *variant, const char *name)
{
    const json_t *value = json_object_get(json_object_get(variant, "parameters"), name);
    return json_is_null(value) ? "" : value_text(arena, value);
}

/* ---- the table ---- */

struct table {
    struct arena *arena;
    const char **cell; /* row by row, the first two of them the head */
    int *width;
    size_t rows, columns;
};

static int shown_width(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void put(struct table *t, size_t row, size_t column, const char *text)
{
    t->cell[row * t->columns + column] = text;
    if (shown_width(text) > t->width[column])
        t->width[column] = shown_width(text);
}

static void print(struct text *out, const struct table *t)
{
    for (size_t row = 0; row < t->rows; row++) {
        for (size_t k = 0; k < t->columns; k++) {
            const char *text = t->cell[row * t->columns + k];
            text_add(out, "%s%*s%s", k ? "  " : "", t->width[k] - shown_width(text), "", text);
        }
        text_add(out, "\n");
    }
}

/* Thousands, millions ... so that the largest number has few digits. */
static double scale_of(struct arena *arena, const json_t *ok, const struct column *c, const char **unit)
{
    static const char *const prefix[] = {"", "k", "M", "G", "T"};
    double largest = 0, scale = 1;
    size_t i, k = 0;
    const json_t *variant;
    *unit = c->unit;
    if (c->scale)
        return c->scale;
    json_array_foreach((json_t *)ok, i, variant) largest =
        fmax(largest, cell(variant, c)); /* of a number and a NAN the number */
    for (; largest * scale >= 1e3 && k + 1 < LENGTH(prefix); k++)
        scale /= 1e3;
    *unit = arena_printf(arena, "%s%s", prefix[k], c->unit);
    return scale;
}

/* One line a variant that is ok: its parameters, its numbers. */
static void print_ok(struct text *out, json_t *sweep, json_t *ok)
{
    json_t *changed = json_object_get(sweep, "changed");
    size_t n = 0, named = json_array_size(changed), i;
    const struct column *shown[LENGTH(columns)];
    double scale[LENGTH(columns)];
    const json_t *variant;
    for (size_t k = 0; k < LENGTH(columns); k++)
        if (columns[k].head && !is_empty(ok, &columns[k]))
            shown[n++] = &columns[k];
    struct table t = {.arena = out->arena, .rows = json_array_size(ok) + 2, .columns = named + n};
    t.cell = NEW_ARRAY(t.arena, const char *, t.rows *t.columns + 1);
    t.width = NEW_ARRAY(t.arena, int, t.columns + 1);
    for (size_t k = 0; k < named; k++) {
        put(&t, 0, k, json_string_value(json_array_get(changed, k)));
        put(&t, 1, k, "");
    }
    for (size_t k = 0; k < n; k++) {
        bool threads = strcmp(shown[k]->head, "threads") == 0, batch = strcmp(shown[k]->head, "batch") == 0;
        const json_t *figure = json_object_get(json_array_get(ok, 0), shown[k]->member);
        int number = (int)json_integer_value(json_object_get(figure, threads ? "threads" : "batch"));
        put(&t, 0, named + k,
            threads ? arena_printf(t.arena, "%d threads", number)
            : batch ? arena_printf(t.arena, "batch %d", number)
                    : shown[k]->head);
        const char *unit;
        scale[k] = scale_of(t.arena, ok, shown[k], &unit);
        put(&t, 1, named + k, unit);
    }
    json_array_foreach(ok, i, variant)
    {
        for (size_t k = 0; k < named; k++)
            put(&t, i + 2, k, parameter_text(t.arena, variant, json_string_value(json_array_get(changed, k))));
        for (size_t k = 0; k < n; k++) {
            double value = cell(variant, shown[k]);
            put(&t, i + 2, named + k,
                isnan(value) ? "-"
                             : arena_printf(t.arena, strcmp(shown[k]->member, "deviation") ? "%.*f" : "%+.*f",
                                            shown[k]->decimals, scale[k] * value));
        }
    }
    if (json_array_size(ok))
        print(out, &t);
}

static json_t *with_status(json_t *sweep, const char *status)
{
    json_t *all = json_array(), *variant;
    size_t i;
    json_array_foreach(json_object_get(sweep, "variants"), i, variant)
    {
        if (strcmp(json_string_value(json_object_get(variant, "status")), status) == 0)
            json_array_append(all, variant);
    }
    return all;
}

static void print_reasons(struct text *out, json_t *sweep, const char *status)
{
    json_t *all = with_status(sweep, status), *variant;
    size_t i;
    json_array_foreach(all, i, variant)
    {
        text_add(out, "%s%s: %s: %s\n", i == 0 && out->length ? "\n" : "", status,
                 json_string_value(json_object_get(variant, "name")),
                 json_string_value(json_object_get(variant, "reason")));
    }
    json_decref(all);
}

/* Why a variant has no accuracy, or not of all seeds; NULL. */
static const char *training_error(const json_t *variant)
{
    return json_string_value(json_object_get(json_object_get(variant, "accuracy"), "error"));
}

/* What the accuracies are of, and which trainings failed. */
static void print_trainings(struct text *out, json_t *ok)
{
    json_t *variant, *trained = NULL;
    size_t i;
    bool first = true;
    json_array_foreach(ok, i, variant)
    {
        json_t *accuracy = json_object_get(variant, "accuracy");
        if (training_error(variant)) {
            text_add(out, "%straining failed: %s: %s\n", first ? "\n" : "",
                     json_string_value(json_object_get(variant, "name")), training_error(variant));
            first = false;
        }
        trained = !trained && json_is_number(json_object_get(accuracy, "mean")) ? accuracy : trained;
    }
    if (trained)
        text_add(out, "\naccuracy: mean and standard deviation of %lld trainings on Fashion-MNIST, %s, %s\n",
                 (long long)json_integer_value(json_object_get(trained, "n")),
                 json_string_value(json_object_get(trained, "options")),
                 json_string_value(json_object_get(trained, "compiler")));
}

void sweep_table(struct text *out, json_t *sweep)
{
    json_t *ok = with_status(sweep, "ok"), *equal = json_object_get(sweep, "equal");
    print_ok(out, sweep, ok);
    print_reasons(out, sweep, "cut");
    print_reasons(out, sweep, "failed");
    if (json_is_object(equal) && json_is_number(json_object_get(equal, "value")))
        text_add(out, "\ndeviation: from the %s of %s, %.10g\n", json_string_value(json_object_get(equal, "what")),
                 json_string_value(json_object_get(equal, "reference")),
                 json_number_value(json_object_get(equal, "value")));
    json_t *machine = json_object_get(sweep, "machine"), *first = json_array_get(ok, 0);
    if (first && !json_is_null(json_object_get(first, "latency_1")))
        text_add(out, "\nmeasured on %s, %s\n", json_string_value(json_object_get(machine, "processor")),
                 json_string_value(json_object_get(sweep, "target")));
    print_trainings(out, ok);
    json_decref(ok);
}

/* ---- comma-separated values: RFC 4180, lines ended by \n ---- */

void sweep_csv(struct text *out, json_t *sweep)
{
    json_t *variants = json_object_get(sweep, "variants"), *first = json_array_get(variants, 0), *variant, *value;
    const char *name;
    size_t i;
    json_object_foreach(json_object_get(first, "parameters"), name, value) text_add(out, "%s,", name);
    text_add(out, "status");
    for (size_t k = 0; k < LENGTH(columns); k++)
        if (columns[k].csv)
            text_add(out, ",%s", columns[k].csv);
    text_add(out, ",reason\n");
    json_array_foreach(variants, i, variant)
    {
        json_object_foreach(json_object_get(first, "parameters"), name, value)
        {
            put_csv(out, parameter_text(out->arena, variant, name));
            text_add(out, ",");
        }
        text_add(out, "%s", json_string_value(json_object_get(variant, "status")));
        for (size_t k = 0; k < LENGTH(columns); k++)
            if (columns[k].csv) {
                double number = cell(variant, &columns[k]);
                text_add(out, isnan(number) ? "," : number == floor(number) ? ",%.0f" : ",%.9g", number);
            }
        text_add(out, ",");
        const char *reason = json_string_value(json_object_get(variant, "reason"));
        reason = reason ? reason : training_error(variant);
        put_csv(out, reason ? reason : "");
        text_add(out, "\n");
    }
}
