/* Elaboration: from a file and the name of a net to the graph, and how its errors are told.
 *
 * What would surprise: -D values are expressions of the language, evaluated where the net is defined; an error is told
 * once a place in the text, however often that place is run; and no half-made graph leaves, so the caller gets NULL
 * after any error.
 */
#include "front/internal.h"

#include <string.h>
#include <unistd.h>

/* ---- errors ---- */

static struct value fail_v(struct elaborator *e, const struct frame *frame, struct syntax *at, struct span span,
                           enum check check, const char *format, va_list args)
{
    enum { MOST_ERRORS = 100, COST = 20 };
    e->silent = at->failed || e->stopped;
    e->steps += COST; /* a loop over a fault ends sooner */
    if (!e->silent) {
        struct text text = {.arena = e->module};
        text_add_v(&text, format, args);
        struct origin origin = {span, frame ? frame->site : NULL};
        diag_error(e->diags, check, origin, "%s", text_string(&text));
        at->failed = true;
        e->stopped |= diag_errors(e->diags) >= MOST_ERRORS;
    }
    return ERROR_VALUE;
}

struct value fail(struct elaborator *e, const struct frame *frame, struct syntax *at, enum check check,
                  const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct value value = fail_v(e, frame, at, at->span, check, format, args);
    va_end(args);
    return value;
}

struct value fail_span(struct elaborator *e, const struct frame *frame, struct syntax *at, struct span span,
                       enum check check, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct value value = fail_v(e, frame, at, span, check, format, args);
    va_end(args);
    return value;
}

void note(struct elaborator *e, struct span span, const char *format, ...)
{
    if (!e->silent) {
        va_list args;
        va_start(args, format);
        struct text text = {.arena = e->module};
        text_add_v(&text, format, args);
        va_end(args);
        diag_note(e->diags, span, "%s", text_string(&text));
    }
}

void explain(struct elaborator *e, struct value value)
{
    enum { MOST_NOTES = 3 };
    const struct cause *cause = value.cause;
    for (int i = 0; cause && i < MOST_NOTES; i++, cause = cause->value.cause) {
        if (cause->name) {
            note(e, cause->span, "%s = %s was set here", cause->name, value_shown(e->module, cause->value));
        } else {
            note(e, cause->span, "this division gives %s", value_shown(e->module, cause->value));
        }
    }
}

void stop(struct elaborator *e)
{
    e->stopped = true;
}

/* ---- which net ---- */

static const char *net_names(struct elaborator *e, const struct module *module, const struct item **only, int *count)
{
    struct text text = {.arena = e->module};
    *count = 0;
    for (size_t i = 0; i < module->count; i++) {
        if (module->item[i]->kind == ITEM_NET) {
            text_add(&text, "%s%s", (*count)++ ? ", " : "", module->item[i]->name);
            *only = module->item[i];
        }
    }
    return text_string(&text);
}

static struct item *choose_net(struct elaborator *e, const struct module *module, const char *name)
{
    const struct item *only = NULL;
    int count;
    const char *names = net_names(e, module, &only, &count);
    if (name) {
        struct item *item = module_find(module, intern(name));
        if (item && item->kind == ITEM_NET) {
            return item;
        }
        diag_error_file(e->diags, CHECK_net_unknown, module->shown, "there is no net `%s`; %s%s", name,
                        count ? "its nets are " : "it has none", names);
        return NULL;
    }
    if (count != 1) {
        diag_error_file(e->diags, CHECK_net_unknown, module->shown,
                        count ? "it has several nets: write %s:NAME with one of %s" : "it defines no net",
                        module->shown, names);
        return NULL;
    }
    return (struct item *)only;
}

/* ---- -D ---- */

static void unknown_definition(struct elaborator *e, const struct item *net, const char *name)
{
    struct text text = {.arena = e->module};
    const char **known = NEW_ARRAY(e->module, const char *, net->n_param + 1);
    for (int i = 0; i < net->n_param; i++) {
        known[i] = net->params->child[i]->text;
        text_add(&text, "%s%s", i ? ", " : "", known[i]);
    }
    const char *near = nearest_name(name, known, (size_t)net->n_param);
    diag_error_file(e->diags, CHECK_define_unknown, intern_printf("-D %s", name), "%s has no parameter `%s`%s%s%s",
                    net->name, name, near ? ", did you mean `" : "", near ? near : "", near ? "`?" : "");
    diag_note(e->diags, NO_SPAN, net->n_param ? "its parameters are %s" : "it has no parameters", text_string(&text));
}

static struct value defined_value(struct elaborator *e, const struct item *net, const struct definition *define,
                                  struct span *span)
{
    const char *shown = intern_printf("-D %s", define->name);
    int file = source_add(shown, shown, arena_printf(e->perm, "%s", define->value), strlen(define->value));
    *span = (struct span){file, 0, (int)strlen(define->value)};
    struct syntax *root =
        check_encoding(e->diags, file) ? parse_source(e->perm, e->module, e->diags, file, true) : NULL;
    if (!root) {
        return ERROR_VALUE;
    }
    struct frame frame = {.module = net->module, .path = ""};
    struct value value = eval(e, &frame, root);
    if (value.kind == VALUE_ERROR && root->kind == SYNTAX_name) {
        note(e, NO_SPAN, "a string is written with quotes: -D '%s=\"%s\"'", define->name, root->text);
    }
    return value;
}

static struct argument *defined_arguments(struct elaborator *e, const struct item *net)
{
    struct argument *argument = NEW_ARRAY(e->module, struct argument, net->n_param + 1);
    for (int k = 0; k < e->options->n_define; k++) {
        const struct definition *define = &e->options->define[k];
        int found = -1;
        for (int i = 0; i < net->n_param; i++) {
            found = strcmp(net->params->child[i]->text, define->name) ? found : i;
        }
        if (found < 0) {
            unknown_definition(e, net, define->name);
        } else if (argument[found].given) {
            diag_error_file(e->diags, CHECK_argument_bound_twice, intern_printf("-D %s", define->name),
                            "`%s` is given twice", define->name);
        } else {
            argument[found].given = true;
            argument[found].value = defined_value(e, net, define, &argument[found].span);
        }
    }
    return argument;
}

/* ---- the whole ---- */

static void check_outputs(struct elaborator *e, struct item *net)
{
    struct frame frame = {.module = net->module, .path = ""};
    if (net->n_input == 0) {
        fail_span(e, &frame, net->syntax, net->mark, CHECK_net_input, "%s has no input", net->name);
    } else if (e->graph->n_output == 0) {
        fail_span(e, &frame, net->syntax, net->mark, CHECK_net_output, "%s has no output", net->name);
    }
}

/* The lets of the file that was asked for run even if nothing reads them: `netc check` shall tell their faults. */
static void run_lets(struct elaborator *e, struct module *module)
{
    for (size_t i = 0; i < module->count; i++) {
        if (module->item[i]->kind == ITEM_LET) {
            item_value(e, module->item[i]);
        }
    }
}

static struct graph *elaborate(struct elaborator *e, struct module *module, const char *name)
{
    int errors = diag_errors(e->diags);
    struct item *net = choose_net(e, module, name);
    if (!net) {
        return NULL;
    }
    e->graph = graph_new(e->module, net->name, module->shown);
    e->graph->batch = e->options->batch > 0 ? e->options->batch : 1;
    struct argument *arguments = defined_arguments(e, net);
    if (diag_errors(e->diags) != errors) {
        return NULL;
    }
    run_lets(e, module);
    run_net(e, net, arguments);
    if (e->options->question && e->options->question->unmet >= 0) {
        return NULL;
    }
    if (diag_errors(e->diags) == errors) {
        check_outputs(e, net);
    }
    bool good = diag_errors(e->diags) == errors;
    if (good && e->options->question) {
        good = answer_conditions(e, net, true);
    }
    return good ? e->graph : NULL;
}

static struct elaborator *new_elaborator(struct arena *perm, struct arena *module, struct diags *diags,
                                         const struct front_options *options)
{
    struct elaborator *e = NEW(module, struct elaborator);
    e->perm = perm;
    e->module = module;
    e->diags = diags;
    e->options = options;
    e->operators = load_operators(e);
    return e;
}

struct graph *elaborate_file(struct arena *perm, struct arena *module, struct diags *diags,
                             const struct front_options *options)
{
    struct elaborator *e = new_elaborator(perm, module, diags, options);
    struct network_file wanted = find_network(perm, options);
    int errors = diag_errors(diags);
    struct module *file = load_file(e, wanted.path, wanted.shown);
    if (!file && strcmp(wanted.path, "-") != 0 && access(wanted.path, F_OK) != 0) {
        suggest_network(perm, diags, options, wanted.path);
    }
    return file && diag_errors(diags) == errors ? elaborate(e, file, wanted.net) : NULL;
}

struct graph *elaborate_text(struct arena *perm, struct arena *module, struct diags *diags,
                             const struct front_options *options, const char *bytes, size_t length)
{
    struct elaborator *e = new_elaborator(perm, module, diags, options);
    const char *name = options->file ? options->file : "text", *colon = strrchr(name, ':');
    size_t end = colon ? (size_t)(colon - name) : strlen(name);
    struct module *file = load_text(e, arena_copy(perm, name, end), bytes, length);
    return file ? elaborate(e, file, colon ? colon + 1 : NULL) : NULL;
}
