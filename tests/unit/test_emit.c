/* Spelling of the printed C, and every operation on every target that this machine runs against the interpreter, to
 * the last bit. */
#include "compiled.h"

#include <math.h>

/* ---- spelling ---- */

static void check_text(const char *loop, const char *c)
{
    struct arena *arena = arena_new("test");
    struct text text = {.arena = arena};
    emit_kernel(&text, kernel_from(arena, loop), "static", "net_");
    cr_assert(strcmp(text_string(&text) + 1, c) == 0, "printed:\n%s\nexpected:\n%s", text_string(&text), c);
    arena_free(arena);
}

Test(emit, statements)
{
    check_text(
        "kernel copy__avx2_8 {\n"
        "    # y = max(0, x)\n"
        "    # a task is 2 rows\n"
        "    in x f32[4, 10, 16]; inout y f32[4, 10, 16]; task r 0..2; task s 0..3\n"
        "    for q 0..2, i 0..10 {\n"
        "        prefetch x[2r + q, i, 0]\n"
        "        prefetch x[2r + q + 1, i, 0]\n"
        "        reg acc f32x8[2]\n"
        "        unroll v 0..2 { acc[v] = loadu x[2r + q, i, 8v] }\n"
        "        fence\n"
        "        # the last row\n"
        "        if r + q in 2..3, i - q in 1..12 { store y[2r + q, i, 8]:3 = relu(acc[1]) }\n"
        "        if i in 2..8 { store y[2r + q, i, 0] = mul(add(acc[0], 0.5), sub(acc[1], sub(acc[0], zero))) }\n"
        "    }\n"
        "}\n",
        "/* y = max(0, x)\n"
        " * a task is 2 rows */\n"
        "static kernel void net_copy__avx2_8(const f32 x[restrict 4][10][16], f32 y[restrict 4][10][16], int r, int "
        "s)\n"
        "{\n"
        "    (void)s;\n"
        "    for (int q = 0; q < 2; q++)\n"
        "        for (int i = 0; i < 10; i++) {\n"
        "            prefetch(&x[2 * r + q][i][0]);\n"
        "            prefetch((const void *)((intptr_t)x + (2 * r + q + 1) * 640 + (i) * 64));\n"
        "            f32x8 acc[2];\n"
        "            unroll (int v = 0; v < 2; v++) {\n"
        "                acc[v] = loadu8(&x[2 * r + q][i][8 * v]);\n"
        "            }\n"
        "            fence;\n"
        "            /* the last row */\n"
        "            if (r + q == 2 && 1 <= i - q) {\n"
        "                store8_n(&y[2 * r + q][i][8], relu8(acc[1]), 3);\n"
        "            }\n"
        "            if (2 <= i && i < 8) {\n"
        "                store8(&y[2 * r + q][i][0], (acc[0] + splat8(0.5f)) * (acc[1] - (acc[0] - zero8())));\n"
        "            }\n"
        "        }\n"
        "}\n");
}

Test(emit, one_lane_is_plain_c)
{
    check_text("kernel dot__scalar {\n"
               "    in x f32[4, 16]; in w f32[16]; out y f32[4]; task r 0..4\n"
               "    reg acc f32\n"
               "    acc = zero\n"
               "    for i 0..4 { acc = fma(pick x[r, 0], lanes(4/4, i) from 5, load w[i], acc) }\n"
               "    store y[r] = div(exp(acc), 1e-06)\n"
               "}\n",
               "static kernel void net_dot__scalar(const f32 x[restrict 4][16], const f32 w[restrict 16], f32 "
               "y[restrict 4], int r)\n"
               "{\n"
               "    f32 acc;\n"
               "    acc = 0.0f;\n"
               "    for (int i = 0; i < 4; i++) {\n"
               "        acc = fma1(x[r][i + 4], w[i], acc);\n"
               "    }\n"
               "    y[r] = exp1(acc) / 9.99999997e-07f;\n"
               "}\n");
}

Test(emit, long_lines_break)
{
    check_text(
        "kernel a_rather_long_name_of_a_kernel_that_does_little__avx512_1x14x32 {\n"
        "    in pictures f32[3, 224, 224]; in weights f32[4, 3, 3, 3, 16]; in bias f32[64]; out y f32[16]; task r "
        "0..1\n"
        "    reg accumulator_of_the_first_row f32x16; reg accumulator_of_the_second_row f32x16\n"
        "    accumulator_of_the_first_row = fma(splat pictures[0, r, r], fma(accumulator_of_the_first_row, "
        "accumulator_of_the_second_row,"
        " accumulator_of_the_first_row), accumulator_of_the_second_row)\n"
        "}\n",
        "static kernel void net_a_rather_long_name_of_a_kernel_that_does_little__avx512_1x14x32(\n"
        "    const f32 pictures[restrict 3][224][224], const f32 weights[restrict 4][3][3][3][16], const f32 "
        "bias[restrict 64],\n"
        "    f32 y[restrict 16], int r)\n"
        "{\n"
        "    f32x16 accumulator_of_the_first_row;\n"
        "    f32x16 accumulator_of_the_second_row;\n"
        "    accumulator_of_the_first_row = fma16(splat16(pictures[0][r][r]), fma16(accumulator_of_the_first_row,\n"
        "        accumulator_of_the_second_row, accumulator_of_the_first_row), accumulator_of_the_second_row);\n"
        "}\n");
}

/* ---- every operation ---- */

enum { ROWS = 64, RESULTS = VOP_COUNT + 10 };

#define VOP(name, arity, ...) {#name, arity},
static const struct {
    const char *name;
    int arity;
} vops[] = {
#include "loop/vops.def"
};
#undef VOP

/* For each block of 16 floats of x: row k of y is operation k of x, z and u; then the ways to load and to store. */
static struct kernel *all_operations(struct arena *arena, int lanes)
{
    struct text t = {.arena = arena};
    char type[16];
    snprintf(type, sizeof type, lanes > 1 ? "f32x%d" : "f32", lanes);
    text_add(
        &t,
        "kernel all_%d { in x f32[%d, 16]; in z f32[%d, 16]; in u f32[%d, 17]; out y f32[%d, %d, 16]; task r 0..%d\n",
        lanes, ROWS, ROWS, ROWS, ROWS, RESULTS, ROWS);
    for (int h = 0; h < 16; h += lanes) {
        text_add(&t, "let x%d %s = load x[r, %d]\n", h, type, h);
        text_add(&t, "unroll i%d %d..%d { store y[r, %d, %d] = fma(lane i%d of x%d, x%d, x%d) }\n", h, lanes - 1, lanes,
                 VOP_COUNT + 6, h, h, h, h, h);
        for (int k = 0; k < VOP_COUNT; k++) {
            text_add(&t, "store y[r, %d, %d] %s = %s(load x[r, %d]", k, h, type, vops[k].name, h);
            if (vops[k].arity > 1) {
                text_add(&t, ", load z[r, %d]", h);
            }
            text_add(&t, "%s)\n", vops[k].arity > 2 ? ", 0.3" : "");
        }
        text_add(&t, "store y[r, %d, %d] %s = add(splat x[r, 3], loadu u[r, %d])\n", VOP_COUNT, h, type, h + 1);
        text_add(&t, "for e 0..4 { if e in 2..3 { store y[r, %d, %d] %s = pick x[r, 0], lanes(4/4, e) from %d } }\n",
                 VOP_COUNT + 1, h, type, h);
        text_add(&t, "store y[r, %d, %d] %s = pick x[r, 0], lanes(1/2, 5) from %d\n", VOP_COUNT + 2, h, type, h);
        text_add(&t, "store y[r, %d, %d] %s = pick x[r, 0], lanes(2/2, 1) from %d\n", VOP_COUNT + 3, h, type, h);
        text_add(&t, "store y[r, %d, %d]:%d %s = load x[r, %d]\n", VOP_COUNT + 4, h, lanes > 1 ? lanes - 3 : 1, type,
                 h);
        text_add(&t, "store y[r, %d, %d] %s = loadu u[r, %d] repeat %d\n", VOP_COUNT + 9, h, type, h + 1,
                 lanes > 2 && h == 0 ? lanes / 2
                 : lanes > 4         ? 2
                                     : 1);
        text_add(&t, "store y[r, %d, %d] %s = loadu u[r, %d]:%d else -inf\n", VOP_COUNT + 7, h, type, h + 1,
                 lanes > 1 ? lanes - 1 : 1);
        text_add(&t, "reg t%d %s[%d]\nunroll v%d 0..%d { t%d[v%d] = add(lane v%d of x%d, x%d) }\ntranspose t%d\n", h,
                 type, lanes, h, lanes, h, h, h, h, h, h);
        text_add(&t, "store y[r, %d, %d] %s = t%d[%d]\n", VOP_COUNT + 8, h, type, h, lanes / 3);
        text_add(&t, "store y[r, %d, %d]:%d %s = add(inf, load x[r, %d])\n", VOP_COUNT + 5, h, lanes > 2 ? 2 : 1, type,
                 h);
    }
    text_add(&t, "}\n");
    return kernel_from(arena, text_string(&t));
}

static void fill_floats(float *x, size_t n)
{
    static const float special[] = {0.0f,    -0.0f,   1.0f,   -1.0f,    88.0f,     88.8f, 89.5f, -87.5f, -100.0f,
                                    -103.9f, -104.5f, 1e-40f, INFINITY, -INFINITY, NAN,   1e30f, -1e30f};
    uint32_t seed = 7;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        float unit = (float)(seed >> 8) / 16777216.0f - 0.5f;
        x[i] = i < LENGTH(special) ? special[i] : unit * (i % 3 == 0 ? 200.0f : i % 3 == 1 ? 20.0f : 1.0f);
    }
}

/* A program for another architecture that calls the kernel for every row: buffers in from a file and out to it. */
static const char elsewhere[] =
    "#include <stdio.h>\n"
    "_Alignas(64) static float x[%d][16], z[%d][16], u[%d][17], y[%d][%d][16];\n"
    "int main(int argc, char **argv)\n"
    "{\n"
    "    FILE *f = argc > 1 ? fopen(argv[1], \"r+b\") : NULL;\n"
    "    if (!f || fread(x, sizeof x, 1, f) != 1 || fread(z, sizeof z, 1, f) != 1 || fread(u, sizeof u, 1, f) != 1)\n"
    "        return 1;\n"
    "    for (int r = 0; r < %d; r++)\n"
    "        all_%d(x, z, u, y, r);\n"
    "    return fseek(f, 0, SEEK_END) != 0 || fwrite(y, sizeof y, 1, f) != 1 || fclose(f) != 0;\n"
    "}\n";

static void run_elsewhere(struct arena *arena, const struct target *target, struct kernel *kernel, float *const *data)
{
    const char *arch = target_foreign_arch(target);
    const char *root = arena_printf(arena, "build/sysroot/%s", arch);
    const char *main = arena_printf(arena, elsewhere, ROWS, ROWS, ROWS, ROWS, RESULTS, ROWS, target->lanes);
    const char *program =
        build_with(arena, target, &kernel, 1, main, "clang-19",
                   arena_printf(arena, "--target=%s-linux-gnu --sysroot=%s -fuse-ld=lld -lm", arch, root));
    const char *file = arena_printf(arena, "%s.data", program);
    FILE *f = fopen(file, "wb");
    for (int i = 0; i < 3; i++) {
        fwrite(data[i], sizeof(float), buffer_floats(kernel->buffer[i]), f);
    }
    size_t in = (size_t)ftell(f), n = buffer_floats(kernel->buffer[3]);
    cr_assert(fclose(f) == 0);
    const char *command = arena_printf(arena, "qemu-%s -L %s %s %s", arch, root, program, file);
    cr_assert(system(command) == 0, "this failed: %s", command);
    f = fopen(file, "rb");
    cr_assert(fseek(f, (long)in, SEEK_SET) == 0 && fread(data[3], sizeof(float), n, f) == n);
    fclose(f);
    remove_object(arena, program);
}

static void check_operations(const struct target *target)
{
    struct arena *arena = arena_new("test");
    struct diags *diags = diags_new(arena);
    struct kernel *kernel = all_operations(arena, target->lanes);
    bool here = target_runs_here(target);
    void *handle = here ? load_kernels(arena, target, &kernel, 1) : NULL;
    float *data[4], *again[4];
    for (int i = 0; i < 4; i++) {
        data[i] = aligned_floats(buffer_floats(kernel->buffer[i]));
        fill_floats(data[i], buffer_floats(kernel->buffer[i]));
        again[i] = data[i];
    }
    size_t n = buffer_floats(kernel->buffer[3]);
    memset(data[3], 0, n * sizeof(float));
    again[3] = aligned_floats(n);
    memset(again[3], 0, n * sizeof(float));
    for (int r = 0; r < ROWS; r++) {
        if (!kernel_eval(diags, kernel, data, &(int64_t){r})) {
            fail_with(diags, target->name);
        }
        if (here) {
            call_kernel(handle, kernel, again, r);
        }
    }
    if (!here) {
        run_elsewhere(arena, target, kernel, again);
    }
    for (size_t i = 0; i < n; i++) {
        size_t k = i / 16 % RESULTS;
        bool same = memcmp(&data[3][i], &again[3][i], sizeof(float)) == 0 || (isnan(data[3][i]) && isnan(again[3][i]));
        cr_assert(same, "%s, %s, row %zu lane %zu: %a, the interpreter says %a", target->name,
                  k < VOP_COUNT ? vops[k].name : "memory", i / 16 / RESULTS, i % 16, (double)again[3][i],
                  (double)data[3][i]);
    }
    for (int i = 0; i < 4; i++) {
        free(data[i]);
    }
    free(again[3]);
    arena_free(arena);
}

Test(emit, operations_agree_with_the_interpreter)
{
    const struct target *target;
    for (int i = 0; (target = target_at(i)); i++) {
        if (target_runs_here(target)) {
            check_operations(target);
        }
    }
}

Test(emit, operations_agree_on_other_architectures)
{
    const struct target *target;
    bool any = false;
    for (int i = 0; (target = target_at(i)); i++) {
        const char *arch = target_foreign_arch(target);
        char command[200];
        snprintf(command, sizeof command, "command -v qemu-%s > /dev/null && test -e build/sysroot/%s/packages",
                 arch ? arch : "", arch ? arch : "");
        if (arch && system(command) == 0) {
            check_operations(target);
            any = true;
        }
    }
    if (!any) {
        cr_skip_test("no emulator, or no sysroot");
    }
}

/* ---- exp ---- */

static double units_off(float got, double want)
{
    if (isnan(want) || isinf((float)want)) {
        return isnan(want) ? !isnan(got) : got != (float)want;
    }
    int exponent;
    frexp(want, &exponent);
    return fabs((double)got - want) / ldexp(1.0, exponent < -125 ? -149 : exponent - 24);
}

static void check_exp(const struct target *target, const float *x, size_t n)
{
    struct arena *arena = arena_new("test");
    char type[16];
    snprintf(type, sizeof type, target->lanes > 1 ? "f32x%d" : "f32", target->lanes);
    struct kernel *kernel = kernel_from(
        arena, arena_printf(arena,
                            "kernel exp_%d { in x f32[%zu]; out y f32[3, %zu]; task r 0..1\n for i 0..%zu {\n store "
                            "y[0, %di] %s = exp(load x[%di])\n"
                            " store y[1, %di] %s = sigmoid(load x[%di])\n store y[2, %di] %s = silu(load x[%di]) } }",
                            target->lanes, n, n, n / (size_t)target->lanes, target->lanes, type, target->lanes,
                            target->lanes, type, target->lanes, target->lanes, type, target->lanes));
    float *y = aligned_floats(3 * n);
    call_kernel(load_kernels(arena, target, &kernel, 1), kernel, (float *const[]){(float *)x, y}, 0);
    for (size_t i = 0; i < n; i++) {
        double e = exp((double)x[i]), s = 1.0 / (1.0 + exp(-(double)x[i]));
        cr_assert(units_off(y[i], e) < 1.01, "%s: exp(%a) = %a", target->name, (double)x[i], (double)y[i]);
        if (x[i] > -87.0f) { /* below, 1 + exp(-x) overflows and the result is 0 */
            cr_assert(units_off(y[n + i], s) < 2.6, "%s: sigmoid(%a) = %a", target->name, (double)x[i],
                      (double)y[n + i]);
            cr_assert(units_off(y[2 * n + i], x[i] * s) < 2.6, "%s: silu(%a) = %a", target->name, (double)x[i],
                      (double)y[2 * n + i]);
        }
    }
    free(y);
    arena_free(arena);
}

Test(emit, exp_is_accurate)
{
    enum { N = 1 << 20 };
    float *x = aligned_floats(N);
    for (int i = 0; i < N; i++) {
        x[i] = i < 16
                   ? (float[]){INFINITY, -INFINITY, NAN, 88.72f, 88.73f, -103.9f, -104.0f, 1e38f, -1e38f, 0.0f}[i % 10]
                   : -110.0f + 205.0f * (float)i / N;
    }
    const struct target *target;
    for (int i = 0; (target = target_at(i)); i++) {
        if (target_runs_here(target)) {
            check_exp(target, x, N);
        }
    }
    free(x);
}

/* ---- gcc is the second compiler ---- */

Test(emit, gcc_takes_it_too)
{
    if (system("gcc -E -x c /dev/null > /dev/null 2>&1") != 0) {
        cr_skip_test("no gcc here");
    }
    struct arena *arena = arena_new("test");
    const struct target *target;
    for (int i = 0; (target = target_at(i)); i++) {
        if (target_foreign_arch(target)) {
            continue; /* tests/aarch64 */
        }
        struct kernel *kernel = all_operations(arena, target->lanes);
        remove_object(arena, build_kernels(arena, target, &kernel, 1, "gcc", "-c"));
    }
    arena_free(arena);
}
