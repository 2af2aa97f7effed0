/* How many threads may be started here. A container or `ulimit -u` may allow fewer than there are cores, and libomp
 * ends the program in its own words when it cannot have as many as it was asked for: so they are tried beforehand,
 * which costs some ten microseconds each. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <stdlib.h>

#include "runtime.h"

enum { MORE_STACK = 1 << 20 }; /* than libomp's threads have, which is what `ulimit -s` says */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

/* The first allocation of a thread reserves address space of its own, which `ulimit -v` counts, too. */
static void *wait_at_gate(void *unused)
{
    void *volatile memory = malloc(1);
    free(memory);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return unused;
}

/* Of `wanted` threads, this one among them; *error says why there are no more. */
static int start_threads(int wanted, int *error)
{
    pthread_t *thread = allocate(wanted, sizeof *thread, "the threads");
    pthread_attr_t attributes;
    size_t stack;
    pthread_attr_init(&attributes);
    pthread_attr_getstacksize(&attributes, &stack);
    pthread_attr_setstacksize(&attributes, stack + MORE_STACK);
    int started = 0;
    *error = 0;
    pthread_mutex_lock(&gate); /* all are alive at once, as they will be later */
    while (started < wanted - 1 && !*error) {
        *error = pthread_create(&thread[started], &attributes, wait_at_gate, NULL);
        started += *error == 0;
    }
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < started; i++) {
        pthread_join(thread[i], NULL);
    }
    pthread_attr_destroy(&attributes);
    free(thread);
    return started + 1;
}

void settle_threads(struct options *options)
{
    int error;
    const int count = start_threads(options->threads, &error);
    if (error && options->threads_given) {
        fail("--threads=%d: this process may start only %d here (%s)", options->threads, count, strerror(error));
    }
    options->threads = count;
}
