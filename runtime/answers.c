/* What is said of each picture, in the order of the arguments: rows of classes, a line (--quiet), a JSON object a
 * line (--json), or a row of --output. A picture without an answer is a line on stderr, and none on stdout but in JSON,
 * where it has an "error"; in --output its row is NaN, so that row i is the i-th picture's.
 *
 * A write that fails does not end the program here, where other threads are at work: `error` tells the caller. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime.h"

struct answers answers_begin(const struct options *options, const struct listing *list)
{
    struct answers answers = {.options = options, .list = list};
    if (options->output) {
        rows_begin(&answers.rows, options->output, list->count);
    }
    /* Answers that scroll over a terminal say enough, and the bar would be mixed up with them. */
    const bool to_file = options->output && strcmp(options->output, "-") != 0;
    answers.progress = progress_begin(!options->quiet && (to_file || !isatty(STDOUT_FILENO)), list->count);
    return answers;
}

/* How many of the n bytes, four at most, are UTF-8: at least the next character, or 0. */
static size_t utf8_bytes(const char *text, size_t n)
{
    for (size_t length = n < 4 ? n : 4; length > 0; length--) {
        json_t *piece = json_stringn(text, length);
        const bool good = piece != NULL;
        json_decref(piece);
        if (good) {
            return length;
        }
    }
    return 0;
}

/* A path is any bytes, a JSON string is Unicode: each byte that is no UTF-8 becomes U+FFFD. */
static json_t *json_text(const char *text)
{
    json_t *whole = json_string(text);
    if (whole) {
        return whole;
    }
    static const char replacement[] = "\xef\xbf\xbd";
    const size_t n = strlen(text);
    char *shown = allocate((int64_t)(3 * n + 1), 1, "a text");
    for (size_t i = 0, end = 0; i < n;) {
        const size_t good = utf8_bytes(text + i, n - i);
        memcpy(shown + end, good ? text + i : replacement, good ? good : 3);
        end += good ? good : 3;
        i += good ? good : 1;
    }
    whole = json_string(shown);
    free(shown);
    return whole;
}

/* Where the path cannot be said, its bytes stand beside. */
static json_t *json_path(const char *path)
{
    json_t *object = json_object(), *exact = json_string(path);
    json_object_set_new(object, "picture", json_text(path));
    if (!exact) {
        const size_t n = strlen(path);
        char *bytes = allocate((int64_t)(2 * n + 1), 1, "a path");
        for (size_t i = 0; i < n; i++) {
            sprintf(bytes + 2 * i, "%02x", (unsigned char)path[i]);
        }
        json_object_set_new(object, "picture_bytes", json_string(bytes));
        free(bytes);
    }
    json_decref(exact);
    return object;
}

struct told { /* one picture */
    const char *path, *why; /* why: NULL, or what is wrong with it or with what the network said */
    bool answered;
    float *value[]; /* of every output */
};

static void tell_json(const struct answers *answers, const struct told *one)
{
    json_t *object = json_path(one->path);
    if (one->answered) {
        json_t *all = json_object();
        for (int i = 0; i < netc_model.n_output; i++) {
            json_object_set_new(all, netc_model.output[i].name,
                                json_answer(&netc_model.output[i], one->value[i], answers->options->top));
        }
        json_object_set_new(object, "answer", all);
    }
    if (one->why) {
        json_object_set_new(object, "error", json_text(one->why));
    }
    char *line = json_dumps(object, JSON_REAL_PRECISION(9));
    if (!line) {
        fail("out of memory: the answer for %s", one->path);
    }
    puts(line);
    free(line);
    json_decref(object);
}

static void tell_rows(struct answers *answers, const struct told *one)
{
    if (answers->list->count > 1 || answers->list->folders) {
        fputs(answers->printed ? "\n" : "", stdout);
        print_visibly(stdout, one->path);
        fputs(":\n", stdout);
    }
    for (int i = 0; i < netc_model.n_output; i++) {
        print_answer(&netc_model.output[i], one->value[i], answers->options->top);
    }
    answers->printed = true;
}

static void tell_line(const struct told *one)
{
    char number[24];
    const struct netc_tensor *classes = &netc_model.output[0];
    print_visibly(stdout, one->path);
    printf("\t%s\n", class_name(classes, best_class(one->value[0], classes->elements), number));
}

static void tell(struct answers *answers, const struct told *one)
{
    const struct options *options = answers->options;
    if (one->why) {
        progress_clear(&answers->progress);
        report("%s: %s", one->path, one->why);
        answers->complaints++;
    }
    if (options->output) {
        return;
    }
    if (options->json) {
        tell_json(answers, one);
    } else if (one->answered) {
        options->quiet ? tell_line(one) : tell_rows(answers, one);
    }
}

void answers_tell(struct answers *answers, int64_t first, int take, char (*why)[WHY_ROOM], float *const *output)
{
    const struct netc_tensor *tensor = netc_model.output;
    struct told *one = allocate(1, sizeof *one + (size_t)netc_model.n_output * sizeof *one->value, "an answer");
    for (int i = 0; i < take; i++) {
        one->path = answers->list->path[first + i];
        one->answered = !*why[i];
        one->why = one->answered ? NULL : why[i];
        for (int k = 0; k < netc_model.n_output; k++) {
            one->value[k] = output[k] + i * tensor[k].elements;
            for (int64_t j = 0; j < tensor[k].elements && !one->answered; j++) {
                one->value[k][j] = NAN;
            }
        }
        if (one->answered && !answers->options->output && tensor->rank == 1 &&
            best_class(one->value[0], tensor->elements) < 0) {
            one->why = "the network's answer is not finite";
        }
        tell(answers, one);
    }
    free(one);
    if (answers->options->output) {
        answers->error = rows_write(&answers->rows, first, take, output);
    } else {
        errno = 0;
        answers->error = fflush(stdout) != 0 || ferror(stdout) ? errno ? errno : EIO : 0;
    }
    progress_update(&answers->progress, first + take);
}

void answers_end(struct answers *answers)
{
    progress_clear(&answers->progress);
    if (answers->error) {
        const char *output = answers->options->output;
        fail("cannot write %s: %s", output && strcmp(output, "-") != 0 ? output : "standard output",
             strerror(answers->error));
    }
    if (answers->options->output) {
        output_end();
    }
}
