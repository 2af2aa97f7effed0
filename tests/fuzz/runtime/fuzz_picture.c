/* Any bytes as a picture: decoded as they are and turned by their tag, and what comes of it resized, cut and normalised.
 * A PNG is tried again with the checksums of its chunks put right, or next to nothing would get past them. */
#define TRACKED_ITSELF
#include "../../../runtime/runtime.h"
#include "tracked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIDE = 8, MOST_PIXELS = 1 << 16 };

static const struct netc_picture_step exact[] = {
    {.op = NETC_RESIZE, .rows = SIDE, .columns = SIDE, .bicubic = 1},
    {.op = NETC_SWAP_RED_BLUE},
    {.op = NETC_NORMALIZE, .mean = {0.5, 0.5, 0.5}, .std = {0.25, 0.25, 0.25}, .range = 1, .channels = 3},
};
static const struct netc_picture_step shorter[] = {
    {.op = NETC_RESIZE, .shorter = SIDE + 3},
    {.op = NETC_CENTER_CROP, .rows = SIDE, .columns = SIDE},
    {.op = NETC_NORMALIZE, .mean = {0.5, 0.5, 0.5}, .std = {0.25, 0.25, 0.25}, .range = 255, .channels = 3},
};
static const struct netc_tensor inputs[] = {
    {.name = "a", .rank = 3, .shape = {3, SIDE, SIDE}, .elements = 3 * SIDE * SIDE, .step = exact, .n_step = 3},
    {.name = "b", .rank = 3, .shape = {3, SIDE, SIDE}, .elements = 3 * SIDE * SIDE, .step = shorter, .n_step = 3},
};

/* A reason is one line, and there is one if and only if something failed. */
static bool is_done(const char *reason, const char *why)
{
    if (reason && (reason != why || !*why || strchr(why, '\n'))) {
        abort();
    }
    return !reason;
}

static void use(const struct picture *picture)
{
    char why[200];
    float tensor[3 * SIDE * SIDE];
    if (picture->rows < 1 || picture->columns < 1) {
        abort();
    }
    unsigned sum = 0;
    for (int64_t i = 0; i < 3 * (int64_t)picture->rows * picture->columns; i++) {
        sum += picture->rgb[i]; /* every byte is there */
    }
    __asm__ volatile("" ::"r"(sum));
    for (int i = 0; i < 2 && (int64_t)picture->rows * picture->columns <= MOST_PIXELS; i++) {
        is_done(picture_to_tensor(&inputs[i], picture, tensor, why, sizeof why), why);
    }
}

static void try(const uint8_t *data, size_t size)
{
    for (int exif = 0; exif < 2; exif++) {
        struct picture picture;
        char why[200] = "";
        if (is_done(picture_decode(data, size, exif, &picture, why, sizeof why), why)) {
            use(&picture);
            tracked_free(picture.rgb);
        }
        check_given_back();
    }
}

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Whether there was anything to mend. */
static bool mend_checksums(uint8_t *png, size_t size)
{
    enum { SIGNATURE = 8, AROUND = 12 }; /* length, name, checksum */
    bool changed = false;
    for (size_t at = SIGNATURE; at + AROUND <= size;) {
        const uint32_t length = big_endian(png + at);
        if (length > size - at - AROUND) {
            break;
        }
        const uint32_t sum = (uint32_t)crc32(0, png + at + 4, length + 4);
        uint8_t *place = png + at + 8 + length;
        changed = changed || big_endian(place) != sum;
        for (int i = 0; i < 4; i++) {
            place[i] = (uint8_t)(sum >> (24 - 8 * i));
        }
        at += AROUND + length;
    }
    return changed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try(data, size);
    if (size > 8 && memcmp(data, "\x89PNG", 4) == 0) {
        uint8_t *copy = malloc(size);
        memcpy(copy, data, size);
        if (mend_checksums(copy, size)) {
            try(copy, size);
        }
        free(copy);
    }
    return 0;
}
