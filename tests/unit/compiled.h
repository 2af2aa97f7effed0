/* For tests that print kernels as C: reading them from text, building a shared object with clang and loading it.
 *
 * The objects are built without sanitizers, as programs are; any warning is an error. */
#ifndef COMPILED_H
#define COMPILED_H

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emit/emit.h"

#define FLAGS "-O3 -std=c17 -ffp-contract=off -Wall -Wextra -Werror"

static inline void fail_with(struct diags *diags, const char *what)
{
    diag_print(diags, stderr);
    cr_assert(false, "%s", what);
}

static inline struct kernel *kernel_from(struct arena *arena, const char *string)
{
    struct diags *diags = diags_new(arena);
    struct kernel *kernel = kernel_read(arena, diags, source_add("kernel", "kernel", string, strlen(string)));
    if (!kernel) {
        fail_with(diags, "the kernel does not read");
    }
    return kernel;
}

static inline struct program *program_from(struct arena *arena, const char *path)
{
    struct diags *diags = diags_new(arena);
    size_t length;
    const char *why, *bytes = file_read(arena, path, 1 << 20, &length, &why);
    cr_assert(bytes, "%s: %s", path, why);
    struct program *program = program_read(arena, diags, source_add(path, path, bytes, length));
    if (!program) {
        fail_with(diags, "the program does not read");
    }
    return program;
}

/* Builds kernels for a target, and `main` (C, or "") behind them; `more` is "-c" or "-shared -fPIC -lm". The object's
 * path, in a directory of its own. */
static inline const char *build_with(struct arena *arena, const struct target *target, struct kernel *const *kernel,
                                     size_t n, const char *main, const char *compiler, const char *more)
{
    struct text text = {.arena = arena};
    emit_helpers(&text, target);
    for (size_t i = 0; i < n; i++) {
        emit_kernel(&text, kernel[i], "", "");
    }
    text_add(&text, "%s", main);
    char *dir = arena_printf(arena, "/tmp/netc_test_XXXXXX");
    cr_assert(mkdtemp(dir), "no directory below /tmp");
    const char *source = arena_printf(arena, "%s/k.c", dir), *object = arena_printf(arena, "%s/k.so", dir);
    FILE *f = fopen(source, "w");
    cr_assert(f && fwrite(text.bytes, 1, text.length, f) == text.length && fclose(f) == 0, "%s cannot be written",
              source);
    const char *command =
        arena_printf(arena, "%s " FLAGS " %s %s %s -o %s", compiler, target->flags, more, source, object);
    cr_assert(system(command) == 0, "this failed: %s", command);
    return object;
}

static inline const char *build_kernels(struct arena *arena, const struct target *target, struct kernel *const *kernel,
                                        size_t n, const char *compiler, const char *more)
{
    return build_with(arena, target, kernel, n, "", compiler, more);
}

static inline void remove_object(struct arena *arena, const char *object)
{
    cr_assert(system(arena_printf(arena, "rm -r %.*s", (int)(strrchr(object, '/') - object), object)) == 0);
}

static inline void *load_kernels(struct arena *arena, const struct target *target, struct kernel *const *kernel,
                                 size_t n)
{
    const char *object = build_kernels(arena, target, kernel, n, "clang-19", "-shared -fPIC -lm");
    void *handle = dlopen(object, RTLD_NOW);
    cr_assert(handle, "%s", dlerror());
    remove_object(arena, object); /* stays mapped */
    return handle;
}

/* Runs one task of a loaded kernel, of up to four buffers. */
static inline void call_kernel(void *handle, const struct kernel *kernel, float *const *data, int task)
{
    union {
        void *object;
        void (*two)(void *, void *, int);
        void (*three)(void *, void *, void *, int);
        void (*four)(void *, void *, void *, void *, int);
    } symbol = {dlsym(handle, kernel->name)};
    cr_assert(symbol.object, "%s", kernel->name);
    switch (kernel->n_buffer) {
    case 2: symbol.two(data[0], data[1], task); break;
    case 3: symbol.three(data[0], data[1], data[2], task); break;
    case 4: symbol.four(data[0], data[1], data[2], data[3], task); break;
    default: cr_assert(false, "%s has %d buffers", kernel->name, kernel->n_buffer);
    }
}

static inline float *aligned_floats(size_t n)
{
    float *data = aligned_alloc(64, (n * sizeof *data + 63) / 64 * 64);
    cr_assert(data);
    memset(data, 0xff, n * sizeof *data);
    return data;
}

static inline size_t buffer_floats(const struct buffer *buffer)
{
    size_t n = 1;
    for (int d = 0; d < buffer->rank; d++) {
        n *= (size_t)buffer->dim[d];
    }
    return n;
}

#endif
