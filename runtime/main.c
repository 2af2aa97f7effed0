/* The program around a network: reads the options, makes sure of the processor, does the one thing asked for. */
#include <jansson.h>
#include <omp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime.h"

/* libomp marks its process in /dev/shm, or in /tmp where it has not got that. One that was killed may leave its mark
 * there, and an empty one (as the disk was full) ends the next process of the same number with SIGBUS: no mark of this
 * number can be alive before libomp is. Its own mark, of use only where a second libomp is loaded, goes as soon as it is
 * made. */
static void forget_mark(void)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/__KMP_REGISTERED_LIB_%d_%d", (int)getpid(), (int)getuid());
    shm_unlink(path + strlen("/tmp"));
    unlink(path);
}

static void begin_openmp(void)
{
    forget_mark();
    omp_get_max_threads(); /* libomp begins */
    forget_mark();
}

int main(int argc, char **argv)
{
    bool good = true;
    claim_descriptors();
    json_set_alloc_funcs(allocate_json, free);
    signal(SIGXFSZ, SIG_IGN); /* a limit of files is told like a full disk */
    struct options options = read_options(argc, argv);
    if (options.mode != MODE_INFO && options.mode != MODE_LAYERS) {
        begin_openmp();
        network_open(&options);
        settle_threads(&options);
    }
    switch (options.mode) {
    case MODE_PICTURES: good = options.n_dump ? run_dump(&options) : run_pictures(&options); break;
    case MODE_TENSOR: options.n_dump ? (void)run_dump(&options) : run_tensors(&options); break;
    case MODE_DATASET: run_dataset(&options); break;
    case MODE_BENCH: run_bench(&options); break;
    case MODE_INFO: print_info(&options); break;
    case MODE_LAYERS: list_layers(&options); break;
    case MODE_NONE: fail_usage("nothing to do: give pictures, --tensor, --dataset, --bench, --profile or --info");
    }
    network_close();
    finish_stdout();
    free_options(&options);
    return good ? 0 : 1;
}
