/* The sweep as JSON: what --json prints, and all that the table, CSV and the report are made of (grammar/SWEEP.md). */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sweep/published.h"
#include "sweep/sweep.h"

static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *string_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *size_or_null(const struct swept *v, int64_t size)
{
    return *v->key ? json_integer(size) : json_null(); /* without a graph nothing is known */
}

static json_t *over_json(const struct sweep *s)
{
    json_t *all = json_array();
    for (size_t i = 0; i < s->n_axis; i++) {
        json_t *values = json_array();
        for (size_t k = 0; k < s->axis[i].n; k++)
            json_array_append_new(values, json_string(s->axis[i].value[k]));
        json_array_append_new(all, json_pack("{s:s, s:o}", "name", s->axis[i].name, "values", values));
    }
    return all;
}

static json_t *equal_json(const struct sweep *s)
{
    if (s->equal.what == EQUAL_NOTHING)
        return json_null();
    return json_pack("{s:s, s:s, s:o, s:o}", "what", equal_name[s->equal.what], "reference", s->equal.text, "value",
                     real_or_null(s->equal.value), "tolerance", real_or_null(s->options->sweep.tolerance));
}

static json_t *changed_json(const struct sweep *s)
{
    json_t *all = json_array();
    for (size_t i = 0; i < s->n_axis; i++)
        json_array_append_new(all, json_string(s->axis[i].name));
    if (s->options->sweep.solve)
        json_array_append_new(all, json_string(s->options->sweep.solve));
    return all;
}

static json_t *where_json(const struct sweep *s)
{
    json_t *all = json_array();
    for (int i = 0; i < s->options->sweep.n_where; i++)
        json_array_append_new(all, json_string(s->options->sweep.where[i]));
    return all;
}

static json_t *machine_json(struct sweep *s)
{
    return json_pack("{s:s, s:i, s:s, s:i}", "processor", processor_name(s->scratch), "cores", usable_cores(), "system",
                     system_name(s->scratch), "threads", s->threads);
}

/* Where many measured: their names. */
static json_t *nodes_json(struct sweep *s, const json_t *variants)
{
    struct text all = {.arena = s->scratch};
    size_t i;
    json_t *variant;
    json_array_foreach(variants, i, variant)
    {
        const char *name = json_string_value(json_object_get(json_object_get(variant, "latency_1"), "machine"));
        if (name && !strstr(text_string(&all), name))
            text_add(&all, "%s%s", all.length ? "; " : "", name);
    }
    return json_pack("{s:o, s:n, s:n, s:n}", "processor", string_or_null(all.length ? text_string(&all) : NULL),
                     "cores", "system", "threads");
}

static json_t *figure(struct sweep *s, const struct swept *v, enum measured_what what, int threads, int batch)
{
    const char *options = what == MEASURED_ACCURACY ? s->trained : NULL;
    return v->row ? store_figure(s->store, (struct wanted){v->row, what, threads, batch, options}) : json_null();
}

/* `facts`: what was published, NULL: nothing is known of this file; `name` is what it is called there. */
static json_t *variant_json(struct sweep *s, const struct swept *v, const struct published *facts, const char *name)
{
    json_t *one = json_pack("{s:s, s:O, s:s, s:o}", "name", v->name, "parameters", v->parameters, "status",
                            variant_status_name[v->status], "reason", string_or_null(v->reason));
    json_object_set_new(one, "defines", json_string(v->defines));
    json_object_set_new(one, "params", size_or_null(v, v->params));
    json_object_set_new(one, "macs", size_or_null(v, v->macs));
    json_object_set_new(one, "activations", size_or_null(v, v->activations));
    json_object_set_new(one, "weights_bytes", size_or_null(v, v->weights_bytes));
    json_object_set_new(one, "workspace_bytes", size_or_null(v, v->workspace_bytes));
    json_object_set_new(one, "deviation", real_or_null(v->deviation));
    int most = s->options->sweep.slurm && !s->options->threads ? -2 : s->threads; /* nodes have other cores */
    json_object_set_new(one, "compile", figure(s, v, MEASURED_COMPILE, -1, -1));
    json_object_set_new(one, "latency_1", figure(s, v, MEASURED_LATENCY, 1, 1));
    json_object_set_new(one, "latency_n", most > 1 || most < 0 ? figure(s, v, MEASURED_LATENCY, most, 1) : json_null());
    json_object_set_new(one, "throughput",
                        figure(s, v, MEASURED_THROUGHPUT, most == -2 ? -1 : most, s->options->sweep.throughput));
    json_object_set_new(one, "energy", figure(s, v, MEASURED_ENERGY, -1, -1));
    json_object_set_new(one, "accuracy", figure(s, v, MEASURED_ACCURACY, -1, -1));
    json_object_set_new(one, "published",
                        facts && *v->key ? published_facts(facts, name, v->parameters) : json_array());
    return one;
}

/* The name that netdefs/ has for the file; NULL: it is not of that folder, whatever it is called. */
static const char *name_in_netdefs(struct sweep *s)
{
    char file[PATH_MAX];
    const char *folder = data_folder(s->arena, "netdefs");
    size_t n = strlen(folder);
    if (!realpath(s->path, file) || strncmp(file, folder, n) != 0 || file[n] != '/' || strlen(file) < n + 6)
        return NULL;
    return arena_copy(s->arena, file + n + 1, strlen(file) - n - 1 - strlen(".net"));
}

static json_t *date_json(void)
{
    char text[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    return json_string(text);
}

json_t *sweep_json(struct sweep *s)
{
    json_t *variants = json_array(), *all = json_object();
    const char *name = name_in_netdefs(s);
    const struct published *facts = name ? published_open(s->arena, s->diags, NULL) : NULL;
    for (size_t i = 0; i < s->n_variant; i++)
        json_array_append_new(variants, variant_json(s, &s->variant[i], facts, name));
    json_object_set_new(all, "netc", json_string(NETC_VERSION));
    json_object_set_new(all, "command", json_string(s->options->command_line));
    json_object_set_new(all, "network", json_string(s->net->name));
    json_object_set_new(all, "file", json_string(s->shown));
    json_object_set_new(all, "text", json_string(s->text));
    json_object_set_new(all, "options", json_string(s->options->shaped));
    json_object_set_new(all, "target", json_string(s->options->target->name));
    json_object_set_new(all, "machine", s->options->sweep.slurm ? nodes_json(s, variants) : machine_json(s));
    json_object_set_new(all, "date", date_json());
    json_object_set_new(all, "over", over_json(s));
    json_object_set_new(all, "solve", string_or_null(s->options->sweep.solve));
    json_object_set_new(all, "equal", equal_json(s));
    json_object_set_new(all, "where", where_json(s));
    json_object_set_new(all, "changed", changed_json(s));
    json_object_set_new(all, "variants", variants);
    return all;
}
