/* Calling the network: its workspace, its inputs and outputs for one batch. */
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

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

struct session session_open(void)
{
    struct session session = {
        .workspace = allocate_aligned(netc_model.workspace_bytes, "the workspace"),
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
    netc_model.run(session->workspace, (const float *const *)session->input, session->output, threads);
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
