/* Which clang: found once a build, and told by `netc --version`. */
#include "build.h"
#include "children.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OLDEST_CLANG = 17, MOST_OUTPUT = 1 << 20 };

static const char install[] = "install it with: apt-get install clang-19 libomp-19-dev";

const char *find_program(struct arena *arena, const char *name)
{
    if (strchr(name, '/')) {
        return access(name, X_OK) == 0 ? absolute_path(arena, name) : NULL;
    }
    const char *path = getenv("PATH");
    for (path = path ? path : "/usr/bin:/bin"; *path; path += *path == ':') {
        size_t n = strcspn(path, ":");
        const char *candidate = arena_printf(arena, "%.*s%s%s", (int)n, path, n ? "/" : "./", name);
        struct stat status;
        if (stat(candidate, &status) == 0 && S_ISREG(status.st_mode) && access(candidate, X_OK) == 0) {
            return absolute_path(arena, candidate);
        }
        path += n;
    }
    return NULL;
}

const char *program_output(struct arena *arena, const char *temporary, const char *program, const char *option)
{
    const char *argv[] = {program, option, NULL}, *why;
    struct child child = {.argv = argv, .log = arena_printf(arena, "%s/answer", temporary)};
    size_t length;
    int failed;
    char *text =
        children_run(&child, 1, 1, temporary, &failed) ? file_read(arena, child.log, MOST_OUTPUT, &length, &why) : NULL;
    if (!text) {
        return "";
    }
    text[strcspn(text, "\n")] = '\0';
    return text;
}

const char *find_clang(struct arena *arena, const char *temporary, const char **why)
{
    const char *wanted = getenv("NETC_CC"), *found;
    if (wanted && *wanted) {
        *why = arena_printf(arena, "NETC_CC is '%s', which cannot be run", wanted);
        return find_program(arena, wanted);
    }
    if ((found = find_program(arena, "clang-19"))) {
        return found;
    }
    if (!(found = find_program(arena, "clang"))) {
        *why = arena_printf(arena, "clang was not found (neither clang-19 nor clang): %s", install);
        return NULL;
    }
    const char *version = program_output(arena, temporary, found, "-dumpversion");
    *why = arena_printf(arena, "%s is version '%s', clang %d or newer is needed: %s", found, version, OLDEST_CLANG,
                        install);
    return atoi(version) < OLDEST_CLANG ? NULL : found;
}

/* Where there is no clang, or no place for what it says, the rest is told all the same. */
void print_version(struct arena *arena)
{
    const char *files = data_folder(arena, "netdefs"), *slash = strrchr(files, '/');
    temporary_begin();
    const char *temporary = temporary_directory(NULL), *why = "no temporary directory can be made";
    const char *clang = temporary ? find_clang(arena, temporary, &why) : NULL;
    const char *says = clang ? program_output(arena, temporary, clang, "--version") : "";
    printf("netc %s\nclang: %s%s%s\nfiles: %.*s\nMIT licence, no warranty\n", NETC_VERSION, clang ? clang : why,
           *says ? ", " : "", says, (int)(slash ? slash - files : 1), slash ? files : ".");
    temporary_end();
}
