/* Any bytes as a file of tuned schedules. And any schedule that is read, for a layer of every kind on every target: where
 * schedule_fault() has nothing against it, the lowering must take it, and give a kernel that the verifier has nothing against. The
 * first two bytes of a line's layer say which target and which layer it is tried on. */
#include "front/front.h"
#include "fuzz.h"
#include "tune/tune.h"

#include <string.h>

struct variant {
    const struct target *target;
    struct program *program;
    struct node *node[64]; /* that have schedules */
    size_t n;
};

static struct variant compiled(int number)
{
    struct arena *kept = arena_new("kept"), *scratch = arena_new("scratch");
    static const char *const folder[] = {"netdefs"};
    struct diags *diags = diags_new(kept);
    struct front_options options = {
        .file = "tests/unit/schedules.net", .import_dir = folder, .n_import_dir = 1, .batch = 1};
    struct variant v = {.target = target_at(number / 2)};
    struct pass_context c = {.module = kept,
                             .scratch = scratch,
                             .diags = diags,
                             .target = v.target,
                             .batch = 1,
                             .winograd = number % 2 ? WINOGRAD_ALWAYS : WINOGRAD_OFF};
    struct graph *g = elaborate_file(kept, kept, diags, &options);
    if (!g || !run_passes(g, &c, NULL, NULL)) {
        abort();
    }
    v.program = lower(g, &c);
    arena_free(scratch);
    for (size_t i = 0; i < g->n_node && v.n < LENGTH(v.node); i++) {
        if (schedule_is_tuned(g->node[i]->algorithm)) {
            v.node[v.n++] = g->node[i];
        }
    }
    return v;
}

static void try_line(const struct variant *v, struct node *n, const struct tuned_line *line)
{
    struct arena *arena = arena_new("kernels");
    struct diags *diags = diags_new(arena);
    struct schedule own = n->schedule;
    if (line->algorithm == n->algorithm && !schedule_fault(arena, n, v->target, &line->schedule)) {
        struct program p = *v->program;
        p.arena = arena;
        p.kernel = NULL, p.pack = NULL, p.memory = NULL;
        p.n_kernel = p.cap_kernel = p.n_pack = p.cap_pack = p.n_memory = p.cap_memory = 0;
        n->schedule = line->schedule;
        for (const struct stage *s = lower_node(&p, n, v->target); s; s = s->next) {
            if (!kernel_verify(diags, s->call->kernel)) {
                diag_print(diags, stderr);
                fprintf(stderr, "%s %s\n", n->name, schedule_words(arena, n, &n->schedule));
                abort();
            }
        }
        n->schedule = own;
    }
    arena_free(arena);
}

static bool read_tuned(struct arena *perm, struct diags *diags, const char *path)
{
    static struct variant variant[8];
    struct tuned *t = tuned_read(perm, diags, path);
    for (size_t i = 0; t && i < t->n && i < 8; i++) {
        const unsigned char *which = (const unsigned char *)t->line[i].signature;
        struct variant *v = &variant[which[0] % LENGTH(variant)];
        if (!v->target) {
            *v = compiled(which[0] % (int)LENGTH(variant));
        }
        try_line(v, v->node[(which[0] ? which[1] : 0) % v->n], &t->line[i]);
    }
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_reader *const reader[] = {read_tuned};
    fuzz_file(reader, LENGTH(reader), data, size);
    return 0;
}
