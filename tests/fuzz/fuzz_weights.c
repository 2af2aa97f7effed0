/* Any bytes as a safetensors file, of which the header is read and every offset, dtype and shape checked; and as a .npy file
 * for the interpreter. */
#include "weights/npy.h"
#include "weights/weights.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    bool (*const reader[])(struct arena *, struct diags *, const char *) = {read_weights, read_array};
    for (size_t i = 0; i < LENGTH(reader); i++) {
        struct arena *perm = arena_new("perm");
        struct diags *diags = diags_new(perm);
        int fd = memfd_create("weights", MFD_CLOEXEC);
        if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
            abort();
        }
        if (reader[i](perm, diags, arena_printf(perm, "/proc/self/fd/%d", fd)) == (diag_errors(diags) > 0)) {
            abort();
        }
        char *printed;
        size_t length;
        FILE *out = open_memstream(&printed, &length);
        diag_print(diags, out);
        fclose(out);
        free(printed);
        close(fd);
        arena_free(perm);
    }
    return 0;
}
