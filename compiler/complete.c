/* What may stand next on a command line: `netc --complete WORDS` for the completions of bash, zsh and fish in share/.
 * WORDS are those behind `netc`, the last one begun and perhaps empty. It prints
 *
 *     WORD <tab> HELP            a candidate for the last word; one that ends in = or : or + goes on without a blank
 *     <tab> files N .net .ir     the shell adds files with these endings (none: all) for what stands behind the
 *     <tab> folders N            first N characters of the last word
 *
 * What would surprise: all of it comes from the tables of the command line. How an option's value is completed is read
 * from the word that stands for it there: `after:PASS`, `FILE.npy|synthetic`, `DIR`. A word in small letters is itself.
 */
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "netc.h"

struct completion {
    struct arena *arena;
    char **word; /* behind the command; the last one is begun */
    int n;
    int command;
    struct front_options front; /* FILE and -I, as far as they stand before */
    int n_argument;             /* words before the last one that are no options */
};

static bool begins(const char *word, const char *beginning)
{
    return strncmp(word, beginning, strlen(beginning)) == 0;
}

/* A candidate if it goes on from what was typed; both without `prefix`, which stands before them in the word. */
static void offer(const char *prefix, const char *typed, const char *candidate, const char *end, const char *help)
{
    if (begins(candidate, typed))
        printf("%s%s%s\t%s\n", prefix, candidate, end, help);
}

static void offer_files(const char *prefix, const char *endings)
{
    printf("\tfiles %zu%s%s\n", strlen(prefix), *endings ? " " : "", endings);
}

/* ---- what the tables do not hold ---- */

static void offer_passes(const char *prefix, const char *typed, bool loops)
{
    for (int i = 0; pass_at(i); i++)
        offer(prefix, typed, pass_at(i)->name, "", "over graph IR");
    if (loops)
        offer(prefix, typed, "lower", "", "from graph IR to loop IR");
    for (size_t i = 0; loops && loop_pass_at(i); i++)
        offer(prefix, typed, loop_pass_at(i)->name, "", "over loop IR");
}

static void offer_targets(const struct completion *c, const char *prefix, const char *typed)
{
    offer(prefix, typed, "native", "", "this machine");
    for (int i = 0; target_at(i); i++)
        offer(prefix, typed, target_at(i)->name, "", target_at(i)->summary);
    for (int i = 0; c->command == COMMAND_BUILD && target_set_at(i); i++)
        offer(prefix, typed, target_set_at(i)->name, "", target_set_at(i)->summary);
    offer(prefix, typed, "help", "", "list them");
}

static void offer_kinds(const struct completion *c, const char *prefix, const char *typed)
{
    (void)c;
    for (int k = 0; k < BUILD_KINDS; k++)
        offer(prefix, typed, build_kind_name[k], "", "");
}

/* The parameters of the net that the words before name. */
static void offer_parameters(const struct completion *c, const char *prefix, const char *typed)
{
    struct network_file wanted = c->front.file ? find_network(c->arena, &c->front) : (struct network_file){"-", "", ""};
    struct file_outline file =
        strcmp(wanted.path, "-") ? outline_file(c->arena, wanted.path) : (struct file_outline){0};
    for (size_t i = 0; i < file.n_net; i++) {
        const struct net_outline *net = &file.net[i];
        for (int k = 0; k < net->n_param && (!wanted.net || strcmp(net->name, wanted.net) == 0); k++)
            offer(prefix, typed, net->param[k], "=",
                  net->value[k] ? arena_printf(c->arena, "default %s", net->value[k]) : "");
    }
}

static void offer_networks(const struct completion *c, const char *typed)
{
    size_t n;
    const char *colon = strrchr(typed, ':');
    const struct network *list = list_networks(c->arena, &c->front, &n);
    for (size_t i = 0; i < n; i++)
        offer("", typed, list[i].name, "", list[i].about);
    if (colon) {
        struct front_options front = c->front;
        front.file = typed;
        struct network_file wanted = find_network(c->arena, &front);
        struct file_outline file = wanted.net ? outline_file(c->arena, wanted.path) : (struct file_outline){0};
        for (size_t i = 0; i < file.n_net; i++)
            offer(arena_copy(c->arena, typed, (size_t)(colon + 1 - typed)), colon + 1, file.net[i].name, "", "net");
        if (file.n_net)
            return;
    }
    offer_files("", ".net .ir");
}

/* A file, or one of those that come with the networks. */
static void offer_renames(const struct completion *c, const char *prefix, const char *typed)
{
    for (int i = 0; i < c->front.n_import_dir; i++) {
        glob_t files = {0};
        glob(arena_printf(c->arena, "%s/renames/*.rename", c->front.import_dir[i]), 0, NULL, &files);
        for (size_t k = 0; k < files.gl_pathc; k++) {
            const char *name = strrchr(files.gl_pathv[k], '/') + 1;
            offer(prefix, typed, arena_copy(c->arena, name, strlen(name) - strlen(".rename")), "", "");
        }
        globfree(&files);
    }
    offer_files(prefix, ".rename");
}

/* ---- values ---- */

/* One of the words between the | of an option's argument. */
static void offer_alternative(const struct completion *c, const char *word, const char *prefix, const char *typed)
{
    if (word[strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-_")] == '\0')
        offer(prefix, typed, word, "", "");
    else if (strcmp(word, "after:PASS") == 0 && begins(typed, "after:"))
        offer_passes(arena_printf(c->arena, "%safter:", prefix), typed + strlen("after:"), true);
    else if (strcmp(word, "after:PASS") == 0)
        offer(prefix, typed, "after", ":", "the IR after a pass");
    else if (strcmp(word, "DIR") == 0)
        printf("\tfolders %zu\n", strlen(prefix));
    else if (begins(word, "FILE") || strcmp(word, "PATH") == 0)
        offer_files(prefix, strchr(word, '.') ? strchr(word, '.') : "");
}

static void offer_value(const struct completion *c, const struct option_row *option, const char *prefix,
                        const char *typed)
{
    static const struct {
        const char *name;
        void (*offer)(const struct completion *, const char *prefix, const char *typed);
    } own[] = {
        {"target", offer_targets}, {"kind", offer_kinds}, {"define", offer_parameters}, {"rename", offer_renames}};
    for (size_t i = 0; i < LENGTH(own); i++) {
        if (strcmp(option->name, own[i].name) == 0) {
            own[i].offer(c, prefix, typed);
            return;
        }
    }
    bool weights = strcmp(option->name, "weights") == 0;
    const char *rest = option->argument + strspn(option->argument, "[=");
    while (*rest) {
        size_t length = strcspn(rest, "|]");
        const char *word = arena_copy(c->arena, rest, length);
        offer_alternative(c, weights && strcmp(word, "FILE") == 0 ? "FILE.safetensors .pth .pt .bin .tar" : word,
                          prefix, typed);
        rest += length + (rest[length] != '\0');
    }
}

/* ---- the words before ---- */

static bool is_of(const struct option_row *option, int command)
{
    return option->commands & 1 << command;
}

/* The option of this command that `word` is; *value is what stands behind it in the same word, NULL if nothing does. */
static const struct option_row *find_option(const struct completion *c, const char *word, const char **value)
{
    bool longer = begins(word, "--");
    size_t length = strcspn(word, "=");
    for (size_t i = 0; option_row(i) && word[0] == '-'; i++) {
        const struct option_row *option = option_row(i);
        if (!is_of(option, c->command))
            continue;
        *value = !longer ? (word[1] && word[2] ? word + 2 : NULL) : word[length] ? word + length + 1 : NULL;
        if (longer ? strlen(option->name) == length - 2 && strncmp(option->name, word + 2, length - 2) == 0
                   : option_is_short(option) && word[1] == option->value)
            return option;
    }
    return NULL;
}

/* Goes through the words before the last one. The option whose value the last one is, or NULL. */
static const struct option_row *read_words(struct completion *c)
{
    static const char *folder[64]; /* in c->front */
    int n = 0;
    const struct option_row *wants = NULL;
    for (int i = 0; i < c->n - 1; i++) {
        const char *value = NULL, *word = c->word[i];
        const struct option_row *option = wants ? wants : find_option(c, word, &value);
        if (wants)
            value = word;
        else if (!option && word[0] != '-' && c->n_argument++ == 0)
            c->front.file = c->command == COMMAND_COMPARE ? arena_copy(c->arena, word, strcspn(word, ",")) : word;
        wants = option && option->argument[0] == '=' && !value ? option : NULL;
        if (option && value && strcmp(option->name, "import-dir") == 0 && n < 63)
            folder[n++] = value;
    }
    folder[n++] = data_folder(c->arena, "netdefs");
    c->front.import_dir = folder;
    c->front.n_import_dir = n;
    return wants;
}

/* ---- the last word ---- */

static void offer_commands(const char *typed)
{
    for (size_t i = 0; command_row(i); i++)
        offer("", typed, command_row(i)->name, "", command_row(i)->summary);
    offer("", typed, "--help", "", "the commands");
    offer("", typed, "--version", "", "of netc, and the clang that it would run");
}

static void offer_options(const struct completion *c, const char *typed)
{
    for (size_t i = 0; option_row(i); i++) {
        const struct option_row *option = option_row(i);
        const char *name = arena_printf(c->arena, "--%s", option->name);
        if (!is_of(option, c->command))
            continue;
        if (option->argument[0] != '=')
            offer("", typed, name, "", option->help);
        if (option->argument[0])
            offer("", typed, name, "=", option->help);
        if (option_is_short(option))
            offer("", typed, arena_printf(c->arena, "-%c", option->value), "", option->help);
    }
    offer("", typed, "--help", "", "the command's options");
}

/* NETWORK,NAME=VALUE,... of netc compare. */
static void offer_compared(const struct completion *c, const char *typed)
{
    struct completion own = *c;
    size_t piece = compared_piece(typed);
    own.front.file = arena_copy(c->arena, typed, strcspn(typed, ","));
    if (piece)
        offer_parameters(&own, arena_copy(c->arena, typed, piece), typed + piece);
    else
        offer_networks(c, typed);
}

/* The k-th word of the command's arguments: "PASSES FILE", "FILE[:NET]". */
static void offer_argument(const struct completion *c, const char *typed)
{
    const char *arguments = command_row((size_t)c->command)->arguments;
    if (c->command == COMMAND_COMPARE) {
        offer_compared(c, typed);
        return;
    }
    for (int k = 0; k < c->n_argument; k++) {
        arguments += strcspn(arguments, " ");
        arguments += strspn(arguments, " ");
    }
    if (begins(arguments, "FILE[:NET]")) {
        offer_networks(c, typed);
    } else if (begins(arguments, "PASSES")) {
        const char *plus = strrchr(typed, '+');
        size_t done = plus ? (size_t)(plus + 1 - typed) : 0;
        const char *prefix = arena_copy(c->arena, typed, done);
        if (!plus)
            offer("", typed, "read", "", "none: read, verify, print");
        offer_passes(prefix, typed + done, false);
    } else if (begins(arguments, "FILE")) {
        offer_files("", c->command == COMMAND_PASS ? ".ir" : c->command == COMMAND_LOOP ? ".loop" : "");
    }
}

_Noreturn void complete(struct arena *arena, char **word, int n)
{
    struct completion c = {.arena = arena, .word = word + 1, .n = n - 1, .front = {.batch = 1}};
    const char *typed = n > 0 ? word[n - 1] : "", *value = NULL;
    while (n > 1 && command_row((size_t)c.command) && strcmp(command_row((size_t)c.command)->name, word[0]) != 0)
        c.command++;
    if (n <= 1) {
        offer_commands(typed);
    } else if (command_row((size_t)c.command)) {
        const struct option_row *option = read_words(&c);
        if (option)
            offer_value(&c, option, "", typed);
        else if (typed[0] != '-')
            offer_argument(&c, typed);
        else if ((option = find_option(&c, typed, &value)) && value && *option->argument)
            offer_value(&c, option, arena_copy(arena, typed, (size_t)(value - typed)), value);
        else
            offer_options(&c, typed);
    }
    exit(fflush(stdout) == 0 ? EXIT_DONE : EXIT_INPUT);
}
