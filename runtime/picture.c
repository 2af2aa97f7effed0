/* From a picture's bytes to the network's input, as the description's `from picture |> ...` says.
 *
 * All that runs now is a function of one byte a plane: choice of channels (gray, swap_red_blue) and normalize, so a
 * table of 256 numbers a plane does the work. resize and the crops run where the picture has the size already. A
 * gray picture is one whose red, green and blue are equal, which Pillow's weights of gray leave as it is.
 */
#include <string.h>

#include "runtime.h"

static void keep_size(const struct netc_picture_step *step, const struct preparation *way)
{
    const int shorter = way->rows < way->columns ? way->rows : way->columns;
    bool same = step->rows == way->rows && step->columns == way->columns;
    if (step->op == NETC_RESIZE && step->shorter > 0) {
        same = step->shorter == shorter;
    } else if (step->op == NETC_CENTER_BOX) {
        same = step->share == 1 && way->rows == way->columns;
    }
    if (!same) {
        static const char *const name[] = {"resize", "center_crop", "center_box"};
        fail("%s of pictures comes later: these have %d x %d pixels and the network's description wants another size",
             name[step->op], way->rows, way->columns);
    }
}

/* PyTorch's order of operations in float32, so that a network sees the very numbers it was trained on. */
static void fill_tables(const struct netc_picture_step *step, struct preparation *way)
{
    for (int plane = 0; plane < way->planes; plane++) {
        const int i = plane < step->channels ? plane : step->channels - 1;
        for (int byte = 0; byte < 256; byte++) {
            const float x = (float)(byte * step->range / 255.0);
            way->value[plane][byte] = (x - (float)step->mean[i]) / (float)step->std[i];
        }
    }
}

struct preparation prepare_pictures(const struct netc_tensor *input, const struct pictures *pictures)
{
    struct preparation way = {.rows = pictures->rows, .columns = pictures->columns, .channels = pictures->channels};
    way.planes = 3;
    bool normalized = false, swapped = false;
    for (int i = 0; i < input->n_step; i++) {
        const struct netc_picture_step *step = &input->step[i];
        switch (step->op) {
        case NETC_RESIZE:
        case NETC_CENTER_CROP:
        case NETC_CENTER_BOX: keep_size(step, &way); break;
        case NETC_GRAY:
            way.gray = true;
            way.planes = 1;
            break;
        case NETC_SWAP_RED_BLUE: swapped = !swapped; break;
        case NETC_NORMALIZE:
            fill_tables(step, &way);
            normalized = true;
            break;
        }
    }
    if (!normalized) {
        fail("the input '%s' does not say how pictures become numbers: use --tensor", input->name);
    }
    const int64_t shape[3] = {way.planes, way.rows, way.columns};
    if (input->rank != 3 || memcmp(shape, input->shape, sizeof shape) != 0) {
        fail("pictures of %d x %d become %s, but the input '%s' takes %s", way.rows, way.columns, shape_text(3, shape),
             input->name, shape_text(input->rank, input->shape));
    }
    for (int plane = 0; plane < way.planes; plane++) {
        way.source[plane] = way.channels == 1 ? 0 : swapped ? 2 - plane : plane;
    }
    way.gray = way.gray && way.channels == 3;
    return way;
}

void picture_to_input(const struct preparation *way, const uint8_t *pixels, float *input)
{
    const int n = way->rows * way->columns;
    if (way->gray) { /* Pillow's weights, sum 65536 */
        for (int i = 0; i < n; i++) {
            const uint8_t *p = pixels + 3 * i;
            input[i] = way->value[0][(19595 * p[0] + 38470 * p[1] + 7471 * p[2] + 32768) >> 16];
        }
        return;
    }
    for (int plane = 0; plane < way->planes; plane++) {
        const uint8_t *p = pixels + way->source[plane];
        for (int i = 0; i < n; i++) {
            input[plane * n + i] = way->value[plane][p[i * way->channels]];
        }
    }
}
