/* --dataset: classifies an IDX pair.
 *
 * Every thread takes whole batches and runs the network alone (run() is reentrant), which for many pictures is
 * faster than sharing out one; the answers are the same bits either way. Reading the files is not timed, preparing
 * the pictures is.
 */
#include <jansson.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "runtime.h"

enum { MAX_MATRIX = 20, MAX_LISTED = 10 }; /* classes beyond which only the most frequent mistakes are listed */

struct result {
    struct pictures pictures;
    uint8_t *labels;
    int *predicted;   /* -1: the logits were not finite */
    int classes;
    int64_t correct, not_finite;
    int64_t *matrix;  /* [true][predicted], the last column for what is not finite */
    double seconds;
};

static void read_files(const struct options *options, struct result *result)
{
    int64_t count;
    result->pictures = idx_read_pictures(options->images);
    result->labels = idx_read_labels(options->labels, &count);
    if (count != result->pictures.count) {
        fail("%s holds %lld pictures, %s holds %lld labels", options->images, (long long)result->pictures.count,
             options->labels, (long long)count);
    }
    if (count == 0) {
        fail("%s holds no pictures", options->images);
    }
    for (int64_t i = 0; i < count; i++) {
        if (result->labels[i] >= result->classes) {
            fail("%s: label %d of picture %lld is out of range: the network has %d classes", options->labels,
                 result->labels[i], (long long)i + 1, result->classes);
        }
    }
}

static void prepare_picture(const struct result *result, int64_t which, float *input)
{
    const struct pictures *p = &result->pictures;
    char why[256];
    if (pixels_to_tensor(&netc_model.input[0], p->rows, p->columns, p->channels,
                         p->pixels + which * p->rows * p->columns * p->channels, input, why, sizeof why)) {
        fail("picture %lld of the data set: %s", (long long)which + 1, why);
    }
}

static void classify_batch(struct session *session, struct result *result, int64_t first)
{
    const int64_t left = result->pictures.count - first, take = left < netc_model.batch ? left : netc_model.batch;
    for (int64_t i = 0; i < take; i++) {
        prepare_picture(result, first + i, session->input[0] + i * netc_model.input[0].elements);
    }
    session_run(session, 1);
    for (int64_t i = 0; i < take; i++) {
        result->predicted[first + i] = best_class(session->output[0] + i * result->classes, result->classes);
    }
}

static void classify(struct result *result, int threads)
{
    const int64_t count = result->pictures.count;
    int64_t done = 0;
    struct session *session = allocate(threads, sizeof *session, "the threads");
    for (int i = 0; i < threads; i++) {
        session[i] = session_open();
    }
    prepare_picture(result, 0, session[0].input[0]); /* all have one size: what is wrong is wrong with the first */
    struct progress progress = progress_begin(true, count);
    const double start = now();
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(dynamic)
        for (int64_t first = 0; first < count; first += netc_model.batch) {
            classify_batch(&session[omp_get_thread_num()], result, first);
            int64_t so_far;
#pragma omp atomic capture
            so_far = done += netc_model.batch;
            if (omp_get_thread_num() == 0) {
                progress_update(&progress, so_far < count ? so_far : count);
            }
        }
    }
    result->seconds = now() - start;
    progress_clear(&progress);
    for (int i = 0; i < threads; i++) {
        session_close(&session[i]);
    }
    free(session);
}

static void count_answers(struct result *result)
{
    const int columns = result->classes + 1;
    result->matrix = allocate((int64_t)result->classes * columns, sizeof *result->matrix, "the confusion matrix");
    for (int64_t i = 0; i < result->pictures.count; i++) {
        const int truth = result->labels[i], answer = result->predicted[i];
        result->correct += answer == truth;
        result->not_finite += answer < 0;
        result->matrix[truth * columns + (answer < 0 ? result->classes : answer)]++;
    }
}

static void print_matrix(const struct result *result)
{
    const int columns = result->classes + (result->not_finite > 0);
    char number[24];
    printf("\n%-16s", "true \\ predicted");
    for (int j = 0; j < columns; j++) {
        printf(" %5.5s", j < result->classes ? class_name(netc_model.output, j, number) : "none");
    }
    putchar('\n');
    for (int i = 0; i < result->classes; i++) {
        printf("%-16.16s", class_name(netc_model.output, i, number));
        for (int j = 0; j < columns; j++) {
            printf(" %5lld", (long long)result->matrix[i * (result->classes + 1) + j]);
        }
        putchar('\n');
    }
}

static void print_mistakes(const struct result *result)
{
    const int columns = result->classes + 1;
    printf("\nmost frequent mistakes\n");
    for (int shown = 0; shown < MAX_LISTED; shown++) {
        int64_t most = 0;
        int truth = 0, answer = 0;
        for (int i = 0; i < result->classes; i++) {
            for (int j = 0; j < columns; j++) {
                if (i != j && result->matrix[i * columns + j] > most) {
                    most = result->matrix[i * columns + j];
                    truth = i;
                    answer = j;
                }
            }
        }
        if (most == 0) {
            break;
        }
        char a[24], b[24];
        printf("%6lld  %s taken for %s\n", (long long)most, class_name(netc_model.output, truth, a),
               class_name(netc_model.output, answer < result->classes ? answer : -1, b));
        result->matrix[truth * columns + answer] = 0; /* counted; not needed again */
    }
}

static void print_result(const struct result *result)
{
    const int64_t count = result->pictures.count;
    printf("%s  parameters %lld  macs %lld  accuracy %.2f %%  %.0f pictures/s\n", netc_model.name,
           (long long)netc_model.params, (long long)netc_model.macs, 100.0 * (double)result->correct / (double)count,
           (double)count / result->seconds);
    (result->classes <= MAX_MATRIX ? print_matrix : print_mistakes)(result);
}

static void json_result(const struct result *result)
{
    json_t *matrix = json_array(), *names = json_array();
    for (int i = 0; i < result->classes; i++) {
        json_t *row = json_array();
        for (int j = 0; j < result->classes; j++) {
            json_array_append_new(row, json_integer(result->matrix[i * (result->classes + 1) + j]));
        }
        json_array_append_new(matrix, row);
        char number[24];
        json_array_append_new(names, json_string(class_name(netc_model.output, i, number)));
    }
    const double count = (double)result->pictures.count;
    print_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:o}", "network", netc_model.name, "parameters",
                         (json_int_t)netc_model.params, "macs", (json_int_t)netc_model.macs, "pictures",
                         (json_int_t)result->pictures.count, "correct", (json_int_t)result->correct, "not_finite",
                         (json_int_t)result->not_finite, "accuracy", (double)result->correct / count,
                         "pictures_per_second", count / result->seconds, "classes", names, "confusion", matrix));
}

void run_dataset(const struct options *options)
{
    struct result result = {.classes = (int)netc_model.output[0].elements};
    if (netc_model.n_input != 1 || netc_model.output[0].rank != 1) {
        fail("--dataset needs a network of one input whose first output is a vector of classes");
    }
    read_files(options, &result);
    result.predicted = allocate(result.pictures.count, sizeof *result.predicted, "the answers");
    classify(&result, options->threads);
    count_answers(&result);
    if (options->contact_sheet) {
        write_sheet(options->contact_sheet, &result.pictures, result.labels, result.predicted);
    }
    (options->json ? json_result : print_result)(&result);
    if (result.not_finite) {
        fprintf(stderr, "%s: %lld pictures gave logits that are not finite and count as wrong\n", netc_model.name,
                (long long)result.not_finite);
    }
    free(result.matrix);
    free(result.predicted);
    free(result.labels);
    free(result.pictures.pixels);
}
