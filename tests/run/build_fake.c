/* Builds fake_model.c with the compiler's own driver: build_fake RUNTIME_DIR SOURCE_DIR OUTPUT [KEEP_DIR |
 * --emit=DIR]. A kernel text may be given in $FAKE_KERNELS (to make clang fail). Prints what went wrong as netc
 * does, exit 1 then. */
#include <stdlib.h>
#include <string.h>

#include "../../compiler/build.h"

static struct build_file part(struct arena *arena, const char *suffix, const char *before, const char *directory,
                              const char *name)
{
    size_t length;
    const char *why;
    const char *path = arena_printf(arena, "%s/%s", directory, name);
    const char *text = file_read(arena, path, 1 << 20, &length, &why);
    if (!text) {
        fprintf(stderr, "%s: %s\n", path, why);
        exit(2);
    }
    text = arena_printf(arena, "%s%s", before, text);
    return (struct build_file){suffix, text, strlen(text), COMPILED_IN_PROGRAM, ""};
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        return 2;
    }
    struct arena *arena = arena_new("test");
    struct diags *diags = diags_new(arena);
    static const float weights[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    struct build_file parts[] = {
        part(arena, ".c", "#define FAKE_WEIGHTS 1\n", argv[2], "fake_model.c"),
        part(arena, ".kernels.0.c", "", argv[2], "fake_kernels.c"),
    };
    const char *text = getenv("FAKE_KERNELS");
    if (text) {
        parts[1] = (struct build_file){".kernels.0.c", text, strlen(text), COMPILED_IN_PROGRAM, ""};
    }
    const char *emit = argc > 4 && strncmp(argv[4], "--emit=", 7) == 0 ? argv[4] + 7 : NULL;
    struct build_job job = {
        .arena = arena,
        .name = "fake",
        .file = parts,
        .n_file = 2,
        .weights = weights,
        .weights_bytes = sizeof weights,
        .output = argv[3],
        .runtime_dir = argv[1],
        .keep_dir = argc > 4 && !emit ? argv[4] : NULL,
    };
    bool good = emit ? emit_to_directory(diags, &job, emit) : build_output(diags, &job);
    diag_print(diags, stderr);
    arena_free(arena);
    return good ? 0 : 1;
}
