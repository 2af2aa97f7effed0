/* --tensor: arrays in, arrays or answers out. N other than the network's batch runs in turns; the last turn is
 * filled with zeros. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

static bool shape_is(const struct npy *npy, int skip, const struct netc_tensor *tensor)
{
    return npy->rank == tensor->rank + skip &&
           memcmp(npy->shape + skip, tensor->shape, (size_t)tensor->rank * sizeof *tensor->shape) == 0;
}

/* How many images the array holds. */
static int64_t check_shape(const struct npy *npy, const struct netc_tensor *tensor)
{
    if (!shape_is(npy, 0, tensor) && !shape_is(npy, 1, tensor)) {
        const char *shape = shape_text(tensor->rank, tensor->shape);
        fail("%s: wrong shape for '%s': expected %s or [N%s%s, found %s", npy->path, tensor->name, shape,
             tensor->rank ? "," : "", shape + 1, shape_text(npy->rank, npy->shape));
    }
    return npy->rank > tensor->rank ? npy->shape[0] : 1;
}

struct npy *tensors_open(const struct options *options, int64_t *count)
{
    struct npy *npy = allocate(netc_model.n_input, sizeof *npy, "the inputs");
    for (int i = 0; i < netc_model.n_input; i++) {
        npy_open(&npy[i], options->tensor[i]);
        const int64_t n = check_shape(&npy[i], &netc_model.input[i]);
        if (i > 0 && n != *count) {
            fail("%s holds %lld images, %s holds %lld", npy[0].path, (long long)*count, npy[i].path, (long long)n);
        }
        *count = n;
    }
    return npy;
}

void tensors_close(struct npy *npy)
{
    for (int i = 0; i < netc_model.n_input; i++) {
        npy_close(&npy[i]);
    }
    free(npy);
}

void tensors_fill(struct npy *npy, struct session *session, int64_t take)
{
    for (int i = 0; i < netc_model.n_input; i++) {
        const int64_t n = netc_model.input[i].elements;
        npy_read(&npy[i], session->input[i], take * n);
        memset(session->input[i] + take * n, 0, (size_t)((netc_model.batch - take) * n) * sizeof(float));
    }
}

static void run_turns(struct npy *npy, int64_t count, float **result, int threads)
{
    struct session session = session_open();
    for (int64_t first = 0; first < count; first += netc_model.batch) {
        const int64_t take = count - first < netc_model.batch ? count - first : netc_model.batch;
        tensors_fill(npy, &session, take);
        session_run(&session, threads);
        for (int i = 0; i < netc_model.n_output; i++) {
            const int64_t n = netc_model.output[i].elements;
            memcpy(result[i] + first * n, session.output[i], (size_t)(take * n) * sizeof(float));
        }
    }
    session_close(&session);
}

static void print_answers(int64_t count, float *const *result, int top)
{
    for (int64_t image = 0; image < count; image++) {
        if (count > 1) {
            printf("%s%lld:\n", image ? "\n" : "", (long long)image + 1);
        }
        for (int i = 0; i < netc_model.n_output; i++) {
            print_answer(&netc_model.output[i], result[i] + image * netc_model.output[i].elements, top);
        }
    }
}

static void json_answers(int64_t count, float *const *result, int top)
{
    json_t *all = json_array();
    for (int64_t image = 0; image < count; image++) {
        json_t *one = json_object();
        for (int i = 0; i < netc_model.n_output; i++) {
            const float *values = result[i] + image * netc_model.output[i].elements;
            json_object_set_new(one, netc_model.output[i].name, json_answer(&netc_model.output[i], values, top));
        }
        json_array_append_new(all, one);
    }
    print_json(json_pack("{s:s, s:o}", "network", netc_model.name, "answers", all));
}

void run_tensors(const struct options *options)
{
    int64_t count = 0;
    struct npy *npy = tensors_open(options, &count);
    FILE *file = options->output ? output_begin(options->output) : NULL; /* before the work: it may not be writable */
    float **result = allocate(netc_model.n_output, sizeof *result, "the outputs");
    for (int i = 0; i < netc_model.n_output; i++) {
        result[i] = allocate_aligned(tensor_bytes(count, &netc_model.output[i]), "the outputs");
    }
    run_turns(npy, count, result, options->threads);
    if (!file) {
        (options->json ? json_answers : print_answers)(count, result, options->top);
    } else {
        if (ends_with(options->output, ".safetensors")) {
            safetensors_write(file, count, netc_model.output, netc_model.n_output, result);
        } else {
            npy_write(file, count, &netc_model.output[0], result[0]);
        }
        output_end();
    }
    for (int i = 0; i < netc_model.n_output; i++) {
        free(result[i]);
    }
    free(result);
    tensors_close(npy);
}
