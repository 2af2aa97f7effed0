/* --bench: how long one batch takes, beside what the processor could do; with --profile (profile.c) where it goes.
 *
 * The peak (multiply-adds in registers, on as many threads) is measured between the runs, since a processor's clock
 * and its neighbours change from one second to the next: medians of figures that were taken side by side can be
 * compared. So is, for --profile, what memory gives: reading a buffer that is larger than most caches.
 */
#include <jansson.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

enum { LEAST_RUNS = 5, LEAST_WARM_UP = 2, SLICES = 4 };
enum { MEMORY_BYTES = 128 << 20, MEMORY_PART = 4 << 20 }; /* of the buffer; of it, what a thread reads at a time */
static const double warm_up_seconds = 0.25, default_seconds = 2, peak_every = 0.005, memory_every = 0.1;

struct samples {
    double *value;
    int count, room;
};

static void add_sample(struct samples *samples, double value)
{
    if (samples->count == samples->room) {
        samples->room = samples->room ? 2 * samples->room : 1024;
        samples->value = realloc(samples->value, (size_t)samples->room * sizeof *samples->value);
        if (!samples->value) {
            fail("out of memory: the times of %d runs", samples->room);
        }
    }
    samples->value[samples->count++] = value;
}

int compare_numbers(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of sorted samples, between neighbours in proportion. */
static double quantile(const struct samples *samples, double share)
{
    const double place = share * (samples->count - 1);
    const int i = (int)place, next = i + 1 < samples->count ? i + 1 : i;
    return samples->value[i] + (place - i) * (samples->value[next] - samples->value[i]);
}

static void fill_inputs(struct session *session)
{
    uint64_t state = 88172645463325252u; /* xorshift: any numbers in -1 .. 1, the same every time */
    for (int i = 0; i < netc_model.n_input; i++) {
        for (int64_t k = 0; k < netc_model.batch * netc_model.input[i].elements; k++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            session->input[i][k] = (float)(state >> 40) / 8388608.0f - 1;
        }
    }
}

/* GFLOP/s of all threads together. */
static double measure_peak(int threads)
{
    double operations = 0, first = 1e300, last = 0;
#pragma omp parallel num_threads(threads) reduction(+ : operations) reduction(min : first) reduction(max : last)
    {
#pragma omp barrier
        first = now();
        for (int i = 0; i < SLICES; i++) {
            operations += network.variant->peak_slice();
        }
        last = now();
    }
    return operations / (last - first) * 1e-9;
}

struct memory { /* what is read to find out how fast memory is */
    uint64_t *word;
    int64_t next; /* part */
    struct samples rates; /* GB/s of all threads together */
    uint64_t sum; /* of all that was read */
};

static uint64_t read_part(const uint64_t *word)
{
    uint64_t sum[8] = {0};
    for (int64_t i = 0; i < MEMORY_PART / (int64_t)sizeof *word; i += 8) {
        for (int k = 0; k < 8; k++) {
            sum[k] += word[i + k];
        }
    }
    return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

/* Each thread reads a part that was not read for long. */
static void measure_memory(struct memory *memory, int threads)
{
    const int64_t parts = MEMORY_BYTES / MEMORY_PART;
    double first = 1e300, last = 0;
    uint64_t sum = 0;
#pragma omp parallel num_threads(threads) reduction(+ : sum) reduction(min : first) reduction(max : last)
    {
        const int64_t part = (memory->next + omp_get_thread_num()) % parts;
#pragma omp barrier
        first = now();
        sum += read_part(memory->word + part * (MEMORY_PART / (int64_t)sizeof *memory->word));
        last = now();
    }
    memory->next = (memory->next + threads) % parts;
    memory->sum += sum;
    add_sample(&memory->rates, 1e-9 * MEMORY_PART * threads / (last - first));
}

static struct memory memory_open(void)
{
    struct memory memory = {.word = allocate_aligned(MEMORY_BYTES, "the memory that is read to measure it")};
    memset(memory.word, 1, MEMORY_BYTES);
    return memory;
}

static void measure(const struct options *options, struct session *session, struct samples *times,
                    struct samples *peaks, struct profile *profile, struct memory *memory, double *joules)
{
    const double begin = now();
    energy_open();
    *joules = 0;
    for (int i = 0; i < LEAST_WARM_UP || now() < begin + warm_up_seconds; i++) {
        session_run(session, options->threads);
    }
    if (profile) {
        profile_check(profile, session);
    }
    measure_peak(options->threads);
    double next_peak = 0, next_memory = 0;
    const double start = now();
    while (options->runs ? times->count < options->runs
                         : times->count < LEAST_RUNS || (now() < start + default_seconds && times->count < MAX_RUNS)) {
        if (now() >= next_peak) { /* what that takes is nothing of the network's */
            *joules += times->count ? energy_since() : 0;
            add_sample(peaks, measure_peak(options->threads));
            next_peak = now() + peak_every;
            energy_since();
        }
        if (memory && now() >= next_memory) {
            measure_memory(memory, options->threads);
            next_memory = now() + memory_every;
            session_run(session, options->threads); /* caches as a run leaves them */
        }
        const double before = now();
        session_run(session, options->threads);
        add_sample(times, 1e3 * (now() - before));
        if (profile) {
            profile_run(profile, session);
        }
    }
    const double last = energy_since();
    *joules = last < 0 ? -1 : *joules + last;
    qsort(times->value, (size_t)times->count, sizeof *times->value, compare_numbers);
    qsort(peaks->value, (size_t)peaks->count, sizeof *peaks->value, compare_numbers);
    if (memory) {
        qsort(memory->rates.value, (size_t)memory->rates.count, sizeof *memory->rates.value, compare_numbers);
    }
}

static double per_image(double joules, const struct samples *times)
{
    return joules / times->count / netc_model.batch;
}

static void tell_bench(const struct options *options, const struct samples *times, const struct samples *peaks,
                       const struct profile_times *profile, const struct memory *memory, double joules)
{
    const double median = quantile(times, 0.5), least = times->value[0], peak = quantile(peaks, 0.5);
    const double p10 = quantile(times, 0.1), p90 = quantile(times, 0.9);
    const double memory_rate = memory ? quantile(&memory->rates, 0.5) : 0;
    const double gflops = 2e-6 * (double)netc_model.macs * netc_model.batch / median;
    if (options->json) {
        json_t *all =
            json_pack("{s:s, s:s, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "network", netc_model.name,
                      "target", network.variant->target, "threads", options->threads, "batch", netc_model.batch, "runs",
                      times->count, "median_ms", median, "min_ms", least, "p10_ms", p10, "p90_ms", p90, "gflops",
                      gflops, "peak_gflops", peak, "share", gflops / peak);
        if (joules >= 0 && !profile) {
            json_object_set_new(all, "energy_j", json_real(per_image(joules, times)));
        }
        if (profile) {
            json_object_set_new(all, "memory_gigabytes_per_second", json_real(memory_rate));
            json_profile(all, profile, peak, memory_rate);
        }
        print_json(all);
        return;
    }
    printf("%s for %s: batch %d, %d thread%s, %d runs\n", netc_model.name, network.variant->target, netc_model.batch,
           options->threads, options->threads > 1 ? "s" : "", times->count);
    printf("median %.4g ms   minimum %.4g ms   10 %% to 90 %% of the runs %.4g to %.4g ms\n", median, least, p10, p90);
    printf("%.1f GFLOP/s, %.1f %% of the peak of %.1f GFLOP/s measured between the runs\n", gflops, 100 * gflops / peak,
           peak);
    if (joules >= 0 && !profile) {
        printf("%.4g J an image, of all that the processor does meanwhile\n", per_image(joules, times));
    }
    if (profile) {
        printf("memory gives %.1f GB/s, measured between the runs\n", memory_rate);
        print_profile(profile, median, peak, memory_rate, options->top);
    }
}

void run_bench(const struct options *options)
{
    struct samples times = {0}, peaks = {0};
    double joules;
    FILE *trace = options->trace ? output_begin(options->trace) : NULL; /* before the work: it may not be writable */
    struct session session = session_open();
    fill_inputs(&session);
    if (!options->profile) {
        measure(options, &session, &times, &peaks, NULL, NULL, &joules);
        tell_bench(options, &times, &peaks, NULL, NULL, joules);
    } else {
        struct profile profile = profile_open(options->threads);
        struct memory memory = memory_open();
        measure(options, &session, &times, &peaks, &profile, &memory, &joules);
        struct profile_times found = profile_times(&profile);
        if (trace) {
            write_trace(trace, &session, options->threads, found.total);
            output_end();
        }
        if (trace != stdout) {
            tell_bench(options, &times, &peaks, &found, &memory, joules);
        }
        free(memory.word);
        free(memory.rates.value);
        free_profile_times(&found);
        profile_close(&profile);
    }
    session_close(&session);
    free(times.value);
    free(peaks.value);
}
