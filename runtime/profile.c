/* --profile: where the time of a run goes, a row a kernel call.
 *
 * Every run of --bench is followed by a watched one. The time of a row is that of all threads, divided by their
 * number: so many milliseconds of the run. What threads wait, for one another and to be started, is a row of its own,
 * so GFLOP/s of a layer are those of its kernel while it works, whether or not its tasks come out even. The readings
 * of the clock are taken off the layers that they stand in and are a row as well: a small layer's tasks take not much
 * longer than a reading. Rows are medians over the runs, each by itself, since what disturbs a run (another process,
 * an interrupt) falls on a few rows of it. The last row but one is what these medians leave out of the median run:
 * with it, the rows add up.
 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

struct profile profile_open(int threads)
{
    struct profile profile = {.clock_cost = clock_cost(),
                              .width = 3 + network.variant->n_layer + network.variant->n_stage};
    watch_open(&profile.watch, threads, false);
    return profile;
}

void profile_close(struct profile *profile)
{
    watch_close(&profile->watch);
    free(profile->sample);
}

void profile_check(struct profile *profile, struct session *session)
{
    session_run(session, profile->watch.threads);
    for (int i = 0; i < netc_model.n_output; i++) {
        const size_t bytes = (size_t)tensor_bytes(netc_model.batch, &netc_model.output[i]);
        float *wanted = allocate_aligned((int64_t)bytes, "the outputs");
        memcpy(wanted, session->output[i], bytes);
        memset(session->output[i], 0xff, bytes);
        watch_run(&profile->watch, session);
        if (memcmp(wanted, session->output[i], bytes) != 0) {
            fail("layer by layer the network gives another '%s' than as a whole: a defect of netc",
                 netc_model.output[i].name);
        }
        free(wanted);
    }
}

static double *new_row(struct profile *profile)
{
    if (profile->runs == profile->room) {
        profile->room = profile->room ? 2 * profile->room : 64;
        profile->sample =
            realloc(profile->sample, (size_t)profile->room * (size_t)profile->width * sizeof *profile->sample);
        if (!profile->sample) {
            fail("out of memory: the times of %d runs", profile->room);
        }
    }
    return profile->sample + (int64_t)profile->runs++ * profile->width;
}

void profile_run(struct profile *profile, const struct session *session)
{
    const struct watch *watch = &profile->watch;
    const struct netc_variant *v = network.variant;
    double *row = new_row(profile), *clock = row + 1;
    watch_run(&profile->watch, session);
    row[0] = watch->end - watch->begin;
    row[1] = 0;
    row += 2;
    for (int s = 0; s < v->n_stage; s++) {
        const double readings = (double)clock_readings(watch, &v->stage[s]) * profile->clock_cost;
        for (int i = 0; i < v->stage[s].n_layer; i++) {
            const double busy = watch->busy[v->stage[s].layer + i], off = readings < busy ? readings : busy;
            *clock += off / watch->took_part;
            *row++ = (busy - off) / watch->took_part;
        }
    }
    for (int s = 0; s <= v->n_stage; s++) {
        *row++ = watch->waiting[s] / watch->took_part;
    }
}

/* ---- medians ---- */

struct profile_times profile_times(const struct profile *profile)
{
    const int n = profile->runs;
    double *column = allocate(n, sizeof *column, "the times of the runs");
    double *median = allocate(profile->width, sizeof *median, "the times of the layers");
    for (int i = 0; i < profile->width; i++) {
        for (int r = 0; r < n; r++) {
            column[r] = 1e3 * profile->sample[(int64_t)r * profile->width + i];
        }
        qsort(column, (size_t)n, sizeof *column, compare_numbers);
        median[i] = (column[(n - 1) / 2] + column[n / 2]) / 2;
    }
    free(column);
    struct profile_times times = {
        .total = median[0], .clock = median[1], .layer = median + 2, .waiting = median + 2 + network.variant->n_layer};
    double told = times.clock;
    for (int i = 0; i < network.variant->n_layer; i++) {
        told += times.layer[i];
    }
    for (int i = 0; i <= network.variant->n_stage; i++) {
        times.waited += times.waiting[i];
    }
    times.disturbed = times.total - told - times.waited;
    return times;
}

void free_profile_times(struct profile_times *times)
{
    free(times->layer - 2);
}

/* ---- told ---- */

struct row { /* what a layer, or all of them, come to */
    double ms, share, gflops, of_peak, megabytes, gigabytes_a_second, of_memory;
};

struct limits { /* what the processor gives: GFLOP/s, GB/s */
    double peak, memory;
};

static struct row row_of(double ms, double total, int64_t macs, int64_t bytes, struct limits limits)
{
    const double batch = netc_model.batch, rate = ms > 0 ? 1e-6 / ms : 0;
    struct row row = {.ms = ms, .share = ms / total, .gflops = 2 * batch * (double)macs * rate};
    row.of_peak = row.gflops / limits.peak;
    row.megabytes = 1e-6 * batch * (double)bytes;
    row.gigabytes_a_second = batch * (double)bytes * rate;
    row.of_memory = row.gigabytes_a_second / limits.memory;
    return row;
}

static int64_t bytes_of(const struct netc_layer *layer)
{
    return layer->read + layer->weights + layer->written;
}

static struct row layer_row(const struct profile_times *times, int i, struct limits limits)
{
    const struct netc_layer *layer = &network.variant->layer[i];
    return row_of(times->layer[i], times->total, layer->macs, bytes_of(layer), limits);
}

static struct row total_row(const struct profile_times *times, struct limits limits)
{
    int64_t macs = 0, bytes = 0;
    for (int i = 0; i < network.variant->n_layer; i++) {
        macs += network.variant->layer[i].macs;
        bytes += bytes_of(&network.variant->layer[i]);
    }
    return row_of(times->total, times->total, macs, bytes, limits);
}

/* Without the sign of what is printed as zero. */
static double plain(double value, double half)
{
    return fabs(value) < half ? 0 : value;
}

static void print_row(const char *name, int width, int digits, struct row row, const char *what)
{
    printf("%-*s %10.*f %6.1f %%", width, name, digits, plain(row.ms, 0.5 * pow(10, -digits)),
           plain(100 * row.share, 0.05));
    if (row.gflops > 0) {
        printf(" %9.1f %6.1f %%", row.gflops, 100 * row.of_peak);
    } else {
        printf("%19s", "");
    }
    if (row.megabytes > 0) {
        printf(" %10.3f %8.1f %7.1f %%", row.megabytes, row.gigabytes_a_second, 100 * row.of_memory);
    } else {
        printf("%30s", "");
    }
    printf("%s%s\n", *what ? "  " : "", what);
}

static void print_most(const struct profile_times *times, int top)
{
    const int n = network.variant->n_layer;
    bool *told = allocate(n, sizeof *told, "the layers");
    printf("\nmost time:\n");
    for (int place = 1; place <= top && place <= n; place++) {
        int most = -1;
        for (int i = 0; i < n; i++) {
            most = !told[i] && (most < 0 || times->layer[i] > times->layer[most]) ? i : most;
        }
        told[most] = true;
        printf("%2d  %5.1f %%  %s\n", place, 100 * times->layer[most] / times->total,
               network.variant->layer[most].what);
    }
    free(told);
}

void print_profile(const struct profile_times *times, double median_ms, double peak, double memory, int top)
{
    const struct netc_variant *v = network.variant;
    const struct limits limits = {peak, memory};
    const int digits = times->total < 10 ? 4 : times->total < 1000 ? 3 : 1;
    int width = (int)sizeof "disturbed" - 1;
    for (int i = 0; i < v->n_layer; i++) {
        const int length = (int)strlen(v->layer[i].name);
        width = length > width ? length : width;
    }
    printf("\n%-*s %10s %8s %9s %8s %10s %8s %9s  %s\n", width, "layer", "ms", "share", "GFLOP/s", "of peak", "MB",
           "GB/s", "of memory", "kernel");
    for (int i = 0; i < v->n_layer; i++) {
        print_row(v->layer[i].name, width, digits, layer_row(times, i, limits), v->layer[i].kernel);
    }
    print_row("waiting", width, digits, (struct row){.ms = times->waited, .share = times->waited / times->total},
              "of threads, to start and for one another");
    print_row("clock", width, digits, (struct row){.ms = times->clock, .share = times->clock / times->total},
              "read after every task of a layer");
    print_row("disturbed", width, digits,
              (struct row){.ms = times->disturbed, .share = times->disturbed / times->total},
              "the median run less the medians above");
    const double longer = times->total / median_ms - 1;
    char what[80];
    snprintf(what, sizeof what, "watched runs: %.1f %% %s than the others", 100 * (longer < 0 ? -longer : longer),
             longer < 0 ? "shorter" : "longer");
    print_row("total", width, digits, total_row(times, limits), what);
    print_most(times, top);
}

static json_t *json_row(struct row row)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "ms", row.ms, "share", row.share, "gflops", row.gflops,
                     "peak_share", row.of_peak, "gigabytes_per_second", row.gigabytes_a_second, "memory_share",
                     row.of_memory);
}

void json_profile(json_t *to, const struct profile_times *times, double peak, double memory)
{
    const struct netc_variant *v = network.variant;
    const struct limits limits = {peak, memory};
    json_t *layers = json_array(), *waits = json_array();
    for (int i = 0; i < v->n_layer; i++) {
        const struct netc_layer *l = &v->layer[i];
        json_t *one =
            json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "name", l->name, "kernel", l->kernel, "what", l->what,
                      "macs", (json_int_t)l->macs * netc_model.batch, "read_bytes",
                      (json_int_t)l->read * netc_model.batch, "weight_bytes", (json_int_t)l->weights * netc_model.batch,
                      "written_bytes", (json_int_t)l->written * netc_model.batch);
        json_t *row = json_row(layer_row(times, i, limits));
        json_object_update(one, row);
        json_decref(row);
        json_array_append_new(layers, one);
    }
    for (int s = 0; s <= v->n_stage; s++) {
        const bool end = s == v->n_stage;
        json_array_append_new(waits, json_pack("{s:s?, s:s, s:f}", "before",
                                               end ? NULL : v->layer[v->stage[s].layer].name, "why",
                                               end                   ? "the end"
                                               : v->stage[s].barrier ? v->stage[s].barrier
                                               : s                   ? "nothing"
                                                                     : "the start",
                                               "ms", times->waiting[s]));
    }
    json_object_set_new(to, "layers", layers);
    json_object_set_new(
        to, "waiting",
        json_pack("{s:f, s:f, s:o}", "ms", times->waited, "share", times->waited / times->total, "at", waits));
    json_object_set_new(to, "clock", json_pack("{s:f, s:f}", "ms", times->clock, "share", times->clock / times->total));
    json_object_set_new(to, "disturbed",
                        json_pack("{s:f, s:f}", "ms", times->disturbed, "share", times->disturbed / times->total));
    json_object_set_new(to, "total", json_row(total_row(times, limits)));
}
