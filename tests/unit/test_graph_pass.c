/* graph/pass.c and the passes that keep values: random graphs give the same outputs before and after, alone and in
 * turn.
 */
#include "graph_fixture.h"
#include "weights/weights.h"

#include <criterion/criterion.h>
#include <math.h>

static struct fixture f;
static struct arena *scratch;

static void set_up(void)
{
    f = fixture_new();
    scratch = arena_new("scratch");
}

static void tear_down(void)
{
    arena_free(scratch);
    fixture_free(&f);
}

TestSuite(graph_pass, .init = set_up, .fini = tear_down);

/* ---- random graphs ---- */

static uint32_t state;

static uint32_t below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return (state >> 8) % n;
}

static struct node *add(struct graph *g, enum op op, struct node *a, struct node *b, struct attrs attrs)
{
    struct node *in[] = {a, b};
    struct node *n = graph_add(g, f.diags, op, in,
                               b   ? 2
                               : a ? 1
                                   : 0,
                               &attrs, arena_printf(f.arena, "l%zu", g->n_node), NULL, nowhere);
    cr_assert(n, "%s", fixture_report(&f));
    const char *leaf;
    bool optional;
    struct shape shape;
    for (int k = 0; node_param(n, k, &leaf, &optional, &shape); k++) {
        if (!optional || below(2)) {
            n->param[k] = graph_param(g, intern_printf("%s.%s", n->path, leaf), shape, nowhere);
        }
    }
    return n;
}

static struct node *add_conv(struct graph *g, struct node *x, int64_t out, int64_t kernel)
{
    int64_t pad = kernel / 2;
    struct attrs a = {
        .kernel = {kernel, kernel}, .stride = {1, 1}, .pad = {pad, pad}, .dilation = {1, 1}, .groups = 1, .out = out};
    if (x->type.shape.dim[0] % 2 == 0 && out % 2 == 0 && below(2)) {
        a.groups = 2;
    }
    return add(g, OP_conv, x, NULL, a);
}

static struct node *add_norm(struct graph *g, struct node *x)
{
    return add(g, OP_batch_norm, x, NULL, (struct attrs){.eps = 1e-5});
}

static struct node *add_plain(struct graph *g, enum op op, struct node *a, struct node *b)
{
    return add(g, op, a, b, (struct attrs){0});
}

/* Squeeze and excitation: what a convolution must not absorb. */
static struct node *add_gate(struct graph *g, struct node *x)
{
    struct node *gate =
        add_plain(g, OP_sigmoid, add_conv(g, add_plain(g, OP_global_avg_pool, x, NULL), x->type.shape.dim[0], 1), NULL);
    return add_plain(g, OP_mul, x, gate);
}

static struct node *add_pool(struct graph *g, struct node *x)
{
    bool max = below(2);
    struct attrs a = {.kernel = {3, 3}, .stride = {1, 1}, .pad = {1, 1}, .count_pad = !max && below(2)};
    return add(g, max ? OP_max_pool : OP_avg_pool, x, NULL, a);
}

/* Of the values so far, a recent one: so that chains grow; now and then any. */
static struct node *pick(struct graph *g)
{
    size_t n = g->n_node;
    return g->node[below(4) ? n - 1 - below(n < 4 ? (uint32_t)n : 4) : below((uint32_t)n)];
}

static struct node *pick_like(struct graph *g, const struct node *x)
{
    for (int attempt = 0; attempt < 20; attempt++) {
        struct node *n = pick(g);
        if (shape_equal(n->type.shape, x->type.shape)) {
            return n;
        }
    }
    return NULL;
}

/* A fixed kernel behind a border, as a blur has it; the map keeps its size. */
static void add_blur(struct graph *g, struct node *x)
{
    int64_t channels = x->type.shape.dim[0], pad = below(2);
    struct attrs zeros = {
        .pad = {pad, pad}, .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .reflect = below(3) == 0};
    struct attrs kernel = {.shape = {2, {channels, 9}}}, window = {.kernel = {3, 3},
                                                                   .stride = {1, 1},
                                                                   .dilation = {1, 1},
                                                                   .pad = {1 - pad, 1 - pad},
                                                                   .groups = channels};
    x = add(g, OP_pad, x, NULL, zeros);
    if (below(4) == 0) {
        add(g, OP_avg_pool, x, NULL,
            (struct attrs){.kernel = {3, 3}, .stride = {1, 1}, .pad = {1 - pad, 1 - pad}, .count_pad = below(2)});
        return;
    }
    struct node *value = add(g, below(3) ? OP_constant : OP_parameter, NULL, NULL, kernel);
    double *number = NEW_ARRAY(f.arena, double, channels * 9);
    for (int64_t i = 0; i < channels * 9; i++) {
        number[i] = (double)below(7) / 4 - 0.5;
    }
    value->value = value->op == OP_constant ? number : NULL;
    value = add(g, OP_reshape, value, NULL, (struct attrs){.shape = {4, {channels, 1, 3, 3}}});
    add_plain(g, OP_relu, add(g, OP_convolve, x, value, window), NULL);
}

/* Two or three branches of slices or of one value, which meet in a concatenation or a sum; now and then one differs. */
static void add_branches(struct graph *g, struct node *x)
{
    struct node *end[3];
    int n = 2 + (int)below(2), odd = below(3) ? -1 : (int)below(2), sliced = below(2), normed = below(2),
        two = below(2);
    int summed = below(2), kernel = 1 + 2 * (int)below(2), bias = below(2);
    int64_t part = x->type.shape.dim[0] / n;
    if (sliced && part == 0) {
        return;
    }
    for (int i = 0; i < n; i++) {
        struct attrs piece = {.start = i * part, .size = part};
        struct attrs conv = {.kernel = {kernel, kernel},
                             .stride = {1, 1},
                             .pad = {kernel / 2, kernel / 2},
                             .dilation = {1, 1},
                             .groups = 1};
        conv.out = 1 + (i == odd && below(2));
        end[i] = sliced ? add(g, OP_slice, x, NULL, piece) : x;
        end[i] = add(g, OP_conv, end[i], NULL, conv);
        end[i]->param[1] = bias ? end[i]->param[1] : NULL;
        end[i] = normed ? add_norm(g, end[i]) : end[i];
        end[i] = i == odd && below(2) ? end[i] : add_plain(g, OP_relu, end[i], NULL);
        if (two || summed) {
            conv.out = 2 + (i == odd && below(2) && !summed);
            end[i] = add(g, OP_conv, end[i], NULL, conv);
        }
    }
    if (summed) {
        add_plain(g, OP_add, n == 3 ? add_plain(g, OP_add, end[0], end[1]) : end[0], end[n - 1]);
        return;
    }
    cr_assert(graph_add(g, f.diags, OP_concat, end, n, &(struct attrs){0}, "", "joined", nowhere), "%s",
              fixture_report(&f));
}

/* Windows laid open, times weights of each position; now and then nothing that channels c mod G share. */
static void add_local_conv(struct graph *g, struct node *x)
{
    int64_t channels = x->type.shape.dim[0], kernels = channels % 2 ? 1 : 2, columns = x->type.shape.dim[2];
    struct attrs window = {.kernel = {3, 1}, .stride = {1, 2}, .pad = {1, 0}, .dilation = {1, 1}};
    struct node *open = add(g, OP_unfold, x, NULL, window), *sum;
    struct shape s = open->type.shape;
    struct attrs shape = {.shape = {5, {channels / kernels, kernels, 3, s.dim[2], s.dim[3]}}};
    struct shape of[] = {{4, {kernels, 3, s.dim[2], s.dim[3]}},
                         {3, {3, s.dim[2], s.dim[3]}},
                         {3, {3, 1, 1}},
                         {5, {channels / kernels, 1, 3, s.dim[2], s.dim[3]}}};
    struct node *weights = add(g, OP_parameter, NULL, NULL, (struct attrs){.shape = of[below(columns > 1 ? 4 : 2)]});
    open = add(g, OP_reshape, open, NULL, shape);
    sum = below(2) ? add_plain(g, OP_mul, open, weights) : add_plain(g, OP_mul, weights, open);
    sum = add(g, OP_sum, sum, NULL, (struct attrs){.axis = 2});
    if (below(4)) {
        add(g, OP_reshape, sum, NULL, (struct attrs){.shape = {3, {channels, s.dim[2], s.dim[3]}}});
    }
}

/* Weights of a convolution and a group norm of a group a kernel; and paths with a softmax over them, see random_attention.h. */
static void add_contextual(struct graph *g, struct node *x)
{
    int64_t channels = x->type.shape.dim[0], kernels = channels % 2 ? 1 : 2;
    struct shape map = x->type.shape;
    struct attrs window = {.kernel = {3, 1}, .stride = {1, 1}, .pad = {1, 0}, .dilation = {1, 1}};
    struct attrs norm = {.groups = below(4) ? kernels : 3, .eps = 1e-5};
    struct node *weights = add(g, OP_group_norm, add_conv(g, x, kernels * 3, 1), NULL, norm);
    weights = add(g, OP_reshape, weights, NULL, (struct attrs){.shape = {4, {kernels, 3, map.dim[1], map.dim[2]}}});
    struct node *open = add(g, OP_unfold, x, NULL, window);
    struct attrs shape = {.shape = {5, {channels / kernels, kernels, 3, map.dim[1], map.dim[2]}}};
    open = add_plain(g, OP_mul, add(g, OP_reshape, open, NULL, shape), weights);
    open = add(g, OP_sum, open, NULL, (struct attrs){.axis = 2});
    open = add(g, OP_reshape, open, NULL, (struct attrs){.shape = map});
    if (below(2)) {
        add_plain(g, OP_silu, add_norm(g, open), NULL);
    }
}

static void add_paths(struct graph *g, struct node *x)
{
    int64_t c = x->type.shape.dim[0], axis = below(2);
    struct node *path[2] = {add_conv(g, x, c, 3), below(2) ? x : add_conv(g, x, c, 1)}, *out[2];
    struct node *gate = add_plain(g, OP_global_avg_pool, add_plain(g, OP_add, path[0], path[1]), NULL);
    struct attrs of = {.shape = {4, {axis ? c : 2, axis ? 2 : c, 1, 1}}}, one = {.shape = {3, {c, 1, 1}}};
    gate = add(g, OP_reshape, add_conv(g, gate, 2 * c, 1), NULL, of);
    gate = add(g, OP_softmax, gate, NULL, (struct attrs){.axis = axis});
    for (int i = 0; i < 2; i++) {
        struct node *part = add(g, OP_slice, gate, NULL, (struct attrs){.axis = axis, .start = i, .size = 1});
        out[i] = add_plain(g, OP_mul, path[i], add(g, OP_reshape, part, NULL, one));
    }
    add_plain(g, OP_add, out[0], out[1]);
}

static void add_step(struct graph *g)
{
    static const enum op activation[] = {OP_relu, OP_sigmoid, OP_silu}, pair[] = {OP_add, OP_add, OP_mul, OP_sub};
    struct node *x = pick(g), *other;
    int64_t channels = x->type.shape.dim[0];
    if (x->type.shape.rank != 3 || x->type.shape.dim[1] == 1) { /* kernels, a gate's inside: not continued */
        return;
    }
    switch (below(14)) {
    case 12: add_contextual(g, x); break;
    case 13: add_paths(g, x); break;
    case 10: add_branches(g, x); break;
    case 11: add_local_conv(g, x); break;
    case 0: add_conv(g, x, 2 + 2 * below(2), 1 + 2 * below(2)); break;
    case 1: add_norm(g, add_conv(g, x, below(4) ? channels : 3, 3)); break;
    case 2: add_norm(g, x); break;
    case 3:
    case 4: add_plain(g, activation[below(3)], x, NULL); break;
    case 5: add_gate(g, x); break;
    case 6: add_pool(g, x); break;
    case 7: add_blur(g, x); break;
    case 8:
        if ((other = pick_like(g, x))) {
            add_plain(g, pair[below(4)], x, other);
        }
        break;
    default:
        if (channels == 1) {
            return;
        }
        x = add(g, OP_slice, x, NULL, (struct attrs){.start = below(2), .size = channels - 1});
        add(g, OP_concat, x, pick_like(g, x), (struct attrs){0});
    }
}

static struct graph *random_graph(uint32_t seed)
{
    state = seed * 2654435761u + 1;
    struct graph *g = graph_new(f.arena, "random", "random.net");
    struct attrs attrs = {.shape = {3, {4, 3, 5}}};
    struct graph_input input = {.node = graph_add(g, f.diags, OP_input, NULL, 0, &attrs, "", "x", nowhere)};
    PUSH(f.arena, g->input, g->n_input, g->cap_input, input);
    for (int i = 0; i < 14; i++) {
        add_step(g);
    }
    for (int i = 0; i < 3; i++) {
        struct graph_output output = {.name = intern_printf("y%d", i),
                                      .node = i == 0 ? g->node[g->n_node - 1] : pick(g)};
        PUSH(f.arena, g->output, g->n_output, g->cap_output, output);
    }
    cr_assert(graph_verify(f.diags, g), "seed %u: %s", seed, fixture_report(&f));
    return g;
}

/* ---- the same outputs ---- */

/* With synthetic weights and inputs. */
static const double **outputs_of(const struct graph *g)
{
    const double **input = NEW_ARRAY(f.arena, const double *, g->n_input + 1);
    for (size_t i = 0; i < g->n_input; i++) {
        int64_t n = shape_elements(g->input[i].node->type.shape);
        double *x = NEW_ARRAY(f.arena, double, n);
        synthetic_input(g->input[i].node->name, n, x);
        input[i] = x;
    }
    double **value = graph_eval(f.arena, f.diags, g, weights_open(f.arena, f.diags, "synthetic"), input);
    cr_assert(value, "%s", fixture_report(&f));
    const double **out = NEW_ARRAY(f.arena, const double *, g->n_output);
    for (size_t i = 0; i < g->n_output; i++) {
        out[i] = value[g->output[i].node->id];
    }
    return out;
}

/* Relative to the largest of the output, since sums that cancel keep the error of what was summed. */
static void assert_same(const struct graph *g, const double **before, const char *pass, uint32_t seed)
{
    const double **after = outputs_of(g);
    for (size_t i = 0; i < g->n_output; i++) {
        int64_t n = shape_elements(g->output[i].node->type.shape);
        double most = 0, off = 0;
        for (int64_t k = 0; k < n; k++) {
            most = fmax(most, fabs(before[i][k]));
            off = fmax(off, fabs(before[i][k] - after[i][k]));
        }
        cr_assert(off <= 1e-12 * most, "%s, seed %u, output %zu: off by %g of %g\n%s", pass, seed, i, off, most,
                  fixture_text(&f, g));
    }
}

static struct pass_context context(void)
{
    return (struct pass_context){.module = f.arena, .scratch = scratch, .diags = f.diags, .batch = 1, .threads = 1};
}

static void check_pass(struct graph *g, const char *name, uint32_t seed)
{
    struct pass_context c = context();
    const double **before = outputs_of(g);
    cr_assert(run_pass(pass_by_name(name), g, &c), "%s, seed %u: %s", name, seed, fixture_report(&f));
    assert_same(g, before, name, seed);
}

static int count_op(const struct graph *g, enum op op)
{
    int n = 0;
    for (size_t i = 0; i < g->n_node; i++) {
        n += g->node[i]->op == op;
    }
    return n;
}

static const char *text_in(const void *list, int i)
{
    return ((const char *const *)list)[i];
}

enum { SEEDS = 120 };

Test(graph_pass, each_alone_keeps_values)
{
    static const char *const names[] = {"bind_kernels",    "absorb_pads",  "find_local_conv",  "merge_branches",
                                        "fold_batch_norm", "share_common", "arrange_weights",  "fuse_epilogues",
                                        "drop_dead",       "merge_sums",   "split_group_norm", "find_each_conv",
                                        "find_windows"};
    for (size_t k = 0; k < LENGTH(names); k++) {
        for (uint32_t seed = 0; seed < SEEDS; seed++) {
            check_pass(random_graph(seed), names[k], seed);
        }
    }
}

Test(graph_pass, all_in_turn_keep_values_and_the_text_form)
{
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        struct graph *g = random_graph(seed);
        struct pass_context c = context();
        const double **before = outputs_of(g);
        cr_assert(run_passes(g, &c, "drop_dead", NULL), "seed %u: %s", seed, fixture_report(&f));
        assert_same(g, before, "all", seed);
        cr_assert_eq(count_op(g, OP_batch_norm), 0);
        const char *text = fixture_text(&f, g);
        assert_same(fixture_read(&f, text), before, "all, printed and read", seed);
    }
}

Test(graph_pass, a_second_run_changes_nothing)
{
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        struct graph *g = random_graph(seed);
        struct pass_context c = context();
        for (int i = 0; pass_at(i) && strcmp(pass_at(i)->name, "choose_algorithm") != 0; i++) {
            cr_assert(run_pass(pass_at(i), g, &c), "%s", fixture_report(&f));
            const char *once = fixture_text(&f, g);
            cr_assert(run_pass(pass_at(i), g, &c), "%s", fixture_report(&f));
            cr_assert_str_eq(fixture_text(&f, g), once, "%s, seed %u", pass_at(i)->name, seed);
        }
    }
}

Test(graph_pass, branches_are_merged_often_and_it_is_noted)
{
    int merged = 0, noted = 0;
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        struct graph *g = random_graph(seed);
        struct pass_context c = context();
        struct text notes = {.arena = f.arena};
        int before = count_op(g, OP_conv);
        c.notes = &notes;
        cr_assert(run_pass(pass_by_name("drop_dead"), g, &c) && (before = count_op(g, OP_conv)) >= 0);
        cr_assert(run_pass(pass_by_name("merge_branches"), g, &c), "%s", fixture_report(&f));
        merged += count_op(g, OP_conv) < before;
        noted += notes.length > 0;
        cr_assert_eq(count_op(g, OP_conv) < before, notes.length > 0, "seed %u", seed);
    }
    cr_assert(merged >= SEEDS / 20 && noted == merged, "%d of %d", merged, SEEDS);
}

Test(graph_pass, local_convolutions_are_found)
{
    int found = 0;
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        struct graph *g = random_graph(seed);
        struct pass_context c = context();
        int64_t macs = graph_macs(g);
        cr_assert(run_pass(pass_by_name("drop_dead"), g, &c) && graph_macs(g) <= macs, "%s", fixture_report(&f));
        macs = graph_macs(g);
        cr_assert(run_pass(pass_by_name("find_local_conv"), g, &c), "%s", fixture_report(&f));
        found += count_op(g, OP_local_conv);
        cr_assert_eq(graph_macs(g), macs, "they count before they are found, too: seed %u", seed);
    }
    cr_assert(found > SEEDS / 20, "%d in %d", found, SEEDS);
}

Test(graph_pass, names_that_count_from_0_lose_the_number)
{
    const char *const regular[] = {"a.0.conv.weight", "a.1.conv.weight", "a.2.conv.weight"};
    const char *const late[] = {"a.1.b", "a.2.b"}, *const two[] = {"0.x.0.w", "0.x.1.w"},
                      *const same[] = {"a.b", "a.b"};
    const char *const tenth[] = {"c.0", "c.1", "c.2", "c.3", "c.4", "c.5", "c.6", "c.7", "c.8", "c.9", "c.10"};
    const char *const alone[] = {"0", "1"}, *const front[] = {"0.w", "1.w"}, *const more[] = {"a.0.b", "a.1.bc"};
    cr_assert_str_eq(joined_name(regular, 3, text_in), "a.conv.weight");
    cr_assert_str_eq(joined_name(two, 2, text_in), "0.x.w");
    cr_assert_str_eq(joined_name(tenth, 11, text_in), "c");
    cr_assert_str_eq(joined_name(front, 2, text_in), "w");
    cr_assert_null(joined_name(late, 2, text_in));
    cr_assert_null(joined_name(same, 2, text_in));
    cr_assert_null(joined_name(alone, 2, text_in));
    cr_assert_null(joined_name(more, 2, text_in));
}

/* ---- the table and the watcher ---- */

Test(graph_pass, a_pass_needs_only_earlier_ones)
{
    for (int i = 0; pass_at(i); i++) {
        bool met = !*pass_at(i)->needs;
        for (int k = 0; k < i; k++) {
            met = met || strcmp(pass_at(k)->name, pass_at(i)->needs) == 0;
        }
        cr_assert(met, "%s needs %s", pass_at(i)->name, pass_at(i)->needs);
        cr_assert_eq(pass_by_name(pass_at(i)->name), pass_at(i));
    }
    cr_assert_null(pass_by_name("fold"));
}

static void take_note(void *data, const struct pass *pass, const char *text)
{
    text_add(data, "%s%s;", pass->name, strcmp(text, "(unchanged)") == 0 ? " (unchanged)" : "");
}

Test(graph_pass, the_watcher_sees_each_pass_up_to_the_last)
{
    static const char text[] = "graph t\ninput %x f32[1,2,2]\n%a f32[1,2,2] = relu %x\n%b f32[1,2,2] = relu %x\n%y "
                               "f32[1,2,2] = add %a, %b\noutput y = %y\n";
    struct text notes = {.arena = f.arena};
    struct pass_watcher watcher = {take_note, &notes};
    struct pass_context c = context();
    cr_assert(run_passes(fixture_read(&f, text), &c, "share_common", &watcher), "%s", fixture_report(&f));
    cr_assert_str_eq(
        text_string(&notes),
        "bind_kernels (unchanged);absorb_pads (unchanged);find_local_conv (unchanged);find_each_conv (unchanged);"
        "find_windows (unchanged);merge_branches (unchanged);"
        "fold_batch_norm (unchanged);share_common;");
    cr_assert(run_passes(fixture_read(&f, text), &c, "", &watcher), "%s", fixture_report(&f));
    cr_assert_str_eq(
        text_string(&notes),
        "bind_kernels (unchanged);absorb_pads (unchanged);find_local_conv (unchanged);find_each_conv (unchanged);"
        "find_windows (unchanged);merge_branches (unchanged);"
        "fold_batch_norm (unchanged);share_common;");
}

static bool break_order(struct graph *g, struct pass_context *c)
{
    (void)c;
    struct node *first = g->node[1];
    g->node[1] = g->node[2];
    g->node[2] = first;
    return true;
}

Test(graph_pass, a_pass_that_breaks_the_graph_is_named)
{
    struct graph *g = fixture_read(&f, "graph t\ninput %x f32[1,2,2]\n%a f32[1,2,2] = relu %x\n"
                                       "%y f32[1,2,2] = sigmoid %a\noutput y = %y\n");
    struct pass_context c = context();
    cr_assert_not(run_pass(&(struct pass){"break_order", "", "", break_order}, g, &c));
    const char *report = fixture_report(&f);
    cr_assert(strstr(report, "[graph_order]") && strstr(report, "break_order") && strstr(report, "[pass_verify]"), "%s",
              report);
}

/* ---- what the files of tests/pass do not show ---- */

Test(graph_pass, outputs_and_origin_follow_what_replaces_them)
{
    struct graph *g = fixture_read(
        &f, "graph t\nparam @c.weight f32[2,2,1,1]\ninput %x f32[2,3,3]\n%c f32[2,3,3] = conv %x, @c.weight {k 1x1}\n"
            "%s f32[2,3,3] = add %c, %x\n%r f32[2,3,3] = relu %s\noutput y = %r\n");
    struct node *conv = graph_find_node(g, "c");
    struct origin origin = conv->origin;
    struct pass_context c = context();
    cr_assert(run_pass(pass_by_name("fuse_epilogues"), g, &c), "%s", fixture_report(&f));
    cr_assert(g->output[0].node == conv && conv->n_epilogue == 2 && g->n_node == 2);
    cr_assert(memcmp(&origin, &conv->origin, sizeof origin) == 0);
}
