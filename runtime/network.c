/* The network as a caller sees it: the code for this processor, the weights; then workspace, inputs and outputs for one
 * batch. */
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

struct network network;

static const struct netc_variant *variant_called(const char *name)
{
    char known[256];
    int length = 0;
    for (int i = 0; i < netc_model.n_variant; i++) {
        const struct netc_variant *variant = netc_model.variant[i];
        if (strcmp(variant->target, name) == 0) {
            return variant;
        }
        length += snprintf(known + length, sizeof known - (size_t)length, "%s%s", i ? ", " : "", variant->target);
    }
    fail_usage("--target=%s: this program has the code of %s", name, known);
}

const struct netc_variant *network_variant(const struct options *options, const char **missing)
{
    const struct netc_variant *variant = NULL;
    *missing = NULL;
    if (options->target) {
        variant = variant_called(options->target);
        *missing = variant->lacks ? variant->lacks() : NULL;
        return variant;
    }
    for (int i = 0; i < netc_model.n_variant; i++) {
        variant = netc_model.variant[i];
        *missing = variant->lacks ? variant->lacks() : NULL;
        if (!*missing) {
            return variant;
        }
    }
    return variant;
}

void network_open(const struct options *options)
{
    const char *missing;
    network.variant = network_variant(options, &missing);
    if (missing) {
        fail("this program was built for %s, and this processor lacks %s", network.variant->target, missing);
    }
    const int code = netc_model.open(&network.weights, options->weights_file);
    if (code) {
        const char *detail = network.weights.detail,
                   *why = network.weights.error ? strerror(network.weights.error) : NULL;
        fail("%s%s%s%s%s%s%s", options->weights_file ? options->weights_file : "", options->weights_file ? ": " : "",
             netc_model.strerror(code), why ? ": " : "", why ? why : "", detail ? ": " : "", detail ? detail : "");
    }
}

void network_close(void)
{
    if (network.variant) {
        netc_model.close(&network.weights);
    }
}

int64_t tensor_bytes(int64_t count, const struct netc_tensor *tensor)
{
    int64_t elements, bytes;
    if (__builtin_mul_overflow(count, tensor->elements, &elements) ||
        __builtin_mul_overflow(elements, (int64_t)sizeof(float), &bytes)) {
        fail("out of memory: %lld times %s does not fit", (long long)count, tensor->name);
    }
    return bytes;
}

static float **batch_of(const struct netc_tensor *tensor, int n)
{
    float **pointer = allocate(n, sizeof *pointer, "a table of tensors");
    for (int i = 0; i < n; i++) {
        const int64_t bytes = tensor_bytes(netc_model.batch, &tensor[i]);
        pointer[i] = allocate_aligned(bytes, tensor[i].name);
        memset(pointer[i], 0, (size_t)bytes);
    }
    return pointer;
}

static int64_t workspace_bytes(void)
{
    int64_t bytes;
    if (__builtin_mul_overflow(network.variant->workspace_bytes, (int64_t)netc_model.batch, &bytes)) {
        fail("out of memory: the workspace of %d images does not fit", netc_model.batch);
    }
    return bytes;
}

struct session session_open(void)
{
    struct session session = {
        .workspace = allocate_aligned(workspace_bytes(), "the workspace"),
        .input = batch_of(netc_model.input, netc_model.n_input),
        .output = batch_of(netc_model.output, netc_model.n_output),
    };
    return session;
}

void session_close(struct session *session)
{
    for (int i = 0; i < netc_model.n_input; i++) {
        free(session->input[i]);
    }
    for (int i = 0; i < netc_model.n_output; i++) {
        free(session->output[i]);
    }
    free(session->input);
    free(session->output);
    free(session->workspace);
}

void session_run(struct session *session, int threads)
{
    network.variant->run(network.weights.weights, session->workspace, (const float *const *)session->input,
                         session->output, threads);
}

const char *shape_text(int rank, const int64_t *shape)
{
    enum { TEXTS = 8, ROOM = 256 };
    static char texts[TEXTS][ROOM];
    static int turn;
    char *text = texts[turn++ % TEXTS];
    int length = snprintf(text, ROOM, "[");
    for (int i = 0; i < rank && length < ROOM - 32; i++) {
        length += snprintf(text + length, (size_t)(ROOM - length), "%s%lld", i ? "," : "", (long long)shape[i]);
    }
    snprintf(text + length, (size_t)(ROOM - length), "]");
    return text;
}
