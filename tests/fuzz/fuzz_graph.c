/* Any bytes as the text form of a graph: read, verified, printed, read again. */
#include "fuzz.h"
#include "graph/graph.h"

#include <string.h>

static const char *print(struct arena *arena, const struct graph *graph)
{
    struct text text = {.arena = arena};
    graph_print(&text, graph);
    return text_string(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *perm = arena_new("perm"), *module = arena_new("module");
    struct diags *diags = diags_new(perm);
    const char *bytes = arena_copy(perm, (const char *)data, size);
    struct graph *graph = graph_read(module, diags, source_add("fuzz.ir", "fuzz.ir", bytes, size));
    if ((graph == NULL) != (diag_errors(diags) > 0)) {
        abort();
    }
    if (graph && graph_verify(diags, graph)) {
        const char *once = print(module, graph);
        graph = graph_read(module, diags, source_add("printed", "printed", once, strlen(once)));
        if (!graph || strcmp(once, print(module, graph)) != 0) {
            diag_print(diags, stderr);
            fprintf(stderr, "%s\n-- read again:\n%s\n", once, graph ? print(module, graph) : "");
            abort();
        }
    }
    print_diags(diags);
    arena_free(module);
    arena_free(perm);
    source_forget_all();
    return 0;
}
