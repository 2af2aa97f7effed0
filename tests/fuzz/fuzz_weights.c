/* Any bytes as a safetensors file, of which the header is read and every offset, dtype and shape checked; and as a .npy file
 * for the interpreter. */
#include "fuzz.h"
#include "weights/npy.h"
#include "weights/weights.h"

static bool read_weights(struct arena *perm, struct diags *diags, const char *path)
{
    struct weights *weights = weights_open(perm, diags, path);
    if (!weights) {
        return false;
    }
    struct graph *empty = graph_new(perm, "empty", "empty.net");
    struct diags *surplus = diags_new(perm);
    weights_check(weights, surplus, empty); /* names every surplus tensor */
    weights_close(weights);
    return true;
}

static bool read_array(struct arena *perm, struct diags *diags, const char *path)
{
    const struct shape shape = {.rank = 3, .dim = {1, 2, 3}};
    return npy_read(perm, diags, path, shape);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_reader *const reader[] = {read_weights, read_array};
    fuzz_file(reader, LENGTH(reader), data, size);
    return 0;
}
