/* NumPy's .npy files: versions 1 to 3 read, 1.0 written. The header is a Python dictionary, {'descr': '<f4',
 * 'fortran_order': False, 'shape': (1, 3, 224, 224), }, its keys in any order. Data is read piece by piece, so that
 * an array may be larger than memory and may come through a pipe. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

enum { MAX_HEADER = 1 << 20 };

struct header {
    char type[32];
    bool fortran, has_type, has_order, has_shape;
    int rank;
    int64_t *shape;
};

static const char *skip_space(const char *p)
{
    while (isspace((unsigned char)*p)) {
        p++;
    }
    return p;
}

/* Past the character, or NULL. All the readers here take and give NULL once something did not fit. */
static const char *expect(const char *p, char character)
{
    p = p ? skip_space(p) : NULL;
    return p && *p == character ? p + 1 : NULL;
}

static const char *read_quoted(const char *p, char *to, size_t room)
{
    p = skip_space(p);
    const char *end = *p == '\'' || *p == '"' ? strchr(p + 1, *p) : NULL;
    if (!end || (size_t)(end - p) > room) {
        return NULL;
    }
    memcpy(to, p + 1, (size_t)(end - p - 1));
    to[end - p - 1] = '\0';
    return end + 1;
}

static const char *read_type(const char *p, struct header *header)
{
    header->has_type = true;
    if (*p != '[') {
        return read_quoted(p, header->type, sizeof header->type);
    }
    strcpy(header->type, "records"); /* a list of fields: refused later, so only its end matters */
    int depth = 0;
    do {
        depth += (*p == '[') - (*p == ']');
    } while (*p++ && depth > 0);
    return depth == 0 ? p : NULL;
}

static const char *read_order(const char *p, struct header *header)
{
    header->has_order = true;
    header->fortran = strncmp(p, "True", 4) == 0;
    return header->fortran ? p + 4 : strncmp(p, "False", 5) == 0 ? p + 5 : NULL;
}

static const char *read_shape(const char *p, struct header *header)
{
    header->has_shape = true;
    p = expect(p, '(');
    for (header->rank = 0; p && !expect(p, ')'); header->rank++) {
        p = skip_space(p);
        int64_t value = 0;
        if (!isdigit((unsigned char)*p) || header->rank == NPY_MAX_RANK) {
            return NULL;
        }
        for (; isdigit((unsigned char)*p); p++) {
            if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *p - '0', &value)) {
                return NULL;
            }
        }
        header->shape[header->rank] = value;
        p = skip_space(p + (*p == 'L')); /* Python 2 wrote 3L */
        p = *p == ')' ? p : expect(p, ',');
    }
    return expect(p, ')');
}

static bool read_dictionary(const char *p, struct header *header)
{
    char key[16];
    p = expect(p, '{');
    while (p && *(p = skip_space(p)) != '}') {
        p = expect(read_quoted(p, key, sizeof key), ':');
        p = p ? skip_space(p) : NULL;
        if (p) {
            p = strcmp(key, "descr") == 0           ? read_type(p, header)
                : strcmp(key, "fortran_order") == 0 ? read_order(p, header)
                : strcmp(key, "shape") == 0         ? read_shape(p, header)
                                                    : NULL;
        }
        if (p && *(p = skip_space(p)) != '}') {
            p = expect(p, ',');
        }
    }
    return p && *skip_space(p + 1) == '\0' && header->has_type && header->has_order && header->has_shape;
}

/* The text of the header, and in *bytes how long all before the data is. */
static char *read_header(struct npy *npy, int64_t *bytes)
{
    uint8_t start[8], length[4] = {0};
    if (fread(start, 1, sizeof start, npy->file) != sizeof start || memcmp(start, "\x93NUMPY", 6) != 0) {
        if (ferror(npy->file)) {
            input_truncated(npy->file, npy->path);
        }
        fail("%s is no .npy file: it does not begin with \\x93NUMPY", npy->path);
    }
    if (start[6] < 1 || start[6] > 3) {
        fail("%s: .npy version %d.%d is not known, 1.0 to 3.0 are read", npy->path, start[6], start[7]);
    }
    const size_t width = start[6] == 1 ? 2 : 4;
    if (fread(length, 1, width, npy->file) != width) {
        input_truncated(npy->file, npy->path);
    }
    const uint32_t n = length[0] | (uint32_t)length[1] << 8 | (uint32_t)length[2] << 16 | (uint32_t)length[3] << 24;
    if (n > MAX_HEADER) {
        fail("%s: a header of %u bytes is no header", npy->path, n);
    }
    char *text = allocate(n + 1, 1, "the header of a tensor");
    if (fread(text, 1, n, npy->file) != n) {
        input_truncated(npy->file, npy->path);
    }
    *bytes = (int64_t)(sizeof start + width + n);
    return text;
}

void npy_open(struct npy *npy, const char *path)
{
    int64_t size, start, data = sizeof(float);
    npy->path = path;
    npy->file = input_open(path, &size);
    struct header header = {.shape = npy->shape};
    char *text = read_header(npy, &start);
    if (!read_dictionary(text, &header)) {
        fail("%s: the .npy header is malformed", path);
    }
    free(text);
    npy->rank = header.rank;
    if (strcmp(header.type, "<f4") != 0) {
        fail("%s: wrong dtype: expected float32 ('<f4'), found '%s'", path, header.type);
    }
    if (header.fortran) {
        fail("%s: wrong order: expected C order, found Fortran order (numpy.ascontiguousarray turns it)", path);
    }
    for (int i = 0; i < npy->rank; i++) {
        if (__builtin_mul_overflow(data, npy->shape[i], &data)) {
            fail("%s: the shape %s is larger than any file", path, shape_text(npy->rank, npy->shape));
        }
    }
    if (size >= 0 && size - start != data) {
        fail("%s is %s: the header %s promises %lld bytes of data, there are %lld", path,
             size - start < data ? "truncated" : "too long", shape_text(npy->rank, npy->shape), (long long)data,
             (long long)(size - start));
    }
}

void npy_read(struct npy *npy, float *to, int64_t n)
{
    if (fread(to, sizeof *to, (size_t)n, npy->file) != (size_t)n) {
        input_truncated(npy->file, npy->path);
    }
}

void npy_close(struct npy *npy)
{
    if (npy->file != stdin) {
        fclose(npy->file);
    }
}

void npy_header(FILE *file, int64_t count, const struct netc_tensor *tensor)
{
    enum { START = 10, ALIGN = 64, ROOM = 512 };
    char text[ROOM];
    int length = snprintf(text, ROOM, "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld,", (long long)count);
    for (int i = 0; i < tensor->rank; i++) {
        length += snprintf(text + length, (size_t)(ROOM - length), " %lld%s", (long long)tensor->shape[i],
                           i + 1 < tensor->rank ? "," : "");
    }
    length += snprintf(text + length, (size_t)(ROOM - length), "), }");
    while ((START + length + 1) % ALIGN) {
        text[length++] = ' ';
    }
    text[length++] = '\n';
    const uint8_t start[START] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)length, (uint8_t)(length >> 8)};
    fwrite(start, 1, START, file);
    fwrite(text, 1, (size_t)length, file);
}

void npy_write(FILE *file, int64_t count, const struct netc_tensor *tensor, const float *values)
{
    npy_header(file, count, tensor);
    fwrite(values, 1, (size_t)tensor_bytes(count, tensor), file);
}
