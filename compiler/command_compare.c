/* netc compare: two or more networks, or variants of one, side by side.
 *
 * What would surprise: with --measure a signal ends the run without a table, as half a comparison is none. */
#include <string.h>

#include "build.h"
#include "children.h"
#include "compare/compare.h"
#include "measured.h"
#include "netc.h"
#include "progress.h"

/* ---- one network ---- */

static bool is_ir(const char *file)
{
    size_t n = strlen(file);
    return n > 3 && strcmp(file + n - 3, ".ir") == 0;
}

/* Its weights and workspace are those of the program: it is compiled as far as C would be written. */
static bool take_sizes(struct netc *n, struct compared *c, struct graph *g)
{
    struct program *p = compile(n, g);
    if (!p)
        return false;
    c->weights_bytes = p->weights_bytes;
    c->workspace_bytes = p->workspace_bytes;
    return true;
}

static bool take_network(const struct netc *n, struct compared *c)
{
    struct netc own = *n;
    struct front_options *front = &own.options.front;
    struct net_question question = {.unmet = -1};
    own.options.file = front->file = c->argument->file;
    front->define = c->define;
    front->n_define = c->n_define;
    front->question = &question;
    if (is_ir(front->file) && c->argument->n_define) {
        diag_error_file(n->diags, CHECK_define_unknown, c->argument->text, "graph IR has no parameters");
        return false;
    }
    struct graph *g = elaborate(&own);
    if (!g)
        return false;
    c->file = find_network(n->perm, front).shown;
    c->network = g->name;
    c->parameter = question.parameter;
    c->n_parameter = question.n_parameter;
    c->stages = find_stages(g);
    c->params = graph_params(g);
    c->macs = graph_macs(g);
    c->activations = graph_activations(g);
    return take_sizes(&own, c, g);
}

/* All of them, so that every fault is told at once. */
static bool take_networks(struct netc *n, struct comparison *c)
{
    const struct options *o = &n->options;
    bool good = true, *used = NEW_ARRAY(n->module, bool, o->front.n_define + 1);
    for (int i = 0; i < c->n; i++) {
        struct compared *at = &c->network[i];
        at->argument = o->compared[i];
        at->define = compared_definitions(n->module, &o->front, at->argument, &at->n_define, used);
        if (take_network(n, at))
            continue;
        diag_note(n->diags, NO_SPAN, "%c of this comparison is %s", letter_of(i), at->argument->text);
        good = false;
    }
    if (good)
        report_unused(n->module, n->diags, &o->front, used, o->compared, c->n);
    return good && diag_errors(n->diags) == 0;
}

/* ---- measuring ---- */

static bool measure(struct netc *n, struct comparison *c)
{
    const struct options *o = &n->options;
    struct measuring measuring = {n->module, n->module, o, o->jobs ? o->jobs : usable_cores()};
    struct measure_job job = {n->module, n->diags, c, &measuring};
    int threads = o->threads ? o->threads : usable_cores();
    c->processor = processor_name(n->module);
    c->cores = usable_cores();
    c->system = system_name(n->module);
    c->rounds = o->sweep.rounds;
    c->threads[0] = 1;
    c->threads[1] = threads > 1 ? threads : 0;
    temporary_begin();
    bool good = measure_networks(&job);
    progress_end();
    temporary_end();
    return good;
}

bool command_compare(struct netc *n, struct text *out)
{
    const struct options *o = &n->options;
    struct comparison c = {.network = NEW_ARRAY(n->module, struct compared, MOST_COMPARED),
                           .n = o->n_compared,
                           .batch = o->front.batch,
                           .target = o->target,
                           .options = o->described};
    if (!take_networks(n, &c))
        return false;
    align_stages(n->module, &c);
    if (o->sweep.measure && !measure(n, &c))
        return false;
    if (o->sweep.csv)
        comparison_csv(out, &c);
    else if (o->json)
        comparison_json(out, &c);
    else
        comparison_table(out, &c);
    return true;
}
