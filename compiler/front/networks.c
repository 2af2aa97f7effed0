/* What FILE on a command line means, and the networks that can be called by name.
 *
 * What would surprise: a name (`resnet50`, `fashion/resnext`: no ending, no ./ or / in front) is looked for on the
 * import path before the folder one is in. `netc build resnet50` writes ./resnet50, the program, and the same command
 * shall work again. ./resnet50 is always the file.
 */
#include "front/internal.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Can this be a network's name? No dots, and it does not say from which folder it starts. */
static bool is_name(const char *file)
{
    static const char made_of[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/";
    return *file && *file != '/' && *file != '-' && file[strspn(file, made_of)] == '\0';
}

/* NAME.net on the import path. */
static bool find_name(struct arena *arena, const struct front_options *options, const char *name,
                      struct network_file *found)
{
    for (int i = 0; is_name(name) && i < options->n_import_dir; i++) {
        bool own = i == options->n_import_dir - 1; /* netc's netdefs: nobody gave this path, so nobody is shown it */
        found->path = arena_printf(arena, "%s/%s.net", options->import_dir[i], name);
        found->shown = own ? arena_printf(arena, "netdefs/%s.net", name) : found->path;
        if (access(found->path, F_OK) == 0) {
            return true;
        }
    }
    return false;
}

struct network_file find_network(struct arena *arena, const struct front_options *options)
{
    const char *given = options->file, *colon = strrchr(given, ':'), *file = given;
    struct network_file found = {0};
    if (find_name(arena, options, given, &found)) {
        return found;
    }
    if (colon && access(given, F_OK) != 0) {
        file = arena_copy(arena, given, (size_t)(colon - given));
        found.net = colon + 1;
    }
    if (find_name(arena, options, file, &found)) {
        return found;
    }
    return (struct network_file){file, strcmp(file, "-") ? file : "<stdin>", found.net};
}

size_t value_length(const char *text)
{
    int depth = 0;
    bool quoted = false;
    size_t i = 0;
    for (; text[i] && (text[i] != ',' || depth > 0 || quoted); i++) {
        if (quoted && text[i] == '\\' && text[i + 1])
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && strchr("([{", text[i]))
            depth++;
        else if (!quoted && strchr(")]}", text[i]))
            depth--;
    }
    return i;
}

/* ---- what there is ---- */

static struct net_outline outline(struct arena *arena, const struct syntax *net)
{
    const struct syntax *params = net->child[1];
    struct net_outline out = {.name = net->text,
                              .param = NEW_ARRAY(arena, const char *, params->count + 1),
                              .value = NEW_ARRAY(arena, const char *, params->count + 1),
                              .n_param = (int)params->count};
    for (size_t i = 0; i < params->count; i++) {
        const struct syntax *value = params->child[i]->child[0];
        out.param[i] = params->child[i]->text;
        out.value[i] = !value ? NULL
                              : arena_copy(arena, source_get(value->span.file)->bytes + value->span.first,
                                           (size_t)(value->span.last - value->span.first));
    }
    return out;
}

/* The first line of a file, where it is a comment. */
static const char *first_comment(struct arena *arena, const struct source *source)
{
    const char *line = source->bytes;
    line += *line == '#' ? 1 + strspn(line + 1, " ") : strlen(line);
    return arena_copy(arena, line, strcspn(line, "\r\n"));
}

struct file_outline outline_file(struct arena *arena, const char *path)
{
    struct diags *unheard = diags_new(arena);
    int file = read_source(arena, unheard, path, path);
    struct syntax *root = file < 0 ? NULL : parse_source(arena, arena, unheard, file, false);
    struct file_outline out = {.about = root ? first_comment(arena, source_get(file)) : ""};
    size_t capacity = 0;
    for (size_t i = 0; root && i < root->count; i++) {
        if (root->child[i]->kind == SYNTAX_net) {
            PUSH(arena, out.net, out.n_net, capacity, outline(arena, root->child[i]));
        }
    }
    return out;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct network *)a)->name, ((const struct network *)b)->name);
}

static bool known(const struct network *network, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(network[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A folder's name may have characters that mean something to glob(). */
static const char *glob_quoted(struct arena *arena, const char *path)
{
    struct text text = {.arena = arena};
    for (; *path; path++) {
        text_add(&text, strchr("*?[\\", *path) ? "\\%c" : "%c", *path);
    }
    return text_string(&text);
}

struct network *list_networks(struct arena *arena, const struct front_options *options, size_t *n)
{
    struct network *list = NULL;
    size_t capacity = 0;
    *n = 0;
    for (int i = 0; i < options->n_import_dir; i++) {
        size_t above = strlen(options->import_dir[i]) + 1;
        const char *quoted = glob_quoted(arena, options->import_dir[i]);
        glob_t files = {0};
        glob(arena_printf(arena, "%s/*.net", quoted), 0, NULL, &files);
        glob(arena_printf(arena, "%s/*/*.net", quoted), files.gl_pathv ? GLOB_APPEND : 0, NULL, &files);
        for (size_t k = 0; k < files.gl_pathc; k++) {
            const char *path = files.gl_pathv[k];
            const char *name = arena_copy(arena, path + above, strlen(path + above) - strlen(".net"));
            struct file_outline file = is_name(name) && !known(list, *n, name)
                                           ? outline_file(arena, arena_printf(arena, "%s", path))
                                           : (struct file_outline){0};
            if (file.n_net) {
                PUSH(arena, list, *n, capacity, ((struct network){name, file.about}));
            }
        }
        globfree(&files);
    }
    if (*n) {
        qsort(list, *n, sizeof *list, by_name);
    }
    return list;
}

void suggest_network(struct arena *arena, struct diags *diags, const struct front_options *options, const char *file)
{
    size_t n, length = strlen(file);
    const struct network *list = list_networks(arena, options, &n);
    const char **name = NEW_ARRAY(arena, const char *, n + 1), *slash = strrchr(file, '/');
    bool ends = length > 4 && strcmp(file + length - 4, ".net") == 0;
    const char *wanted = arena_copy(arena, file, ends ? length - 4 : length), *near = NULL;
    for (size_t i = 0; i < n; i++) {
        name[i] = list[i].name;
    }
    if (n) {
        near = nearest_name(wanted, name, n);
        near = near || !slash ? near : nearest_name(wanted + (slash + 1 - file), name, n);
    }
    if (near) {
        diag_note(diags, NO_SPAN, "netc has a network `%s`, called by its name: without folder and ending", near);
    } else if (is_name(file) && n) {
        diag_note(diags, NO_SPAN, "`netc list` tells the networks that have a name");
    }
}
