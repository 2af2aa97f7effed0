/* Shapes, layouts, and the type of every operator's result. */
#include "graph_fixture.h"

#include <criterion/criterion.h>

static struct shape shape_of(int rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (struct shape){rank, {a, b, c, d}};
}

static void assert_shape(struct fixture *f, const struct node *node, const char *expected)
{
    cr_assert(node, "%s is expected: %s", expected, fixture_report(f));
    cr_assert_str_eq(shape_text(f->arena, node->type.shape), expected);
}

static void assert_failed(struct fixture *f, const struct node *node, const char *check)
{
    const char *report;
    cr_expect_null(node, "%s", check);
    cr_expect(fixture_failed(f, check, &report), "%s is expected, not\n%s", check, report);
}

/* ---- types ---- */

Test(graph_type, texts)
{
    struct arena *arena = arena_new("test");
    struct type type = {.shape = shape_of(3, 256, 56, 56, 0)};
    cr_expect_str_eq(shape_text(arena, type.shape), "256x56x56");
    cr_expect_str_eq(shape_text(arena, (struct shape){0}), "scalar");
    cr_expect_str_eq(type_text(arena, type), "f32[256,56,56]");
    type.layout = (struct layout){LAYOUT_BLOCKS, 16, 1, 26};
    cr_expect_str_eq(type_text(arena, type), "f32[256,56,56] c16 halo 1 seg 26");
    type.layout = (struct layout){.kind = LAYOUT_PLAIN, .block = 16};
    cr_expect_str_eq(type_text(arena, type), "f32[256,56,56] plain");
    type.layout.block = 1;
    cr_expect_str_eq(type_text(arena, type), "f32[256,56,56] rows");
    arena_free(arena);
}

Test(graph_type, element_counts_saturate)
{
    cr_expect_eq(shape_elements((struct shape){0}), 1);
    cr_expect_eq(shape_elements(shape_of(3, 2, 3, 5, 0)), 30);
    cr_expect_eq(shape_elements(shape_of(4, INT32_MAX, INT32_MAX, INT32_MAX, 2)), INT64_MAX);
}

Test(graph_type, bytes_of_layouts)
{
    struct type type = {.shape = shape_of(3, 104, 14, 14, 0), .layout = {LAYOUT_BLOCKS, 16, 0, 0}};
    cr_expect_eq(layout_blocks(type), 7);
    cr_expect_eq(layout_bytes(type), 7 * 14 * 14 * 16 * 4);
    type.layout.seg = 26; /* four times two blocks */
    type.layout.halo = 1;
    cr_expect_eq(layout_blocks(type), 8);
    cr_expect_eq(layout_bytes(type), 8 * 16 * 16 * 16 * 4);
    type = (struct type){.shape = shape_of(3, 3, 224, 224, 0), .layout = {LAYOUT_BLOCKS, 3, 3, 0}};
    cr_expect_eq(layout_bytes(type), 230 * 230 * 3 * 4);
    type = (struct type){.shape = shape_of(1, 10, 0, 0, 0), .layout = {LAYOUT_PLAIN, 16, 0, 0}};
    cr_expect_eq(layout_bytes(type), 64);
    type.layout.block = 1;
    cr_expect_eq(layout_bytes(type), 40);
}

/* ---- windows, against counting ---- */

/* How many windows there are, by trying: they start every `stride` from -pad and have to fit into the padded input;
 * `ceil` keeps one more, which hangs over, if something of the padded input is left behind the last one and it
 * starts before `size` + pad of the input's own cells and left padding. */
static int64_t count_windows(int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation, bool ceil)
{
    int64_t count = 0, end = size + 2 * pad, reach = dilation * (kernel - 1) + 1, at = 0;
    for (; at + reach <= end; at += stride) {
        count++;
    }
    if (count == 0 && ceil && reach - end < stride) { /* the only one hangs over */
        return 1;
    }
    bool left_over = at - stride + reach < end;
    return count && ceil && left_over && at < size + pad ? count + 1 : count;
}

static void check_pool(struct fixture *f, struct node *x, enum op op, int64_t kernel, int64_t stride, int64_t pad,
                       bool ceil)
{
    int64_t rows = x->type.shape.dim[1], columns = x->type.shape.dim[2];
    struct attrs attrs = {.kernel = {kernel, kernel}, .stride = {stride, stride}, .pad = {pad, pad}, .ceil = ceil};
    struct node *node = fixture_add(f, op, x, NULL, attrs, "");
    int64_t r = count_windows(rows, kernel, stride, pad, 1, ceil),
            c = count_windows(columns, kernel, stride, pad, 1, ceil);
    if (!r || !c) {
        assert_failed(f, node, "kernel_fits_input");
        return;
    }
    cr_assert(node, "%s", fixture_report(f));
    cr_assert(node->type.shape.dim[1] == r && node->type.shape.dim[2] == c,
              "%ldx%ld kernel %ld stride %ld pad %ld ceil %d: %ldx%ld, not %ldx%ld", (long)rows, (long)columns,
              (long)kernel, (long)stride, (long)pad, ceil, (long)node->type.shape.dim[1], (long)node->type.shape.dim[2],
              (long)r, (long)c);
}

Test(graph_shape, pools_count_their_windows)
{
    for (int64_t size = 1; size <= 12; size++) {
        struct fixture f = fixture_new();
        struct node *x = fixture_input(&f, "x", shape_of(3, 2, size, 13 - size, 0));
        for (int64_t kernel = 1; kernel <= 5; kernel++) {
            for (int64_t stride = 1; stride <= 6; stride++) {
                for (int64_t pad = 0; 2 * pad <= kernel; pad++) {
                    check_pool(&f, x, OP_max_pool, kernel, stride, pad, false);
                    check_pool(&f, x, OP_avg_pool, kernel, stride, pad, true);
                }
            }
        }
        fixture_free(&f);
    }
}

Test(graph_shape, convolutions_count_their_windows)
{
    struct fixture f = fixture_new();
    for (int64_t size = 1; size <= 9; size++) {
        struct node *x = fixture_input(&f, "x", shape_of(3, 2, size, 9, 0));
        for (int64_t i = 0; i < 4 * 3 * 3 * 3; i++) {
            int64_t kernel = 1 + i % 4, stride = 1 + i / 4 % 3, pad = i / 12 % 3, dilation = 1 + i / 36;
            struct attrs attrs = {.kernel = {kernel, 1},
                                  .stride = {stride, 1},
                                  .pad = {pad, 0},
                                  .dilation = {dilation, 1},
                                  .groups = 1,
                                  .out = 5};
            struct node *node = fixture_add(&f, OP_conv, x, NULL, attrs, "");
            int64_t count = count_windows(size, kernel, stride, pad, dilation, false);
            cr_assert_eq(node == NULL, count == 0);
            if (node) {
                assert_shape(&f, node, arena_printf(f.arena, "5x%ldx9", (long)count));
            }
        }
    }
    fixture_free(&f);
}

/* Sizes of networks.md's nets that people get wrong. */
Test(graph_shape, known_sizes)
{
    struct fixture f = fixture_new();
    struct node *x = fixture_input(&f, "x", shape_of(3, 3, 224, 224, 0));
    struct node *y = fixture_conv(&f, x, "conv1", 64, 7, 2, 1);
    assert_shape(&f, y, "64x112x112");
    struct attrs pool = {.kernel = {3, 3}, .stride = {2, 2}, .pad = {1, 1}};
    assert_shape(&f, fixture_add(&f, OP_max_pool, y, NULL, pool, ""), "64x56x56");
    pool = (struct attrs){.kernel = {3, 3}, .stride = {2, 2}, .ceil = true};
    assert_shape(&f, fixture_add(&f, OP_max_pool, y, NULL, pool, ""), "64x56x56");
    struct node *odd = fixture_input(&f, "odd", shape_of(3, 8, 7, 5, 0));
    pool = (struct attrs){.kernel = {2, 2}, .stride = {2, 2}, .ceil = true};
    assert_shape(&f, fixture_add(&f, OP_avg_pool, odd, NULL, pool, ""), "8x4x3");
    fixture_free(&f);
}

/* ---- the other operators ---- */

Test(graph_shape, broadcasting)
{
    static const struct {
        struct shape a, b;
        const char *result;
    } rows[] = {
        {{3, {64, 7, 5}}, {3, {64, 7, 5}}, "64x7x5"}, {{3, {64, 7, 5}}, {3, {64, 1, 1}}, "64x7x5"},
        {{3, {64, 1, 1}}, {3, {64, 7, 5}}, "64x7x5"}, {{3, {64, 7, 5}}, {1, {5}}, "64x7x5"},
        {{3, {64, 7, 5}}, {0, {0}}, "64x7x5"},        {{0, {0}}, {0, {0}}, "scalar"},
        {{2, {7, 1}}, {3, {4, 1, 5}}, "4x7x5"},       {{3, {64, 7, 5}}, {3, {64, 7, 4}}, NULL},
        {{3, {64, 7, 5}}, {1, {64}}, NULL},
    };
    struct fixture f = fixture_new();
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct node *a = fixture_input(&f, "a", rows[i].a), *b = fixture_input(&f, "b", rows[i].b);
        struct node *sum = fixture_add(&f, i % 2 ? OP_mul : OP_sub, a, b, (struct attrs){0}, "");
        if (rows[i].result) {
            assert_shape(&f, sum, rows[i].result);
        } else {
            assert_failed(&f, sum, "broadcast_shapes");
        }
    }
    fixture_free(&f);
}

Test(graph_shape, tensor_operators)
{
    struct fixture f = fixture_new();
    struct node *x = fixture_input(&f, "x", shape_of(3, 6, 4, 5, 0)),
                *m = fixture_input(&f, "m", shape_of(2, 6, 20, 0, 0));
    assert_shape(&f, fixture_add(&f, OP_reshape, x, NULL, (struct attrs){.shape = shape_of(2, 6, 20, 0, 0)}, ""),
                 "6x20");
    assert_shape(&f, fixture_add(&f, OP_permute, x, NULL, (struct attrs){.shape = shape_of(3, 2, 0, 1, 0)}, ""),
                 "5x6x4");
    assert_shape(&f, fixture_add(&f, OP_slice, x, NULL, (struct attrs){.axis = 2, .start = 1, .size = 4}, ""), "6x4x4");
    assert_shape(&f, fixture_add(&f, OP_concat, x, x, (struct attrs){.axis = 1}, ""), "6x8x5");
    assert_shape(&f, fixture_add(&f, OP_softmax, m, NULL, (struct attrs){.axis = 1}, ""), "6x20");
    assert_shape(&f, fixture_add(&f, OP_sum, x, NULL, (struct attrs){.axis = 0}, ""), "4x5");
    assert_shape(&f, fixture_add(&f, OP_mean, x, NULL, (struct attrs){.axis = 2}, ""), "6x4");
    assert_shape(&f, fixture_add(&f, OP_global_avg_pool, x, NULL, (struct attrs){0}, ""), "6x1x1");
    assert_shape(&f, fixture_add(&f, OP_linear, m, NULL, (struct attrs){.out = 3}, ""), "6x3");
    struct node *rank4 = fixture_input(&f, "many", shape_of(4, 2, 6, 4, 5));
    struct node *kernel = fixture_input(&f, "kernel", shape_of(4, 8, 3, 2, 3));
    struct attrs window = {
        .kernel = {2, 3}, .stride = {2, 1}, .pad = {1, 1}, .dilation = {1, 2}, .groups = 2, .out = 4};
    assert_shape(&f, fixture_add(&f, OP_convolve, x, kernel, window, ""), "8x3x3");
    assert_shape(&f, fixture_add(&f, OP_convolve, rank4, kernel, window, ""), "2x8x3x3");
    assert_shape(&f, fixture_add(&f, OP_unfold, x, NULL, window, ""), "6x6x3x3");
    struct node *kernels = fixture_input(&f, "kernels", shape_of(4, 3, 6, 3, 3));
    assert_shape(&f, fixture_add(&f, OP_local_conv, x, kernels, window, ""), "6x3x3");
    kernels = fixture_input(&f, "lanes", shape_of(3, 96, 3, 3, 0));
    assert_shape(&f, fixture_add(&f, OP_local_conv, x, kernels, window, ""), "6x3x3");
    assert_shape(&f, fixture_add(&f, OP_conv1d, m, NULL, (struct attrs){.kernel = {1, 4}, .pad = {0, 1}, .out = 7}, ""),
                 "7x19");
    assert_shape(&f, fixture_add(&f, OP_group_norm, m, NULL, (struct attrs){.groups = 3, .eps = 1}, ""), "6x20");
    assert_shape(&f,
                 fixture_add(&f, OP_matmul, fixture_input(&f, "a", shape_of(4, 2, 1, 3, 4)), x, (struct attrs){0}, ""),
                 "2x6x3x5");
    assert_shape(&f,
                 fixture_add(&f, OP_matmul, x, fixture_input(&f, "b", shape_of(2, 5, 9, 0, 0)), (struct attrs){0}, ""),
                 "6x4x9");
    assert_shape(&f, fixture_add(&f, OP_pad, rank4, NULL, (struct attrs){.pad = {3, 4}, .reflect = true}, ""),
                 "2x6x10x13");
    assert_shape(&f, fixture_add(&f, OP_upsample, x, NULL, (struct attrs){.shape = shape_of(3, 6, 1, 11, 0)}, ""),
                 "6x1x11");
    static const double rows[] = {5, 0, 5, 1};
    struct node *index = fixture_add(&f, OP_constant, NULL, NULL, (struct attrs){.shape = shape_of(2, 2, 2, 0, 0)}, "");
    index->value = rows;
    assert_shape(&f, fixture_add(&f, OP_take, x, index, (struct attrs){0}, ""), "2x2x4x5");
    assert_shape(&f, fixture_conv(&f, rank4, "c", 8, 3, 2, 2), "2x8x2x3");
    fixture_free(&f);
}

Test(graph_shape, parameters_and_multiply_adds)
{
    struct fixture f = fixture_new();
    struct node *x = fixture_input(&f, "x", shape_of(3, 128, 56, 56, 0));
    struct node *conv = fixture_conv(&f, x, "c", 64, 3, 2, 32), *norm = fixture_norm(&f, conv, "n");
    struct node *line =
        fixture_params(&f, fixture_add(&f, OP_linear, fixture_input(&f, "v", shape_of(1, 2048, 0, 0, 0)), NULL,
                                       (struct attrs){.out = 1000}, "fc"));
    cr_expect_str_eq(shape_text(f.arena, conv->param[0]->shape), "64x4x3x3");
    cr_expect_null(conv->param[1]);
    cr_expect_str_eq(shape_text(f.arena, line->param[0]->shape), "1000x2048");
    cr_expect_str_eq(norm->param[3]->name, "n.running_var");
    cr_expect_eq(node_macs(conv), 64 * 28 * 28 * 4 * 9);
    cr_expect_eq(node_macs(line), 2048000);
    cr_expect_eq(node_macs(norm), 0);
    cr_expect_eq(graph_macs(f.graph), 64 * 28 * 28 * 4 * 9 + 2048000);
    cr_expect_eq(graph_params(f.graph), 64 * 4 * 9 + 128 + 2048000);
    fixture_free(&f);
}

/* ---- every check ---- */

Test(graph_shape, faults_get_their_check)
{
    struct attrs conv = {.kernel = {3, 3}, .stride = {1, 1}, .pad = {1, 1}, .dilation = {1, 1}, .groups = 1, .out = 8},
                 pool = conv, a;
    struct fixture f = fixture_new();
    struct node *x = fixture_input(&f, "x", shape_of(3, 6, 4, 5, 0)),
                *v = fixture_input(&f, "v", shape_of(1, 6, 0, 0, 0));
    struct node *big = fixture_input(&f, "big", shape_of(3, 1 << 10, 1 << 10, 1 << 10, 0));
#define FAULT(check, op, in, in2, base, ...) \
    (a = base, __VA_ARGS__, assert_failed(&f, fixture_add(&f, op, in, in2, a, ""), #check))
    const struct attrs none = {0};
    FAULT(input_rank, OP_conv, v, NULL, conv, 0);
    FAULT(input_rank, OP_max_pool, v, NULL, pool, 0);
    FAULT(input_rank, OP_global_avg_pool, v, NULL, none, 0);
    FAULT(conv_groups_divide_input, OP_conv, x, NULL, conv, a.groups = 4);
    FAULT(conv_groups_divide_output, OP_conv, x, NULL, conv, a.groups = 3);
    FAULT(attribute_range, OP_conv, x, NULL, conv, a.groups = 0);
    FAULT(attribute_range, OP_conv, x, NULL, conv, a.out = 0);
    FAULT(attribute_range, OP_conv, x, NULL, conv, a.stride[1] = 0);
    FAULT(attribute_range, OP_conv, x, NULL, conv, a.kernel[0] = 0);
    FAULT(attribute_range, OP_conv, x, NULL, conv, a.dilation[0] = -1);
    FAULT(attribute_range, OP_conv, x, NULL, conv, a.pad[0] = -1);
    FAULT(attribute_range, OP_conv, x, NULL, conv, a.pad[0] = INT64_MAX);
    FAULT(attribute_range, OP_linear, v, NULL, none, 0);
    FAULT(kernel_fits_input, OP_conv, x, NULL, conv, a.kernel[1] = 8);
    FAULT(kernel_fits_input, OP_conv, x, NULL, conv, a.dilation[0] = INT32_MAX);
    FAULT(kernel_fits_input, OP_max_pool, x, NULL, pool, a.kernel[1] = 8);
    FAULT(pool_pad, OP_max_pool, x, NULL, pool, a.pad[0] = 2);
    FAULT(eps_positive, OP_batch_norm, x, NULL, none, 0);
    FAULT(broadcast_shapes, OP_add, x, v, none, 0);
    FAULT(reshape_elements, OP_reshape, x, NULL, none, a.shape = shape_of(1, 119, 0, 0, 0));
    FAULT(shape_positive, OP_reshape, x, NULL, none, a.shape = shape_of(2, 0, 120, 0, 0));
    FAULT(shape_positive, OP_reshape, x, NULL, none, a.shape.rank = 7);
    FAULT(shape_positive, OP_input, NULL, NULL, none, a.shape = shape_of(3, 1, -2, 3, 0));
    FAULT(value_elements, OP_input, NULL, NULL, none, a.shape = shape_of(2, 1 << 16, 1 << 15, 0, 0));
    FAULT(value_elements, OP_conv, big, NULL, conv, a.out = 1 << 20);
    FAULT(value_elements, OP_concat, big, big, none, 0);
    FAULT(permute_axes, OP_permute, x, NULL, none, a.shape = shape_of(3, 0, 1, 1, 0));
    FAULT(permute_axes, OP_permute, x, NULL, none, a.shape = shape_of(3, 0, 1, 3, 0));
    FAULT(permute_axes, OP_permute, x, NULL, none, a.shape = shape_of(2, 0, 1, 0, 0));
    FAULT(axis_range, OP_softmax, x, NULL, none, a.axis = 3);
    FAULT(axis_range, OP_sum, x, NULL, none, a.axis = -1);
    FAULT(slice_range, OP_slice, x, NULL, none, a.start = 4, a.size = 3);
    FAULT(slice_range, OP_slice, x, NULL, none, a.start = INT64_MAX, a.size = INT64_MAX);
    FAULT(slice_range, OP_slice, x, NULL, none, a.size = 0);
    FAULT(concat_shapes, OP_concat, x, v, none, 0);
    FAULT(concat_shapes, OP_concat, x, big, none, 0);
    struct node *kernel = fixture_input(&f, "kernel", shape_of(4, 8, 6, 3, 3)),
                *six = fixture_input(&f, "six", (struct shape){6, {1, 1, 1, 1, 1, 1}});
    static const double rows[] = {0, 6}, half[] = {0, 0.5};
    struct node *index[2], *m = fixture_input(&f, "m", shape_of(2, 6, 20, 0, 0));
    for (int i = 0; i < 2; i++) {
        index[i] = fixture_add(&f, OP_constant, NULL, NULL, (struct attrs){.shape = shape_of(2, 1, 2, 0, 0)}, "");
        index[i]->value = i ? half : rows;
    }
    FAULT(convolve_kernel, OP_convolve, x, v, conv, 0);
    FAULT(convolve_kernel, OP_convolve, x, kernel, conv, a.kernel[0] = 1);
    FAULT(convolve_kernel, OP_convolve, x, kernel, conv, a.groups = 2);
    FAULT(input_rank, OP_convolve, v, kernel, conv, 0);
    FAULT(kernel_fits_input, OP_convolve, x, kernel, conv, a.dilation[0] = 4);
    FAULT(operator_inputs, OP_convolve, x, NULL, conv, 0);
    FAULT(input_rank, OP_conv1d, x, NULL, conv, 0);
    FAULT(attribute_range, OP_conv1d, m, NULL, conv, 0);
    FAULT(attribute_range, OP_conv1d, m, NULL, conv, a.kernel[0] = 1);
    FAULT(attribute_range, OP_conv1d, m, NULL, conv, a.kernel[0] = 1, a.pad[0] = 0, a.out = 0);
    FAULT(kernel_fits_input, OP_conv1d, m, NULL, conv, a.kernel[0] = 1, a.pad[0] = 0, a.kernel[1] = 23);
    FAULT(norm_groups, OP_group_norm, x, NULL, none, a.groups = 4, a.eps = 1);
    FAULT(attribute_range, OP_group_norm, x, NULL, none, a.eps = 1);
    FAULT(eps_positive, OP_group_norm, x, NULL, none, a.groups = 2);
    FAULT(matmul_shapes, OP_matmul, x, x, none, 0);
    FAULT(matmul_shapes, OP_matmul, x, v, none, 0);
    FAULT(matmul_shapes, OP_matmul, kernel, fixture_input(&f, "n", shape_of(3, 5, 3, 1, 0)), none, 0);
    FAULT(value_elements, OP_matmul, fixture_input(&f, "tall", shape_of(2, 1 << 20, 1, 0, 0)),
          fixture_input(&f, "wide", shape_of(2, 1, 1 << 20, 0, 0)), none, 0);
    FAULT(pad_reflect, OP_pad, x, NULL, none, a.reflect = true, a.pad[1] = 5);
    FAULT(attribute_range, OP_pad, x, NULL, none, a.pad[0] = -1);
    FAULT(input_rank, OP_pad, v, NULL, none, 0);
    FAULT(value_elements, OP_pad, x, NULL, none, a.pad[0] = 1 << 30);
    FAULT(graph_types, OP_upsample, x, NULL, none, a.shape = shape_of(3, 5, 8, 8, 0));
    FAULT(attribute_range, OP_upsample, x, NULL, none, a.shape = shape_of(3, 6, 0, 8, 0));
    FAULT(input_rank, OP_upsample, v, NULL, none, 0);
    FAULT(input_rank, OP_unfold, kernel, NULL, conv, 0);
    FAULT(kernel_fits_input, OP_unfold, x, NULL, conv, a.kernel[1] = 8);
    FAULT(take_index, OP_take, x, index[0], none, 0);
    FAULT(take_index, OP_take, x, index[1], none, 0);
    FAULT(take_index, OP_take, x, v, none, 0);
    FAULT(shape_positive, OP_take, six, index[1], none, index[1]->value = (const double[]){0, 0});
    FAULT(operator_inputs, OP_add, x, NULL, none, 0);
    FAULT(operator_inputs, OP_relu, x, x, none, 0);
    fixture_free(&f);
}

Test(graph_shape, a_note_points_at_the_producer)
{
    struct fixture f = fixture_new();
    static const char source[] = "inner\nconv\n";
    int file = source_add("broken.net", "broken.net", source, strlen(source));
    struct attrs attrs = {.shape = shape_of(3, 100, 8, 8, 0)};
    struct origin first = {{file, 0, 5}, NULL}, second = {{file, 6, 10}, NULL};
    struct node *x = graph_add(f.graph, f.diags, OP_input, NULL, 0, &attrs, "", "x", first);
    attrs = (struct attrs){.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 32, .out = 64};
    cr_assert_null(graph_add(f.graph, f.diags, OP_conv, &x, 1, &attrs, "", NULL, second));
    const char *report = fixture_report(&f);
    cr_expect(strstr(report, "broken.net:2:1: error: conv groups must divide the 100 input channels, 32 does not"),
              "%s", report);
    cr_expect(strstr(report, "broken.net:1:1: note: the input has 100 channels of 8 x 8, it comes from here"), "%s",
              report);
    fixture_free(&f);
}
