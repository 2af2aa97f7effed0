/* Weights files: what stands in front of the packed weights, grammar/WEIGHTS.md. A program that maps such a file
 * compares the lines about its layers, one a packed parameter, with those that were written into its own C; so a line
 * says all that the bytes of the parameter depend on beside the checkpoint, and nothing else: no target, no batch, no
 * border of a value. */
#pragma clang diagnostic ignored "-Wunused-function"
#include "emit/map_weights.h" /* the checksum */

#include "lower/lower.h"
#include "weights/weights.h"

static const char *const kind_name[] = {[PACK_PANELS] = "panels",
                                        [PACK_SPREAD] = "spread",
                                        [PACK_WINOGRAD] = "winograd",
                                        [PACK_VECTOR] = "vector",
                                        [PACK_PLAIN] = "plain"};

/* A line has one line and a name has no blank, whatever somebody called a parameter. */
static void put_escaped(struct text *t, const char *s, const char *escaped)
{
    for (; *s; s++)
        if ((unsigned char)*s < 32 || *s == 127 || *s == '\\' || strchr(escaped, *s))
            text_add(t, "\\x%02x", (unsigned char)*s);
        else
            text_put(t, s, 1);
}

static void put_name(struct text *t, const char *name)
{
    put_escaped(t, name, " ,;()");
}

/* The values belong to the network, not to the checkpoint. */
static void put_constant(struct text *t, const struct param *p)
{
    int64_t n = p->value ? shape_elements(p->shape) : 0;
    float *single = NEW_ARRAY(t->arena, float, n);
    for (int64_t i = 0; i < n; i++)
        single[i] = (float)p->value[i];
    text_add(t, "constant(%016llx)", (unsigned long long)xxh64(single, sizeof *single * (size_t)n));
}

/* fold_weight(conv1.weight, bn1.weight, bn1.running_var; eps 1e-05) */
static void put_source(struct text *t, const struct param *p)
{
    if (!p) {
        text_add(t, "zeros");
    } else if (p->op == PARAM_LOADED) {
        put_name(t, p->name);
    } else if (p->op == PARAM_CONSTANT) {
        put_constant(t, p);
    } else if (p->op == PARAM_CONCAT && joined_param_name(p->from, p->n_from) == p->name) {
        put_name(t, p->name); /* of which form the network was is nothing that the bytes depend on */
    } else {
        text_add(t, "%s(", recipe_info(p->op)->name);
        for (int i = 0; i < p->n_from; i++) {
            text_add(t, "%s", i ? ", " : "");
            put_source(t, p->from[i]);
        }
        if (recipe_info(p->op)->has_eps)
            text_add(t, "; eps %.*g", number_digits(p->eps), p->eps);
        if (recipe_info(p->op)->has_axis)
            text_add(t, "; axis %d", p->axis);
        text_add(t, ")");
    }
}

static void put_dims(struct text *t, int rank, const int64_t *dim)
{
    for (int i = 0; i < rank; i++)
        text_add(t, "%s%lld", i ? "," : "[", (long long)dim[i]);
    text_add(t, rank ? "]" : "[]");
}

static const char *algorithm_of(const struct node *layer)
{
    if (!layer)
        return "-"; /* a program that was read from text */
    return layer->algorithm == ALGORITHM_NONE ? op_info(layer->op)->name : algorithm_name[layer->algorithm];
}

/* Where channels stand in blocks; a border matters to the reader of a value only. */
static void put_layout(struct text *t, const char *what, struct layout y)
{
    if (y.kind != LAYOUT_BLOCKS)
        return;
    text_add(t, " %s c%d", what, y.block);
    if (y.seg)
        text_add(t, " seg %d", y.seg);
}

const char *packing_line(struct arena *a, const struct pack *p)
{
    struct text t = {.arena = a};
    put_name(&t, p->memory->name);
    if (p->param) {
        text_add(&t, " ");
        put_dims(&t, p->param->shape.rank, p->param->shape.dim);
    }
    text_add(&t, " %s %s", algorithm_of(p->layer), kind_name[p->kind]);
    if (p->groups > 1)
        text_add(&t, " groups %lld", (long long)p->groups);
    put_layout(&t, "in", p->in);
    put_layout(&t, "out", p->out);
    text_add(&t, " as %s", element_name[ELEMENT_F32]);
    put_dims(&t, p->rank, p->dim);
    text_add(&t, " at %lld = ", (long long)p->memory->offset);
    put_source(&t, p->param);
    return text_string(&t);
}

const char *packed_head(struct arena *a, const struct program *p, const struct packed_about *about, const char *blob,
                        size_t *bytes)
{
    struct text t = {.arena = a}, head = {.arena = a};
    text_add(&t, "blob %lld %016llx\nnetwork %s\noptions%s", (long long)p->weights_bytes,
             (unsigned long long)xxh64(blob, (size_t)p->weights_bytes), p->graph->name, *about->options ? " " : "");
    put_escaped(&t, about->options, "");
    text_add(&t, "\nnetc %s\nparameters %016llx\nlayers\n", NETC_VERSION, (unsigned long long)about->digest);
    for (size_t i = 0; i < p->n_pack; i++)
        text_add(&t, "%s\n", packing_line(a, &p->pack[i]));
    text_add(&t, "end\n");
    text_add(&head, "netc-weights 1\ntext %zu %016llx\n%s", t.length, (unsigned long long)xxh64(t.bytes, t.length),
             text_string(&t));
    static const char zeros[PACKED_ALIGNMENT];
    text_put(&head, zeros, (PACKED_ALIGNMENT - head.length % PACKED_ALIGNMENT) % PACKED_ALIGNMENT);
    *bytes = head.length;
    return head.bytes;
}
