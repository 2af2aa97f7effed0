#include "measured.h"

#include <math.h>
#include <string.h>
#include <sys/wait.h>

#include "build.h"
#include "children.h"

enum { FIRST_RUNS = 3, MOST_BENCH_RUNS = 2000, MOST_LOG = 1 << 24 };

/* The line at `at`, and the next one if it ends in a colon. */
static const char *fault_line(struct arena *arena, const char *at)
{
    size_t length = strcspn(at, "\n");
    if (length == 0 || at[length - 1] != ':' || !at[length])
        return arena_copy(arena, at, length);
    const char *next = at + length + 1;
    return arena_printf(arena, "%.*s %.*s", (int)length, at, (int)strcspn(next, "\n"), next);
}

const char *child_fault(struct arena *arena, const char *log, int status)
{
    static const char mark[] = "error: ";
    size_t length;
    const char *why;
    char *text = file_read(arena, log, MOST_LOG, &length, &why);
    const char *line = text ? strstr(text, mark) : NULL;
    if (line)
        return fault_line(arena, line + strlen(mark));
    while (text && length > 0 && text[length - 1] == '\n')
        text[--length] = '\0';
    if (text && length > 0)
        return fault_line(arena, strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text);
    if (WIFSIGNALED(status))
        return arena_printf(arena, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return arena_printf(arena, "it ended with code %d and said nothing", WEXITSTATUS(status));
}

/* The words of `netc build`, which runs where we do, so that files keep their names. */
static const char *const *build_words(const struct measuring *m, const struct measured_program *p, int jobs)
{
    const struct options *o = m->options;
    struct arena *a = m->arena;
    const char **word = NEW_ARRAY(a, const char *, 16 + p->n_define + o->front.n_import_dir);
    int n = 0;
    word[n++] = own_program(a);
    word[n++] = "build";
    for (int i = 0; i < p->n_define; i++)
        word[n++] = arena_printf(a, "--define=%s=%s", p->define[i].name, p->define[i].value);
    for (int i = 0; i < o->front.n_import_dir - 1; i++) /* the last are netc's own */
        word[n++] = arena_printf(a, "--import-dir=%s", o->front.import_dir[i]);
    word[n++] = "--weights=synthetic";
    word[n++] = "--name=measured"; /* one that C takes */
    word[n++] = arena_printf(a, "--target=%s", o->target->name);
    word[n++] = arena_printf(a, "--winograd=%s", winograd_mode_name[o->winograd]);
    if (o->max_error > 0)
        word[n++] = arena_printf(a, "--max-error=%.17g", o->max_error);
    word[n++] = arena_printf(a, "--batch=%d", p->batch);
    word[n++] = arena_printf(a, "--jobs=%d", jobs);
    word[n++] = arena_printf(a, "--output=%s", p->path);
    word[n++] = "--";
    word[n++] = p->file;
    return word;
}

struct build { /* of children */
    const struct measuring *measuring;
    struct measured_program *program;
    void (*ended)(struct measured_program *);
};

static void build_ended(struct child *child)
{
    struct build *b = child->data;
    struct measured_program *p = b->program;
    p->build_seconds = child->seconds;
    if (child->status == -1)
        p->error = arena_printf(b->measuring->arena, "netc cannot be started: %s", strerror(child->error));
    else if (child->status != 0)
        p->error = child_fault(b->measuring->arena, p->log, child->status);
    if (b->ended)
        b->ended(p);
}

bool programs_build(const struct measuring *m, struct measured_program *p, size_t n, const char *directory,
                    void (*ended)(struct measured_program *))
{
    int failed, jobs = n < (size_t)m->jobs ? (int)n : m->jobs, cores = usable_cores();
    struct child *child = NEW_ARRAY(m->arena, struct child, n + 1);
    struct build *build = NEW_ARRAY(m->arena, struct build, n + 1);
    for (size_t i = 0; i < n; i++) {
        p[i].path = arena_printf(m->arena, "%s/%zu", directory, i);
        p[i].log = arena_printf(m->arena, "%s/%zu.log", directory, i);
        p[i].error = NULL;
        build[i] = (struct build){m, &p[i], ended};
        child[i] = (struct child){.argv = build_words(m, &p[i], cores > jobs ? cores / jobs : 1),
                                  .log = p[i].log,
                                  .may_fail = true,
                                  .tidy = true,
                                  .ended = build_ended,
                                  .data = &build[i]};
    }
    return children_run(child, (int)n, jobs, ".", &failed);
}

json_t *program_tells(const struct measuring *m, const struct measured_program *p, const char *action, int threads,
                      int runs, const char **why)
{
    struct arena *a = m->scratch;
    const char *argv[] = {
        p->path, action, "--json", arena_printf(a, "--threads=%d", threads), arena_printf(a, "--runs=%d", runs), NULL};
    struct child child = {.argv = argv, .log = p->log, .may_fail = true};
    int failed;
    size_t length;
    *why = NULL;
    if (!children_run(&child, 1, 1, ".", &failed))
        return NULL;
    if (child.status != 0) {
        *why = arena_printf(m->arena, "its program fails: %s",
                            child.status == -1 ? strerror(child.error) : child_fault(m->arena, p->log, child.status));
        return NULL;
    }
    const char *text = file_read(a, p->log, MOST_LOG, &length, why), *brace = text ? strchr(text, '{') : NULL;
    json_t *answer = brace ? json_loads(brace, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    *why = answer ? NULL : arena_printf(m->arena, "its program's %s --json printed no JSON", action);
    return answer;
}

int program_runs(const struct measuring *m, const struct measured_program *p, int threads, double ms, const char **why)
{
    json_t *answer = program_tells(m, p, "--bench", threads, FIRST_RUNS, why);
    double one = json_number_value(json_object_get(answer, "median_ms"));
    json_decref(answer);
    if (!answer)
        return 0;
    return one > 0 ? (int)fmin(fmax(ceil(ms / one), FIRST_RUNS), MOST_BENCH_RUNS) : MOST_BENCH_RUNS;
}
