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

static size_t up(size_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

static size_t room_for(const struct buffer *b)
{
    size_t bytes = sizeof(float);
    for (int d = 0; d < b->rank; d++)
        bytes *= (size_t)b->dim[d];
    return up(bytes);
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

/* ---- the buffers of a layer ---- */

enum { MOST_PLACES = 4 * MAX_BUFFERS };

struct place { /* of a buffer of one of the layer's kernels */
    const struct buffer *buffer;
    struct argument arg;
    int first; /* the first place with the same memory; itself where it is the first */
};
struct places {
    struct place at[MOST_PLACES];
    int n;
};

static void find_places(const struct stage *s, struct places *p)
{
    p->n = 0;
    for (; s; s = s->next)
        for (int i = 0; i < s->call->kernel->n_buffer && p->n < MOST_PLACES; i++) {
            struct place *own = &p->at[p->n];
            *own = (struct place){s->call->kernel->buffer[i], s->call->arg[i], 0};
            while (own->first < p->n &&
                   (p->at[own->first].arg.memory != own->arg.memory || p->at[own->first].arg.lead != own->arg.lead))
                own->first++;
            p->n++;
        }
}

static bool is_weights(const struct place *p)
{
    return p->arg.memory->kind == MEMORY_WEIGHTS;
}

static size_t place_bytes(const struct places *p, int first)
{
    size_t bytes = 0;
    for (int i = first; i < p->n; i++)
        if (p->at[i].first == first && room_for(p->at[i].buffer) > bytes)
            bytes = room_for(p->at[i].buffer);
    return bytes;
}

/* The next part of the ring for each array of weights. */
static void place_weights(struct bench *b, const struct places *p, void **buffer)
{
    for (int i = 0; i < p->n; i++) {
        if (!is_weights(&p->at[i]))
            continue;
        size_t bytes = room_for(p->at[i].buffer);
        if (b->at + bytes > b->weights_bytes)
            b->at = 0;
        buffer[i] = b->weights + b->at;
        b->at += bytes;
    }
}

static void place_values(const struct places *p, char *memory, void **buffer)
{
    size_t at = 0;
    for (int i = 0; i < p->n; i++) {
        if (is_weights(&p->at[i]))
            continue;
        buffer[i] = p->at[i].first < i ? buffer[p->at[i].first] : memory + at;
        at += p->at[i].first < i ? 0 : place_bytes(p, i) + GAP;
    }
}

/* What the layer reads and does not make itself. The main input is the first buffer of all, so it is written last. */
static void write_values(const struct places *p, void *const *buffer)
{
    for (int i = p->n - 1; i >= 0; i--)
        if (!is_weights(&p->at[i]) && p->at[i].first == i && p->at[i].buffer->dir != DIR_OUT)
            fill(buffer[i], room_for(p->at[i].buffer), (uint64_t)i);
}

/* ---- running ---- */

struct bench bench_open(struct arena *a, size_t weights_bytes)
{
    struct bench b = {.arena = a, .weights_bytes = up(weights_bytes)};
    b.weights = aligned(a, b.weights_bytes + LINE);
    fill_weights((float *)(void *)b.weights, b.weights_bytes);
    return b;
}

/* Places of the layer's values, in memory number `which`. */
static void use_values(struct bench *b, const struct places *p, int which, void **buffer)
{
    size_t bytes = 0;
    for (int i = 0; i < p->n; i++)
        bytes += room_for(p->at[i].buffer) + GAP;
    if (bytes > b->values_bytes) {
        b->values_bytes = bytes;
        b->values[0] = aligned(b->arena, bytes);
        b->values[1] = aligned(b->arena, bytes);
    }
    place_values(p, b->values[which], buffer);
}

double bench_time(struct bench *b, const struct candidate *c, int turns)
{
    void *buffer[MOST_PLACES];
    struct places places;
    find_places(c->stage, &places);
    use_values(b, &places, 0, buffer);
    write_values(&places, buffer);
    double took = 0;
    for (int i = 0; i < turns; i++) {
        place_weights(b, &places, buffer);
        double begin = seconds_now();
        c->run(buffer);
        took += seconds_now() - begin;
    }
    return took / turns;
}

/* The result, which the last kernel writes. */
static int result_of(const struct places *p)
{
    int last = p->n - 1;
    while (p->at[last].buffer->dir == DIR_IN)
        last--;
    return last;
}

static void run_once(struct bench *b, const struct candidate *c, struct places *p, void **buffer)
{
    for (int i = 0; i < p->n; i++)
        if (p->at[i].buffer->dir == DIR_OUT)
            memset(buffer[i], 0xff, room_for(p->at[i].buffer));
    b->at = 0; /* both read the same weights */
    place_weights(b, p, buffer);
    write_values(p, buffer);
    c->run(buffer);
}

bool bench_same(struct bench *b, const struct candidate *c, const struct candidate *d)
{
    void *first[MOST_PLACES], *second[MOST_PLACES];
    struct places *p = NEW_ARRAY(b->scratch, struct places, 2);
    find_places(c->stage, &p[0]);
    find_places(d->stage, &p[1]);
    for (int i = 0; i < 2; i++) /* the second may want more room than there was for the first */
        use_values(b, &p[0], 0, first), use_values(b, &p[1], 1, second);
    run_once(b, c, &p[0], first);
    run_once(b, d, &p[1], second);
    int x = result_of(&p[0]), y = result_of(&p[1]);
    return memcmp(first[x], second[y], room_for(p[0].at[x].buffer)) == 0;
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
