/* The forward again, layer by layer, with a clock: the stages, parts and barriers of the compiled one (see `forward`
 * in NAME.c), walked through the tables of model.h, so that it computes the same bits.
 *
 * A thread reads the clock once after each task of a layer (after the last one, where the stage has one layer alone
 * and no events are wanted) and after each wait; what lies between two readings belongs to what just ended. So no
 * time is lost: over the threads, tasks and waits add up to the run. A reading takes 20 to 40 ns; clock_cost()
 * measures it, for those who want to take it off. Each thread keeps its sums and events in memory of its own, which
 * is read when all are done.
 */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

struct thread { /* while it runs */
    double clock; /* the last reading */
    double *busy, *waiting; /* seconds: layers, stages and the end */
    struct event *event; /* the next one; NULL: none are kept */
};

enum { LINE = 64 / sizeof(double) };

static int64_t row_length(void)
{
    const int64_t n = network.variant->n_layer + network.variant->n_stage + 1;
    return (n + LINE - 1) / LINE * LINE;
}

static int tasks_of(const struct netc_stage *stage)
{
    return stage->tasks[0] * stage->tasks[1];
}

void run_task(const struct session *session, const struct netc_stage *stage, int layer, int task)
{
    const int tasks = tasks_of(stage), n = task / tasks, rest = task % tasks;
    network.variant->call(layer, network.weights.weights,
                          (char *)session->workspace + (size_t)n * (size_t)network.variant->workspace_bytes,
                          (const float *const *)session->input, session->output, n, rest / stage->tasks[1],
                          rest % stage->tasks[1]);
}

int batch_tasks(const struct netc_stage *stage)
{
    return netc_model.batch * tasks_of(stage);
}

/* Where the part of thread `me` begins: as part() of the compiled forward has it. */
static int part_begin(int tasks, int me, int all)
{
    return (int)((int64_t)tasks * me / all);
}

/* ---- a thread ---- */

/* What ended now, whatever it was. */
static void note(struct thread *thread, double *sum, int layer, int task)
{
    const double time = now();
    *sum += time - thread->clock;
    if (thread->event) {
        *thread->event++ = (struct event){thread->clock, time, layer, task};
    }
    thread->clock = time;
}

/* How many events threads before `me` may keep: their tasks, a wait a stage, the start and the end. */
static int64_t events_before(int me, int all)
{
    int64_t n = (int64_t)me * (network.variant->n_stage + 2);
    for (int s = 0; s < network.variant->n_stage; s++) {
        const struct netc_stage *stage = &network.variant->stage[s];
        n += (int64_t)stage->n_layer * part_begin(batch_tasks(stage), me, all);
    }
    return n;
}

static struct thread enter(struct watch *watch, int me, int all)
{
    double *row = watch->rows + me * row_length();
    memset(row, 0, (size_t)row_length() * sizeof *row);
    struct thread thread = {.clock = watch->begin, .busy = row, .waiting = row + network.variant->n_layer};
    if (watch->event) {
        watch->first[me] = events_before(me, all);
        thread.event = watch->event + watch->first[me];
    }
    note(&thread, &thread.waiting[0], WAITED - 0, 0); /* until it was started */
    return thread;
}

static void run_stage(struct thread *thread, const struct session *session, int s, int me, int all)
{
    const struct netc_stage *stage = &network.variant->stage[s];
    if (stage->barrier) {
#pragma omp barrier
        note(thread, &thread->waiting[s], WAITED - s, 0);
    }
    const int n = batch_tasks(stage), end = part_begin(n, me + 1, all);
    for (int task = part_begin(n, me, all); task < end; task++) {
        for (int layer = stage->layer; layer < stage->layer + stage->n_layer; layer++) {
            run_task(session, stage, layer, task);
            if (stage->n_layer > 1 || thread->event || task + 1 == end) {
                note(thread, &thread->busy[layer], layer, task);
            }
        }
    }
}

/* ---- a run ---- */

void watch_open(struct watch *watch, int threads, bool events)
{
    const struct netc_variant *v = network.variant;
    *watch = (struct watch){.threads = threads};
    watch->rows = allocate_aligned(threads * row_length() * (int64_t)sizeof *watch->rows, "the times of the threads");
    watch->last = allocate(threads, sizeof *watch->last, "the times of the threads");
    watch->busy = allocate(v->n_layer, sizeof *watch->busy, "the times of the layers");
    watch->waiting = allocate(v->n_stage + 1, sizeof *watch->waiting, "the times of the stages");
    if (events) {
        watch->event = allocate(events_before(threads, threads), sizeof *watch->event, "the events of a run");
        watch->first = allocate(threads, sizeof *watch->first, "the events of a run");
        watch->count = allocate(threads, sizeof *watch->count, "the events of a run");
    }
}

void watch_close(struct watch *watch)
{
    free(watch->rows);
    free(watch->last);
    free(watch->busy);
    free(watch->waiting);
    free(watch->event);
    free(watch->first);
    free(watch->count);
}

double clock_cost(void)
{
    enum { READINGS = 1000, TRIES = 8 };
    double least = 1;
    for (int i = 0; i < TRIES; i++) {
        const double begin = now();
        for (int k = 1; k < READINGS; k++) {
            now();
        }
        const double cost = (now() - begin) / READINGS;
        least = cost < least ? cost : least;
    }
    return least;
}

int64_t clock_readings(const struct watch *watch, const struct netc_stage *stage)
{
    const int tasks = batch_tasks(stage);
    return stage->n_layer > 1 || watch->event || tasks < watch->took_part ? tasks : watch->took_part;
}

/* Threads that are done wait for the last one, which nobody but the end of the run tells. */
static void add_up(struct watch *watch)
{
    const struct netc_variant *v = network.variant;
    memset(watch->busy, 0, (size_t)v->n_layer * sizeof *watch->busy);
    memset(watch->waiting, 0, (size_t)(v->n_stage + 1) * sizeof *watch->waiting);
    for (int t = 0; t < watch->took_part; t++) {
        struct thread thread = {.clock = watch->last[t], .busy = watch->rows + t * row_length()};
        thread.waiting = thread.busy + v->n_layer;
        thread.waiting[v->n_stage] = watch->end - thread.clock;
        if (watch->event) {
            watch->event[watch->first[t] + watch->count[t]++] =
                (struct event){thread.clock, watch->end, WAITED - v->n_stage, 0};
        }
        for (int layer = 0; layer < v->n_layer; layer++) {
            watch->busy[layer] += thread.busy[layer];
        }
        for (int stage = 0; stage <= v->n_stage; stage++) {
            watch->waiting[stage] += thread.waiting[stage];
        }
    }
}

void watch_run(struct watch *watch, const struct session *session)
{
    watch->begin = now();
#pragma omp parallel num_threads(watch->threads)
    {
        const int me = omp_get_thread_num(), all = omp_get_num_threads();
        const uint32_t mode = network.variant->enter();
        struct thread thread = enter(watch, me, all);
        for (int s = 0; s < network.variant->n_stage; s++) {
            run_stage(&thread, session, s, me, all);
        }
        network.variant->leave(mode);
        watch->last[me] = thread.clock;
        if (watch->event) {
            watch->count[me] = thread.event - (watch->event + watch->first[me]);
        }
        if (me == 0) {
            watch->took_part = all;
        }
    }
    watch->end = now();
    add_up(watch);
}
