/* netc: the pipeline on one screen, then the commands.
 *
 *   .net text -> elaborate -> graph IR -> graph passes (graph/passes.def, in order) -> lower -> loop IR -> loop passes
 *   -> C (emit) -> clang (build)
 */
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lower/lower.h"
#include "netc.h"
#include "weights/weights.h"

/* The passes over loop IR, in the order in which they run. */
static const struct loop_pass loop_pass[] = {
    {"share_kernels", share_kernels},
    {"parallelise", parallelise},
    {"plan_buffers", plan_buffers},
};

const struct loop_pass *loop_pass_at(size_t i)
{
    return i < LENGTH(loop_pass) ? &loop_pass[i] : NULL;
}

/* A .net file; a file that ends in .ir is graph IR already. */
struct graph *elaborate(struct netc *n)
{
    size_t length = strlen(n->options.file);
    if (length > 3 && strcmp(n->options.file + length - 3, ".ir") == 0)
        return read_ir(n);
    return elaborate_file(n->perm, n->module, n->diags, &n->options.front);
}

struct graph *elaborate_with_weights(struct netc *n, struct weights **weights)
{
    struct graph *g = elaborate(n);
    const struct front_options *front = &n->options.front;
    struct weights_source source = {n->options.weights, n->options.checkpoint_key, n->options.rename, front->import_dir,
                                    front->n_import_dir};
    *weights = n->weights = g ? weights_open_as(n->perm, n->diags, &source) : NULL;
    if (!*weights)
        return NULL;
    if (!weights_check(*weights, n->diags, g)) {
        suggest_fitting(n, g);
        return NULL;
    }
    g->name = n->options.name ? n->options.name : g->name;
    return g;
}

/* From the optimised graph to the program, to the end of the pass called `after` (NULL: all). */
struct program *to_program(struct netc *n, struct graph *g, const char *after)
{
    struct program *p = lower(g, &n->context);
    for (size_t i = 0; i < p->n_kernel; i++)
        if (!kernel_verify(n->diags, p->kernel[i]))
            return NULL;
    for (size_t i = 0; i < LENGTH(loop_pass) && !(after && strcmp(after, "lower") == 0); i++) {
        if (!loop_pass[i].run(p, &n->context))
            return NULL;
        arena_reset(n->scratch);
        if (after && strcmp(after, loop_pass[i].name) == 0)
            return p;
    }
    return after || program_verify(n->diags, p) ? p : NULL;
}

struct program *compile(struct netc *n, struct graph *g)
{
    return run_passes(g, &n->context, NULL, NULL) ? to_program(n, g, NULL) : NULL;
}

static bool run_command(struct netc *n, struct text *out)
{
    if (n->options.tuned && !(n->context.tuned = open_tuned(n)))
        return false;
    switch (n->options.command) {
    case COMMAND_BUILD: return command_build(n);
    case COMMAND_PACK: return command_pack(n);
    case COMMAND_EXPORT: return command_export(n);
    case COMMAND_CHECK: return elaborate(n);
    case COMMAND_SHOW: return command_show(n, out);
    case COMMAND_RUN: return command_run(n);
    case COMMAND_TUNE: return command_tune(n, out);
    case COMMAND_SWEEP: return command_sweep(n, out);
    case COMMAND_COMPARE: return command_compare(n, out);
    case COMMAND_LIST: return command_list(n, out);
    case COMMAND_PASS: return command_pass(n, out);
    case COMMAND_LOOP: return command_loop(n, out);
    default: return false;
    }
}

/* A standard stream that is closed would be the next file that is opened, and diagnostics would be written into it. */
static void claim_descriptors(void)
{
    int descriptor;
    do
        descriptor = open("/dev/null", O_RDONLY);
    while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor >= 0)
        close(descriptor);
}

int main(int argc, char **argv)
{
    claim_descriptors();
    struct netc n = {.perm = arena_new("perm"), .module = arena_new("module"), .scratch = arena_new("scratch")};
    json_set_alloc_funcs(heap_alloc, heap_free);
    signal(SIGXFSZ, SIG_IGN); /* a limit of files is told like a full disk */
    n.diags = diags_new(n.perm);
    if (argc > 1 && strcmp(argv[1], "--complete") == 0)
        complete(n.perm, argv + 2, argc - 2);
    n.options = read_options(n.perm, argc, argv);
    n.context = (struct pass_context){.module = n.module,
                                      .scratch = n.scratch,
                                      .diags = n.diags,
                                      .target = n.options.target,
                                      .batch = n.options.front.batch,
                                      .winograd = n.options.winograd,
                                      .max_error = n.options.max_error};
    struct text out = {.arena = n.module};
    bool done = run_command(&n, &out);
    weights_close(n.weights);
    diag_print(n.diags, stderr);
    if (done && out.length && (fwrite(out.bytes, 1, out.length, stdout) != out.length || fflush(stdout) != 0)) {
        fprintf(stderr, "netc: error: standard output cannot be written\n");
        done = false;
    }
    arena_free(n.scratch);
    arena_free(n.module);
    arena_free(n.perm);
    return done ? EXIT_DONE : EXIT_INPUT;
}
