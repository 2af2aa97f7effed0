/* What netc compare is asked for: FILE[:NET] with NAME=VALUE behind it, by commas.
 *
 * What would surprise: a value is an expression of the language, so a comma inside its brackets or in a string is part of it; and a
 * name that is a file as a whole is that file, whatever commas it has.
 */
#include <string.h>
#include <unistd.h>

#include "compare/compare.h"

size_t compared_piece(const char *text)
{
    size_t begin = 0, n = strcspn(text, ",");
    while (text[n]) {
        begin = n + 1;
        n = begin + value_length(text + begin);
    }
    return begin;
}

static bool add_definition(struct arena *a, struct compared_argument *c, const char *text, size_t n, const char **why)
{
    const char *word = arena_copy(a, text, n), *equals = strchr(word, '=');
    if (!*word)
        *why = arena_printf(a, "'%s': behind a comma stands a parameter, NAME=VALUE", c->text);
    else if (!equals || equals == word)
        *why = arena_printf(a, "'%s': behind a comma stands NAME=VALUE, not '%s'", c->text, word);
    else if (!equals[1 + strspn(equals + 1, " ")])
        *why = arena_printf(a, "'%s': %s has no value", c->text, word);
    else {
        struct definition d = {arena_copy(a, word, (size_t)(equals - word)), equals + 1};
        PUSH(a, c->define, c->n_define, c->cap_define, d);
        return true;
    }
    return false;
}

/* FILE or FILE:NET, commas and all. */
static bool is_file(struct arena *a, const char *text)
{
    const char *colon = strrchr(text, ':');
    bool net = colon && !strchr(colon, ',');
    return access(text, F_OK) == 0 || (net && access(arena_copy(a, text, (size_t)(colon - text)), F_OK) == 0);
}

struct compared_argument *read_compared(struct arena *a, const char *text, const char **why)
{
    struct compared_argument *c = NEW(a, struct compared_argument);
    size_t n = is_file(a, text) ? strlen(text) : strcspn(text, ",");
    *c = (struct compared_argument){.text = text, .file = arena_copy(a, text, n)};
    if (n == 0) {
        *why = arena_printf(a, "'%s' does not begin with a network", text);
        return NULL;
    }
    while (text[n] == ',') {
        size_t length = value_length(text + n + 1);
        if (!add_definition(a, c, text + n + 1, length, why))
            return NULL;
        n += 1 + length;
    }
    return c;
}

/* ---- -D, which is meant for all ---- */

static const struct net_outline *outline_of(struct arena *a, const struct front_options *all, const char *name)
{
    struct front_options front = *all;
    front.file = name;
    struct network_file found = find_network(a, &front);
    struct file_outline file = strcmp(found.path, "-") ? outline_file(a, found.path) : (struct file_outline){0};
    for (size_t i = 0; i < file.n_net; i++)
        if (found.net ? strcmp(file.net[i].name, found.net) == 0 : file.n_net == 1)
            return &file.net[i];
    return NULL;
}

static bool has(const struct net_outline *net, const char *parameter)
{
    for (int i = 0; net && i < net->n_param; i++)
        if (strcmp(net->param[i], parameter) == 0)
            return true;
    return false;
}

static bool gives(const struct compared_argument *c, const char *parameter)
{
    for (size_t i = 0; i < c->n_define; i++)
        if (strcmp(c->define[i].name, parameter) == 0)
            return true;
    return false;
}

struct definition *compared_definitions(struct arena *a, const struct front_options *all,
                                        const struct compared_argument *c, int *n, bool *used)
{
    /* Standard input can be read once only: it is taken to have them all. */
    bool unknown = strncmp(c->file, "-", 1) == 0;
    const struct net_outline *net = unknown ? NULL : outline_of(a, all, c->file);
    struct definition *define = NEW_ARRAY(a, struct definition, c->n_define + (size_t)all->n_define + 1);
    *n = 0;
    for (size_t i = 0; i < c->n_define; i++)
        define[(*n)++] = c->define[i];
    for (int i = 0; i < all->n_define; i++) {
        if (!unknown && !has(net, all->define[i].name))
            continue;
        used[i] = true;
        if (!gives(c, all->define[i].name))
            define[(*n)++] = all->define[i];
    }
    return define;
}

void report_unused(struct arena *a, struct diags *diags, const struct front_options *all, const bool *used,
                   struct compared_argument *const *argument, int n)
{
    const char **known = NULL;
    size_t count = 0, capacity = 0;
    for (int i = 0; i < n; i++) {
        const struct net_outline *net = outline_of(a, all, argument[i]->file);
        for (int k = 0; net && k < net->n_param; k++)
            PUSH(a, known, count, capacity, net->param[k]);
    }
    for (int i = 0; i < all->n_define; i++) {
        const char *name = all->define[i].name, *near = used[i] ? NULL : nearest_name(name, known, count);
        if (!used[i])
            diag_error_file(diags, CHECK_define_unknown, arena_printf(a, "-D %s", name),
                            "none of the networks has a parameter `%s`%s%s%s", name, near ? ", did you mean `" : "",
                            near ? near : "", near ? "`?" : "");
    }
}
