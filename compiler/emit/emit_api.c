/* The functions behind NAME.h, for one program or for several of which one is picked, and the weights.
 *
 * The texts are C with the network's name left open: $ stands for it, @ for the same in capitals. What runs before the
 * processor is known to have what the kernels need is marked `anywhere`; that is all but the forward, as a caller may
 * call any function at any time. */
#include "emit/emit.h"
#include "emit/names.h"

/* What a run needs, by any of the programs. Never 0: aligned_alloc() may answer NULL to that. */
int64_t workspace_of(const struct program *const *p, int n)
{
    int64_t bytes = 64;
    for (int i = 0; i < n; i++) {
        int64_t own = p[i]->workspace_bytes * p[i]->batch;
        bytes = own > bytes ? own : bytes;
    }
    return bytes;
}

const char *targets_of(struct arena *a, const struct program *const *p, int n)
{
    struct text t = {.arena = a};
    for (int i = 0; i < n; i++)
        text_add(&t, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " or ", p[i]->target->name);
    return text_string(&t);
}

static const char linked_weights[] = "\n/* The packed weights, from a file beside this one. */\n"
                                     "__asm__(\".pushsection .rodata,\\\"a\\\"\\n\"\n"
                                     "        \".balign 4096\\n\"\n"
                                     "        \".globl $_weights\\n\"\n"
                                     "        \".hidden $_weights\\n\"\n"
                                     "        \"$_weights:\\n\"\n"
                                     "        \".incbin \\\"$.weights\\\"\\n\"\n"
                                     "        \".popsection\\n\");\n"
                                     "extern const char $_weights[] __attribute__((visibility(\"hidden\")));\n";

static const char messages[] =
    "\nanywhere const char *$_strerror(int code)\n{\n    switch (code) {\n"
    "    case @_OK:\n        return \"no error\";\n"
    "    case @_ERROR_ARGUMENT:\n        return \"a null pointer, a number of threads out of range, or a net that is "
    "not open\";\n"
    "    case @_ERROR_ALIGNMENT:\n        return \"the workspace is not at a multiple of 64 bytes, or an array not at "
    "one of 4\";\n"
    "    case @_ERROR_PROCESSOR:\n        return \"this processor lacks instructions that the network was compiled "
    "to\";\n"
    "    case @_ERROR_WEIGHTS:\n        return \"no weights were linked in: a weights file is needed\";\n"
    "    case @_ERROR_FILE:\n        return \"the weights file cannot be read\";\n"
    "    case @_ERROR_FORMAT:\n        return \"this is no weights file of this version of netc\";\n"
    "    case @_ERROR_NETWORK:\n        return \"the weights are packed for another network, or in another way\";\n"
    "    case @_ERROR_DAMAGED:\n        return \"the weights file is damaged\";\n"
    "    default:\n        return \"unknown error\";\n    }\n}\n";

static void put_labels(struct text *t, const struct graph *g)
{
    struct ports ports = ports_of(t->arena, g);
    for (size_t i = ports.n_input; i < ports.n; i++) {
        const struct port *port = &ports.port[i];
        if (!port->output->labels)
            continue;
        text_add(t, "\nconst char *const %s_%s_labels[%s_CLASSES] = {\n", g->name, port->word, port->macro);
        for (int64_t k = 0; k < port->output->n_labels; k++) {
            text_add(t, "    ");
            put_string(t, port->output->labels[k]);
            text_add(t, ",\n");
        }
        text_add(t, "};\n");
    }
}

/* One variant: `lacks` and `forward` of this file. Several: a table, best first. */
static void put_choice(struct text *t, const struct program *const *p, int n, const struct emit_options *o)
{
    const char *name = p[0]->graph->name;
    if (!o->variant) {
        put_named(t, name,
                  "\nanywhere static const char *pick($_net *net)\n{\n    net->variant = 0;\n    return lacks();\n}\n");
        return;
    }
    text_add(t, "\n");
    for (int i = 0; i < n; i++) {
        text_add(t, "const char *%s_%s_lacks(void);\n", name, p[i]->target->isa);
        put_forward_signature(t, "", forward_name(t->arena, p[i], o), ";\n");
    }
    text_add(t, "\nstatic const struct {\n    const char *(*lacks)(void);\n"
                "    void (*forward)(const char *w, void *memory, const float *const *input, float *const *output, int "
                "threads);\n"
                "} variants[] = {\n");
    for (int i = 0; i < n; i++)
        text_add(t, "    {%s_%s_lacks, %s},\n", name, p[i]->target->isa, forward_name(t->arena, p[i], o));
    text_add(t, "};\n");
    put_named(t, name,
              arena_printf(t->arena,
                           "\n/* The first that this processor can run; else what it lacks for the last. */\n"
                           "anywhere static const char *pick($_net *net)\n{\n    const char *lacking = NULL;\n"
                           "    for (net->variant = 0; net->variant < %d; net->variant++) {\n"
                           "        lacking = variants[net->variant].lacks();\n        if (!lacking) {\n            "
                           "break;\n        }\n    }\n"
                           "    return lacking;\n}\n",
                           n));
}

static const char open_close[] =
    "\nstatic int open_file($_net *net, const char *weights_file)\n{\n"
    "    static const int code[] = {[PACKED_GOOD] = @_OK,\n"
    "                               [PACKED_FILE] = @_ERROR_FILE,\n"
    "                               [PACKED_FORMAT] = @_ERROR_FORMAT,\n"
    "                               [PACKED_NETWORK] = @_ERROR_NETWORK,\n"
    "                               [PACKED_DAMAGED] = @_ERROR_DAMAGED};\n"
    "    struct packed packed;\n"
    "    size_t length = 0;\n"
    "    const enum packed_fault fault = packed_open(&packed, weights_file, %lld, packing, &length, &net->error);\n"
    "    net->detail = packed.detail;\n"
    "    if (!fault) {\n"
    "        net->weights = packed.weights;\n        net->bytes = length;\n"
    "        memcpy(net->digest, packed.digest, sizeof net->digest);\n    }\n"
    "    return code[fault];\n}\n"
    "\nanywhere int $_open($_net *net, const char *weights_file)\n{\n"
    "    if (!net) {\n        return @_ERROR_ARGUMENT;\n    }\n"
    "    net->weights = NULL;\n    net->bytes = 0;\n    net->error = 0;\n    net->digest[0] = 0;\n"
    "    net->detail = pick(net);\n"
    "    if (net->detail) {\n        return @_ERROR_PROCESSOR;\n    }\n"
    "    if (weights_file) {\n        return open_file(net, weights_file);\n    }\n"
    "%s}\n"
    "\nanywhere void $_close($_net *net)\n{\n"
    "    if (!net) {\n        return;\n    }\n"
    "    if (net->weights && net->bytes) {\n        packed_close(net->weights, %lld, net->bytes);\n    }\n"
    "    net->weights = NULL;\n    net->bytes = 0;\n}\n";

static void put_run_body(struct text *t, const struct program *const *p, const struct emit_options *o)
{
    const struct graph *g = p[0]->graph;
    struct ports ports = ports_of(t->arena, g);
    put_run(t, g, "anywhere ", "\n{\n");
    text_add(t, "    const float *const inputs[] = {");
    for (size_t i = 0; i < ports.n_input; i++)
        text_add(t, "%s%s", i ? ", " : "", ports.port[i].variable);
    text_add(t, "};\n    float *const outputs[] = {");
    for (size_t i = ports.n_input; i < ports.n; i++)
        text_add(t, "%s%s", i > ports.n_input ? ", " : "", ports.port[i].variable);
    text_add(t, "};\n");
    put_named(t, g->name,
              arena_printf(
                  t->arena,
                  "    uintptr_t low_bits = 0;\n"
                  "    if (!net || !net->weights || !workspace || threads < 1 || threads > @_MOST_THREADS) {\n        "
                  "return @_ERROR_ARGUMENT;\n    }\n"
                  "    for (int i = 0; i < %zu; i++) {\n        if (!inputs[i]) {\n            return "
                  "@_ERROR_ARGUMENT;\n        }\n        low_bits |= (uintptr_t)inputs[i];\n    }\n"
                  "    for (int i = 0; i < %zu; i++) {\n        if (!outputs[i]) {\n            return "
                  "@_ERROR_ARGUMENT;\n        }\n        low_bits |= (uintptr_t)outputs[i];\n    }\n"
                  "    if ((uintptr_t)workspace %% @_ALIGNMENT || low_bits %% 4) {\n        return "
                  "@_ERROR_ALIGNMENT;\n    }\n"
                  "    %s(net->weights, workspace, inputs, outputs, threads);\n    return @_OK;\n}\n",
                  g->n_input, g->n_output, o->variant ? "variants[net->variant].forward" : "forward"));
}

void emit_api(struct text *t, const struct program *const *p, int n, const struct emit_options *o)
{
    const char *name = p[0]->graph->name;
    text_add(t, "\n/* ---- %s.h ---- */\n", name);
    if (o->linked)
        put_named(t, name, linked_weights);
    put_labels(t, p[0]->graph);
    emit_map_weights(t, p[0]);
    put_choice(t, p, n, o);
    const char *own =
        "    net->weights = $_weights;\n    memcpy(net->digest, @_DIGEST, sizeof net->digest);\n    return "
        "@_OK;\n";
    const long long bytes = (long long)p[0]->weights_bytes;
    put_named(t, name,
              arena_printf(t->arena, open_close, bytes, o->linked ? own : "    return @_ERROR_WEIGHTS;\n", bytes));
    put_named(t, name, "\nanywhere size_t $_workspace_size(void)\n{\n    return @_WORKSPACE_BYTES;\n}\n\n");
    put_run_body(t, p, o);
    put_named(t, name, messages);
}

void emit_variants(struct text *t, const struct program *const *p, int n, const struct emit_options *o)
{
    struct arena *a = t->arena;
    const char *name = p[0]->graph->name;
    emit_banner(
        t, p[0], o, o->target,
        arena_printf(a, "The API; %s_open picks the code for the processor at hand. It is compiled for any.%s", name,
                     o->linked ? arena_printf(a, "\n * Compile in this folder, where %s.weights lies.", name) : ""));
    emit_features(t);
    text_add(t,
             "#include \"%s.h\"\n#include <stdint.h>\n\n#define anywhere /* all of this file is compiled for any "
             "processor */\n",
             name);
    emit_api(t, p, n, o);
}
