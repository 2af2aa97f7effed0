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
#include "weights/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LENGTH_BYTES = 8, LARGEST_HEADER = 100 * 1000 * 1000 };

/* ---- dtypes ---- */

static double widen_f32(const unsigned char *bytes, int64_t i)
{
    float value;
    memcpy(&value, bytes + 4 * i, sizeof value);
    return value;
}

static double widen_bf16(const unsigned char *bytes, int64_t i)
{
    uint32_t bits = (uint32_t)(bytes[2 * i] | bytes[2 * i + 1] << 8) << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double widen_f16(const unsigned char *bytes, int64_t i)
{
    int bits = bytes[2 * i] | bytes[2 * i + 1] << 8;
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double size = exponent == 0    ? ldexp(fraction, -24)
                  : exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                                   : ldexp(fraction + 1024, exponent - 25);
    return bits & 0x8000 ? -size : size;
}

static const struct dtype {
    const char *name;
    int bytes;
    double (*widen)(const unsigned char *, int64_t);
} dtypes[] = {
    {"F32", 4, widen_f32}, {"F16", 2, widen_f16}, {"BF16", 2, widen_bf16}, {"F64", 8, NULL},     {"I64", 8, NULL},
    {"I32", 4, NULL},      {"I16", 2, NULL},      {"I8", 1, NULL},         {"U64", 8, NULL},     {"U32", 4, NULL},
    {"U16", 2, NULL},      {"U8", 1, NULL},       {"BOOL", 1, NULL},       {"F8_E4M3", 1, NULL}, {"F8_E5M2", 1, NULL},
};

static const struct dtype *dtype_by_name(const char *name)
{
    for (size_t i = 0; i < LENGTH(dtypes); i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            return &dtypes[i];
        }
    }
    return NULL;
}

/* ---- one entry of the header ---- */

struct reader {
    struct arena *arena;
    struct diags *diags;
    const char *path;
    const unsigned char *data; /* behind the header */
    int64_t data_bytes;
};

#define FAULT(reader, check, ...) (diag_error_file((reader)->diags, CHECK_##check, (reader)->path, __VA_ARGS__), false)
enum { SHOWN = 100 }; /* characters of a name out of the file that a message repeats */

static bool read_count(const json_t *value, int64_t *out)
{
    *out = json_integer_value(value);
    return json_is_integer(value) && *out >= 0;
}

static bool read_shape(struct reader *r, const char *name, const json_t *shape, struct tensor *t)
{
    size_t rank = json_array_size(shape);
    if (!json_is_array(shape) || rank > 64) {
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
                     (long long)(last - first), (long long)t->elements, t->dtype);
    }
    t->bytes = r->data + first;
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
    t->name = arena_copy(r->arena, name, strlen(name));
    t->dtype = dtype->name;
    t->widen = dtype->widen;
    return read_shape(r, name, shape, t) && read_bytes(r, name, offsets, dtype->bytes, t);
}

/* ---- the header ---- */

static int by_place(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    if (x->bytes != y->bytes) {
        return x->bytes < y->bytes ? -1 : 1;
    }
    return (x->elements > 0) - (y->elements > 0); /* empty tensors before what stands at their place */
}

static bool no_overlap(struct reader *r, struct safetensors *file)
{
    qsort(file->tensor, file->n_tensor, sizeof *file->tensor, by_place);
    for (size_t i = 1; i < file->n_tensor; i++) {
        const struct tensor *before = &file->tensor[i - 1], *t = &file->tensor[i];
        if (before->bytes + before->elements * dtype_by_name(before->dtype)->bytes > t->bytes) {
            return FAULT(r, weights_overlap, "the tensors %.*s and %.*s share bytes", SHOWN, before->name, SHOWN,
                         t->name);
        }
    }
    return true;
}

static bool read_table(struct reader *r, json_t *header, struct safetensors *file)
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

static bool read_header(struct reader *r, struct safetensors *file)
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
        return FAULT(r, weights_header,
                     "no safetensors file: its first 8 bytes give a header of %llu bytes, more than %d",
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

/* ---- the file ---- */

static bool map_file(struct reader *r, int fd, struct safetensors *file)
{
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0) {
        return FAULT(r, file_read, "cannot be opened: %s", strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return FAULT(r, file_read, "weights are mapped, so they must be an ordinary file");
    }
    file->length = (size_t)status.st_size;
    if (file->length == 0) {
        return FAULT(r, weights_header, "the file is empty");
    }
    void *map = mmap(NULL, file->length, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        return FAULT(r, file_read, "cannot be mapped: %s", strerror(errno));
    }
    file->map = map;
    return true;
}

bool safetensors_open(struct arena *arena, struct diags *diags, const char *path, struct safetensors *file)
{
    struct reader reader = {.arena = arena, .diags = diags, .path = path};
    *file = (struct safetensors){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer must not hang */
    bool mapped = map_file(&reader, fd, file);
    if (fd >= 0) {
        close(fd);
    }
    if (!mapped || !read_header(&reader, file)) {
        safetensors_close(file);
        return false;
    }
    return true;
}

void safetensors_close(struct safetensors *file)
{
    if (file->map) {
        munmap((void *)file->map, file->length);
    }
    *file = (struct safetensors){0};
}
