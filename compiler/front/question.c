/* What is asked of a net beside its graph (struct net_question): the values of its parameters, and whether conditions hold.
 *
 * What would surprise: a condition that names nothing of the graph is looked at before the net's body runs, so that a net that is
 * not wanted is never faulted. */
#include "front/internal.h"

#include <string.h>

static const char *const graph_names[] = {"params", "macs", "activations"};

static int64_t graph_figure(const struct graph *g, size_t i)
{
    return i == 0 ? graph_params(g) : i == 1 ? graph_macs(g) : graph_activations(g);
}

/* As -D takes it: a string has its quotes. */
static const char *written(struct arena *arena, struct value value)
{
    struct text text = {.arena = arena};
    if (value.kind == VALUE_STRING) {
        text_add(&text, "\"%s\"", value.string);
    } else {
        value_print(&text, value);
    }
    return text_string(&text);
}

void answer_parameters(struct elaborator *e, const struct item *net, const struct argument *all)
{
    struct net_question *question = e->options->question;
    question->unmet = -1;
    question->n_parameter = net->n_param;
    question->parameter = NEW_ARRAY(e->module, struct definition, net->n_param + 1);
    for (int i = 0; i < net->n_param; i++) {
        question->parameter[i] = (struct definition){net->params->child[i]->text, written(e->module, all[i].value)};
    }
    question->value = all;
}

static bool is_parameter(const struct item *net, const char *name)
{
    for (int i = 0; i < net->n_param; i++) {
        if (net->params->child[i]->text == name) {
            return true;
        }
    }
    return false;
}

static bool names_graph(const struct item *net, const struct syntax *at)
{
    bool found = false;
    for (size_t i = 0; at && at->kind == SYNTAX_name && i < LENGTH(graph_names); i++) {
        found = found || (strcmp(at->text, graph_names[i]) == 0 && !is_parameter(net, at->text));
    }
    for (size_t i = 0; at && i < at->count && !found; i++) {
        found = names_graph(net, at->child[i]);
    }
    return found;
}

/* A scope in which a condition is evaluated. */
static void open_names(struct elaborator *e, struct frame *frame, const struct item *net, bool with_graph)
{
    const struct argument *all = e->options->question->value;
    scope_open(e, frame);
    for (size_t i = 0; with_graph && i < LENGTH(graph_names); i++) {
        bind_name(e, frame, intern(graph_names[i]), value_int(graph_figure(e->graph, i)), NO_SPAN);
    }
    scope_open(e, frame);
    for (int i = 0; i < net->n_param; i++) {
        bind_name(e, frame, net->params->child[i]->text, all[i].value, all[i].span);
    }
}

static bool holds(struct elaborator *e, const struct item *net, const char *condition, bool with_graph)
{
    size_t length = strlen(condition);
    int file = source_add("--where", "--where", arena_printf(e->perm, "%s", condition), length);
    struct syntax *root =
        check_encoding(e->diags, file) ? parse_source(e->perm, e->module, e->diags, file, true) : NULL;
    if (!root) {
        return false;
    }
    if (names_graph(net, root) != with_graph) {
        return true; /* its turn comes, or was */
    }
    struct frame frame = {.module = net->module, .path = ""};
    bool truth = false;
    open_names(e, &frame, net, with_graph);
    return eval_condition(e, &frame, root, &truth) && truth;
}

bool answer_conditions(struct elaborator *e, const struct item *net, bool with_graph)
{
    struct net_question *question = e->options->question;
    int errors = diag_errors(e->diags);
    for (int i = 0; i < question->n_condition; i++) {
        if (!holds(e, net, question->condition[i], with_graph)) {
            if (diag_errors(e->diags) == errors) {
                question->unmet = i;
            }
            return false;
        }
    }
    return true;
}
