/* Any bytes as a safetensors file: the header is read and every offset, dtype and shape checked. */
#include "weights/weights.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *perm = arena_new("perm");
    struct diags *diags = diags_new(perm);
    int fd = memfd_create("weights", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
        abort();
    }
    struct weights *weights = weights_open(perm, diags, arena_printf(perm, "/proc/self/fd/%d", fd));
    if ((weights == NULL) != (diag_errors(diags) > 0)) {
        abort();
    }
    if (weights) {
        struct graph *empty = graph_new(perm, "empty", "empty.net");
        weights_check(weights, diags, empty); /* names every surplus tensor */
        weights_close(weights);
    }
    char *printed;
    size_t length;
    FILE *out = open_memstream(&printed, &length);
    diag_print(diags, out);
    fclose(out);
    free(printed);
    close(fd);
    arena_free(perm);
    return 0;
}
