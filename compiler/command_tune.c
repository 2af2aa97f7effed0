/* netc tune: measures schedules on the processor at hand and writes those that win into a file, which `--tuned` takes.
 *
 * What would surprise: a signal ends the measuring and not the work. What was found until then is written and told, and then
 * the run ends by that signal, so that a script around it ends, too. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "children.h"
#include "netc.h"
#include "progress.h"
#include "tune/tune.h"

struct tuned *open_tuned(struct netc *n)
{
    const struct options *o = &n->options;
    struct tuned *t = tuned_read(n->perm, n->diags, o->tuned);
    bool fits = t && !o->set && t->target == o->target;
    for (int i = 0; t && o->set && o->set->member[i]; i++)
        fits = fits || strcmp(o->set->member[i], t->target->name) == 0;
    if (!t || fits)
        return t;
    diag_error_file(n->diags, CHECK_tuned_target, o->tuned,
                    "these schedules were measured for %s, this is for %s: name a file that was tuned for it, or "
                    "--target=%s",
                    t->target->name, o->set ? o->set->name : o->target->name, t->target->name);
    return NULL;
}

/* ---- told ---- */

static int by_gain(const void *a, const void *b)
{
    const struct kind *x = *(const struct kind *const *)a, *y = *(const struct kind *const *)b;
    double gain_x = x->layers * (x->model_seconds - kind_best_seconds(x)),
           gain_y = y->layers * (y->model_seconds - kind_best_seconds(y));
    return gain_x != gain_y ? (gain_x < gain_y) - (gain_x > gain_y) : strcmp(x->signature, y->signature);
}

static void tell(struct text *t, const struct tuning *g, const char *path)
{
    double model, best;
    const struct kind **order = NEW_ARRAY(t->arena, const struct kind *, g->n_kind + 1);
    size_t measured = 0, better = 0;
    for (size_t i = 0; i < g->n_kind; i++)
        if (g->kind[i].model_seconds) {
            order[measured++] = &g->kind[i];
            better += g->kind[i].best > 0;
        }
    qsort(order, measured, sizeof *order, by_gain);
    if (better)
        text_add(t, "layers  model ms   best ms    less  kernel, by the model and tuned\n");
    for (size_t i = 0; i < better; i++) {
        const struct kind *k = order[i];
        text_add(t, "%6d %9.4f %9.4f %5.1f %%  %s  %s", k->layers, 1e3 * k->model_seconds, 1e3 * kind_best_seconds(k),
                 100 * (1 - kind_best_seconds(k) / k->model_seconds), kernel_name(t->arena, k->node, g->target),
                 schedule_words(t->arena, k->node, &k->trial[0].schedule));
        text_add(t, " -> %s\n", schedule_words(t->arena, k->node, &k->trial[k->best].schedule));
    }
    tuning_total(g, &model, &best);
    text_add(t,
             "%s for %s: %d schedules of %zu kernels in %.0f s, %zu of them better than the model's by more than the "
             "noise\n%.3f ms by the model, %.3f ms tuned (one thread, the layers that have schedules): the model alone "
             "comes within %.1f %%\n%s is written: netc build --tuned=%s\n",
             g->graph->name, g->target->name, g->tried, measured, g->took, better, 1e3 * model, 1e3 * best,
             100 * (model / best - 1), path, path);
}

/* ---- the file ---- */

static bool write_tuned(struct netc *n, const struct tuning *g, const char *path, const char *fresh)
{
    struct text t = {.arena = n->module};
    struct tuned_about about = {g->graph->name, n->options.described, g->target, g->took, g->tried};
    tuned_print(&t, &about, g->kind, g->n_kind);
    if (!write_file(n->diags, fresh, path, text_string(&t), t.length))
        return false;
    if (rename(fresh, path) == 0)
        return true;
    diag_error_file(n->diags, CHECK_build_write, path, "cannot be written: %s", strerror(errno));
    return false;
}

static bool find_tools(struct netc *n, struct library_maker *m)
{
    const char *why = NULL;
    m->directory = temporary_directory(NULL);
    if (!m->directory) {
        diag_error_file(n->diags, CHECK_build_write, "netc", "no temporary directory can be made: %s", strerror(errno));
        return false;
    }
    m->compiler = find_clang(n->perm, m->directory, &why);
    m->cache = find_program(n->perm, "ccache");
    if (!m->compiler && !temporary_interrupted())
        diag_error_file(n->diags, CHECK_build_compiler, "netc", "%s", why);
    return m->compiler;
}

/* Anything that was measured is worth a file; nothing at all is none. */
static bool was_measured(const struct tuning *g)
{
    double model, best;
    tuning_total(g, &model, &best);
    return model > 0 || g->n_kind == 0;
}

static bool measure_and_write(struct netc *n, struct tuning *g, struct text *out)
{
    const char *path = n->options.output ? n->options.output : arena_printf(n->perm, "%s.tuned", g->graph->name), *why;
    const char *fresh = claim_file(n->perm, path, &why);
    if (!fresh) {
        diag_error_file(n->diags, CHECK_build_write, path, "cannot be written: %s", why);
        return false;
    }
    if (!find_tools(n, &g->maker) || !tune_search(g) || !was_measured(g) || !write_tuned(n, g, path, fresh))
        return false;
    tell(out, g, path);
    if (temporary_interrupted()) { /* the run ends before others print */
        fputs(text_string(out), stdout);
        fflush(stdout);
    }
    return true;
}

bool command_tune(struct netc *n, struct text *out)
{
    const struct options *o = &n->options;
    struct graph *g = elaborate(n);
    if (!g || !run_passes(g, &n->context, NULL, NULL))
        return false;
    g->name = o->name ? o->name : g->name;
    struct tuning t = {
        .arena = n->module,
        .scratch = n->scratch,
        .diags = n->diags,
        .target = n->context.target,
        .graph = g,
        .program = lower(g, &n->context),
        .seconds = o->seconds,
        .maker = {.diags = n->diags, .target = n->context.target, .jobs = o->jobs ? o->jobs : usable_cores()}};
    temporary_begin();
    bool good = measure_and_write(n, &t, out);
    progress_end();
    temporary_end();
    return good;
}
