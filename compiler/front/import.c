/* Files: finding what an import names, reading each file once, the names it defines, labels files.
 *
 * What would surprise: imports are not transitive, so a file's names are its own, those of the files it imports
 * itself, and the operators. The operators are a file too: operators.def written as declarations of the language and
 * read by its parser.
 */
#include "front/internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- finding ---- */

static bool exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

/* `path` as written in the file `beside`: both without a doubled or a leading "./". */
static const char *join_path(struct elaborator *e, const char *beside, const char *path)
{
    const char *slash = strrchr(beside, '/');
    while (path[0] == '.' && path[1] == '/') {
        path += 2;
    }
    if (path[0] == '/' || !slash) {
        return arena_printf(e->perm, "%s", *path ? path : ".");
    }
    return arena_printf(e->perm, "%.*s%s", (int)(slash - beside) + 1, beside, path);
}

const char *find_file(struct elaborator *e, const struct module *module, const char *written, const char **shown)
{
    const char *path = join_path(e, module->path, written);
    *shown = join_path(e, module->shown, written);
    if (exists(path)) {
        return path;
    }
    for (int i = 0; i < e->options->n_import_dir && written[0] != '/'; i++) {
        path = arena_printf(e->perm, "%s/%s", e->options->import_dir[i], written);
        *shown = path;
        if (exists(path)) {
            return path;
        }
    }
    return NULL;
}

/* After the diagnostic of a missing file: -I with a typing error, a netc that was copied without its files. */
static void note_missing_folders(struct elaborator *e)
{
    for (int i = 0; i < e->options->n_import_dir; i++) {
        if (!exists(e->options->import_dir[i])) {
            diag_note(e->diags, NO_SPAN, "the folder %s of the import path is not there", e->options->import_dir[i]);
        }
    }
}

/* ---- what a file defines ---- */

/* The place that gives `name` a meaning in this file already: its own item, an import's, or an alias. */
static bool seen_already(const struct module *module, const char *name, struct span *where)
{
    const struct item *item = module_find(module, name);
    for (size_t i = 0; !item && i < module->n_import; i++) {
        if (module->import[i].alias == name) {
            *where = module->import[i].span;
            return true;
        }
        item = module->import[i].alias ? NULL : module_find(module->import[i].module, name);
    }
    *where = item ? item->mark : NO_SPAN;
    return item;
}

static struct item *define_item(struct elaborator *e, struct module *module, enum item_kind kind, const char *name,
                                struct span mark, struct syntax *syntax)
{
    struct span other;
    if (seen_already(module, name, &other)) {
        diag_error_at(e->diags, CHECK_name_twice, mark, "`%s` is defined already%s", name,
                      other.file == mark.file ? "" : ", by an imported file");
        diag_note(e->diags, other, "here");
        return NULL;
    }
    struct item *item = NEW(e->module, struct item);
    *item = (struct item){.kind = kind, .name = name, .mark = mark, .syntax = syntax, .module = module, .element = -1};
    PUSH(e->module, module->item, module->count, module->capacity, item);
    name_map_put(e->module, &module->names, name, item);
    return item;
}

static void define_let(struct elaborator *e, struct module *module, struct syntax *let)
{
    struct syntax *names = let->child[0];
    if (names->kind == SYNTAX_name) {
        define_item(e, module, ITEM_LET, names->text, names->span, let);
        return;
    }
    for (size_t i = 0; i < names->count; i++) {
        struct item *item = define_item(e, module, ITEM_LET, names->child[i]->text, names->child[i]->span, let);
        if (item) {
            item->element = (int)i;
        }
    }
}

static void check_params(struct elaborator *e, const struct syntax *list, const struct syntax *inputs)
{
    if (list->count > MOST_PARAMS_DECLARED) {
        diag_error_at(e->diags, CHECK_list_limit, list->span, "there are at most %d parameters", MOST_PARAMS_DECLARED);
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct syntax *name = list->child[i];
        const struct syntax *other = NULL;
        for (size_t k = 0; k < i; k++) {
            other = list->child[k]->text == name->text ? list->child[k] : other;
        }
        for (size_t k = 0; inputs && k < inputs->count; k++) {
            other = inputs->child[k]->text == name->text ? inputs->child[k] : other;
        }
        if (other) {
            diag_error_at(e->diags, CHECK_local_twice, name->mark, "`%s` is a parameter or an input already",
                          name->text);
            diag_note(e->diags, other->mark, "here");
        }
    }
}

static int count_inputs(const struct syntax *definition)
{
    int n = (int)definition->child[0]->count;
    const struct syntax *body = definition->child[2];
    for (size_t i = 0; definition->kind == SYNTAX_net && i < body->count; i++) {
        n += body->child[i]->kind == SYNTAX_input;
    }
    return n;
}

static void define_callable(struct elaborator *e, struct module *module, struct syntax *syntax)
{
    enum item_kind kind = syntax->kind == SYNTAX_net     ? ITEM_NET
                          : syntax->kind == SYNTAX_block ? ITEM_BLOCK
                                                         : ITEM_FUNCTION;
    struct item *item = define_item(e, module, kind, syntax->text, syntax->mark, syntax);
    if (!item) {
        return;
    }
    item->inputs = syntax->child[0];
    item->params = syntax->child[1];
    item->body = syntax->child[2];
    item->n_input = count_inputs(syntax);
    item->n_param = (int)item->params->count;
    check_params(e, item->inputs, NULL);
    check_params(e, item->params, item->inputs);
}

/* ---- imports ---- */

static struct module *find_loaded(struct elaborator *e, const char *real)
{
    for (size_t i = 0; i < e->n_file; i++) {
        if (e->file[i]->real && !strcmp(e->file[i]->real, real)) {
            return e->file[i];
        }
    }
    return NULL;
}

static void report_cycle(struct elaborator *e, const struct module *module, const struct module *again,
                         struct span span)
{
    diag_error_at(e->diags, CHECK_import_circular, span, "the import of %s is circular", again->shown);
    for (const struct module *at = module; at && at != again; at = at->loader) {
        diag_note(e->diags, NO_SPAN, "%s is imported by %s", at->shown, at->loader ? at->loader->shown : "nothing");
    }
}

/* The names that an import brings are not there yet, nor its alias. */
static void check_names_apart(struct elaborator *e, const struct module *module, const struct import *import)
{
    struct span other;
    if (import->alias && seen_already(module, import->alias, &other)) {
        diag_error_at(e->diags, CHECK_name_twice, import->span, "`%s` has a meaning already", import->alias);
        diag_note(e->diags, other, "here");
    }
    for (size_t i = 0; !import->alias && i < import->module->count; i++) {
        const struct item *item = import->module->item[i];
        if (seen_already(module, item->name, &other)) {
            diag_error_at(e->diags, CHECK_name_twice, import->span,
                          "%s defines `%s`, which has a meaning already: import one of them with `as`",
                          import->module->shown, item->name);
            diag_note(e->diags, item->mark, "here");
            diag_note(e->diags, other, "and here");
        }
    }
}

static struct module *load(struct elaborator *, const struct module *loader, const char *path, const char *shown);

static void import_file(struct elaborator *e, struct module *module, const struct syntax *syntax)
{
    const char *shown, *path = find_file(e, module, syntax->text, &shown);
    if (!path) {
        diag_error_at(e->diags, CHECK_import_missing, syntax->mark,
                      "there is no file %s, neither beside %s nor on the import path", syntax->text, module->shown);
        note_missing_folders(e);
        return;
    }
    int errors = diag_errors(e->diags);
    struct import import = {load(e, module, path, shown), syntax->child[0] ? syntax->child[0]->text : NULL,
                            syntax->span};
    if (!import.module) {
        if (diag_errors(e->diags) == errors) {
            diag_error_at(e->diags, CHECK_import_missing, syntax->mark, "%s has errors", shown);
        }
        return;
    }
    if (import.module->loading) {
        report_cycle(e, module, import.module, syntax->mark);
        return;
    }
    for (size_t i = 0; i < module->n_import; i++) {
        if (module->import[i].module == import.module) {
            diag_error_at(e->diags, CHECK_import_twice, syntax->span, "%s is imported already", shown);
            diag_note(e->diags, module->import[i].span, "here");
            return;
        }
    }
    check_names_apart(e, module, &import);
    PUSH(e->module, module->import, module->n_import, module->cap_import, import);
}

/* ---- loading ---- */

static void define_all(struct elaborator *e, struct module *module)
{
    for (size_t i = 0; i < module->root->count; i++) {
        if (module->root->child[i]->kind == SYNTAX_import) {
            import_file(e, module, module->root->child[i]);
        }
    }
    for (size_t i = 0; i < module->root->count; i++) {
        struct syntax *item = module->root->child[i];
        if (item->kind == SYNTAX_let) {
            define_let(e, module, item);
        } else if (item->kind != SYNTAX_import) {
            define_callable(e, module, item);
        }
    }
}

static bool read_module(struct elaborator *e, struct module *module)
{
    int errors = diag_errors(e->diags);
    if (module->file >= 0) {
        module->root = parse_source(e->perm, e->module, e->diags, module->file, false);
    }
    if (module->root) {
        module->loading = true;
        define_all(e, module);
        module->loading = false;
    }
    return module->root && diag_errors(e->diags) == errors;
}

static struct module *new_module(struct elaborator *e, const char *path, const char *shown)
{
    struct module *module = NEW(e->module, struct module);
    module->path = path;
    module->shown = shown;
    PUSH(e->module, e->file, e->n_file, e->cap_file, module);
    return module;
}

/* NULL if the file cannot be read; with errors in it, and told, the module is there but `root` may be NULL. */
static struct module *load(struct elaborator *e, const struct module *loader, const char *path, const char *shown)
{
    char real[PATH_MAX];
    bool has_real = realpath(path, real) != NULL;
    struct module *module = has_real ? find_loaded(e, real) : NULL;
    if (module) {
        return module->loading || module->root ? module : NULL;
    }
    module = new_module(e, path, shown);
    module->real = has_real ? intern(real) : NULL;
    module->loader = loader;
    module->file = read_source(e->perm, e->diags, path, shown);
    read_module(e, module);
    return module->root ? module : NULL;
}

struct module *load_file(struct elaborator *e, const char *path, const char *shown)
{
    return load(e, NULL, path, shown);
}

struct module *load_text(struct elaborator *e, const char *shown, const char *bytes, size_t length)
{
    struct module *module = new_module(e, shown, shown);
    if (length > MOST_FILE_BYTES) {
        diag_error_file(e->diags, CHECK_file_size, shown, "the text has more than %d bytes", MOST_FILE_BYTES);
        return NULL;
    }
    module->file = source_add(shown, shown, arena_copy(e->perm, bytes, length), length);
    module->file = check_encoding(e->diags, module->file) ? module->file : -1;
    return read_module(e, module) ? module : NULL;
}

/* ---- operators ---- */

struct operator_row {
    const char *text;
    builder *build;
    bool variadic;
};

static const struct operator_row operators[] = {
#define OPERATOR_BLOCK(name, inputs, signature, build) \
    {"block " inputs " |> " #name "(" signature ") { }\n", build, false},
#define OPERATOR_FUNCTION(name, signature, build) {"function " #name "(" signature ") { }\n", build, false},
#define OPERATOR_VARIADIC(name, build)            {"function " #name "(values) { }\n", build, true},
#include "front/operators.def"
};

struct module *load_operators(struct elaborator *e)
{
    struct text text = {.arena = e->perm};
    for (size_t i = 0; i < LENGTH(operators); i++) {
        text_add(&text, "%s", operators[i].text);
    }
    struct module *module = load_text(e, "operators", text_string(&text), text.length);
    for (size_t i = 0; module && i < module->count; i++) {
        module->item[i]->build = operators[i].build;
        module->item[i]->variadic = operators[i].variadic;
    }
    if (module) {
        struct item *none = define_item(e, module, ITEM_LET, intern("none"), NO_SPAN, NULL);
        none->value = (struct value){.kind = VALUE_NONE};
        none->state = LET_DONE;
    }
    return module;
}

/* ---- labels ---- */

const char *const *read_labels(struct elaborator *e, const struct module *module, const char *written,
                               struct syntax *at, int64_t *n)
{
    const char *shown, *path = find_file(e, module, written, &shown);
    if (!path) {
        diag_error_at(e->diags, CHECK_labels_missing, at->span,
                      "there is no file %s, neither beside %s nor on the import path", written, module->shown);
        note_missing_folders(e);
        return NULL;
    }
    int file = read_source(e->perm, e->diags, path, shown);
    if (file < 0) {
        diag_note(e->diags, at->span, "it is wanted here");
        return NULL;
    }
    const struct source *source = source_get(file);
    const char **label = NULL;
    size_t count = 0, capacity = 0;
    for (const char *line = source->bytes, *end = line + source->length; line < end;) {
        size_t length = strcspn(line, "\n");
        size_t shown_length = length && line[length - 1] == '\r' ? length - 1 : length;
        PUSH(e->perm, label, count, capacity, arena_copy(e->perm, line, shown_length));
        line += length + 1;
    }
    *n = (int64_t)count;
    return label ? label : NEW_ARRAY(e->perm, const char *, 1);
}
