/* --output with pictures: an array [N,...] written row by row as the answers come, so that no more of it than a few
 * rows is ever in memory. .npy holds the first output; .safetensors all of them one after the other, so with several
 * the places to write at lie apart. */
#include <errno.h>
#include <string.h>

#include "runtime.h"

void rows_begin(struct rows *rows, const char *path, int64_t count)
{
    const bool all = ends_with(path, ".safetensors");
    rows->count = count;
    rows->outputs = all ? netc_model.n_output : 1;
    for (int i = 0; i < rows->outputs; i++) {
        tensor_bytes(count, &netc_model.output[i]); /* fails on overflow */
    }
    rows->file = output_begin(path);
    if (rows->outputs > 1 && fseeko(rows->file, 0, SEEK_CUR) != 0) {
        fail("cannot write %s: %d outputs are written in turns, which only a regular file takes", path, rows->outputs);
    }
    if (all) {
        safetensors_header(rows->file, count, netc_model.output, netc_model.n_output);
    } else {
        npy_header(rows->file, count, &netc_model.output[0]);
    }
    rows->start = rows->outputs > 1 ? ftello(rows->file) : 0;
}

int rows_write(struct rows *rows, int64_t first, int64_t take, float *const *values)
{
    off_t start = rows->start;
    errno = 0;
    for (int i = 0; i < rows->outputs; i++) {
        const struct netc_tensor *tensor = &netc_model.output[i];
        if (rows->outputs > 1 && fseeko(rows->file, start + tensor_bytes(first, tensor), SEEK_SET) != 0) {
            return errno;
        }
        fwrite(values[i], 1, (size_t)tensor_bytes(take, tensor), rows->file);
        start += tensor_bytes(rows->count, tensor);
    }
    return ferror(rows->file) ? errno ? errno : EIO : 0;
}
