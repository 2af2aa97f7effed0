/* How long a kernel takes where it will run: on one thread, on values that the layer before has just written, with weights
 * that have to come from as far away as in the network.
 *
 * Weights lie in a ring as large as all packed weights of the network; a call takes the next part of it, so between two
 * readings of a part as much has passed through the caches as in a run of the network. Values are written anew before the
 * clock starts, in order, the main input last: that leaves them where the kernel before would.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tune/tune.h"

enum { LINE = 64, GAP = 17 * LINE, PATTERN = 1024 };

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t up(size_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

static size_t buffer_bytes(const struct buffer *b)
{
    size_t bytes = sizeof(float);
    for (int d = 0; d < b->rank; d++)
        bytes *= (size_t)b->dim[d];
    return up(bytes);
}

static bool is_weights(const struct call *c, int i)
{
    return c->arg[i].memory->kind == MEMORY_WEIGHTS;
}

/* Numbers of both signs, none of them small: arithmetic on denormal ones would be slow, and another time. */
static void fill(float *to, size_t bytes, uint64_t seed)
{
    float pattern[PATTERN];
    uint64_t state = 88172645463325252u + seed;
    for (int i = 0; i < PATTERN; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        float v = (float)(state >> 41) / 8388608.0f + 0.25f;
        pattern[i] = state & 1 ? v : -v;
    }
    for (size_t done = 0; done < bytes; done += sizeof pattern)
        memcpy((char *)to + done, pattern, bytes - done < sizeof pattern ? bytes - done : sizeof pattern);
}

/* Different numbers throughout, so that no two parts are alike; small enough that sums stay sums. */
static void fill_weights(float *to, size_t bytes)
{
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < bytes / sizeof *to; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        to[i] = ((float)(state >> 40) / 8388608.0f - 1) * 0.125f + 0x1p-20f;
    }
}

static void *aligned(struct arena *a, size_t bytes)
{
    enum { PAGE = 4096 };
    char *p = arena_alloc(a, bytes + PAGE);
    return p + (PAGE - (uintptr_t)p % PAGE) % PAGE;
}

struct bench bench_open(struct arena *a, const struct program *p)
{
    struct bench b = {.weights_bytes = up((size_t)p->weights_bytes)};
    for (const struct stage *s = p->stage; s; s = s->next)
        for (const struct call *c = s->call; c; c = c->next) {
            size_t values = 0;
            for (int i = 0; i < c->kernel->n_buffer; i++)
                values += buffer_bytes(c->kernel->buffer[i]) + GAP;
            b.values_bytes = values > b.values_bytes ? values : b.values_bytes;
        }
    b.weights = aligned(a, b.weights_bytes + LINE);
    fill_weights((float *)(void *)b.weights, b.weights_bytes);
    for (int i = 0; i < 2; i++)
        b.values[i] = aligned(a, b.values_bytes);
    return b;
}

/* The next part of the ring for each array of weights. */
static void place_weights(struct bench *b, const struct call *c, void **buffer)
{
    for (int i = 0; i < c->kernel->n_buffer; i++) {
        if (!is_weights(c, i))
            continue;
        size_t bytes = buffer_bytes(c->kernel->buffer[i]);
        if (b->at + bytes > b->weights_bytes)
            b->at = 0;
        buffer[i] = b->weights + b->at;
        b->at += bytes;
    }
}

static void place_values(const struct bench *b, const struct call *c, int which, void **buffer)
{
    char *next = b->values[which];
    for (int i = 0; i < c->kernel->n_buffer; i++)
        if (!is_weights(c, i)) {
            buffer[i] = next;
            next += buffer_bytes(c->kernel->buffer[i]) + GAP;
        }
}

/* The main input comes first among the buffers, so it is written last. */
static void write_values(const struct call *c, void *const *buffer)
{
    for (int i = c->kernel->n_buffer - 1; i >= 0; i--)
        if (!is_weights(c, i) && c->kernel->buffer[i]->dir != DIR_OUT)
            fill(buffer[i], buffer_bytes(c->kernel->buffer[i]), (uint64_t)i);
}

double bench_time(struct bench *b, const struct call *c, candidate_run *run, int turns)
{
    void *buffer[MAX_BUFFERS];
    place_values(b, c, 0, buffer);
    write_values(c, buffer);
    double took = 0;
    for (int i = 0; i < turns; i++) {
        place_weights(b, c, buffer);
        double begin = seconds_now();
        run(buffer);
        took += seconds_now() - begin;
    }
    return took / turns;
}

bool bench_same(struct bench *b, const struct call *c, candidate_run *run, const struct call *d, candidate_run *other)
{
    void *first[MAX_BUFFERS], *second[MAX_BUFFERS];
    int out = 0;
    b->at = 0;
    place_values(b, c, 0, first);
    place_weights(b, c, first);
    place_values(b, d, 1, second);
    b->at = 0;
    place_weights(b, d, second);
    for (int i = 0; i < c->kernel->n_buffer; i++)
        if (c->kernel->buffer[i]->dir != DIR_IN) {
            size_t bytes = buffer_bytes(c->kernel->buffer[i]);
            memset(first[i], 0xff, bytes);
            memset(second[i], 0xff, bytes);
            out = i;
        }
    write_values(c, first);
    write_values(d, second);
    run(first);
    other(second);
    return memcmp(first[out], second[out], buffer_bytes(c->kernel->buffer[out])) == 0;
}

/* ---- samples ---- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The lower eighth of every `step`-th sample from `first` on. */
static double low(const struct samples *s, int first, int step, struct arena *scratch)
{
    double *sorted = NEW_ARRAY(scratch, double, s->n + 1);
    int n = 0;
    for (int i = first; i < s->n; i += step)
        sorted[n++] = s->second[i];
    qsort(sorted, (size_t)n, sizeof *sorted, by_size);
    return n ? sorted[n / 8] : 0;
}

double samples_time(const struct samples *s, struct arena *scratch)
{
    return low(s, 0, 1, scratch);
}

/* The noise is how far the lower eighths of even and odd rounds, which saw the same machine, lie apart. To beat is to be shorter
 * by 1 % and by twice the noise of either, in the even rounds, in the odd ones, and in all. */
bool samples_beat(const struct samples *base, const struct samples *other, struct arena *scratch, double *ratio)
{
    double all[2], half[2][2], noise = 0;
    for (int k = 0; k < 2; k++) {
        const struct samples *s = k ? other : base;
        all[k] = low(s, 0, 1, scratch);
        for (int i = 0; i < 2; i++)
            half[k][i] = low(s, i, 2, scratch);
        noise = fmax(noise, fabs(half[k][0] - half[k][1]) / all[k]);
    }
    *ratio = all[1] / all[0];
    return *ratio < 1 - fmax(0.01, 2 * noise) && half[1][0] < half[0][0] && half[1][1] < half[0][1];
}
