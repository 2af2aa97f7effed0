/* Convolutions, one by one, on every target: sizes that are no multiple of anything, with small integers, so that results
 * are equal to the last bit. Each stands between a map and a second reader, so that borders and pad lanes come from a
 * producer and go to a consumer.
 */
#include "program_case.h"

struct conv_case {
    int ic, h, w, oc, kh, kw, sy, sx, py, px, dy, dx, groups;
};

/* input -> relu -> the convolution -> relu -> another convolution, which wants a border or not; both are results. Of pixels,
 * where the input has few channels and the first relu is left out. */
static const char *conv_text(struct arena *arena, const struct conv_case *c, bool pixels)
{
    struct fixture f = {.arena = arena, .diags = diags_new(arena), .graph = graph_new(arena, "conv", "conv.net")};
    struct node *x = fixture_input(&f, "x", (struct shape){3, {c->ic, c->h, c->w}});
    x = pixels ? x : fixture_relu(&f, x, "");
    struct attrs attrs = {.kernel = {c->kh, c->kw},
                          .stride = {c->sy, c->sx},
                          .pad = {c->py, c->px},
                          .dilation = {c->dy, c->dx},
                          .groups = c->groups,
                          .out = c->oc};
    struct node *y = fixture_add(&f, OP_conv, x, NULL, attrs, "conv");
    cr_assert(y, "%s", fixture_report(&f));
    y = fixture_params(&f, y);
    if ((c->ic + c->oc) % 2) {
        y->param[1] = graph_param(f.graph, "conv.bias", (struct shape){1, {c->oc}}, nowhere);
    }
    y = fixture_relu(&f, y, "");
    fixture_output(&f, "y", y);
    fixture_output(&f, "next", fixture_conv(&f, y, "next", 3, (c->h + c->kh) % 2 ? 3 : 1, 1, 1));
    return fixture_text(&f, f.graph);
}

static void check(const struct conv_case *c)
{
    struct arena *arena = arena_new("case");
    for (int pixels = 0; pixels < (c->ic <= 4 && c->groups == 1 ? 2 : 1); pixels++) {
        const char *text = conv_text(arena, c, pixels), *why = try_targets(arena, text, 1, true);
        cr_expect(!why, "%s\n%s", why, text);
    }
    arena_free(arena);
}

static void check_all(const struct conv_case *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        check(&c[i]);
    }
}

Test(program_conv, one_by_one)
{
    static const struct conv_case c[] = {
        {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1},    {3, 5, 7, 16, 1, 1, 1, 1, 0, 0, 1, 1, 1},
        {5, 7, 5, 17, 1, 1, 1, 1, 0, 0, 1, 1, 1},   {15, 1, 13, 33, 1, 1, 1, 1, 0, 0, 1, 1, 1},
        {16, 11, 3, 26, 1, 1, 1, 1, 0, 0, 1, 1, 1}, {26, 4, 4, 52, 1, 1, 1, 1, 0, 0, 1, 1, 1},
        {33, 3, 3, 5, 1, 1, 1, 1, 0, 0, 1, 1, 1},   {52, 7, 7, 15, 1, 1, 1, 1, 0, 0, 1, 1, 1},
        {17, 7, 9, 48, 1, 1, 2, 2, 0, 0, 1, 1, 1},  {26, 17, 13, 4, 1, 1, 3, 3, 0, 0, 1, 1, 1},
        {4, 6, 5, 20, 1, 1, 2, 1, 0, 0, 1, 1, 1},   {6, 3, 5, 18, 1, 1, 1, 1, 1, 1, 1, 1, 1},
        {96, 1, 1, 80, 1, 1, 1, 1, 0, 0, 1, 1, 1},  {64, 2, 2, 112, 1, 1, 1, 1, 0, 0, 1, 1, 1},
        {7, 5, 5, 300, 1, 1, 1, 1, 0, 0, 1, 1, 1},
    };
    check_all(c, LENGTH(c));
}

Test(program_conv, windows)
{
    static const struct conv_case c[] = {
        {3, 9, 11, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1},   {1, 13, 7, 5, 3, 3, 1, 1, 1, 1, 1, 1, 1},
        {4, 8, 8, 17, 7, 7, 2, 2, 3, 3, 1, 1, 1},    {3, 17, 13, 33, 7, 7, 2, 2, 3, 3, 1, 1, 1},
        {5, 5, 5, 4, 5, 5, 1, 1, 2, 2, 1, 1, 1},     {16, 7, 7, 16, 3, 3, 2, 2, 1, 1, 1, 1, 1},
        {17, 6, 5, 26, 3, 3, 1, 1, 1, 1, 1, 1, 1},   {26, 5, 7, 15, 3, 3, 1, 1, 1, 1, 1, 1, 1},
        {33, 4, 4, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1},   {15, 3, 3, 52, 3, 3, 3, 3, 1, 1, 1, 1, 1},
        {5, 9, 9, 3, 1, 3, 1, 1, 0, 1, 1, 1, 1},     {5, 9, 9, 3, 3, 1, 1, 1, 1, 0, 1, 1, 1},
        {16, 11, 5, 8, 3, 3, 1, 1, 2, 2, 2, 2, 1},   {4, 11, 11, 20, 3, 3, 1, 1, 3, 3, 3, 3, 1},
        {3, 11, 11, 16, 3, 3, 2, 2, 2, 2, 2, 2, 1},  {6, 13, 11, 18, 3, 3, 2, 2, 3, 3, 3, 3, 1},
        {4, 7, 7, 4, 3, 3, 3, 2, 1, 2, 1, 1, 1},     {16, 5, 5, 16, 2, 2, 2, 2, 0, 0, 1, 1, 1},
        {3, 4, 4, 16, 4, 4, 4, 4, 0, 0, 1, 1, 1},    {5, 1, 1, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1},
        {5, 2, 3, 16, 3, 3, 2, 2, 3, 3, 1, 1, 1},    {3, 3, 3, 5, 1, 1, 1, 1, 2, 2, 1, 1, 1},
        {2, 6, 7, 9, 3, 5, 1, 2, 1, 3, 2, 1, 1},     {18, 9, 9, 18, 7, 1, 1, 1, 3, 0, 1, 1, 1},
        {16, 14, 14, 32, 3, 3, 1, 1, 0, 0, 1, 1, 1}, {4, 12, 12, 8, 3, 3, 1, 1, 0, 3, 1, 3, 1},
        {3, 15, 15, 8, 3, 3, 2, 2, 1, 1, 1, 3, 1},
    };
    check_all(c, LENGTH(c));
}

/* Weights beyond a share of the second-level cache: tasks are tiles of channels, not rows. */
Test(program_conv, heavy)
{
    static const struct conv_case c[] = {
        {256, 1, 2, 272, 1, 1, 1, 1, 0, 0, 1, 1, 1},  {128, 1, 1, 530, 1, 1, 1, 1, 0, 0, 1, 1, 1},
        {64, 2, 2, 128, 3, 3, 1, 1, 1, 1, 1, 1, 1},   {48, 3, 2, 168, 3, 3, 1, 1, 1, 1, 1, 1, 1},
        {40, 4, 4, 208, 3, 3, 2, 2, 1, 1, 1, 1, 1},   {128, 2, 3, 256, 3, 3, 2, 2, 1, 1, 1, 1, 2},
        {256, 3, 3, 256, 3, 3, 1, 1, 1, 1, 1, 1, 32}, {130, 2, 2, 130, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    };
    check_all(c, LENGTH(c));
}

/* Groups of every width, narrow and wide, alike and not. */
Test(program_conv, groups)
{
    static const int width[][2] = {{1, 1},   {2, 2},   {3, 3},   {4, 4},   {5, 5},   {6, 6},   {7, 7},   {8, 8},
                                   {10, 10}, {12, 12}, {14, 14}, {15, 15}, {16, 16}, {24, 24}, {40, 40}, {8, 16},
                                   {16, 8},  {2, 4},   {4, 2},   {3, 6},   {6, 3},   {1, 2},   {1, 3},   {1, 4},
                                   {1, 8},   {2, 8},   {4, 8},   {4, 16},  {8, 32},  {32, 8},  {5, 10},  {8, 24},
                                   {2, 1},   {4, 1},   {16, 32}, {12, 16}, {16, 12}, {17, 3},  {3, 17},  {24, 8}};
    static const int groups[] = {2, 3, 8};
    for (size_t i = 0; i < LENGTH(width); i++) {
        int ic = width[i][0], oc = width[i][1];
        for (size_t k = 0; k < LENGTH(groups); k++) {
            int side = ic * oc > 60 ? 3 : 4 + (int)(i + k) % 3;
            if (ic + oc > 32 && groups[k] > 3) {
                continue;
            }
            check(
                &(struct conv_case){ic * groups[k], side, side + 1, oc * groups[k], 3, 3, 1, 1, 1, 1, 1, 1, groups[k]});
        }
    }
}

/* Narrow groups with all that a window can have. */
Test(program_conv, grouped_windows)
{
    static const struct conv_case c[] = {
        {32, 9, 7, 32, 3, 3, 2, 2, 1, 1, 1, 1, 8},   {16, 13, 11, 16, 3, 3, 3, 3, 1, 1, 1, 1, 4},
        {16, 9, 9, 16, 3, 3, 1, 1, 2, 2, 2, 2, 16},  {12, 11, 11, 12, 3, 3, 1, 1, 3, 3, 3, 3, 4},
        {16, 11, 9, 16, 3, 3, 2, 2, 2, 2, 2, 2, 4},  {10, 13, 11, 10, 3, 3, 2, 2, 3, 3, 3, 3, 2},
        {16, 7, 7, 16, 5, 5, 1, 1, 2, 2, 1, 1, 16},  {8, 9, 9, 8, 7, 7, 1, 1, 3, 3, 1, 1, 2},
        {48, 5, 5, 48, 1, 1, 1, 1, 0, 0, 1, 1, 12},  {40, 5, 6, 40, 1, 1, 2, 2, 0, 0, 1, 1, 8},
        {16, 5, 9, 32, 1, 3, 1, 2, 0, 1, 1, 1, 8},   {20, 6, 6, 20, 3, 1, 1, 1, 1, 0, 1, 1, 4},
        {64, 1, 1, 64, 3, 3, 1, 1, 1, 1, 1, 1, 16},  {34, 4, 4, 34, 2, 2, 2, 2, 0, 0, 1, 1, 17},
        {16, 6, 6, 16, 3, 3, 1, 1, 3, 3, 1, 1, 4},   {16, 17, 13, 16, 3, 3, 1, 1, 1, 1, 1, 1, 4},
        {15, 5, 5, 15, 3, 3, 1, 1, 1, 1, 1, 1, 15},  {33, 6, 3, 33, 3, 3, 2, 2, 1, 1, 1, 1, 33},
        {64, 7, 7, 128, 3, 3, 2, 2, 1, 1, 1, 1, 16}, {256, 3, 3, 256, 3, 3, 1, 1, 1, 1, 1, 1, 64},
        {48, 7, 5, 96, 3, 3, 2, 2, 1, 1, 1, 1, 2},   {80, 5, 5, 80, 3, 3, 2, 2, 2, 2, 2, 2, 5},
        {18, 5, 5, 36, 3, 3, 1, 1, 1, 1, 1, 1, 9},   {36, 4, 4, 18, 3, 3, 2, 1, 1, 1, 1, 1, 6},
    };
    check_all(c, LENGTH(c));
}
