/* PBM, PGM and PPM, plain (P1, P2, P3) and raw (P4, P5, P6), read as Pillow reads them.
 *
 * What would surprise: a maximum other than 255 is stretched to it, rounded half to even; but gray with a maximum
 * above 255 is stretched to 65535 and then clipped at 255, for Pillow holds it as 32 bit numbers and convert("RGB")
 * clips. A comment may stand anywhere, with its line's end it is as if it were not there: "1# one\n2" is 12.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

enum { MAX_DIGITS = 10 };

struct text {
    const uint8_t *at, *end;
    const struct why *why;
};

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_comment(struct text *text)
{
    while (text->at < text->end && *text->at != '\n' && *text->at != '\r') {
        text->at++;
    }
    text->at += text->at < text->end;
}

/* The next number, and the one space behind it. */
static const char *read_number(struct text *text, const char *what, int64_t *number)
{
    int digits = 0;
    *number = 0;
    while (text->at < text->end) {
        const uint8_t c = *text->at++;
        if (c == '#') {
            skip_comment(text);
        } else if (is_space(c)) {
            if (digits) {
                return NULL;
            }
        } else if (c < '0' || c > '9') {
            return because(text->why, "a byte 0x%02x stands where %s should", c, what);
        } else if (++digits > MAX_DIGITS) {
            return because(text->why, "%s has more than %d digits", what, MAX_DIGITS);
        } else {
            *number = 10 * *number + (c - '0');
        }
    }
    return digits ? NULL : because(text->why, "it ends before %s", what);
}

/* ---- pixels ---- */

struct kind {
    bool plain, bits; /* bits: 1 is black */
    int channels, maximum;
};

static uint8_t to_byte(const struct kind *kind, int64_t v)
{
    const int most = kind->maximum > 255 && kind->channels == 1 ? 65535 : 255;
    const double stretched = kind->maximum == most ? (double)v : rint((double)v / kind->maximum * most);
    return stretched > 255 ? 255 : (uint8_t)stretched;
}

static void put(const struct kind *kind, struct picture *picture, int64_t i, uint8_t v)
{
    if (kind->channels == 3) {
        picture->rgb[i] = v;
    } else {
        memset(picture->rgb + 3 * i, v, 3);
    }
}

static const char *read_plain_bits(struct text *text, const struct kind *kind, struct picture *picture, int64_t n)
{
    for (int64_t i = 0; i < n;) {
        if (text->at == text->end) {
            return because(text->why, "it ends before the picture does");
        }
        const uint8_t c = *text->at++;
        if (c == '#') {
            skip_comment(text);
        } else if (c == '0' || c == '1') {
            put(kind, picture, i++, c == '0' ? 255 : 0);
        } else if (!is_space(c)) {
            return because(text->why, "a byte 0x%02x stands where a pixel should", c);
        }
    }
    return NULL;
}

static const char *read_plain(struct text *text, const struct kind *kind, struct picture *picture, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t v;
        const char *bad = read_number(text, "a pixel", &v);
        if (!bad && v > kind->maximum) {
            bad = because(text->why, "a pixel of %lld is above the maximum %d", (long long)v, kind->maximum);
        }
        if (bad) {
            return bad;
        }
        put(kind, picture, i, to_byte(kind, v));
    }
    return NULL;
}

static void read_raw_bits(const uint8_t *from, const struct kind *kind, struct picture *picture)
{
    const int64_t columns = picture->columns, bytes = (columns + 7) / 8;
    for (int64_t y = 0; y < picture->rows; y++, from += bytes) {
        for (int64_t x = 0; x < columns; x++) {
            put(kind, picture, y * columns + x, from[x / 8] << x % 8 & 0x80 ? 0 : 255);
        }
    }
}

static void read_raw(const uint8_t *from, const struct kind *kind, struct picture *picture, int64_t n)
{
    uint8_t byte[256];
    for (int v = 0; v < 256; v++) {
        byte[v] = to_byte(kind, v < kind->maximum ? v : kind->maximum);
    }
    for (int64_t i = 0; i < n; i++) {
        const bool wide = kind->maximum > 255;
        put(kind, picture, i, wide ? to_byte(kind, from[2 * i] << 8 | from[2 * i + 1]) : byte[from[i]]);
    }
}

/* The least that n samples take: what a header promises in vain is found before any is read. */
static int64_t least_bytes(const struct kind *kind, const struct picture *picture, int64_t n)
{
    if (kind->plain) {
        return kind->bits ? n : 2 * n - 1;
    }
    return kind->bits ? picture->rows * (((int64_t)picture->columns + 7) / 8) : kind->maximum > 255 ? 2 * n : n;
}

static const char *read_pixels(struct text *text, const struct kind *kind, struct picture *picture)
{
    const int64_t n = (int64_t)picture->rows * picture->columns * kind->channels;
    if (text->end - text->at < least_bytes(kind, picture, n)) {
        return because(text->why, "it ends before the picture does");
    }
    if (kind->plain) {
        return (kind->bits ? read_plain_bits : read_plain)(text, kind, picture, n);
    }
    if (kind->bits) {
        read_raw_bits(text->at, kind, picture);
    } else {
        read_raw(text->at, kind, picture, n);
    }
    return NULL;
}

const char *decode_pnm(const uint8_t *bytes, size_t n, struct picture *picture, const struct why *why)
{
    struct text text = {bytes + 2, bytes + n, why};
    const int digit = bytes[1] - '0';
    struct kind kind = {.plain = digit <= 3, .bits = digit % 3 == 1, .channels = digit % 3 == 0 ? 3 : 1};
    int64_t columns, rows, maximum = 1;
    const char *bad = read_number(&text, "the width", &columns);
    bad = bad ? bad : read_number(&text, "the height", &rows);
    bad = bad || kind.bits ? bad : read_number(&text, "the maximum", &maximum);
    if (!bad && (maximum < 1 || maximum > 65535)) {
        bad = because(why, "its maximum is 1 to 65535, this is %lld", (long long)maximum);
    }
    if (bad || (bad = picture_new(picture, rows, columns, why))) {
        return bad;
    }
    kind.maximum = (int)maximum;
    bad = read_pixels(&text, &kind, picture);
    if (bad) {
        free(picture->rgb);
        picture->rgb = NULL;
    }
    return bad;
}
