/* PNG: libpng unpacks and unfilters, this file makes RGB of the rows as Pillow's convert("RGB") does.
 *
 * What would surprise: gray of 16 bits is clipped at 255 (Pillow holds it as 32 bit numbers), while all other 16 bit
 * kinds keep their high byte. Alpha and transparent colours are dropped, not blended. An index beyond the palette is a
 * gray of that value. Gamma, colour profiles and texts are not even read. The rows of an interlaced picture go straight
 * to their places, so that a picture takes 3 bytes a pixel whatever its kind.
 *
 * setjmp: after a jump nothing is used but `struct source` of decode_png().
 */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

struct source {
    png_structp png;
    png_infop info;
    const uint8_t *next;
    size_t left;
    bool cut_short, tagged; /* tagged: the orientation is asked for */
    char message[160];
    struct picture *picture;
    const struct why *why;
    uint8_t *row;             /* as libpng gives it: a sample takes one byte, or two, the high one first */
    int step, samples; /* bytes a pixel of it; samples: 1 where table makes the colour, 3 where there are three */
    bool wide, clip; /* samples of two bytes; clip: at 255 */
    uint8_t table[256][3];
};

/* ---- what libpng calls ---- */

static void leave(png_structp png, png_const_charp message)
{
    struct source *source = png_get_error_ptr(png);
    snprintf(source->message, sizeof source->message, "%s", message);
    png_longjmp(png, 1);
}

static void say_nothing(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void read_bytes(png_structp png, png_bytep to, size_t n)
{
    struct source *source = png_get_io_ptr(png);
    if (n > source->left) {
        source->cut_short = true;
        png_error(png, "the data end early");
    }
    memcpy(to, source->next, n);
    source->next += n;
    source->left -= n;
}

/* ---- rows ---- */

static void choose_conversion(struct source *source)
{
    const int depth = png_get_bit_depth(source->png, source->info),
              kind = png_get_color_type(source->png, source->info);
    png_colorp palette;
    int n = 0;
    source->wide = depth == 16;
    source->clip = source->wide && kind == PNG_COLOR_TYPE_GRAY;
    source->samples = kind & PNG_COLOR_MASK_COLOR && kind != PNG_COLOR_TYPE_PALETTE ? 3 : 1;
    source->step = (source->samples + (kind & PNG_COLOR_MASK_ALPHA ? 1 : 0)) << source->wide;
    const int most = kind == PNG_COLOR_TYPE_PALETTE || depth >= 8 ? 255 : (1 << depth) - 1;
    for (int i = 0; i < 256; i++) {
        memset(source->table[i], i <= most ? i * 255 / most : 0, 3);
    }
    if (kind == PNG_COLOR_TYPE_PALETTE && png_get_PLTE(source->png, source->info, &palette, &n)) {
        for (int i = 0; i < n && i < 256; i++) {
            memcpy(source->table[i], (uint8_t[]){palette[i].red, palette[i].green, palette[i].blue}, 3);
        }
    }
}

/* n pixels of the row into places of RGB that are `apart` bytes from each other. */
static void place_row(const struct source *source, int n, uint8_t *rgb, int apart)
{
    const uint8_t *from = source->row;
    for (int i = 0; i < n; i++, from += source->step, rgb += apart) {
        if (source->samples == 1) {
            memcpy(rgb, source->table[source->clip && from[0] ? 255 : from[source->clip]], 3);
        } else {
            for (int c = 0; c < 3; c++) {
                rgb[c] = from[c << source->wide];
            }
        }
    }
}

static void read_rows(struct source *source)
{
    const struct picture *p = source->picture;
    for (int y = 0; y < p->rows; y++) {
        png_read_row(source->png, source->row, NULL);
        place_row(source, p->columns, p->rgb + 3 * (size_t)y * (size_t)p->columns, 3);
    }
}

static void read_interlaced(struct source *source)
{
    const struct picture *p = source->picture;
    const png_uint_32 height = (png_uint_32)p->rows, width = (png_uint_32)p->columns;
    for (int pass = 0; pass < PNG_INTERLACE_ADAM7_PASSES; pass++) {
        const int columns = (int)PNG_PASS_COLS(width, pass), rows = columns ? (int)PNG_PASS_ROWS(height, pass) : 0;
        for (int i = 0; i < rows; i++) {
            const size_t y = PNG_ROW_FROM_PASS_ROW((size_t)i, pass), x = PNG_COL_FROM_PASS_COL(0u, pass);
            png_read_row(source->png, source->row, NULL);
            place_row(source, columns, p->rgb + 3 * (y * width + x), 3 << PNG_PASS_COL_SHIFT(pass));
        }
    }
}

/* ---- decoding ---- */

static const char *decode(struct source *source)
{
    if (setjmp(png_jmpbuf(source->png))) {
        return source->cut_short ? because(source->why, "the PNG data end before the picture does")
                                 : because(source->why, "the PNG data cannot be read: %s", source->message);
    }
    png_set_read_fn(source->png, source, read_bytes);
    png_set_user_limits(source->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* picture_new() has the limits */
    png_set_chunk_malloc_max(source->png, 0); /* what is passed over may be large */
    png_set_keep_unknown_chunks(source->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1); /* what is not needed to see it */
    if (source->tagged) {
        static const png_byte exif_chunk[] = "eXIf";
        png_set_keep_unknown_chunks(source->png, PNG_HANDLE_CHUNK_AS_DEFAULT, exif_chunk, 1);
    }
    png_set_packing(source->png);
    png_read_info(source->png, source->info);
    const char *bad = picture_new(source->picture, png_get_image_height(source->png, source->info),
                                  png_get_image_width(source->png, source->info), source->why);
    if (bad) {
        return bad;
    }
    choose_conversion(source);
    png_read_update_info(source->png, source->info);
    if (!(source->row = malloc(png_get_rowbytes(source->png, source->info)))) {
        return because(source->why, "out of memory");
    }
    (png_get_interlace_type(source->png, source->info) == PNG_INTERLACE_NONE ? read_rows : read_interlaced)(source);
    return NULL;
}

/* The tag may stand behind the picture; what is wrong there does not matter any more. */
static void read_rest(struct source *source)
{
    if (setjmp(png_jmpbuf(source->png)) == 0) {
        png_read_end(source->png, source->info);
    }
}

static void read_orientation(struct source *source, int *orientation)
{
    png_uint_32 n = 0;
    png_bytep exif = NULL;
    read_rest(source);
    if (png_get_eXIf_1(source->png, source->info, &n, &exif) && exif) {
        *orientation = exif_orientation(exif, n);
    }
}

const char *decode_png(const uint8_t *bytes, size_t n, struct picture *picture, int *orientation, const struct why *why)
{
    struct source source = {.next = bytes, .left = n, .picture = picture, .why = why, .tagged = orientation};
    source.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, leave, say_nothing);
    source.info = source.png ? png_create_info_struct(source.png) : NULL;
    if (!source.info) {
        png_destroy_read_struct(&source.png, NULL, NULL);
        return because(why, "out of memory");
    }
    const char *bad = decode(&source);
    if (!bad && orientation) {
        read_orientation(&source, orientation);
    }
    png_destroy_read_struct(&source.png, &source.info, NULL);
    free(source.row);
    if (bad) {
        free(picture->rgb);
        picture->rgb = NULL;
    }
    return bad;
}
