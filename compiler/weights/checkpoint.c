/* A checkpoint's file: mapped, told by its first bytes what it is, its tensors' values as doubles.
 *
 * What would surprise: the format comes from the content and never from the file's name; what a zip holds is inflated
 * or copied when a value of it is asked for, one storage at a time, so that memory is that of one storage. A double in
 * the file is rounded to float first: programs compute with float, and the interpreter judges them with the same numbers.
 */
#include "weights/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- dtypes ---- */

static double widen_f32(const unsigned char *bytes, int64_t i)
{
    float value;
    memcpy(&value, bytes + 4 * i, sizeof value);
    return value;
}

static double widen_f64(const unsigned char *bytes, int64_t i)
{
    double value;
    memcpy(&value, bytes + 8 * i, sizeof value);
    return (float)value;
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

static const struct dtype dtypes[] = {
    {"F32", "FloatStorage", "float32", 4, widen_f32},
    {"F16", "HalfStorage", "float16", 2, widen_f16},
    {"BF16", "BFloat16Storage", "bfloat16", 2, widen_bf16},
    {"F64", "DoubleStorage", "float64", 8, widen_f64},
    {"I64", "LongStorage", "int64", 8, NULL},
    {"I32", "IntStorage", "int32", 4, NULL},
    {"I16", "ShortStorage", "int16", 2, NULL},
    {"I8", "CharStorage", "int8", 1, NULL},
    {"U64", NULL, "uint64", 8, NULL},
    {"U32", NULL, "uint32", 4, NULL},
    {"U16", NULL, "uint16", 2, NULL},
    {"U8", "ByteStorage", "uint8", 1, NULL},
    {"BOOL", "BoolStorage", "bool", 1, NULL},
    {"F8_E4M3", NULL, "float8_e4m3fn", 1, NULL},
    {"F8_E5M2", NULL, "float8_e5m2", 1, NULL},
    {"C64", "ComplexFloatStorage", "complex64", 8, NULL},
    {"C128", "ComplexDoubleStorage", "complex128", 16, NULL},
};

const struct dtype *dtype_by_name(const char *name)
{
    for (size_t i = 0; i < LENGTH(dtypes); i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return &dtypes[i];
    return NULL;
}

static bool is_word(const char *word, const char *text, size_t length)
{
    return word && strlen(word) == length && memcmp(word, text, length) == 0;
}

const struct dtype *dtype_by_storage(const char *storage, size_t length)
{
    for (size_t i = 0; i < LENGTH(dtypes); i++)
        if (is_word(dtypes[i].storage, storage, length))
            return &dtypes[i];
    return NULL;
}

bool dtype_of_torch(const char *name, size_t length)
{
    for (size_t i = 0; i < LENGTH(dtypes); i++)
        if (is_word(dtypes[i].torch, name, length))
            return true;
    return false;
}

const char *dims_text(struct arena *arena, int rank, const int64_t *dim)
{
    struct text text = {.arena = arena};
    text_put(&text, "[", 1);
    for (int d = 0; d < rank; d++)
        text_add(&text, "%s%lld", d ? "," : "", (long long)dim[d]);
    text_put(&text, "]", 1);
    return text_string(&text);
}

/* ---- values ---- */

/* The storage's bytes: mapped, or read out of the zip in the place of those that were read before. */
static const unsigned char *storage_bytes(struct checkpoint *c, const struct stored *s)
{
    if (s->bytes || s->elements == 0)
        return s->bytes ? s->bytes : (const unsigned char *)"";
    if (c->read != s) {
        c->read = NULL;
        arena_free(c->read_in);
        c->read_in = arena_new("storage");
        c->read_bytes = archive_read(c, c->read_in, s->entry);
        c->read = c->read_bytes ? s : NULL;
    }
    return c->read_bytes;
}

bool checkpoint_check(struct checkpoint *c, const struct tensor *t)
{
    t->storage->whole = t->storage->whole || storage_bytes(c, t->storage);
    return t->storage->whole;
}

void checkpoint_values(struct checkpoint *c, const struct tensor *t, double *out)
{
    double (*widen)(const unsigned char *, int64_t) = t->storage->dtype->widen;
    const unsigned char *bytes = widen ? storage_bytes(c, t->storage) : NULL;
    int64_t at[MOST_DIMENSIONS] = {0}, from = t->first;
    for (int64_t i = 0; i < t->elements; i++) {
        if (!bytes || !t->stride) {
            out[i] = bytes ? widen(bytes, t->first + i) : (double)NAN;
            continue;
        }
        out[i] = widen(bytes, from);
        for (int d = t->rank - 1; d >= 0; d--) { /* the next index, as an odometer counts */
            from += t->stride[d];
            if (++at[d] < t->dim[d])
                break;
            from -= t->stride[d] * t->dim[d];
            at[d] = 0;
        }
    }
}

/* ---- the file ---- */

static bool map_file(struct checkpoint *c, int fd)
{
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return FAULT(c, file_read, "cannot be opened: %s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return FAULT(c, file_read, "weights are mapped, so they must be an ordinary file");
    c->length = (size_t)status.st_size;
    if (c->length == 0)
        return FAULT(c, weights_header, "the file is empty");
    void *map = mmap(NULL, c->length, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return FAULT(c, file_read, "cannot be mapped: %s", strerror(errno));
    c->map = map;
    return true;
}

static bool begins(const struct checkpoint *c, const char *bytes, size_t n)
{
    return c->length >= n && memcmp(c->map, bytes, n) == 0;
}

/* What people take for a checkpoint by mistake, where its first bytes tell. */
static const char *other_format(const struct checkpoint *c)
{
    if (begins(c, "version https://git-lfs", 23))
        return "a pointer of Git LFS, not the file itself: `git lfs pull` fetches it";
    if (begins(c, "<!DOCTYPE", 9) || begins(c, "<!doctype", 9) || begins(c, "<html", 5))
        return "a web page: the download gave an error or asks for a login";
    if (begins(c, "\x1f\x8b", 2))
        return "compressed by gzip: unpack it first";
    if (begins(c, "\x89HDF\r\n", 6))
        return "an HDF5 file, as Keras writes; safetensors files and those of torch.save are read";
    if (begins(c, "\x93NUMPY", 6))
        return "one array of numpy; safetensors files and those of torch.save are read";
    if (begins(c, "netc-weights ", 13))
        return "packed weights, which netc pack wrote: a program takes them by --weights-file";
    if (c->length > 262 && memcmp(c->map + 257, "ustar", 5) == 0)
        return "a tar archive, as PyTorch wrote before 0.1.10: load it with PyTorch and save its state_dict";
    return NULL;
}

static bool read_format(struct checkpoint *c, const char *key)
{
    /* A zip may be empty: then it begins with the record of its end. */
    if (begins(c, "PK\3\4", 4) || begins(c, "PK\5\6", 4))
        return torch_zip_read(c, key);
    if (torch_legacy_is(c))
        return torch_legacy_read(c, key);
    const char *other = other_format(c);
    if (other)
        return FAULT(c, weights_format, "no checkpoint but %s", other);
    if (key)
        return FAULT(c, weights_key, "--checkpoint-key=%.*s chooses a part of a file of torch.save; this is none",
                     SHOWN, key);
    return safetensors_read(c);
}

bool checkpoint_open(struct arena *arena, struct diags *diags, const char *path, const char *key, struct checkpoint *c)
{
    *c = (struct checkpoint){.arena = arena, .diags = diags, .path = path};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer must not hang */
    bool mapped = map_file(c, fd);
    if (fd >= 0)
        close(fd);
    if (!mapped || !read_format(c, key)) {
        checkpoint_close(c);
        return false;
    }
    return true;
}

void checkpoint_close(struct checkpoint *c)
{
    archive_close(c->archive);
    arena_free(c->read_in);
    if (c->map)
        munmap((void *)c->map, c->length);
    *c = (struct checkpoint){0};
}
