/* Every network of netdefs/, after elaboration and after each graph pass: what is printed is read back to an equal
 * graph. */
#include "front/front.h"
#include "graph_fixture.h"
#include "targets/target.h"

#include <criterion/criterion.h>
#include <glob.h>

static void assert_round_trip(struct fixture *f, const char *file, const char *after, const char *once)
{
    struct graph *again = fixture_read(f, once);
    cr_assert(again, "%s after %s: %s", file, after, fixture_report(f));
    cr_assert(!strcmp(fixture_text(f, again), once), "%s after %s", file, after);
}

static void check_network(const char *file)
{
    struct fixture f = fixture_new();
    struct arena *scratch = arena_new("scratch");
    static const char *const directories[] = {"netdefs"};
    struct front_options options = {.file = file, .import_dir = directories, .n_import_dir = 1, .batch = 1};
    struct graph *graph = elaborate_file(f.arena, f.arena, f.diags, &options);
    cr_assert(graph, "%s: %s", file, fixture_report(&f));
    struct pass_context context = {
        .module = f.arena, .scratch = scratch, .diags = f.diags, .target = target_by_name("x86-64-v4"), .batch = 1, .threads = 1};
    assert_round_trip(&f, file, "elaborate", fixture_text(&f, graph));
    for (int i = 0; pass_at(i); i++) {
        cr_assert(run_pass(pass_at(i), graph, &context), "%s: %s", file, fixture_report(&f));
        assert_round_trip(&f, file, pass_at(i)->name, fixture_text(&f, graph));
    }
    arena_free(scratch);
    fixture_free(&f);
}

Test(graph_netdefs, round_trip_after_every_pass, .timeout = 300)
{
    glob_t found;
    glob("netdefs/*.net", 0, NULL, &found);
    glob("netdefs/fashion/*.net", GLOB_APPEND, NULL, &found);
    cr_assert_gt(found.gl_pathc, 1, "the tests run in the project's root");
    for (size_t i = 0; i < found.gl_pathc; i++) {
        check_network(found.gl_pathv[i]);
    }
    globfree(&found);
}
