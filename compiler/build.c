/* Builds the executable: writes the generated files into a private directory, runs clang on all of them and on the
 * runtime's sources, several at a time, links, and renames the result onto its name. clang runs inside the directory
 * of the sources, so that its messages, .incbin and the symbol table know file names without a path.
 *
 * What would surprise: the link is tried twice, first with the static libraries of jansson, png and zlib, so that
 * the program needs nothing but libc, libm and libomp (of which Debian has no static form); where they are not
 * installed, with the shared ones. */
#include "build.h"
#include "children.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OLDEST_CLANG = 17, MAX_LOG = 1 << 20, SHOWN_LOG = 4000 };

static const char install[] = "install it with: apt-get install clang-19 libomp-19-dev";
static const char install_libraries[] =
    "the runtime needs: apt-get install libomp-19-dev libjansson-dev libpng-dev zlib1g-dev";

struct build { /* one run of build_executable */
    const struct build_job *job;
    struct diags *diags;
    struct arena *arena;
    const char *compiler;
    const char *temporary; /* the private directory */
    const char *sources; /* where the generated C lies: it, or job->keep_dir */
    const char *runtime; /* job->runtime_dir, absolute */
    const char *output, *fresh; /* absolute; the name of it until it is whole */
    struct child *child; /* clang on every file */
    size_t count, capacity;
    const char **object; /* names in the private directory */
    size_t n_object, cap_object;
};

struct words { /* a command line */
    const char **word;
    size_t count, capacity;
};

static void add_word(struct build *build, struct words *words, const char *word)
{
    PUSH(build->arena, words->word, words->count, words->capacity, word);
}

/* The words of a text, parted by blanks. */
static void add_words(struct build *build, struct words *words, const char *text)
{
    while (*(text += strspn(text, " "))) {
        size_t n = strcspn(text, " ");
        add_word(build, words, arena_copy(build->arena, text, n));
        text += n;
    }
}

static const char *absolute_path(struct arena *arena, const char *path)
{
    char here[PATH_MAX];
    if (*path == '/' || !getcwd(here, sizeof here)) {
        return path;
    }
    return arena_printf(arena, "%s/%s", here, path);
}

/* ---- writing files ---- */

static bool write_file(struct diags *diags, const char *path, const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    bool good = file && fwrite(bytes, 1, n, file) == n;
    int error = errno;
    if (file && fclose(file) != 0 && good) {
        good = false;
        error = errno;
    }
    if (!good) {
        diag_error_file(diags, CHECK_build_write, path, "cannot be written: %s", strerror(error));
        if (file) {
            unlink(path);
        }
    }
    return good;
}

static bool make_directory(struct diags *diags, const char *path)
{
    struct stat status;
    if (mkdir(path, 0777) != 0 && (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))) {
        diag_error_file(diags, CHECK_build_write, path, "this directory cannot be made: %s", strerror(errno));
        return false;
    }
    return true;
}

/* File i of the job: its parts, then the weights. NULL past the last one. */
static const char *job_file(const struct build_job *job, int i, const void **bytes, size_t *n)
{
    if (i < job->n_part) {
        *bytes = job->part[i].text;
        *n = job->part[i].length;
        return arena_printf(job->arena, "%s%s.c", job->name, job->part[i].suffix);
    }
    *bytes = job->weights;
    *n = job->weights_bytes;
    return i == job->n_part && job->weights ? arena_printf(job->arena, "%s.weights", job->name) : NULL;
}

static bool write_all(struct diags *diags, const struct build_job *job, const char *directory, const char *end)
{
    const void *bytes;
    size_t n;
    const char *name;
    for (int i = 0; (name = job_file(job, i, &bytes, &n)); i++) {
        if (!write_file(diags, arena_printf(job->arena, "%s/%s%s", directory, name, end), bytes, n)) {
            return false;
        }
    }
    return true;
}

/* Parts of an earlier, finer cut would be taken for parts of this one. */
static void remove_stale(const struct build_job *job, const char *directory)
{
    for (int part = job->n_part > 1 ? job->n_part : 1; part <= MOST_PARTS; part++) {
        unlink(arena_printf(job->arena, "%s/%s.kernels.%d.c", directory, job->name, part));
    }
}

bool emit_to_directory(struct diags *diags, const struct build_job *job, const char *directory)
{
    const void *bytes;
    size_t n;
    const char *name;
    const char *end = arena_printf(job->arena, ".%ld.tmp", (long)getpid());
    if (!make_directory(diags, directory)) {
        return false;
    }
    bool good = write_all(diags, job, directory, end);
    for (int i = 0; (name = job_file(job, i, &bytes, &n)); i++) {
        const char *to = arena_printf(job->arena, "%s/%s", directory, name);
        const char *from = arena_printf(job->arena, "%s%s", to, end);
        if (good && rename(from, to) != 0) {
            diag_error_file(diags, CHECK_build_write, to, "cannot be written: %s", strerror(errno));
            good = false;
        }
        if (!good) {
            unlink(from);
        }
    }
    if (good) {
        remove_stale(job, directory);
    }
    return good;
}

/* ---- the compiler ---- */

static const char *find_program(struct arena *arena, const char *name)
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

/* What a command prints, without the newline; "" if it fails. */
static const char *output_of(struct build *build, const char *program, const char *option)
{
    const char *argv[] = {program, option, NULL}, *why;
    struct child child = {.argv = argv, .log = arena_printf(build->arena, "%s/answer", build->temporary)};
    size_t length;
    int failed;
    char *text = children_run(&child, 1, 1, build->temporary, &failed)
                     ? file_read(build->arena, child.log, MAX_LOG, &length, &why)
                     : NULL;
    if (!text) {
        return "";
    }
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static bool find_compiler(struct build *build)
{
    const char *wanted = getenv("NETC_CC");
    if (wanted && *wanted) {
        build->compiler = find_program(build->arena, wanted);
        if (!build->compiler) {
            diag_error_file(build->diags, CHECK_build_compiler, "netc", "NETC_CC is '%s', which cannot be run", wanted);
        }
        return build->compiler;
    }
    build->compiler = find_program(build->arena, "clang-19");
    if (build->compiler) {
        return true;
    }
    build->compiler = find_program(build->arena, "clang");
    if (!build->compiler) {
        diag_error_file(build->diags, CHECK_build_compiler, "netc",
                        "clang was not found (neither clang-19 nor clang): %s", install);
        return false;
    }
    const char *version = output_of(build, build->compiler, "-dumpversion");
    if (atoi(version) < OLDEST_CLANG && !temporary_interrupted()) {
        diag_error_file(build->diags, CHECK_build_compiler, "netc",
                        "%s is version '%s', clang %d or newer is needed: %s", build->compiler, version, OLDEST_CLANG,
                        install);
        return false;
    }
    return true;
}

/* The directory of libomp where the loader would not look by itself (a clang outside of the system), or NULL. */
static const char *openmp_rpath(struct build *build)
{
    static const char *const usual[] = {"/lib/", "/usr/lib/", "/lib64/", "/usr/lib64/", "/usr/local/lib/"};
    const char *library = output_of(build, build->compiler, "-print-file-name=libomp.so");
    const char *slash = strrchr(library, '/');
    for (size_t i = 0; slash && i < LENGTH(usual); i++) { /* Debian has a link to it in /usr/lib/TRIPLE */
        if (strncmp(library, usual[i], strlen(usual[i])) == 0) {
            return NULL;
        }
    }
    return slash ? arena_copy(build->arena, library, (size_t)(slash - library)) : NULL;
}

/* ---- running it ---- */

/* Says which file clang did not like, and how it ended. */
static void report_failure(struct build *build, const struct child *child, const char *file, bool generated)
{
    size_t length = 0;
    const char *why;
    const char *log = file_read(build->arena, child->log, MAX_LOG, &length, &why);
    const char *how = arena_printf(build->arena, "exit code %d", WEXITSTATUS(child->status));
    if (child->status == -1) {
        how = strerror(child->error);
    } else if (WIFSIGNALED(child->status)) {
        how = arena_printf(build->arena, "killed by signal %d%s", WTERMSIG(child->status),
                           WTERMSIG(child->status) == SIGKILL ? ", perhaps for lack of memory" : "");
    }
    while (length > 0 && log[length - 1] == '\n') {
        length--;
    }
    int shown = length < SHOWN_LOG ? (int)length : SHOWN_LOG;
    diag_error_file(build->diags, CHECK_build_compile, file, "%s failed (%s)%s%.*s%s", build->compiler, how,
                    length ? ":\n" : "", shown, log ? log : "", length > SHOWN_LOG ? "\n..." : "");
    if (!generated) {
        diag_note(build->diags, NO_SPAN, "%s", install_libraries);
    } else if (!build->job->keep_dir) {
        diag_note(build->diags, NO_SPAN, "--keep=DIR keeps the generated C");
    }
}

static void add_compilation(struct build *build, const char *flags, const char *file)
{
    int number = (int)build->count;
    const char *name = arena_printf(build->arena, "%d.o", number);
    const char *object = arena_printf(build->arena, "%s/%s", build->temporary, name);
    struct words words = {0};
    add_word(build, &words, build->compiler);
    add_words(build, &words, flags);
    add_word(build, &words, "-I");
    add_word(build, &words, build->runtime);
    const char *rest[] = {"-c", file, "-o", object, NULL};
    for (size_t i = 0; i < LENGTH(rest); i++) {
        add_word(build, &words, rest[i]);
    }
    struct child child = {.argv = words.word, .log = arena_printf(build->arena, "%s/%d.log", build->temporary, number)};
    PUSH(build->arena, build->child, build->count, build->capacity, child);
    PUSH(build->arena, build->object, build->n_object, build->cap_object, name);
}

/* The longest first, so that the last clang to run is a short one. */
static int longer_first(const void *a, const void *b)
{
    const struct build_part *x = *(struct build_part *const *)a, *y = *(struct build_part *const *)b;
    return x->length != y->length ? (x->length < y->length) - (x->length > y->length) : (x > y) - (x < y);
}

static void add_parts(struct build *build)
{
    const struct build_job *job = build->job;
    const struct build_part **part = NEW_ARRAY(build->arena, const struct build_part *, job->n_part);
    for (int i = 0; i < job->n_part; i++) {
        part[i] = &job->part[i];
    }
    qsort(part, (size_t)job->n_part, sizeof *part, longer_first);
    const char *flags = arena_printf(build->arena, "-std=c17 -O3 -ffp-contract=off -fopenmp %s", job->target->flags);
    for (int i = 0; i < job->n_part; i++) {
        add_compilation(build, flags, arena_printf(build->arena, "%s%s.c", job->name, part[i]->suffix));
    }
}

static bool add_runtime(struct build *build)
{
    glob_t found = {0};
    glob(arena_printf(build->arena, "%s/*.c", build->runtime), 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        add_compilation(build, "-std=c17 -D_GNU_SOURCE -O2 -fopenmp",
                        arena_printf(build->arena, "%s", found.gl_pathv[i]));
    }
    if (found.gl_pathc == 0) {
        diag_error_file(build->diags, CHECK_build_runtime, build->job->runtime_dir,
                        "the sources of netc's runtime are not here");
    }
    bool any = found.gl_pathc > 0;
    globfree(&found);
    return any;
}

static int usable_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static bool compile_all(struct build *build)
{
    int failed, jobs = build->job->jobs > 0 ? build->job->jobs : usable_cores();
    add_parts(build);
    if (!add_runtime(build)) {
        return false;
    }
    if (children_run(build->child, (int)build->count, jobs, build->sources, &failed)) {
        return true;
    }
    if (failed >= 0) {
        const char *const *argv = build->child[failed].argv;
        int last = 0;
        while (argv[last + 1]) {
            last++;
        }
        report_failure(build, &build->child[failed], argv[last - 2], failed < build->job->n_part);
    }
    return false;
}

static struct child link_command(struct build *build, const char *libraries, const char *rpath)
{
    struct words words = {0};
    add_word(build, &words, build->compiler);
    add_word(build, &words, "-fopenmp");
    for (size_t i = 0; i < build->n_object; i++) {
        add_word(build, &words, build->object[i]);
    }
    if (rpath) {
        add_word(build, &words, arena_printf(build->arena, "-Wl,-rpath,%s", rpath));
    }
    add_words(build, &words, libraries);
    add_word(build, &words, "-o");
    add_word(build, &words, build->fresh);
    add_word(build, &words, NULL);
    return (struct child){.argv = words.word, .log = arena_printf(build->arena, "%s/link.log", build->temporary)};
}

static bool link_all(struct build *build)
{
    static const char *const libraries[] = {"-l:libjansson.a -l:libpng.a -l:libz.a -lm", "-ljansson -lpng -lz -lm"};
    const char *rpath = openmp_rpath(build);
    int failed = -1;
    struct child child = {0};
    for (size_t i = 0; i < LENGTH(libraries) && !temporary_interrupted(); i++) {
        child = link_command(build, libraries[i], rpath);
        if (children_run(&child, 1, 1, build->temporary, &failed)) {
            return true;
        }
    }
    if (failed >= 0) {
        report_failure(build, &child, build->job->output, false);
    }
    return false;
}

/* ---- all of it ---- */

/* The output is claimed first: who waits for clang should not learn at the end that there is no place for the
 * program. */
static bool claim_output(struct build *build)
{
    const char *output = build->job->output;
    struct stat status;
    const char *why = NULL;
    if (stat(output, &status) == 0 && !S_ISREG(status.st_mode)) {
        why = S_ISDIR(status.st_mode) ? "it is a directory" : "it is no ordinary file";
    }
    build->output = absolute_path(build->arena, output);
    build->fresh = arena_printf(build->arena, "%s.%ld.tmp", build->output, (long)getpid());
    if (!why && !temporary_claim(build->fresh)) {
        why = strerror(errno);
    }
    if (why) {
        diag_error_file(build->diags, CHECK_build_write, output, "cannot be written: %s", why);
    }
    return !why;
}

static bool write_sources(struct build *build)
{
    const char *keep = build->job->keep_dir;
    build->sources = keep ? absolute_path(build->arena, keep) : build->temporary;
    return keep ? emit_to_directory(build->diags, build->job, build->sources)
                : write_all(build->diags, build->job, build->sources, "");
}

static bool rename_output(struct build *build)
{
    if (!temporary_interrupted() && rename(build->fresh, build->output) == 0) {
        return true;
    }
    if (!temporary_interrupted()) {
        diag_error_file(build->diags, CHECK_build_write, build->job->output, "cannot be written: %s", strerror(errno));
    }
    return false;
}

bool build_executable(struct diags *diags, const struct build_job *job)
{
    struct build build = {.job = job, .diags = diags, .arena = job->arena};
    build.runtime = absolute_path(build.arena, job->runtime_dir);
    build.temporary = temporary_begin(build.arena);
    if (!build.temporary) {
        diag_error_file(diags, CHECK_build_write, "netc", "no temporary directory can be made: %s", strerror(errno));
        return false;
    }
    bool good = find_compiler(&build) && claim_output(&build) && write_sources(&build) && compile_all(&build) &&
                link_all(&build) && rename_output(&build);
    temporary_end();
    return good;
}
