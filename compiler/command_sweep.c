/* netc sweep: its steps on one screen. */
#include <string.h>

#include "build.h"
#include "children.h"
#include "progress.h"
#include "show.h"
#include "sweep/report.h"
#include "sweep/sweep.h"

static bool find_compiler(struct sweep *s)
{
    const char *why = NULL, *directory = temporary_directory(NULL);
    const char *clang = directory ? find_clang(s->arena, directory, &why) : NULL;
    s->compiler = clang ? program_output(s->arena, directory, clang, "--version") : "";
    if (directory)
        temporary_remove(directory);
    if (!clang && !temporary_interrupted())
        diag_error_file(s->diags, CHECK_build_compiler, "netc", "%s", why ? why : "no temporary directory can be made");
    return clang;
}

static bool store_all(struct sweep *s)
{
    bool good = store_begin(s->store);
    for (size_t i = 0; good && i < s->n_variant; i++)
        good = store_variant(s->store, s, &s->variant[i]);
    return good && store_commit(s->store);
}

/* All that takes long. False after a diagnostic or a signal; what is known by then is told all the same. */
static bool explore(struct sweep *s)
{
    bool measure = s->options->sweep.measure;
    if (!reference_open(s) || (measure && !s->options->sweep.slurm && !find_compiler(s)))
        return false;
    bool walked = space_walk(s);
    solve_latency_end(s);
    if (!walked || !store_all(s) || (measure && !(s->options->sweep.slurm ? slurm_variants(s) : measure_variants(s))))
        return false;
    if (s->options->sweep.train && !train_variants(s))
        return false;
    return !temporary_interrupted();
}

static bool tell(struct sweep *s, struct text *out)
{
    const struct options *o = s->options;
    json_t *all = sweep_json(s);
    if (o->json)
        put_json(out, json_incref(all));
    else
        (o->sweep.csv ? sweep_csv : sweep_table)(out, all);
    bool good = !o->sweep.html || sweep_report(s->diags, o->sweep.html, all);
    json_decref(all);
    return good && !diag_errors(s->diags); /* of the database, too, whose results are read here */
}

/* Where no variant is a network the first one's fault is the sweep's. */
static bool any_good(struct sweep *s)
{
    const struct swept *fault = NULL;
    for (size_t i = 0; i < s->n_variant; i++) {
        if (s->variant[i].status != VARIANT_FAILED)
            return true;
        fault = fault ? fault : &s->variant[i];
    }
    if (fault)
        diag_error_file(s->diags, CHECK_sweep_parameter, s->options->file, "every variant failed; %s: %s", fault->name,
                        fault->reason);
    else
        diag_error_file(s->diags, CHECK_sweep_parameter, s->options->file, "no variant meets --where");
    return false;
}

bool command_sweep(struct netc *n, struct text *out)
{
    const struct options *o = &n->options;
    struct sweep s = {.netc = n,
                      .arena = n->perm,
                      .scratch = n->scratch,
                      .diags = n->diags,
                      .options = o,
                      .compiler = "",
                      .threads = o->threads ? o->threads : usable_cores()};
    if (!space_open(&s) || !(s.store = store_open(n->perm, n->diags, o->sweep.db)))
        return false;
    temporary_begin();
    bool good = explore(&s);
    progress_end();
    if (s.n_variant)
        good = tell(&s, out) && good;
    good = good && any_good(&s);
    store_close(s.store);
    space_close(&s);
    if (!good) { /* what is known is told all the same, and before a signal ends the run */
        fputs(text_string(out), stdout);
        fflush(stdout);
    }
    temporary_end();
    return good;
}
