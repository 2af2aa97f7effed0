/* --dump=LAYER: a value in between, as the caller would lay it out.
 *
 * A layer's buffer may be shared with later ones, also be overwritten in place, and in the compiled forward a later
 * layer may run for one task before this layer has run for all. So here every layer runs to its end, all tasks of all
 * images, before the next one begins (the order in which the network was described; `parallelise` only mixes what may
 * be mixed), values are copied out the moment they are whole, and nothing runs behind the last one that is wanted.
 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

struct named { /* a value that has a name: of a layer or of a view */
    const char *name, *what;
    int after; /* it is whole once so many layers are done */
    const struct netc_value *value;
};

struct wanted { /* a value and its copies */
    struct named from;
    struct netc_tensor tensor;
    float *copy;
};

struct dump {
    int threads, count, last; /* layers that have to run */
    struct wanted *wanted;
};

/* ---- names ---- */

static int count_values(const struct netc_variant *variant)
{
    return variant->n_layer + variant->n_view;
}

/* All values in the order in which they become whole. */
static struct named *name_values(const struct netc_variant *v)
{
    struct named *list = allocate(count_values(v), sizeof *list, "the names of the layers"), *to = list;
    int view = 0;
    for (int i = 0; i <= v->n_layer; i++) {
        for (; view < v->n_view && v->view[view].after <= i; view++) {
            const struct netc_view *from = &v->view[view];
            *to++ = (struct named){from->name, from->what, from->after, &from->value};
        }
        if (i < v->n_layer) {
            *to++ = (struct named){v->layer[i].name, v->layer[i].what, i + 1, &v->layer[i].value};
        }
    }
    return list;
}

/* "help" and "all", unless a layer is called so. */
static bool is_word(const struct netc_variant *v, const char *name, const char *word)
{
    for (int i = 0; i < v->n_layer; i++) {
        if (strcmp(v->layer[i].name, word) == 0) {
            return false;
        }
    }
    return strcmp(name, word) == 0;
}

bool dump_is_help(const char *name)
{
    return is_word(netc_model.variant[0], name, "help");
}

void list_layers(const struct options *options)
{
    const char *missing;
    const struct netc_variant *v = network_variant(options, &missing);
    struct named *list = name_values(v);
    for (int i = 0; i < count_values(v); i++) {
        printf("%s\n", list[i].what);
    }
    free(list);
}

/* How many characters must be left out, put in or changed to make b of a (Levenshtein 1966). */
static int distance(const char *a, const char *b)
{
    const int n = (int)strlen(b);
    int *row = allocate(n + 1, sizeof *row, "the names of the layers");
    for (int j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (int i = 1; a[i - 1]; i++) {
        int corner = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            const int changed = corner + (a[i - 1] != b[j - 1]),
                      moved = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            corner = row[j];
            row[j] = changed < moved ? changed : moved;
        }
    }
    const int result = row[n];
    free(row);
    return result;
}

static const struct named *find_value(const struct named *list, const char *name)
{
    const int n = count_values(network.variant);
    const struct named *nearest = list;
    for (int i = 0; i < n; i++) {
        if (strcmp(list[i].name, name) == 0) {
            return &list[i];
        }
        nearest = distance(name, list[i].name) < distance(name, nearest->name) ? &list[i] : nearest;
    }
    const bool near = 3 * distance(name, nearest->name) <= (int)strlen(nearest->name) + 1; /* as netc has it */
    fail_usage("--dump=%s: no layer has this name, --dump=help lists them with what was fused into each%s%s%s", name,
               near ? "; did you mean '" : "", near ? nearest->name : "", near ? "'?" : "");
}

/* ---- running ---- */

static const float *value_at(const struct netc_value *value, const struct session *session, int n)
{
    const struct netc_tensor *end =
        value->place == NETC_INPUT ? &netc_model.input[value->index] : &netc_model.output[value->index];
    switch (value->place) {
    case NETC_INPUT: return session->input[value->index] + n * end->elements + value->at / (int64_t)sizeof(float);
    case NETC_OUTPUT: return session->output[value->index] + n * end->elements + value->at / (int64_t)sizeof(float);
    default: break;
    }
    const char *workspace = (const char *)session->workspace + n * network.variant->workspace_bytes;
    return (const float *)(const void *)(workspace + value->at);
}

/* Out of the blocks of one image into rows: see `layouts` in LOOP_IR.md and model.h. */
static void unpack(const struct netc_value *value, const float *from, int64_t elements, float *to)
{
    if (!value->block) {
        memcpy(to, from, (size_t)elements * sizeof *to);
        return;
    }
    const int64_t channels = value->shape[0], h = value->shape[1], w = value->shape[2], block = value->block;
    const int64_t wide = w + 2 * value->halo, plane = (h + 2 * value->halo) * wide * block;
    const int64_t segment = value->segment ? value->segment : channels;
    for (int64_t c = 0; c < channels; c++) {
        const int64_t inside = c % segment, blocks = c / segment * ((segment + block - 1) / block) + inside / block;
        for (int64_t y = 0; y < h; y++) {
            const float *row =
                from + blocks * plane + ((y + value->halo) * wide + value->halo) * block + inside % block;
            for (int64_t x = 0; x < w; x++) {
                *to++ = row[x * block];
            }
        }
    }
}

static void run_layer(const struct session *session, const struct netc_stage *stage, int layer, int threads)
{
    const int tasks = batch_tasks(stage);
#pragma omp parallel num_threads(threads)
    {
        const uint32_t mode = network.variant->enter();
#pragma omp for schedule(static)
        for (int task = 0; task < tasks; task++) {
            run_task(session, stage, layer, task);
        }
        network.variant->leave(mode);
    }
}

/* What is whole now. */
static void copy_values(const struct dump *dump, const struct session *session, int after, int64_t first, int64_t take)
{
    for (int i = 0; i < dump->count; i++) {
        const struct wanted *w = &dump->wanted[i];
        for (int64_t n = 0; n < take && w->from.after == after; n++) {
            unpack(w->from.value, value_at(w->from.value, session, (int)n), w->tensor.elements,
                   w->copy + (first + n) * w->tensor.elements);
        }
    }
}

static void dump_batch(const struct dump *dump, const struct session *session, int64_t first, int64_t take)
{
    const struct netc_stage *stage = network.variant->stage;
    copy_values(dump, session, 0, first, take);
    for (int layer = 0; layer < dump->last; layer++) {
        stage += layer == stage->layer + stage->n_layer;
        run_layer(session, stage, layer, dump->threads);
        copy_values(dump, session, layer + 1, first, take);
    }
}

/* ---- what it runs on ---- */

struct source { /* tensors or pictures */
    int64_t count;
    struct npy *npy; /* NULL: pictures */
    struct listing list;
    bool exif;
    bool *missing; /* pictures that cannot be read */
    int64_t n_missing;
};

static struct source source_open(const struct options *options)
{
    struct source source = {.exif = options->exif};
    if (options->mode == MODE_TENSOR) {
        source.npy = tensors_open(options, &source.count);
        return source;
    }
    check_pictures_fit();
    source.list = list_pictures(options->picture, options->n_picture);
    source.count = source.list.count;
    source.missing = allocate(source.count, sizeof *source.missing, "the pictures");
    return source;
}

static void source_fill(struct source *source, struct session *session, int64_t first, int64_t take, int threads)
{
    if (source->npy) {
        tensors_fill(source->npy, session, take);
        return;
    }
    const int64_t elements = netc_model.input[0].elements;
    memset(session->input[0], 0, (size_t)tensor_bytes(netc_model.batch, &netc_model.input[0]));
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t i = 0; i < take; i++) {
        char why[WHY_ROOM];
        picture_from_file(source->list.path[first + i], source->exif, session->input[0] + i * elements, why);
        if (*why) {
            report("%s: %s", source->list.path[first + i], why);
            source->missing[first + i] = true;
        }
    }
    for (int64_t i = first; i < first + take; i++) {
        source->n_missing += source->missing[i];
    }
}

/* False: some pictures could not be read, or folders gave none. */
static bool source_close(struct source *source)
{
    if (source->npy) {
        tensors_close(source->npy);
        return true;
    }
    const bool good = source->list.complaints == 0 && source->n_missing == 0;
    free(source->missing);
    free_listing(&source->list);
    return good;
}

static void dump_all(struct dump *dump, struct source *source)
{
    struct session session = session_open();
    for (int64_t first = 0; first < source->count; first += netc_model.batch) {
        const int64_t left = source->count - first, take = left < netc_model.batch ? left : netc_model.batch;
        source_fill(source, &session, first, take, dump->threads);
        dump_batch(dump, &session, first, take);
    }
    session_close(&session);
    for (int i = 0; i < dump->count && source->missing; i++) {
        const struct wanted *w = &dump->wanted[i];
        for (int64_t n = 0; n < source->count; n++) {
            for (int64_t k = 0; k < w->tensor.elements && source->missing[n]; k++) {
                w->copy[n * w->tensor.elements + k] = NAN;
            }
        }
    }
}

/* ---- the command ---- */

static struct wanted want(const struct named *from)
{
    struct wanted wanted = {.from = *from, .tensor = {.name = from->name, .rank = from->value->rank, .elements = 1}};
    for (int i = 0; i < from->value->rank; i++) {
        wanted.tensor.shape[i] = from->value->shape[i];
        wanted.tensor.elements *= from->value->shape[i];
    }
    return wanted;
}

static struct dump find_wanted(const struct options *options)
{
    struct named *list = name_values(network.variant);
    const bool all = options->n_dump == 1 && is_word(network.variant, options->dump[0], "all");
    struct dump dump = {.threads = options->threads, .count = all ? count_values(network.variant) : options->n_dump};
    dump.wanted = allocate(dump.count, sizeof *dump.wanted, "the values");
    for (int i = 0; i < dump.count; i++) {
        dump.wanted[i] = want(all ? &list[i] : find_value(list, options->dump[i]));
        for (int k = 0; k < i; k++) {
            if (strcmp(dump.wanted[k].from.name, dump.wanted[i].from.name) == 0) {
                fail_usage("--dump=%s is given twice", options->dump[i]);
            }
        }
        dump.last = dump.wanted[i].from.after > dump.last ? dump.wanted[i].from.after : dump.last;
    }
    free(list);
    return dump;
}

/* For one value LAYER.npy where no name is given. */
static char *output_name(const struct options *options, const struct dump *dump)
{
    if (dump->count > 1 && !(options->output && ends_with(options->output, ".safetensors"))) {
        fail_usage("%d layers go into one file: --output=FILE.safetensors", dump->count);
    }
    if (options->json && options->output && strcmp(options->output, "-") == 0) {
        fail_usage("--json and --output=- both write to standard output: give one");
    }
    char *path = NULL;
    const int length =
        options->output ? asprintf(&path, "%s", options->output) : asprintf(&path, "%s.npy", dump->wanted[0].from.name);
    if (length < 0) {
        fail("out of memory: the name of a file");
    }
    return path;
}

static void write_values(FILE *file, const char *path, const struct dump *dump, int64_t count)
{
    struct netc_tensor *tensor = allocate(dump->count, sizeof *tensor, "the names of the layers");
    float **value = allocate(dump->count, sizeof *value, "the names of the layers");
    for (int i = 0; i < dump->count; i++) {
        tensor[i] = dump->wanted[i].tensor;
        value[i] = dump->wanted[i].copy;
    }
    if (ends_with(path, ".safetensors")) {
        safetensors_write(file, count, tensor, dump->count, value);
    } else {
        npy_write(file, count, tensor, value[0]);
    }
    free(tensor);
    free(value);
}

static void tell(const struct options *options, const struct dump *dump, int64_t count, const char *path)
{
    json_t *list = json_array();
    for (int i = 0; i < dump->count; i++) {
        const struct wanted *w = &dump->wanted[i];
        if (options->json) {
            json_t *shape = json_pack("[I]", (json_int_t)count);
            for (int k = 0; k < w->tensor.rank; k++) {
                json_array_append_new(shape, json_integer(w->tensor.shape[k]));
            }
            json_array_append_new(
                list, json_pack("{s:s, s:s, s:o}", "layer", w->from.name, "what", w->from.what, "shape", shape));
        } else { /* not on standard output if the array is there */
            fprintf(strcmp(path, "-") == 0 ? stderr : stdout, "%s\n", w->from.what);
        }
    }
    if (options->json) {
        print_json(json_pack("{s:s, s:s, s:O}", "network", netc_model.name, "file", path, "values", list));
    }
    json_decref(list);
}

static void run_source(const struct options *options, struct dump *dump, struct source *source, const char *path)
{
    FILE *file = output_begin(path); /* before the work: it may not be writable */
    for (int i = 0; i < dump->count; i++) {
        const struct netc_tensor *tensor = &dump->wanted[i].tensor;
        dump->wanted[i].copy = allocate_aligned(tensor_bytes(source->count, tensor), tensor->name);
    }
    dump_all(dump, source);
    if (source->npy || source->n_missing < source->count) {
        write_values(file, path, dump, source->count);
        output_end();
        tell(options, dump, source->count, path);
    } else {
        output_abandon();
    }
    for (int i = 0; i < dump->count; i++) {
        free(dump->wanted[i].copy);
    }
}

bool run_dump(const struct options *options)
{
    struct dump dump = find_wanted(options);
    char *path = output_name(options, &dump);
    struct source source = source_open(options);
    if (source.npy || source.count > 0) { /* else folders without pictures: that was told */
        run_source(options, &dump, &source, path);
    }
    free(dump.wanted);
    free(path);
    return source_close(&source);
}
