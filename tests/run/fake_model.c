/* A network as netc would write one, by hand and too small to be wrong: what the tests of the runtime link with it.
 *
 * 28 x 28 gray pictures, ten classes: logit k is the sum of the pixels i with i % 10 == k, so small integers give
 * exact answers. Variants: FAKE_BATCH=N, FAKE_TWO (a second input is added to the logits, a second output is [2,2]),
 * FAKE_MORE (that second output, without the input), FAKE_MAP (the output is [2,5], no vector), FAKE_RAW (no pictures),
 * FAKE_LACKS (no processor is good enough), FAKE_NAN (class 3 is NaN where pixel 0 is negative), FAKE_RESIZE
 * (pictures that are not square do not fit), FAKE_WRONG (layer by layer it computes something else), FAKE_WEIGHTS
 * (logits are weighted by NAME.weights, ten floats, linked by
 * .incbin). */
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#ifndef FAKE_BATCH
#define FAKE_BATCH 1
#endif

enum { PIXELS = 28 * 28, CLASSES = 10 };
/* A value in between, which nothing reads: the first 90 pixels as [6,5,3], in blocks of 4 channels with a border of 1
 * and segments of 5 channels (two blocks, then one for the sixth); then the same, doubled in place. */
enum { GRID_ROWS = 5, GRID_COLUMNS = 3, GRID_WIDE = GRID_COLUMNS + 2, GRID_BLOCK = (GRID_ROWS + 2) * GRID_WIDE * 4 };
enum { WORKSPACE = 27 * 64 };

#ifdef FAKE_WEIGHTS
__asm__(".section .rodata\n.balign 64\n.globl fake_weights\n.hidden fake_weights\nfake_weights:\n.incbin "
        "\"fake.weights\"\n.previous\n");
extern const float fake_weights[CLASSES] __attribute__((visibility("hidden")));
void fake_scale(float *y);
#endif

/* Image b, classes first, first + step, ... */
static void sum_pixels(const float *x, float *y, int first, int step)
{
    for (int k = first; k < CLASSES; k += step) {
        y[k] = 0;
        for (int i = k; i < PIXELS; i += CLASSES) {
            y[k] += x[i];
        }
    }
}

static void finish(const float *const *input, float *const *output, int b)
{
    float *y = output[0] + b * CLASSES;
    (void)input;
#ifdef FAKE_WEIGHTS
    fake_scale(y);
#endif
#ifdef FAKE_NAN
    y[3] = input[0][b * PIXELS] < 0 ? -__builtin_nanf("") : y[3];
#endif
#ifdef FAKE_TWO
    for (int k = 0; k < CLASSES; k++) {
        y[k] += input[1][b * CLASSES + k];
    }
#endif
#if defined FAKE_TWO || defined FAKE_MORE
    for (int k = 0; k < 4; k++) {
        output[1][b * 4 + k] = y[k] + 1;
    }
#endif
    (void)y;
}

static float *grid_at(void *workspace, int c, int y, int x)
{
    const int block = c / 5 * 2 + c % 5 / 4;
    return (float *)workspace + block * GRID_BLOCK + ((y + 1) * GRID_WIDE + x + 1) * 4 + c % 5 % 4;
}

static void grid_row(void *workspace, const float *pixels, int y)
{
    for (int c = 0; c < 6; c++) {
        for (int x = 0; x < GRID_COLUMNS; x++) {
            float *to = grid_at(workspace, c, y, x);
            *to = pixels ? pixels[(c * GRID_ROWS + y) * GRID_COLUMNS + x] : 2 * *to;
        }
    }
}

static void call(int layer, const char *weights, void *workspace, const float *const *input, float *const *output,
                 int n, int i, int j)
{
    (void)weights;
    switch (layer) {
    case 0: grid_row(workspace, input[0] + n * PIXELS, i); break;
    case 1: grid_row(workspace, 0, i); break;
    case 2: sum_pixels(input[0] + n * PIXELS, output[0] + n * CLASSES, i * 2 + j, CLASSES); break;
    case 3: finish(input, output, n); break;
    }
}

static const struct netc_layer layers[] = {
    {"grid", "grid__scalar", "grid: 1x28x28 -> f32[6,5,3] c4 halo 1 seg 5", 0, 360, 0, 360,
     {NETC_WORKSPACE, 0, 0, 3, {6, 5, 3}, 4, 1, 5}},
    {"grid.double", "double__scalar", "grid.double: 6x5x3 -> f32[6,5,3] c4 halo 1 seg 5", 0, 360, 0, 360,
     {NETC_WORKSPACE, 0, 0, 3, {6, 5, 3}, 4, 1, 5}},
    {"sum", "sum_mod10__scalar", "sum: 1x28x28 -> f32[10] rows", PIXELS, PIXELS * 4, 0, CLASSES * 4,
     {NETC_OUTPUT, 0, 0, 1, {CLASSES}, 0, 0, 0}},
    {"finish", "finish__scalar", "finish: 10 -> f32[10] rows", 0, CLASSES * 4, 0, CLASSES * 4,
     {NETC_OUTPUT, 0, 0, 1, {CLASSES}, 0, 0, 0}},
};
static const struct netc_view views[] = {
    {"row", "row: slice of pixels -> f32[28] rows", 0, {NETC_INPUT, 28 * 4, 0, 1, {28}, 0, 0, 0}},
    {"part", "part: slice of grid -> f32[1,5,3] c4 halo 1", 1,
     {NETC_WORKSPACE, 2 * GRID_BLOCK * 4, 0, 3, {1, 5, 3}, 4, 1, 0}},
};
static const struct netc_stage stages[] = {
    {0, 2, {GRID_ROWS, 1}, 0},
    {2, 1, {5, 2}, "sum comes later"},
    {3, 1, {1, 1}, "finish needs sum of other threads"},
};
enum { STAGES = sizeof stages / sizeof *stages };

/* As generated code does: one parallel region, also inside of the runtime's own, the tasks of a stage in equal parts,
 * and barriers where data crosses threads. */
static void run(const char *weights, void *workspace, const float *const *input, float *const *output, int threads)
{
    memset(workspace, 255, (size_t)WORKSPACE * FAKE_BATCH);
#pragma omp parallel num_threads(threads)
    {
        const int me = omp_get_thread_num(), all = omp_get_num_threads();
        for (int s = 0; s < STAGES; s++) {
            const int tasks = stages[s].tasks[0] * stages[s].tasks[1], n = tasks * FAKE_BATCH;
#pragma omp barrier
            for (int k = n * me / all; k < n * (me + 1) / all; k++) {
                for (int layer = stages[s].layer; layer < stages[s].layer + stages[s].n_layer; layer++) {
                    call(layer, weights, (char *)workspace + k / tasks * WORKSPACE, input, output, k / tasks,
                         k % tasks / stages[s].tasks[1], k % tasks % stages[s].tasks[1]);
                }
            }
        }
    }
#ifdef FAKE_WRONG
    output[0][4] += 1;
#endif
}

static const char *lacks(void)
{
#ifdef FAKE_LACKS
    return "quantum instructions";
#else
    return 0;
#endif
}

static uint32_t enter(void)
{
    return 7;
}

static void leave(uint32_t mode)
{
    if (mode != 7) {
        abort();
    }
}

static double peak_slice(void)
{
    float a[8] = {0}, x = 1.0000001f;
    __asm__ volatile("" : "+x"(x));
    for (int i = 0; i < 100000; i++) {
        for (int k = 0; k < 8; k++) {
            a[k] = a[k] * x + 1e-9f;
        }
    }
    for (int k = 0; k < 8; k++) {
        __asm__ volatile("" ::"x"(a[k]));
    }
    return 2.0 * 8 * 100000;
}

static const char *const labels[CLASSES] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                            "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
static const struct netc_picture_step step[] = {
    {.op = NETC_GRAY},
#ifdef FAKE_RESIZE
    {.op = NETC_RESIZE, .shorter = 28, .bicubic = 1},
#else
    {.op = NETC_RESIZE, .rows = 28, .columns = 28},
#endif
    {.op = NETC_NORMALIZE, .mean = {0.5}, .std = {0.25}, .range = 1, .channels = 1},
};
#ifdef FAKE_RAW
enum { STEPS = 0 };
#else
enum { STEPS = sizeof step / sizeof *step };
#endif
static const struct netc_tensor inputs[] = {
    {.name = "pixels", .rank = 3, .shape = {1, 28, 28}, .elements = PIXELS, .step = step, .n_step = STEPS},
#ifdef FAKE_TWO
    {.name = "bias", .rank = 1, .shape = {CLASSES}, .elements = CLASSES},
#endif
};
static const struct netc_tensor outputs[] = {
#ifdef FAKE_MAP
    {.name = "map", .rank = 2, .shape = {2, 5}, .elements = CLASSES, .labels = labels, .n_labels = CLASSES},
#else
    {.name = "logits", .rank = 1, .shape = {CLASSES}, .elements = CLASSES, .labels = labels, .n_labels = CLASSES},
#endif
#if defined FAKE_TWO || defined FAKE_MORE
    {.name = "square", .rank = 2, .shape = {2, 2}, .elements = 4},
#endif
};
static const struct netc_variant variant = {
    .target = "scalar",
    .workspace_bytes = WORKSPACE,
    .layer = layers,
    .n_layer = sizeof layers / sizeof *layers,
    .stage = stages,
    .n_stage = STAGES,
    .view = views,
    .n_view = sizeof views / sizeof *views,
    .lacks = lacks,
    .run = run,
    .call = call,
    .enter = enter,
    .leave = leave,
    .peak_slice = peak_slice,
};
static const struct netc_variant *const variants[] = {&variant};

static int open_weights(struct netc_weights *weights, const char *file)
{
    *weights = (struct netc_weights){.weights = "", .detail = file};
    return file ? 7 : 0;
}

static void close_weights(struct netc_weights *weights)
{
    (void)weights;
}

static const char *error_text(int code)
{
    return code ? "the weights are packed for another network" : "no error";
}

const struct netc_model netc_model = {
    .name = "fake",
    .version = "0.0",
    .target = "scalar",
    .options = "--target=scalar",
    .digest = 0x123456789abcdef0,
    .params = 0,
    .macs = PIXELS,
    .weights_bytes = 0,
    .batch = FAKE_BATCH,
    .n_input = sizeof inputs / sizeof *inputs,
    .n_output = sizeof outputs / sizeof *outputs,
    .input = inputs,
    .output = outputs,
    .variant = variants,
    .n_variant = 1,
    .open = open_weights,
    .close = close_weights,
    .strerror = error_text,
};
