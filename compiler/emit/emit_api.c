/* NAME.h, the header that callers of a network include (C11, C++), and the functions behind it.
 *
 * The texts are C with the network's name left open: $ stands for it, @ for the same in capitals. */
#include <ctype.h>
#include <string.h>

#include "emit/emit.h"
#include "emit/names.h"

enum { LINE = 118, MAX_CALLER_THREADS = 1024 };

const char *capitals(struct arena *a, const char *name)
{
    char *s = arena_copy(a, name, strlen(name));
    for (char *c = s; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return s;
}

static void put_named(struct text *t, const char *name, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '$')
            text_add(t, "%s", name);
        else if (*c == '@')
            text_add(t, "%s", capitals(t->arena, name));
        else
            text_put(t, c, 1);
    }
}

/* Text inside a comment: what would end it is parted. */
static void put_comment(struct text *t, const char *s)
{
    for (; *s; s++) {
        text_put(t, s, 1);
        if ((s[0] == '*' && s[1] == '/') || (s[0] == '/' && s[1] == '*'))
            text_put(t, " ", 1);
    }
}

/* ---- the tensors ---- */

struct port { /* an input or output as the caller sees it */
    const char *name;      /* the description's */
    const char *variable;  /* a parameter of NAME_run */
    const char *macro;     /* NET_PIXELS */
    struct shape shape;
    const struct graph_input *input;   /* or NULL */
    const struct graph_output *output; /* or NULL */
};

static const char *const reserved[] = {
    "alignas",   "alignof",  "and",      "asm",     "auto",     "bool",     "break",    "case",      "catch",
    "char",      "class",    "compl",    "concept", "const",    "continue", "decltype", "default",   "delete",
    "do",        "double",   "else",     "enum",    "explicit", "export",   "extern",   "false",     "float",
    "for",       "friend",   "goto",     "if",      "inline",   "int",      "long",     "mutable",   "namespace",
    "new",       "noexcept", "not",      "nullptr", "operator", "or",       "private",  "protected", "public",
    "register",  "requires", "restrict", "return",  "short",    "signed",   "sizeof",   "static",    "struct",
    "switch",    "template", "this",     "throw",   "true",     "try",      "typedef",  "typeid",    "typename",
    "union",     "unsigned", "using",    "virtual", "void",     "volatile", "while",    "xor",       "net",
    "workspace", "threads",  "input",    "output",  "forward",  "lacks",    "run",      "linux",     "unix"};

static const char *variable_name(struct arena *a, const char *name)
{
    const char *s = identifier(a, name);
    for (size_t i = 0; i < LENGTH(reserved); i++)
        if (strcmp(s, reserved[i]) == 0)
            return arena_printf(a, "%s_", s);
    return s;
}

static struct port port_of(struct arena *a, const struct graph *g, size_t i)
{
    struct port port = {.input = i < g->n_input ? &g->input[i] : NULL};
    port.output = port.input ? NULL : &g->output[i - g->n_input];
    port.name = port.input ? port.input->node->name : port.output->name;
    port.shape = port.input ? port.input->node->type.shape : port.output->node->type.shape;
    port.variable = variable_name(a, port.name);
    for (size_t k = 0; k < i; k++) /* an output may have an input's name */
        if (strcmp(port_of(a, g, k).variable, port.variable) == 0)
            port.variable = arena_printf(a, "%s_out", port.variable);
    port.macro = arena_printf(a, "%s_%s", capitals(a, g->name), capitals(a, port.variable));
    return port;
}

const char *labels_name(struct arena *a, const struct graph *g, size_t output)
{
    return arena_printf(a, "%s_%s_labels", g->name, port_of(a, g, g->n_input + output).variable);
}

static void put_names_of_classes(struct text *t, const struct graph_output *output)
{
    struct text line = {.arena = t->arena};
    text_add(&line, " *  ");
    for (int64_t i = 0; i < output->n_labels; i++) {
        struct text one = {.arena = t->arena};
        text_add(&one, " %lld ", (long long)i);
        put_comment(&one, output->labels[i]);
        text_add(&one, i + 1 < output->n_labels ? "," : "");
        if (line.length + one.length > LINE) {
            text_add(t, "%s\n", text_string(&line));
            line = (struct text){.arena = t->arena};
            text_add(&line, " *  ");
        }
        text_put(&line, one.bytes, one.length);
    }
    text_add(t, "%s\n", text_string(&line));
}

static void put_port(struct text *t, const char *net, const struct port *p)
{
    text_add(t, "\n/* %s %s: f32 [", p->input ? "Input" : "Output", p->name);
    for (int i = 0; i < p->shape.rank; i++)
        text_add(t, "%s%lld", i ? ", " : "", (long long)p->shape.dim[i]);
    text_add(t, "], row-major.");
    if (p->input && p->input->n_step) {
        text_add(t, " From a picture (RGB, 8 bits):\n * ");
        picture_steps_print(t, p->input);
    }
    bool labels = p->output && p->output->labels;
    if (labels) {
        text_add(t, " Logits of these classes:\n");
        put_names_of_classes(t, p->output);
    }
    text_add(t, " */\n#define %s_RANK %d\n#define %s_SHAPE {", p->macro, p->shape.rank, p->macro);
    for (int i = 0; i < p->shape.rank; i++)
        text_add(t, "%s%lld", i ? ", " : "", (long long)p->shape.dim[i]);
    text_add(t, "%s}\n#define %s_ELEMENTS %lld /* floats an image */\n", p->shape.rank ? "" : "1", p->macro,
             (long long)shape_elements(p->shape));
    if (labels)
        text_add(t, "#define %s_CLASSES %lld\nextern %s_API const char *const %s_%s_labels[%s_CLASSES];\n", p->macro,
                 (long long)p->output->n_labels, capitals(t->arena, net), net, p->variable, p->macro);
}

static void put_run(struct text *t, const struct graph *g, const char *end)
{
    struct text line = {.arena = t->arena};
    text_add(&line, "int %s_run(const %s_net *net, void *workspace", g->name, g->name);
    for (size_t i = 0; i <= g->n_input + g->n_output; i++) {
        const char *arg = "int threads";
        if (i < g->n_input + g->n_output)
            arg =
                arena_printf(t->arena, "%sfloat *%s", i < g->n_input ? "const " : "", port_of(t->arena, g, i).variable);
        if (line.length + strlen(arg) + 3 > LINE) {
            text_add(t, "%s,\n", text_string(&line));
            line = (struct text){.arena = t->arena};
            text_add(&line, "    %s", arg);
        } else
            text_add(&line, ", %s", arg);
    }
    text_add(t, "%s)%s", text_string(&line), end);
}

/* ---- the header ---- */

static const char usage[] =
    " *\n"
    " *     $_net net;\n"
    " *     int code = $_open(&net, NULL);\n"
    " *     void *workspace = aligned_alloc(64, $_workspace_size());\n"
    " *     code = code ? code : $_run(&net, workspace, ..., 1);\n"
    " *     if (code) fprintf(stderr, \"%s\\n\", $_strerror(code));\n"
    " *     $_close(&net);\n"
    " *\n"
    " * Nothing here allocates, prints, ends the process or keeps anything between calls: what a call needs is in its\n"
    " * arguments. So threads may run the network at once, each with a workspace of its own, on one opened net.\n"
    " */\n"
    "#ifndef @_H\n#define @_H\n\n#include <stddef.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
    "#ifndef @_API\n#define @_API __attribute__((visibility(\"default\")))\n#endif\n";

static const char declarations[] =
    "\n/* What the functions below return. */\n"
    "enum {\n"
    "    @_OK,\n"
    "    @_ERROR_ARGUMENT,  /* a null pointer, threads outside 1 ... @_MOST_THREADS, a net that is not open */\n"
    "    @_ERROR_ALIGNMENT, /* a workspace that is not at a multiple of 64 bytes, floats not at one of 4 */\n"
    "    @_ERROR_PROCESSOR, /* this processor lacks the instructions that the network was compiled to: detail */\n"
    "    @_ERROR_WEIGHTS,   /* there are none in this library: name a file */\n"
    "    @_ERROR_FILE,      /* the weights file cannot be read: error is its errno */\n"
    "    @_ERROR_FORMAT,    /* it is no weights file, or one of another version */\n"
    "    @_ERROR_NETWORK,   /* its weights are packed for another network or another way: detail begins with the layer */\n"
    "    @_ERROR_DAMAGED    /* it is too short, or its bytes are not those that were written */\n"
    "};\n"
    "\n/* An opened network: two pointers' worth of constant data, shared by all callers. Yours to place, not to "
    "change. */\n"
    "typedef struct $_net {\n"
    "    const void *weights;\n"
    "    size_t bytes;       /* mapped; 0: part of the library */\n"
    "    int variant;        /* the processor's code that $_open picked */\n"
    "    int error;          /* errno behind @_ERROR_FILE */\n"
    "    const char *detail; /* what an error of $_open is about, or NULL; constant text */\n"
    "    char digest[17];    /* of the parameters that the weights were packed from, as in @_DIGEST */\n"
    "} $_net;\n"
    "\n/* Makes sure of the processor and finds the packed weights: in the file, which is mapped and checked, or with "
    "NULL\n"
    " * those that were linked in. After an error there is nothing to close. Processes that map one file share its memory.\n"
    " * Replace a file that is in use by renaming another onto its name, as netc does: what is written into it changes "
    "the\n"
    " * weights of running programs, and cutting it short ends them with SIGBUS. */\n"
    "@_API int $_open($_net *net, const char *weights_file);\n"
    "@_API void $_close($_net *net);\n"
    "\n/* Bytes of memory that a run needs, at a multiple of 64. What is in it before and after does not matter. */\n"
    "@_API size_t $_workspace_size(void);\n"
    "\n/* Runs the network on @_BATCH image(s): every input and output holds as many, one after the other; the arrays "
    "do not overlap\n"
    " * and need no alignment beyond a float's. The result is the same to the last bit for any number of threads. */\n";

static const char ending[] = "\n/* A sentence about a code; constant. */\n"
                             "@_API const char *$_strerror(int code);\n"
                             "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n";

static const char *targets_of(struct arena *a, const struct program *const *p, int n)
{
    struct text t = {.arena = a};
    for (int i = 0; i < n; i++)
        text_add(&t, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " or ", p[i]->target->name);
    return text_string(&t);
}

void emit_header(struct text *t, const struct program *const *p, int n, const struct emit_options *o)
{
    struct arena *a = t->arena;
    const struct graph *g = p[0]->graph;
    text_add(t, "/* %s: %s parameters, %s multiply-adds an image, for %s.\n", g->name, grouped_digits(a, o->params),
             grouped_digits(a, o->macs), targets_of(a, p, n));
    text_add(t, " * Generated by netc %s from %s.%s%s\n", NETC_VERSION, file_name(g->file),
             *o->options ? " Options: " : "", o->options);
    put_named(t, g->name, usage);
    put_named(t, g->name,
              arena_printf(a,
                           "\n#define @_BATCH %d\n#define @_MOST_THREADS %d\n#define @_PARAMETERS %lld\n"
                           "#define @_MACS %lld /* multiply-adds an image */\n#define @_DIGEST \"%016llx\" /* of the "
                           "parameters%s */\n",
                           p[0]->batch, MAX_CALLER_THREADS, (long long)o->params, (long long)o->macs,
                           (unsigned long long)o->digest, o->linked ? "" : " that it was built with"));
    for (size_t i = 0; i < g->n_input + g->n_output; i++) {
        struct port port = port_of(a, g, i);
        put_port(t, g->name, &port);
    }
    put_named(t, g->name, declarations);
    put_named(t, g->name, "@_API ");
    put_run(t, g, ";\n");
    put_named(t, g->name, ending);
}

/* ---- the functions ---- */

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
    "\nconst char *$_strerror(int code)\n{\n"
    "    static const char *const text[] = {\n"
    "        [@_OK] = \"no error\",\n"
    "        [@_ERROR_ARGUMENT] = \"a null pointer, a number of threads out of range, or a net that is not open\",\n"
    "        [@_ERROR_ALIGNMENT] = \"the workspace is not at a multiple of 64 bytes, or an array not at one of 4\",\n"
    "        [@_ERROR_PROCESSOR] = \"this processor lacks instructions that the network was compiled to\",\n"
    "        [@_ERROR_WEIGHTS] = \"no weights were linked in: a weights file is needed\",\n"
    "        [@_ERROR_FILE] = \"the weights file cannot be read\",\n"
    "        [@_ERROR_FORMAT] = \"this is no weights file of this version of netc\",\n"
    "        [@_ERROR_NETWORK] = \"the weights are packed for another network, or in another way\",\n"
    "        [@_ERROR_DAMAGED] = \"the weights file is damaged\",\n"
    "    };\n"
    "    return code >= 0 && code < (int)(sizeof text / sizeof *text) ? text[code] : \"unknown error\";\n}\n";

static void put_labels(struct text *t, const struct graph *g)
{
    for (size_t i = g->n_input; i < g->n_input + g->n_output; i++) {
        struct port port = port_of(t->arena, g, i);
        if (!port.output->labels)
            continue;
        text_add(t, "\nconst char *const %s_%s_labels[%s_CLASSES] = {\n", g->name, port.variable, port.macro);
        for (int64_t k = 0; k < port.output->n_labels; k++) {
            text_add(t, "    ");
            put_string(t, port.output->labels[k]);
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
        put_named(t, name, "\nanywhere static const char *pick($_net *net)\n{\n    net->variant = 0;\n    return lacks();\n}\n");
        return;
    }
    text_add(t, "\n");
    for (int i = 0; i < n; i++)
        text_add(
            t,
            "const char *%s_%s_lacks(void);\n"
            "void %s(const char *w, void *memory, const float *const *input, float *const *output, int threads);\n",
            name, p[i]->target->isa, forward_name(t->arena, p[i], o));
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
                           "static const char *pick($_net *net)\n{\n    const char *lacking = NULL;\n"
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
    "\n%sint $_open($_net *net, const char *weights_file)\n{\n"
    "    if (!net) {\n        return @_ERROR_ARGUMENT;\n    }\n"
    "    net->weights = NULL;\n    net->bytes = 0;\n    net->error = 0;\n    net->digest[0] = 0;\n"
    "    net->detail = pick(net);\n"
    "    if (net->detail) {\n        return @_ERROR_PROCESSOR;\n    }\n"
    "    if (weights_file) {\n        return open_file(net, weights_file);\n    }\n"
    "%s}\n"
    "\nvoid $_close($_net *net)\n{\n"
    "    if (net->weights && net->bytes) {\n        packed_close(net->weights, %lld, net->bytes);\n    }\n"
    "    net->weights = NULL;\n    net->bytes = 0;\n}\n";

static void put_run_body(struct text *t, const struct program *const *p, const struct emit_options *o)
{
    const struct graph *g = p[0]->graph;
    put_run(t, g, "\n{\n");
    text_add(t, "    const float *const inputs[] = {");
    for (size_t i = 0; i < g->n_input; i++)
        text_add(t, "%s%s", i ? ", " : "", port_of(t->arena, g, i).variable);
    text_add(t, "};\n    float *const outputs[] = {");
    for (size_t i = g->n_input; i < g->n_input + g->n_output; i++)
        text_add(t, "%s%s", i > g->n_input ? ", " : "", port_of(t->arena, g, i).variable);
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
                  "    if ((uintptr_t)workspace %% 64 || low_bits %% 4) {\n        return @_ERROR_ALIGNMENT;\n    }\n"
                  "    %s(net->weights, workspace, inputs, outputs, threads);\n    return @_OK;\n}\n",
                  g->n_input, g->n_output, o->variant ? "variants[net->variant].forward" : "forward"));
}

void emit_api(struct text *t, const struct program *const *p, int n, const struct emit_options *o)
{
    const char *name = p[0]->graph->name;
    int64_t workspace = 0;
    for (int i = 0; i < n; i++)
        workspace = p[i]->workspace_bytes > workspace ? p[i]->workspace_bytes : workspace;
    text_add(t, "\n/* ---- %s.h ---- */\n", name);
    if (o->linked)
        put_named(t, name, linked_weights);
    put_labels(t, p[0]->graph);
    emit_map_weights(t, p[0]);
    put_choice(t, p, n, o);
    const char *own = "    net->weights = $_weights;\n    memcpy(net->digest, @_DIGEST, sizeof net->digest);\n    return "
                      "@_OK;\n";
    put_named(t, name,
              arena_printf(t->arena, open_close, (long long)p[0]->weights_bytes, o->variant ? "" : "anywhere ",
                           o->linked ? own : "    return @_ERROR_WEIGHTS;\n", (long long)p[0]->weights_bytes));
    put_named(t, name,
              arena_printf(t->arena, "\nsize_t $_workspace_size(void)\n{\n    return (size_t)%lld%s;\n}\n\n",
                           (long long)workspace, p[0]->batch > 1 ? " * @_BATCH" : ""));
    put_run_body(t, p, o);
    put_named(t, name, messages);
}

void emit_variants(struct text *t, const struct program *const *p, int n, const struct emit_options *o)
{
    struct arena *a = t->arena;
    emit_banner(
        t, p[0], o,
        arena_printf(a, "The API. At start it picks the code for the processor at hand: %s.", targets_of(a, p, n)));
    emit_features(t);
    text_add(t, "#include \"%s.h\"\n#include <stdint.h>\n", p[0]->graph->name);
    emit_api(t, p, n, o);
}
