/* The search: batch after batch of schedules is compiled and measured until the time is over.
 *
 * A batch has, of each kind of layer, the model's schedule, the best so far, and some that nobody has tried, those near the best
 * first; kinds on which the network spends more time get more. All of a batch are timed in turn, round by round, so that what
 * disturbs the machine hits all alike. The last fifth of the time goes to the best three of each kind and the model's once
 * more: the fastest of many is partly the luckiest, so only what wins again, by the rule of samples_beat(), is taken.
 *
 * After a signal nothing new is begun, and what was measured counts.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "children.h"
#include "progress.h"
#include "tune/tune.h"

enum { LEAST_ROUNDS = 8, BATCH = 96, FINALISTS = 3, MOST_TURNS = 64 };
static const double last_share = 0.2, worth_it = 0.995, least_measured = 0.5, sample_seconds = 20e-6;

struct entry { /* a schedule in a batch */
    struct kind *kind;
    size_t trial;
};
struct batch {
    struct entry *entry; /* those of a kind together */
    size_t n, capacity;
};

static double left(const struct tuning *t)
{
    return t->seconds - (seconds_now() - t->begin);
}

double kind_best_seconds(const struct kind *k)
{
    return k->model_seconds * (k->best ? k->trial[k->best].ratio : 1);
}

void tuning_total(const struct tuning *t, double *model, double *best)
{
    *model = *best = 0;
    for (size_t i = 0; i < t->n_kind; i++) {
        *model += t->kind[i].layers * t->kind[i].model_seconds;
        *best += t->kind[i].layers * kind_best_seconds(&t->kind[i]);
    }
}

/* ---- kinds and trials ---- */

/* A trial of the schedule; false where another one gives the same kernel, or after a diagnostic. */
static bool add_trial(struct tuning *t, struct kind *k, const struct schedule *s)
{
    struct program p = *t->program;
    p.arena = t->arena;
    p.kernel = NULL, p.pack = NULL;
    p.n_kernel = p.cap_kernel = p.n_pack = p.cap_pack = 0;
    p.weights_bytes = 0;
    struct schedule own = k->node->schedule;
    k->node->schedule = *s;
    struct trial trial = {.schedule = *s, .way = {lower_node(&p, k->node, t->target), NULL}, .ratio = INFINITY};
    k->node->schedule = own;
    struct text text = {.arena = t->arena};
    for (const struct stage *stage = trial.way.stage; stage; stage = stage->next) {
        if (!kernel_verify(t->diags, stage->call->kernel))
            return false;
        text_add(&text, "%s\n", kernel_canonical(t->scratch, stage->call->kernel));
    }
    trial.text = text_string(&text);
    bool fresh = true;
    for (size_t i = 0; i < k->n_trial; i++)
        fresh = fresh && strcmp(trial.text, k->trial[i].text) != 0;
    trial.same = !fresh;
    PUSH(t->arena, k->trial, k->n_trial, k->cap_trial, trial);
    return fresh;
}

static bool find_kinds(struct tuning *t)
{
    for (size_t i = 0; i < t->graph->n_node; i++) {
        struct node *n = t->graph->node[i];
        if (!schedule_is_tuned(n->algorithm))
            continue;
        const char *signature = layer_signature(t->scratch, n);
        size_t k = 0;
        while (k < t->n_kind && (t->kind[k].signature != signature || t->kind[k].node->algorithm != n->algorithm))
            k++;
        if (k == t->n_kind)
            PUSH(t->arena, t->kind, t->n_kind, t->cap_kind, ((struct kind){.signature = signature, .node = n}));
        t->kind[k].layers++;
    }
    for (size_t k = 0; k < t->n_kind; k++)
        if (!add_trial(t, &t->kind[k], &t->kind[k].node->schedule))
            return false;
    return true;
}

static bool was_tried(const struct kind *k, const struct schedule *s)
{
    for (size_t i = 0; i < k->n_trial; i++)
        if (schedule_equal(&k->trial[i].schedule, s))
            return true;
    return false;
}

/* The next schedule for a kind, nearest to its best; false: there is none. */
static bool next_trial(struct tuning *t, struct kind *k)
{
    if (!k->list.at || k->near != k->best) {
        k->near = k->best;
        k->next = 0;
        k->list = schedule_candidates(t->arena, k->node, t->target, &k->trial[k->best].schedule);
    }
    while (k->next < k->list.n && !diag_errors(t->diags)) {
        const struct schedule *s = &k->list.at[k->next++];
        if (!was_tried(k, s) && add_trial(t, k, s))
            return true;
    }
    return false;
}

/* What a further schedule of this kind promises: the time of its layers, by how many were tried. */
static double promise(const struct kind *k)
{
    double time = k->model_seconds ? kind_best_seconds(k) : 1e-11 * (double)node_macs(k->node);
    return k->layers * (time + 1e-6) / (double)k->n_trial;
}

/* ---- batches ---- */

static void add_entry(struct tuning *t, struct batch *b, struct kind *k, size_t trial)
{
    k->trial[trial].samples.n = 0;
    PUSH(t->scratch, b->entry, b->n, b->capacity, ((struct entry){k, trial}));
}

/* Up to n new schedules; then all kinds that have some, or none of which is measured yet, with their best and the model's. */
static struct batch plan_batch(struct tuning *t, size_t n)
{
    struct batch b = {0};
    size_t *before = NEW_ARRAY(t->scratch, size_t, t->n_kind + 1);
    bool *done = NEW_ARRAY(t->scratch, bool, t->n_kind + 1);
    for (size_t i = 0; i < t->n_kind; i++)
        before[i] = t->kind[i].n_trial;
    for (size_t added = 0; added < n;) {
        size_t most = t->n_kind;
        for (size_t i = 0; i < t->n_kind; i++)
            if (!done[i] && (most == t->n_kind || promise(&t->kind[i]) > promise(&t->kind[most])))
                most = i;
        if (most == t->n_kind)
            break;
        done[most] = !next_trial(t, &t->kind[most]);
        added += !done[most];
    }
    for (size_t i = 0; i < t->n_kind; i++) {
        struct kind *k = &t->kind[i];
        if (k->n_trial == before[i] && k->model_seconds)
            continue;
        add_entry(t, &b, k, 0);
        if (k->best)
            add_entry(t, &b, k, k->best);
        for (size_t j = before[i]; j < k->n_trial; j++)
            if (!k->trial[j].same)
                add_entry(t, &b, k, j);
    }
    return b;
}

static bool compile_batch(struct tuning *t, const struct batch *b)
{
    struct candidate *c = NEW_ARRAY(t->scratch, struct candidate, b->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        if (!b->entry[i].kind->trial[b->entry[i].trial].way.run)
            c[n++] = b->entry[i].kind->trial[b->entry[i].trial].way;
    if (n && !library_make(&t->maker, t->scratch, c, n))
        return false;
    n = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct trial *trial = &b->entry[i].kind->trial[b->entry[i].trial];
        if (!trial->way.run)
            trial->way.run = c[n++].run;
    }
    return true;
}

bool same_bits(struct tuning *t, const struct kind *k, const struct trial *model, const struct trial *other)
{
    if (bench_same(&t->bench, &model->way, &other->way))
        return true;
    diag_error_file(t->diags, CHECK_tune_bits, t->graph->file,
                    "this is a defect of netc: %s and %s give other bits for %s",
                    schedule_words(t->scratch, k->node, &model->schedule),
                    schedule_words(t->scratch, k->node, &other->schedule), k->signature);
    return false;
}

static bool check_bits(struct tuning *t, const struct batch *b)
{
    for (size_t i = 0; i < b->n && !temporary_interrupted(); i++) {
        struct kind *k = b->entry[i].kind;
        struct trial *model = &k->trial[0], *other = &k->trial[b->entry[i].trial];
        if (other->checked || other == model)
            continue;
        other->checked = true;
        t->tried++;
        if (!same_bits(t, k, model, other))
            return false;
    }
    return true;
}

static void choose_turns(struct tuning *t, struct kind *k)
{
    const struct trial *model = &k->trial[0];
    bench_time(&t->bench, &model->way, 1);
    double took = bench_time(&t->bench, &model->way, 1);
    k->turns = took > 0 ? (int)fmin(MOST_TURNS, ceil(sample_seconds / took)) : MOST_TURNS;
}

static void add_sample(struct tuning *t, struct entry e)
{
    struct trial *trial = &e.kind->trial[e.trial];
    double second = bench_time(&t->bench, &trial->way, e.kind->turns);
    if (trial->samples.n == trial->samples.capacity) {
        size_t capacity = (size_t)trial->samples.capacity;
        trial->samples.second =
            arena_grow(t->arena, trial->samples.second, (size_t)trial->samples.n, &capacity, sizeof(double));
        trial->samples.capacity = (int)capacity;
    }
    trial->samples.second[trial->samples.n++] = second;
}

/* Entries [first, end) are those of one kind; another one begins each round. */
static void one_round(struct tuning *t, const struct batch *b, int round)
{
    for (size_t first = 0, end; first < b->n; first = end) {
        for (end = first; end < b->n && b->entry[end].kind == b->entry[first].kind;)
            end++;
        for (size_t i = 0; i < end - first && !temporary_interrupted(); i++)
            add_sample(t, b->entry[first + (i + (size_t)round) % (end - first)]);
    }
}

static void judge(struct tuning *t, const struct batch *b, int rounds)
{
    for (size_t i = 0; i < b->n; i++) {
        struct kind *k = b->entry[i].kind;
        struct trial *model = &k->trial[0], *other = &k->trial[b->entry[i].trial];
        model->samples.n = rounds; /* a signal may have come between one and the next */
        other->samples.n = rounds;
        if (other == model) {
            k->model_seconds = samples_time(&model->samples, t->scratch);
            k->best = 0;
            continue;
        }
        other->wins = samples_beat(&model->samples, &other->samples, t->scratch, &other->ratio);
        if (other->wins && (!k->best || other->ratio < k->trial[k->best].ratio))
            k->best = b->entry[i].trial;
    }
}

/* At least LEAST_ROUNDS, then until so many seconds are over. Judged if there were enough. */
static void measure_batch(struct tuning *t, const struct batch *b, double seconds)
{
    double begin = seconds_now();
    int rounds = 0;
    for (size_t i = 0; i < b->n; i++)
        if (!b->entry[i].kind->turns)
            choose_turns(t, b->entry[i].kind);
    while (!temporary_interrupted() && rounds < MOST_ROUNDS &&
           (rounds < LEAST_ROUNDS || seconds_now() - begin < seconds)) {
        one_round(t, b, rounds);
        rounds += !temporary_interrupted();
        tune_progress(t, "measuring");
    }
    if (rounds >= LEAST_ROUNDS)
        judge(t, b, rounds);
}

/* Those that beat the model's most, or came near it, and the model's; kinds that have none stay with the model. */
static struct batch plan_last(struct tuning *t)
{
    struct batch b = {0};
    for (size_t i = 0; i < t->n_kind; i++) {
        struct kind *k = &t->kind[i];
        bool *taken = NEW_ARRAY(t->scratch, bool, k->n_trial);
        for (int f = 0; f < FINALISTS; f++) {
            size_t best = 0;
            for (size_t j = 1; j < k->n_trial; j++)
                if (!taken[j] && k->trial[j].way.run && k->trial[j].ratio < worth_it &&
                    (!best || k->trial[j].ratio < k->trial[best].ratio))
                    best = j;
            if (best && f == 0)
                add_entry(t, &b, k, 0);
            if (best)
                add_entry(t, &b, k, best);
            taken[best] = true;
        }
    }
    return b;
}

/* ---- all of it ---- */

/* False when nothing was left to be tried, or after a diagnostic or a signal. */
static bool one_batch(struct tuning *t, size_t n, double *seconds_a_kernel)
{
    struct batch b = plan_batch(t, n);
    if (!b.n || diag_errors(t->diags))
        return false;
    tune_progress(t, "compiling");
    double begin = seconds_now();
    size_t fresh = 1;
    for (size_t i = 0; i < b.n; i++)
        fresh += !b.entry[i].kind->trial[b.entry[i].trial].way.run;
    if (!compile_batch(t, &b) || !check_bits(t, &b))
        return false;
    double compiled = seconds_now() - begin;
    *seconds_a_kernel = compiled / (double)fresh;
    measure_batch(t, &b, fmax(least_measured, fmin(compiled, left(t) - last_share * t->seconds)));
    arena_reset(t->scratch);
    return !temporary_interrupted();
}

bool tune_search(struct tuning *t)
{
    double seconds_a_kernel = 0;
    t->begin = seconds_now();
    if (!find_kinds(t))
        return false;
    t->bench = bench_open(t->arena, (size_t)t->program->weights_bytes);
    t->bench.scratch = t->scratch;
    size_t n =
        t->n_kind; /* the first is a small one: what it costs is not known, and it makes an early end worth something */
    while (t->n_kind && one_batch(t, n, &seconds_a_kernel)) {
        double spare = left(t) - last_share * t->seconds - least_measured;
        n = (size_t)fmin(BATCH, fmax(0, 0.5 * spare / seconds_a_kernel));
        if (n < 4)
            break;
    }
    if (diag_errors(t->diags))
        return false;
    if (!temporary_interrupted() && t->n_kind) {
        struct batch b = plan_last(t);
        measure_batch(t, &b, left(t));
    }
    t->took = seconds_now() - t->begin;
    progress_end();
    return !diag_errors(t->diags);
}
