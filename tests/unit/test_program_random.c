/* Random graphs through the whole middle, on every target. Sizes are awkward on purpose; what networks do is made more often
 * than chance would: residual sums, gates, splits as in Res2Net, concatenations in all forms, pools of negative values.
 *
 * PROGRAM_SEEDS=first-last tries other seeds than the few that a test run can afford.
 */
#include "random_attention.h"

/* ---- convolutions, pools ---- */

static struct node *conv(struct maker *m, struct node *x, int64_t out, int kernel, int64_t groups)
{
    int64_t h = x->type.shape.dim[1], w = x->type.shape.dim[2], ic = x->type.shape.dim[0];
    struct attrs a = {.kernel = {kernel, kernel},
                      .stride = {1, 1},
                      .pad = {kernel / 2, kernel / 2},
                      .dilation = {1, 1},
                      .groups = groups,
                      .out = out};
    if (!below(m, 4)) {
        a.stride[0] = a.stride[1] = 1 + below(m, 3);
    }
    if (!below(m, 5)) {
        a.dilation[0] = a.dilation[1] = 1 + below(m, 3);
        a.pad[0] = a.pad[1] = a.dilation[0] * (kernel / 2);
    }
    if (!below(m, 8)) {
        a.pad[0] = below(m, 4);
        a.pad[1] = below(m, 4);
    }
    if (!below(m, 8)) {
        a.kernel[below(m, 2)] = 1 + below(m, 3);
    }
    bool fits = h + 2 * a.pad[0] >= a.dilation[0] * (a.kernel[0] - 1) + 1 &&
                w + 2 * a.pad[1] >= a.dilation[1] * (a.kernel[1] - 1) + 1;
    int64_t macs = (h / a.stride[0] + 1) * (w / a.stride[1] + 1) * out * ic / groups * a.kernel[0] * a.kernel[1];
    if (!fits || macs > m->budget) {
        return x;
    }
    m->budget -= macs;
    struct node *y = add(m, OP_conv, x, NULL, a);
    return m->exact || below(m, 3) ? y : add(m, OP_batch_norm, y, NULL, (struct attrs){.eps = 1e-5});
}

static int64_t channels(struct maker *m)
{
    static const int64_t some[] = {1, 3, 4, 5, 8, 12, 15, 16, 17, 20, 24, 26, 32, 33, 40, 48, 52};
    static const int64_t many[] = {48, 64, 72, 96, 104, 130, 160, 208};
    return m->wide ? PICK(m, many) : PICK(m, some);
}

static void add_conv(struct maker *m)
{
    static const int kernel[] = {1, 1, 3, 3, 3, 5, 7, 2};
    conv(m, any_map(m), channels(m), PICK(m, kernel), 1);
}

static void add_grouped(struct maker *m)
{
    struct node *x = any_map(m);
    int64_t c = x->type.shape.dim[0], groups = 1 + below(m, (uint32_t)c);
    static const int64_t times[] = {1, 1, 1, 2, 3, 4};
    while (c % groups) {
        groups--;
    }
    int64_t width = c / groups, out = width * PICK(m, times);
    if (!below(m, 6)) {
        out = 1 + below(m, 20);
    }
    conv(m, x, out * groups, below(m, 4) ? 3 : 1, groups);
}

static void add_pool(struct maker *m)
{
    struct node *x = any_map(m);
    bool max = m->exact || below(m, 2);
    struct attrs a = {.ceil = below(m, 2), .count_pad = !max && below(m, 2)};
    for (int d = 0; d < 2; d++) {
        int64_t most = x->type.shape.dim[1 + d];
        a.kernel[d] = 1 + below(m, most < 5 ? (uint32_t)most : 5);
        a.stride[d] = 1 + below(m, 3);
        a.pad[d] = below(m, (uint32_t)(a.kernel[d] / 2) + 1);
    }
    add(m, max ? OP_max_pool : OP_avg_pool, x, NULL, a);
}

/* ---- what networks do ---- */

static void add_residual(struct maker *m)
{
    struct node *x = any_map(m), *y = conv(m, x, x->type.shape.dim[0], below(m, 2) ? 3 : 1, 1);
    if (shape_equal(x->type.shape, y->type.shape)) {
        y = below(m, 2) ? plain(m, OP_add, y, x) : plain(m, OP_add, x, y);
        if (below(m, 3)) {
            plain(m, OP_relu, y, NULL);
        }
    }
}

static void add_pair(struct maker *m)
{
    static const enum op op[] = {OP_add, OP_add, OP_add, OP_sub, OP_mul};
    struct node *x = any_map(m), *y = like(m, x, true);
    enum op chosen = PICK(m, op);
    if (y && !(m->exact && chosen == OP_mul)) {
        plain(m, chosen, x, y);
    }
}

static void add_gate(struct maker *m)
{
    if (m->exact) {
        return;
    }
    struct node *x = any_map(m), *g = plain(m, OP_global_avg_pool, x, NULL);
    int64_t c = x->type.shape.dim[0];
    g = plain(m, OP_relu, conv(m, g, 1 + below(m, 9), 1, 1), NULL);
    g = conv(m, g, c, 1, 1);
    if (g->type.shape.dim[0] == c && g->type.shape.dim[1] * g->type.shape.dim[2] == 1) {
        plain(m, OP_mul, x, plain(m, OP_sigmoid, g, NULL));
    }
}

static struct node *slice(struct maker *m, struct node *x, int axis, int64_t start, int64_t size)
{
    return add(m, OP_slice, x, NULL, (struct attrs){.axis = axis, .start = start, .size = size});
}

static struct node *join(struct maker *m, struct node **part, int n)
{
    struct node *y = graph_add(m->graph, m->f.diags, OP_concat, part, n, &(struct attrs){0}, "", NULL, nowhere);
    cr_assert(y, "%s", fixture_report(&m->f));
    return y;
}

/* Res2Net: every part but the first is convolved, each with the one before added. */
static void add_split(struct maker *m)
{
    static const int64_t width[] = {5, 8, 9, 13, 16, 26};
    struct node *x = any_map(m), *part[8], *last = NULL;
    int64_t w = PICK(m, width), scale = 2 + below(m, 3);
    x = x->type.shape.dim[0] == w * scale ? x : conv(m, x, w * scale, 1, 1);
    if (x->type.shape.dim[0] != w * scale) {
        return;
    }
    for (int i = 0; i < scale; i++) {
        part[i] = slice(m, x, 0, i * w, w);
        if (i == scale - 1) {
            break;
        }
        struct node *y = last ? plain(m, OP_add, part[i], last) : part[i];
        last = conv(m, y, w, 3, 1);
        last = below(m, 2) ? plain(m, OP_relu, last, NULL) : last;
        if (!shape_equal(last->type.shape, part[i]->type.shape)) {
            return;
        }
        part[i] = last;
    }
    join(m, part, (int)scale);
}

static void add_concat(struct maker *m)
{
    struct node *part[4] = {any_map(m)};
    int n = 1 + (int)below(m, 4);
    for (int i = 1; i < n; i++) {
        part[i] = like(m, part[0], false);
        part[i] = part[i] ? part[i] : part[i - 1];
    }
    join(m, part, n);
}

static void add_slice(struct maker *m)
{
    struct node *x = any(m);
    if (!x->type.shape.rank) {
        return;
    }
    int axis = below(m, 4) ? 0 : (int)below(m, (uint32_t)x->type.shape.rank);
    int64_t size = x->type.shape.dim[axis], start = below(m, (uint32_t)size), unit = 1 + below(m, 17);
    if (below(m, 3) && size > unit) { /* whole units, so that it may be a view */
        start = below(m, (uint32_t)(size / unit)) * unit;
        slice(m, x, axis, start, unit * (1 + below(m, (uint32_t)((size - start) / unit))));
        return;
    }
    slice(m, x, axis, start, 1 + below(m, (uint32_t)(size - start)));
}

/* ---- any rank ---- */

static void add_broadcast(struct maker *m)
{
    static const enum op op[] = {OP_add, OP_sub, OP_mul, OP_div};
    struct node *x = any(m);
    struct shape s = x->type.shape;
    for (int i = 0; i < s.rank; i++) {
        s.dim[i] = below(m, 2) ? s.dim[i] : 1;
    }
    int drop = s.rank ? (int)below(m, (uint32_t)s.rank + 1) : 0;
    for (int i = 0; i < s.rank - drop; i++) {
        s.dim[i] = s.dim[i + drop];
    }
    s.rank -= drop;
    enum op chosen = PICK(m, op);
    if (shape_elements(s) > 500 || (m->exact && chosen == OP_div)) {
        return;
    }
    struct node *c = below(m, 3) ? constant(m, s) : add(m, OP_parameter, NULL, NULL, (struct attrs){.shape = s});
    bool swapped = below(m, 2) && chosen != OP_div;
    plain(m, c->op == OP_parameter && chosen == OP_div ? OP_mul : chosen, swapped ? c : x, swapped ? x : c);
}

static void add_permute(struct maker *m)
{
    struct node *x = any(m);
    struct attrs a = {.shape = {.rank = x->type.shape.rank}};
    for (int i = 0; i < a.shape.rank; i++) {
        int k = (int)below(m, (uint32_t)i + 1);
        a.shape.dim[i] = a.shape.dim[k];
        a.shape.dim[k] = i;
    }
    add(m, OP_permute, x, NULL, a);
}

static void add_reshape(struct maker *m)
{
    struct node *x = any(m);
    int64_t n = shape_elements(x->type.shape);
    struct attrs a = {.shape = {1, {n}}};
    for (int64_t f = 2; f <= 7 && below(m, 4); f++) {
        if (n % f == 0 && a.shape.rank < 4) {
            n /= f;
            a.shape.dim[a.shape.rank - 1] = f;
            a.shape.dim[a.shape.rank++] = n;
        }
    }
    add(m, OP_reshape, x, NULL, a);
}

static void add_reduction(struct maker *m)
{
    static const enum op op[] = {OP_softmax, OP_sum, OP_mean};
    struct node *x = any(m);
    if (x->type.shape.rank) {
        add(m, m->exact ? OP_sum : PICK(m, op), x, NULL,
            (struct attrs){.axis = below(m, (uint32_t)x->type.shape.rank)});
    }
}

static void add_linear(struct maker *m)
{
    struct node *x = any(m);
    if (x->type.shape.rank != 1) {
        if (x->type.shape.rank == 3 && !m->exact) {
            x = plain(m, OP_global_avg_pool, x, NULL);
        }
        x = add(m, OP_reshape, x, NULL, (struct attrs){.shape = {1, {shape_elements(x->type.shape)}}});
    }
    if (x->type.shape.dim[0] <= 600) {
        x = add(m, OP_linear, x, NULL, (struct attrs){.out = 1 + below(m, 40)});
        if (!m->exact && !below(m, 3)) {
            add(m, OP_batch_norm, x, NULL, (struct attrs){.eps = 1e-5});
        }
    }
}

static void add_activation(struct maker *m)
{
    static const enum op op[] = {OP_relu, OP_relu, OP_sigmoid, OP_silu};
    plain(m, m->exact ? OP_relu : PICK(m, op), any(m), NULL);
}

static void add_norm(struct maker *m)
{
    if (!m->exact) {
        add(m, OP_batch_norm, any_map(m), NULL, (struct attrs){.eps = 1e-5});
    }
}

/* ---- graphs ---- */

static void (*const map_step[])(struct maker *) = {
    add_conv,     add_conv,  add_conv, add_grouped, add_grouped, add_grouped,    add_grouped,   add_residual,
    add_residual, add_pair,  add_pair, add_gate,    add_split,   add_split,      add_concat,    add_concat,
    add_slice,    add_slice, add_pool, add_pool,    add_norm,    add_activation, add_activation};
static void (*const other_step[])(struct maker *) = {
    add_broadcast,     add_broadcast,   add_permute,    add_reshape,    add_reduction, add_linear,
    add_convolve,      add_conv1d,      add_matmul,     add_group_norm, add_pad,       add_pad,
    add_local_conv,    add_local_conv,  add_unfold,     add_upsample,   add_take,      add_attention,
    add_conv_any_rank, add_rows_linear, add_contextual, add_each_conv,  add_windows,   add_paths};

/* Maps alone stay large; every other graph has operators of any rank among them. */
static void add_step(struct maker *m, bool maps)
{
    if (shape_elements(any(m)->type.shape) < 6000) {
        (maps || below(m, 3) ? PICK(m, map_step) : PICK(m, other_step))(m);
    }
}

/* What nobody reads is a result, or else anything. */
static void add_outputs(struct maker *m, size_t most)
{
    struct graph *g = m->graph;
    for (size_t i = g->n_node; i-- > 0 && g->n_output < most;) {
        if (node_uses(g, g->node[i]) == 0) {
            fixture_output(&m->f, arena_printf(m->arena, "y%zu", g->n_output), g->node[i]);
        }
    }
    for (uint32_t i = 0, n = below(m, 3) + (g->n_output == 0); i < n; i++) {
        fixture_output(&m->f, arena_printf(m->arena, "y%zu", g->n_output), any(m));
    }
}

static const char *random_text(struct arena *arena, uint32_t seed, bool exact)
{
    static const int64_t side[] = {1, 2, 3, 4, 5, 7, 8, 11, 13, 17};
    struct maker m = {.arena = arena, .state = seed * 2654435761u + 12345, .exact = exact, .wide = seed % 8 == 7};
    m.budget = m.wide ? 400000 : 60000;
    m.f = (struct fixture){arena, diags_new(arena), graph_new(arena, "random", "random.net")};
    m.graph = m.f.graph;
    int64_t h = m.wide ? 1 + below(&m, 4) : PICK(&m, side), w = below(&m, 2) ? h : PICK(&m, side);
    int inputs = below(&m, 4) ? 1 : 2;
    for (int i = 0; i < inputs; i++) {
        bool maps = i == 0 || below(&m, 2); /* the second input may be a list of maps */
        int64_t c = channels(&m);
        fixture_input(&m.f, i ? "z" : "x", maps ? (struct shape){3, {c, h, w}} : (struct shape){4, {2, c, h, w}});
    }
    for (uint32_t i = 0, n = 3 + below(&m, 12); i < n; i++) {
        add_step(&m, seed % 2);
    }
    add_outputs(&m, 1 + below(&m, 5));
    cr_assert(graph_verify(m.f.diags, m.graph), "seed %u: %s", seed, fixture_report(&m.f));
    graph_remove_dead(m.graph);
    return fixture_text(&m.f, m.graph);
}

static void check_seed(uint32_t seed, bool exact)
{
    struct arena *arena = arena_new("case");
    const char *text = random_text(arena, seed, exact), *why = try_targets(arena, text, seed % 5 ? 1 : 2, exact);
    cr_expect(!why, "seed %u: %s\n%s", seed, why, text);
    arena_free(arena);
}

static void check_seeds(bool exact)
{
    uint32_t first = 0, last = 150;
    const char *wanted = getenv("PROGRAM_SEEDS");
    if (wanted) {
        sscanf(wanted, "%u-%u", &first, &last);
    }
    for (uint32_t seed = first; seed < last; seed++) {
        winograd_mode = seed % 2 ? WINOGRAD_ALWAYS : WINOGRAD_AUTO; /* the maps are small: it would rarely be met */
        check_seed(seed, exact);
    }
}

Test(program_random, integers)
{
    check_seeds(true);
}

Test(program_random, numbers)
{
    check_seeds(false);
}
