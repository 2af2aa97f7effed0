/* Small graphs of what networks do and of what is easily done wrong, through the whole middle on every target: those of
 * tests/unit/programs, where the comment above each says what it is about. Where all operators keep small integers, the
 * results are equal to the last bit.
 */
#include "program_case.h"

static bool is_integral(const struct node *n)
{
    for (int64_t i = 0; n->value && i < shape_elements(n->type.shape); i++) {
        if (n->value[i] != (double)(int)n->value[i]) {
            return false;
        }
    }
    switch (n->op) {
    case OP_sigmoid:
    case OP_silu:
    case OP_div:
    case OP_avg_pool:
    case OP_global_avg_pool:
    case OP_batch_norm:
    case OP_softmax:
    case OP_mean:
    case OP_group_norm: return false;
    case OP_upsample: return !n->attrs.bilinear;
    default: return true;
    }
}

static bool keeps_integers(struct arena *arena, const char *text)
{
    struct fixture f = {.arena = arena, .diags = diags_new(arena)};
    struct graph *g = fixture_read(&f, text);
    for (size_t i = 0; g && i < g->n_node; i++) {
        if (!is_integral(g->node[i])) {
            return false;
        }
    }
    return true;
}

static void check_graph(struct arena *arena, const char *text)
{
    bool exact = keeps_integers(arena, text);
    for (int batch = 1; batch <= 2; batch++) {
        const char *why = try_targets(arena, text, batch, exact);
        cr_expect(!why, "%s\n%s", why, text);
    }
}

/* Graphs of one file, an empty line between two. */
static void check_file(const char *name)
{
    struct arena *arena = arena_new("cases");
    const char *why, *path = arena_printf(arena, "tests/unit/programs/%s.ir", name);
    size_t length;
    const char *next = file_read(arena, path, 1 << 20, &length, &why);
    cr_assert(next, "%s: %s", path, why);
    while (next) {
        const char *end = strstr(next, "\n\n");
        check_graph(arena, end ? arena_copy(arena, next, (size_t)(end + 1 - next)) : next);
        next = end ? end + 2 : NULL;
    }
    arena_free(arena);
}

Test(program, sums)
{
    check_file("sums");
}

Test(program, gates)
{
    check_file("gates");
}

Test(program, splits)
{
    check_file("splits");
}

Test(program, concatenations)
{
    check_file("concatenations");
}

Test(program, results)
{
    check_file("results");
}

Test(program, pools)
{
    check_file("pools");
}

/* Readers of one value that want it to lie differently. */
Test(program, layouts)
{
    check_file("layouts");
}

Test(program, attention)
{
    check_file("attention");
}

Test(program, local_convolutions)
{
    check_file("local_convolutions");
}

/* Weights that would be too large in the order of lanes stay as they are, and are read element by element. */
Test(program, local_convolutions_as_they_were_written)
{
    left_out = "arrange_weights";
    check_file("local_convolutions");
    left_out = "find_local_conv";
    check_file("local_convolutions");
}

Test(program, other_ranks)
{
    check_file("other_ranks");
}
