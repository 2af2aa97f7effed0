/* netc build: a program for each target, its C in parts, the packed weights, clang. */
#include <string.h>

#include "build.h"
#include "emit/emit.h"
#include "netc.h"
#include "weights/weights.h"

/* Spreads kernels over files by the length of their text, the longest first. */
static const int *spread_kernels(struct netc *n, const struct program *p, int parts)
{
    int *part = NEW_ARRAY(n->module, int, p->n_kernel + 1);
    size_t *load = NEW_ARRAY(n->module, size_t, parts + 1), *length = NEW_ARRAY(n->module, size_t, p->n_kernel + 1);
    for (size_t i = 0; i < p->n_kernel; i++) {
        struct text t = {.arena = n->module};
        kernel_print(&t, p->kernel[i]);
        length[i] = t.length;
    }
    for (size_t done = 0; done < p->n_kernel; done++) {
        size_t longest = 0;
        for (size_t i = 1; i < p->n_kernel; i++)
            if (length[i] > length[longest])
                longest = i;
        int least = 1;
        for (int k = 2; k < parts; k++)
            if (load[k] < load[least])
                least = k;
        part[longest] = least;
        load[least] += length[longest] + 1;
        length[longest] = 0; /* no text is empty: what has a part is never the longest again */
    }
    return part;
}

/* ---- one program for each target ---- */

/* The optimised graph is made for one target; the others start from a copy of the elaborated one, made by its text form. */
static struct graph *copy_graph(struct netc *n, const struct graph *g)
{
    struct text t = {.arena = n->module};
    graph_print(&t, g);
    struct graph *copy = graph_read(n->module, n->diags, source_add(g->file, g->file, text_string(&t), t.length));
    if (copy) {
        copy->file = g->file;
        copy->name = g->name;
    }
    return copy;
}

/* Algorithm and layout depend on shapes alone, so all targets read one blob. */
static bool same_packing(struct netc *n, const struct program *a, const struct program *b)
{
    bool same = a->n_pack == b->n_pack && a->weights_bytes == b->weights_bytes;
    for (size_t i = 0; same && i < a->n_pack; i++)
        same = strcmp(packing_line(n->module, &a->pack[i]), packing_line(n->module, &b->pack[i])) == 0;
    return same;
}

static int compile_variants(struct netc *n, struct graph *g, struct program **p)
{
    const struct options *o = &n->options;
    struct graph *graph[MOST_VARIANTS] = {g};
    int count = 1;
    for (int i = 1; o->set && o->set->member[i]; i++)
        graph[count++] = copy_graph(n, g);
    for (int i = 0; i < count; i++) {
        n->context.target = o->set ? target_by_name(o->set->member[i]) : o->target;
        p[i] = graph[i] ? compile(n, graph[i]) : NULL;
        if (!p[i])
            return 0;
        if (i > 0 && !same_packing(n, p[0], p[i])) {
            diag_error(n->diags, CHECK_pass_verify, (struct origin){0},
                       "the weights are packed differently for %s and %s", p[0]->target->name, p[i]->target->name);
            return 0;
        }
    }
    return count;
}

/* ---- the files ---- */

struct files {
    struct build_file *file;
    size_t n, capacity;
};

static void add_file(struct netc *n, struct files *files, const char *suffix, struct text *t, int compiled,
                     const struct target *target)
{
    struct build_file file = {suffix, text_string(t), t->length, compiled, target ? target->flags : ""};
    PUSH(n->module, files->file, files->n, files->capacity, file);
}

/* NAME.c or NAME.ISA.c with its kernels, and what a program has beyond it. */
static void add_variant(struct netc *n, struct files *files, const struct program *p, struct emit_options e)
{
    const char *infix = e.variant ? arena_printf(n->module, ".%s", p->target->isa) : "";
    e.kernel_part = e.parts > 1 ? spread_kernels(n, p, e.parts) : NULL;
    for (int i = 0; i < e.parts; i++) {
        struct text t = {.arena = n->module};
        emit_network(&t, p, &e, i);
        add_file(n, files,
                 i ? arena_printf(n->module, "%s.kernels.%d.c", infix, i) : arena_printf(n->module, "%s.c", infix), &t,
                 COMPILED_IN_LIBRARY | (i ? COMPILED_IN_PROGRAM : 0), p->target);
    }
    if (e.variant) {
        struct text t = {.arena = n->module};
        emit_variant_program(&t, p, &e);
        add_file(n, files, arena_printf(n->module, "%s.program.c", infix), &t, COMPILED_IN_PROGRAM, p->target);
    }
}

static struct files generate(struct netc *n, const struct program *const *p, int count, const struct emit_options *e)
{
    struct files files = {0};
    struct text header = {.arena = n->module}, program = {.arena = n->module}, api = {.arena = n->module};
    emit_header(&header, p, count, e);
    add_file(n, &files, ".h", &header, 0, NULL);
    for (int i = 0; i < count; i++)
        add_variant(n, &files, p[i], *e);
    if (e->variant) {
        emit_variants(&api, p, count, e);
        add_file(n, &files, ".c", &api, COMPILED_IN_LIBRARY, NULL);
    }
    emit_program(&program, p, count, e);
    add_file(n, &files, ".program.c", &program, COMPILED_IN_PROGRAM, e->variant ? NULL : p[0]->target);
    return files;
}

bool command_build(struct netc *n)
{
    const struct options *o = &n->options;
    struct weights *w;
    struct graph *g = elaborate_with_weights(n, &w);
    if (!g)
        return false;
    if (!output_name_is_valid(g->name)) {
        diag_error_file(n->diags, CHECK_build_name, o->file,
                        "'%s', the network's name, cannot be part of names of C: --name=NAME gives another", g->name);
        return false;
    }
    struct emit_options e = {.options = o->described,
                             .target = o->set ? o->set->name : o->target->name,
                             .variant = o->set,
                             .linked = !o->weights_file,
                             .digest = weights_digest(w, g),
                             .params = graph_params(g),
                             .macs = graph_macs(g)};
    struct program *p[MOST_VARIANTS];
    int count = compile_variants(n, g, p);
    if (!count)
        return false;
    struct weights_file packed = {.path = o->weights_file};
    struct packed_about about = {.digest = e.digest, .options = o->described};
    if (!pack_file(n, p[0], w, &about, &packed))
        return false;
    weights_close(w);
    size_t kernels = p[0]->n_kernel;
    for (int i = 1; i < count; i++)
        kernels = p[i]->n_kernel < kernels ? p[i]->n_kernel : kernels;
    e.parts = o->parts > 1 && kernels > 1 ? (kernels < (size_t)o->parts ? (int)kernels : o->parts) + 1 : 1;
    struct files files = generate(n, (const struct program *const *)p, count, &e);
    struct text readme = {.arena = n->module};
    if (o->kind == BUILD_SOURCE)
        emit_readme(&readme, (const struct program *const *)p, count, &e);
    bool in_folder = o->kind == BUILD_STATIC || o->kind == BUILD_SHARED;
    struct build_job job = {.arena = n->scratch,
                            .name = g->name,
                            .kind = o->kind,
                            .file = files.file,
                            .n_file = (int)files.n,
                            .weights = e.linked ? packed.blob : NULL,
                            .weights_bytes = packed.blob_bytes,
                            .weights_file = e.linked ? NULL : &packed,
                            .description = arena_printf(n->module, "%s for %s, compiled by netc", g->name, e.target),
                            .readme = text_string(&readme),
                            .output = o->output   ? o->output
                                      : in_folder ? "."
                                                  : g->name,
                            .runtime_dir = data_folder(n->perm, "runtime"),
                            .arch = target_foreign_arch(o->target),
                            .sysroot = o->sysroot,
                            .keep_dir = o->keep,
                            .jobs = o->jobs};
    if (o->emit_c)
        return emit_to_directory(n->diags, &job, o->emit_c);
    return o->kind == BUILD_SOURCE ? build_source(n->diags, &job) : build_output(n->diags, &job);
}
