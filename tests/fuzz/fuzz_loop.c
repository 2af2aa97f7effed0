/* Any bytes as a kernel in loop IR, and as a program of kernels: read, verified, printed, read again. */
#include "fuzz.h"
#include "loop/loop.h"

#include <string.h>

struct run {
    struct arena *perm, *module;
    struct diags *diags;
};

static int add_text(const char *name, const char *text)
{
    return source_add(name, name, text, strlen(text));
}

static void check_same(struct run *run, const char *once, const char *again)
{
    if (!again || strcmp(once, again) != 0) {
        diag_print(run->diags, stderr);
        fprintf(stderr, "%s\n-- read again:\n%s\n", once, again ? again : "");
        abort();
    }
}

static const char *kernel_text(struct run *run, const struct kernel *kernel)
{
    struct text text = {.arena = run->module};
    kernel_print(&text, kernel);
    return text_string(&text);
}

static void try_kernel(struct run *run, int file)
{
    struct kernel *kernel = kernel_read(run->module, run->diags, file);
    if ((kernel == NULL) != (diag_errors(run->diags) > 0)) {
        abort();
    }
    if (kernel && kernel_verify(run->diags, kernel)) {
        const char *once = kernel_text(run, kernel);
        kernel = kernel_read(run->module, run->diags, add_text("printed", once));
        check_same(run, once, kernel ? kernel_text(run, kernel) : NULL);
    }
}

static const char *program_text(struct run *run, const struct program *program)
{
    struct text text = {.arena = run->module};
    program_print(&text, program);
    return text_string(&text);
}

static bool is_sound(struct run *run, const struct program *program)
{
    for (size_t i = 0; i < program->n_kernel; i++) {
        kernel_verify(run->diags, program->kernel[i]);
    }
    return diag_errors(run->diags) == 0 && program_verify(run->diags, program);
}

static void try_program(struct run *run, int file)
{
    struct program *program = program_read(run->module, run->diags, file);
    if ((program == NULL) != (diag_errors(run->diags) > 0)) {
        abort();
    }
    if (program && is_sound(run, program)) {
        const char *once = program_text(run, program);
        program = program_read(run->module, run->diags, add_text("printed", once));
        check_same(run, once, program ? program_text(run, program) : NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void (*const reader[])(struct run *, int) = {try_kernel, try_program};
    for (size_t i = 0; i < LENGTH(reader); i++) {
        struct run run = {.perm = arena_new("perm"), .module = arena_new("module")};
        run.diags = diags_new(run.perm);
        const char *bytes = arena_copy(run.perm, (const char *)data, size);
        reader[i](&run, source_add("fuzz.loop", "fuzz.loop", bytes, size));
        print_diags(run.diags);
        arena_free(run.module);
        arena_free(run.perm);
        source_forget_all();
    }
    return 0;
}
