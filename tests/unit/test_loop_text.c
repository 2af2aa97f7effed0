/* loop/: affine forms, the builder, printing and reading. */
#include "loop_case.h"

TestSuite(loop_text, .init = set_up, .fini = tear_down);

static struct affine var(struct var *v, int64_t k)
{
    return affine_var(v, k);
}

Test(loop_text, affine_forms)
{
    struct var r = {"r", 0, 14, VAR_TASK, 0}, q = {"q", 0, 4, VAR_FOR, 1}, p = {"p", 2, 5, VAR_UNROLL, 2};
    struct affine rows = affine_plus(affine_add(var(&q, 1), var(&r, 4)), 1);
    int64_t least, greatest;
    cr_assert_str_eq(affine_text(arena, rows), "4r + q + 1");
    affine_range(rows, &least, &greatest);
    cr_assert(least == 1 && greatest == 56);
    struct affine mirrored = affine_add(affine_scale(var(&p, 1), -2), affine_const(-3));
    cr_assert_str_eq(affine_text(arena, mirrored), "-2p - 3");
    affine_range(mirrored, &least, &greatest);
    cr_assert(least == -11 && greatest == -7);
    cr_assert_str_eq(affine_text(arena, affine_add(rows, affine_scale(rows, -1))), "0");
    cr_assert(affine_equal(affine_add(var(&p, 1), var(&r, 2)), affine_add(var(&r, 2), var(&p, 1))));
    cr_assert(!affine_equal(var(&p, 1), var(&p, 2)));
    cr_assert(affine_is_const(affine_scale(rows, 0), &least) && least == 0);
    cr_assert(!affine_is_const(rows, NULL));
}

Test(loop_text, alignment_comes_from_offset_and_coefficients)
{
    struct builder b = kernel_begin(arena, "k");
    struct buffer *x = kernel_buffer(&b, DIR_IN, "x", 2, (int64_t[]){8, 24}),
                  *y = kernel_buffer(&b, DIR_IN, "y", 2, (int64_t[]){8, 32});
    struct var *i = loop_begin(&b, VAR_FOR, "i", 0, 8), *one = loop_begin(&b, VAR_FOR, "one", 16, 17);
    cr_assert(expr_load(&b, 16, at(y, var(i, 1), affine_const(16)))->aligned);
    cr_assert(expr_load(&b, 8, at(x, var(i, 1), affine_const(8)))->aligned);
    cr_assert(!expr_load(&b, 16, at(x, var(i, 1), affine_const(0)))->aligned);
    cr_assert(!expr_load(&b, 16, at(y, var(i, 1), affine_const(8)))->aligned);
    cr_assert(!expr_load(&b, 16, at(y, affine_const(0), var(i, 1)))->aligned);
    cr_assert(expr_load(&b, 16, at(y, affine_const(0), var(one, 1)))->aligned, "a variable of one value is a constant");
    cr_assert(!expr_load(&b, 12, at(y, affine_const(0), affine_const(0)))->aligned);
    cr_assert(expr_load(&b, 1, at(y, affine_const(0), var(i, 1)))->aligned);
}

Test(loop_text, a_built_kernel_prints)
{
    struct builder b = kernel_begin(arena, "scale__avx512");
    b.kernel->comment = "y[i] = relu(x[i] * s[i]) in place\nsecond line";
    struct buffer *x = kernel_buffer(&b, DIR_IN, "x", 2, (int64_t[]){56, 16}),
                  *y = kernel_buffer(&b, DIR_OUT, "y", 2, (int64_t[]){56, 16});
    struct var *r = kernel_task(&b, "r", 14), *q = loop_begin(&b, VAR_FOR, "q", 0, 4);
    struct affine row = affine_add(var(r, 4), var(q, 1)), zero = affine_const(0);
    emit_prefetch(&b, at(x, affine_plus(row, 4), zero), 1);
    emit_prefetch(&b, at(x, affine_plus(row, 5), zero), 2);
    struct expr *v = emit_let(&b, "v", expr_load(&b, 16, at(x, row, zero)));
    if_begin(&b, row, 0, 50);
    struct expr *half = expr_op(&b, VOP_mul, v, expr_const(&b, 16, 0.1), NULL);
    emit_store(&b, at(y, row, zero), expr_op(&b, VOP_relu, half, NULL, NULL), 16);
    block_end(&b);
    if_begin(&b, row, 50, 56);
    emit_fence(&b);
    emit_comment(&b, "the rest");
    emit_store(&b, at(y, row, zero), expr_const(&b, 16, -1.5e-30), 10);
    block_end(&b);
    block_end(&b);
    const char *text = print_kernel(kernel_end(&b));
    cr_assert_str_eq(text, "kernel scale__avx512 {\n"
                           "    # y[i] = relu(x[i] * s[i]) in place\n"
                           "    # second line\n"
                           "    in x f32[56, 16]; out y f32[56, 16]; task r 0..14\n"
                           "    for q 0..4 {\n"
                           "        prefetch x[4r + q + 4, 0]\n"
                           "        prefetch2 x[4r + q + 5, 0]\n"
                           "        let v f32x16 = load x[4r + q, 0]\n"
                           "        if 4r + q in 0..50 { store y[4r + q, 0] = relu(mul(v, 0.1)) }\n"
                           "        if 4r + q in 50..56 {\n"
                           "            fence\n"
                           "            # the rest\n"
                           "            store y[4r + q, 0]:10 f32x16 = -1.5e-30\n"
                           "        }\n"
                           "    }\n"
                           "}\n");
    struct kernel *again = read_kernel(text);
    cr_assert(again, "%s", diagnostics());
    cr_assert_str_eq(print_kernel(again), text);
}

Test(loop_text, kernels_and_program_of_block_print_as_they_stand)
{
    static const char *const names[] = {"import", "conv1x1_relu", "gconv3x3_relu", "conv1x1_add_relu"};
    for (size_t i = 0; i < LENGTH(names); i++) {
        struct kernel *kernel = read_kernel(kernel_text(names[i]));
        cr_assert(kernel, "%s", diagnostics());
        cr_assert_str_eq(print_kernel(kernel), kernel_text(names[i]));
    }
    struct program *program = read_program(block_text());
    struct text text = {.arena = arena};
    cr_assert(program, "%s", diagnostics());
    program_print(&text, program);
    cr_assert_str_eq(text_string(&text), block_text());
}

Test(loop_text, numbers_lanes_and_blanks_survive)
{
    static const char *const statements[] = {
        "    let a f32 = 3.141592653589793\n",
        "    let a f32 = -inf\n",
        "    let a f32 = nan\n",
        "    let a f32 = -0\n",
        "    let a f32 = 1e+300\n",
        "    #\n",
        "    #  two # spaces\n",
        "    let l i32x16 = zero\n",
        "    reg a f32[2, 3]\n    a[0, 2] = add(splat x[0, 0], loadu x[0, 1])\n",
        "    let a f32x4 = pick x[0, 0], lanes(4/4, 0) from 8\n",
        "    storeu x[0, 0]:3 f32x16 = fma(splat x[0, 0], zero, max(1, 2))\n",
        "    unroll p 0..2 { for q -3..2 { if p - q in 0..2, q in 0..1 { fence } } }\n",
    };
    for (size_t i = 0; i < LENGTH(statements); i++) {
        const char *text = arena_printf(arena, "kernel k {\n    in x f32[1, 16]\n%s}\n", statements[i]);
        struct kernel *kernel = read_kernel(text);
        cr_assert(kernel, "%s%s", text, diagnostics());
        cr_assert_str_eq(print_kernel(kernel), text);
    }
}

Test(loop_text, canonical_text_forgets_names_and_comments)
{
    const char *text = kernel_text("conv1x1_relu"), *other = text;
    other = replaced(other, "conv1x1_relu__avx512_1x14x32", "something_else");
    other = replaced(other, "    # halo\n", "");
    other = replaced(other, "    for o 0..4, q 0..4, t 0..4 {\n", "    for o 0..4, q 0..4, t 0..4 {\n        # tile\n");
    other = replaced(replaced(other, "let xs", "let spread"), "fma(xs", "fma(spread");
    struct kernel *a = read_kernel(text), *b = read_kernel(other);
    cr_assert(a && b, "%s", diagnostics());
    cr_assert_str_eq(kernel_canonical(arena, a), kernel_canonical(arena, b));
    cr_assert_str_eq(print_kernel(a), text, "the names are back");
    struct kernel *c = read_kernel(replaced(text, "f32[128]", "f32[144]"));
    cr_assert_str_neq(kernel_canonical(arena, a), kernel_canonical(arena, c));
}

/* ---- bad text ---- */

Test(loop_text, faults_are_reported_by_their_check)
{
    static const struct {
        const char *text, *check;
    } cases[] = {
        {"", "syntax"},
        {"kernel", "syntax"},
        {"kernel k { in x f32[4] fence", "syntax"},
        {"kernel k { } kernel l { }", "syntax"},
        {"kernel k { in x f32[4]; store x[0 = zero }", "syntax"},
        {"kernel k { in x f32[4]; let a f32 = load x }", "syntax"},
        {"kernel k { in x f32[4]; let a f32 = load x[q] }", "loop_names"},
        {"kernel k { let a f32 = b }", "loop_names"},
        {"kernel k { in x f32[4]; x[0] = zero }", "loop_names"},
        {"kernel k { let zero f32 = zero }", "loop_names"},
        {"kernel k { for fma 0..3 { } }", "loop_names"},
        {"kernel k { in x f32[0] }", "loop_sizes"},
        {"kernel k { in x f32[1, 1, 1, 1, 1, 1, 1, 1, 1] }", "loop_sizes"},
        {"kernel k { task a 0..1; task b 0..1; task c 0..1 }", "loop_sizes"},
        {"kernel k { task a 1..2 }", "loop_sizes"},
        {"kernel k { for a 0..99999999999999999999 { } }", "loop_sizes"},
        {"kernel k { reg a f32[1, 1, 1, 1, 1] }", "loop_sizes"},
        {"kernel k { in x f32[4]; store x[0] = zero }", "loop_types"},
        {"kernel k { let a f32x65 = zero }", "loop_types"},
        {"kernel k { let a f64 = zero }", "syntax"},
        {"kernel k { let a f32 = 0x }", "syntax"},
        {"kernel k { let a f32 = add(zero) }", "syntax"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        diags = diags_new(arena);
        cr_assert_null(read_kernel(cases[i].text), "%s", cases[i].text);
        expect_check(cases[i].check, diagnostics(), cases[i].text);
    }
    diags = diags_new(arena);
    cr_assert_null(kernel_read(arena, diags, source_add("nul", "nul", "kernel k {\0}", 12)));
    expect_check("encoding", diagnostics(), "a NUL byte");
}

Test(loop_text, deep_nesting_and_many_variables_are_refused)
{
    struct text blocks = {.arena = arena}, expr = {.arena = arena}, form = {.arena = arena};
    text_add(&blocks, "kernel k {");
    text_add(&expr, "kernel k { let a f32 = ");
    text_add(&form, "kernel k { in x f32[64]; ");
    for (int i = 0; i < 1000; i++) {
        text_add(&blocks, "for a%d 0..1 { ", i);
        text_add(&expr, "relu(");
    }
    for (int i = 0; i < 20; i++) {
        text_add(&form, "for a%d 0..2 { ", i);
    }
    text_add(&form, "prefetch x[a0");
    for (int i = 1; i < 20; i++) {
        text_add(&form, " + a%d", i);
    }
    const char *texts[] = {text_string(&blocks), text_string(&expr), text_string(&form)};
    for (size_t i = 0; i < LENGTH(texts); i++) {
        diags = diags_new(arena);
        cr_assert_null(read_kernel(texts[i]));
        expect_check("loop_sizes", diagnostics(), texts[i]);
    }
}

/* Every prefix, and bytes changed here and there: never a crash, and NULL with a diagnostic or a kernel that may be verified. */
Test(loop_text, damaged_text_never_crashes)
{
    const char *text = block_text();
    size_t length = strlen(text);
    static const char bytes[] = "{}[]()=;:.,#+-/0x19rq \n\xff";
    uint32_t random = 1;
    for (size_t i = 0; i < 3000; i++) {
        struct arena *perm = arena;
        arena = arena_new("damaged");
        diags = diags_new(arena);
        char *copy = arena_copy(arena, text, i < 500 ? i * length / 500 : length);
        for (int k = 0; i >= 500 && k < 1 + (int)(i % 3); k++) {
            random = random * 1664525 + 1013904223;
            copy[random % length] = bytes[(random >> 8) % (sizeof bytes - 1)];
        }
        struct program *program = program_read(arena, diags, source_add("x", "x", copy, strlen(copy)));
        cr_assert((program == NULL) == (diag_errors(diags) > 0));
        for (size_t k = 0; program && k < program->n_kernel; k++) {
            kernel_verify(diags, program->kernel[k]);
        }
        if (program && diag_errors(diags) == 0) {
            program_verify(diags, program);
        }
        arena_free(arena);
        arena = perm;
    }
}
