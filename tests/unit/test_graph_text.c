/* The text form of graphs: what is printed is read back to an equal graph; what cannot be read gets a named check. */
#include "graph_fixture.h"

#include <criterion/criterion.h>

static void assert_round_trip(struct fixture *f, const struct graph *graph)
{
    const char *once = fixture_text(f, graph), *report;
    struct graph *read = fixture_read(f, once);
    report = fixture_report(f);
    cr_assert(read, "%s\n%s", report, once);
    cr_assert_str_eq(fixture_text(f, read), once);
}

Test(graph_text, an_elaborated_graph_round_trips)
{
    struct fixture f = fixture_small();
    cr_assert_eq(diag_errors(f.diags), 0, "%s", fixture_report(&f));
    assert_round_trip(&f, f.graph);
    fixture_free(&f);
}

/* What the passes add: derived parameters, epilogues, algorithms, schedules, layouts, storages with views in both
 * directions. */
static void add_what_passes_add(struct fixture *f)
{
    struct graph *g = f->graph;
    struct node *conv = graph_find_node(g, "layer1.0.conv2"), *bn = graph_find_node(g, "layer1.0.bn2");
    struct param *fold[] = {conv->param[0], bn->param[0], bn->param[3], NULL};
    struct param *bias[] = {bn->param[1], bn->param[0], bn->param[2], bn->param[3]};
    conv->param[0] = graph_derived(g, "layer1.0.conv2.w", conv->param[0]->shape, PARAM_FOLD_WEIGHT, fold, 3, 1e-5);
    conv->param[1] = graph_derived(g, "layer1.0.conv2.b", (struct shape){1, {64}}, PARAM_FOLD_BIAS, bias, 4, 1e-5);
    static const double number[] = {1, 0.3333333333333333, -7};
    struct node *fc = graph_find_node(g, "fc");
    fc->param[1] = graph_derived(g, "fc.c", (struct shape){1, {3}}, PARAM_CONSTANT, NULL, 0, 0);
    fc->param[1]->value = number;
    graph_replace(g, bn, conv);
    conv->n_epilogue = 3;
    conv->epilogue = NEW_ARRAY(g->arena, struct epilogue, 3);
    conv->epilogue[0] = (struct epilogue){OP_add, graph_find_node(g, "layer1.0.relu")};
    conv->epilogue[1] = (struct epilogue){OP_silu, NULL};
    conv->epilogue[2] = (struct epilogue){OP_relu, NULL};
    conv->algorithm = ALGORITHM_spread;
    conv->schedule = (struct schedule){4, 4, 16, 4, 2, 4, 64, 3, 1};
    fc->algorithm = ALGORITHM_direct;
    graph_remove_dead(g);
    struct node *concat = NULL;
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *node = g->node[i];
        bool blocks = node->type.shape.rank == 3 && node->op != OP_input;
        node->type.layout = blocks ? (struct layout){LAYOUT_BLOCKS, 16, node->id % 3, 0}
                                   : (struct layout){LAYOUT_PLAIN, node->id ? 16 : 1, 0, 0};
        node->storage = NEW(g->arena, struct storage);
        *node->storage = (struct storage){node->id, node, layout_bytes(node->type) + (node == conv ? 64 : 0)};
        concat = node->op == OP_concat ? node : concat;
    }
    concat->in[0]->type.layout = concat->in[1]->type.layout = concat->type.layout =
        (struct layout){LAYOUT_BLOCKS, 16, 1, 13};
    concat->storage->bytes = layout_bytes(concat->type);
    concat->in[0]->storage = concat->in[1]->storage = concat->storage;
    concat->in[0]->algorithm = concat->in[1]->algorithm = concat->algorithm = ALGORITHM_view;
    concat->in[1]->lead = 2;
}

/* The operators of attention and of heads, each with attributes that are not the defaults. */
static const char attention[] =
    "graph t\nparam @n.weight f32[4]\nparam @n.bias   f32[4]\nparam @c.weight f32[2,4,3]\nparam @c.bias   f32[2]\n"
    "param @k.weight f32[2,2,6,6]\n\ninput %x f32[4,5,6]\n"
    "%k f32[8,2,1,3] = constant [1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, "
    "0, 1, 1, "
    "0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1]\n"
    "%b f32[8] = constant [1, 2, 3, 4, 5, 6, 7, 8]\n"
    "%convolve f32[8,3,4] = convolve %x, %k, %b {k 1x3 stride 2x1 pad 0x1 dilation 1x2 groups 2}\n"
    "%n f32[4,5,6] = group_norm %x, @n.weight, @n.bias {groups 2 eps 0.5}\n"
    "%pad f32[4,7,10] = pad %n {pad 1x2}\n"
    "%mirror f32[4,11,8] = pad %n {pad 3x1 reflect}\n"
    "%near f32[4,3,9] = upsample %n\n"
    "%between f32[4,3,9] = upsample %n {bilinear}\n"
    "%unfold f32[4,6,2,4] = unfold %n {k 3x2 stride 2x1 pad 1x0 dilation 2}\n"
    "%k2 f32[2,2,6,6] = parameter @k.weight\n"
    "%local f32[4,6,6] = local_conv %n, %k2 {k 2x1 pad 1x0}\n"
    "%i f32[2,1] = constant [3, 0]\n"
    "%take f32[2,1,5,6] = take %x, %i\n"
    "%turned f32[4,6,5] = permute %x {axes [0,2,1]}\n"
    "%matmul f32[2,4,5,5] = matmul %take, %turned\n"
    "%rows f32[4,30] = reshape %x\n"
    "%c f32[2,32] = conv1d %rows, @c.weight, @c.bias {k 1x3 pad 0x2}\n\n"
    "output a = %convolve\noutput b = %pad\noutput c = %mirror\noutput d = %near\noutput e = %between\n"
    "output f = %unfold\noutput g = %matmul\noutput h = %c\n";

Test(graph_text, the_operators_of_attention_round_trip)
{
    struct fixture f = fixture_new();
    f.graph = fixture_read(&f, attention);
    cr_assert(f.graph, "%s", fixture_report(&f));
    assert_round_trip(&f, f.graph);
    static const char *const kept[] = {"{k 1x3 stride 2x1 pad 0x1 dilation 1x2 groups 2}",
                                       "{groups 2 eps 0.5}",
                                       "{pad 3x1 reflect}",
                                       "{bilinear}",
                                       "{k 3x2 stride 2x1 pad 1x0 dilation 2}",
                                       "{k 1x3 pad 0x2}"};
    for (size_t i = 0; i < LENGTH(kept); i++) {
        cr_expect(strstr(fixture_text(&f, f.graph), kept[i]), "%s", kept[i]);
    }
    fixture_free(&f);
}

Test(graph_text, a_graph_after_all_passes_round_trips)
{
    struct fixture f = fixture_small();
    add_what_passes_add(&f);
    cr_assert(graph_verify(f.diags, f.graph), "%s", fixture_report(&f));
    assert_round_trip(&f, f.graph);
    fixture_free(&f);
}

Test(graph_text, it_looks_as_documented)
{
    const char *text = "graph small from \"small.net\"\n"
                       "\n"
                       "param @conv1.weight     f32[16,3,3,3]\n"
                       "param @bn1.weight       f32[16]\n"
                       "param @bn1.bias         f32[16]\n"
                       "param @bn1.running_mean f32[16]\n"
                       "param @bn1.running_var  f32[16]\n"
                       "\n"
                       "input %pixels f32[3,8,8] from resize exact 8x8 bilinear | normalize mean [0.5, 0.5, 0.5] std "
                       "[1, 1, 1] range 1\n"
                       "%conv1 f32[16,4,4] = conv %pixels, @conv1.weight {k 3x3 stride 2 pad 1}  ; blocks/stems.net:5\n"
                       "%bn1   f32[16,4,4] = batch_norm %conv1, @bn1.* {eps 1e-05}  ; blocks/stems.net:5\n"
                       "%relu  f32[16,4,4] = relu %bn1  ; blocks/stems.net:5\n"
                       "%odd   f32[16,4,4] = relu %relu  path \"\"  ; blocks/stems.net:6\n"
                       "\n"
                       "output logits = %odd labels \"labels/two.txt\" [\n    \"one\", \"two\"]\n";
    struct fixture f = fixture_new();
    struct graph *graph = fixture_read(&f, text);
    cr_assert(graph, "%s", fixture_report(&f));
    graph_find_node(graph, "odd")->path = "";
    const char *printed = fixture_text(&f, graph);
    const char *without = strstr(text, "  path \"\"");
    const char *expected =
        arena_printf(f.arena, "%.*s%s", (int)(without - text), text, without + strlen("  path \"\""));
    cr_assert_str_eq(printed, expected);
    cr_assert_str_eq(graph_find_node(graph, "bn1")->path, "bn1");
    cr_assert_str_eq(graph_find_node(graph, "relu")->path, "");
    cr_assert_eq(graph_find_node(graph, "bn1")->param[2], graph_find_param(graph, "bn1.running_mean"));
    cr_assert_str_eq(node_source(f.arena, graph_find_node(graph, "odd")), "blocks/stems.net:6");
    fixture_free(&f);
}

Test(graph_text, epilogue_algorithm_and_layout_are_read)
{
    struct fixture f = fixture_new();
    struct graph *g = fixture_read(&f, "; a comment\ngraph g batch 3 # a comment\n  ; a comment\n ; another\n"
                                       "param @c.weight f32[32,32,1,1]\n"
                                       "input %x f32[32,8,8] c16 halo 1 own\n"
                                       "%y f32[32,8,8] c16 seg 16 in %z lead 2 = conv %x, @c.weight {k 1x1} | add %x | "
                                       "relu {direct 1x14x32 band 4 chunk 2 depth 4 prefetch 64 stream 3 ahead 1}\n"
                                       "%z f32[64,8,8] c16 own = concat %y, %x {axis 0} {view}\n"
                                       "output y = %z\n");
    cr_assert(g, "%s", fixture_report(&f));
    struct node *y = graph_find_node(g, "y"), *z = graph_find_node(g, "z");
    cr_assert_eq(g->batch, 3);
    cr_assert_eq(y->n_epilogue, 2);
    cr_assert_eq(y->epilogue[0].op, OP_add);
    cr_assert_eq(y->epilogue[0].operand, graph_find_node(g, "x"));
    cr_assert_eq(y->epilogue[1].op, OP_relu);
    cr_assert_eq(y->algorithm, ALGORITHM_direct);
    cr_assert_eq(y->schedule.cols, 14);
    cr_assert_eq(y->schedule.prefetch, 64);
    cr_assert_eq(y->schedule.stream, 3);
    cr_assert_eq(y->schedule.ahead, 1);
    cr_assert_eq(y->type.layout.seg, 16);
    cr_assert_eq(y->storage, z->storage);
    cr_assert_eq(y->lead, 2);
    cr_assert_str_eq(y->source, "");
    cr_assert_eq(z->algorithm, ALGORITHM_view);
    cr_assert_eq(z->storage->bytes, 4 * 8 * 8 * 16 * 4);
    fixture_free(&f);
}

/* ---- what cannot be read ---- */

#define HEAD "graph g\nparam @c.weight f32[4,3,3,3]\ninput %x f32[3,8,8]\n"
#define CONV HEAD "%y f32[4,8,8] = conv %x, @c.weight {k 3x3 pad 1}\n"
#define OUT  "output y = %y\n"

static const struct {
    const char *check, *text;
} bad[] = {
    {"graph_text_syntax", ""},
    {"graph_text_syntax", "input %x f32[3]"},
    {"graph_text_syntax", "graph"},
    {"graph_text_syntax", "graph g from here"},
    {"graph_text_number", "graph g batch 0"},
    {"graph_text_syntax", HEAD "nonsense"},
    {"graph_text_syntax", HEAD "%y f32[4,8,8] conv %x"},
    {"graph_text_syntax", HEAD "%\"y f32[4,8,8] = relu %x"},
    {"graph_text_syntax", HEAD "%\"y\\q\" f32[4,8,8] = relu %x"},
    {"graph_text_syntax", HEAD "%\"y\\x00\" f32[4,8,8] = relu %x"},
    {"graph_text_syntax", HEAD "% f32[3,8,8] = relu %x"},
    {"graph_text_syntax", HEAD "%y = relu %x"},
    {"graph_text_syntax", HEAD "%y f32[3,8,8 = relu %x"},
    {"graph_text_attribute", HEAD "%y f32[3,8,8] = relu %x {eps 1}"},
    {"graph_text_name", HEAD "%y f16[3,8,8] = relu %x"},
    {"graph_text_name", HEAD "%y f32[3,8,8] = rleu %x"},
    {"graph_text_name", HEAD "%y f32[3,8,8] = input"},
    {"graph_text_name", HEAD "%y f32[3,8,8] = relu %z"},
    {"graph_text_name", HEAD "%y f32[3,8,8] = relu %y"},
    {"graph_text_name", HEAD "%x f32[3,8,8] = relu %x"},
    {"graph_text_name", HEAD "param @c.weight f32[4]"},
    {"graph_text_name", HEAD "%y f32[4,8,8] = conv %x, @w {k 3x3 pad 1}"},
    {"graph_text_name", HEAD "%y f32[3,8,8] = batch_norm %x, @c.* {eps 1e-05}"},
    {"graph_text_name", HEAD "param @w f32[4] = folded @c.weight"},
    {"graph_text_name", HEAD "output y = %y"},
    {"graph_text_name", "graph g\ninput %x f32[3,8,8] from turn | gray"},
    {"graph_text_name", "graph g\ninput %x f32[3,8,8] from resize exact 8x8 nearest"},
    {"graph_text_name", HEAD "%y f32[3,8,8] plain in %x = relu %x\n" OUT},
    {"graph_text_name", HEAD "%y f32[3,8,8] plain in %w = relu %x\n" OUT},
    {"graph_text_number", HEAD "%y f32[3,0,8] = relu %x"},
    {"graph_text_number", HEAD "%y f32[3,8,99999999999999999999] = relu %x"},
    {"graph_text_number", HEAD "%y f32[65536,65536] = relu %x"},
    {"graph_text_number", HEAD "%y f32[1,1,1,1,1,1,1] = relu %x"},
    {"graph_text_number", HEAD "%y f32[3,8,8] c0 = relu %x"},
    {"graph_text_number", HEAD "%y f32[3,8,8] c16 halo 5000 = relu %x"},
    {"graph_text_number", "graph g\ninput %x f32[3,8,8] from normalize mean [] std [] range 1"},
    {"graph_text_number", "graph g\ninput %x f32[3,8,8] from normalize mean [1] std [1, 2] range 1"},
    {"graph_text_attribute", HEAD "%y f32[4,8,8] = conv %x, @c.weight {pad 1}"},
    {"graph_text_attribute", HEAD "%y f32[4,8,8] = conv %x, @c.weight {k 3x3 pad 1 pad 1}"},
    {"graph_text_attribute", HEAD "%y f32[4,8,8] = conv %x, @c.weight {k 3x3 dilatoin 1}"},
    {"graph_text_attribute", HEAD "%y f32[3,8,8] = softmax %x"},
    {"graph_text_syntax", HEAD "%y f32[4,8,8] = conv %x, @c.weight {k 3x pad 1}"},
    {"graph_text_syntax", HEAD "%y f32[4,8,8] = conv %x, @c.weight {k 3x3 pad 1"},
    {"graph_text_syntax", CONV "%z f32[4,8,8] = relu %y {view 1x2}"},
    {"graph_text_syntax", HEAD "%y f32[3,8,8] = relu %x | relu {fast}"},
    {"graph_text_syntax", HEAD "%y f32[3,8,8] = relu %x, @c.weight\n" OUT},
    {"graph_text_syntax", HEAD "param @w f32[4] = fold_scale %x {eps 1}"},
    {"graph_text_syntax", HEAD "param @w f32[4] = fold_scale @c.weight"},
    {"graph_text_syntax", "graph g\ninput %x f32[3,8,8] from resize 8x8 bilinear"},
    {"graph_text_syntax", "graph g\ninput %x f32[3,8,8] from center_crop 8x8"},
    {"graph_text_syntax", CONV "output y = %y labels [\"a\" \"b\"]"},
    {"graph_types", HEAD "%y f32[3,8,8] = conv %x, @c.weight {k 3x3}"},
    {"graph_types", HEAD "%y f32[3] = constant [1, 2]"},
    {"graph_types", HEAD "param @w f32[3] = constant [1, 2]"},
    {"operator_inputs", HEAD "%y f32[3,8,8] = add %x"},
    {"conv_groups_divide_input", HEAD "%y f32[4,8,8] = conv %x, @c.weight {k 3x3 pad 1 groups 2}"},
    {"constant_finite", HEAD "%y f32[2] = constant [1, inf]\n" OUT},
    {"constant_finite", HEAD "%y f32[2] = constant [nan, 1]\n" OUT},
    {"graph_outputs", CONV},
    {"graph_params", HEAD "%y f32[4,8,8] = conv %x {k 3x3 pad 1}\n" OUT},
    {"graph_params", HEAD "%y f32[4,8,8] = conv %x, @c.weight {k 5x5 pad 2}\n" OUT},
    {"graph_recipes",
     HEAD "param @w f32[4] = fold_scale @c.weight {eps 1e-05}\n%y f32[4,8,8] = conv %x, @c.weight {k 3x3 pad 1}\n" OUT},
    {"graph_recipes", HEAD "param @w f32[8,3,3,3] = concat @c.weight {axis 0}\n%y f32[3,8,8] = relu %x\n" OUT},
    {"graph_recipes", HEAD "param @w f32[8,3,3,3] = concat @c.weight, @c.weight {axis 1}\n%y f32[3,8,8] = relu %x\n" OUT},
    {"graph_recipes", HEAD "param @w f32[8,3,3,3] = concat @c.weight, @c.weight {axis 4}\n%y f32[3,8,8] = relu %x\n" OUT},
    {"graph_text_name", HEAD "param @w f32[8,3,3,3] = concat @c.weight, @w {axis 0}\n%y f32[3,8,8] = relu %x\n" OUT},
    {"graph_recipes", HEAD "param @w f32[7,3,3,3] = concat @c.weight, @c.weight {axis 0}\n%y f32[3,8,8] = relu %x\n" OUT},
    {"graph_recipes", HEAD "param @w f32[4] = sum @c.weight, @c.weight\n%y f32[3,8,8] = relu %x\n" OUT},
    {"graph_text_syntax", HEAD "param @w f32[8,3,3,3] = concat @c.weight, @c.weight\n%y f32[3,8,8] = relu %x\n" OUT},
    {"graph_text_number", HEAD "param @w f32[8,3,3,3] = concat @c.weight, @c.weight {axis 6}\n%y f32[3,8,8] = relu %x\n" OUT},
    {"graph_epilogues", HEAD "%y f32[4,8,8] = conv %x, @c.weight {k 3x3 pad 1} | add\n" OUT},
    {"graph_epilogues", HEAD "%y f32[4,8,8] = conv %x, @c.weight {k 3x3 pad 1} | softmax\n" OUT},
    {"graph_layouts", HEAD "%y f32[4,8,8] c16 = conv %x, @c.weight {k 3x3 pad 1}\n" OUT},
    {"graph_schedules", HEAD "%y f32[4,8,8] = conv %x, @c.weight {k 3x3 pad 1} {pool}\n" OUT},
};

Test(graph_text, bad_texts_get_their_check)
{
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct fixture f = fixture_new();
        const char *report;
        cr_expect_null(fixture_read(&f, bad[i].text), "%s", bad[i].text);
        cr_expect(fixture_failed(&f, bad[i].check, &report), "%s is expected, not\n%sfor\n%s", bad[i].check, report,
                  bad[i].text);
        fixture_free(&f);
    }
}

Test(graph_text, a_fault_is_shown_at_its_place)
{
    struct fixture f = fixture_new();
    cr_assert_null(fixture_read(&f, "graph g\ninput %x f32[3,8,8]\n%y f32[3,8,8] = rleu %x\noutput y = %y\n"));
    cr_assert_str_eq(fixture_report(&f),
                     "test.graph:3:17: error: there is no operator 'rleu', is 'relu' meant?  [graph_text_name]\n"
                     "    3 | %y f32[3,8,8] = rleu %x\n"
                     "      |                 ^~~~\n");
    fixture_free(&f);
}

/* ---- any bytes ---- */

Test(graph_text, every_beginning_of_a_text_is_read_or_refused)
{
    struct fixture f = fixture_small();
    add_what_passes_add(&f);
    const char *text = fixture_text(&f, f.graph);
    size_t length = strlen(text);
    for (size_t n = 0; n < length; n++) {
        struct fixture g = {.arena = arena_new("test")};
        g.diags = diags_new(g.arena);
        struct graph *graph = fixture_read_n(&g, text, n);
        cr_assert_eq(graph == NULL, diag_errors(g.diags) > 0, "at %zu", n);
        fixture_free(&g);
    }
    fixture_free(&f);
}

Test(graph_text, changed_bytes_are_read_or_refused)
{
    struct fixture f = fixture_small();
    add_what_passes_add(&f);
    const char *text = fixture_text(&f, f.graph);
    size_t length = strlen(text);
    static const char odd[] = "%@{}[]|=,;#\"\\-0919xa. \n\xff\x00";
    uint64_t state = 1;
    for (int round = 0; round < 4000; round++) {
        struct fixture g = {.arena = arena_new("test")};
        g.diags = diags_new(g.arena);
        char *changed = arena_copy(g.arena, text, length);
        for (int k = 0; k <= round % 3; k++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
            changed[(state >> 33) % length] = odd[(state >> 20) % sizeof odd];
        }
        struct graph *graph = fixture_read_n(&g, changed, length);
        cr_assert_eq(graph == NULL, diag_errors(g.diags) > 0, "round %d", round);
        if (graph) {
            const char *once = fixture_text(&g, graph);
            struct graph *again = fixture_read(&g, once);
            cr_assert(again, "%s\n%s", fixture_report(&g), once);
            cr_assert_str_eq(fixture_text(&g, again), once);
        }
        fixture_free(&g);
    }
    fixture_free(&f);
}
