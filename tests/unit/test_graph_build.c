/* Building and editing graphs: names, uses, replacing, removing, order. */
#include "graph_fixture.h"

#include <criterion/criterion.h>

static const struct attrs none;

Test(graph_names, are_made_of_path_and_operator)
{
    struct fixture f = fixture_new();
    struct node *x = fixture_input(&f, "pixels", (struct shape){3, {8, 4, 4}});
    cr_expect_str_eq(x->name, "pixels");
    cr_expect_str_eq(fixture_conv(&f, x, "layer1.0.conv1", 8, 1, 1, 1)->name, "layer1.0.conv1");
    cr_expect_str_eq(fixture_norm(&f, x, "layer1.0.bn1")->name, "layer1.0.bn1");
    cr_expect_str_eq(fixture_relu(&f, x, "layer1.0")->name, "layer1.0.relu");
    cr_expect_str_eq(fixture_relu(&f, x, "layer1.0")->name, "layer1.0.relu2");
    cr_expect_str_eq(fixture_relu(&f, x, "layer1.0")->name, "layer1.0.relu3");
    cr_expect_str_eq(fixture_relu(&f, x, "")->name, "relu");
    cr_expect_str_eq(fixture_relu(&f, x, "")->name, "relu2");
    cr_expect_str_eq(fixture_conv(&f, x, "layer1.0.conv1", 8, 1, 1, 1)->name, "layer1.0.conv1.conv");
    cr_expect_str_eq(fixture_conv(&f, x, "layer1.0.conv1", 8, 1, 1, 1)->name, "layer1.0.conv1.conv2");
    cr_expect_str_eq(fixture_conv(&f, x, "layer1.0.relu4", 8, 1, 1, 1)->name, "layer1.0.relu4");
    cr_expect_str_eq(fixture_relu(&f, x, "layer1.0")->name, "layer1.0.relu5");
    struct node *given = graph_add(f.graph, f.diags, OP_convert, &x, 1, &none, "", "pixels", nowhere);
    cr_expect_str_eq(given->name, "pixels2");
    cr_expect_eq(graph_find_node(f.graph, "pixels2"), given);
    cr_expect_null(graph_find_node(f.graph, "pixels3"));
    fixture_free(&f);
}

Test(graph_names, the_path_follows_from_a_name)
{
    cr_expect_str_eq(node_default_path(OP_conv, "layer1.0.conv1"), "layer1.0.conv1");
    cr_expect_str_eq(node_default_path(OP_relu, "layer1.0.relu12"), "layer1.0");
    cr_expect_str_eq(node_default_path(OP_relu, "layer1.0.reluctant"), "");
    cr_expect_str_eq(node_default_path(OP_relu, "relu2"), "");
    cr_expect_str_eq(node_default_path(OP_input, "pixels"), "");
}

Test(graph_names, thousands_are_quick, .timeout = 10)
{
    struct fixture f = fixture_new();
    struct node *x = fixture_input(&f, "x", (struct shape){3, {8, 4, 4}});
    for (int i = 0; i < 30000; i++) {
        x = fixture_relu(&f, x, "");
        graph_param(f.graph, intern_printf("p%d", i), (struct shape){0}, nowhere);
    }
    cr_expect_str_eq(x->name, "relu30000");
    cr_expect_eq(graph_find_param(f.graph, "p29999")->id, 29999);
    cr_expect_null(graph_find_param(f.graph, "p30000"));
    fixture_output(&f, "y", x);
    cr_expect(graph_verify(f.diags, f.graph));
    fixture_free(&f);
}

Test(graph_tables, operators_and_attributes_are_found_by_name)
{
    for (int i = 0; i < OP_COUNT; i++) {
        enum op op;
        int n = 0;
        cr_assert(op_by_name(op_info((enum op)i)->name, &op));
        cr_assert_eq(op, (enum op)i);
        for (const char *p = op_info(op)->attrs; *p; p++) {
            n += p == op_info(op)->attrs || p[-1] == ' ';
        }
        for (int k = 0; k < n; k++) {
            cr_assert(op_attr(op, k), "attribute %d of %s has no row", k, op_info(op)->name);
            for (int a = 1; a < ALGORITHM_COUNT; a++) { /* else {direct ...} could be read as attributes */
                cr_assert_str_neq(op_attr(op, k)->word, algorithm_name[a]);
            }
        }
        cr_assert_null(op_attr(op, n));
    }
    cr_assert_str_eq(op_attr(OP_conv, 0)->word, "k");
    cr_assert_str_eq(op_attr(OP_avg_pool, 4)->name, "count_pad");
    cr_assert_not(op_by_name("conv2d", &(enum op){0}));
}

Test(graph_edit, uses_and_replacing)
{
    struct fixture f = fixture_new();
    struct node *x = fixture_input(&f, "x", (struct shape){3, {8, 4, 4}});
    struct node *a = fixture_relu(&f, x, ""), *b = fixture_add(&f, OP_add, a, a, none, ""),
                *c = fixture_relu(&f, b, "");
    fixture_output(&f, "y", c);
    fixture_output(&f, "z", a);
    c->epilogue = &(struct epilogue){OP_add, a};
    c->n_epilogue = 1;
    cr_expect_eq(node_uses(f.graph, a), 4);
    cr_expect_eq(node_uses(f.graph, c), 1);
    cr_expect_eq(node_uses(f.graph, x), 1);
    struct node *convert = fixture_add(&f, OP_convert, a, NULL, none, "");
    graph_replace(f.graph, a, convert);
    graph_insert_before(f.graph, b, convert);
    cr_expect_eq(node_uses(f.graph, a), 1, "the conversion goes on reading it");
    cr_expect_eq(node_uses(f.graph, convert), 4);
    cr_expect_eq(f.graph->output[1].node, convert);
    cr_expect_eq(f.graph->node[2], convert);
    cr_expect(graph_verify(f.diags, f.graph), "%s", fixture_report(&f));
    fixture_free(&f);
}

Test(graph_edit, order_only)
{
    struct fixture f = fixture_new();
    struct node *x = fixture_input(&f, "x", (struct shape){3, {8, 4, 4}}), *n[5];
    for (int i = 0; i < 5; i++) {
        n[i] = fixture_relu(&f, x, "");
    }
    graph_insert_before(f.graph, n[1], n[4]);
    const struct node *expected[] = {x, n[0], n[4], n[1], n[2], n[3]};
    for (int i = 0; i < 6; i++) {
        cr_expect_eq(f.graph->node[i], expected[i]);
        cr_expect_eq(f.graph->node[i]->id, i);
    }
    graph_insert_before(f.graph, n[3], n[0]); /* down: as fuse_epilogues does it */
    cr_expect_eq(f.graph->node[4], n[0]);
    graph_insert_before(f.graph, n[3], n[3]);
    cr_expect_eq(f.graph->node[5], n[3]);
    cr_expect_eq(f.graph->n_node, 6);
    fixture_free(&f);
}

Test(graph_edit, dead_nodes_and_parameters_go)
{
    struct fixture f = fixture_small();
    struct graph *g = f.graph;
    graph_remove_dead(g);
    size_t nodes = g->n_node, params = g->n_param;
    struct node *conv = graph_find_node(g, "layer1.0.conv1"), *dead = fixture_conv(&f, conv, "dead", 4, 1, 1, 1);
    fixture_relu(&f, dead, "");
    struct param *from[] = {graph_find_param(g, "bn1.weight"), graph_find_param(g, "bn1.running_var")};
    struct param *scale = graph_derived(g, "scale", (struct shape){1, {64}}, PARAM_FOLD_SCALE, from, 2, 1e-5);
    graph_remove_dead(g);
    cr_expect_eq(g->n_node, nodes);
    cr_expect_eq(g->n_param, params);
    cr_expect_null(graph_find_node(g, "dead"));
    cr_expect_null(graph_find_param(g, "dead.weight"));
    cr_expect_null(graph_find_param(g, "scale"));
    cr_expect(graph_verify(f.diags, g), "%s", fixture_report(&f));

    /* What only a recipe or an epilogue needs stays. */
    struct node *bn = graph_find_node(g, "bn1");
    graph_replace(g, bn, bn->in[0]);
    scale = graph_derived(g, "scale", (struct shape){1, {64}}, PARAM_FOLD_SCALE, from, 2, 1e-5);
    graph_find_node(g, "layer1.0.bn1")->param[0] = scale;
    graph_remove_dead(g);
    cr_expect_not_null(graph_find_param(g, "bn1.running_var"));
    cr_expect_null(graph_find_param(g, "bn1.bias"));
    cr_expect_null(graph_find_node(g, "bn1"));
    cr_expect(graph_verify(f.diags, g), "%s", fixture_report(&f));
    fixture_free(&f);
}

Test(graph_edit, an_unused_input_stays)
{
    struct fixture f = fixture_new();
    struct node *x = fixture_input(&f, "x", (struct shape){1, {4}});
    fixture_input(&f, "unused", (struct shape){1, {4}});
    fixture_output(&f, "y", fixture_relu(&f, x, ""));
    graph_remove_dead(f.graph);
    cr_expect_eq(f.graph->n_node, 3);
    cr_expect(graph_verify(f.diags, f.graph), "%s", fixture_report(&f));
    fixture_free(&f);
}
