/* netc show: the network at any point of the pipeline. netc list: the networks that have a name. */
#include <langinfo.h>
#include <locale.h>
#include <string.h>

#include "netc.h"
#include "show.h"

/* Was the last pass that ran one that did something? */
static void keep_last(void *data, const struct pass *pass, const char *text)
{
    (void)pass;
    *(bool *)data = strcmp(text, "(unchanged)") != 0;
}

static bool is_loop_pass(const char *name)
{
    bool found = strcmp(name, "lower") == 0;
    for (size_t i = 0; loop_pass_at(i); i++)
        found = found || strcmp(name, loop_pass_at(i)->name) == 0;
    return found;
}

bool unknown_pass(struct netc *n, const char *name)
{
    struct text t = {.arena = n->scratch};
    for (int i = 0; pass_at(i); i++)
        text_add(&t, "%s ", pass_at(i)->name);
    text_add(&t, "lower");
    for (size_t i = 0; loop_pass_at(i); i++)
        text_add(&t, " %s", loop_pass_at(i)->name);
    diag_error_file(n->diags, CHECK_unknown_pass, "netc", "there is no pass '%s'; in order they are: %s", name,
                    text_string(&t));
    return false;
}

static bool show_after(struct netc *n, struct text *t, struct graph *g, const char *after)
{
    if (is_loop_pass(after)) {
        struct program *p = run_passes(g, &n->context, NULL, NULL) ? to_program(n, g, after) : NULL;
        if (p)
            program_print(t, p);
        return p;
    }
    if (!pass_by_name(after))
        return unknown_pass(n, after);
    bool changed = true;
    if (!run_passes(g, &n->context, after, &(struct pass_watcher){keep_last, &changed}))
        return false;
    if (!changed)
        text_add(t, "# %s changed nothing\n", after);
    graph_print(t, g);
    return true;
}

/* The layers as they were written, and what the passes see in them that a reader would want to know. */
static bool show_network(struct netc *n, struct text *t, struct graph *g)
{
    struct text notes = {.arena = t->arena};
    show_layers(t, g);
    n->context.notes = &notes;
    bool fine = run_passes(g, &n->context, "merge_branches", NULL); /* the last one that has something to say */
    n->context.notes = NULL;
    if (notes.length)
        text_add(t, "\n%s", text_string(&notes));
    return fine;
}

/* Does the terminal's locale have more than ASCII? Asked without a setlocale(), which would change what isalpha() means. */
static bool utf8_locale(void)
{
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    bool utf8 = locale && strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
    if (locale)
        freelocale(locale);
    return utf8;
}

bool command_show(struct netc *n, struct text *t)
{
    const struct options *o = &n->options;
    if (o->ast)
        return print_syntax(t, n->perm, n->diags, &o->front);
    struct graph *g = elaborate(n);
    if (!g)
        return false;
    if (o->after)
        return show_after(n, t, g, o->after);
    if (o->ir)
        graph_print(t, g);
    else if (o->params)
        show_params(t, g, o->json);
    else if (o->plan) {
        struct program *p = compile(n, g);
        if (!p)
            return false;
        o->json ? show_plan_json(t, p) : show_plan(t, p, utf8_locale());
    } else if (o->json)
        text_add(t, "%s\n", graph_json(n->module, g));
    else
        return show_network(n, t, g);
    return true;
}

bool command_list(struct netc *n, struct text *t)
{
    size_t count;
    const struct network *list = list_networks(n->perm, &n->options.front, &count);
    int width = 0;
    for (size_t i = 0; i < count; i++)
        if ((int)strlen(list[i].name) > width)
            width = (int)strlen(list[i].name);
    for (size_t i = 0; i < count; i++)
        text_add(t, *list[i].about ? "%-*s  %s\n" : "%-*s%s\n", *list[i].about ? width : 0, list[i].name,
                 list[i].about);
    return true;
}
