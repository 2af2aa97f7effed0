/* From a picture's bytes to the network's input: decoding by the file's first bytes, then the steps of the
 * description's `from picture |> ...`, one after the other, as Pillow and torchvision compute them.
 *
 * What would surprise: between steps a picture stays 8 bit, as in Pillow, so every resize rounds. A crop copies nothing
 * where the picture is large enough, and pads with zeros where it is not, as torchvision does. swap_red_blue is only
 * remembered. Steps that change nothing do nothing.
 */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

#ifdef __clang__ /* gcc has no such pragma, and under -std=c17 no such habit */
#pragma STDC FP_CONTRACT OFF
#endif

const char *because(const struct why *why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, why->room, format, arguments);
    va_end(arguments);
    return why->text;
}

static const char *size_fits(int64_t rows, int64_t columns, const char *what, const struct why *why)
{
    if (rows < 1 || columns < 1) {
        return because(why, "%s of %lld x %lld pixels is none", what, (long long)columns, (long long)rows);
    }
    if (rows > MAX_PICTURE_SIDE || columns > MAX_PICTURE_SIDE) {
        return because(why, "%s of %lld x %lld pixels has a side above %d", what, (long long)columns, (long long)rows,
                       MAX_PICTURE_SIDE);
    }
    if (rows * columns > MAX_PICTURE_PIXELS) {
        return because(why, "%s of %lld x %lld pixels has more than %d of them", what, (long long)columns,
                       (long long)rows, MAX_PICTURE_PIXELS);
    }
    return NULL;
}

static const char *new_pixels(int64_t rows, int64_t columns, int channels, uint8_t **pixels, const char *what,
                              const struct why *why)
{
    const char *bad = size_fits(rows, columns, what, why);
    if (!bad && !(*pixels = malloc((size_t)(rows * columns * channels)))) {
        bad = because(why, "out of memory: a picture of %lld x %lld pixels", (long long)columns, (long long)rows);
    }
    return bad;
}

const char *picture_new(struct picture *picture, int64_t rows, int64_t columns, const struct why *why)
{
    *picture = (struct picture){0};
    const char *bad = new_pixels(rows, columns, 3, &picture->rgb, "a picture", why);
    if (!bad) {
        picture->rows = (int)rows;
        picture->columns = (int)columns;
    }
    return bad;
}

/* ---- decoding ---- */

static bool begins(const uint8_t *bytes, size_t n, size_t at, const char *with, size_t length)
{
    return n >= at + length && memcmp(bytes + at, with, length) == 0;
}

static const char *unknown(const uint8_t *bytes, size_t n, const struct why *why)
{
    static const struct {
        const char *name, *bytes;
        int at, length;
    } known[] = {
        {"GIF", "GIF8", 0, 4},     {"BMP", "BM", 0, 2},
        {"WebP", "WEBP", 8, 4},    {"TIFF", "II*\0", 0, 4},
        {"TIFF", "MM\0*", 0, 4},   {"AVIF", "ftypavif", 4, 8},
        {"HEIC", "ftyphei", 4, 7}, {"JPEG 2000", "jP  \r\n", 4, 6},
        {"JPEG XL", "JXL ", 4, 4}, {"PAM", "P7\n", 0, 3},
    };
    static const char read_are[] = "JPEG, PNG and PPM/PGM/PBM are read";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (begins(bytes, n, (size_t)known[i].at, known[i].bytes, (size_t)known[i].length)) {
            return because(why, "%s is not read; %s", known[i].name, read_are);
        }
    }
    if (n == 0) {
        return because(why, "it is empty; %s", read_are);
    }
    char start[13] = "";
    for (size_t i = 0; i < n && i < sizeof start - 1; i++) {
        start[i] = (char)(bytes[i] < 128 && isprint(bytes[i]) ? bytes[i] : '.');
    }
    return because(why, "it is no picture, it begins with '%s'; %s", start, read_are);
}

const char *picture_decode(const uint8_t *bytes, size_t n, bool exif, struct picture *out, char *text, size_t room)
{
    const struct why why = {text, room};
    int orientation = 1, *tag = exif ? &orientation : NULL;
    const char *bad;
    *out = (struct picture){0};
    if (begins(bytes, n, 0, "\xff\xd8\xff", 3)) {
        bad = decode_jpeg(bytes, n, out, tag, &why);
    } else if (begins(bytes, n, 0, "\x89PNG\r\n\x1a\n", 8)) {
        bad = decode_png(bytes, n, out, tag, &why);
    } else if (n >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' && isspace(bytes[2])) {
        bad = decode_pnm(bytes, n, out, &why);
    } else {
        bad = unknown(bytes, n, &why);
    }
    if (!bad) {
        bad = picture_turn(out, orientation, &why);
    }
    if (bad) {
        free(out->rgb);
        *out = (struct picture){0};
    }
    return bad;
}

/* ---- the steps ---- */

struct way { /* where a picture is on its way */
    struct pixels now;
    uint8_t *owned; /* what now.at points into, unless that is the caller's */
    bool swapped;   /* red and blue */
    const struct why *why;
};

static void take_over(struct way *way, int rows, int columns, int channels, uint8_t *pixels)
{
    free(way->owned);
    way->owned = pixels;
    way->now = (struct pixels){rows, columns, channels, (int64_t)columns * channels, pixels};
}

static const char *resize(struct way *way, const struct netc_picture_step *step)
{
    const struct pixels *now = &way->now;
    int64_t rows = step->rows, columns = step->columns;
    uint8_t *pixels = NULL;
    if (step->shorter > 0) { /* torchvision's rule, rounded down */
        const bool high = now->rows > now->columns;
        rows = high ? (int64_t)step->shorter * now->rows / now->columns : step->shorter;
        columns = high ? step->shorter : (int64_t)step->shorter * now->columns / now->rows;
    }
    if (rows == now->rows && columns == now->columns) {
        return NULL;
    }
    const char *bad = new_pixels(rows, columns, now->channels, &pixels, "the resized picture", way->why);
    bad = bad ? bad : size_fits(now->rows, columns, "the half resized picture", way->why);
    bad = bad ? bad : resize_pixels(now, (int)rows, (int)columns, step->bicubic, pixels, way->why);
    if (bad) {
        free(pixels);
        return bad;
    }
    take_over(way, (int)rows, (int)columns, now->channels, pixels);
    return NULL;
}

/* Cuts out rows x columns from (top, left) on; what lies outside the picture is zero. */
static const char *cut(struct way *way, int top, int left, int rows, int columns)
{
    const struct pixels *now = &way->now;
    const int n = now->channels;
    if (top >= 0 && left >= 0 && top + rows <= now->rows && left + columns <= now->columns) {
        way->now.at += top * now->stride + (int64_t)left * n;
        way->now.rows = rows;
        way->now.columns = columns;
        return NULL;
    }
    uint8_t *pixels = NULL;
    const char *bad = new_pixels(rows, columns, n, &pixels, "the crop", way->why);
    if (bad) {
        return bad;
    }
    memset(pixels, 0, (size_t)rows * (size_t)columns * (size_t)n);
    const int from_x = left > 0 ? left : 0, end = left + columns < now->columns ? left + columns : now->columns;
    for (int y = 0; y < rows; y++) {
        if (top + y >= 0 && top + y < now->rows && end > from_x) {
            memcpy(pixels + ((int64_t)y * columns + from_x - left) * n,
                   now->at + (top + y) * now->stride + (int64_t)from_x * n, (size_t)(end - from_x) * (size_t)n);
        }
    }
    take_over(way, rows, columns, n, pixels);
    return NULL;
}

/* Where a crop begins; negative: so much padding. rint() rounds half to even, as Python's round does. */
static int offset(int whole, int size, bool up)
{
    if (size > whole) {
        return -((size - whole) / 2);
    }
    return (int)(up ? ceil((whole - size) / 2.0) : rint((whole - size) / 2.0));
}

static const char *center_crop(struct way *way, const struct netc_picture_step *step)
{
    return cut(way, offset(way->now.rows, step->rows, step->offset_ceil),
               offset(way->now.columns, step->columns, step->offset_ceil), step->rows, step->columns);
}

/* ResNeSt's ECenterCrop; the far edges are rounded as Pillow's crop rounds them. */
static const char *center_box(struct way *way, const struct netc_picture_step *step)
{
    const int rows = way->now.rows, columns = way->now.columns;
    const double side = step->share * (rows < columns ? rows : columns);
    const int top = (int)rint((rows - side) / 2), left = (int)rint((columns - side) / 2);
    const int height = (int)rint(top + side) - top, width = (int)rint(left + side) - left;
    if (height < 1 || width < 1) {
        return because(way->why, "center_box leaves nothing of %d x %d pixels", columns, rows);
    }
    return cut(way, top, left, height, width);
}

static const char *gray(struct way *way)
{
    const struct pixels *now = &way->now;
    if (now->channels == 1) { /* of equal red, green and blue Pillow's weights make the same again */
        return NULL;
    }
    uint8_t *pixels = NULL;
    const char *bad = new_pixels(now->rows, now->columns, 1, &pixels, "a picture", way->why);
    if (bad) {
        return bad;
    }
    const int red = way->swapped ? 2 : 0;
    uint8_t *to = pixels;
    for (int y = 0; y < now->rows; y++) {
        const uint8_t *p = now->at + y * now->stride;
        for (int x = 0; x < now->columns; x++, p += 3) { /* Pillow's weights, sum 65536 */
            *to++ = (uint8_t)((19595 * p[red] + 38470 * p[1] + 7471 * p[2 - red] + 32768) >> 16);
        }
    }
    take_over(way, now->rows, now->columns, 1, pixels);
    way->swapped = false;
    return NULL;
}

/* torchvision's ToTensor and Normalize, in their order of operations in float32. Planes, not pixels. */
static void normalize(const struct way *way, const struct netc_picture_step *step, float *out)
{
    const struct pixels *now = &way->now;
    for (int plane = 0; plane < step->channels; plane++) {
        float value[256];
        for (int byte = 0; byte < 256; byte++) {
            const float x = step->range == 1 ? (float)byte / 255.0f : (float)(byte * step->range / 255.0);
            value[byte] = (x - (float)step->mean[plane]) / (float)step->std[plane];
        }
        const int channel = now->channels == 1 ? 0 : way->swapped ? 2 - plane : plane;
        for (int y = 0; y < now->rows; y++) {
            const uint8_t *p = now->at + y * now->stride + channel;
            for (int x = 0; x < now->columns; x++) {
                *out++ = value[p[x * now->channels]];
            }
        }
    }
}

static const char *fits_input(const struct netc_tensor *input, const struct netc_picture_step *last,
                              const struct way *way)
{
    const int64_t *s = input->shape;
    if (s[0] == last->channels && s[1] == way->now.rows && s[2] == way->now.columns) {
        return NULL;
    }
    return because(way->why, "it becomes [%d,%d,%d], but the input '%s' takes [%lld,%lld,%lld]", last->channels,
                   way->now.rows, way->now.columns, input->name, (long long)s[0], (long long)s[1], (long long)s[2]);
}

static const char *follow(struct way *way, const struct netc_tensor *input, float *out)
{
    for (int i = 0; i < input->n_step; i++) {
        const struct netc_picture_step *step = &input->step[i];
        const char *bad = NULL;
        switch (step->op) {
        case NETC_RESIZE: bad = resize(way, step); break;
        case NETC_CENTER_CROP: bad = center_crop(way, step); break;
        case NETC_CENTER_BOX: bad = center_box(way, step); break;
        case NETC_GRAY: bad = gray(way); break;
        case NETC_SWAP_RED_BLUE: way->swapped = !way->swapped; break;
        case NETC_NORMALIZE:
            bad = fits_input(input, step, way);
            if (!bad) {
                normalize(way, step, out);
            }
            break;
        }
        if (bad) {
            return bad;
        }
    }
    return NULL;
}

const char *pixels_to_tensor(const struct netc_tensor *input, int rows, int columns, int channels,
                             const uint8_t *pixels, float *out, char *text, size_t room)
{
    const struct why why = {text, room};
    struct way way = {{rows, columns, channels, (int64_t)columns * channels, pixels}, NULL, false, &why};
    if (input->n_step == 0 || input->rank != 3) {
        return because(&why, "the input '%s' does not say how pictures become numbers: use --tensor", input->name);
    }
    const char *bad = follow(&way, input, out);
    free(way.owned);
    return bad;
}

const char *picture_to_tensor(const struct netc_tensor *input, const struct picture *picture, float *out, char *text,
                              size_t room)
{
    return pixels_to_tensor(input, picture->rows, picture->columns, 3, picture->rgb, out, text, room);
}
