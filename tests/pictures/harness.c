/* The runtime's picture functions behind a pipe, for run.py: a line says what to do and how many bytes follow it.
 *
 *   decode EXIF N, a file                  -> picture ROWS COLUMNS 3, and the pixels
 *   resize ROWS COLUMNS CHANNELS TO_ROWS TO_COLUMNS CUBIC, pixels   -> picture TO_ROWS TO_COLUMNS CHANNELS, the pixels
 *   input I EXIF N, a file                 -> tensor COUNT, and the floats: what the network's input I gets
 *   step OP SHORTER ...                    nothing yet: a step to come, the fields of struct netc_picture_step
 *   tensor PLANES TO_ROWS TO_COLUMNS ROWS COLUMNS CHANNELS, pixels  -> tensor COUNT, the floats, by the steps told
 *
 * or `refused WHY`. What is read and written lies in blocks of just its size: the sanitizer sees what goes beyond.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

static char why[300];
static struct netc_picture_step steps[16];
static int n_step;

static void *block(size_t n)
{
    void *bytes = malloc(n ? n : 1);
    if (!bytes) {
        abort();
    }
    return bytes;
}

static void *follows(size_t n)
{
    void *bytes = block(n);
    if (fread(bytes, 1, n, stdin) != n) {
        abort();
    }
    return bytes;
}

static void answer(const char *head, const void *bytes, size_t n)
{
    printf("%s\n", head);
    fwrite(bytes, 1, n, stdout);
}

static void decode(long long n, int exif)
{
    uint8_t *bytes = follows((size_t)n);
    struct picture picture;
    char head[80];
    if (picture_decode(bytes, (size_t)n, exif, &picture, why, sizeof why)) {
        printf("refused %s\n", why);
    } else {
        snprintf(head, sizeof head, "picture %d %d 3", picture.rows, picture.columns);
        answer(head, picture.rgb, 3 * (size_t)picture.rows * (size_t)picture.columns);
        free(picture.rgb);
    }
    free(bytes);
}

static void resize(const int *v)
{
    const size_t in = (size_t)v[0] * (size_t)v[1] * (size_t)v[2], out = (size_t)v[3] * (size_t)v[4] * (size_t)v[2];
    uint8_t *from = follows(in), *to = block(out);
    const struct pixels pixels = {v[0], v[1], v[2], (int64_t)v[1] * v[2], from};
    char head[80];
    snprintf(head, sizeof head, "picture %d %d %d", v[3], v[4], v[2]);
    if (resize_pixels(&pixels, v[3], v[4], v[5], to, &(struct why){why, sizeof why})) {
        printf("refused %s\n", why);
    } else {
        answer(head, to, out);
    }
    free(from);
    free(to);
}

static void answer_tensor(const char *bad, const float *out, int64_t n)
{
    char head[80];
    snprintf(head, sizeof head, "tensor %lld", (long long)n);
    if (bad) {
        printf("refused %s\n", bad);
    } else {
        answer(head, out, (size_t)n * sizeof *out);
    }
}

static void input(int i, int exif, long long n)
{
    const struct netc_tensor *tensor = &netc_model.input[i];
    uint8_t *bytes = follows((size_t)n);
    float *out = block((size_t)tensor->elements * sizeof *out);
    struct picture picture = {0};
    const char *bad = picture_decode(bytes, (size_t)n, exif, &picture, why, sizeof why);
    bad = bad ? bad : picture_to_tensor(tensor, &picture, out, why, sizeof why);
    answer_tensor(bad, out, tensor->elements);
    free(picture.rgb);
    free(bytes);
    free(out);
}

static void tensor(const int *v)
{
    struct netc_tensor shape = {.name = "x", .rank = 3, .shape = {v[0], v[1], v[2]}, .step = steps, .n_step = n_step};
    shape.elements = (int64_t)v[0] * v[1] * v[2];
    uint8_t *pixels = follows((size_t)v[3] * (size_t)v[4] * (size_t)v[5]);
    float *out = block((size_t)shape.elements * sizeof *out);
    answer_tensor(pixels_to_tensor(&shape, v[3], v[4], v[5], pixels, out, why, sizeof why), out, shape.elements);
    n_step = 0;
    free(pixels);
    free(out);
}

static void step(const char *line)
{
    struct netc_picture_step *s = &steps[n_step++];
    int op;
    *s = (struct netc_picture_step){0};
    if (sscanf(line, "%d %d %d %d %d %d %lf %lf %lf %lf %lf %lf %lf %lf %d", &op, &s->shorter, &s->rows, &s->columns,
               &s->bicubic, &s->offset_ceil, &s->share, &s->mean[0], &s->mean[1], &s->mean[2], &s->std[0], &s->std[1],
               &s->std[2], &s->range, &s->channels) != 15) {
        abort();
    }
    s->op = (enum netc_picture_op)op;
}

int main(void)
{
    char line[600];
    while (fgets(line, sizeof line, stdin)) {
        int v[6];
        long long n;
        if (sscanf(line, "decode %d %lld", &v[0], &n) == 2) {
            decode(n, v[0]);
        } else if (sscanf(line, "resize %d %d %d %d %d %d", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5]) == 6) {
            resize(v);
        } else if (sscanf(line, "input %d %d %lld", &v[0], &v[1], &n) == 3) {
            input(v[0], v[1], n);
        } else if (sscanf(line, "tensor %d %d %d %d %d %d", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5]) == 6) {
            tensor(v);
        } else if (strncmp(line, "step ", 5) == 0) {
            step(line + 5);
        } else {
            abort();
        }
        fflush(stdout);
    }
    return 0;
}
