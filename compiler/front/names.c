/* Names: scopes of a body, look-up from there to the file, its imports and the operators, and what to say when a name is unknown.
 *
 * What would surprise: a local may hide what a file or the operators define, but never another local; and the message for an
 * unknown name looks through files that were not imported, so that it can name the one to import.
 */
#include "front/internal.h"

#include <dirent.h>
#include <string.h>

struct scope *scope_open(struct elaborator *e, struct frame *frame)
{
    struct scope *scope = NEW(e->module, struct scope);
    scope->parent = frame->scope;
    frame->scope = scope;
    return scope;
}

void scope_close(struct frame *frame)
{
    frame->scope = frame->scope->parent;
}

struct binding *find_local(const struct frame *frame, const char *name)
{
    for (const struct scope *scope = frame->scope; scope; scope = scope->parent) {
        for (struct binding *binding = scope->first; binding; binding = binding->next) {
            if (binding->name == name) {
                return binding;
            }
        }
    }
    return NULL;
}

bool declare(struct elaborator *e, struct frame *frame, const char *name, struct value value, struct syntax *at, struct span span,
             bool variable)
{
    struct binding *other = find_local(frame, name);
    if (other) {
        fail_span(e, frame, at, span, CHECK_local_twice, "`%s` is a local already", name);
        note(e, other->span, "the first `%s` is here", name);
        return false;
    }
    struct binding *binding = NEW(e->module, struct binding);
    *binding = (struct binding){name, value, span, variable, frame->scope->first};
    frame->scope->first = binding;
    return true;
}

/* ---- files and operators ---- */

struct item *module_find(const struct module *module, const char *name)
{
    void **found = name_map_get(&module->names, name);
    return found ? *found : NULL;
}

struct value item_value(struct elaborator *e, struct item *item)
{
    if (item->kind != ITEM_LET) {
        struct bound *bound = NEW(e->module, struct bound);
        bound->item = item;
        bound->argument = NEW_ARRAY(e->module, struct argument, item->n_param + 1);
        return (struct value){.kind = item->kind == ITEM_FUNCTION ? VALUE_FUNCTION : VALUE_BLOCK, .bound = bound};
    }
    struct syntax *let = item->syntax;
    struct frame frame = {.module = item->module, .path = ""};
    if (item->state == LET_BUSY) {
        return fail(e, &frame, let, CHECK_let_circular, "`%s` depends on itself", item->name);
    }
    if (item->state == LET_NEW) {
        item->state = LET_BUSY;
        struct value value = let ? eval(e, &frame, let->child[1]) : item->value;
        item->state = LET_DONE;
        item->value = value;
        if (item->element >= 0 && value.kind != VALUE_ERROR) {
            size_t names = let->child[0]->count;
            if (value.kind != VALUE_LIST || value.list->count != names) {
                item->value = fail(e, &frame, let->child[1], CHECK_names_count, "%zu names need a list of %zu, this is %s", names, names,
                                   value_shown(e->module, value));
            } else {
                item->value = value.list->item[item->element];
            }
        }
    }
    return item->value;
}

static struct item *find_item(const struct elaborator *e, const struct module *module, const char *name)
{
    struct item *item = module_find(module, name);
    for (size_t i = 0; !item && i < module->n_import; i++) {
        item = module->import[i].alias ? NULL : module_find(module->import[i].module, name);
    }
    if (!item) {
        item = module_find(e->operators, name);
        item = item && item->kind == ITEM_LET && module != e->operators ? NULL : item; /* `none` is for operators.def alone */
    }
    return item;
}

static struct value unknown_name(struct elaborator *, struct frame *, struct syntax *);

struct value lookup(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    struct binding *local = find_local(frame, at->text);
    if (local) {
        return local->value;
    }
    struct item *item = find_item(e, frame->module, at->text);
    if (item) {
        struct value value = item_value(e, item);
        return item->kind == ITEM_LET && item->syntax ? value_named(e->module, value, item->name, item->mark) : value;
    }
    for (size_t i = 0; i < frame->module->n_import; i++) {
        if (frame->module->import[i].alias == at->text) {
            return (struct value){.kind = VALUE_MODULE, .module = frame->module->import[i].module};
        }
    }
    return unknown_name(e, frame, at);
}

/* ---- unknown names ---- */

struct names {
    struct arena *arena;
    const char **name;
    size_t count, capacity;
};

static void add_items(struct names *names, const struct module *module)
{
    for (size_t i = 0; i < module->count; i++) {
        PUSH(names->arena, names->name, names->count, names->capacity, module->item[i]->name);
    }
}

void suggest(struct elaborator *e, struct span span, const char *name, const char *const *candidates, size_t n)
{
    const char *near = nearest_name(name, candidates, n);
    if (near) {
        note(e, span, "did you mean `%s`?", near);
    }
}

/* Does some file that is loaded, but not imported here, define the name? */
static const char *defining_file(const struct elaborator *e, const char *name)
{
    for (size_t i = 0; i < e->n_file; i++) {
        if (e->file[i] != e->operators && module_find(e->file[i], name)) {
            return e->file[i]->shown;
        }
    }
    return NULL;
}

static bool defines(const struct syntax *root, const char *name)
{
    for (size_t i = 0; root && i < root->count; i++) {
        const struct syntax *item = root->child[i];
        bool let = item->kind == SYNTAX_let && item->child[0]->kind == SYNTAX_name && item->child[0]->text == name;
        if (let || (item->kind != SYNTAX_import && item->text == name)) {
            return true;
        }
    }
    return false;
}

/* The same among the files of a folder, read for this purpose alone. */
static const char *defining_file_in(struct elaborator *e, const char *folder, const char *shown, const char *name)
{
    enum { MOST_FILES = 100 };
    const char *best = NULL;
    DIR *directory = opendir(folder);
    struct dirent *entry;
    for (int i = 0; directory && i < MOST_FILES && (entry = readdir(directory));) {
        size_t n = strlen(entry->d_name);
        if (n < 5 || strcmp(entry->d_name + n - 4, ".net")) {
            continue;
        }
        struct diags *quiet = diags_new(e->module);
        int file = read_source(e->module, quiet, arena_printf(e->module, "%s/%s", folder, entry->d_name), entry->d_name);
        const char *path = arena_printf(e->module, "%s%s", shown, entry->d_name);
        bool better = file >= 0 && (!best || strcmp(path, best) < 0); /* the order of a folder is no order */
        if (better && defines(parse_source(e->module, e->module, quiet, file, false), name)) {
            best = path;
        }
        i++;
    }
    if (directory) {
        closedir(directory);
    }
    return best;
}

static const char *defining_file_nearby(struct elaborator *e, const struct frame *frame, const char *name)
{
    static const char *const folders[] = {"", "blocks/"};
    for (size_t i = 0; i < LENGTH(folders); i++) {
        const char *shown, *folder = find_file(e, frame->module, folders[i][0] ? folders[i] : "./", &shown);
        const char *found = folder ? defining_file_in(e, folder, folders[i], name) : NULL;
        if (found) {
            return found;
        }
    }
    return NULL;
}

static struct value unknown_name(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    enum { MOST_SEARCHES = 8 };
    fail(e, frame, at, CHECK_name_unknown, "`%s` is not known here", at->text);
    if (e->silent) {
        return ERROR_VALUE;
    }
    const char *file = defining_file(e, at->text);
    file = file || e->searches++ > MOST_SEARCHES ? file : defining_file_nearby(e, frame, at->text);
    if (file) {
        note(e, NO_SPAN, "%s defines `%s`: a file sees only what it imports itself", file, at->text);
        return ERROR_VALUE;
    }
    struct names names = {.arena = e->module};
    for (const struct scope *scope = frame->scope; scope; scope = scope->parent) {
        for (const struct binding *binding = scope->first; binding; binding = binding->next) {
            PUSH(e->module, names.name, names.count, names.capacity, binding->name);
        }
    }
    add_items(&names, frame->module);
    for (size_t i = 0; i < frame->module->n_import; i++) {
        add_items(&names, frame->module->import[i].module);
    }
    add_items(&names, e->operators);
    suggest(e, at->span, at->text, names.name, names.count);
    return ERROR_VALUE;
}

struct value unknown_member(struct elaborator *e, struct frame *frame, struct syntax *at, const struct module *module)
{
    fail_span(e, frame, at, at->mark, CHECK_name_unknown, "%s does not define `%s`", module->shown, at->text);
    struct names names = {.arena = e->module};
    add_items(&names, module);
    suggest(e, at->mark, at->text, names.name, names.count);
    return ERROR_VALUE;
}
