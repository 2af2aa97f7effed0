/* Runs the graph passes of passes.def, and the verifier after each.
 *
 * What would surprise: a pass that leaves a broken graph is reported as a diagnostic like a fault of the input, since
 * the diagnostics of the verifier say what is broken; but it is a defect of netc, and [pass_verify] says so.
 */
#include "graph/graph.h"

#include <stdarg.h>
#include <string.h>

static const struct pass passes[] = {
#define PASS(name, needs, keeps) {#name, needs, keeps, name},
#include "graph/passes.def"
#undef PASS
};

const struct pass *pass_at(int i)
{
    return i >= 0 && (size_t)i < LENGTH(passes) ? &passes[i] : NULL;
}

const struct pass *pass_by_name(const char *name)
{
    for (size_t i = 0; i < LENGTH(passes); i++) {
        if (strcmp(passes[i].name, name) == 0) {
            return &passes[i];
        }
    }
    return NULL;
}

bool run_pass(const struct pass *pass, struct graph *g, struct pass_context *context)
{
    bool fine = pass->run(g, context);
    if (fine && !graph_verify(context->diags, g)) {
        diag_error_file(context->diags, CHECK_pass_verify, g->file,
                        "this is a defect of netc: the pass %s broke the graph of %s", pass->name, g->name);
        fine = false;
    }
    arena_reset(context->scratch);
    return fine;
}

void pass_note(struct pass_context *context, const char *format, ...)
{
    if (context->notes) {
        va_list arguments;
        va_start(arguments, format);
        text_add_v(context->notes, format, arguments);
        va_end(arguments);
        text_put(context->notes, "\n", 1);
    }
}

/* Texts are compared across passes, so they live in an arena of their own. */
static const char *graph_as_text(struct arena *arena, const struct graph *g)
{
    struct text text = {.arena = arena};
    graph_print(&text, g);
    return text_string(&text);
}

bool run_passes(struct graph *g, struct pass_context *context, const char *stop_after,
                const struct pass_watcher *watcher)
{
    struct arena *texts = watcher ? arena_new("texts") : NULL;
    const char *before = watcher ? graph_as_text(texts, g) : NULL;
    bool fine = true;
    for (size_t i = 0; i < LENGTH(passes) && fine && !(stop_after && !*stop_after); i++) {
        fine = run_pass(&passes[i], g, context);
        if (fine && watcher) {
            const char *after = graph_as_text(texts, g);
            watcher->after(watcher->data, &passes[i], strcmp(before, after) == 0 ? "(unchanged)" : after);
            before = after;
        }
        if (stop_after && strcmp(stop_after, passes[i].name) == 0) {
            break;
        }
    }
    arena_free(texts);
    return fine;
}
