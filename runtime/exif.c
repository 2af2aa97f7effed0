/* The orientation tag of Exif data (a TIFF structure), and turning a picture by it. */
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY_BYTES = 12 };

struct tiff {
    const uint8_t *bytes;
    size_t n;
    bool big; /* the high byte comes first */
};

/* A number of `size` bytes; 0 where the data end before it. */
static uint32_t number(const struct tiff *tiff, size_t at, int size)
{
    uint32_t v = 0;
    for (int i = 0; at + (size_t)size <= tiff->n && i < size; i++) {
        v = v << 8 | tiff->bytes[at + (size_t)(tiff->big ? i : size - 1 - i)];
    }
    return v;
}

/* The first number of an entry; where they are more than four bytes, the entry says where they stand. */
static int value_of_entry(const struct tiff *tiff, size_t entry)
{
    const uint32_t type = number(tiff, entry + 2, 2), count = number(tiff, entry + 4, 4);
    const int size = type == TYPE_SHORT ? 2 : type == TYPE_LONG ? 4 : 0;
    const bool inside = (uint64_t)count * (uint64_t)size <= 4;
    const uint32_t v = size && count ? number(tiff, inside ? entry + 8 : number(tiff, entry + 8, 4), size) : 1;
    return v >= 1 && v <= 8 ? (int)v : 1;
}

int exif_orientation(const uint8_t *bytes, size_t n)
{
    struct tiff tiff = {bytes, n, n > 0 && bytes[0] == 'M'};
    if (n < 8 || (memcmp(bytes, "II*\0", 4) != 0 && memcmp(bytes, "MM\0*", 4) != 0)) {
        return 1;
    }
    const size_t directory = number(&tiff, 4, 4);
    const size_t entries = number(&tiff, directory, 2);
    for (size_t i = 0; i < entries; i++) {
        const size_t entry = directory + 2 + ENTRY_BYTES * i;
        if (entry + ENTRY_BYTES > n) {
            break;
        }
        if (number(&tiff, entry, 2) == TAG_ORIENTATION) {
            return value_of_entry(&tiff, entry);
        }
    }
    return 1;
}

/* 2 mirrors left and right, 3 is half a turn, 4 mirrors top and bottom, 5 to 8 swap rows and columns besides. */
const char *picture_turn(struct picture *picture, int orientation, const struct why *why)
{
    const struct picture from = *picture;
    const bool swap = orientation >= 5;
    const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    struct picture to;
    const char *bad = orientation == 1
                          ? NULL
                          : picture_new(&to, swap ? from.columns : from.rows, swap ? from.rows : from.columns, why);
    if (bad || orientation == 1) {
        return bad;
    }
    uint8_t *rgb = to.rgb;
    for (int y = 0; y < to.rows; y++) {
        for (int x = 0; x < to.columns; x++, rgb += 3) {
            const int row = swap ? x : y, column = swap ? y : x;
            const size_t at = (size_t)(from_bottom ? from.rows - 1 - row : row) * (size_t)from.columns +
                              (size_t)(from_right ? from.columns - 1 - column : column);
            memcpy(rgb, from.rgb + 3 * at, 3);
        }
    }
    free(from.rgb);
    *picture = to;
    return NULL;
}
