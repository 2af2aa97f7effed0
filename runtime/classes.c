/* What logits mean: the best class, the top of the list, their names; as lines and as JSON.
 * Numbers that are not finite are shown as they are, never skipped over. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "runtime.h"

enum { FIRST_VALUES = 8 };

int best_class(const float *logits, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(logits[i])) {
            return -1;
        }
        best = logits[i] > logits[best] ? i : best;
    }
    return (int)best;
}

/* Names only where there is one for each class. */
static bool has_names(const struct netc_tensor *tensor)
{
    return tensor->labels && tensor->n_labels == tensor->elements;
}

const char *class_name(const struct netc_tensor *tensor, int64_t class, char number[24])
{
    if (has_names(tensor) && class >= 0 && class < tensor->n_labels) {
        return tensor->labels[class];
    }
    snprintf(number, 24, class < 0 ? "none" : "%lld", (long long)class);
    return number;
}

/* NaN ranks before all numbers, so that it is seen. */
static bool ranks_before(float a, float b)
{
    return isnan(b) ? false : isnan(a) || a > b;
}

/* The numbers of the greatest `top` values, in descending order, equal ones in order of their number. */
static int64_t *top_classes(const float *values, int64_t n, int64_t top)
{
    int64_t *list = allocate(top + 1, sizeof *list, "the top classes"), length = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t place = length;
        for (; place > 0 && ranks_before(values[i], values[list[place - 1]]); place--) {
            list[place] = list[place - 1];
        }
        list[place] = i;
        length += length < top;
    }
    return list;
}

/* softmax's denominator and the maximum that is taken off first; both turn NaN if a value is. */
static double softmax_sum(const float *values, int64_t n, double *most)
{
    double sum = 0;
    *most = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        *most = values[i] > *most || isnan(values[i]) ? values[i] : *most;
    }
    for (int64_t i = 0; i < n; i++) {
        sum += exp(values[i] - *most);
    }
    return sum;
}

/* A NaN has a sign that printf shows and that means nothing. */
static double unsigned_nan(double value)
{
    return isnan(value) ? fabs(value) : value;
}

static void print_values(const struct netc_tensor *tensor, const float *values)
{
    printf("%s %s:", tensor->name, shape_text(tensor->rank, tensor->shape));
    for (int64_t i = 0; i < tensor->elements && i < FIRST_VALUES; i++) {
        printf(" %.6g", unsigned_nan(values[i]));
    }
    printf("%s\n", tensor->elements > FIRST_VALUES ? " ..." : "");
}

/* A network whose description names classes ends in logits: their softmax is shown. Without names the values
 * themselves are. */
void print_answer(const struct netc_tensor *tensor, const float *values, int top)
{
    if (tensor->rank != 1) {
        print_values(tensor, values);
        return;
    }
    if (netc_model.n_output > 1) {
        printf("%s\n", tensor->name);
    }
    const int64_t n = tensor->elements, count = top < n ? top : n;
    int64_t *list = top_classes(values, n, count);
    double most;
    const double sum = softmax_sum(values, n, &most);
    for (int64_t i = 0; i < count; i++) {
        char number[24];
        printf("%2lld  ", (long long)i + 1);
        if (tensor->labels) {
            const double share = exp(values[list[i]] - most) / sum;
            printf("%5.1f %%  %s\n", unsigned_nan(100 * share), class_name(tensor, list[i], number));
        } else {
            printf("%11.6g  class %lld\n", unsigned_nan(values[list[i]]), (long long)list[i]);
        }
    }
    free(list);
}

json_t *json_double(double value)
{
    return isfinite(value) ? json_real(value) : json_string(isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
}

json_t *json_answer(const struct netc_tensor *tensor, const float *values, int top)
{
    json_t *answer = json_array();
    if (tensor->rank != 1) {
        for (int64_t i = 0; i < tensor->elements; i++) {
            json_array_append_new(answer, json_double(values[i]));
        }
        return answer;
    }
    const int64_t n = tensor->elements, count = top < n ? top : n;
    int64_t *list = top_classes(values, n, count);
    double most;
    const double sum = softmax_sum(values, n, &most);
    for (int64_t i = 0; i < count; i++) {
        json_t *one = json_pack("{s:I, s:o}", "class", (json_int_t)list[i], "value", json_double(values[list[i]]));
        if (has_names(tensor)) {
            json_object_set_new(one, "label", json_string(tensor->labels[list[i]]));
        }
        if (tensor->labels) {
            json_object_set_new(one, "probability", json_double(exp(values[list[i]] - most) / sum));
        }
        json_array_append_new(answer, one);
    }
    free(list);
    return answer;
}

void print_json(json_t *object)
{
    if (!object) {
        fail("this cannot be said in JSON (a name that is no UTF-8, or no memory)");
    }
    if (json_dumpf(object, stdout, JSON_REAL_PRECISION(9)) != 0) {
        fail("cannot write standard output");
    }
    putchar('\n');
    json_decref(object);
}
