/* PROG IMAGE...: pictures in, what the network says of them out, in the order of the arguments.
 *
 * Pictures go in turns of netc_model.batch. With at least as many turns as threads, every thread takes the next turn,
 * reads, decodes and prepares its pictures and runs the network on them alone, as --dataset does: decoding and network
 * share the cores by themselves whatever the proportion of the two, nothing is handed over between caches, and no
 * thread waits for another but for its place in the ring. The other design, threads that decode for a network that all
 * cores share, waits at the network's barriers for whoever is slowest: with resnet50 and photographs of 2 megapixels
 * it took a sixth more processor time on two cores, and up to twice as long while other programs ran beside it. With
 * fewer turns than threads cores would be idle; only then are the pictures of a round decoded in parallel first, and
 * all threads share each turn of the network after that. The answers are the same bits either way.
 *
 * Answers are told in order: who finishes the turn that is next tells it and all behind it that are done, while the
 * others go on. A ring of turns bounds how far they may run ahead, and so the memory, however many pictures there are.
 * Nothing in a thread ends the program because of a picture: it is a line on stderr, in its turn.
 */
#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

enum { RING_PER_THREAD = 2 };

struct turn { /* one batch on its way */
    bool done;
    char (*why)[WHY_ROOM]; /* of each picture: "", or why it cannot be answered */
    float **output;
};

struct run {
    const struct options *options;
    const struct listing *list;
    struct answers answers;
    int64_t turns, claimed, told; /* all of them; begun; told */
    struct turn *ring;
    int64_t room; /* of the ring: turn i is ring[i % room], from when it is claimed until it is told */
    pthread_mutex_t lock; /* of claimed, told, telling, stop and every done */
    pthread_cond_t freed;
    bool telling, stop; /* a thread is at it; nothing more can be told */
};

static int64_t turn_size(const struct run *run, int64_t number)
{
    const int64_t left = run->list->count - number * netc_model.batch;
    return left < netc_model.batch ? left : netc_model.batch;
}

/* The number of a turn to work on, once there is room for it in the ring; -1: there is nothing more to do. The oldest
 * turn that is not told never waits here, so the ring always moves on. */
static int64_t claim_turn(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    const int64_t number = run->claimed < run->turns ? run->claimed++ : -1;
    while (number >= run->told + run->room && !run->stop) {
        pthread_cond_wait(&run->freed, &run->lock);
    }
    const bool stop = run->stop;
    pthread_mutex_unlock(&run->lock);
    return stop ? -1 : number;
}

static void finish_turn(struct run *run, int64_t number)
{
    pthread_mutex_lock(&run->lock);
    run->ring[number % run->room].done = true;
    while (!run->telling && !run->stop && run->ring[run->told % run->room].done) {
        struct turn *turn = &run->ring[run->told % run->room];
        run->telling = true;
        pthread_mutex_unlock(&run->lock);
        answers_tell(&run->answers, run->told * netc_model.batch, (int)turn_size(run, run->told), turn->why,
                     turn->output);
        pthread_mutex_lock(&run->lock);
        run->telling = false;
        run->stop = run->answers.error != 0;
        turn->done = false;
        run->told++;
        pthread_cond_broadcast(&run->freed);
    }
    pthread_mutex_unlock(&run->lock);
}

void picture_from_file(const char *path, bool exif, float *input, char why[WHY_ROOM])
{
    size_t n;
    struct picture decoded = {0};
    uint8_t *bytes = file_bytes(path, &n, why, WHY_ROOM);
    if (!bytes) {
        return;
    }
    const char *wrong = picture_decode(bytes, n, exif, &decoded, why, WHY_ROOM);
    free(bytes);
    if (!wrong) {
        wrong = picture_to_tensor(&netc_model.input[0], &decoded, input, why, WHY_ROOM);
        free(decoded.rgb);
    }
    if (wrong != why) {
        snprintf(why, WHY_ROOM, "%s", wrong ? wrong : "");
    }
}

static void prepare(const struct run *run, int64_t picture, float *input, char why[WHY_ROOM])
{
    picture_from_file(run->list->path[picture], run->options->exif, input, why);
}

/* The network on what stands in the session's input, unless nothing does. */
static void run_turn(struct run *run, int64_t number, struct session *session, int threads)
{
    struct turn *turn = &run->ring[number % run->room];
    const int64_t take = turn_size(run, number);
    bool any = false;
    for (int64_t i = 0; i < take; i++) {
        any |= !*turn->why[i];
    }
    if (any) {
        session_run(session, threads);
    }
    for (int i = 0; i < netc_model.n_output; i++) {
        memcpy(turn->output[i], session->output[i], (size_t)tensor_bytes(take, &netc_model.output[i]));
    }
    finish_turn(run, number);
}

/* Every thread for itself. */
static void classify_apart(struct run *run, int threads)
{
    struct session *session = allocate(threads, sizeof *session, "the threads");
    for (int i = 0; i < threads; i++) {
        session[i] = session_open();
    }
#pragma omp parallel num_threads(threads)
    {
        struct session *mine = &session[omp_get_thread_num()];
        for (int64_t number; (number = claim_turn(run)) >= 0;) {
            const struct turn *turn = &run->ring[number % run->room];
            for (int64_t i = 0; i < turn_size(run, number); i++) {
                prepare(run, number * netc_model.batch + i, mine->input[0] + i * netc_model.input[0].elements,
                        turn->why[i]);
            }
            run_turn(run, number, mine, 1);
        }
    }
    for (int i = 0; i < threads; i++) {
        session_close(&session[i]);
    }
    free(session);
}

/* Rounds of as many turns as the ring holds: first all threads decode, then all share the network. (It is always the
 * same team of threads, even where there are fewer pictures: libomp loses memory whenever a team grows or shrinks.) */
static void classify_together(struct run *run, int threads)
{
    const int64_t batch = netc_model.batch, elements = netc_model.input[0].elements;
    float *prepared = allocate_aligned(tensor_bytes(run->room * batch, &netc_model.input[0]), "the pictures");
    struct session session = session_open();
    for (int64_t first = 0; first < run->turns && !run->stop; first += run->room) {
        const int64_t turns = run->turns - first < run->room ? run->turns - first : run->room;
        const int64_t left = run->list->count - first * batch, count = left < turns * batch ? left : turns * batch;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
        for (int64_t i = 0; i < count; i++) {
            prepare(run, first * batch + i, prepared + i * elements,
                    run->ring[(first + i / batch) % run->room].why[i % batch]);
        }
        for (int64_t i = 0; i < turns && claim_turn(run) >= 0; i++) {
            memcpy(session.input[0], prepared + i * batch * elements,
                   (size_t)tensor_bytes(turn_size(run, first + i), &netc_model.input[0]));
            run_turn(run, first + i, &session, threads);
        }
    }
    session_close(&session);
    free(prepared);
}

static void open_ring(struct run *run)
{
    run->ring = allocate(run->room, sizeof *run->ring, "the answers");
    for (int64_t i = 0; i < run->room; i++) {
        struct turn *turn = &run->ring[i];
        turn->why = allocate(netc_model.batch, sizeof *turn->why, "the answers");
        turn->output = allocate(netc_model.n_output, sizeof *turn->output, "the answers");
        for (int k = 0; k < netc_model.n_output; k++) {
            turn->output[k] = allocate_aligned(tensor_bytes(netc_model.batch, &netc_model.output[k]), "the answers");
        }
    }
}

static void close_ring(struct run *run)
{
    for (int64_t i = 0; i < run->room; i++) {
        for (int k = 0; k < netc_model.n_output; k++) {
            free(run->ring[i].output[k]);
        }
        free(run->ring[i].output);
        free(run->ring[i].why);
    }
    free(run->ring);
}

static void classify(struct run *run)
{
    const int threads = run->options->threads, batch = netc_model.batch;
    const bool apart = run->turns >= threads;
    run->room = apart ? (int64_t)threads * RING_PER_THREAD : (threads + batch - 1) / batch;
    run->room = run->room < run->turns ? run->room : run->turns;
    pthread_mutex_init(&run->lock, NULL);
    pthread_cond_init(&run->freed, NULL);
    open_ring(run);
    (apart ? classify_apart : classify_together)(run, threads);
    close_ring(run);
    pthread_cond_destroy(&run->freed);
    pthread_mutex_destroy(&run->lock);
}

void check_pictures_fit(void)
{
    const struct netc_tensor *input = netc_model.input;
    if (netc_model.n_input != 1) {
        fail("pictures need a network of one input, this has %d: use --tensor=NAME:FILE.npy for each",
             netc_model.n_input);
    }
    if (!input->n_step) {
        fail("the description does not say how a picture becomes the input '%s' %s (from picture): use "
             "--tensor=FILE.npy",
             input->name, shape_text(input->rank, input->shape));
    }
}

static void check_network(const struct options *options)
{
    const struct netc_tensor *output = netc_model.output;
    check_pictures_fit();
    if (options->quiet && !options->output && output->rank != 1) {
        fail("--quiet prints the best class, and '%s' %s is no vector of classes: use --json or --output", output->name,
             shape_text(output->rank, output->shape));
    }
}

bool run_pictures(const struct options *options)
{
    check_network(options);
    struct listing list = list_pictures(options->picture, options->n_picture);
    bool good = list.complaints == 0;
    if (list.count > 0) {
        struct run run = {
            .options = options,
            .list = &list,
            .turns = (list.count + netc_model.batch - 1) / netc_model.batch,
            .answers = answers_begin(options, &list),
        };
        classify(&run);
        answers_end(&run.answers);
        good &= run.answers.complaints == 0;
    }
    free_listing(&list);
    return good;
}
