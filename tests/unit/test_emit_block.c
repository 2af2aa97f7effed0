/* The three kernels of block.loop: the interpreter against plain loops over channels, rows and columns (small
 * integers, so that sums are exact and equality is asked for), the printed C against the interpreter, and a look at
 * what clang made of them. */
#include "compiled.h"

enum { X, W, B, Y, BUFFERS };
static const int shown_tasks[] = {0, 6, 13}; /* with a border above, without, with one below */

struct layer {
    const char *kernel_name;
    int in, out, kernel, groups, halo_in, halo_out;
    bool add;
};
static const struct layer layers[] = {
    {"conv1x1_relu__avx512_1x14x32", 256, 128, 1, 1, 0, 1, false},
    {"gconv3x3_relu__avx512_4x4x16", 128, 128, 3, 32, 1, 0, false},
    {"conv1x1_add_relu__avx512_1x14x32", 128, 256, 1, 1, 0, 0, true},
};

static const struct target *block_kernels(struct arena *arena, struct kernel **kernel)
{
    struct program *program = program_from(arena, "tests/unit/block.loop");
    for (size_t l = 0; l < LENGTH(layers); l++) {
        kernel[l] = NULL;
        for (size_t i = 0; i < program->n_kernel; i++) {
            kernel[l] = strcmp(program->kernel[i]->name, layers[l].kernel_name) == 0 ? program->kernel[i] : kernel[l];
        }
        cr_assert(kernel[l], "no kernel %s", layers[l].kernel_name);
    }
    return program->target;
}

static uint32_t seed = 1;
static int small(int values)
{
    seed = seed * 1664525u + 1013904223u;
    return (int)(seed >> 24) % values - values / 2;
}

/* Where channel c of a position lies in blocks of 16 channels. */
static size_t place(int c, int y, int x, int halo)
{
    int side = 56 + 2 * halo;
    return (((size_t)(c / 16) * (size_t)side + (size_t)(y + halo)) * (size_t)side + (size_t)(x + halo)) * 16 +
           (size_t)(c % 16);
}

static float expected(const struct layer *l, float *const *data, const float *old, int o, int y, int x)
{
    int per_group = l->in / l->groups, first = o / (l->out / l->groups) * per_group, taps = l->kernel * l->kernel;
    float sum = data[B][o] + (l->add ? old[place(o, y, x, 0)] : 0.0f);
    for (int i = 0; i < per_group; i++) {
        for (int tap = 0; tap < taps; tap++) {
            int iy = y + tap / l->kernel - l->halo_in, ix = x + tap % l->kernel - l->halo_in;
            sum += data[X][place(first + i, iy, ix, l->halo_in)] *
                   data[W][((o / 16 * per_group + i) * taps + tap) * 16 + o % 16];
        }
    }
    return sum > 0.0f ? sum : 0.0f;
}

static void fill(const struct layer *l, const struct kernel *k, float **data)
{
    for (int i = 0; i < BUFFERS; i++) {
        size_t n = buffer_floats(k->buffer[i]);
        data[i] = aligned_floats(n);
        for (size_t j = 0; j < n && (i != Y || l->add); j++) {
            data[i][j] = (float)small(i == X ? 5 : 3);
        }
    }
}

static void eval_tasks(const struct kernel *k, float **data)
{
    struct arena *arena = arena_new("test");
    struct diags *diags = diags_new(arena);
    for (size_t i = 0; i < LENGTH(shown_tasks); i++) {
        if (!kernel_eval(diags, k, data, &(int64_t){shown_tasks[i]})) {
            fail_with(diags, k->name);
        }
    }
    arena_free(arena);
}

static void check_rows(const struct layer *l, const struct kernel *k, float **data, const float *old)
{
    for (size_t t = 0; t < LENGTH(shown_tasks); t++) {
        int r = shown_tasks[t], h = l->halo_out;
        for (int y = 4 * r - (r == 0) * h; y < 4 * r + 4 + (r == 13) * h; y++) {
            for (int x = -h; x < 56 + h; x++) {
                bool border = y < 0 || y > 55 || x < 0 || x > 55;
                for (int o = 0; o < l->out; o += 1 + (x + y + 3) % 3) { /* not all: this runs under the sanitizers */
                    float want = border ? 0.0f : expected(l, data, old, o, y, x), got = data[Y][place(o, y, x, h)];
                    cr_assert(got == want, "%s [%d,%d,%d]: %g, expected %g", k->name, o, y, x, (double)got,
                              (double)want);
                }
            }
        }
    }
}

Test(emit_block, interpreter_and_c_agree_with_plain_loops)
{
    struct arena *arena = arena_new("test");
    struct kernel *kernel[LENGTH(layers)];
    const struct target *target = block_kernels(arena, kernel);
    bool runs = target_runs_here(target);
    void *handle = runs ? load_kernels(arena, target, kernel, LENGTH(layers)) : NULL;
    for (size_t i = 0; i < LENGTH(layers); i++) {
        struct kernel *k = kernel[i];
        float *data[BUFFERS], *again[BUFFERS];
        fill(&layers[i], k, data);
        size_t bytes = buffer_floats(k->buffer[Y]) * sizeof(float);
        float *old = aligned_floats(bytes / sizeof(float));
        memcpy(old, data[Y], bytes);
        memcpy(again, data, sizeof again);
        again[Y] = aligned_floats(bytes / sizeof(float));
        memcpy(again[Y], old, bytes);
        eval_tasks(k, data);
        check_rows(&layers[i], k, data, old);
        for (size_t t = 0; runs && t < LENGTH(shown_tasks); t++) {
            call_kernel(handle, k, again, shown_tasks[t]);
        }
        cr_assert(!runs || memcmp(data[Y], again[Y], bytes) == 0, "%s: the C differs from the interpreter", k->name);
        for (int b = 0; b < BUFFERS; b++) {
            free(data[b]);
        }
        free(old);
        free(again[Y]);
    }
    arena_free(arena);
}

/* ---- what clang made of them ---- */

struct instruction {
    unsigned long at, target; /* target: of a jump, else 0 */
    bool fma, stack;
};

/* The innermost loops (jumps back) with multiply-adds: how many of the latter, and how many references to the stack. */
static void inspect(const char *object, const char *function, int *multiply_adds, int *stack)
{
    static struct instruction code[20000];
    char command[300], line[300];
    size_t n = 0, least = SIZE_MAX;
    snprintf(command, sizeof command, "objdump -d --no-show-raw-insn --disassemble=%s %s", function, object);
    FILE *f = popen(command, "r");
    while (fgets(line, sizeof line, f) && n < LENGTH(code)) {
        char *rest, word[16] = "";
        unsigned long at = strtoul(line, &rest, 16);
        if (*rest == ':' && sscanf(rest + 1, "%15s", word) == 1) {
            bool jump = word[0] == 'j';
            unsigned long target = jump ? strtoul(rest + 1 + strspn(rest + 1, " \t") + strlen(word), NULL, 16) : 0;
            code[n++] =
                (struct instruction){at, target, strncmp(word, "vfmadd", 6) == 0, strstr(rest, "(%rsp") != NULL};
        }
    }
    pclose(f);
    *multiply_adds = *stack = 0;
    for (size_t end = 0; end < n; end++) {
        for (size_t begin = end;
             code[end].target != 0 && code[end].target <= code[end].at && code[begin].at >= code[end].target; begin--) {
            if (code[begin].at == code[end].target && end - begin < least) {
                int fma = 0, refs = 0;
                for (size_t i = begin; i <= end; i++) {
                    fma += code[i].fma;
                    refs += code[i].stack;
                }
                if (fma > 0) {
                    least = end - begin;
                    *multiply_adds = fma;
                    *stack = refs;
                }
            }
            if (begin == 0) {
                break;
            }
        }
    }
}

Test(emit_block, inner_loops_stay_in_registers)
{
    struct arena *arena = arena_new("test");
    struct kernel *kernel[LENGTH(layers)];
    const struct target *target = block_kernels(arena, kernel);
    if (target_foreign_arch(target)) {
        cr_skip_test("the block is for another architecture");
    }
    const char *object = build_kernels(arena, target, kernel, LENGTH(layers), "clang-19", "-c");
    static const int expected_adds[] = {28, 144, 28};
    static const int allowed[] = {0, 8, 0}; /* without the fence and renewed addresses, the second has 38 to 68 */
    for (size_t i = 0; i < LENGTH(layers); i++) {
        int multiply_adds, stack;
        inspect(object, kernel[i]->name, &multiply_adds, &stack);
        cr_expect(multiply_adds == expected_adds[i], "%s: %d multiply-adds in the inner loop", kernel[i]->name,
                  multiply_adds);
        cr_expect(stack <= allowed[i], "%s: %d references to the stack in the inner loop", kernel[i]->name, stack);
    }
    remove_object(arena, object);
    arena_free(arena);
}
