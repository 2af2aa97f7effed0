/* netc compare for programs: CSV, a line a stage, and JSON. Numbers are plain; what there is not is empty, or null.
 *
 * The names are those of `netc sweep`: params, macs, activations, weights_bytes, workspace_bytes, latency_1 (one thread), latency_n.
 */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "compare/compare.h"
#include "show.h"

/* ---- CSV ---- */

static void put_times(struct text *t, const struct comparison *c, const struct time *time)
{
    for (int l = 0; l < LATENCIES; l++) {
        if (time && c->threads[l])
            text_add(t, ",%.9g,%.9g,%.9g", time[l].ms, time[l].low, time[l].high);
        else
            text_add(t, ",,,");
    }
    text_add(t, "\n");
}

static void csv_network(struct text *t, const struct comparison *c, int network)
{
    const struct compared *net = &c->network[network];
    for (size_t i = 0; i < c->n_row; i++) {
        int at = c->row[i].stage[network];
        const struct network_stage *s = at < 0 ? NULL : &net->stages.stage[at];
        if (!s)
            continue;
        put_csv(t, net->argument->text);
        text_add(t, ",%zu,", i + 1);
        put_csv(t, s->name);
        text_add(t, ",%s,%" PRId64 ",%" PRId64 ",%" PRId64 ",,", shape_text(t->arena, s->shape), s->params, s->macs,
                 s->activations);
        put_times(t, c, s->time);
    }
    if (c->threads[0]) {
        put_csv(t, net->argument->text);
        text_add(t, ",,outside,,,,,,");
        put_times(t, c, net->outside);
    }
    put_csv(t, net->argument->text);
    text_add(t, ",,total,,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64, net->params, net->macs,
             net->activations, net->weights_bytes, net->workspace_bytes);
    put_times(t, c, net->whole);
}

void comparison_csv(struct text *t, const struct comparison *c)
{
    text_add(t, "network,row,stage,output,params,macs,activations,weights_bytes,workspace_bytes");
    for (int l = 0; l < LATENCIES; l++)
        for (int i = 0; i < 3; i++)
            text_add(t, ",latency_%c%s", l ? 'n' : '1', i == 0 ? "" : i == 1 ? "_low" : "_high");
    text_add(t, "\n");
    for (int i = 0; i < c->n; i++)
        csv_network(t, c, i);
}

/* ---- JSON ---- */

static void set_times(json_t *object, const struct comparison *c, const struct time *time, bool all)
{
    for (int l = 0; l < LATENCIES; l++) {
        json_t *m = c->threads[l] ? json_object() : json_null(), *samples = json_array();
        for (int r = 0; c->threads[l] && r < c->rounds; r++)
            json_array_append_new(samples, json_real(time[l].sample[r]));
        if (c->threads[l]) {
            json_object_set_new(m, all ? "median" : "ms", json_real(time[l].ms));
            json_object_set_new(m, "low", json_real(time[l].low));
            json_object_set_new(m, "high", json_real(time[l].high));
            json_object_set_new(m, "samples", json_incref(samples));
        }
        if (c->threads[l] && all) {
            json_object_set_new(m, "n", json_integer(c->rounds));
            json_object_set_new(m, "unit", json_string("ms"));
            json_object_set_new(m, "threads", json_integer(c->threads[l]));
            json_object_set_new(m, "batch", json_integer(c->batch));
        }
        json_decref(samples);
        json_object_set_new(object, l ? "latency_n" : "latency_1", m);
    }
}

static void set_integer(json_t *object, const char *name, int64_t n)
{
    json_object_set_new(object, name, json_integer(n));
}

static json_t *shape_list(struct shape s)
{
    json_t *list = json_array();
    for (int i = 0; i < s.rank; i++)
        json_array_append_new(list, json_integer(s.dim[i]));
    return list;
}

static json_t *stage_object(const struct comparison *c, const struct network_stage *s)
{
    json_t *object = json_object();
    json_object_set_new(object, "name", json_string(s->name));
    set_integer(object, "layers", s->layers);
    json_object_set_new(object, "output", shape_list(s->shape));
    set_integer(object, "params", s->params);
    set_integer(object, "macs", s->macs);
    set_integer(object, "activations", s->activations);
    set_times(object, c, s->time, false);
    return object;
}

/* A number, a list, a bool or a string as such; what JSON has no word for as the language writes it. */
static json_t *value_json(const char *value)
{
    size_t n = strlen(value);
    if (n > 1 && value[0] == '"' && value[n - 1] == '"')
        return json_stringn(value + 1, n - 2);
    json_t *plain = json_loads(value, JSON_DECODE_ANY, NULL);
    return plain ? plain : json_string(value);
}

static json_t *network_object(const struct comparison *c, const struct compared *net)
{
    json_t *object = json_object(), *parameters = json_object(), *stages = json_array(), *outside = json_object();
    for (int i = 0; i < net->n_parameter; i++)
        json_object_set_new(parameters, net->parameter[i].name, value_json(net->parameter[i].value));
    for (size_t i = 0; i < net->stages.n; i++)
        json_array_append_new(stages, stage_object(c, &net->stages.stage[i]));
    json_object_set_new(object, "name", json_string(net->argument->text));
    json_object_set_new(object, "network", json_string(net->network));
    json_object_set_new(object, "file", json_string(net->file));
    json_object_set_new(object, "parameters", parameters);
    set_integer(object, "params", net->params);
    set_integer(object, "macs", net->macs);
    set_integer(object, "activations", net->activations);
    set_integer(object, "weights_bytes", net->weights_bytes);
    set_integer(object, "workspace_bytes", net->workspace_bytes);
    set_times(object, c, net->whole, true);
    json_object_set_new(object, "stages", stages);
    set_times(outside, c, net->outside, false);
    json_object_set_new(object, "outside", c->threads[0] ? json_incref(outside) : json_null());
    json_decref(outside);
    return object;
}

static json_t *row_object(const struct comparison *c, const struct compared_row *row)
{
    json_t *stages = json_array();
    for (int i = 0; i < c->n; i++) /* -1: it has none */
        json_array_append_new(stages, row->stage[i] < 0 ? json_null() : json_integer(row->stage[i]));
    return json_pack("{s:s, s:o}", "name", row->name, "stages", stages);
}

static json_t *machine_object(const struct comparison *c)
{
    if (!c->processor)
        return json_null();
    int l = LATENCIES - 1;
    while (l > 0 && !c->threads[l])
        l--;
    return json_pack("{s:s, s:i, s:s, s:i}", "processor", c->processor, "cores", c->cores, "system", c->system,
                     "threads", c->threads[l]);
}

/* What differs between networks of one file and net, each name once. */
static json_t *changed_list(const struct comparison *c)
{
    json_t *seen = json_object(), *list = json_array();
    for (int i = 0; i < c->n; i++)
        for (int k = 0; k < c->network[i].n_parameter; k++) {
            const char *name = c->network[i].parameter[k].name;
            if (!parameter_differs(c, name) || json_object_get(seen, name))
                continue;
            json_object_set_new(seen, name, json_true());
            json_array_append_new(list, json_string(name));
        }
    json_decref(seen);
    return list;
}

void comparison_json(struct text *t, const struct comparison *c)
{
    json_t *networks = json_array(), *rows = json_array();
    for (int i = 0; i < c->n; i++)
        json_array_append_new(networks, network_object(c, &c->network[i]));
    for (size_t i = 0; i < c->n_row; i++)
        json_array_append_new(rows, row_object(c, &c->row[i]));
    put_json(t, json_pack("{s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o}", "netc", NETC_VERSION, "target", c->target->name,
                          "options", c->options, "batch", c->batch, "machine", machine_object(c), "changed",
                          changed_list(c), "networks", networks, "rows", rows));
}
