/* IDX files (the MNIST family), plain or gzip: two zero bytes, a type, the number of dimensions, the dimensions as
 * big-endian 32 bit numbers, the data. Only bytes (type 0x08) are read: labels [N], gray pictures [N,H,W], coloured
 * ones [N,H,W,3]. The buffer grows with what really arrives, so that a header's lies cost nothing. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "runtime.h"

enum { MAX_DIMENSIONS = 4, MAX_SIDE = 16384 };

/* Up to n bytes; 0 at the end. A gzip stream that just ends is an end too (Z_BUF_ERROR); a wrong checksum is an
 * error. */
static size_t read_some(gzFile file, const char *path, uint8_t *to, size_t n)
{
    const int got = gzread(file, to, n < 1u << 28 ? (unsigned)n : 1u << 28);
    int code;
    const char *why = gzerror(file, &code);
    if (got < 0 && code != Z_BUF_ERROR) {
        fail("cannot read %s: %s", path, code == Z_ERRNO ? strerror(errno) : why);
    }
    return got > 0 ? (size_t)got : 0;
}

/* Exactly n bytes, or the end of the program. */
static void read_bytes(gzFile file, const char *path, uint8_t *to, size_t n)
{
    for (size_t got; n > 0; to += got, n -= got) {
        got = read_some(file, path, to, n);
        if (got == 0) {
            fail("%s is truncated: it ends before what its header promises", path);
        }
    }
}

static int read_dimensions(gzFile file, const char *path, const char *what, int64_t *dimension)
{
    uint8_t magic[4], number[4];
    read_bytes(file, path, magic, sizeof magic);
    if (magic[0] || magic[1]) {
        fail("%s is no IDX file: it begins with %02x %02x, not with two zeros", path, magic[0], magic[1]);
    }
    if (magic[2] != 0x08) {
        fail("%s: IDX type 0x%02x is not read, only bytes (0x08)", path, magic[2]);
    }
    if (magic[3] < 1 || magic[3] > MAX_DIMENSIONS) {
        fail("%s: an IDX file of %d dimensions cannot hold %s", path, magic[3], what);
    }
    for (int i = 0; i < magic[3]; i++) {
        read_bytes(file, path, number, sizeof number);
        dimension[i] = (int64_t)number[0] << 24 | number[1] << 16 | number[2] << 8 | number[3];
    }
    return magic[3];
}

static uint8_t *read_data(gzFile file, const char *path, int64_t total)
{
    int64_t have = 0, room = 0;
    uint8_t *data = NULL;
    do {
        room = room ? 2 * room : 16 << 20;
        room = room < total ? room : total;
        uint8_t *larger = realloc(data, room ? (size_t)room : 1);
        if (!larger) {
            fail("out of memory: %lld bytes for %s", (long long)room, path);
        }
        data = larger;
        read_bytes(file, path, data + have, (size_t)(room - have));
        have = room;
    } while (have < total);
    uint8_t surplus;
    if (read_some(file, path, &surplus, 1) > 0) {
        fail("%s is too long: it goes on after what its header promises", path);
    }
    return data;
}

static uint8_t *read_idx(const char *path, const char *what, int *rank, int64_t *dimension)
{
    int64_t size, total = 1;
    FILE *plain = input_open(path, &size);
    gzFile file = gzdopen(dup(fileno(plain)), "rb");
    if (!file) {
        fail("cannot read %s: %s", path, strerror(errno));
    }
    gzbuffer(file, 1 << 17);
    *rank = read_dimensions(file, path, what, dimension);
    for (int i = 0; i < *rank; i++) {
        if (i > 0 && (dimension[i] < 1 || dimension[i] > MAX_SIDE)) {
            fail("%s: a picture of %s is no picture", path, shape_text(*rank - 1, dimension + 1));
        }
        if (__builtin_mul_overflow(total, dimension[i], &total)) {
            fail("%s: the shape %s is larger than any file", path, shape_text(*rank, dimension));
        }
    }
    uint8_t *data = read_data(file, path, total);
    if (gzclose(file) == Z_BUF_ERROR) { /* all the data came, but not gzip's own end */
        fail("%s is truncated: its gzip stream has no end", path);
    }
    if (plain != stdin) {
        fclose(plain);
    }
    return data;
}

struct pictures idx_read_pictures(const char *path)
{
    int rank;
    int64_t dimension[MAX_DIMENSIONS] = {0};
    uint8_t *data = read_idx(path, "pictures", &rank, dimension);
    if (rank < 3 || (rank == 4 && dimension[3] != 3)) {
        fail("%s: pictures are [N,H,W] or [N,H,W,3], this is %s", path, shape_text(rank, dimension));
    }
    return (struct pictures){dimension[0], (int)dimension[1], (int)dimension[2], rank == 4 ? 3 : 1, data};
}

uint8_t *idx_read_labels(const char *path, int64_t *count)
{
    int rank;
    int64_t dimension[MAX_DIMENSIONS] = {0};
    uint8_t *data = read_idx(path, "labels", &rank, dimension);
    if (rank != 1) {
        fail("%s: labels are [N], this is %s", path, shape_text(rank, dimension));
    }
    *count = dimension[0];
    return data;
}
