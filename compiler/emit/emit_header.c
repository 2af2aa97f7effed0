/* NAME.h: what callers of a network read and include, in C11 and C++11, without a warning however they compile.
 *
 * It is their whole manual, so every shape, unit, owner and error stands in it, and it is wrapped at 120 columns
 * whatever the network is called. The texts are C with the network's name left open: $ stands for it, @ for the same in
 * capitals. */
#include <string.h>

#include "emit/emit.h"
#include "emit/names.h"

enum { WIDTH = 120, MOST_CALLER_THREADS = 1024 };

void put_named(struct text *t, const char *name, const char *text)
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

/* ---- lines of 120 columns ---- */

void put_wrapped(struct text *t, const char *text, const char *first, const char *next, int width)
{
    size_t column = strlen(first);
    bool fresh = true;
    text_add(t, "%s", first);
    while (*text) {
        size_t n = strcspn(text, " \n");
        if (!fresh && column + 1 + n > (size_t)width) {
            text_add(t, "\n%s", next);
            column = strlen(next);
            fresh = true;
        }
        text_add(t, "%s%.*s", fresh ? "" : " ", (int)n, text);
        column += n + (fresh ? 0 : 1);
        fresh = false;
        text += n;
        if (*text == '\n') {
            text_add(t, "\n%s", next);
            column = strlen(next);
            fresh = true;
        }
        text += *text != '\0';
    }
}

/* A comment of its own lines. */
PRINTF(3, 4) static void put_comment(struct text *t, const char *name, const char *format, ...)
{
    struct text plain = {.arena = t->arena}, named = {.arena = t->arena};
    va_list list;
    va_start(list, format);
    text_add_v(&plain, format, list);
    va_end(list);
    put_named(&named, name, text_string(&plain));
    put_wrapped(t, text_string(&named), "/* ", " * ", WIDTH - 3); /* room for the end */
    text_add(t, " */\n");
}

/* `line` and a comment behind it, or above it where they are too long together. */
static void put_explained(struct text *t, const char *line, const char *comment)
{
    if (*comment && strlen(line) + strlen(comment) + 7 <= WIDTH) {
        text_add(t, "%s /* %s */\n", line, comment);
        return;
    }
    int indent = (int)strspn(line, " "), length = (int)strlen(line);
    if (*comment) {
        put_wrapped(t, comment, arena_printf(t->arena, "%*s/* ", indent, ""),
                    arena_printf(t->arena, "%*s * ", indent, ""), WIDTH - 3);
        text_add(t, " */\n");
    }
    while (length > 0 && line[length - 1] == ' ')
        length--;
    text_add(t, "%.*s\n", length, line);
}

void put_signature(struct text *t, const char *signature)
{
    const char *next = signature;
    for (size_t column = 0; *next; signature = next) {
        next = strstr(signature, ", ");
        next = next ? next + 2 : signature + strlen(signature);
        size_t n = (size_t)(next - signature), shown = strcspn(signature, "\n") < n ? strcspn(signature, "\n") : n;
        if (column && column + shown - (shown > 0 && signature[shown - 1] == ' ') > WIDTH) {
            t->length--; /* the blank behind the last comma */
            text_add(t, "\n    ");
            column = 4;
        }
        text_put(t, signature, n);
        column += n;
    }
}

/* ---- the tensors ---- */

static void put_dims(struct text *t, struct shape shape)
{
    for (int i = 0; i < shape.rank; i++)
        text_add(t, "%s%lld", i ? ", " : "", (long long)shape.dim[i]);
}

static const char *resize_in_words(struct arena *a, const struct picture_step *s)
{
    const char *filter = s->filter == FILTER_BICUBIC ? "bicubic" : "bilinear";
    if (s->shorter > 0)
        return arena_printf(a,
                            "resize the shorter side to %lld pixels, the other in proportion, %s with Pillow's "
                            "antialias",
                            (long long)s->shorter, filter);
    return arena_printf(a, "resize to %lld rows of %lld pixels, %s with Pillow's antialias", (long long)s->size[0],
                        (long long)s->size[1], filter);
}

static const char *step_in_words(struct arena *a, const struct picture_step *s, const char *macro)
{
    switch (s->op) {
    case PICTURE_RESIZE: return resize_in_words(a, s);
    case PICTURE_CENTER_CROP:
        return arena_printf(a, "cut out the middle %lld rows of %lld pixels, offsets (size - cut) / 2 rounded %s",
                            (long long)s->size[0], (long long)s->size[1], s->offset_ceil ? "up" : "half to even");
    case PICTURE_CENTER_BOX:
        return arena_printf(a, "cut out the middle square with %.6g of the shorter side", s->share);
    case PICTURE_GRAY: return "make it gray with Pillow's weights: 0.299 red + 0.587 green + 0.114 blue";
    case PICTURE_SWAP_RED_BLUE: return "swap red and blue";
    default:
        return arena_printf(a, "channel by channel (byte * %s_RANGE / 255 - %s_MEAN[c]) / %s_STD[c]", macro, macro,
                            macro);
    }
}

static void put_numbers(struct text *t, const char *macro, const char *what, const double *number, int n)
{
    text_add(t, "#define %s_%s {", macro, what);
    for (int i = 0; i < n; i++) {
        const char *digits = arena_printf(t->arena, "%.9g", number[i]);
        text_add(t, "%s%s%sf", i ? ", " : "", digits, strpbrk(digits, ".en") ? "" : ".0");
    }
    text_add(t, "}\n");
}

/* The constants of `normalize`, which ends the way of a picture. */
static void put_normalize(struct text *t, const struct port *p)
{
    const struct picture_step *s = p->input && p->input->n_step ? &p->input->step[p->input->n_step - 1] : NULL;
    if (!s || s->op != PICTURE_NORMALIZE)
        return;
    put_numbers(t, p->macro, "MEAN", s->mean, s->channels);
    put_numbers(t, p->macro, "STD", s->std, s->channels);
    text_add(t, "#define %s_RANGE %.9g%sf\n", p->macro, s->range,
             strpbrk(arena_printf(t->arena, "%.9g", s->range), ".en") ? "" : ".0");
}

/* The comment above the constants of a tensor. */
static void put_port_manual(struct text *t, const struct port *p)
{
    struct arena *a = t->arena;
    struct text head = {.arena = a};
    text_add(&head, "%s %s: float [", p->input ? "Input" : "Output", harmless(a, p->name));
    put_dims(&head, p->shape);
    text_add(&head, "]%s, row-major.", p->shape.rank == 3 ? " (channels, rows, columns)" : "");
    if (p->input && p->input->n_step)
        text_add(&head, " How a picture (8 bits; red, green, blue) becomes one:");
    if (p->output && p->output->labels)
        text_add(&head, " A logit for each of these classes, whose names are UTF-8:");
    text_add(t, "\n");
    put_wrapped(t, text_string(&head), "/* ", " * ", WIDTH - 3);
    for (int i = 0; p->input && i < p->input->n_step; i++) {
        text_add(t, "\n");
        put_wrapped(t, step_in_words(a, &p->input->step[i], p->macro), arena_printf(a, " * %d. ", i + 1), " *    ",
                    WIDTH - 3);
    }
    if (p->output && p->output->labels) {
        struct text names = {.arena = a};
        for (int64_t i = 0; i < p->output->n_labels; i++)
            text_add(&names, "%s%lld %s", i ? ", " : "", (long long)i, harmless(a, p->output->labels[i]));
        text_add(t, "\n");
        put_wrapped(t, text_string(&names), " * ", " * ", WIDTH - 3);
    }
    text_add(t, " */\n");
}

static void put_port(struct text *t, const char *net, const struct port *p)
{
    struct arena *a = t->arena;
    put_port_manual(t, p);
    text_add(t, "#define %s_RANK %d\n#define %s_SHAPE {", p->macro, p->shape.rank, p->macro);
    put_dims(t, p->shape);
    text_add(t, "%s}\n", p->shape.rank ? "" : "1");
    put_explained(t, arena_printf(a, "#define %s_ELEMENTS %lld", p->macro, (long long)shape_elements(p->shape)),
                  "floats an image");
    put_normalize(t, p);
    if (p->output && p->output->labels) {
        text_add(t, "#define %s_CLASSES %lld\n", p->macro, (long long)p->output->n_labels);
        put_wrapped(t,
                    arena_printf(a, "extern %s_API const char *const %s_%s_labels[%s_CLASSES];", capitals(a, net), net,
                                 p->word, p->macro),
                    "", "    ", WIDTH);
        text_add(t, "\n");
    }
}

/* ---- NAME_run ---- */

static const char *run_signature(struct arena *a, const struct graph *g, const char *before, const char *end)
{
    struct ports ports = ports_of(a, g);
    struct text line = {.arena = a};
    text_add(&line, "%sint %s_run(const %s_net *net, void *workspace", before, g->name, g->name);
    for (size_t i = 0; i < ports.n; i++)
        text_add(&line, ", %sfloat *%s", i < ports.n_input ? "const " : "", ports.port[i].variable);
    text_add(&line, ", int threads)%s", end);
    return text_string(&line);
}

void put_run(struct text *t, const struct graph *g, const char *before, const char *end)
{
    put_signature(t, run_signature(t->arena, g, before, end));
}

static void put_run_manual(struct text *t, const struct graph *g, int batch)
{
    struct arena *a = t->arena;
    struct ports ports = ports_of(a, g);
    size_t width = strlen("workspace");
    for (size_t i = 0; i < ports.n; i++)
        width = strlen(ports.port[i].variable) > width ? strlen(ports.port[i].variable) : width;
    struct row {
        const char *name, *text;
    } *row = NEW_ARRAY(a, struct row, ports.n + 3);
    size_t n = 0;
    row[n++] = (struct row){"net", "opened; any number of runs may use it at once"};
    row[n++] = (struct row){"workspace", "$_workspace_size() bytes at a multiple of @_ALIGNMENT, for this run alone"};
    for (size_t i = 0; i < ports.n; i++) {
        const char *count = arena_printf(a, "%s_ELEMENTS floats%s", ports.port[i].macro,
                                         batch > 1 ? " an image, @_BATCH images one after the other" : "");
        row[n++] = (struct row){ports.port[i].variable,
                                arena_printf(a, "%s, %s", ports.port[i].input ? "read" : "written", count)};
    }
    row[n++] =
        (struct row){"threads", "1 ... @_MOST_THREADS: how many work on it, the caller among them. More than one "
                                "comes from OpenMP; inside of a parallel region of the caller's it is one"};
    text_add(t, "\n/* Runs the network on %s.\n", batch > 1 ? arena_printf(a, "%d images", batch) : "one image");
    for (size_t i = 0; i < n; i++) {
        struct text named = {.arena = a};
        put_named(&named, g->name, row[i].text);
        put_wrapped(t, text_string(&named), arena_printf(a, " *   %-*s  ", (int)width, row[i].name),
                    arena_printf(a, " *   %-*s  ", (int)width, ""), WIDTH);
        text_add(t, "\n");
    }
    struct text rest = {.arena = a};
    put_named(&rest, g->name,
              arena_printf(a,
                           "The arrays are the caller's, do not overlap, and need no alignment beyond a float's. The "
                           "results have the same bits for any number of threads%s. NaN and infinities pass through. "
                           "Returns @_OK, @_ERROR_ARGUMENT or @_ERROR_ALIGNMENT; after an error nothing was read or "
                           "written.",
                           batch > 1 ? ", and as for each image alone" : ""));
    put_wrapped(t, text_string(&rest), " * ", " * ", WIDTH - 3);
    text_add(t, " */\n");
}

/* ---- the rest of the header ---- */

static const char usage[] = " *\n"
                            " *     $_net net;\n"
                            " *     int code = $_open(&net, NULL);\n"
                            " *     if (code == @_OK) {\n"
                            " *         void *workspace = aligned_alloc(@_ALIGNMENT, $_workspace_size());\n"
                            " *         code = $_run(&net, workspace, ..., 1);\n"
                            " *         free(workspace);\n"
                            " *         $_close(&net);\n"
                            " *     }\n"
                            " *     if (code != @_OK)\n"
                            " *         fprintf(stderr, \"%s\\n\", $_strerror(code));\n"
                            " *\n";

static const char promise[] =
    "Nothing here allocates, prints, ends the process or keeps anything between calls: a call uses its arguments and "
    "constant data. So threads may run the network at once, each with a workspace of its own, on one opened net. "
    "OpenMP's library is the process's, not the network's: at the first run it reads OMP_NUM_THREADS and its like, a "
    "run "
    "with more than one thread leaves its helpers waiting for the next one, and where the system grants no more "
    "threads it ends the process.";

static const char frame[] =
    "#ifndef @_H\n#define @_H\n\n#include <stddef.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
    "#ifndef @_API\n#define @_API __attribute__((visibility(\"default\")))\n#endif\n\n";

static const struct {
    const char *name, *text;
} codes[] = {
    {"OK", ""},
    {"ERROR_ARGUMENT", "a null pointer, threads out of range, or a net that is not open"},
    {"ERROR_ALIGNMENT", "a workspace at no multiple of @_ALIGNMENT, floats at none of 4"},
    {"ERROR_PROCESSOR", "this processor lacks what the code needs: net->detail"},
    {"ERROR_WEIGHTS", "this library has no weights of its own: name a file"},
    {"ERROR_FILE", "the weights file cannot be read: net->error is its errno"},
    {"ERROR_FORMAT", "that is no weights file, or one of another version"},
    {"ERROR_NETWORK", "its weights are packed for another network or another way: net->detail"},
    {"ERROR_DAMAGED", "it is cut short, or its bytes are not those that were written"},
};

static void put_codes(struct text *t, const char *name)
{
    int width = 0;
    text_add(t, "\n/* What the functions below return. */\nenum {\n");
    for (size_t i = 0; i < LENGTH(codes); i++)
        width = (int)strlen(codes[i].name) > width ? (int)strlen(codes[i].name) : width;
    for (size_t i = 0; i < LENGTH(codes); i++) {
        struct text comment = {.arena = t->arena};
        put_named(&comment, name, codes[i].text);
        const char *code = arena_printf(t->arena, "%s%s", codes[i].name,
                                        i == 0                  ? " = 0,"
                                        : i + 1 < LENGTH(codes) ? ","
                                                                : "");
        put_explained(t, arena_printf(t->arena, "    %s_%-*s", capitals(t->arena, name), i ? width + 1 : 0, code),
                      text_string(&comment));
    }
    text_add(t, "};\n");
}

static const char net_type[] =
    "typedef struct $_net {\n"
    "    const void *weights; /* packed; NULL: not open */\n"
    "    size_t bytes;        /* of the mapped file; 0: the weights are part of the library */\n"
    "    int variant;         /* which code $_open picked: 0 is that of the first processor above */\n"
    "    int error;           /* errno behind @_ERROR_FILE */\n"
    "    const char *detail;  /* what an error of $_open is about, or NULL; constant text */\n"
    "    char digest[17];     /* of the parameters that the weights were packed from, like @_DIGEST */\n"
    "} $_net;\n";

static void put_functions(struct text *t, const struct graph *g, int batch)
{
    const char *name = g->name;
    text_add(t, "\n");
    put_comment(t, name,
                "An opened network: where its constant data is. Yours to place, not to change; opened once it "
                "serves all threads.");
    put_named(t, name, net_type);
    text_add(t, "\n");
    put_comment(t, name,
                "Makes sure that this processor runs the code, and finds the packed weights: NULL takes those of the "
                "library, a path a file that is mapped and checked. After an error nothing is open, and there is "
                "nothing to close; net says more until the next $_open. Processes that map one file share its memory. "
                "Replace a file that is in use by renaming another onto its name, as netc does: what is written into "
                "it changes the weights of running programs, and cutting it short ends them with SIGBUS.");
    put_named(t, name, "@_API int $_open($_net *net, const char *weights_file);\n\n");
    put_comment(t, name,
                "Ends the use of the weights: no run may be under way. NULL and a net that is not open are "
                "fine.");
    put_named(t, name, "@_API void $_close($_net *net);\n\n");
    put_comment(t, name,
                "Bytes of memory that a run works in. What is in it before does not matter, and nothing is to "
                "be kept from it.");
    put_named(t, name, "@_API size_t $_workspace_size(void);\n");
    put_run_manual(t, g, batch);
    put_run(t, g, arena_printf(t->arena, "%s_API ", capitals(t->arena, name)), ";\n\n");
    put_comment(t, name, "A sentence about a code: constant text, never NULL.");
    put_named(t, name, "@_API const char *$_strerror(int code);\n");
}

static void put_constants(struct text *t, const struct program *const *p, int n, const struct emit_options *o)
{
    struct arena *a = t->arena;
    const char *name = p[0]->graph->name, *digest = arena_printf(a, "\"%016llx\"", (unsigned long long)o->digest);
    const struct {
        const char *name, *value, *comment;
    } row[] = {
        {"BATCH", arena_printf(a, "%d", p[0]->batch), "images a run"},
        {"MOST_THREADS", arena_printf(a, "%d", MOST_CALLER_THREADS), "of a run"},
        {"ALIGNMENT", "64", "of a workspace, in bytes"},
        {"WORKSPACE_BYTES", arena_printf(a, "%lld", (long long)workspace_of(p, n)), "what $_workspace_size() gives"},
        {"PARAMETERS", arena_printf(a, "%lld", (long long)o->params), ""},
        {"MACS", arena_printf(a, "%lld", (long long)o->macs), "multiply-adds an image"},
        {"DIGEST", digest, o->linked ? "of the parameters" : "of the parameters that it was built with"},
    };
    for (size_t i = 0; i < LENGTH(row); i++) {
        struct text comment = {.arena = a};
        put_named(&comment, name, row[i].comment);
        put_explained(t, arena_printf(a, "#define %s_%s %s", capitals(a, name), row[i].name, row[i].value),
                      text_string(&comment));
    }
}

void emit_header(struct text *t, const struct program *const *p, int n, const struct emit_options *o)
{
    struct arena *a = t->arena;
    const struct graph *g = p[0]->graph;
    struct ports ports = ports_of(a, g);
    const char *head = arena_printf(
        a,
        "%s: %s parameters, %s multiply-adds an image, for %s.\nGenerated by netc %s from %s%s%s: edit "
        "the network, not this file. For C and C++.",
        g->name, grouped_digits(a, o->params), grouped_digits(a, o->macs), targets_of(a, p, n), NETC_VERSION,
        harmless(a, file_name(g->file)), *o->options ? ", options " : "", harmless(a, o->options));
    put_wrapped(t, head, "/* ", " * ", WIDTH);
    text_add(t, "\n");
    put_named(t, g->name, usage);
    put_wrapped(t, promise, " * ", " * ", WIDTH - 3);
    text_add(t, " */\n");
    put_named(t, g->name, frame);
    put_constants(t, p, n, o);
    for (size_t i = 0; i < ports.n; i++)
        put_port(t, g->name, &ports.port[i]);
    put_codes(t, g->name);
    put_functions(t, g, p[0]->batch);
    text_add(t, "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
}
