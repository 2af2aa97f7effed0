/* The contact sheet: pictures with their true and predicted class under each, in a frame that is green where the two
 * agree. With few classes a column is a class; with many, the first pictures of the set are shown. */
#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

enum {
    ROWS = 8,
    COLUMNS = 12,
    MAX_CLASS_COLUMNS = 16,
    FRAME = 2,
    GAP = 6,
    LINE = FONT_HEIGHT + 2,
    LEAST_SIDE = 56,
    LEAST_TEXT = 11 * (FONT_WIDTH + 1)
};

struct colour {
    uint8_t rgb[3];
};
static const struct colour paper = {{250, 250, 248}}, ink = {{90, 90, 90}}, right = {{30, 140, 60}},
                           wrong = {{200, 30, 40}};

struct canvas {
    int width, height;
    uint8_t *rgb;
};

static void fill(struct canvas *canvas, int x, int y, int width, int height, struct colour colour)
{
    for (int row = y; row < y + height; row++) {
        for (int column = x; column < x + width; column++) {
            memcpy(canvas->rgb + 3 * ((int64_t)row * canvas->width + column), colour.rgb, 3);
        }
    }
}

/* Cut at `width` pixels. */
static void write_text(struct canvas *canvas, int x, int y, int width, const char *text, struct colour colour)
{
    for (const int end = x + width; *text && x + FONT_WIDTH <= end; text++, x += FONT_WIDTH + 1) {
        const unsigned char character = (unsigned char)*text;
        const uint8_t *rows =
            font_rows[(character < FONT_FIRST || character > FONT_LAST ? '?' : character) - FONT_FIRST];
        for (int row = 0; row < FONT_HEIGHT; row++) {
            for (int column = 0; column < FONT_WIDTH; column++) {
                if (rows[row] >> (FONT_WIDTH - 1 - column) & 1) {
                    fill(canvas, x + column, y + row, 1, 1, colour);
                }
            }
        }
    }
}

static void draw_picture(struct canvas *canvas, int x, int y, int scale, const struct pictures *pictures, int64_t which)
{
    const int n = pictures->channels;
    const uint8_t *pixel = pictures->pixels + which * pictures->rows * pictures->columns * n;
    for (int row = 0; row < pictures->rows; row++) {
        for (int column = 0; column < pictures->columns; column++, pixel += n) {
            const struct colour colour = {{pixel[0], pixel[n > 1], pixel[n > 1 ? 2 : 0]}};
            fill(canvas, x + column * scale, y + row * scale, scale, scale, colour);
        }
    }
}

/* Which picture stands in each cell; -1: none. */
static void choose_pictures(int64_t *cell, int columns, bool column_is_class, int64_t count, const uint8_t *labels)
{
    int used[MAX_CLASS_COLUMNS] = {0};
    for (int i = 0; i < ROWS * columns; i++) {
        cell[i] = column_is_class || i >= count ? -1 : i;
    }
    for (int64_t i = 0; column_is_class && i < count; i++) {
        const int class = labels[i];
        if (used[class] < ROWS) {
            cell[used[class]++ * columns + class] = i;
        }
    }
}

static void draw_cell(struct canvas *canvas, int x, int y, int width, int scale, const struct pictures *pictures,
                      int64_t which, int truth, int answer)
{
    char number[24];
    const struct netc_tensor *classes = &netc_model.output[0];
    const int w = pictures->columns * scale, h = pictures->rows * scale, left = x + (width - w) / 2;
    const struct colour verdict = truth == answer ? right : wrong;
    fill(canvas, left - FRAME, y, w + 2 * FRAME, h + 2 * FRAME, verdict);
    draw_picture(canvas, left, y + FRAME, scale, pictures, which);
    const int text = y + h + 2 * FRAME + 3;
    write_text(canvas, x, text, width, class_name(classes, truth, number), ink);
    write_text(canvas, x, text + LINE, width, class_name(classes, answer, number), verdict);
}

static void write_png(const char *path, const struct canvas *canvas)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)canvas->width,
                       .height = (png_uint_32)canvas->height,
                       .format = PNG_FORMAT_RGB};
    FILE *file = output_begin(path);
    if (!png_image_write_to_stdio(&image, file, 0, canvas->rgb, 0, NULL)) {
        fail("cannot write %s: %s", path, ferror(file) ? strerror(errno) : image.message);
    }
    output_end();
}

void write_sheet(const char *path, const struct pictures *pictures, const uint8_t *labels, const int *predicted)
{
    const int64_t classes = netc_model.output[0].elements;
    const bool column_is_class = classes <= MAX_CLASS_COLUMNS;
    const int columns = column_is_class ? (int)classes : COLUMNS;
    const int scale = (LEAST_SIDE + pictures->columns - 1) / pictures->columns;
    const int side = pictures->columns * scale + 2 * FRAME, width = side > LEAST_TEXT ? side : LEAST_TEXT;
    const int height = pictures->rows * scale + 2 * FRAME + 3 + 2 * LINE;
    int64_t cell[ROWS * MAX_CLASS_COLUMNS];
    choose_pictures(cell, columns, column_is_class, pictures->count, labels);
    struct canvas canvas = {.width = columns * (width + GAP) + GAP, .height = ROWS * (height + GAP) + GAP};
    canvas.rgb = allocate((int64_t)canvas.width * canvas.height, 3, "the contact sheet");
    fill(&canvas, 0, 0, canvas.width, canvas.height, paper);
    for (int i = 0; i < ROWS * columns; i++) {
        if (cell[i] >= 0) {
            draw_cell(&canvas, GAP + i % columns * (width + GAP), GAP + i / columns * (height + GAP), width, scale,
                      pictures, cell[i], labels[cell[i]], predicted[cell[i]]);
        }
    }
    write_png(path, &canvas);
    free(canvas.rgb);
}
