/* What the interpreter refuses: each fault has its check's name and tells where. */
#include "compiled.h"

static void expect_fault(const char *loop, const char *message)
{
    struct arena *arena = arena_new("test");
    struct diags *diags = diags_new(arena);
    struct kernel *kernel = kernel_from(arena, loop);
    float x[64], y[64], *data[] = {x, y};
    for (int i = 0; i < 64; i++) {
        x[i] = (float)i;
    }
    if (strstr(message, "x[16i] was never written")) {
        memset(&x[40], 0xff, 24 * sizeof *x);
    }
    cr_assert(!kernel_eval(diags, kernel, data, (int64_t[]){1, 0}), "runs: %s", loop);
    char *printed = NULL;
    size_t size;
    FILE *f = open_memstream(&printed, &size);
    diag_print(diags, f);
    fclose(f);
    cr_assert(strstr(printed, message), "%s: %s", message, printed);
    free(printed);
    arena_free(arena);
}

Test(loop_eval, faults)
{
    expect_fault("kernel k { in x f32[4, 16]; out y f32[64]; task r 0..2 for i 0..4 { store y[16i] f32x16 = load x[i + "
                 "r, 0] } }",
                 "x[r + i, 0] is outside, where r 1, i 3  [loop_bounds]");
    expect_fault("kernel k { in x f32[4, 16]; out y f32[64]; task r 0..2 for i 0..4 { store y[16i + 1] f32x16 = splat "
                 "x[0, 0] } }",
                 "y[16i + 1] is outside, where i 3  [loop_bounds]");
    expect_fault("kernel k { in x f32[4, 16]; out y f32[64]; task r 0..2 for i 0..5 { store y[0] f32x8 = pick x[1, 8], "
                 "lanes(1/1, i) } }",
                 "x[1, i + 8] is outside, where i 1  [loop_bounds]");
    expect_fault(
        "kernel k { in x f32[64]; out y f32[64]; task r 0..2 for i 0..4 { store y[16i] f32x16 = load x[16i] } }",
        "x[16i] was never written, where i 2  [loop_unwritten]");
    expect_fault("kernel k { in x f32[64]; out y f32[64]; task r 0..2 reg a f32x4[2] a[1] = load x[0] store y[0] = "
                 "add(a[1], a[0]) }",
                 "a[0] is read before it is set  [loop_reg_unset]");
    expect_fault("kernel k { in x f32[64]; out y f32[64]; task r 0..2; local t f32[4, 16]\n"
                 "for i 0..3 { store t[i, 0] f32x16 = load x[16i] }\n"
                 "for i 0..4 { store y[16i] f32x16 = load t[i, 0] } }",
                 "t[i, 0] was never written, where i 3  [loop_unwritten]");
}

Test(loop_eval, guards_and_registers)
{
    struct arena *arena = arena_new("test");
    struct diags *diags = diags_new(arena);
    struct kernel *kernel = kernel_from(arena, "kernel k { in x f32[4, 4]; out y f32[8]; task r 0..2; task s 0..3\n"
                                               "reg a f32x4[2] unroll v 0..2 { a[v] = splat x[v, 3] }\n"
                                               "for i 0..9 { if i in 3..5, i - r in 3..9 { a[r] = add(a[r], 10) } }\n"
                                               "unroll v 0..2 { store y[4v] = add(a[v], load x[s, 0]) } }");
    float x[16], y[8], *data[] = {x, y};
    for (int i = 0; i < 16; i++) {
        x[i] = (float)i;
    }
    cr_assert(kernel_eval(diags, kernel, data, (int64_t[]){1, 2})); /* i = 4 alone adds, to a[1] */
    for (int i = 0; i < 8; i++) {
        float want = (i < 4 ? 3.0f : 7.0f + 10.0f) + (float)(8 + i % 4);
        cr_assert(y[i] == want, "[%d] %g", i, (double)y[i]);
    }
    arena_free(arena);
}
