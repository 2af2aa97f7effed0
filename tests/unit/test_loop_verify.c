/* loop/: the verifier accepts what was written with care and refuses each single change of it, by the rule that the change breaks. */
#include "loop_case.h"

#include <time.h>

TestSuite(loop_verify, .init = set_up, .fini = tear_down);

static void expect_refused(const char *check, const char *text)
{
    diags = diags_new(arena);
    struct kernel *kernel = read_kernel(text);
    cr_assert(kernel, "%s%s", diagnostics(), text);
    cr_assert(!kernel_verify(diags, kernel), "expected [%s] for\n%s", check, text);
    expect_check(check, diagnostics(), text);
}

static void expect_sound(const char *text)
{
    diags = diags_new(arena);
    struct kernel *kernel = read_kernel(text);
    cr_assert(kernel && kernel_verify(diags, kernel), "%s%s", diagnostics(), text);
}

Test(loop_verify, the_kernels_of_block_are_sound)
{
    static const char *const names[] = {"import", "conv1x1_relu", "gconv3x3_relu", "conv1x1_add_relu"};
    for (size_t i = 0; i < LENGTH(names); i++) {
        expect_sound(kernel_text(names[i]));
    }
}

struct mutation {
    const char *kernel, *old, *new, *check;
};

Test(loop_verify, mutations_of_block_are_refused)
{
    static const struct mutation mutations[] = {
        /* stores: shifted halo, short halo loop, wrong coefficient, wrong extent, wider guard, missing, twice */
        {"conv1x1_relu", "store y[ob, 4r + q + 1, 57, 0]", "store y[ob, 4r + q + 1, 56, 0]", "loop_store_once"},
        {"conv1x1_relu", "store y[ob, 4r + q + 1, 0, 0]", "store y[ob, 4r + q, 0, 0]", "loop_store_once"},
        {"conv1x1_relu", "for ix 0..58 { store y[ob, 0", "for ix 0..57 { store y[ob, 0", "loop_store_all"},
        {"conv1x1_relu", "for ix 0..58 { store y[ob, 57", "for ix 0..59 { store y[ob, 57", "loop_bounds"},
        {"conv1x1_relu", "store y[2o + v, 4r + q + 1, 14t", "store y[2o + v, 3r + q + 1, 14t", "loop_store_digits"},
        {"conv1x1_relu", "store y[2o + v, 4r", "store y[o + v, 4r", "loop_store_digits"},
        {"conv1x1_relu", "14t + p + 1, 0] = relu", "13t + p + 1, 0] = relu", "loop_store_digits"},
        {"conv1x1_relu", "unroll p 0..14, v 0..2 { store", "unroll p 0..13, v 0..2 { store", "loop_store_all"},
        {"conv1x1_relu", "for o 0..4, q 0..4, t", "for o 0..3, q 0..4, t", "loop_store_all"},
        {"conv1x1_relu", "task r 0..14", "task r 0..13", "loop_store_all"},
        {"conv1x1_relu", "task r 0..14", "task r 0..15", "loop_bounds"},
        {"conv1x1_relu", "if r in 0..1", "if r in 0..2", "loop_store_digits"},
        {"conv1x1_relu", "            store y[ob, 4r + q + 1, 57, 0] f32x16 = zero\n", "", "loop_store_all"},
        {"conv1x1_relu", "relu(acc[p, v]) }",
         "relu(acc[p, v]); store y[2o + v, 4r + q + 1, 14t + p + 1, 0] = acc[p, v] }", "loop_store_once"},
        {"conv1x1_relu", "for ib 0..16, i 0..16 {", "for ib 0..16, i 0..16 { store y[0, 0, 0, 0] = acc[0, 0]",
         "loop_store_digits"},
        {"conv1x1_relu", "store y[ob, 4r + q + 1, 0, 0] f32x16", "store y[ob, 4r + q + 1, 0, 0]:8 f32x16",
         "loop_store_all"},
        {"conv1x1_relu", "store y[ob, 4r + q + 1, 0, 0] f32x16", "store y[ob, 4r + q + 1, 0, 0] f32x8",
         "loop_store_all"},
        /* loads: bounds, direction, alignment */
        {"conv1x1_relu", "splat x[ib, 4r + q, 14t + p, i]", "splat x[ib, 4r + q + 1, 14t + p, i]", "loop_bounds"},
        {"conv1x1_relu", "splat x[ib, 4r + q, 14t + p, i]", "splat x[ib, 4r + q, 14t + p - 1, i]", "loop_bounds"},
        {"conv1x1_relu", "load b[32o + 16v]", "load b[32o + 16v + 1]", "loop_bounds"},
        {"conv1x1_relu", "load b[32o + 16v]", "load b[32o + 15v]", "loop_aligned"},
        {"conv1x1_relu", "load w[2o + v, 16ib + i, 0]", "load w[2o + v, 16ib + i, 4]", "loop_bounds"},
        {"conv1x1_relu", "splat x[ib,", "splat y[ib,", "loop_bounds"},
        {"conv1x1_relu", "splat x[ib,", "splat y[2o,", "loop_inout"},
        {"conv1x1_relu", "out y", "in y", "loop_direction"},
        {"gconv3x3_relu", "pick x[ob, 4r + iy, 4t + ix, 0]", "pick x[ob, 4r + iy + 1, 4t + ix, 0]", "loop_bounds"},
        {"gconv3x3_relu", "lanes(4/4, i)", "lanes(4/4, i + 1)", "loop_bounds"},
        {"gconv3x3_relu", "lanes(4/4, i)", "lanes(5/4, i)", "loop_bounds"},
        {"gconv3x3_relu", "pick x[ob, 4r + iy, 4t + ix, 0]", "pick x[ob, 4r + iy, 4t + ix, 1]", "loop_bounds"},
        /* registers */
        {"gconv3x3_relu", "iy - ky in 0..4", "iy - ky in 0..5", "loop_reg_subscript"},
        {"gconv3x3_relu", "unroll p 0..4, q 0..4 { acc", "unroll p 0..3, q 0..4 { acc", "loop_reg_unset"},
        {"gconv3x3_relu", "unroll p 0..4, q 0..4 { acc[p, q] = load b[16ob] }\n", "\n", "loop_reg_unset"},
        {"gconv3x3_relu", "unroll ky 0..3, kx 0..3 { wv", "unroll ky 0..3, kx 0..2 { wv", "loop_reg_unset"},
        {"gconv3x3_relu", "unroll p 0..4, q 0..4 { acc", "for p 0..4, q 0..4 { acc", "loop_reg_subscript"},
        {"conv1x1_relu", "reg wv f32x16[2]", "reg wv f32x16[1]", "loop_reg_subscript"},
        {"conv1x1_relu", "reg wv f32x16[2]", "reg wv f32x8[2]", "loop_types"},
        {"conv1x1_relu", "let xs f32x16", "let xs f32x8", "loop_types"},
        {"conv1x1_relu", "unroll p 0..14, v 0..2 { acc", "unroll p 0..2000, v 0..2 { acc", "loop_sizes"},
        {"conv1x1_relu", "reg wv f32x16[2]", "reg wv f32x16[2]; let b f32x16 = zero", "loop_names"},
        {"conv1x1_relu", "for ob 0..8", "for ob 8..8", "loop_sizes"},
        /* in place: another element, after the store, of another task */
        {"conv1x1_add_relu", "load y[2o + v, 4r + q, 14t + p, 0]", "load y[2o + v, 4r + q, 14t, 0]", "loop_inout"},
        {"conv1x1_add_relu", "load y[2o + v, 4r + q, 14t + p, 0]", "load y[2o + v, 4r, 14t + p, 0]", "loop_inout"},
        {"conv1x1_add_relu", "load y[2o + v, 4r + q, 14t + p, 0]", "load y[2o + v, q, 14t + p, 0]", "loop_inout"},
        {"conv1x1_add_relu", "inout y", "out y", "loop_inout"},
        {"conv1x1_add_relu", "inout y", "in y", "loop_direction"},
    };
    for (size_t i = 0; i < LENGTH(mutations); i++) {
        const struct mutation *m = &mutations[i];
        expect_refused(m->check, replaced(kernel_text(m->kernel), m->old, m->new));
    }
}

/* ---- small kernels ---- */

#define KERNEL(head, body) "kernel k {\n    " head "\n    " body "\n}\n"

Test(loop_verify, ragged_bands_and_tails_are_boxes)
{
    /* 55 rows in bands of 4: the last task has 3; 55 columns in tiles of 14 and a tail of 13 */
    expect_sound(KERNEL("out y f32[55, 55, 16]; task r 0..14",
                        "for q 0..4 { if 4r + q in 0..55 {\n"
                        "  for t 0..3 { unroll p 0..14 { store y[4r + q, 14t + p, 0] f32x16 = zero } }\n"
                        "  unroll p 0..13 { store y[4r + q, p + 42, 0] f32x16 = zero } } }"));
    expect_refused("loop_store_all", KERNEL("out y f32[55, 16]; task r 0..14",
                                            "for q 0..4 { if 4r + q in 0..54 { store y[4r + q, 0] f32x16 = zero } }"));
    expect_refused("loop_bounds", KERNEL("out y f32[55, 16]; task r 0..14",
                                         "for q 0..4 { if 4r + q in 0..56 { store y[4r + q, 0] f32x16 = zero } }"));
    expect_refused("loop_store_digits", KERNEL("out y f32[56, 16]; task r 0..14",
                                               "for q 0..4 { if r + q in 0..9 { store y[4r + q, 0] f32x16 = zero } }"));
    /* bands of 7 rows cut into tiles of 4 and 3, the last band has 6 */
    const char *band = KERNEL("out y f32[20, 16]; task r 0..3",
                              "unroll p 0..4 { if 7r + p in 0..20 { store y[7r + p, 0] f32x16 = zero } }\n"
                              "unroll p 0..3 { if 7r + p in -4..16 { store y[7r + p + 4, 0] f32x16 = zero } }");
    expect_sound(band);
    expect_refused("loop_store_once", replaced(replaced(band, "p + 4", "p + 3"), "-4..16", "-3..17"));
    expect_refused("loop_store_all", replaced(band, "unroll p 0..3", "unroll p 0..2"));
    expect_refused("loop_store_digits", replaced(band, "p 0..4 { if 7r + p in 0..20 { store y[7r",
                                                 "p 0..4 { if 3r + p in 0..20 { store y[3r"));
    /* a border: the guard stands on the row of the input, one above the row of the output */
    expect_sound(KERNEL("in x f32[56, 16]; out y f32[58, 16]; task r 0..15",
                        "for q 0..4 { if 4r + q in 0..58 { let a f32x16 = zero; reg v f32x16; v = a\n"
                        "  if 4r + q in 1..57 { v = load x[4r + q - 1, 0] }; store y[4r + q, 0] = v } }"));
    expect_refused("loop_bounds",
                   KERNEL("in x f32[56, 16]; out y f32[58, 16]; task r 0..15",
                          "for q 0..4 { if 4r + q in 0..58 { reg v f32x16; v = zero\n"
                          "  if 4r + q in 0..57 { v = load x[4r + q - 1, 0] }; store y[4r + q, 0] = v } }"));
    /* halves of a block, one by one and in a loop; a vector of an output of 10 */
    expect_sound(KERNEL("out y f32[4, 16]; task r 0..4", "store y[r, 0] f32x8 = zero; store y[r, 8] f32x8 = zero"));
    expect_sound(KERNEL("out y f32[4, 16]; task r 0..4", "unroll v 0..4 { store y[r, 4v] f32x4 = zero }"));
    expect_sound(KERNEL("out y f32[10]", "storeu y[0]:10 f32x16 = zero"));
    expect_refused("loop_bounds", KERNEL("out y f32[10]", "store y[0] f32x16 = zero"));
    expect_refused("loop_aligned", KERNEL("out y f32[20]; task r 0..2", "store y[10r]:10 f32x16 = zero"));
    expect_refused("loop_store_digits",
                   KERNEL("out y f32[4, 16]; task r 0..4",
                          "unroll v 0..4 { storeu y[r, 2v]:2 f32x4 = zero; storeu y[r, 8]:8 f32x16 = zero }"));
}

Test(loop_verify, two_tasks)
{
    expect_sound(KERNEL("out y f32[8, 28, 16]; task r 0..7; task s 0..2",
                        "for o 0..4, q 0..4 { store y[4s + o, 4r + q, 0] f32x16 = zero }"));
    expect_refused("loop_store_digits", KERNEL("out y f32[8, 28, 16]; task r 0..7; task s 0..2",
                                               "for o 0..8, q 0..4 { store y[o, 4r + q, 0] f32x16 = zero }"));
}

Test(loop_verify, sums_carried_through_a_buffer_are_updates)
{
    const char *text = KERNEL(
        "in x f32[8, 56, 16]; out y f32[56, 16]; task r 0..14",
        "unroll q 0..4 { store y[4r + q, 0] f32x16 = load x[0, 4r + q, 0] }\n"
        "for k 1..8 {\n"
        "  unroll q 0..4 { let v f32x16 = load y[4r + q, 0]; store y[4r + q, 0] = add(v, load x[k, 4r + q, 0]) } }");
    expect_sound(text);
    expect_refused("loop_inout", replaced(text, "= load y[4r + q, 0]", "= load y[q, 0]"));
    expect_refused("loop_store_digits", replaced(text, "let v f32x16 = load y[4r + q, 0]", "let v f32x16 = zero"));
    expect_refused("loop_inout",
                   replaced(text, "unroll q 0..4 { store y[4r + q, 0] f32x16 = load x[0, 4r + q, 0] }\n", ""));
    expect_refused("loop_inout", replaced(text, "unroll q 0..4 { store", "unroll q 0..3 { store"));
}

Test(loop_verify, in_place_loads_may_stand_apart_from_the_store)
{
    const char *text = KERNEL(
        "in x f32[16, 56, 16]; inout y f32[16, 56, 16]; task r 0..14",
        "for o 0..16, t 0..2 {\n"
        "  reg acc f32x16[2]\n"
        "  unroll p 0..2 { acc[p] = load y[o, 4r + 2t + p, 0] }\n"
        "  for i 0..16 { unroll p 0..2 { acc[p] = fma(splat x[i, 4r + 2t + p, 0], splat x[o, 4r, i], acc[p]) } }\n"
        "  unroll p 0..2 { store y[o, 4r + 2t + p, 0] = acc[p] } }");
    expect_sound(text);
    expect_refused("loop_inout", replaced(text, "load y[o, 4r + 2t + p, 0]", "load y[o, 4r + p, 0]"));
    /* one that no store covers: only part of a row is stored */
    expect_refused("loop_inout",
                   replaced(text, "store y[o, 4r + 2t + p, 0] = acc[p]", "store y[o, 4r + 2t + p, 0]:8 = acc[p]"));
}

Test(loop_verify, what_a_guard_sets_counts_inside_it)
{
    const char *text =
        KERNEL("out y f32[14, 16]; task r 0..14", "reg a f32x16\n    if r in 0..7 { a = zero; store y[r, 0] = a }\n    "
                                                  "if r in 7..14 { a = zero; store y[r, 0] = a }");
    expect_sound(text);
    expect_refused("loop_reg_unset", replaced(text, "if r in 7..14 { a = zero;", "if r in 7..14 {"));
    expect_sound(
        KERNEL("out y f32[14, 16]; task r 0..14",
               "reg a f32x16[2]; unroll p 0..2 { if p in 0..1 { a[p] = zero }; if p in 1..2 { a[p] = a[p - 1] } }\n"
               "store y[r, 0] = add(a[0], a[1])"));
    /* a register is new in every turn */
    expect_refused("loop_reg_unset",
                   KERNEL("out y f32[14, 16]; task r 0..14",
                          "for k 0..2 { reg a f32x16; if k in 1..2 { store y[r, 0] = a }; a = zero }"));
}

Test(loop_verify, dead_guards_are_skipped)
{
    expect_sound(KERNEL("in x f32[4, 16]; out y f32[14, 16]; task r 0..14",
                        "store y[r, 0] f32x16 = zero; if r in 14..15 { store y[r, 0] f32x16 = load x[r, 0] }"));
}

Test(loop_verify, hostile_sizes_end_soon)
{
    expect_refused("loop_sizes", KERNEL("out y f32[16]",
                                        "unroll a 0..1000, b 0..1000, c 0..1000 { fence }; store y[0] f32x16 = zero"));
    expect_refused("loop_sizes", KERNEL("out y f32[16]", "reg a f32[2000, 2000]; store y[0] f32x16 = zero"));
    expect_refused("loop_sizes", KERNEL("out y f32[2000000000, 2000000000]", "store y[0, 0] f32x16 = zero"));
    expect_refused("loop_sizes", KERNEL("out y f32[16]", "for a 0..2000000000 { fence }; store y[0] f32x16 = zero"));
    expect_refused("loop_sizes", KERNEL("out y f32[16]; task r 0..2", "store y[2000000000000r] f32x16 = zero"));
}

/* ---- footprints ---- */

static struct footprint footprint(const char *kernel, int buffer, bool writes)
{
    struct kernel *k = read_kernel(kernel_text(kernel));
    return writes ? kernel_writes(k, k->buffer[buffer]) : kernel_reads(k, k->buffer[buffer]);
}

Test(loop_verify, footprints_move_with_the_task)
{
    struct footprint x = footprint("conv1x1_relu", 0, false), y = footprint("conv1x1_relu", 3, true);
    cr_assert(x.touched && x.lo[1] == 0 && x.hi[1] == 4 && x.step[1][0] == 4 && x.all_lo[1] == 0 && x.all_hi[1] == 56);
    cr_assert(x.lo[0] == 0 && x.hi[0] == 16 && x.step[0][0] == 0 && x.hi[3] == 16);
    /* the border rows of the first and last task widen it, the sure box is the band with the border's columns */
    cr_assert(y.touched && !y.exact && y.lo[1] == 0 && y.hi[1] == 6 && y.step[1][0] == 4 && y.all_lo[1] == 0 &&
              y.all_hi[1] == 58);
    cr_assert(y.sure && y.sure_lo[1] == 1 && y.sure_hi[1] == 5 && y.sure_lo[2] == 0 && y.sure_hi[2] == 58 &&
              y.sure_hi[0] == 8);
    struct footprint in = footprint("gconv3x3_relu", 0, false), out = footprint("gconv3x3_relu", 3, true);
    cr_assert(in.lo[1] == 0 && in.hi[1] == 6 && in.step[1][0] == 4);
    cr_assert(out.exact && out.lo[1] == 0 && out.hi[1] == 4);
    cr_assert(!footprint("gconv3x3_relu", 0, true).touched);
    struct footprint sum = footprint("conv1x1_add_relu", 3, false);
    cr_assert(sum.touched && sum.hi[1] == 4 && sum.step[1][0] == 4);
}

Test(loop_verify, two_hundred_kernels_take_a_fraction_of_a_second)
{
    struct kernel *kernel[3] = {read_kernel(kernel_text("conv1x1_relu")), read_kernel(kernel_text("gconv3x3_relu")),
                                read_kernel(kernel_text("conv1x1_add_relu"))};
    clock_t start = clock();
    for (int i = 0; i < 200; i++) {
        cr_assert(kernel_verify(diags, kernel[i % 3]));
    }
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    cr_assert_lt(seconds, 3.0, "%g s", seconds); /* with sanitizers on a busy machine; without, 0.05 */
}
