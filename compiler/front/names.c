/* Names: scopes of a body, look-up from there to the file, its imports and the operators, and what to say when a name
 * is unknown.
 *
 * What would surprise: a local may hide what a file or the operators define, but never another local; and the message
 * for an unknown name looks through files that were not imported, so that it can name the one to import.
 */
#include "front/internal.h"

#include <dirent.h>
#include <stdlib.h>
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

struct binding *find_local(struct elaborator *e, const struct frame *frame, const char *name)
{
    struct binding *binding = NULL;
    int64_t seen = 0;
    for (const struct scope *scope = frame->scope; scope && !binding; scope = scope->parent) {
        for (binding = scope->first; binding && binding->name != name; binding = binding->next) {
            seen++;
        }
    }
    e->steps += seen / NAMES_A_STEP;
    return binding;
}

bool declare(struct elaborator *e, struct frame *frame, const char *name, struct value value, struct syntax *at,
             struct span span, bool variable)
{
    struct binding *other = find_local(e, frame, name);
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
                item->value =
                    fail(e, &frame, let->child[1], CHECK_names_count, "%zu names need a list of %zu, this is %s", names,
                         names, value_shown(e->module, value));
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
        item = item && item->kind == ITEM_LET && module != e->operators ? NULL
                                                                        : item; /* `none` is for operators.def alone */
    }
    return item;
}

static struct value unknown_name(struct elaborator *, struct frame *, struct syntax *);

struct value lookup(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    struct binding *local = find_local(e, frame, at->text);
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
    if (near && strcmp(near, name)) { /* `none` of operators.def is near itself, and nobody else's */
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

static void note_definition(struct elaborator *e, const char *name, const char *file)
{
    if (!name_map_get(&e->nearby, name)) {
        name_map_put(e->module, &e->nearby, name, (void *)file);
    }
}

/* What a file that was not imported would define; it is read for this purpose alone, and its faults are nobody's. */
static void note_definitions(struct elaborator *e, const char *path, const char *shown)
{
    enum { MOST_BYTES = 1 << 16 };
    size_t length;
    const char *why, *bytes = file_read(e->module, path, MOST_BYTES, &length, &why);
    struct diags *quiet = diags_new(e->module);
    int file = bytes ? source_add(path, shown, bytes, length) : -1;
    struct syntax *root =
        bytes && check_encoding(quiet, file) ? parse_source(e->module, e->module, quiet, file, false) : NULL;
    for (size_t i = 0; root && i < root->count; i++) {
        const struct syntax *item = root->child[i];
        if (item->kind != SYNTAX_import && item->kind != SYNTAX_let) {
            note_definition(e, item->text, shown);
        } else if (item->kind == SYNTAX_let && item->child[0]->kind == SYNTAX_name) {
            note_definition(e, item->child[0]->text, shown);
        }
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void note_folder(struct elaborator *e, const char *folder, const char *shown)
{
    enum { MOST_NAMES = 10000, MOST_FILES = 200 };
    struct names files = {.arena = e->module};
    DIR *directory = opendir(folder);
    struct dirent *entry;
    while (directory && files.count < MOST_NAMES && (entry = readdir(directory))) {
        size_t n = strlen(entry->d_name);
        if (n > 4 && !strcmp(entry->d_name + n - 4, ".net")) {
            PUSH(e->module, files.name, files.count, files.capacity, arena_copy(e->module, entry->d_name, n));
        }
    }
    if (directory) {
        closedir(directory);
    }
    if (files.count) {
        qsort(files.name, files.count, sizeof *files.name, compare_names);
    }
    for (size_t i = 0; i < files.count && i < MOST_FILES; i++) {
        note_definitions(e, arena_printf(e->module, "%s/%s", folder, files.name[i]),
                         arena_printf(e->module, "%s%s", shown, files.name[i]));
    }
}

/* The same among the files beside this one and in the folder of blocks. */
static const char *defining_file_nearby(struct elaborator *e, const struct frame *frame, const char *name)
{
    if (!e->looked_nearby) {
        const char *shown, *beside = find_file(e, frame->module, "./", &shown);
        if (beside) {
            note_folder(e, beside, "");
        }
        const char *blocks = find_file(e, frame->module, "blocks/", &shown);
        if (blocks) {
            note_folder(e, blocks, "blocks/");
        }
        e->looked_nearby = true;
    }
    void **found = name_map_get(&e->nearby, name);
    return found ? *found : NULL;
}

static struct value unknown_name(struct elaborator *e, struct frame *frame, struct syntax *at)
{
    fail(e, frame, at, CHECK_name_unknown, "`%s` is not known here", at->text);
    if (e->silent) {
        return ERROR_VALUE;
    }
    const char *file = defining_file(e, at->text);
    file = file ? file : defining_file_nearby(e, frame, at->text);
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
