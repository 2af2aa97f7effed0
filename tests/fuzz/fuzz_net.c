/* Any bytes as a .net file: scanned, parsed, elaborated, printed as graph IR, which must read again as the same text. */
#include "front/front.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct arena *perm, struct arena *module, const struct graph *graph)
{
    struct text first = {.arena = module}, second = {.arena = module};
    struct diags *diags = diags_new(perm);
    graph_print(&first, graph);
    struct graph *again =
        graph_read(module, diags, source_add("printed", "printed", text_string(&first), first.length));
    if (again) {
        graph_print(&second, again);
    }
    if (!again || strcmp(text_string(&first), text_string(&second)) != 0) {
        fprintf(stderr, "%s\n-- read again:\n%s\n", text_string(&first), text_string(&second));
        diag_print(diags, stderr);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *netdefs = getenv("NETDEFS");
    struct arena *perm = arena_new("perm"), *module = arena_new("module");
    struct diags *diags = diags_new(perm);
    struct front_options options = {
        .file = "fuzz.net", .import_dir = &netdefs, .n_import_dir = netdefs != NULL, .batch = 1};
    struct graph *graph =
        elaborate_text(perm, module, diags, &options, arena_copy(perm, (const char *)data, size), size);
    char *printed;
    size_t length;
    FILE *out = open_memstream(&printed, &length);
    diag_print(diags, out);
    fclose(out);
    if ((graph == NULL) != (diag_errors(diags) > 0)) {
        fprintf(stderr, "%s after %d errors\n%s", graph ? "a graph" : "no graph", diag_errors(diags), printed);
        abort();
    }
    free(printed);
    if (graph) {
        check_text(perm, module, graph);
    }
    arena_free(module);
    arena_free(perm);
    source_forget_all();
    return 0;
}
