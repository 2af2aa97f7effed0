/* `netc show --json`: the schema of grammar/GRAPH_JSON.md, read back with jansson. */
#include "graph_fixture.h"

#include <criterion/criterion.h>
#include <jansson.h>

static json_t *parse(struct fixture *f)
{
    json_error_t error;
    const char *text = graph_json(f->arena, f->graph);
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    cr_assert(object, "%s\n%s", error.text, text);
    return object;
}

static const char *as_text(struct fixture *f, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    char *copy = arena_copy(f->arena, text, strlen(text));
    free(text);
    return copy;
}

static json_t *named(json_t *list, const char *name)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (!strcmp(json_string_value(json_object_get(entry, "name")), name)) {
            return entry;
        }
    }
    cr_assert_fail("there is no %s", name);
    return NULL;
}

#define GET(object, key) as_text(&f, json_object_get(object, key))

Test(graph_json, the_operators_of_attention)
{
    struct fixture f = fixture_new();
    f.graph = fixture_read(
        &f, "graph t\nparam @k f32[4,2,1,3]\nparam @g f32[4]\nparam @h f32[4]\ninput %x f32[4,5,6]\n"
            "%k f32[4,2,1,3] = parameter @k\n%c f32[4,3,4] = convolve %x, %k {k 1x3 stride 2x1 pad 0x1 dilation 1x2 "
            "groups 2}\n"
            "%n f32[4,5,6] = group_norm %x, @g, @h {groups 2 eps 0.5}\n%p f32[4,7,8] = pad %n {pad 1 reflect}\n"
            "%u f32[4,3,9] = upsample %p {bilinear}\n%o f32[4,6,3,5] = unfold %x {k 3x2 stride 2x1 pad 1x0}\n"
            "%i f32[2] = constant [3, 0]\n%t f32[2,3,9] = take %u, %i\n%q f32[2,9,3] = permute %t {axes [0,2,1]}\n"
            "%m f32[2,3,3] = matmul %t, %q\noutput a = %c\noutput b = %o\noutput d = %m\n");
    cr_assert(f.graph, "%s", fixture_report(&f));
    json_t *object = parse(&f), *nodes = json_object_get(object, "nodes");
    static const struct {
        const char *node, *key, *value;
    } row[] = {
        {"c", "inputs", "[\"x\",\"k\"]"},
        {"c", "attributes", "{\"kernel\":[1,3],\"stride\":[2,1],\"pad\":[0,1],\"dilation\":[1,2],\"groups\":2}"},
        {"c", "macs", "288"},
        {"n", "attributes", "{\"groups\":2,\"eps\":0.5}"},
        {"n", "parameters", "{\"weight\":\"g\",\"bias\":\"h\"}"},
        {"p", "attributes", "{\"pad\":[1,1],\"reflect\":true}"},
        {"u", "attributes", "{\"bilinear\":true}"},
        {"u", "shape", "[4,3,9]"},
        {"o", "attributes", "{\"kernel\":[3,2],\"stride\":[2,1],\"pad\":[1,0],\"dilation\":[1,1]}"},
        {"t", "inputs", "[\"u\",\"i\"]"},
        {"m", "macs", "162"},
    };
    for (size_t i = 0; i < LENGTH(row); i++) {
        cr_expect_str_eq(GET(named(nodes, row[i].node), row[i].key), row[i].value);
    }
    json_decref(object);
    fixture_free(&f);
}

Test(graph_json, the_schema)
{
    struct fixture f = fixture_small();
    json_t *object = parse(&f), *nodes = json_object_get(object, "nodes");
    cr_expect_str_eq(GET(object, "schema"), "1");
    cr_expect_str_eq(GET(object, "netc"), "\"" NETC_VERSION "\"");
    cr_expect_str_eq(GET(object, "network"), "\"small\"");
    cr_expect_str_eq(GET(object, "batch"), "4");
    cr_expect_str_eq(GET(json_array_get(json_object_get(object, "inputs"), 0), "preprocess"),
                     "[{\"op\":\"swap_red_blue\"},{\"op\":\"center_box\",\"share\":0.875},"
                     "{\"op\":\"resize\",\"shorter\":36,\"filter\":\"bicubic\"},{\"op\":\"resize\",\"exact\":[34,36],"
                     "\"filter\":\"bilinear\"},"
                     "{\"op\":\"center_crop\",\"size\":[32,32],\"offset\":\"ceil\"},"
                     "{\"op\":\"normalize\",\"mean\":[0.485,0.456,0.406],\"std\":[0.229,0.224,0.225],\"range\":1.0}]");
    json_t *conv = named(nodes, "layer1.0.conv2");
    cr_expect_str_eq(GET(conv, "op"), "\"conv\"");
    cr_expect_str_eq(GET(conv, "inputs"), "[\"layer1.0.relu\"]");
    cr_expect_str_eq(GET(conv, "parameters"), "{\"weight\":\"layer1.0.conv2.weight\"}");
    cr_expect_str_eq(GET(conv, "attributes"),
                     "{\"kernel\":[3,3],\"stride\":[1,1],\"pad\":[1,1],\"dilation\":[1,1],\"groups\":32}");
    cr_expect_str_eq(GET(conv, "shape"), "[64,9,9]");
    cr_expect_str_eq(GET(conv, "path"), "\"layer1.0.conv2\"");
    cr_expect_str_eq(GET(conv, "macs"), "93312");
    cr_expect_str_eq(GET(named(nodes, "max_pool"), "attributes"),
                     "{\"kernel\":[3,3],\"stride\":[2,2],\"pad\":[1,1],\"ceil\":true}");
    cr_expect_str_eq(GET(named(nodes, "permute"), "attributes"), "{\"axes\":[0,2,1]}");
    cr_expect_str_eq(GET(named(nodes, "constant"), "attributes"), "{\"value\":[0.1]}");
    cr_expect_str_eq(GET(named(nodes, "reshape"), "attributes"), "{}");
    cr_expect_str_eq(GET(named(nodes, "slice2"), "attributes"), "{\"axis\":0,\"start\":26,\"size\":38}");
    cr_expect_eq(json_array_size(nodes), f.graph->n_node - 1, "inputs are no nodes");
    cr_expect_eq(json_array_size(json_object_get(object, "parameters")), f.graph->n_param);
    json_t *outputs = json_object_get(object, "outputs");
    cr_expect_str_eq(GET(json_array_get(outputs, 0), "value"), "\"fc\"");
    cr_expect_eq(json_array_size(json_object_get(json_array_get(outputs, 0), "labels")), 3);
    cr_expect_str_eq(GET(json_array_get(outputs, 1), "labels"), "null");
    cr_expect_str_eq(GET(json_object_get(object, "totals"), "macs"),
                     arena_printf(f.arena, "%lld", (long long)graph_macs(f.graph)));
    json_decref(object);
    fixture_free(&f);
}

Test(graph_json, numbers_are_short_and_exact)
{
    struct fixture f = fixture_small();
    cr_expect(strstr(graph_json(f.arena, f.graph), "{\"eps\": 1e-5}"));
    static const double third = 1.0 / 3;
    graph_find_node(f.graph, "constant")->value = &third;
    json_t *object = parse(&f);
    json_t *value =
        json_object_get(json_object_get(named(json_object_get(object, "nodes"), "constant"), "attributes"), "value");
    cr_expect_eq(json_real_value(json_array_get(value, 0)), third);
    json_decref(object);
    fixture_free(&f);
}

Test(graph_json, labels_that_are_no_utf8_are_replaced)
{
    struct fixture f = fixture_small();
    static const char *const labels[] = {"K\xe4rtchen", "\xed\xa0\x80", "\xf0\x9f\x98\x80\xf0\x9f"};
    f.graph->output[0].labels = labels;
    json_t *object = parse(&f),
           *read = json_object_get(json_array_get(json_object_get(object, "outputs"), 0), "labels");
    cr_expect_str_eq(json_string_value(json_array_get(read, 0)), "K\xef\xbf\xbdrtchen");
    cr_expect_str_eq(json_string_value(json_array_get(read, 2)), "\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd");
    json_decref(object);
    fixture_free(&f);
}
