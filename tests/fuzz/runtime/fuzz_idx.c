/* Any bytes as an IDX file of pictures and as one of labels, plain or gzip. */
#include "../../../runtime/runtime.h"
#include "tracked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_pictures(const char *path)
{
    struct pictures pictures = idx_read_pictures(path);
    const int64_t bytes = pictures.count * pictures.rows * pictures.columns * pictures.channels;
    unsigned sum = 0;
    for (int64_t i = 0; i < bytes; i++) {
        sum += pictures.pixels[i];
    }
    __asm__ volatile("" ::"r"(sum)); /* every byte is there */
    free(pictures.pixels);
}

static void read_labels(const char *path)
{
    int64_t count;
    uint8_t *labels = idx_read_labels(path, &count);
    unsigned sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += labels[i];
    }
    __asm__ volatile("" ::"r"(sum));
    free(labels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *why;
    survives(read_pictures, data, size, &why);
    survives(read_labels, data, size, &why);
    return 0;
}
