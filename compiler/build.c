/* Builds executables and libraries: writes the generated files into a private directory, runs clang on them and, for
 * executables, on the runtime's sources, several at a time, links or archives, and renames the results onto their
 * names. clang runs inside the directory of the sources, so that its messages, .incbin and the symbol table know file
 * names without a path.
 *
 * What would surprise: the link of an executable is tried twice, first with the static libraries of jansson, png and
 * zlib, so that the program needs nothing but libc, libm and libomp (of which Debian has no static form); where they
 * are not installed, with the shared ones. */
#include "build.h"
#include "children.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_LOG = 1 << 20, SHOWN_LOG = 4000 };

const char program_libraries[] = "-ljansson -ljpeg -lpng -lz -lm";
const char runtime_needs[] =
    "the runtime needs: apt-get install libomp-19-dev libjansson-dev libjpeg62-turbo-dev libpng-dev zlib1g-dev";

const char *const build_kind_name[BUILD_KINDS] = {"exe", "static", "shared", "source"};

enum { MAX_OUTPUTS = 4 };
struct output {
    const char *path, *fresh; /* absolute; its name until it is whole */
};

struct build { /* one run of build_output */
    const struct build_job *job;
    struct diags *diags;
    struct arena *arena;
    const char *compiler, *cache; /* clang; ccache or NULL */
    struct cross cross;
    const char *temporary; /* the private directory */
    const char *runtime; /* job->runtime_dir, absolute */
    struct output output[MAX_OUTPUTS]; /* the executable; or library, header, pkg-config file; the weights file */
    int n_output;
    const char *made; /* the folder of a library, if it was made for it */
    struct child *child; /* clang on every file */
    size_t count, capacity;
    int n_generated; /* the first children */
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

/* The words of a list that ends with NULL. */
static void add_list(struct build *build, struct words *words, const char *const *list)
{
    while (*list) {
        add_word(build, words, *list++);
    }
}

/* ---- the compiler ---- */

static const char *output_of(struct build *build, const char *program, const char *option)
{
    return program_output(build->arena, build->temporary, program, option);
}

static bool find_compiler(struct build *build)
{
    const char *why = NULL;
    build->compiler = find_clang(build->arena, build->temporary, &why);
    if (!build->compiler && !temporary_interrupted()) {
        diag_error_file(build->diags, CHECK_build_compiler, "netc", "%s", why);
    }
    build->cache = find_program(build->arena, "ccache");
    return build->compiler;
}

/* lld alone links for an architecture that is not this machine's. */
static bool find_linker(struct build *build)
{
    const char *name = "ld.lld";
    if (!build->cross.sysroot || temporary_interrupted() ||
        strcmp(output_of(build, build->compiler, "-print-prog-name=ld.lld"), name) != 0 ||
        find_program(build->arena, name)) {
        return true;
    }
    diag_error_file(build->diags, CHECK_build_compiler, "netc",
                    "ld.lld was not found, which links for %s: install it with: apt-get install lld-19",
                    build->job->arch);
    return false;
}

/* The directory of libomp where the loader would not look by itself (a clang outside of the system), or NULL. */
static const char *openmp_rpath(struct build *build)
{
    if (build->cross.sysroot) {
        return NULL;
    }
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
    const char *program = child->argv[child->argv[0] == build->cache];
    if (child->status == -1) {
        diag_error_file(build->diags, CHECK_build_compile, file, "%s could not be started: %s", program,
                        strerror(child->error));
        return;
    }
    const char *how = arena_printf(build->arena, "exit code %d", WEXITSTATUS(child->status));
    if (WIFSIGNALED(child->status)) {
        how = arena_printf(build->arena, "killed by signal %d%s", WTERMSIG(child->status),
                           WTERMSIG(child->status) == SIGKILL ? ", perhaps for lack of memory" : "");
    }
    while (length > 0 && log[length - 1] == '\n') {
        length--;
    }
    int shown = length < SHOWN_LOG ? (int)length : SHOWN_LOG;
    diag_error_file(build->diags, CHECK_build_compile, file, "%s failed (%s)%s%.*s%s", program, how,
                    length ? ":\n" : "", shown, log ? log : "", length > SHOWN_LOG ? "\n..." : "");
    if (!generated && build->cross.sysroot) {
        diag_note(build->diags, NO_SPAN, "the runtime needs libomp, jansson, libjpeg, libpng and zlib of %s in %s",
                  build->job->arch, build->cross.sysroot);
    } else if (!generated) {
        diag_note(build->diags, NO_SPAN, "%s", runtime_needs);
    } else if (!build->job->keep_dir) {
        diag_note(build->diags, NO_SPAN, "--keep=DIR keeps the generated C");
    }
}

static void add_compilation(struct build *build, const char *flags, const char *file)
{
    int number = (int)build->count;
    /* members of an archive are called as their sources; of a program's two may be called alike */
    const char *name = build->job->kind == BUILD_EXE
                           ? arena_printf(build->arena, "%d.o", number)
                           : arena_printf(build->arena, "%.*s.o", (int)strlen(file) - 2, file);
    const char *object = arena_printf(build->arena, "%s/%s", build->temporary, name);
    struct words words = {0};
    if (build->cache) {
        add_word(build, &words,
                 build->cache); /* layers that were compiled before, of this network or of another with the same ones */
    }
    add_word(build, &words, build->compiler);
    add_list(build, &words, build->cross.compile);
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
    const struct build_file *x = *(struct build_file *const *)a, *y = *(struct build_file *const *)b;
    return x->length != y->length ? (x->length < y->length) - (x->length > y->length) : (x > y) - (x < y);
}

static void add_generated(struct build *build)
{
    const struct build_job *job = build->job;
    const struct build_file **file = NEW_ARRAY(build->arena, const struct build_file *, job->n_file + 1);
    size_t n = 0;
    for (int i = 0; i < job->n_file; i++) {
        if (job->file[i].compiled & (job->kind == BUILD_EXE ? COMPILED_IN_PROGRAM : COMPILED_IN_LIBRARY)) {
            file[n++] = &job->file[i];
        }
    }
    qsort(file, n, sizeof *file, longer_first);
    for (size_t i = 0; i < n; i++) {
        const char *flags =
            arena_printf(build->arena, "%s%s %s", common_flags, job->kind == BUILD_EXE ? "" : " -fPIC", file[i]->flags);
        add_compilation(build, flags, arena_printf(build->arena, "%s%s", job->name, file[i]->suffix));
    }
    build->n_generated = (int)build->count;
}

static bool add_runtime(struct build *build)
{
    size_t n;
    const char *const *file = runtime_files(build->diags, build->job, &n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(file[i] + strlen(file[i]) - 2, ".c") == 0) {
            add_compilation(build, "-std=c17 -D_GNU_SOURCE -O2 -fopenmp",
                            arena_printf(build->arena, "%s/%s", build->runtime, file[i]));
        }
    }
    return n > 0;
}

int usable_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static bool compile_all(struct build *build)
{
    int failed, jobs = build->job->jobs > 0 ? build->job->jobs : usable_cores();
    add_generated(build);
    if (build->job->kind == BUILD_EXE && !add_runtime(build)) {
        return false;
    }
    if (children_run(build->child, (int)build->count, jobs, build->temporary, &failed)) {
        return true;
    }
    if (failed >= 0) {
        const char *const *argv = build->child[failed].argv;
        int last = 0;
        while (argv[last + 1]) {
            last++;
        }
        report_failure(build, &build->child[failed], argv[last - 2], failed < build->n_generated);
    }
    return false;
}

static struct child link_command(struct build *build, const char *options, const char *libraries)
{
    struct words words = {0};
    const char *rpath = openmp_rpath(build);
    add_word(build, &words, build->compiler);
    add_list(build, &words, build->cross.compile);
    add_list(build, &words, build->cross.link);
    add_word(build, &words, "-fopenmp");
    add_words(build, &words, options);
    for (size_t i = 0; i < build->n_object; i++) {
        add_word(build, &words, build->object[i]);
    }
    if (rpath) {
        add_word(build, &words, arena_printf(build->arena, "-Wl,-rpath,%s", rpath));
    }
    add_words(build, &words, libraries);
    add_word(build, &words, "-o");
    add_word(build, &words, build->output[0].fresh);
    add_word(build, &words, NULL);
    return (struct child){.argv = words.word, .log = arena_printf(build->arena, "%s/link.log", build->temporary)};
}

/* The names of the libraries' functions go, an eighth of the file; the kernels keep theirs, for profilers. Without a strip (or one for
 * another architecture) they stay. */
static void drop_symbols(struct build *build)
{
    int failed;
    const char *strip = build->job->arch ? NULL : find_program(build->arena, "strip");
    if (!strip)
        return;
    const char *argv[] = {strip,
                          "--wildcard",
                          "--keep-symbol",
                          arena_printf(build->arena, "%s_*", build->job->name),
                          build->output[0].fresh,
                          NULL};
    struct child child = {.argv = argv, .log = arena_printf(build->arena, "%s/strip.log", build->temporary)};
    children_run(&child, 1, 1, build->temporary, &failed);
}

static bool link_program(struct build *build)
{
    static const char *const libraries[] = {"-l:libjansson.a -l:libjpeg.a -l:libpng.a -l:libz.a -lm",
                                            program_libraries};
    int failed = -1;
    struct child child = {0};
    for (size_t i = 0; i < LENGTH(libraries) && !temporary_interrupted(); i++) {
        child = link_command(build, "", libraries[i]);
        if (children_run(&child, 1, 1, build->temporary, &failed)) {
            drop_symbols(build);
            return !temporary_interrupted();
        }
    }
    if (failed >= 0) {
        report_failure(build, &child, build->job->output, false);
    }
    return false;
}

/* The step that makes a library of the objects. */
static bool run_step(struct build *build, struct child *child, bool generated)
{
    int failed;
    if (children_run(child, 1, 1, build->temporary, &failed)) {
        return true;
    }
    if (failed >= 0) {
        report_failure(build, child, build->output[0].path, generated);
    }
    return false;
}

static bool link_shared(struct build *build)
{
    const char *options = arena_printf(build->arena, "-shared -Wl,-z,defs -Wl,-soname,lib%s.so", build->job->name);
    struct child child = link_command(build, options, "-lm");
    return run_step(build, &child, false);
}

/* ar with neither times nor owners, so that the same input gives the same archive; in the private directory, since ar
 * makes temporary files of its own beside what it writes. */
static bool make_archive(struct build *build)
{
    const char *ar = find_program(build->arena, "llvm-ar-19");
    ar = ar ? ar : find_program(build->arena, "ar");
    ar = ar ? ar : find_program(build->arena, "llvm-ar");
    if (!ar) {
        diag_error_file(build->diags, CHECK_build_compiler, "netc",
                        "ar was not found (neither llvm-ar-19 nor ar): install it with: apt-get install binutils");
        return false;
    }
    struct words words = {0};
    const char *archive = arena_printf(build->arena, "%s/library.a", build->temporary),
               *first[] = {ar, "rcsD", archive};
    for (size_t i = 0; i < LENGTH(first); i++) {
        add_word(build, &words, first[i]);
    }
    for (size_t i = 0; i < build->n_object; i++) {
        add_word(build, &words, build->object[i]);
    }
    add_word(build, &words, NULL);
    struct child child = {.argv = words.word, .log = arena_printf(build->arena, "%s/ar.log", build->temporary)};
    if (!run_step(build, &child, true)) {
        return false;
    }
    size_t length;
    const char *why, *bytes = file_read(build->arena, archive, (size_t)1 << 40, &length, &why);
    if (!bytes) {
        diag_error_file(build->diags, CHECK_build_write, archive, "%s", why);
        return false;
    }
    return write_file(build->diags, build->output[0].fresh, build->output[0].path, bytes, length);
}

/* ---- header and pkg-config file ---- */

static const struct build_file *header_of(const struct build_job *job)
{
    const struct build_file *header = job->file;
    while (strcmp(header->suffix, ".h") != 0) {
        header++;
    }
    return header;
}

/* Where ld finds libomp, for a caller that is no clang; for another architecture as seen from its root. */
static const char *openmp_libraries(struct build *build)
{
    if (build->cross.sysroot) {
        const char *folder = build->cross.link[1];
        return folder ? arena_printf(build->arena, "-L%s -lomp -lm", folder + 2 + strlen(build->cross.sysroot))
                      : "-lomp -lm";
    }
    const char *library = output_of(build, build->compiler, "-print-file-name=libomp.so"), *rpath = openmp_rpath(build);
    const char *slash = strrchr(library, '/');
    char folder[PATH_MAX];
    if (!slash || !realpath(arena_copy(build->arena, library, (size_t)(slash - library)), folder)) {
        return "-lomp -lm";
    }
    return arena_printf(build->arena, "-L%s%s%s -lomp -lm", folder, rpath ? " -Wl,-rpath," : "", rpath ? folder : "");
}

static bool write_companions(struct build *build)
{
    const struct build_job *job = build->job;
    const struct build_file *header = header_of(job);
    const char *libraries = job->kind == BUILD_STATIC ? arena_printf(build->arena, " %s", openmp_libraries(build)) : "";
    const char *pc = arena_printf(build->arena,
                                  "# Paths are relative to this file: keep it beside the library and its header.\n"
                                  "prefix=${pcfiledir}\n\nName: %s\nDescription: %s\nVersion: %s\n"
                                  "Cflags: -I${prefix}\nLibs: -L${prefix} -l%s%s\n",
                                  job->name, job->description, NETC_VERSION, job->name, libraries);
    return write_file(build->diags, build->output[1].fresh, build->output[1].path, header->text, header->length) &&
           write_file(build->diags, build->output[2].fresh, build->output[2].path, pc, strlen(pc));
}

/* ---- all of it ---- */

/* An output is claimed first: who waits for clang should not learn at the end that there is no place for it. */
static bool claim_output(struct build *build, const char *path)
{
    const char *why = NULL;
    struct output output = {.path = absolute_path(build->arena, path)};
    for (int i = 0; i < build->n_output; i++) {
        why = strcmp(build->output[i].path, output.path) == 0 ? "another output has this name" : why;
    }
    output.fresh = why ? NULL : claim_file(build->arena, output.path, &why);
    if (why) {
        diag_error_file(build->diags, CHECK_build_write, path, "cannot be written: %s", why);
    }
    build->output[build->n_output++] = output;
    return !why;
}

static bool claim_program(struct build *build)
{
    const struct build_job *job = build->job;
    if (job->kind == BUILD_EXE) {
        return claim_output(build, job->output);
    }
    const char *extension = job->kind == BUILD_STATIC ? "a" : "so";
    bool made;
    if (!make_folder(build->diags, job->output, &made)) {
        return false;
    }
    build->made = made ? job->output : NULL;
    return claim_output(build, arena_printf(build->arena, "%s/lib%s.%s", job->output, job->name, extension)) &&
           claim_output(build, arena_printf(build->arena, "%s/%s.h", job->output, job->name)) &&
           claim_output(build, arena_printf(build->arena, "%s/%s.pc", job->output, job->name));
}

static bool claim_outputs(struct build *build)
{
    return claim_program(build) && (!build->job->weights_file || claim_output(build, build->job->weights_file->path));
}

/* What is compiled is never what is kept: another netc may keep its own there meanwhile. The weights file is an output and
 * comes to its name with the others. */
static bool write_sources(struct build *build)
{
    struct build_job sources = *build->job;
    sources.weights_file = NULL;
    return (!sources.keep_dir || write_to_folder(build->diags, &sources, sources.keep_dir)) &&
           write_generated(build->diags, &sources, build->temporary, build->temporary);
}

static bool write_weights(struct build *build)
{
    const struct weights_file *w = build->job->weights_file;
    return !w || write_weights_file(build->diags, build->output[build->n_output - 1].fresh, w);
}

static bool link_all(struct build *build)
{
    switch (build->job->kind) {
    case BUILD_STATIC: return make_archive(build) && write_companions(build);
    case BUILD_SHARED: return link_shared(build) && write_companions(build);
    default: return link_program(build);
    }
}

static bool rename_outputs(struct build *build)
{
    int lock = build->n_output > 1 ? lock_folder(build->job->output) : -1;
    bool good = !temporary_interrupted(); /* a signal from now on comes too late: all of them or none */
    for (int i = 0; good && i < build->n_output; i++) {
        if (rename(build->output[i].fresh, build->output[i].path) != 0) {
            diag_error_file(build->diags, CHECK_build_write, build->output[i].path, "cannot be written: %s",
                            strerror(errno));
            good = false;
        }
    }
    if (lock >= 0) {
        close(lock);
    }
    return good;
}

bool build_output(struct diags *diags, const struct build_job *job)
{
    struct build build = {.job = job, .diags = diags, .arena = job->arena};
    build.runtime = absolute_path(build.arena, job->runtime_dir);
    temporary_begin();
    build.temporary = temporary_directory(NULL);
    if (!build.temporary) {
        diag_error_file(diags, CHECK_build_write, "netc", "no temporary directory can be made: %s", strerror(errno));
    }
    bool good = build.temporary && find_compiler(&build) && find_cross(diags, job, &build.cross) &&
                find_linker(&build) && claim_outputs(&build) && write_sources(&build) && compile_all(&build) &&
                link_all(&build) && write_weights(&build) && rename_outputs(&build);
    if (!good) {
        temporary_discard();
        if (build.made) {
            rmdir(build.made); /* if it is empty */
        }
    }
    temporary_end();
    return good;
}
