/* Weights that are mapped from a file which `netc pack` wrote: grammar/WEIGHTS.md describes it. This stands in the C
 * of every network, before its API, and netc takes its checksum from here; it needs libc alone and keeps nothing.
 *
 * The file is not trusted: its text, then its weights are compared with their checksums before they are used, nothing
 * is read beyond its end, and it must be packed line by line as the network's own table says.
 *
 * What would surprise: the mapping goes on reading the file. Whoever replaces it must do so by renaming another one
 * onto its name, as netc does; where its bytes are changed, so are the weights, and where it is cut short the process
 * gets SIGBUS. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PACKED_ALIGNMENT = 4096 };
enum packed_fault { PACKED_GOOD, PACKED_FILE, PACKED_FORMAT, PACKED_NETWORK, PACKED_DAMAGED };

/* ---- XXH64 with seed 0 (Y. Collet, "xxHash fast digest algorithm", version 0.1.1): about 14 GB/s. The same on every
 * little-endian machine; `xxh64sum` prints it. ---- */

static const uint64_t xxh_prime1 = 0x9e3779b185ebca87u, xxh_prime2 = 0xc2b2ae3d27d4eb4fu,
                      xxh_prime3 = 0x165667b19e3779f9u, xxh_prime4 = 0x85ebca77c2b2ae63u,
                      xxh_prime5 = 0x27d4eb2f165667c5u;

static inline uint64_t xxh_rotate(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static inline uint64_t xxh_round(uint64_t lane, uint64_t word)
{
    __asm__("" : "+r"(word)); /* else clang makes one vector of the four lanes, which takes twice the time */
    return xxh_rotate(lane + word * xxh_prime2, 31) * xxh_prime1;
}

static inline uint64_t xxh_word(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static uint64_t xxh64(const void *bytes, size_t n)
{
    const unsigned char *at = bytes;
    uint64_t hash = xxh_prime5;
    size_t left = n;
    if (left >= 32) {
        uint64_t lane[4] = {xxh_prime1 + xxh_prime2, xxh_prime2, 0, -xxh_prime1};
        for (; left >= 32; left -= 32, at += 32) {
            for (int i = 0; i < 4; i++) {
                lane[i] = xxh_round(lane[i], xxh_word(at + 8 * i));
            }
        }
        hash = xxh_rotate(lane[0], 1) + xxh_rotate(lane[1], 7) + xxh_rotate(lane[2], 12) + xxh_rotate(lane[3], 18);
        for (int i = 0; i < 4; i++) {
            hash = (hash ^ xxh_round(0, lane[i])) * xxh_prime1 + xxh_prime4;
        }
    }
    hash += n;
    for (; left >= 8; left -= 8, at += 8) {
        hash = xxh_rotate(hash ^ xxh_round(0, xxh_word(at)), 27) * xxh_prime1 + xxh_prime4;
    }
    if (left >= 4) {
        uint32_t half;
        memcpy(&half, at, sizeof half);
        hash = xxh_rotate(hash ^ half * xxh_prime1, 23) * xxh_prime2 + xxh_prime3;
        left -= 4, at += 4;
    }
    for (; left > 0; left--, at++) {
        hash = xxh_rotate(hash ^ *at * xxh_prime5, 11) * xxh_prime1;
    }
    hash = (hash ^ hash >> 33) * xxh_prime2;
    hash = (hash ^ hash >> 29) * xxh_prime3;
    return hash ^ hash >> 32;
}

/* ---- the text ---- */

struct packed { /* what a file holds */
    const char *weights; /* in the mapping */
    char digest[17]; /* of the parameters that were packed */
    const char *detail; /* what is wrong with it; constant text */
    size_t text_bytes, start; /* where the text ends and the weights begin */
    char checksum[17]; /* that the weights should have */
};

struct packed_text { /* what was not read yet */
    const char *at, *end;
};

static const char packed_digit[] = "0123456789abcdef";

/* Takes the text if it comes next. */
static int packed_next(struct packed_text *t, const char *text)
{
    const size_t n = strlen(text);
    if ((size_t)(t->end - t->at) < n || memcmp(t->at, text, n) != 0) {
        return 0;
    }
    t->at += n;
    return 1;
}

static int packed_number(struct packed_text *t, uint64_t *value)
{
    const char *first = t->at;
    for (*value = 0; t->at < t->end && t->at - first < 18 && *t->at >= '0' && *t->at <= '9'; t->at++) {
        *value = *value * 10 + (uint64_t)(*t->at - '0');
    }
    return t->at > first;
}

/* Sixteen digits, as text. */
static int packed_digits(struct packed_text *t, char digits[17])
{
    for (int i = 0; i < 16; i++) {
        if (t->at == t->end || !memchr(packed_digit, *t->at, 16)) {
            return 0;
        }
        digits[i] = *t->at++;
    }
    return 1;
}

static int packed_equal(uint64_t hash, const char digits[17])
{
    int equal = 1;
    for (int i = 0; i < 16; i++) {
        equal &= digits[i] == packed_digit[hash >> (60 - 4 * i) & 15];
    }
    return equal;
}

/* KEY BYTES CHECKSUM */
static int packed_part(struct packed_text *t, const char *key, uint64_t *bytes, char checksum[17])
{
    return packed_next(t, key) && packed_number(t, bytes) && packed_next(t, " ") && packed_digits(t, checksum) &&
           packed_next(t, "\n");
}

/* KEY and anything up to the end of the line. */
static int packed_line(struct packed_text *t, const char *key)
{
    const char *end = packed_next(t, key) ? memchr(t->at, '\n', (size_t)(t->end - t->at)) : NULL;
    t->at = end ? end + 1 : t->at;
    return end != NULL;
}

/* Is it packed as this network has it? Else which of the network's lines (up to NULL) it has not. */
static const char *packed_difference(struct packed_text *t, const char *const *line)
{
    for (; *line; line++) {
        if (!packed_next(t, *line) || !packed_next(t, "\n")) {
            return *line;
        }
    }
    return packed_next(t, "end\n") && t->at == t->end ? NULL : "it has more layers than this network";
}

/* Reads the text of a file in memory: does it say that it holds `bytes` bytes of weights, packed in this way? */
static enum packed_fault packed_read(struct packed *to, const char *file, size_t length, size_t bytes,
                                     const char *const *line)
{
    struct packed_text t = {file, file + length};
    uint64_t text_bytes, blob_bytes;
    char checksum[17];
    *to = (struct packed){.detail = "netc pack writes such files"};
    if (!packed_next(&t, "netc-weights ")) {
        return PACKED_FORMAT;
    }
    to->detail = "its version is not 1: pack the weights again with the netc that made this program";
    if (!packed_next(&t, "1\n")) {
        return PACKED_FORMAT;
    }
    to->detail = "its text is not what was written";
    if (!packed_part(&t, "text ", &text_bytes, checksum) || text_bytes > (size_t)(t.end - t.at) ||
        !packed_equal(xxh64(t.at, (size_t)text_bytes), checksum)) {
        return PACKED_DAMAGED;
    }
    t.end = t.at + text_bytes;
    to->text_bytes = (size_t)(t.end - file);
    to->start = (to->text_bytes + PACKED_ALIGNMENT - 1) / PACKED_ALIGNMENT * PACKED_ALIGNMENT;
    if (!packed_part(&t, "blob ", &blob_bytes, to->checksum) || !packed_line(&t, "network ") ||
        !packed_line(&t, "options") || !packed_line(&t, "netc ") || !packed_next(&t, "parameters ") ||
        !packed_digits(&t, to->digest) || !packed_next(&t, "\nlayers\n")) {
        return PACKED_DAMAGED;
    }
    to->detail = packed_difference(&t, line);
    if (to->detail) {
        return PACKED_NETWORK;
    }
    to->detail = "it is too short or too long";
    return to->start <= length && length - to->start == blob_bytes && blob_bytes == bytes ? PACKED_GOOD
                                                                                          : PACKED_DAMAGED;
}

/* And are the weights themselves those that were written? */
static enum packed_fault packed_compare(struct packed *to, const char *file, size_t bytes)
{
    to->detail = "its weights are not those that were written";
    for (size_t i = to->text_bytes; i < to->start; i++) {
        if (file[i]) {
            return PACKED_DAMAGED;
        }
    }
    if (!packed_equal(xxh64(file + to->start, bytes), to->checksum)) {
        return PACKED_DAMAGED;
    }
    to->weights = file + to->start;
    to->detail = NULL;
    return PACKED_GOOD;
}

/* ---- the file ---- */

/* Maps the file whole; *bytes is its length. NULL: *error is an errno, or 0 where it is no file to be mapped. */
static const char *packed_map(const char *path, size_t *bytes, int *error)
{
    struct stat status;
    const char *map = NULL;
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO has nobody to wait for */
    if (file < 0 || fstat(file, &status) != 0) {
        *error = errno;
    } else if (!S_ISREG(status.st_mode) || status.st_size <= 0 || (uintmax_t)status.st_size > SIZE_MAX) {
        *error = S_ISDIR(status.st_mode) ? EISDIR : 0;
    } else {
        *bytes = (size_t)status.st_size;
        map = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, file, 0);
        *error = map == MAP_FAILED ? errno : 0;
        map = map == MAP_FAILED ? NULL : map;
    }
    if (file >= 0) {
        close(file);
    }
    return map;
}

/* The weights in the file, which stays mapped until packed_close(); *length is that of the mapping. */
static enum packed_fault packed_open(struct packed *to, const char *path, size_t bytes, const char *const *line,
                                     size_t *length, int *error)
{
    *to = (struct packed){.detail = NULL};
    const char *file = packed_map(path, length, error);
    if (!file) {
        to->detail = *error ? NULL : "it is empty or no ordinary file";
        return *error ? PACKED_FILE : PACKED_FORMAT;
    }
    enum packed_fault fault = packed_read(to, file, *length, bytes, line);
    if (!fault) {
        madvise((void *)file, *length, MADV_WILLNEED); /* read ahead of the checksum */
        fault = packed_compare(to, file, bytes);
    }
    if (fault) {
        munmap((void *)file, *length);
    }
    return fault;
}

static void packed_close(const char *weights, size_t bytes, size_t length)
{
    munmap((void *)(weights - (length - bytes)), length); /* they end where the file ends */
}
