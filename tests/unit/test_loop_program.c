/* loop/: the rules between kernels: calls, epochs, races, places. */
#include "loop_case.h"

TestSuite(loop_program, .init = set_up, .fini = tear_down);

static void expect_refused(const char *check, const char *text)
{
    diags = diags_new(arena);
    struct program *program = read_program(text);
    cr_assert(program, "%s%s", diagnostics(), text);
    cr_assert(!program_verify(diags, program), "expected [%s] for\n%s", check, text);
    expect_check(check, diagnostics(), text);
}

static void expect_sound(const char *text)
{
    diags = diags_new(arena);
    struct program *program = read_program(text);
    cr_assert(program && program_verify(diags, program), "%s%s", diagnostics(), text);
}

Test(loop_program, block_is_sound)
{
    expect_sound(block_text());
}

Test(loop_program, mutations_of_block_are_refused)
{
    static const struct {
        const char *old, *new, *check;
    } mutations[] = {
        {"    barrier # conv2 reads rows of t1 that other threads wrote\n", "", "loop_race"},
        {"t2 1605632 at 4933632", "t2 1605632 at 3211264", "loop_memory"},
        {"t2 1605632 at 4933632", "t2 1605632 at 4933600", "loop_memory"},
        {"memory 6539264", "memory 6539200", "loop_memory"},
        {"x 3211264 at 0 epochs 0 to 1", "x 3211264 at 0 epochs 0 to 0", "loop_memory"},
        {"conv1_b 512 at 131072", "conv1_b 512 at 131008", "loop_memory"},
        {"(t2, conv3_w, conv3_b, x, r)", "(t2, conv3_w, conv3_b, p, r)", "loop_call"},
        {"(t2, conv3_w, conv3_b, x, r)", "(t2, conv3_w, conv3_b, t1, r)", "loop_call"},
        {"(t2, conv3_w, conv3_b, x, r)", "(x, conv3_w, conv3_b, x, r)", "loop_call"},
        {"(t1, conv2_w, conv2_b, t2, r)", "(t1 + 64, conv2_w, conv2_b, t2, r)", "loop_call"},
        {"(t1, conv2_w, conv2_b, t2, r)", "(t1, conv2_w, conv2_b + 32, t2, r)", "loop_call"},
        {"        call import__avx512(p, x, r)\n", "", "loop_unwritten"},
        {"loadu p[", "load p[", "loop_caller"},
        {"r 0..14 {\n        # conv2", "r 0..7 {\n        # conv2", "loop_stage"},
        {"r 0..14 {\n        # conv2", "r 0..14, s 0..2 {\n        # conv2", "loop_stage"},
    };
    for (size_t i = 0; i < LENGTH(mutations); i++) {
        expect_refused(mutations[i].check, replaced(block_text(), mutations[i].old, mutations[i].new));
    }
}

/* ---- views and bands: programs made of copies, loadu and storeu since any memory may be a caller's ---- */

#define COPY      "for o 0..2, q 0..4, t 0..28 { storeu y[o, 4r + q, t, 0] f32x16 = loadu x[o, 4r + q, t, 0] }"
#define COPY_ALL  "for o 0..4, q 0..4, t 0..28 { storeu y[o, 4r + q, t, 0] f32x16 = loadu x[o, 4r + q, t, 0] }"
#define SHAPE     "f32[2, 28, 28, 16]"
#define SHAPE_ALL "f32[4, 28, 28, 16]"

/* Blocks of 16 channels of a 28 x 28 map have 50176 bytes. */
static const char *copies(const char *forward)
{
    return arena_printf(
        arena,
        "kernel copy { in x " SHAPE "; out y " SHAPE "; task r 0..7; " COPY " }\n"
        "kernel copy_all { in x " SHAPE_ALL "; out y " SHAPE_ALL "; task r 0..7; " COPY_ALL " }\n"
        "kernel other { in x " SHAPE "; out y " SHAPE
        "; task o 0..2; for q 0..28, t 0..28 { storeu y[o, q, t, 0] f32x16 = loadu x[o, q, t, 0] } }\n"
        "kernel blur { in x f32[2, 30, 28, 16]; out y " SHAPE "; task r 0..7\n"
        "    for o 0..2, q 0..4, t 0..28 { storeu y[o, 4r + q, t, 0] f32x16 = add(loadu x[o, 4r + q, t, 0], loadu x[o, "
        "4r "
        "+ q + 2, t, 0]) } }\n"
        "kernel middle { in x f32[2, 30, 28, 16]; out y " SHAPE "; task r 0..7\n"
        "    for o 0..2, q 0..4, t 0..28 { storeu y[o, 4r + q, t, 0] f32x16 = loadu x[o, 4r + q + 1, t, 0] } }\n"
        "kernel pad { in x " SHAPE "; out y f32[2, 30, 28, 16]; task r 0..7\n"
        "    for o 0..2, t 0..28 {\n"
        "        for q 0..4 { storeu y[o, 4r + q + 1, t, 0] f32x16 = loadu x[o, 4r + q, t, 0] }\n"
        "        if r in 0..1 { storeu y[o, 0, t, 0] f32x16 = zero }\n"
        "        if r in 6..7 { storeu y[o, 29, t, 0] f32x16 = zero } } }\n"
        "kernel negate { inout x " SHAPE "; task r 0..7\n"
        "    for o 0..2, q 0..4, t 0..28 { let v f32x16 = loadu x[o, 4r + q, t, 0]; storeu x[o, 4r + q, t, 0] = "
        "sub(zero, v) } }\n"
        "memory 1000448 {\n"
        "  a 100352 input 0; b 100352 output 0; c 200704 at 0 epochs 0 to 0; d 200704 at 204800 epochs 0 to 0\n"
        "  e 107520 at 409600 epochs 0 to 0\n}\n"
        "forward {\n%s\n}\n",
        forward);
}

Test(loop_program, rows_of_the_same_task_need_no_barrier)
{
    expect_sound(copies("stage r 0..7 { call copy(a, c, r) } stage r 0..7 { call copy(c, b, r) }"));
    expect_sound(copies("stage r 0..7 { call copy(a, c, r) call copy(c, b, r) }"));
    expect_sound(copies("stage r 0..7 { call copy(a, c, r) call negate(c, r) call copy(c, b, r) }"));
}

Test(loop_program, other_tasks_rows_need_one)
{
    expect_refused("loop_race", copies("stage r 0..7 { call copy(a, c, r) } stage r 0..2 { call other(c, b, r) }"));
    expect_refused("loop_race", copies("stage r 0..2 { call other(a, c, r) } stage r 0..7 { call copy(c, b, r) }"));
    /* neighbours' rows of a bordered map; its own rows alone do not need them */
    expect_refused("loop_race", copies("stage r 0..7 { call pad(a, e, r) call blur(e, b, r) }"));
    expect_sound(copies("stage r 0..7 { call pad(a, e, r) call middle(e, b, r) }"));
    /* written again while others may still read it */
    expect_refused("loop_race", copies("stage r 0..7 { call copy(a, c, r) } stage r 0..7 { call copy(c, d, r) } stage "
                                       "r 0..2 { call other(a, c, r) }"));
}

Test(loop_program, parts_of_a_memory_are_told_apart)
{
    /* a concat: two halves written through leads, read as one */
    expect_sound(copies("stage r 0..7 { call copy(a, c, r) call copy(a, c + 100352, r) call copy_all(c, d, r) call "
                        "copy(d + 50176, b, r) }"));
    expect_refused("loop_unwritten", copies("stage r 0..7 { call copy(a, c, r) call copy_all(c, d, r) }"));
    /* the halves do not meet, whatever the tasks */
    expect_sound(copies("stage r 0..7 { call copy(a, c, r) } stage r 0..2 { call other(a, c + 100352, r) }"));
    expect_refused("loop_race",
                   copies("stage r 0..7 { call copy(a, c, r) } stage r 0..2 { call other(a, c + 50176, r) }"));
    /* a view that is not shifted by whole blocks has no common coordinates */
    expect_refused("loop_race", copies("stage r 0..7 { call copy(a, c, r) call copy(c + 64, b, r) }"));
}

Test(loop_program, a_batch_writes_per_image)
{
    const char *text = replaced(block_text(), "target x86-64-v4\n", "batch 2\n");
    expect_refused("loop_call", text);
    static const char *const memories[] = {"p 3211264 input 0", "x 3211264 at 0 epochs 0 to 1",
                                           "t1 1722368 at 3211264 epochs 0 to 1",
                                           "t2 1605632 at 4933632 epochs 1 to 1"};
    for (size_t i = 0; i < LENGTH(memories); i++) {
        text = replaced(text, memories[i], arena_printf(arena, "%s each image", memories[i]));
    }
    expect_sound(text);
}

/* ---- the caller's arrays ---- */

/* `store` and `load` of x and y, of 16, 8 or 1 lanes, all of them or some. */
static const char *touches(const char *load, const char *store)
{
    return arena_printf(arena,
                        "kernel first { in x f32[4, 16]; out y f32[4, 16]; task r 0..4; %s }\n"
                        "kernel last { in x f32[4, 16]; out y f32[4, 16]; task r 0..4; %s }\n"
                        "memory 256 { a 256 input 0; b 256 output 0; c 256 at 0 epochs 0 to 0 }\n"
                        "forward { stage r 0..4 { call first(a, c, r) call last(c, b, r) } }\n",
                        load, store);
}

Test(loop_program, callers_arrays_need_not_be_aligned)
{
    static const char fine_load[] = "store y[r, 0] f32x16 = loadu x[r, 0]",
                      fine_store[] = "storeu y[r, 0] f32x16 = load x[r, 0]";
    expect_sound(touches(fine_load, fine_store));
    expect_sound(
        touches("for i 0..16 { store y[r, i] f32 = load x[r, i] }", fine_store)); /* one float is at a float's */
    expect_sound(touches("store y[r, 0] f32x16 = splat x[r, 0]", fine_store));
    expect_sound(touches("store y[r, 0] f32x16 = pick x[r, 0], lanes(1/1, 0)", fine_store));
    expect_sound(
        touches(fine_load, "store y[r, 0]:10 f32x16 = load x[r, 0]; for i 0..6 { store y[r, i + 10] f32 = zero }"));
    expect_refused("loop_caller", touches("store y[r, 0] f32x16 = load x[r, 0]", fine_store));
    expect_refused("loop_caller", touches("for u 0..2 { store y[r, 8u] f32x8 = load x[r, 8u] }", fine_store));
    expect_refused("loop_caller", touches(fine_load, "store y[r, 0] f32x16 = load x[r, 0]"));
    expect_refused(
        "loop_caller",
        touches(fine_load, "for i 0..1 { storeu y[r, 0] f32x16 = load x[r, 0]; let v f32x16 = load y[r, 0] }"));
}

/* ---- how much is touched ---- */

static void expect_touched(const char *body, int64_t read, int64_t written)
{
    const char *text =
        arena_printf(arena, "kernel k { in x f32[4, 11, 9, 16]; out y f32[2, 4, 4, 16]; task r 0..2; %s }", body);
    diags = diags_new(arena);
    struct kernel *k = read_kernel(text);
    cr_assert(k, "%s%s", diagnostics(), text);
    int64_t got[2] = {kernel_touches(k, k->buffer[0], false), kernel_touches(k, k->buffer[1], true)};
    cr_assert(got[0] == 4 * read && got[1] == 4 * written, "%lld and %lld bytes for\n%s", (long long)got[0],
              (long long)got[1], text);
    cr_assert(kernel_touches(k, k->buffer[0], true) == 0 && kernel_touches(k, k->buffer[1], false) == 0, "%s", text);
}

Test(loop_program, touched_bytes)
{
#define STORE "store y[o, 2r + q, t, 0] f32x16 = "
#define LOOPS "for o 0..2, q 0..2, t 0..4 { "
    expect_touched(LOOPS STORE "load x[o, 2r + q, t, 0] }", 2 * 4 * 4 * 16, 2 * 4 * 4 * 16);
    expect_touched(LOOPS STORE "load x[2o + 1, 4r + 2q, 2t, 0] }", 2 * 4 * 4 * 16, 512); /* what a stride skips */
    expect_touched(LOOPS STORE "add(load x[o, 4r + 2q, 2t, 0], load x[o, 4r + 2q + 2, 2t + 1, 0]) }", 2 * 5 * 8 * 16,
                   512);
    /* windows that overlap count once, also those of a reduction */
    expect_touched(
        LOOPS "reg a f32x16\n a = zero\n for k 0..3, l 0..3 { a = add(a, load x[o, 4r + 2q + k, 2t + l, 0]) }\n" STORE
              "a }",
        2 * 9 * 9 * 16, 512);
    /* one lane brings in its block */
    expect_touched(LOOPS STORE "splat x[o, 2r + q, 8 - 2t, 3] }", 2 * 4 * 4 * 16, 512);
    /* a guard narrows */
    expect_touched(LOOPS "if r in 1..2 { " STORE "load x[o, 2r + q, t, 0] } if r in 0..1 { " STORE "zero } }",
                   2 * 2 * 4 * 16, 512);
}
