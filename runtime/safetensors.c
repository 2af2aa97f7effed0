/* Writes tensors by name: eight bytes of header length, a JSON header, the data. The header is padded with
 * blanks so that the data is aligned to eight bytes. Errors of the stream are found when the file is closed. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

static json_t *describe(int64_t count, const struct netc_tensor *tensor, int64_t offset)
{
    json_t *shape = json_pack("[I]", (json_int_t)count);
    for (int i = 0; i < tensor->rank; i++) {
        json_array_append_new(shape, json_integer(tensor->shape[i]));
    }
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", "F32", "shape", shape, "data_offsets", (json_int_t)offset,
                     (json_int_t)(offset + tensor_bytes(count, tensor)));
}

void safetensors_header(FILE *file, int64_t count, const struct netc_tensor *tensor, int n)
{
    json_t *header = json_object();
    int64_t offset = 0;
    for (int i = 0; i < n; i++) {
        json_object_set_new(header, tensor[i].name, describe(count, &tensor[i], offset));
        offset += tensor_bytes(count, &tensor[i]);
    }
    char *text = json_dumps(header, JSON_COMPACT);
    if (!text) {
        fail("out of memory: the header of the tensors");
    }
    const uint64_t length = strlen(text), padded = (length + 7) & ~(uint64_t)7;
    for (int i = 0; i < 8; i++) {
        fputc((int)(padded >> (8 * i) & 0xff), file);
    }
    fprintf(file, "%-*s", (int)padded, text);
    free(text);
    json_decref(header);
}

void safetensors_write(FILE *file, int64_t count, const struct netc_tensor *tensor, int n, float *const *values)
{
    safetensors_header(file, count, tensor, n);
    for (int i = 0; i < n; i++) {
        fwrite(values[i], 1, (size_t)tensor_bytes(count, &tensor[i]), file);
    }
}
