/* Shapes, layouts and types: small values that are passed by copy.
 *
 * What would surprise: element counts saturate at INT64_MAX instead of overflowing, so that a caller may compare the
 * count of a hostile shape with a limit; and a value in blocks of channels with fewer than three axes counts as
 * [C,1,1].
 */
#include "graph/graph.h"

#include <stdio.h>
#include <stdlib.h>

const char *const element_name[ELEMENT_COUNT] = {[ELEMENT_F32] = "f32"};

int64_t shape_elements(struct shape shape)
{
    int64_t count = 1;
    for (int i = 0; i < shape.rank; i++) {
        if (__builtin_mul_overflow(count, shape.dim[i], &count)) {
            return INT64_MAX;
        }
    }
    return count;
}

bool shape_equal(struct shape a, struct shape b)
{
    if (a.rank != b.rank) {
        return false;
    }
    for (int i = 0; i < a.rank; i++) {
        if (a.dim[i] != b.dim[i]) {
            return false;
        }
    }
    return true;
}

static void add_dims(struct text *text, struct shape shape, const char *between)
{
    for (int i = 0; i < shape.rank; i++) {
        text_add(text, "%s%lld", i ? between : "", (long long)shape.dim[i]);
    }
}

const char *shape_text(struct arena *arena, struct shape shape)
{
    struct text text = {.arena = arena};
    add_dims(&text, shape, "x");
    return shape.rank ? text_string(&text) : "scalar";
}

static void add_layout(struct text *text, struct layout layout)
{
    if (layout.kind == LAYOUT_PLAIN) {
        text_add(text, layout.block == 1 ? " rows" : " plain");
    } else if (layout.kind == LAYOUT_BLOCKS) {
        text_add(text, " c%d", layout.block);
        if (layout.halo) {
            text_add(text, " halo %d", layout.halo);
        }
        if (layout.seg) {
            text_add(text, " seg %d", layout.seg);
        }
    }
}

const char *type_text(struct arena *arena, struct type type)
{
    struct text text = {.arena = arena};
    text_add(&text, "%s[", element_name[type.element]);
    add_dims(&text, type.shape, ",");
    text_add(&text, "]");
    add_layout(&text, type.layout);
    return text_string(&text);
}

int number_digits(double number)
{
    char text[40];
    int digits = 1;
    for (; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number) {
            break;
        }
    }
    return digits;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

int64_t layout_blocks(struct type type)
{
    if (type.layout.kind != LAYOUT_BLOCKS) {
        return divide_up(shape_elements(type.shape), 16);
    }
    int64_t channels = type.shape.rank ? type.shape.dim[0] : 1, block = type.layout.block, seg = type.layout.seg;
    if (!seg) {
        return divide_up(channels, block);
    }
    return channels / seg * divide_up(seg, block) + divide_up(channels % seg, block);
}

int64_t layout_bytes(struct type type)
{
    const int64_t element_bytes = 4;
    struct shape shape = type.shape;
    if (type.layout.kind != LAYOUT_BLOCKS) {
        return (type.layout.block == 1 ? shape_elements(shape) : layout_blocks(type) * 16) * element_bytes;
    }
    int64_t bytes = layout_blocks(type) * type.layout.block * element_bytes;
    for (int i = 1; i < shape.rank; i++) {
        bytes *= shape.dim[i] + 2 * (i >= shape.rank - 2 ? type.layout.halo : 0);
    }
    return bytes;
}
