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

/* What the file says of the layer that a line of this network's packing is about, or NULL. */
static char *line_of_layer(const char *path, const char *expected)
{
    enum { ROOM = 1000 };
    static char line[ROOM];
    const size_t name = strcspn(expected, " ") + 1;
    FILE *file = fopen(path, "r");
    bool found = false;
    while (file && !found && fgets(line, ROOM, file) && strcmp(line, "end\n") != 0) {
        found = strncmp(line, expected, name) == 0;
    }
    if (file) {
        fclose(file);
    }
    line[strcspn(line, "\n")] = '\0';
    for (char *c = line; *c; c++) {
        *c = *c > 0 && *c < ' ' ? '?' : *c; /* what anybody wrote goes to a terminal */
    }
    return found ? line : NULL;
}

/* NAME PACKING = SOURCE: the packing, or where that is the same the source. */
static _Noreturn void refuse_packing(const char *path, const char *what, const char *expected)
{
    const char *found = line_of_layer(path, expected), *with = *netc_model.options ? " with " : "";
    size_t name = strcspn(expected, " "), first = name + 1, packing = (size_t)(strstr(expected, " = ") - expected);
    if (!found) {
        fail("%s: %s: %.*s is not in it; pack them from this program's network%s%s", path, what, (int)name, expected,
             with, netc_model.options);
    }
    int n_expected = (int)(packing - first), n_found = (int)strlen(found + first);
    if (strncmp(expected, found, packing + 3) == 0) {
        first = packing + 3;
        n_expected = (int)strlen(expected + first);
    } else if (strstr(found, " = ")) {
        n_found = (int)(strstr(found, " = ") - found - (ptrdiff_t)first);
    }
    fail("%s: %s: %.*s: expected %.*s, found %.*s; pack them from this program's network%s%s", path, what, (int)name,
         expected, n_expected, expected + first, n_found, found + first, with, netc_model.options);
}

/* Of weights that could not be opened. */
static _Noreturn void refuse_weights(int code, const char *path)
{
    const struct netc_weights *weights = &network.weights;
    const char *what = netc_model.strerror(code);
    if (!path) {
        fail("this program has no weights of its own: --weights-file=FILE, a file that netc pack writes");
    }
    if (weights->error) {
        fail("%s: %s: %s", path, what, strerror(weights->error));
    }
    if (weights->is_packing) {
        refuse_packing(path, what, weights->detail);
    }
    fail("%s: %s: %s", path, what, weights->detail ? weights->detail : "");
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
        refuse_weights(code, options->weights_file);
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
