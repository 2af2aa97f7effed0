/* Winograd's convolution on every target: odd maps, paddings, channels that fill no block, groups, epilogues, several
 * kernels a node; F(2x2,3x3) exactly, on small integers, F(4x4,3x3) and F(2x2,3x3) within their stated errors.
 */
#include "graph/winograd.h"
#include "program_case.h"

struct conv_case {
    int ic, h, w, oc, py, px, groups;
    const char *more; /* a: add what was there before, r: relu */
};

/* input -> relu -> 3x3 (-> add the input) (-> relu) -> another convolution, which wants a border or not */
static const char *conv_text(struct arena *arena, const struct conv_case *c)
{
    struct fixture f = {.arena = arena, .diags = diags_new(arena), .graph = graph_new(arena, "conv", "conv.net")};
    struct node *x = fixture_relu(&f, fixture_input(&f, "x", (struct shape){3, {c->ic, c->h, c->w}}), "");
    struct attrs attrs = {.kernel = {3, 3},
                          .stride = {1, 1},
                          .pad = {c->py, c->px},
                          .dilation = {1, 1},
                          .groups = c->groups,
                          .out = c->oc};
    struct node *y = fixture_add(&f, OP_conv, x, NULL, attrs, "conv");
    cr_assert(y, "%s", fixture_report(&f));
    y = fixture_params(&f, y);
    if ((c->ic + c->h) % 2 == 0) {
        y->param[1] = graph_param(f.graph, "conv.bias", (struct shape){1, {c->oc}}, nowhere);
    }
    if (strchr(c->more, 'a')) {
        y = fixture_add(&f, OP_add, y, x, (struct attrs){0}, "");
        cr_assert(y, "%s", fixture_report(&f));
    }
    y = strchr(c->more, 'r') ? fixture_relu(&f, y, "") : y;
    fixture_output(&f, "y", y);
    fixture_output(&f, "next", fixture_conv(&f, y, "next", 3, (c->h + c->w) % 2 ? 3 : 1, 1, 1));
    return fixture_text(&f, f.graph);
}

static void check_all(const struct conv_case *c, size_t n, int batch)
{
    winograd_mode = WINOGRAD_ALWAYS;
    for (size_t i = 0; i < n; i++) {
        for (int exact = 0; exact < 2; exact++) {
            struct arena *arena = arena_new("case");
            const char *text = conv_text(arena, &c[i]), *why = try_targets(arena, text, batch, exact);
            cr_expect(!why, "%s\n%s", why, text);
            arena_free(arena);
        }
    }
}

Test(winograd, maps)
{
    static const struct conv_case c[] = {
        {16, 8, 8, 16, 1, 1, 1, "r"},  {5, 7, 7, 17, 1, 1, 1, "r"},   {33, 5, 9, 15, 1, 1, 1, ""},
        {26, 13, 6, 26, 1, 1, 1, "ar"}, {16, 14, 15, 32, 0, 0, 1, "r"}, {7, 3, 3, 6, 0, 0, 1, ""},
        {16, 4, 11, 48, 1, 0, 1, "r"}, {20, 10, 5, 20, 2, 2, 1, ""},   {6, 1, 1, 5, 1, 1, 1, "r"},
        {17, 2, 3, 34, 1, 1, 1, ""},   {16, 26, 4, 16, 1, 1, 1, "ra"},  {13, 6, 6, 80, 1, 1, 1, "r"},
    };
    check_all(c, LENGTH(c), 1);
}

Test(winograd, groups)
{
    static const struct conv_case c[] = {
        {32, 7, 7, 32, 1, 1, 2, "r"},  {64, 6, 5, 32, 1, 1, 4, ""},   {52, 5, 7, 52, 1, 1, 2, "ar"},
        {36, 9, 4, 36, 1, 1, 3, "r"}, {96, 4, 4, 192, 1, 1, 3, "r"}, {26, 6, 13, 38, 0, 0, 2, ""},
    };
    check_all(c, LENGTH(c), 1);
}

/* Weights beyond a share of the second-level cache: the input is transformed by a kernel of its own. */
Test(winograd, heavy)
{
    static const struct conv_case c[] = {
        {64, 7, 7, 112, 1, 1, 1, "r"}, {104, 5, 6, 104, 1, 1, 1, "a"}, {130, 3, 4, 136, 1, 1, 1, "r"}};
    check_all(c, LENGTH(c), 1);
}

Test(winograd, batch)
{
    static const struct conv_case c[] = {{26, 9, 7, 26, 1, 1, 1, "ar"}, {80, 6, 5, 112, 1, 1, 1, "r"}};
    check_all(c, LENGTH(c), 3);
}

/* ---- rounding ---- */

/* The largest error of a layer of `c` channels in, relative to its largest output; behind a relu, of inputs of one sign. */
static double error_of(int channels, int side, bool one_sign, int m, const char *seed)
{
    struct arena *arena = arena_new("error");
    struct fixture f = {.arena = arena, .diags = diags_new(arena), .graph = graph_new(arena, "error", "error.net")};
    struct node *x = fixture_input(&f, intern(seed), (struct shape){3, {channels, side, side}});
    x = one_sign ? fixture_relu(&f, x, "") : x;
    fixture_output(&f, "y", fixture_conv(&f, x, arena_printf(arena, "%s%d", seed, channels), 16, 3, 1, 1));
    struct trial t = {.arena = arena, .scratch = arena_new("scratch"), .diags = f.diags, .batch = 1};
    t.target = target_by_name("x86-64-v4");
    t.graph = f.graph;
    t.weights = weights_open(arena, t.diags, "synthetic");
    winograd_mode = m ? WINOGRAD_ALWAYS : WINOGRAD_OFF;
    error_allowed = m == 2 ? 3e-6 : 1;
    const char *why = make_expected(&t);
    why = why ? why : make_program(&t);
    why = why ? why : run_orders(&t);
    cr_assert(!why, "%s", why);
    int size = 0;
    for (size_t i = 0; i < t.graph->n_node; i++) {
        size = t.graph->node[i]->algorithm == ALGORITHM_winograd ? t.graph->node[i]->schedule.rows : size;
    }
    cr_assert_eq(size, m, "F(%d) was to be tried, F(%d) was chosen", m, size);
    double most = 0, off = 0;
    for (int64_t i = 0; i < shape_elements(t.graph->output[0].node->type.shape); i++) {
        most = fmax(most, fabs(t.expected[0][0][i]));
        off = fmax(off, fabs((double)t.output[0][i] - t.expected[0][0][i]));
    }
    arena_free(t.scratch);
    arena_free(arena);
    return off / most;
}

/* What --max-error is held against: what is measured stays below what winograd_error() says, and is of its size. */
Test(winograd, errors)
{
    static const int channels[] = {8, 52, 64, 256, 1024};
    for (int m = 0; m <= 4; m += 2) {
        double nearest = 0;
        for (size_t i = 0; i < LENGTH(channels); i++) {
            for (int one_sign = 0; one_sign < 2; one_sign++) {
                double stated = winograd_error(m, channels[i]);
                double e = error_of(channels[i], channels[i] > 64 ? 7 : 13, one_sign, m, "seed");
                cr_expect_lt(e, stated, "F(%d) of %d channels: %g, stated is %g", m, channels[i], e, stated);
                nearest = fmax(nearest, e / stated);
            }
        }
        cr_expect_gt(nearest, 0.25, "F(%d): the stated error is %g times the measured one", m, 1 / nearest);
    }
}
