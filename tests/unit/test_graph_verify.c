/* The verifier: a graph as the front end makes it passes; each way of breaking it is found under its name. */
#include "graph_fixture.h"

#include <criterion/criterion.h>

Test(graph_verify, a_good_graph_passes)
{
    struct fixture f = fixture_small();
    cr_assert(graph_verify(f.diags, f.graph), "%s", fixture_report(&f));
    fixture_free(&f);
}

#define NODE(name)  graph_find_node(g, name)
#define PARAM(name) graph_find_param(g, name)

static void set_layouts(struct graph *g)
{
    for (size_t i = 0; i < g->n_node; i++) {
        bool blocks = g->node[i]->type.shape.rank == 3;
        g->node[i]->type.layout = (struct layout){blocks ? LAYOUT_BLOCKS : LAYOUT_PLAIN, 16, 0, 0};
    }
}

static void set_storages(struct graph *g)
{
    set_layouts(g);
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *node = g->node[i];
        node->storage = NEW(g->arena, struct storage);
        *node->storage = (struct storage){node->id, node, layout_bytes(node->type)};
    }
}

static void add_epilogue(struct graph *g, struct node *node, enum op op, struct node *operand)
{
    node->epilogue = NEW(g->arena, struct epilogue);
    *node->epilogue = (struct epilogue){op, operand};
    node->n_epilogue = 1;
}

static struct param *derive(struct graph *g, enum param_op op, struct shape shape, struct param *a, struct param *b,
                            struct param *c, double eps)
{
    struct param *from[] = {a, b, c};
    return graph_derived(g, "derived", shape, op, from, c ? 3 : b ? 2 : a ? 1 : 0, eps);
}

static const struct shape channels = {1, {64}};

/* clang-format off: a line a mutation where it has room */

/* ---- order and names ---- */
static void break_ids(struct graph *g)
{
    g->node[3]->id = 4;
}
static void break_param_ids(struct graph *g)
{
    g->param[3]->id = 4;
}
static void swap_nodes(struct graph *g)
{
    struct node *a = g->node[4], *b = g->node[5];
    g->node[4] = b;
    g->node[5] = a;
    b->id = 4;
    a->id = 5;
}
static void read_a_stranger(struct graph *g)
{
    struct node *stranger = NEW(g->arena, struct node);
    *stranger = *NODE("conv1");
    NODE("bn1")->in[0] = stranger;
}
static void read_itself(struct graph *g)
{
    NODE("relu")->in[0] = NODE("relu");
}
static void read_later(struct graph *g)
{
    add_epilogue(g, NODE("relu"), OP_add, NODE("layer1.0.conv1"));
}
static void name_twice(struct graph *g)
{
    NODE("relu")->name = NODE("bn1")->name;
}
static void name_nothing(struct graph *g)
{
    NODE("relu")->name = "";
}
static void name_param_twice(struct graph *g)
{
    g->param[1]->name = g->param[0]->name;
}
static void name_output_twice(struct graph *g)
{
    g->output[1].name = g->output[0].name;
}

/* ---- types ---- */
static void drop_input(struct graph *g)
{
    NODE("layer1.0.add")->n_in = 1;
}
static void drop_value(struct graph *g)
{
    NODE("constant")->value = NULL;
}
static void change_type(struct graph *g)
{
    NODE("relu")->type.shape.dim[1]++;
}
static void change_type_rank(struct graph *g)
{
    NODE("fc")->type.shape.rank = 2;
}
static void change_stride(struct graph *g)
{
    NODE("layer1.0.conv1")->attrs.stride[0] = 2;
}
static void change_groups(struct graph *g)
{
    NODE("layer1.0.conv1")->attrs.groups = 7;
}
static void change_axes(struct graph *g)
{
    NODE("permute")->attrs.shape.dim[0] = 1;
}

/* ---- parameters ---- */
static void drop_param(struct graph *g)
{
    NODE("conv1")->param[0] = NULL;
}
static void surplus_param(struct graph *g)
{
    NODE("relu")->param[0] = PARAM("bn1.bias");
}
static void surplus_slot(struct graph *g)
{
    NODE("conv1")->param[2] = PARAM("bn1.bias");
}
static void misshapen_param(struct graph *g)
{
    NODE("conv1")->param[0] = PARAM("layer1.0.conv1.weight");
}
static void misshapen_bias(struct graph *g)
{
    NODE("fc")->param[1] = PARAM("bn1.bias");
}
static void strange_param(struct graph *g)
{
    struct param *stranger = NEW(g->arena, struct param);
    *stranger = *PARAM("bn1.bias");
    NODE("bn1")->param[1] = stranger;
}
static void recipe_without_sources(struct graph *g)
{
    derive(g, PARAM_FOLD_SCALE, channels, PARAM("bn1.weight"), NULL, NULL, 1e-5);
}
static void recipe_without_eps(struct graph *g)
{
    derive(g, PARAM_FOLD_SCALE, channels, PARAM("bn1.weight"), PARAM("bn1.bias"), NULL, 0);
}
static void recipe_of_wrong_shape(struct graph *g)
{
    derive(g, PARAM_FOLD_WEIGHT, (struct shape){1, {3}}, PARAM("fc.weight"), PARAM("fc.bias"), PARAM("fc.bias"), 1e-5);
}
static void recipe_of_wrong_scale(struct graph *g)
{
    derive(g, PARAM_FOLD_WEIGHT, PARAM("fc.weight")->shape, PARAM("fc.weight"), PARAM("bn1.bias"), PARAM("fc.bias"),
           1e-5);
}
static void recipe_without_numbers(struct graph *g)
{
    derive(g, PARAM_CONSTANT, channels, NULL, NULL, NULL, 0);
}
static void recipe_of_itself(struct graph *g)
{
    struct param *p = derive(g, PARAM_FOLD_SCALE, channels, PARAM("bn1.weight"), PARAM("bn1.bias"), NULL, 1e-5);
    p->from[0] = p;
}

/* ---- epilogues, inputs, outputs ---- */
static void epilogue_of_pool(struct graph *g)
{
    add_epilogue(g, NODE("relu"), OP_max_pool, NULL);
}
static void epilogue_without_operand(struct graph *g)
{
    add_epilogue(g, NODE("relu"), OP_mul, NULL);
}
static void epilogue_with_operand(struct graph *g)
{
    add_epilogue(g, NODE("relu"), OP_relu, NODE("conv1"));
}
static void epilogue_of_other_shape(struct graph *g)
{
    add_epilogue(g, NODE("layer1.0.add"), OP_add, NODE("conv1"));
}
static void too_many_epilogues(struct graph *g)
{
    struct node *conv = NODE("conv1");
    conv->n_epilogue = MOST_EPILOGUES + 1;
    conv->epilogue = NEW_ARRAY(g->arena, struct epilogue, conv->n_epilogue);
    for (int i = 0; i < conv->n_epilogue; i++) {
        conv->epilogue[i] = (struct epilogue){OP_relu, NULL};
    }
}
static void epilogue_of_other_channels(struct graph *g)
{
    add_epilogue(g, NODE("slice"), OP_mul, NODE("layer1.0.se.sigmoid"));
}
static void forget_input(struct graph *g)
{
    g->n_input = 0;
}
static void invent_input(struct graph *g)
{
    g->input[0].node = NODE("conv1");
}
static void other_crop(struct graph *g)
{
    g->input[0].step[4].size[0] = 31;
}
static void no_normalize(struct graph *g)
{
    g->input[0].n_step--;
}
static void no_output(struct graph *g)
{
    g->n_output = 0;
}
static void lost_output(struct graph *g)
{
    struct node *stranger = NEW(g->arena, struct node);
    *stranger = *NODE("fc");
    g->output[0].node = stranger;
}
static void lost_labels(struct graph *g)
{
    g->output[0].labels = NULL;
}

/* ---- layouts, schedules, storages ---- */
static void one_layout(struct graph *g)
{
    NODE("relu")->type.layout = (struct layout){LAYOUT_PLAIN, 16, 0, 0};
}
static void one_without_layout(struct graph *g)
{
    set_layouts(g);
    NODE("relu")->type.layout.kind = LAYOUT_NONE;
}
static void blocks_of_vector(struct graph *g)
{
    set_layouts(g);
    NODE("fc")->type.layout.kind = LAYOUT_BLOCKS;
}
static void odd_block(struct graph *g)
{
    set_layouts(g);
    NODE("relu")->type.layout.block = 8;
}
static void long_segment(struct graph *g)
{
    set_layouts(g);
    NODE("relu")->type.layout.seg = 65;
}
static void plain_halo(struct graph *g)
{
    set_layouts(g);
    NODE("fc")->type.layout.halo = 1;
}
static void other_algorithm(struct graph *g)
{
    NODE("relu")->algorithm = ALGORITHM_direct;
}
static void spread_one_group(struct graph *g)
{
    NODE("conv1")->algorithm = ALGORITHM_spread;
}
static void negative_band(struct graph *g)
{
    NODE("conv1")->algorithm = ALGORITHM_direct;
    NODE("conv1")->schedule.band = -1;
}
static void schedule_alone(struct graph *g)
{
    NODE("conv1")->schedule.band = 1;
}
static void one_storage(struct graph *g)
{
    set_storages(g);
    NODE("relu")->storage = NULL;
}
static void storage_without_owner(struct graph *g)
{
    set_storages(g);
    NODE("relu")->storage->owner = NODE("bn1");
}
static void small_storage(struct graph *g)
{
    set_storages(g);
    NODE("relu")->storage->bytes--;
}
static void view_behind_the_end(struct graph *g)
{
    set_storages(g);
    struct node *slice = NODE("slice2"); /* 38 of 64 channels: three blocks of four */
    slice->storage = slice->in[0]->storage;
    slice->lead = 2;
}
static void storage_without_layout(struct graph *g)
{
    set_storages(g);
    for (size_t i = 0; i < g->n_node; i++) {
        g->node[i]->type.layout = (struct layout){0};
    }
}

static const struct {
    const char *check;
    const char *name;
    void (*mutate)(struct graph *);
} mutations[] = {
#define M(check, mutate) {check, #mutate, mutate}
    M("graph_order", break_ids),
    M("graph_order", break_param_ids),
    M("graph_order", swap_nodes),
    M("graph_order", read_a_stranger),
    M("graph_order", read_itself),
    M("graph_order", read_later),
    M("graph_names", name_twice),
    M("graph_names", name_nothing),
    M("graph_names", name_param_twice),
    M("graph_names", name_output_twice),
    M("graph_arity", drop_input),
    M("graph_arity", drop_value),
    M("graph_types", change_type),
    M("graph_types", change_type_rank),
    M("graph_types", change_stride),
    M("conv_groups_divide_input", change_groups),
    M("permute_axes", change_axes),
    M("graph_params", drop_param),
    M("graph_params", surplus_param),
    M("graph_params", surplus_slot),
    M("graph_params", misshapen_param),
    M("graph_params", misshapen_bias),
    M("graph_params", strange_param),
    M("graph_recipes", recipe_without_sources),
    M("graph_recipes", recipe_without_eps),
    M("graph_recipes", recipe_of_wrong_shape),
    M("graph_recipes", recipe_of_wrong_scale),
    M("graph_recipes", recipe_without_numbers),
    M("graph_recipes", recipe_of_itself),
    M("graph_epilogues", epilogue_of_pool),
    M("graph_epilogues", epilogue_without_operand),
    M("graph_epilogues", epilogue_with_operand),
    M("graph_epilogues", epilogue_of_other_shape),
    M("graph_epilogues", too_many_epilogues),
    M("graph_epilogues", epilogue_of_other_channels),
    M("graph_inputs", forget_input),
    M("graph_inputs", invent_input),
    M("graph_inputs", other_crop),
    M("graph_inputs", no_normalize),
    M("graph_outputs", no_output),
    M("graph_outputs", lost_output),
    M("graph_outputs", lost_labels),
    M("graph_layouts", one_layout),
    M("graph_layouts", one_without_layout),
    M("graph_layouts", blocks_of_vector),
    M("graph_layouts", odd_block),
    M("graph_layouts", long_segment),
    M("graph_layouts", plain_halo),
    M("graph_schedules", other_algorithm),
    M("graph_schedules", spread_one_group),
    M("graph_schedules", negative_band),
    M("graph_schedules", schedule_alone),
    M("graph_storage", one_storage),
    M("graph_storage", storage_without_owner),
    M("graph_storage", small_storage),
    M("graph_storage", view_behind_the_end),
    M("graph_storage", storage_without_layout),
#undef M
};
/* clang-format on */

Test(graph_verify, every_mutation_is_found_once_and_under_its_name)
{
    for (size_t i = 0; i < LENGTH(mutations); i++) {
        struct fixture f = fixture_small();
        const char *report;
        mutations[i].mutate(f.graph);
        cr_expect_not(graph_verify(f.diags, f.graph), "%s", mutations[i].name);
        cr_expect(fixture_failed(&f, mutations[i].check, &report), "%s: %s is expected, not\n%s", mutations[i].name,
                  mutations[i].check, report);
        fixture_free(&f);
    }
}

Test(graph_verify, derived_parameters_epilogues_and_views_are_allowed)
{
    struct fixture f = fixture_small();
    struct graph *g = f.graph;
    set_storages(g);
    struct node *conv = NODE("conv1"), *add = NODE("layer1.0.add"), *slice = NODE("slice2");
    conv->param[0] = derive(g, PARAM_FOLD_WEIGHT, conv->param[0]->shape, conv->param[0], PARAM("bn1.weight"),
                            PARAM("bn1.running_var"), 1e-5);
    add_epilogue(g, add, OP_mul, NODE("layer1.0.se.sigmoid"));
    slice->storage = slice->in[0]->storage;
    slice->lead = 1;
    cr_assert(graph_verify(f.diags, g), "%s", fixture_report(&f));
    fixture_free(&f);
}
