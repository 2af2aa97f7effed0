/* --train: the accuracy of each variant on Fashion-MNIST, by children that run tests/torch/train_fashion.py, one a variant and seed.
 *
 * What would surprise: a training writes its result into a file of its own, DB.train/GRAPH.epochs=4_rate=0.15.seed=1.json beside
 * the database, and that file counts if it is there already and says the same graph, settings and PyTorch: what was trained while
 * netc was killed, or on another day by hand, is not trained again. GRAPH is a digest of the graph file that the script read, from
 * which the places in the .net text are taken out: another comment there is the same network. Seeds are the outer loop, so that
 * a sweep that is stopped has as many of one variant as of the other. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "children.h"
#include "sweep/sweep.h"

enum { MOST_RESULT = 1 << 20, TRAIN_SHIFT = 1, MOST_WORDS = 16 };
static const char usual_python[] = "/usr/bin/python3";

struct training {
    struct sweep *sweep;
    struct trainer *trainer;
    struct swept *variant;
    int seed;
    struct measurement measurement;
    const char *key, *graph, *result, *log; /* digest of the graph; files */
    const char *error; /* of this one; NULL */
};
struct trainer { /* what all of them have in common */
    const char *python, *script, *folder;
    const char *torch; /* "torch 1.13.0" */
    const char *settings; /* "epochs=4 rate=0.15" */
    size_t ended, all; /* trainings that children run */
};

/* ---- before the first ---- */

/* How the script is called; words are added behind. */
static int script_words(const struct trainer *t, const char **word)
{
    int n = 0;
    if (!strchr(t->python, '/'))
        word[n++] = "/usr/bin/env"; /* looks for it */
    word[n++] = t->python;
    word[n++] = "-B"; /* where netc is installed nothing is written */
    word[n++] = t->script;
    return n;
}

static bool find_script(struct sweep *s, struct trainer *t)
{
    const char *named = getenv("NETC_PYTHON");
    t->python = named && *named ? named : usual_python;
    t->script = arena_printf(s->arena, "%s/train_fashion.py", data_folder(s->arena, "tests/torch"));
    if (access(t->script, R_OK) == 0)
        return true;
    diag_error_file(s->diags, CHECK_sweep_train, t->script, "is not there, and --train runs it: install netc again");
    return false;
}

/* Once instead of by each training: are there torch and the pictures? */
static bool check_trainer(struct sweep *s, struct trainer *t)
{
    const char *word[MOST_WORDS], *directory = temporary_directory(NULL), *why;
    int n = script_words(t, word), failed;
    size_t length;
    if (!directory) {
        diag_error_file(s->diags, CHECK_build_write, "netc", "no temporary directory can be made: %s", strerror(errno));
        return false;
    }
    word[n++] = "--check";
    word[n++] = arena_printf(s->arena, "--data=%s", s->options->sweep.data);
    word[n] = NULL;
    struct child child = {.argv = word, .log = arena_printf(s->arena, "%s/check", directory), .may_fail = true};
    bool good = children_run(&child, 1, 1, ".", &failed) && child.status == 0;
    const char *said = good ? file_read(s->arena, child.log, MOST_RESULT, &length, &why) : NULL;
    if (!good && !temporary_interrupted())
        diag_error_file(
            s->diags, CHECK_sweep_train, t->python, "%s",
            child.status == -1
                ? arena_printf(s->arena, "cannot be started: %s; NETC_PYTHON names the Python", strerror(child.error))
                : child_fault(s->arena, child.log, child.status));
    t->torch = said ? arena_copy(s->arena, said, strcspn(said, "\n")) : "";
    temporary_remove(directory);
    return good;
}

/* "epochs=4 rate=0.15": what is told of the trainings, and what makes them others. */
static const char *settings(struct sweep *s)
{
    const struct sweep_options *o = &s->options->sweep;
    struct text t = {.arena = s->arena};
    text_add(&t, "epochs=%d rate=%g", o->epochs, o->rate);
    if (o->limit)
        text_add(&t, " pictures=%d", o->limit);
    if (strstr(o->data, "fashion-mnist") == NULL)
        text_add(&t, " data=%s", o->data);
    return text_string(&t);
}

static const char *work_folder(struct sweep *s)
{
    if (!s->options->sweep.db)
        return temporary_directory(NULL);
    const char *folder = arena_printf(s->arena, "%s.train", s->options->sweep.db);
    return mkdir(folder, 0777) == 0 || errno == EEXIST ? folder : NULL;
}

/* ---- one training ---- */

/* The graph's JSON without the places in the .net text that its nodes come from. */
static const char *without_places(struct arena *arena, const char *json)
{
    static const char place[] = ", \"source\": \"";
    struct text t = {.arena = arena};
    for (const char *next; (next = strstr(json, place)); json = next) {
        text_put(&t, json, (size_t)(next - json));
        for (next += strlen(place); *next && *next != '"'; next++)
            next += *next == '\\' && next[1];
        next += *next == '"';
    }
    text_add(&t, "%s\n", json);
    return text_string(&t);
}

/* FNV-1a, as the script computes it from the file. */
static const char *digest(struct arena *arena, const char *text)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return arena_printf(arena, "%016" PRIx64, h);
}

static bool write_fault(struct sweep *s, const char *path)
{
    diag_error_file(s->diags, CHECK_build_write, path, "cannot be written: %s", strerror(errno));
    return false;
}

/* Writes the variant's graph; all of its seeds share it. */
static bool write_graph(struct sweep *s, const struct trainer *t, const struct swept *v, struct training *first)
{
    const char *json = swept_graph(s, v), *text = json ? without_places(s->arena, json) : "";
    first->key = digest(s->arena, text);
    first->graph = arena_printf(s->arena, "%s/%s.graph", t->folder, first->key);
    FILE *file = fopen(first->graph, "we");
    if (!file)
        return write_fault(s, first->graph);
    bool good = fputs(text, file) >= 0;
    good = fclose(file) == 0 && good;
    return good || write_fault(s, first->graph);
}

static const char *underlined(struct arena *arena, const char *text)
{
    char *copy = arena_copy(arena, text, strlen(text));
    for (char *c = copy; *c; c++)
        if (*c == ' ' || *c == '/')
            *c = '_';
    return copy;
}

static struct training training_new(struct sweep *s, struct trainer *t, struct swept *v, int seed,
                                    const struct training *first)
{
    struct training one = {s, t, v, seed, .key = first->key, .graph = first->graph};
    one.measurement = (struct measurement){v->row, MEASURED_ACCURACY, 0, 0, t->settings, t->torch, 0};
    one.result =
        arena_printf(s->arena, "%s/%s.%s.seed=%d.json", t->folder, one.key, underlined(s->arena, t->settings), seed);
    one.log =
        arena_printf(s->arena, "%s/%s.%s.seed=%d.log", t->folder, one.key, underlined(s->arena, t->settings), seed);
    return one;
}

static bool is_number(const json_t *result, const char *name, double wanted)
{
    const json_t *value = json_object_get(result, name);
    return json_is_number(value) && fabs(json_number_value(value) - wanted) <= 1e-6 * fabs(wanted);
}

static bool is_text(const json_t *result, const char *name, const char *wanted)
{
    const char *value = json_string_value(json_object_get(result, name));
    return value && strcmp(value, wanted) == 0;
}

/* Is it what this training would give? */
static bool result_fits(const struct training *t, const json_t *r)
{
    const struct sweep_options *o = &t->sweep->options->sweep;
    const json_t *limit = json_object_get(r, "limit");
    const char *torch = json_string_value(json_object_get(r, "torch"));
    return is_text(r, "graph", t->key) && is_text(r, "data", o->data) && is_number(r, "epochs", o->epochs) &&
           is_number(r, "rate", o->rate) && is_number(r, "seed", t->seed) && is_number(r, "shift", TRAIN_SHIFT) &&
           (o->limit ? is_number(r, "limit", o->limit) : !json_is_number(limit)) &&
           json_is_number(json_object_get(r, "accuracy")) && torch &&
           strcmp(arena_printf(t->sweep->arena, "torch %s", torch), t->trainer->torch) == 0;
}

/* Takes the result's file into the database. False: there is none that fits. */
static bool take_result(struct training *t, bool *good)
{
    json_t *result = json_load_file(t->result, 0, NULL);
    bool fits = result && result_fits(t, result);
    if (fits) {
        double accuracy = json_number_value(json_object_get(result, "accuracy"));
        *good =
            store_sample(t->sweep->store, &t->measurement, t->seed, (struct sample){accuracy, NAN, NAN, NAN}) && *good;
    }
    json_decref(result);
    return fits;
}

static const char *const *training_words(const struct training *t)
{
    const struct sweep_options *o = &t->sweep->options->sweep;
    struct arena *a = t->sweep->arena;
    const char **word = NEW_ARRAY(a, const char *, MOST_WORDS);
    int n = script_words(t->trainer, word);
    word[n++] = t->graph;
    word[n++] = arena_printf(a, "--result=%s", t->result);
    word[n++] = arena_printf(a, "--epochs=%d", o->epochs);
    word[n++] = arena_printf(a, "--rate=%.9g", o->rate);
    word[n++] = arena_printf(a, "--shift=%d", TRAIN_SHIFT);
    word[n++] = arena_printf(a, "--seed=%d", t->seed);
    word[n++] = "--threads=1";
    word[n++] = arena_printf(a, "--data=%s", o->data);
    if (o->limit)
        word[n++] = arena_printf(a, "--limit=%d", o->limit);
    word[n] = NULL;
    return word;
}

static bool write_error(const struct training *t)
{
    const char *text = arena_printf(t->sweep->arena, "seed %d: %s", t->seed, t->error);
    return store_error(t->sweep->store, &t->measurement, text);
}

static void training_ended(struct child *child)
{
    struct training *t = child->data;
    struct sweep *s = t->sweep;
    bool good = true;
    if (child->status == -1)
        t->error = arena_printf(s->arena, "%s cannot be started: %s", t->trainer->python, strerror(child->error));
    else if (child->status != 0)
        t->error = child_fault(s->arena, t->log, child->status);
    else if (!take_result(t, &good))
        t->error = "the script wrote no result that fits";
    if (t->error)
        write_error(t);
    sweep_progress(s, (double)++t->trainer->ended / (double)t->trainer->all, "trainings",
                   arena_printf(s->arena, "%s, seed %d", t->variant->name, t->seed));
}

/* ---- all of them ---- */

/* Those that neither the database nor a file has the result of. False after a diagnostic. */
static bool find_trainings(struct sweep *s, struct trainer *t, struct training *all, size_t *n)
{
    const struct sweep_options *o = &s->options->sweep;
    struct training *first = NEW_ARRAY(s->arena, struct training, s->n_variant + 1);
    bool good = true;
    for (int seed = o->seed; seed < o->seed + o->seeds; seed++)
        for (size_t i = 0; good && i < s->n_variant; i++) {
            struct swept *v = &s->variant[i];
            if (v->status != VARIANT_OK)
                continue;
            if (seed == o->seed && !write_graph(s, t, v, &first[i]))
                return false;
            struct training one = training_new(s, t, v, seed, &first[i]);
            good = store_measurement(s->store, &one.measurement);
            if (good && !store_has(s->store, &one.measurement, seed) && !take_result(&one, &good))
                all[(*n)++] = one;
        }
    return good;
}

static bool run_trainings(struct sweep *s, struct trainer *t, struct training *all, size_t n)
{
    struct child *child = NEW_ARRAY(s->arena, struct child, n + 1);
    int failed, jobs = s->options->jobs ? s->options->jobs : usable_cores();
    for (size_t i = 0; i < n; i++)
        child[i] = (struct child){.argv = training_words(&all[i]),
                                  .log = all[i].log,
                                  .may_fail = true,
                                  .ended = training_ended,
                                  .data = &all[i]};
    t->all = n;
    bool good = children_run(child, (int)n, jobs, ".", &failed);
    for (size_t i = 0; i < n; i++) /* again: a later seed of the variant that went well took it away */
        if (all[i].error)
            good = write_error(&all[i]) && good;
    return good;
}

bool train_variants(struct sweep *s)
{
    const struct sweep_options *o = &s->options->sweep;
    struct trainer t = {.settings = settings(s)};
    struct training *all = NEW_ARRAY(s->arena, struct training, s->n_variant * (size_t)o->seeds + 1);
    size_t n = 0;
    s->trained = t.settings;
    if (!find_script(s, &t) || !check_trainer(s, &t))
        return false;
    t.folder = work_folder(s);
    if (!t.folder)
        return write_fault(s, o->db ? arena_printf(s->arena, "%s.train", o->db) : "a temporary directory");
    return find_trainings(s, &t, all, &n) && run_trainings(s, &t, all, n);
}
