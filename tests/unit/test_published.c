/* Published facts: every line of netdefs/published.tsv is read, facts are found by what a network's values mean, and whatever is
 * wrong in such a file is a warning at its place that costs one line. */
#include "graph_fixture.h"
#include "sweep/published.h"

#include <criterion/criterion.h>
#include <unistd.h>

/* The values of `what` about a network, in the file's order, from sources that begin with `source`: "23.9 21.2". */
static const char *values(struct fixture *f, const struct published *p, const char *network, const char *parameters,
                          const char *what, const char *source)
{
    json_t *object = parameters ? json_loads(parameters, 0, NULL) : NULL;
    json_t *facts = published_facts(p, network, object), *fact;
    struct text out = {.arena = f->arena};
    size_t i;
    cr_assert(object || !parameters);
    json_array_foreach(facts, i, fact)
    {
        if (strcmp(json_string_value(json_object_get(fact, "what")), what) == 0 &&
            strncmp(json_string_value(json_object_get(fact, "source")), source, strlen(source)) == 0)
            text_add(&out, "%s%g", out.length ? " " : "", json_real_value(json_object_get(fact, "value")));
    }
    json_decref(facts);
    json_decref(object);
    return text_string(&out);
}

#define expect(wanted, ...)                                             \
    do {                                                                \
        const char *got = values(__VA_ARGS__);                          \
        cr_assert_str_eq(got, wanted, "%s instead of %s", got, wanted); \
    } while (0)

Test(published, all_is_read)
{
    struct fixture f = fixture_new();
    struct published *p = published_open(f.arena, f.diags, "netdefs");
    cr_assert_str_empty(fixture_report(&f));
    expect("22.2", &f, p, "resnext50_32x4d", NULL, "top1_error", "ResNeXt (arXiv 1611.05431), table 3");
    expect("", &f, p, "resnext50", NULL, "top1_error", "");
    fixture_free(&f);
}

Test(published, facts_by_meaning)
{
    static const char row[] = "ResNeXt (arXiv 1611.05431), table 3";
    struct fixture f = fixture_new();
    struct published *p = published_open(f.arena, f.diags, "netdefs");
    expect("23.9", &f, p, "resnext50_32x4d", "{\"cardinality\": 1, \"width\": 64.0}", "top1_error", row);
    expect("23.9", &f, p, "resnet50", "{}", "top1_error", row);
    expect("22", &f, p, "resnext50_32x4d", "{\"cardinality\": 1, \"width\": 64, \"blocks\": \"[3, 4, 23, 3]\"}",
           "top1_error", row);
    expect("22", &f, p, "resnet50", "{\"blocks\": [3, 4, 23, 3], \"shorter\": 232, \"features\": true}", "top1_error",
           row);
    expect("", &f, p, "resnext50_32x4d", "{\"cardinality\": 1}", "top1_error", row);
    expect("", &f, p, "resnet50", "{\"classes\": 10}", "top1_error", "");
    /* A size of pictures belongs to accuracies and multiply-adds, and not to parameters. */
    expect("20.4", &f, p, "resnext101_64x4d", NULL, "top1_error", "ResNeXt (arXiv 1611.05431), table 4");
    expect("19.1", &f, p, "resnext101_64x4d", "{\"image\": 320}", "top1_error", "");
    expect("25.7 25.7", &f, p, "res2net50_48w_2s", "{\"scale\": 4, \"width\": 26, \"image\": 64}", "params", "");
    expect("", &f, p, "res2net50_26w_4s", "{\"image\": 64}", "gmacs", "");
    /* radix 0 is ResNet-50-D, whose stem_width the other lacks. */
    expect("79.41 79.15", &f, p, "resnet50d", NULL, "top1_accuracy", "ResNeSt");
    expect("", &f, p, "resnet50d", "{\"stem_width\": 64}", "top1_accuracy", "");
    expect("81.14 81.17", &f, p, "resnest50_fast_1s2x40d", "{\"radix\": 4}", "top1_accuracy", "ResNeSt, ablation.md");
    fixture_free(&f);
}

Test(published, what_a_fact_tells)
{
    struct fixture f = fixture_new();
    struct published *p = published_open(f.arena, f.diags, "netdefs");
    json_t *facts = published_facts(p, "resnext29_8x64d", NULL), *fact = json_array_get(facts, 1);
    json_t *wanted =
        json_pack("{s:s, s:f, s:s, s:s, s:s, s:i, s:n, s:s, s:s, s:s}", "what", "top1_error", "value", 3.65, "unit",
                  "%", "source", "ResNeXt (arXiv 1611.05431), table 7", "data", "CIFAR-10", "image", 32, "hardware",
                  "conditions", "mean of 10 runs", "how", "second-hand", "network", "resnext29_8x64d");
    cr_assert(json_equal(fact, wanted), "%s", json_dumps(fact, JSON_INDENT(2)));
    json_decref(wanted);
    json_decref(facts);
    fixture_free(&f);
}

/* ---- files with faults ---- */

#define NAMES "network\tparameters\timage\tquantity\tvalue\tdata\thardware\tconditions\tsource\thow\n"
#define GOOD  "small\twidth=8\t32\ttop1_error\t7.5 %\tCIFAR-10\t\t\ta paper\n"

static void write_file(struct fixture *f, const char *folder, const char *name, const char *text)
{
    FILE *out = fopen(arena_printf(f->arena, "%s/%s", folder, name), "w");
    cr_assert(out && fputs(text, out) >= 0 && fclose(out) == 0);
}

static const char *folder_with(struct fixture *f, const char *text)
{
    char *folder = arena_printf(f->arena, "%s", "build/published-XXXXXX");
    cr_assert(mkdtemp(folder));
    write_file(f, folder, "small.net",
               "net small(width = 4, image = 32, double = width * 2) { input x [3, image, image] output y = x |> "
               "conv(width, 3) }\n");
    write_file(f, folder, "other.net",
               "net other(depth = 1, image = 32) { input x [3, image, image] output y = x |> conv(8, 3) }\n");
    if (text)
        write_file(f, folder, "published.tsv", text);
    return folder;
}

static void remove_folder(struct fixture *f, const char *folder)
{
    static const char *const name[] = {"small.net", "other.net", "published.tsv"};
    for (size_t i = 0; i < LENGTH(name); i++)
        unlink(arena_printf(f->arena, "%s/%s", folder, name[i]));
    rmdir(folder);
}

/* The fault at its place is the only one, and the good line behind it is read. */
static void expect_fault(const char *text, const char *place, const char *check)
{
    struct fixture f = fixture_new();
    const char *folder = folder_with(&f, text), *report;
    struct published *p = published_open(f.arena, f.diags, folder);
    remove_folder(&f, folder);
    const char *at = arena_printf(f.arena, "published.tsv:%s: warning: ", place);
    cr_assert(fixture_failed(&f, check, &report) && strstr(report, at), "[%s] at %s expected:\n%s", check, place,
              report);
    bool rest = strstr(text, GOOD);
    cr_assert_str_eq(values(&f, p, "small", "{\"width\": 8}", "top1_error", "a paper"), rest ? "7.5" : "", "%s",
                     report);
    cr_assert_eq(diag_errors(f.diags), 0);
    fixture_free(&f);
}

Test(published, faults_have_places)
{
    expect_fault("net\tparameters\n", "1:1", "published_line");
    expect_fault("network\tparameters\timage\tvalue\n", "1:26", "published_line");
    expect_fault(NAMES "small\twidth=8\t32\ttop1_error\t7 %\tCIFAR-10\t\t\ta paper\tseen\tmore\n" GOOD, "2:56",
                 "published_line");
    expect_fault(NAMES "small\twidth=8\t32\ttop1_error\t7 %\n" GOOD, "2:32", "published_line");
    expect_fault(NAMES "# a comment\n\nsmal\t\t\tparams\t7 M\t\t\t\ta paper\n" GOOD, "4:1", "published_network");
    expect_fault(NAMES "../small\t\t\tparams\t7 M\t\t\t\ta paper\n" GOOD, "2:1", "published_network");
    expect_fault(NAMES "small\tdepth=8\t\tparams\t7 M\t\t\t\ta paper\n" GOOD, "2:7", "published_network");
    expect_fault(NAMES "small\timage=8 width\t\tparams\t7 M\t\t\t\ta paper\n" GOOD, "2:15", "published_network");
    expect_fault(NAMES "small\t\t\ttop1_eror\t7 %\t\t\t\ta paper\n" GOOD, "2:9", "published_value");
    expect_fault(NAMES "small\t\t\ttop1_error\t7%\t\t\t\ta paper\n" GOOD, "2:20", "published_value");
    expect_fault(NAMES "small\t\t\tparams\t7.5.1 M\t\t\t\ta paper\n" GOOD, "2:16", "published_value");
    expect_fault(NAMES "small\t\t\tparams\t0 M\t\t\t\ta paper\n" GOOD, "2:16", "published_value");
    expect_fault(NAMES "small\t\t32x32\tparams\t7 M\t\t\t\ta paper\n" GOOD, "2:8", "published_value");
    expect_fault(NAMES "small\twidth=8\t\tsame_as\tlarge\n" GOOD, "2:24", "published_network");
    expect_fault(NAMES "small\twidth=8\t\tsame_as\tother\n" GOOD, "2:7", "published_network");
    expect_fault(NAMES "other\twidht=8\t\tsame_as\tsmall\n" GOOD, "2:7", "published_network");
    expect_fault(NAMES GOOD "other\twidth=8\t\tsame_as\tsmall\nsmall\t\t\tsame_as\tother\n", "4:17",
                 "published_network");
}

Test(published, file_that_is_missing)
{
    struct fixture f = fixture_new();
    const char *folder = folder_with(&f, NULL), *report;
    struct published *p = published_open(f.arena, f.diags, folder);
    remove_folder(&f, folder);
    cr_assert(fixture_failed(&f, "file_read", &report) && strstr(report, "published.tsv"), "%s", report);
    expect("", &f, p, "small", NULL, "params", "");
    fixture_free(&f);
}

/* What the one lacks is at its default there; a default that is an expression meets all. */
Test(published, same_networks)
{
    struct fixture f = fixture_new();
    const char *folder =
        folder_with(&f, NAMES "other\twidth=8\t\tsame_as\tsmall\r\n" GOOD "other\tdepth=2\t\tparams\t2e0 M\t\t\t\tb\n"
                              "other\tdepth=2\t\tparams\t2.0 M\t\t\t\tb");
    struct published *p = published_open(f.arena, f.diags, folder);
    remove_folder(&f, folder);
    expect("7.5", &f, p, "other", NULL, "top1_error", "");
    expect("7.5", &f, p, "other", "{\"depth\": 1, \"image\": 32}", "top1_error", "");
    expect("", &f, p, "other", "{\"depth\": 2}", "top1_error", "");
    expect("", &f, p, "other", "{\"image\": 64}", "top1_error", "");
    expect("7.5", &f, p, "small", "{\"width\": 8, \"double\": 16}", "top1_error", "");
    expect("2", &f, p, "other", "{\"depth\": 2, \"image\": 64}", "params", "");
    expect("", &f, p, "small", "{\"width\": 8}", "params", "");
    fixture_free(&f);
}
