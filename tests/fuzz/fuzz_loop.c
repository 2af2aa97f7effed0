/* Any bytes as a kernel in loop IR: read, verified, printed, read again. */
#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *print(struct arena *arena, const struct kernel *kernel)
{
    struct text text = {.arena = arena};
    kernel_print(&text, kernel);
    return text_string(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *perm = arena_new("perm"), *module = arena_new("module");
    struct diags *diags = diags_new(perm);
    const char *bytes = arena_copy(perm, (const char *)data, size);
    struct kernel *kernel = kernel_read(module, diags, source_add("fuzz.loop", "fuzz.loop", bytes, size));
    if ((kernel == NULL) != (diag_errors(diags) > 0)) {
        abort();
    }
    if (kernel && kernel_verify(diags, kernel)) {
        const char *once = print(module, kernel);
        kernel = kernel_read(module, diags, source_add("printed", "printed", once, strlen(once)));
        if (!kernel || strcmp(once, print(module, kernel)) != 0) {
            diag_print(diags, stderr);
            fprintf(stderr, "%s\n-- read again:\n%s\n", once, kernel ? print(module, kernel) : "");
            abort();
        }
    }
    char *printed;
    size_t length;
    FILE *out = open_memstream(&printed, &length);
    diag_print(diags, out);
    fclose(out);
    free(printed);
    arena_free(module);
    arena_free(perm);
    source_forget_all();
    return 0;
}
