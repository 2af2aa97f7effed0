/* Any bytes as a weights file: as they are, and with the line about the text put right, so that what lies behind the first
 * checksum is reached too. A file that is taken has its weights inside, and says of whom they are in digits. */
#pragma clang diagnostic ignored "-Wunused-function"
#include "emit/map_weights.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BLOB = 64 };
static const char *const packing[] = {
    "conv1.w [1,1,1,1] direct panels in c1 out c16 as f32[1,1,1,16] at 0 = conv1.weight", NULL};

static void check(const char *file, size_t n)
{
    char *exact = malloc(n ? n : 1); /* so that reading past the end is seen */
    memcpy(exact, file, n);
    struct packed packed;
    enum packed_fault fault = packed_read(&packed, exact, n, BLOB, packing);
    fault = fault ? fault : packed_compare(&packed, exact, BLOB);
    if ((fault != PACKED_GOOD) != (packed.detail != NULL) || fault == PACKED_FILE) {
        abort();
    }
    if (!fault && (packed.weights < exact || packed.weights + BLOB != exact + n || strlen(packed.digest) != 16 ||
                   (packed.weights - exact) % PACKED_ALIGNMENT != 0)) {
        abort();
    }
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check((const char *)data, size);
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL, *text = NULL;
    if (line) {
        text = memchr(line + 1, '\n', size - (size_t)(line + 1 - data));
    }
    if (!text) {
        return 0;
    }
    text++;
    const size_t most = size - (size_t)(text - data);
    const uint8_t *end = memmem(text, most, "\nend\n", 5);
    const size_t length = end ? (size_t)(end - text) + 5 : most;
    char *file = calloc(1, size + 2 * PACKED_ALIGNMENT);
    int n = sprintf(file, "netc-weights 1\ntext %zu %016llx\n", length, (unsigned long long)xxh64(text, length));
    memcpy(file + n, text, length);
    size_t start = ((size_t)n + length + PACKED_ALIGNMENT - 1) / PACKED_ALIGNMENT * PACKED_ALIGNMENT;
    check(file, start + BLOB); /* weights of zeros: what the seed's checksum is of */
    free(file);
    return 0;
}
