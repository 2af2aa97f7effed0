/* The .npy format: a magic, a version, a header that is a Python dictionary, raw numbers. Only what the interpreter needs. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "weights/npy.h"

static bool refuse(struct diags *d, const char *path, const char *what)
{
    diag_error_file(d, CHECK_npy, path, "%s", what);
    return false;
}

/* The dictionary's text and where the numbers begin. */
static bool header(struct diags *d, const char *path, const char *bytes, size_t n, const char **text, size_t *length,
                   size_t *first)
{
    if (n < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return refuse(d, path, "this is no .npy file: its first bytes are not \\x93NUMPY");
    const unsigned char *u = (const unsigned char *)bytes;
    bool wide = u[6] >= 2;
    if (wide && n < 12)
        return refuse(d, path, "the .npy header is cut off");
    *length = u[8] + 256u * u[9] + (wide ? 65536u * u[10] + 16777216u * (size_t)u[11] : 0);
    *text = bytes + (wide ? 12 : 10);
    *first = (size_t)(*text - bytes) + *length;
    return *first <= n || refuse(d, path, "the .npy header is cut off");
}

static bool has(const char *text, size_t length, const char *word)
{
    return memmem(text, length, word, strlen(word)) != NULL;
}

/* The numbers of "'shape': (1, 3, 72, 72)". */
static int shape_of(const char *text, size_t length, int64_t *dim, int most)
{
    const char *end = text + length, *c = memmem(text, length, "'shape'", 7);
    int n = 0;
    while (c && c < end && *c != '(')
        c++;
    for (; c && c < end && *c != ')'; c++) {
        if (*c < '0' || *c > '9')
            continue;
        int64_t v = 0;
        for (; c < end && *c >= '0' && *c <= '9' && v < INT64_MAX / 100; c++)
            v = v * 10 + *c - '0';
        if (n < most)
            dim[n] = v;
        n++;
        c--;
    }
    return n;
}

/* The same, and what the header says instead. */
static void refuse_header(struct diags *d, const char *path, const char *what, const char *text, size_t length)
{
    int shown = (int)(length > 200 ? 200 : length);
    while (shown > 0 && (text[shown - 1] == ' ' || text[shown - 1] == '\n'))
        shown--;
    diag_error_file(d, CHECK_npy, path, "%s; the file has %.*s", what, shown, text);
}

double *npy_read(struct arena *a, struct diags *d, const char *path, struct shape want)
{
    size_t n, length, first;
    const char *why, *text, *bytes = file_read(a, path, (size_t)1 << 32, &n, &why);
    if (!bytes)
        return refuse(d, path, why), NULL;
    if (!header(d, path, bytes, n, &text, &length, &first))
        return NULL;
    bool f4 = has(text, length, "'<f4'"), f8 = has(text, length, "'<f8'");
    if ((!f4 && !f8) || has(text, length, "'fortran_order': True"))
        return refuse_header(d, path, "expected float32 or float64 in C order", text, length), NULL;
    int64_t dim[MAX_RANK + 1];
    int rank = shape_of(text, length, dim, MAX_RANK + 1), lead = rank == want.rank + 1 && dim[0] == 1;
    bool fits = rank == want.rank + lead;
    for (int i = 0; i < want.rank && fits; i++)
        fits = dim[lead + i] == want.dim[i];
    if (!fits) {
        const char *what =
            arena_printf(a, "the input has shape %s, or the same with a 1 in front", shape_text(a, want));
        return refuse_header(d, path, what, text, length), NULL;
    }
    int64_t elements = shape_elements(want);
    if (n - first != (size_t)elements * (f4 ? 4 : 8)) {
        diag_error_file(d, CHECK_npy, path, "its header promises %zu bytes of numbers, there are %zu",
                        (size_t)elements * (f4 ? 4 : 8), n - first);
        return NULL;
    }
    double *out = NEW_ARRAY(a, double, elements);
    for (int64_t i = 0; i < elements; i++) {
        float f;
        if (f4)
            memcpy(&f, bytes + first + 4 * i, 4), out[i] = (double)f;
        else
            memcpy(&out[i], bytes + first + 8 * i, 8);
    }
    return out;
}

/* Closes a file that was opened, or not, and written, or not: false after a diagnostic. */
static bool written(struct diags *d, FILE *f, bool fine, const char *shown)
{
    int error = errno;
    if (f && fclose(f) != 0 && fine)
        fine = false, error = errno;
    if (!fine)
        diag_error_file(d, CHECK_npy, shown, "cannot be written: %s", strerror(error));
    return fine;
}

bool npy_write(struct diags *d, const char *path, const char *shown, struct shape shape, const double *v)
{
    char text[256], prefix[10] = "\x93NUMPY\x01";
    int n = snprintf(text, sizeof text, "{'descr': '<f8', 'fortran_order': False, 'shape': (1,");
    for (int i = 0; i < shape.rank; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, " %" PRId64 ",", shape.dim[i]);
    n += snprintf(text + n, sizeof text - (size_t)n, "), }");
    while ((n + 11) % 64)
        text[n++] = ' ';
    text[n++] = '\n';
    prefix[8] = (char)(n & 255);
    prefix[9] = (char)(n >> 8);
    size_t elements = (size_t)shape_elements(shape);
    FILE *f = fopen(path, "wb");
    bool fine = f && fwrite(prefix, 1, 10, f) == 10 && fwrite(text, 1, (size_t)n, f) == (size_t)n &&
                fwrite(v, 8, elements, f) == elements;
    return written(d, f, fine, shown);
}

/* The header of a safetensors file: its length, then JSON, padded so that the numbers begin at a multiple of 8. */
static const char *safetensors_head(struct arena *scratch, const struct named_array *array, size_t n)
{
    struct text t = {.arena = scratch};
    int64_t offset = 0;
    text_add(&t, "{");
    for (size_t i = 0; i < n; i++) {
        const int64_t bytes = 8 * shape_elements(array[i].shape);
        text_add(&t, "%s\"%s\":{\"dtype\":\"F64\",\"shape\":[1", i ? "," : "", array[i].name);
        for (int k = 0; k < array[i].shape.rank; k++)
            text_add(&t, ",%" PRId64, array[i].shape.dim[k]);
        text_add(&t, "],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}", offset, offset + bytes);
        offset += bytes;
    }
    text_add(&t, "}");
    while (strlen(text_string(&t)) % 8)
        text_add(&t, " ");
    return text_string(&t);
}

bool safetensors_write(struct arena *scratch, struct diags *d, const char *path, const char *shown,
                       const struct named_array *array, size_t n)
{
    const char *head = safetensors_head(scratch, array, n);
    const uint64_t length = strlen(head); /* little-endian, as everything netc runs on */
    FILE *f = fopen(path, "wb");
    bool fine = f && fwrite(&length, 8, 1, f) == 1 && fwrite(head, 1, length, f) == length;
    for (size_t i = 0; i < n && fine; i++) {
        size_t elements = (size_t)shape_elements(array[i].shape);
        fine = fwrite(array[i].value, 8, elements, f) == elements;
    }
    return written(d, f, fine, shown);
}
