/* netc build: the program's C in parts, the packed weights, clang. */
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

static struct build_part emit_part(struct netc *n, const struct program *p, struct emit_options o, int part)
{
    struct text t = {.arena = n->module};
    o.part = part;
    emit_program(&t, p, &o);
    return (struct build_part){part ? arena_printf(n->module, ".kernels.%d", part) : "", text_string(&t), t.length};
}

bool command_build(struct netc *n)
{
    const struct options *o = &n->options;
    struct graph *g = elaborate(n);
    struct weights *w = g ? weights_open(n->perm, n->diags, o->weights) : NULL;
    if (!w || !weights_check(w, n->diags, g))
        return false;
    uint64_t digest = weights_digest(w, g);
    int64_t params = graph_params(g), macs = graph_macs(g);
    struct program *p = compile(n, g);
    if (!p)
        return false;
    char *blob = arena_alloc(n->module, (size_t)p->weights_bytes + 64);
    pack_weights(n->scratch, p, w, blob);
    int parts =
        o->parts > 1 && p->n_kernel > 1 ? (p->n_kernel < (size_t)o->parts ? (int)p->n_kernel : o->parts) + 1 : 1;
    struct emit_options e = {.options = o->described,
                             .parts = parts,
                             .digest = digest,
                             .params = params,
                             .macs = macs,
                             .weights_file = arena_printf(n->module, "%s.weights", p->graph->name)};
    if (parts > 1)
        e.kernel_part = spread_kernels(n, p, parts);
    struct build_part *part = NEW_ARRAY(n->module, struct build_part, parts);
    for (int i = 0; i < parts; i++)
        part[i] = emit_part(n, p, e, i);
    weights_close(w);
    struct build_job job = {.arena = n->scratch,
                            .name = p->graph->name,
                            .target = o->target,
                            .part = part,
                            .n_part = parts,
                            .weights = blob,
                            .weights_bytes = (size_t)p->weights_bytes,
                            .output = o->output ? o->output : p->graph->name,
                            .runtime_dir = data_folder(n->perm, "runtime"),
                            .keep_dir = o->keep,
                            .jobs = o->jobs};
    return o->emit_c ? emit_to_directory(n->diags, &job, o->emit_c) : build_executable(n->diags, &job);
}
