/* --profile=FILE.json: one run as a trace, in Chrome's format, for chrome://tracing and Perfetto. A thread is a
 * track; on it lie its stages, in them the tasks of the layers one after the other, and between them what it waited.
 * A task's multiply-adds and bytes are its equal share of the layer's.
 *
 * The format: Trace Event Format, "JSON object format" with complete events (ph X; ts and dur in microseconds) and
 * metadata (ph M). Times are rounded to whole nanoseconds before anything is subtracted, so that an event lies inside
 * the one around it.
 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "runtime.h"

enum { PROCESS = 1, TRIED_RUNS = 9, DIGITS = 15 };
static const double tried_seconds = 1;

static int64_t nanoseconds(double begin, double time)
{
    return llround(1e9 * (time - begin));
}

static void add_event(json_t *list, const char *category, json_t *name, int thread, int64_t from, int64_t to,
                      json_t *arguments)
{
    json_array_append_new(list, json_pack("{s:o, s:s, s:s, s:i, s:i, s:f, s:f, s:o}", "name", name, "cat", category,
                                          "ph", "X", "pid", PROCESS, "tid", thread, "ts", 1e-3 * (double)from, "dur",
                                          1e-3 * (double)(to - from), "args", arguments));
}

static void add_metadata(json_t *list, const char *what, int thread, const char *key, json_t *value)
{
    json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:i, s:{s:o}}", "name", what, "ph", "M", "pid", PROCESS,
                                          "tid", thread, "args", key, value));
}

static const struct netc_stage *stage_of(int layer)
{
    const struct netc_stage *stage = network.variant->stage;
    while (layer >= stage->layer + stage->n_layer) {
        stage++;
    }
    return stage;
}

static void add_task(json_t *list, const struct event *event, int thread, int64_t from, int64_t to)
{
    const struct netc_layer *layer = &network.variant->layer[event->layer];
    const struct netc_stage *stage = stage_of(event->layer);
    const int tasks = batch_tasks(stage) / netc_model.batch, rest = event->task % tasks;
    const double macs = (double)layer->macs / tasks;
    json_t *arguments = json_pack("{s:s, s:[i,i], s:I, s:I}", "kernel", layer->kernel, "task", rest / stage->tasks[1],
                                  rest % stage->tasks[1], "macs", (json_int_t)macs, "bytes",
                                  (json_int_t)((layer->read + layer->weights + layer->written) / tasks));
    if (netc_model.batch > 1) {
        json_object_set_new(arguments, "image", json_integer(event->task / tasks));
    }
    if (layer->macs && to > from) {
        json_object_set_new(arguments, "gflops", json_real(2 * macs / (double)(to - from)));
    }
    add_event(list, "task", json_string(layer->name), thread, from, to, arguments);
}

static void add_wait(json_t *list, const struct event *event, int thread, int64_t from, int64_t to)
{
    const int s = WAITED - event->layer;
    const struct netc_stage *stage = &network.variant->stage[s];
    const char *name = s == 0 ? "starting" : "waiting";
    const char *why = s == network.variant->n_stage ? "the end of the run" : stage->barrier;
    json_t *arguments = s == 0 ? json_object() : json_pack("{s:s}", "why", why ? why : "");
    add_event(list, "waiting", json_string(name), thread, from, to, arguments);
}

static void add_thread(json_t *list, const struct watch *watch, int thread)
{
    const struct event *event = watch->event + watch->first[thread], *end = event + watch->count[thread];
    json_t *name = json_sprintf("thread %d", thread);
    add_metadata(list, "thread_name", thread, "name", name);
    add_metadata(list, "thread_sort_index", thread, "sort_index", json_integer(thread));
    const struct netc_stage *open = NULL;
    for (; event < end; event++) {
        const int64_t from = nanoseconds(watch->begin, event->begin), to = nanoseconds(watch->begin, event->end);
        if (event->layer < 0) {
            open = NULL;
            add_wait(list, event, thread, from, to);
            continue;
        }
        const struct netc_stage *stage = stage_of(event->layer);
        if (stage != open) { /* before its tasks: where both begin at once, the one around comes first */
            const struct event *last = event;
            while (last + 1 < end && last[1].layer >= 0 && stage_of(last[1].layer) == stage) {
                last++;
            }
            const int s = (int)(stage - network.variant->stage);
            add_event(list, "stage", json_sprintf("stage %d", s), thread, from, nanoseconds(watch->begin, last->end),
                      json_pack("{s:i, s:i}", "layers", stage->n_layer, "tasks", batch_tasks(stage)));
            open = stage;
        }
        add_task(list, event, thread, from, to);
    }
}

static json_t *trace_of(const struct watch *watch, double median_ms)
{
    json_t *list = json_array();
    add_metadata(list, "process_name", 0, "name",
                 json_sprintf("%s for %s, batch %d", netc_model.name, network.variant->target, netc_model.batch));
    for (int t = 0; t < watch->took_part; t++) {
        add_thread(list, watch, t);
    }
    return json_pack("{s:s, s:{s:s, s:s, s:s, s:i, s:i, s:f, s:f}, s:o}", "displayTimeUnit", "ms", "otherData",
                     "network", netc_model.name, "target", network.variant->target, "netc", netc_model.version, "batch",
                     netc_model.batch, "threads", watch->took_part, "run_ms", 1e3 * (watch->end - watch->begin),
                     "median_ms", median_ms, "traceEvents", list);
}

void write_trace(FILE *file, const struct session *session, int threads, double median_ms)
{
    struct watch best, next;
    double off = INFINITY;
    watch_open(&best, threads, true);
    watch_open(&next, threads, true);
    const double start = now();
    for (int i = 0; i < TRIED_RUNS && (i == 0 || now() < start + tried_seconds); i++) {
        watch_run(&next, session);
        const double this_off = fabs(1e3 * (next.end - next.begin) - median_ms);
        if (this_off < off) {
            const struct watch kept = next;
            next = best;
            best = kept;
            off = this_off;
        }
    }
    json_t *trace = trace_of(&best, median_ms);
    if (!trace) {
        fail("out of memory: the trace");
    }
    json_dumpf(trace, file, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS)); /* output_end() finds what went wrong */
    fputc('\n', file);
    json_decref(trace);
    watch_close(&best);
    watch_close(&next);
}
