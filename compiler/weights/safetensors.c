/* The safetensors format: 8 bytes little-endian length n, n bytes of JSON, then the tensors' bytes.
 *
 *   {"__metadata__": {...}, "conv1.weight": {"dtype": "F32", "shape": [64,3,7,7], "data_offsets": [0, 37632]}, ...}
 *
 * data_offsets are [first, last) counted from the end of the header. The file is mapped, not read: opening costs the
 * header alone, and every number in it is checked against the file before anything is allocated for it or read through
 * it.
 * What would surprise: the first fault ends the reading, since one damaged byte would otherwise be reported a thousand
 * times; tensors may start at any byte, so elements are fetched with memcpy; holes between tensors are allowed.
 */
#include "weights/checkpoint.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, LARGEST_HEADER = 100 * 1000 * 1000 };

/* ---- one entry of the header ---- */

struct reader {
    struct arena *arena;
    struct diags *diags;
    const char *path;
    const unsigned char *data; /* behind the header */
    int64_t data_bytes;
};

static bool read_count(const json_t *value, int64_t *out)
{
    *out = json_integer_value(value);
    return json_is_integer(value) && *out >= 0;
}

static bool read_shape(struct reader *r, const char *name, const json_t *shape, struct tensor *t)
{
    size_t rank = json_array_size(shape);
    if (!json_is_array(shape) || rank > MOST_DIMENSIONS) {
        return FAULT(r, weights_entry, "the shape of tensor %.*s is no list of at most 64 numbers", SHOWN, name);
    }
    int64_t *dim = NEW_ARRAY(r->arena, int64_t, rank);
    t->rank = (int)rank;
    t->dim = dim;
    t->elements = 1;
    for (size_t i = 0; i < rank; i++) {
        if (!read_count(json_array_get(shape, i), &dim[i])) {
            return FAULT(r, weights_entry, "the shape of tensor %.*s is no list of whole numbers from 0", SHOWN, name);
        }
        if (__builtin_mul_overflow(t->elements, dim[i], &t->elements)) {
            return FAULT(r, weights_bytes, "the shape of tensor %.*s has too many elements to be counted", SHOWN, name);
        }
    }
    return true;
}

static bool read_bytes(struct reader *r, const char *name, const json_t *offsets, int64_t element_bytes,
                       struct tensor *t)
{
    int64_t first, last, needed;
    if (json_array_size(offsets) != 2 || !read_count(json_array_get(offsets, 0), &first) ||
        !read_count(json_array_get(offsets, 1), &last)) {
        return FAULT(r, weights_entry, "the data_offsets of tensor %.*s are not two whole numbers from 0", SHOWN, name);
    }
    if (first > last || last > r->data_bytes) {
        return FAULT(r, weights_range, "tensor %.*s has the bytes %lld to %lld of %lld: %s", SHOWN, name,
                     (long long)first, (long long)last, (long long)r->data_bytes,
                     first > last ? "they end before they begin" : "is the file truncated?");
    }
    if (__builtin_mul_overflow(t->elements, element_bytes, &needed) || needed != last - first) {
        return FAULT(r, weights_bytes, "tensor %.*s has %lld bytes, but %lld elements of %s", SHOWN, name,
                     (long long)(last - first), (long long)t->elements, t->storage->dtype->name);
    }
    t->storage->bytes = r->data + first;
    t->storage->elements = t->elements;
    return true;
}

static bool read_tensor(struct reader *r, const char *name, const json_t *entry, struct tensor *t)
{
    const json_t *shape = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
    const char *dtype_name = json_string_value(json_object_get(entry, "dtype"));
    if (!dtype_name || !shape || !offsets || json_object_size(entry) != 3) {
        return FAULT(r, weights_entry, "the entry of tensor %.*s is not {dtype, shape, data_offsets}", SHOWN, name);
    }
    const struct dtype *dtype = dtype_by_name(dtype_name);
    if (!dtype) {
        return FAULT(r, weights_dtype, "tensor %.*s has the unknown dtype \"%.*s\"", SHOWN, name, SHOWN, dtype_name);
    }
    t->given = arena_copy(r->arena, name, strlen(name));
    t->storage = NEW(r->arena, struct stored);
    t->storage->key = t->given;
    t->storage->dtype = dtype;
    return read_shape(r, name, shape, t) && read_bytes(r, name, offsets, dtype->bytes, t);
}

/* ---- the header ---- */

static int by_place(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    if (x->storage->bytes != y->storage->bytes) {
        return x->storage->bytes < y->storage->bytes ? -1 : 1;
    }
    return (x->elements > 0) - (y->elements > 0); /* empty tensors before what stands at their place */
}

static bool no_overlap(struct reader *r, struct checkpoint *file)
{
    qsort(file->tensor, file->n_tensor, sizeof *file->tensor, by_place);
    for (size_t i = 1; i < file->n_tensor; i++) {
        const struct tensor *before = &file->tensor[i - 1], *t = &file->tensor[i];
        const unsigned char *end = before->storage->bytes + before->elements * before->storage->dtype->bytes;
        if (end > t->storage->bytes) {
            return FAULT(r, weights_overlap, "the tensors %.*s and %.*s share bytes", SHOWN, before->given, SHOWN,
                         t->given);
        }
    }
    return true;
}

static bool read_table(struct reader *r, json_t *header, struct checkpoint *file)
{
    const char *name;
    json_t *entry;
    file->tensor = NEW_ARRAY(r->arena, struct tensor, json_object_size(header));
    json_object_foreach(header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            if (!json_is_object(entry)) {
                return FAULT(r, weights_entry, "__metadata__ is no object");
            }
        } else if (!read_tensor(r, name, entry, &file->tensor[file->n_tensor++])) {
            return false;
        }
    }
    return no_overlap(r, file);
}

static bool read_header(struct reader *r, struct checkpoint *file)
{
    if (file->length < LENGTH_BYTES) {
        return FAULT(r, weights_header,
                     "%zu bytes are no safetensors file: it begins with 8 bytes, the length of its header",
                     file->length);
    }
    uint64_t length = 0;
    for (int i = LENGTH_BYTES; i-- > 0;) {
        length = length << 8 | file->map[i];
    }
    if (length > LARGEST_HEADER) {
        return FAULT(
            r, weights_header,
            "neither a safetensors file, whose first 8 bytes would give a header of %llu bytes (at most %d), nor "
            "one of torch.save",
            (unsigned long long)length, LARGEST_HEADER);
    }
    if (length > file->length - LENGTH_BYTES) {
        return FAULT(r, weights_header,
                     "a header of %llu bytes, but the file has %zu: is it truncated, or no safetensors file?",
                     (unsigned long long)length, file->length);
    }
    r->data = file->map + LENGTH_BYTES + length;
    r->data_bytes = (int64_t)(file->length - LENGTH_BYTES - length);
    json_error_t error;
    json_t *header = json_loadb((const char *)file->map + LENGTH_BYTES, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (!header) {
        return FAULT(r, weights_json, "the header is not JSON as safetensors has it: %s (byte %d of it)", error.text,
                     error.position);
    }
    bool fine =
        json_is_object(header) ? read_table(r, header, file) : FAULT(r, weights_json, "the header is no JSON object");
    json_decref(header);
    return fine;
}

bool safetensors_read(struct checkpoint *c)
{
    struct reader reader = {.arena = c->arena, .diags = c->diags, .path = c->path};
    return read_header(&reader, c);
}
