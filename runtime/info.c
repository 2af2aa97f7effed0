/* --info: what this program is. Runs on any processor, also on one that lacks what the network was built for. */
#include <inttypes.h>
#include <jansson.h>

#include "runtime.h"

static void print_tensors(const char *what, const struct netc_tensor *tensor, int n)
{
    for (int i = 0; i < n; i++) {
        printf("%-12s %s %s", i ? "" : what, tensor[i].name, shape_text(tensor[i].rank, tensor[i].shape));
        if (tensor[i].labels) {
            printf(", %d named classes", tensor[i].n_labels);
        }
        printf("%s\n", tensor[i].n_step ? ", from pictures" : "");
    }
}

static json_t *json_tensors(const struct netc_tensor *tensor, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        json_t *shape = json_array();
        for (int k = 0; k < tensor[i].rank; k++) {
            json_array_append_new(shape, json_integer(tensor[i].shape[k]));
        }
        json_array_append_new(list, json_pack("{s:s, s:o}", "name", tensor[i].name, "shape", shape));
    }
    return list;
}

static void json_info(const char *digest, const char *file, const struct netc_variant *v, const char *missing)
{
    const struct netc_model *m = &netc_model;
    print_json(json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s?, s:i, s:I, s:I, s:s?, s:s?, s:I, s:I, s:i, s:o, s:o}",
                         "network", m->name, "netc_version", m->version, "target", m->target, "code", v->target,
                         "options", m->options, "processor_lacks", missing, "batch", m->batch, "parameters",
                         (json_int_t)m->params, "macs", (json_int_t)m->macs, "weights_digest", digest, "weights_file",
                         file, "weights_bytes", (json_int_t)m->weights_bytes, "workspace_bytes",
                         (json_int_t)(v->workspace_bytes * m->batch), "layers", v->n_layer, "inputs",
                         json_tensors(m->input, m->n_input), "outputs", json_tensors(m->output, m->n_output)));
}

void print_info(const struct options *options)
{
    const struct netc_model *m = &netc_model;
    const char *missing;
    const struct netc_variant *v = network_variant(options, &missing);
    char own[17];
    snprintf(own, sizeof own, "%016" PRIx64, m->digest);
    const char *digest = m->digest ? own : NULL, *file = options->weights_file;
    if (file && !missing) {
        network_open(options);
        digest = network.weights.digest;
    } else if (file) {
        digest = NULL; /* only code for this processor may look into it */
    }
    if (options->json) {
        json_info(digest, file, v, missing);
        return;
    }
    printf("network      %s\n", m->name);
    print_tensors("inputs", m->input, m->n_input);
    print_tensors("outputs", m->output, m->n_output);
    printf("batch        %d\n", m->batch);
    printf("parameters   %lld\n", (long long)m->params);
    printf("macs         %lld an image, in %d layers\n", (long long)m->macs, v->n_layer);
    printf("weights      %.1f MB, %s%s%s%s\n", (double)m->weights_bytes * 1e-6, digest ? "digest " : "",
           digest ? digest : "", file ? ", in " : "",
           file     ? file
           : digest ? ""
                    : "in a file: --weights-file=FILE");
    printf("workspace    %.1f MB for each caller\n", (double)(v->workspace_bytes * m->batch) * 1e-6);
    printf("target       %s%s%s\n", v->target, missing ? ", which this processor is not: it lacks " : "",
           missing ? missing : "");
    printf("netc         %s%s%s\n", m->version, m->options && *m->options ? ", " : "", m->options ? m->options : "");
}
