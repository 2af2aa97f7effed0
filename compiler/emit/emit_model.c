/* NAME.program.c: what the runtime of a program asks of a network beyond its API, as the tables of runtime/model.h: how pictures become
 * inputs, names of classes, layers and stages, and a function that runs one task of one layer. It includes NAME.c, so that a
 * library's C has none of this. */
#include <string.h>

#include "emit/emit.h"
#include "emit/names.h"

/* ---- inputs and outputs ---- */

void put_string(struct text *t, const char *s)
{
    text_put(t, "\"", 1);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            text_add(t, "\\%c", c);
        else if (c < 32 || c == 127 || c == '?')
            text_add(t, "\\%03o", c);
        else
            text_put(t, s, 1);
    }
    text_put(t, "\"", 1);
}

static void put_number(struct text *t, double v)
{
    text_add(t, "%.17g", v);
}

static const char *const step_name[] = {[PICTURE_RESIZE] = "NETC_RESIZE",
                                        [PICTURE_CENTER_CROP] = "NETC_CENTER_CROP",
                                        [PICTURE_CENTER_BOX] = "NETC_CENTER_BOX",
                                        [PICTURE_GRAY] = "NETC_GRAY",
                                        [PICTURE_SWAP_RED_BLUE] = "NETC_SWAP_RED_BLUE",
                                        [PICTURE_NORMALIZE] = "NETC_NORMALIZE"};

static void put_step(struct text *t, const struct picture_step *s)
{
    text_add(t, "    {.op = %s", step_name[s->op]);
    if (s->shorter)
        text_add(t, ", .shorter = %lld", (long long)s->shorter);
    if (s->size[0])
        text_add(t, ", .rows = %lld, .columns = %lld", (long long)s->size[0], (long long)s->size[1]);
    if (s->op == PICTURE_RESIZE)
        text_add(t, ", .bicubic = %d", s->filter == FILTER_BICUBIC);
    if (s->op == PICTURE_CENTER_CROP)
        text_add(t, ", .offset_ceil = %d", s->offset_ceil);
    if (s->op == PICTURE_CENTER_BOX) {
        text_add(t, ", .share = ");
        put_number(t, s->share);
    }
    if (s->op == PICTURE_NORMALIZE) {
        const double *list[2] = {s->mean, s->std};
        for (int k = 0; k < 2; k++) {
            text_add(t, k ? ", .std = {" : ", .mean = {");
            for (int c = 0; c < s->channels; c++) {
                text_add(t, c ? ", " : "");
                put_number(t, list[k][c]);
            }
            text_add(t, "}");
        }
        text_add(t, ", .range = ");
        put_number(t, s->range);
        text_add(t, ", .channels = %d", s->channels);
    }
    text_add(t, "},\n");
}

static void put_tensor(struct text *t, const char *name, struct shape s)
{
    text_add(t, "    {.name = ");
    put_string(t, name);
    text_add(t, ", .rank = %d, .shape = {", s.rank);
    for (int i = 0; i < s.rank; i++)
        text_add(t, "%s%lld", i ? ", " : "", (long long)s.dim[i]);
    text_add(t, "}, .elements = %lld", (long long)shape_elements(s));
}

static void emit_inputs(struct text *t, const struct graph *g)
{
    for (size_t i = 0; i < g->n_input; i++) {
        if (!g->input[i].n_step)
            continue;
        text_add(t, "\nstatic const struct netc_picture_step steps_%zu[] = {\n", i);
        for (int k = 0; k < g->input[i].n_step; k++)
            put_step(t, &g->input[i].step[k]);
        text_add(t, "};\n");
    }
    text_add(t, "\nstatic const struct netc_tensor inputs[] = {\n");
    for (size_t i = 0; i < g->n_input; i++) {
        put_tensor(t, g->input[i].node->name, g->input[i].node->type.shape);
        if (g->input[i].n_step)
            text_add(t, ", .step = steps_%zu, .n_step = %d", i, g->input[i].n_step);
        text_add(t, "},\n");
    }
    text_add(t, "};\n");
}

static void emit_outputs(struct text *t, const struct graph *g)
{
    text_add(t, "\nstatic const struct netc_tensor outputs[] = {\n");
    for (size_t i = 0; i < g->n_output; i++) {
        put_tensor(t, g->output[i].name, g->output[i].node->type.shape);
        if (g->output[i].labels)
            text_add(t, ",\n     .labels = %s, .n_labels = %lld", labels_name(t->arena, g, i),
                     (long long)g->output[i].n_labels);
        text_add(t, "},\n");
    }
    text_add(t, "};\n");
}

/* ---- layers and stages ---- */

/* Where a value lies and how: struct netc_value. */
static void put_value(struct text *t, const struct program_names *n, const struct node *v, const struct argument *a)
{
    static const char *const place[] = {
        [MEMORY_WORKSPACE] = "NETC_WORKSPACE", [MEMORY_INPUT] = "NETC_INPUT", [MEMORY_OUTPUT] = "NETC_OUTPUT"};
    const char *start = a->memory->kind == MEMORY_WORKSPACE ? memory_name(n, a->memory) : "0";
    text_add(t, "{%s, %s + %lld, %d, %d, {", place[a->memory->kind], start, (long long)a->lead, a->memory->index,
             v->type.shape.rank);
    for (int k = 0; k < v->type.shape.rank; k++)
        text_add(t, "%s%lld", k ? ", " : "", (long long)v->type.shape.dim[k]);
    struct layout y = v->type.layout;
    bool blocks = y.kind == LAYOUT_BLOCKS;
    text_add(t, "%s}, %d, %d, %d}", v->type.shape.rank ? "" : "0", blocks ? y.block : 0, blocks ? y.halo : 0,
             blocks ? y.seg : 0);
}

/* The argument that a kernel writes its result to. */
static const struct argument *result_of(const struct call *c)
{
    for (int i = 0; c->node && i < c->kernel->n_buffer; i++)
        if (c->kernel->buffer[i]->dir != DIR_IN)
            return &c->arg[i];
    return NULL;
}

static int emit_layers(struct text *t, const struct program *p, const struct program_names *names)
{
    int n = 0;
    text_add(t, "\nstatic const struct netc_layer layers[] = {\n");
    for (struct stage *s = p->stage; s; s = s->next)
        for (struct call *c = s->call; c; c = c->next, n++) {
            int64_t read = 0, weights = 0, written = 0;
            for (int i = 0; i < c->kernel->n_buffer; i++) {
                const struct buffer *b = c->kernel->buffer[i];
                int64_t loaded = b->dir != DIR_OUT ? kernel_touches(c->kernel, b, false) : 0;
                *(c->arg[i].memory->kind == MEMORY_WEIGHTS ? &weights : &read) += loaded;
                written += b->dir != DIR_IN ? kernel_touches(c->kernel, b, true) : 0;
            }
            text_add(t, "    {\"%s\", \"%s\",\n     ", c->layer, c->kernel->name);
            put_string(t, c->comment);
            text_add(t, ",\n     %lld, %lld, %lld, %lld", (long long)c->kernel->macs, (long long)read,
                     (long long)weights, (long long)written);
            if (result_of(c)) {
                text_add(t, ",\n     ");
                put_value(t, names, c->node, result_of(c));
            }
            text_add(t, "},\n");
        }
    text_add(t, "};\n");
    return n;
}

static void emit_views(struct text *t, const struct program *p, const struct program_names *names)
{
    if (!p->n_view)
        return;
    text_add(t, "\nstatic const struct netc_view views[] = {\n");
    for (size_t i = 0; i < p->n_view; i++) {
        const struct program_view *v = &p->view[i];
        text_add(t, "    {\"%s\",\n     ", v->node->name);
        put_string(t, v->comment);
        text_add(t, ",\n     %d, ", v->after);
        put_value(t, names, v->node, &v->place);
        text_add(t, "},\n");
    }
    text_add(t, "};\n");
}

static int emit_stages(struct text *t, const struct program *p)
{
    int n = 0, layer = 0;
    text_add(t, "\nstatic const struct netc_stage stages[] = {\n");
    for (struct stage *s = p->stage; s; s = s->next, n++) {
        int first = layer;
        for (struct call *c = s->call; c; c = c->next)
            layer++;
        text_add(t, "    {%d, %d, {%lld, %lld}, ", first, layer - first, s->n_task > 0 ? (long long)s->task[0] : 1,
                 s->n_task > 1 ? (long long)s->task[1] : 1);
        if (s->barrier)
            put_string(t, s->barrier);
        else
            text_add(t, "NULL");
        text_add(t, "},\n");
    }
    text_add(t, "};\n");
    return n;
}

static void emit_call(struct text *t, const struct program *p, const struct program_names *n)
{
    static const char *const task[] = {"i", "j"};
    int layer = 0;
    text_add(
        t,
        "\n/* One task of one layer, as numbered below: for --profile and --dump. */\n"
        "static void call(int layer, const char *w, void *workspace, const float *const *input, float *const *output,\n"
        "                 int n, int i, int j)\n{\n"
        "    char *const m = workspace;\n    (void)w, (void)m, (void)input, (void)output, (void)n, (void)i, (void)j;\n"
        "    switch (layer) {\n");
    for (struct stage *s = p->stage; s; s = s->next)
        for (struct call *c = s->call; c; c = c->next) {
            text_add(t, "    case %d:\n", layer++);
            put_call(t, p, n, c, task, s->n_task, 8);
            text_add(t, "        break;\n");
        }
    text_add(t, "    }\n}\n");
}

/* ---- the file ---- */

static void emit_variant(struct text *t, const struct program *p, const struct emit_options *o,
                         const struct program_names *n)
{
    emit_call(t, p, n);
    int n_layer = emit_layers(t, p, n), n_stage = emit_stages(t, p);
    emit_views(t, p, n);
    if (o->variant)
        text_add(t, "\nextern const struct netc_variant %s_%s_variant;\nconst struct netc_variant %s_%s_variant = {\n",
                 p->graph->name, p->target->isa, p->graph->name, p->target->isa);
    else
        text_add(t, "\nstatic const struct netc_variant variant = {\n");
    text_add(
        t,
        "    .target = \"%s\", .workspace_bytes = IMAGE_BYTES,\n    .layer = layers, .n_layer = %d, .stage = stages, "
        ".n_stage = %d,\n    .view = %s, .n_view = %zu,\n"
        "    .lacks = lacks, .run = %s, .call = call, .enter = flush_denormals, .leave = restore_mode,\n"
        "    .peak_slice = peak_slice,\n};\n",
        p->target->name, n_layer, n_stage, p->n_view ? "views" : "NULL", p->n_view, forward_name(t->arena, p, o));
}

static void emit_model(struct text *t, const struct program *const *p, int n, const struct emit_options *o)
{
    const struct graph *g = p[0]->graph;
    const char *name = g->name;
    emit_inputs(t, g);
    emit_outputs(t, g);
    text_add(t,
             "\nstatic int open_weights(struct netc_weights *to, const char *file)\n{\n    %s_net net;\n"
             "    const int code = %s_open(&net, file);\n"
             "    *to = (struct netc_weights){.weights = net.weights, .bytes = net.bytes, .variant = net.variant,\n"
             "                                .error = net.error, .detail = net.detail,\n"
             "                                .is_packing = code == %s_ERROR_NETWORK && strstr(net.detail, \" = \")};\n"
             "    memcpy(to->digest, net.digest, sizeof to->digest);\n    return code;\n}\n",
             name, name, capitals(t->arena, name));
    text_add(t,
             "\nstatic void close_weights(struct netc_weights *from)\n{\n"
             "    %s_net net = {.weights = from->weights, .bytes = from->bytes};\n    %s_close(&net);\n}\n",
             name, name);
    text_add(t, "\nstatic const struct netc_variant *const all_variants[] = {");
    for (int i = 0; i < n; i++)
        if (o->variant)
            text_add(t, "%s&%s_%s_variant", i ? ",\n    " : "\n    ", name, p[i]->target->isa);
        else
            text_add(t, "&variant");
    text_add(
        t,
        "};\n\n/* What the runtime asks about this network. */\nconst struct netc_model netc_model = {\n    .name = ");
    put_string(t, name);
    text_add(t, ", .version = \"%s\", .target = \"%s\", .options = ", NETC_VERSION, o->target);
    put_string(t, o->options);
    text_add(t, ",\n    .digest = 0x%016llxu, .params = %lld, .macs = %lld,\n",
             (unsigned long long)(o->linked ? o->digest : 0), (long long)o->params, (long long)o->macs);
    text_add(t, "    .weights_bytes = %lld, .batch = %d,\n", (long long)p[0]->weights_bytes, p[0]->batch);
    text_add(t, "    .n_input = %zu, .n_output = %zu, .input = inputs, .output = outputs,\n", g->n_input, g->n_output);
    text_add(t,
             "    .variant = all_variants, .n_variant = %d,\n"
             "    .open = open_weights, .close = close_weights, .strerror = %s_strerror,\n};\n",
             n, name);
}

void emit_variant_program(struct text *t, const struct program *p, const struct emit_options *o)
{
    struct program_names names = {.arena = t->arena};
    name_places(&names, p);
    names.prefix = kernel_prefix(t->arena, p, o);
    emit_banner(t, p, o, p->target->name,
                "What a program's runtime asks of one variant: its layers, stages and one task at a time.");
    text_add(t, "#include \"model.h\"\n#include \"%s.%s.c\"\n", p->graph->name, p->target->isa);
    emit_variant(t, p, o, &names);
}

void emit_program(struct text *t, const struct program *const *p, int n, const struct emit_options *o)
{
    struct program_names names = {.arena = t->arena};
    name_places(&names, p[0]);
    names.prefix = kernel_prefix(t->arena, p[0], o);
    emit_banner(t, p[0], o, o->target,
                "What a program's runtime asks of the network beyond its API. A library does without this file.");
    emit_features(t);
    text_add(t, "#include \"model.h\"\n#include \"%s.c\"\n", p[0]->graph->name);
    for (int i = 0; i < n && o->variant; i++)
        text_add(t, "%sextern const struct netc_variant %s_%s_variant;\n", i ? "" : "\n", p[i]->graph->name,
                 p[i]->target->isa);
    if (!o->variant)
        emit_variant(t, p[0], o, &names);
    emit_model(t, p, n, o);
}
