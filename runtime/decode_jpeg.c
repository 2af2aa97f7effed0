/* JPEG by libjpeg-turbo, with the settings of Pillow, which are the library's defaults: accurate integer DCT, smooth
 * chroma upsampling, block smoothing. So the pixels are Pillow's where both use the same libjpeg.
 *
 * What would surprise: the source suspends at the end of the bytes instead of inventing an end marker, so that a
 * picture cut short is told from one that lacks the marker only, just where Pillow draws that line. Damage inside the
 * data (warnings of libjpeg) is no error: the library goes on, and so does Pillow. CMYK files hold inverted inks, as
 * Adobe writes them, and Pillow takes it so even where no Adobe marker says it.
 *
 * setjmp: after a jump decode() uses nothing but `struct jpeg` of its caller.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>

#include "runtime.h"

enum { MAX_SCANS = 1000, MOST_OF_APP1 = 65533 };

struct jpeg {
    struct jpeg_decompress_struct decompress;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf fault;
    char message[JMSG_LENGTH_MAX];
    struct picture *picture;
    int *orientation;
    JSAMPROW inks; /* a row of CMYK */
    const struct why *why;
};

/* ---- what libjpeg calls ---- */

static void leave(j_common_ptr common)
{
    struct jpeg *jpeg = common->client_data;
    common->err->format_message(common, jpeg->message);
    longjmp(jpeg->fault, 1);
}

static void say_nothing(j_common_ptr common)
{
    (void)common;
}

static void source_begin_end(j_decompress_ptr decompress)
{
    (void)decompress;
}

static boolean source_suspend(j_decompress_ptr decompress)
{
    (void)decompress;
    return FALSE;
}

static void source_skip(j_decompress_ptr decompress, long n)
{
    struct jpeg_source_mgr *source = decompress->src;
    const size_t step = n <= 0 ? 0 : (size_t)n < source->bytes_in_buffer ? (size_t)n : source->bytes_in_buffer;
    source->next_input_byte += step;
    source->bytes_in_buffer -= step;
}

/* A progressive file of a few bytes a scan could keep a processor busy for hours. */
static void count_scans(j_common_ptr common)
{
    struct jpeg *jpeg = common->client_data;
    if (jpeg->decompress.input_scan_number > MAX_SCANS) {
        snprintf(jpeg->message, sizeof jpeg->message, "more than %d scans", MAX_SCANS);
        longjmp(jpeg->fault, 1);
    }
}

static void set_up(struct jpeg *jpeg, const uint8_t *bytes, size_t n)
{
    jpeg->decompress.err = jpeg_std_error(&jpeg->errors);
    jpeg->decompress.client_data = jpeg;
    jpeg->errors.error_exit = leave;
    jpeg->errors.output_message = say_nothing;
    jpeg->source = (struct jpeg_source_mgr){
        .next_input_byte = bytes,
        .bytes_in_buffer = n,
        .init_source = source_begin_end,
        .fill_input_buffer = source_suspend,
        .skip_input_data = source_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = source_begin_end,
    };
    jpeg->progress.progress_monitor = count_scans;
}

/* ---- decoding ---- */

static void read_orientation(struct jpeg *jpeg)
{
    static const char exif[6] = "Exif\0";
    for (jpeg_saved_marker_ptr m = jpeg->decompress.marker_list; m; m = m->next) {
        if (m->data_length >= sizeof exif && memcmp(m->data, exif, sizeof exif - 1) == 0) {
            *jpeg->orientation = exif_orientation(m->data + sizeof exif, m->data_length - sizeof exif);
            return;
        }
    }
}

/* x * y / 255, rounded, for 8 bit numbers. */
static int part_of(int x, int y)
{
    const int product = x * y + 128;
    return (product + (product >> 8)) >> 8;
}

/* inks: inverted, so 255 is no ink; and light is what the black leaves, times what the other ink leaves. */
static void inks_to_rgb(const uint8_t *inks, int columns, uint8_t *rgb)
{
    for (int x = 0; x < columns; x++, inks += 4, rgb += 3) {
        for (int c = 0; c < 3; c++) {
            rgb[c] = (uint8_t)(inks[3] - part_of(255 - inks[c], inks[3]));
        }
    }
}

static const char *cut_short(struct jpeg *jpeg)
{
    return because(jpeg->why, "the JPEG data end before the picture does");
}

static const char *read_lines(struct jpeg *jpeg)
{
    struct jpeg_decompress_struct *decompress = &jpeg->decompress;
    while (decompress->output_scanline < decompress->output_height) {
        JSAMPROW row = jpeg->picture->rgb + 3 * (size_t)decompress->output_scanline * decompress->output_width;
        if (jpeg_read_scanlines(decompress, jpeg->inks ? &jpeg->inks : &row, 1) != 1) {
            return cut_short(jpeg);
        }
        if (jpeg->inks) {
            inks_to_rgb(jpeg->inks, jpeg->picture->columns, row);
        }
    }
    jpeg_finish_decompress(decompress); /* may fail, and then the picture does; a missing end may be missing */
    return NULL;
}

static const char *decode(struct jpeg *jpeg)
{
    if (setjmp(jpeg->fault)) {
        return because(jpeg->why, "the JPEG data cannot be read: %s", jpeg->message);
    }
    jpeg_create_decompress(&jpeg->decompress);
    jpeg->decompress.src = &jpeg->source;
    jpeg->decompress.progress = &jpeg->progress;
    if (jpeg->orientation) {
        jpeg_save_markers(&jpeg->decompress, JPEG_APP0 + 1, MOST_OF_APP1);
    }
    int found;
    do { /* tables may come in a stream of their own, ahead of the picture */
        found = jpeg_read_header(&jpeg->decompress, FALSE);
    } while (found == JPEG_HEADER_TABLES_ONLY);
    if (found == JPEG_SUSPENDED) {
        return cut_short(jpeg);
    }
    if (jpeg->orientation) {
        read_orientation(jpeg);
    }
    const int channels = jpeg->decompress.num_components;
    if (channels != 1 && channels != 3 && channels != 4) {
        return because(jpeg->why, "a JPEG picture of %d channels is not read, only 1, 3 and 4", channels);
    }
    jpeg->decompress.out_color_space = channels == 4 ? JCS_CMYK : JCS_RGB;
    const char *bad =
        picture_new(jpeg->picture, jpeg->decompress.image_height, jpeg->decompress.image_width, jpeg->why);
    if (bad) {
        return bad;
    }
    if (channels == 4 && !(jpeg->inks = malloc(4 * (size_t)jpeg->decompress.image_width))) {
        return because(jpeg->why, "out of memory");
    }
    return jpeg_start_decompress(&jpeg->decompress) ? read_lines(jpeg) : cut_short(jpeg);
}

const char *decode_jpeg(const uint8_t *bytes, size_t n, struct picture *picture, int *orientation,
                        const struct why *why)
{
    struct jpeg jpeg = {.picture = picture, .orientation = orientation, .why = why};
    set_up(&jpeg, bytes, n);
    const char *bad = decode(&jpeg);
    jpeg_destroy_decompress(&jpeg.decompress);
    free(jpeg.inks);
    if (bad) {
        free(picture->rgb);
        picture->rgb = NULL;
    }
    return bad;
}
