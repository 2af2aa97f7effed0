/* graph/graph_eval.c: every operator against values worked out by hand. */
#include "graph_fixture.h"
#include "weights/weights.h"

#include <criterion/criterion.h>
#include <math.h>

static struct fixture f;

static void set_up(void)
{
    f = fixture_new();
}

static void tear_down(void)
{
    fixture_free(&f);
}

TestSuite(graph_eval, .init = set_up, .fini = tear_down);

/* The values by node id, of a graph that loads no parameter. */
static double **evaluate(const char *what, const struct graph *g, const double *x)
{
    cr_assert(g, "%s: %s", what, fixture_report(&f));
    const double *input[] = {x};
    double **value = graph_eval(f.arena, f.diags, g, weights_open(f.arena, f.diags, "synthetic"), input);
    cr_assert(value, "%s: %s", what, fixture_report(&f));
    return value;
}

/* A graph of one input %x and one output; `x` and `y` are the numbers, `n` how many of y. */
static const struct {
    const char *what, *text;
    double x[16], y[16];
} cases[] = {
    {"conv is a cross-correlation",
     "param @w f32[1,1,2,2] = constant [1, 2, 3, 4]\ninput %x f32[1,3,3]\n%y f32[1,2,2] = conv %x, @w {k 2x2}",
     {1, 2, 3, 4, 5, 6, 7, 8, 9},
     {1 + 4 + 12 + 20, 2 + 6 + 15 + 24, 4 + 10 + 21 + 32, 5 + 12 + 24 + 36}},
    {"conv pads with zeros, has a bias and a stride",
     "param @w f32[1,1,3,3] = constant [1, 2, 3, 4, 5, 6, 7, 8, 9]\nparam @b f32[1] = constant [100]\ninput %x "
     "f32[1,2,2]\n"
     "%y f32[1,1,2] = conv %x, @w, @b {k 3x3 stride 2x1 pad 1}",
     {1, 2, 3, 4},
     {100 + 5 + 12 + 24 + 36, 100 + 4 + 10 + 21 + 32}},
    {"conv of two groups and a dilation of 2, padding wider than the kernel's reach",
     "param @w f32[2,1,1,2] = constant [1, 10, 100, 1000]\ninput %x f32[2,1,3]\n"
     "%y f32[2,1,5] = conv %x, @w {k 1x2 dilation 1x2 pad 0x2 groups 2}",
     {1, 2, 3, 4, 5, 6},
     {10, 20, 31, 2, 3, 4000, 5000, 6400, 500, 600}},
    {"conv over leading axes",
     "param @w f32[1,2,1,1] = constant [1, 10]\ninput %x f32[2,2,1,2]\n%y f32[2,1,1,2] = conv %x, @w {k 1x1}",
     {1, 2, 3, 4, 5, 6, 7, 8},
     {31, 42, 75, 86}},
    {"linear over the last axis",
     "param @w f32[2,3] = constant [1, 2, 3, 4, 5, 6]\nparam @b f32[2] = constant [0.5, -1]\ninput %x f32[2,3]\n"
     "%y f32[2,2] = linear %x, @w, @b",
     {1, 1, 1, 0, 0, 2},
     {6.5, 14, 6.5, 11}},
    {"batch_norm",
     "param @g f32[2] = constant [2, 3]\nparam @b f32[2] = constant [1, 0]\nparam @m f32[2] = constant [1, -1]\n"
     "param @v f32[2] = constant [3, 8]\ninput %x f32[2,1,2]\n%y f32[2,1,2] = batch_norm %x, @g, @b, @m, @v {eps 1}",
     {1, 3, -1, 2},
     {1, 3, 0, 3}},
    {"scale_shift with parameters that are derived",
     "param @g f32[2] = constant [2, 3]\nparam @b f32[2] = constant [1, 0]\nparam @m f32[2] = constant [1, -1]\n"
     "param @v f32[2] = constant [3, 8]\nparam @scale f32[2] = fold_scale @g, @v {eps 1}\n"
     "param @shift f32[2] = fold_bias @b, @g, @m, @v {eps 1}\ninput %x f32[2,1,2]\n%y f32[2,1,2] = scale_shift %x, "
     "@scale, @shift",
     {1, 3, -1, 2},
     {1, 3, 0, 3}},
    {"conv with a folded batch norm and its own bias",
     "param @w f32[2,1,1,1] = constant [1, 10]\nparam @c f32[2] = constant [5, 7]\nparam @g f32[2] = constant [2, 3]\n"
     "param @b f32[2] = constant [1, 0]\nparam @m f32[2] = constant [1, -1]\nparam @v f32[2] = constant [3, 8]\n"
     "param @ww f32[2,1,1,1] = fold_weight @w, @g, @v {eps 1}\nparam @bb f32[2] = fold_bias @b, @g, @m, @v, @c {eps "
     "1}\n"
     "input %x f32[1,1,2]\n%y f32[2,1,2] = conv %x, @ww, @bb {k 1x1}",
     {1, 2},
     {1 + 5, 2 + 5, 10 + 8, 20 + 8}},
    {"conv with parameters of branches: joined along both axes, biases added",
     "param @a f32[1,1,1,1] = constant [1]\nparam @b f32[1,1,1,1] = constant [10]\nparam @c f32[1] = constant [5]\n"
     "param @ab f32[1,2,1,1] = concat @a, @b {axis 1}\nparam @ba f32[1,2,1,1] = concat @b, @a {axis 1}\n"
     "param @w f32[2,2,1,1] = concat @ab, @ba {axis 0}\nparam @s f32[1] = sum @c, @c, @c\n"
     "param @t f32[2] = concat @s, @c {axis 0}\ninput %x f32[2,1,1]\n%y f32[2,1,1] = conv %x, @w, @t {k 1x1}",
     {2, 3},
     {32 + 15, 23 + 5}},
    {"relu", "input %x f32[4]\n%y f32[4] = relu %x", {-1, 0, 2, -3}, {0, 0, 2, 0}},
    {"sigmoid and silu",
     "input %x f32[2]\n%a f32[2] = sigmoid %x\n%b f32[2] = silu %x\n%y f32[4] = concat %a, %b {axis 0}",
     {0, 1},
     {0.5, 0.7310585786300049, 0, 0.7310585786300049}},
    {"arithmetic broadcasts from the right",
     "input %x f32[2,2,1]\n%c f32[2] = constant [10, 20]\n%a f32[2,2,2] = add %x, %c\n%o f32[1] = constant [1]\n"
     "%y f32[2,2,2] = sub %a, %o",
     {1, 2, 3, 4},
     {10, 20, 11, 21, 12, 22, 13, 23}},
    {"mul by a channel's number, div by one number",
     "input %x f32[2,1,2]\n%c f32[2,1,1] = constant [10, 20]\n%a f32[2,1,2] = mul %x, %c\n%d f32[1] = constant [4]\n"
     "%y f32[2,1,2] = div %a, %d",
     {1, 2, 3, 4},
     {2.5, 5, 15, 20}},
    {"max_pool: padding is minus infinity",
     "input %x f32[1,3,3]\n%y f32[1,2,2] = max_pool %x {k 3x3 stride 2 pad 1}",
     {-1, -2, -3, -4, -5, -6, -7, -8, -9},
     {-1, -2, -4, -5}},
    {"max_pool with ceil",
     "input %x f32[1,1,4]\n%y f32[1,1,2] = max_pool %x {k 1x3 stride 2 ceil}",
     {1, 2, 3, 4},
     {3, 4}},
    {"ceil never adds a window that starts behind the padding",
     "input %x f32[1,1,4]\n%y f32[1,1,2] = max_pool %x {k 1x2 stride 1x3 pad 0x1 ceil}",
     {1, 2, 3, 4},
     {1, 4}},
    {"avg_pool counts the padding",
     "input %x f32[1,2,2]\n%y f32[1,1,1] = avg_pool %x {k 3x3 stride 2 pad 1 count_pad}",
     {9, 9, 9, 9},
     {4}},
    {"avg_pool without the padding",
     "input %x f32[1,2,2]\n%y f32[1,1,1] = avg_pool %x {k 3x3 stride 2 pad 1}",
     {9, 9, 9, 9},
     {9}},
    {"avg_pool: what overhangs the padding never counts",
     "input %x f32[1,1,4]\n%y f32[1,1,2] = avg_pool %x {k 1x3 stride 1x2 ceil count_pad}",
     {1, 2, 3, 5},
     {2, 4}},
    {"global_avg_pool", "input %x f32[2,1,2]\n%y f32[2,1,1] = global_avg_pool %x", {1, 2, 3, 5}, {1.5, 4}},
    {"reshape and permute",
     "input %x f32[6]\n%a f32[2,3] = reshape %x\n%y f32[3,2] = permute %a {axes [1,0]}",
     {1, 2, 3, 4, 5, 6},
     {1, 4, 2, 5, 3, 6}},
    {"permute three axes",
     "input %x f32[1,2,3]\n%y f32[3,1,2] = permute %x {axes [2,0,1]}",
     {1, 2, 3, 4, 5, 6},
     {1, 4, 2, 5, 3, 6}},
    {"slice an inner axis",
     "input %x f32[2,3,1]\n%y f32[2,2,1] = slice %x {axis 1 start 1 size 2}",
     {1, 2, 3, 4, 5, 6},
     {2, 3, 5, 6}},
    {"concat along an inner axis",
     "input %x f32[2,2]\n%a f32[2,1] = slice %x {axis 1 start 0 size 1}\n%y f32[2,3] = concat %x, %a {axis 1}",
     {1, 2, 3, 4},
     {1, 2, 1, 3, 4, 3}},
    {"softmax along axis 0, of large numbers",
     "input %x f32[2,2]\n%y f32[2,2] = softmax %x {axis 0}",
     {1000, 0, 1000, -2000},
     {0.5, 1, 0.5, 0}},
    {"sum drops its axis", "input %x f32[2,3]\n%y f32[3] = sum %x {axis 0}", {1, 2, 3, 4, 5, 6}, {5, 7, 9}},
    {"mean", "input %x f32[2,3]\n%y f32[2] = mean %x {axis 1}", {1, 2, 3, 4, 5, 6}, {2, 5}},
    {"a parameter as a value",
     "param @p f32[2] = constant [3, 4]\ninput %x f32[2]\n%p f32[2] = parameter @p\n%y f32[2] = add %x, %p",
     {1, 2},
     {4, 6}},
    {"epilogues in their order",
     "param @w f32[2,1,1,1] = constant [1, -1]\ninput %x f32[1,1,2]\n%o f32[2,1,1] = constant [10, 100]\n%i f32[2,1,2] "
     "= constant [1, 2, 3, 4]\n"
     "%y f32[2,1,2] = conv %x, @w {k 1x1} | mul %o | add %i | relu | add %i",
     {1, -1},
     {11 + 1, 0 + 2, 0 + 3, 104 + 4}},
    {"convolve: kernel and bias are values",
     "input %x f32[2,1,3]\n%s f32[2,1,2] = slice %x {axis 2 start 0 size 2}\n%k f32[2,1,1,2] = reshape %s\n"
     "%b f32[2] = constant [100, 1000]\n"
     "%y f32[2,1,4] = convolve %x, %k, %b {k 1x2 pad 0x1 groups 2}",
     {1, 2, 3, 4, 5, 6},
     {102, 105, 108, 103, 1020, 1041, 1050, 1024}},
    {"conv1d pads with zeros",
     "param @w f32[1,2,2] = constant [1, 10, 100, 1000]\nparam @b f32[1] = constant [0.5]\ninput %x f32[2,2]\n"
     "%y f32[1,3] = conv1d %x, @w, @b {k 1x2 pad 0x1}",
     {1, 2, 3, 4},
     {3010.5, 4321.5, 402.5}},
    {"group_norm: biased variance of two channels",
     "param @g f32[4] = constant [1, 2, 1, 1]\nparam @b f32[4] = constant [0, 10, 0, 0]\ninput %x f32[4,1,2]\n"
     "%y f32[4,1,2] = group_norm %x, @g, @b {groups 2 eps 0.75}",
     {1, 2, 1, 2, 5, 5, 5, 5},
     {-0.5, 0.5, 9, 11, 0, 0, 0, 0}},
    {"matmul broadcasts what stands in front",
     "input %x f32[2,1,2]\n%c f32[2,2] = constant [1, 10, 100, 1000]\n%y f32[2,1,2] = matmul %x, %c",
     {1, 2, 3, 4},
     {201, 2010, 403, 4030}},
    {"matmul of one matrix by two",
     "input %x f32[2,2,1]\n%c f32[1,2] = constant [1, 10]\n%y f32[2,1,1] = matmul %c, %x",
     {1, 2, 3, 4},
     {21, 43}},
    {"pad by zeros", "input %x f32[1,2]\n%y f32[3,4] = pad %x {pad 1}", {1, 2}, {0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0}},
    {"pad reflects without the edge",
     "input %x f32[2,3]\n%y f32[2,7] = pad %x {pad 0x2 reflect}",
     {1, 2, 3, 4, 5, 6},
     {3, 2, 1, 2, 3, 2, 1, 6, 5, 4, 5, 6, 5, 4}},
    {"upsample nearest, to more and to fewer",
     "input %x f32[1,2,3]\n%y f32[1,3,2] = upsample %x",
     {1, 2, 3, 4, 5, 6},
     {1, 2, 1, 2, 4, 5}},
    {"upsample bilinear: centres stay",
     "input %x f32[1,1,2]\n%y f32[1,1,4] = upsample %x {bilinear}",
     {0, 4},
     {0, 1, 3, 4}},
    {"upsample bilinear, to fewer",
     "input %x f32[1,2,4]\n%y f32[1,1,2] = upsample %x {bilinear}",
     {0, 2, 4, 6, 10, 12, 14, 16},
     {6, 10}},
    {"unfold: taps row by row, zeros outside",
     "input %x f32[1,2,2]\n%y f32[1,4,2,1] = unfold %x {k 2x2 stride 1x2 pad 1x0 dilation 2x1}",
     {1, 2, 3, 4},
     {0, 1, 0, 2, 3, 0, 4, 0}},
    {"local_conv: a kernel a position, channels 0 and 2 share one",
     "input %x f32[3,1,2]\n%c f32[1,2,1,2] = constant [10, 20, 1, 2]\n%a f32[3,1,2] = local_conv %x, %c {k 1x2 pad 0x1 "
     "dilation 1x2}\n%k f32[3,2,1,1] = constant [1, 2, 3, 4, 5, 6]\n%b f32[3,1,1] = local_conv %x, %k {k 1x2}\n"
     "%y f32[3,1,3] = concat %a, %b {axis 2}",
     {1, 2, 3, 4, 5, 6},
     {2, 20, 1 + 4, 4, 60, 9 + 16, 6, 100, 25 + 36}},
    {"local_conv with weights in the order of lanes",
     "input %x f32[2,1,1]\n%i f32[16] = constant [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]\n"
     "%c f32[2,1,1] = constant [10, 100]\n%w f32[16,1,1] = take %c, %i\n%y f32[2,1,1] = local_conv %x, %w {k 1x1}",
     {3, 4},
     {300, 40}},
    {"take: rows in the shape of their list",
     "input %x f32[3,2]\n%i f32[2,2] = constant [2, 0, 0, 1]\n%y f32[2,2,2] = take %x, %i",
     {1, 2, 3, 4, 5, 6},
     {5, 6, 1, 2, 1, 2, 3, 4}},
    {"layouts change nothing",
     "input %x f32[1,1,2] c1\n%a f32[1,1,2] c1 = relu %x\n%y f32[1,1,2] plain = convert %a",
     {-3, 4},
     {0, 4}},
};

Test(graph_eval, values_worked_out_by_hand)
{
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct graph *g = fixture_read(&f, arena_printf(f.arena, "graph t\n%s\noutput y = %%y\n", cases[i].text));
        double **value = evaluate(cases[i].what, g, cases[i].x);
        const struct node *y = g->output[0].node;
        for (int64_t k = 0; k < shape_elements(y->type.shape); k++) {
            double got = value[y->id][k], wanted = cases[i].y[k];
            cr_assert(fabs(got - wanted) <= 1e-15 * fabs(wanted), "%s: y[%d] is %.17g, not %.17g", cases[i].what,
                      (int)k, got, wanted);
        }
    }
}

Test(graph_eval, not_a_number_stays_so)
{
    struct graph *g = fixture_read(&f, "graph t\ninput %x f32[1,1,2]\n%a f32[1,1,2] = relu %x\n"
                                       "%y f32[1,1,1] = max_pool %a {k 1x2}\noutput y = %y\n");
    const double x[] = {(double)NAN, 1};
    double **value = evaluate("nan", g, x);
    cr_assert(isnan(value[1][0]) && isnan(value[2][0]));
}

Test(graph_eval, an_operator_that_it_does_not_know_is_reported)
{
    struct graph *g = fixture_read(&f, "graph t\ninput %x f32[1,1,2]\n%y f32[1,1,2] = relu %x\noutput y = %y\n");
    const double x[] = {1, 2}, *input[] = {x};
    g->node[1]->op = OP_input; /* but none of the graph's inputs: nothing to evaluate */
    cr_assert_null(graph_eval(f.arena, f.diags, g, weights_open(f.arena, f.diags, "synthetic"), input));
    cr_assert(strstr(fixture_report(&f), "[operator_evaluated]"));
}
