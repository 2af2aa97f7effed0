/* README.md of a folder of C (--kind=source): what somebody who knows nothing of netc needs in order to build and call
 * the network. $ stands for its name, @ for the same in capitals. */
#include "emit/emit.h"
#include "emit/names.h"

/* Text of a description inside a table. */
static const char *cell(struct arena *a, const char *s)
{
    struct text t = {.arena = a};
    for (; *s; s++)
        text_add(&t, *s == '|' ? "\\|" : (unsigned char)*s < 32 ? " " : "%c", *s);
    return text_string(&t);
}

static void put_tensors(struct text *t, const struct graph *g)
{
    struct ports ports = ports_of(t->arena, g);
    text_add(t, "| | name | floats, row-major | |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < ports.n; i++) {
        const struct port *p = &ports.port[i];
        text_add(t, "| %s | `%s` | [", p->input ? "input" : "output", cell(t->arena, p->name));
        for (int d = 0; d < p->shape.rank; d++)
            text_add(t, "%s%lld", d ? ", " : "", (long long)p->shape.dim[d]);
        text_add(t, "] | ");
        if (p->input && p->input->n_step)
            text_add(t, "made of a picture as `%s.h` says", g->name);
        if (p->output && p->output->labels)
            text_add(t, "logits of %lld classes, named in `%s.h`", (long long)p->output->n_labels, g->name);
        text_add(t, " |\n");
    }
    text_add(t, "\n");
}

static void put_targets(struct text *t, const struct program *const *p, int n)
{
    for (int i = 0; i < n; i++)
        text_add(t, "- %s: %s\n", p[i]->target->name, p[i]->target->summary);
    text_add(t,
             n > 1 ? "\nThe first of these that the processor has is picked at start.\n\n"
                   : "\nOn a processor without it the program and `%s_open` say so and compute nothing.\n\n",
             p[0]->graph->name);
}

static const char build[] = "## Build\n\n"
                            "With GNU make and gcc or clang, on Linux:\n\n"
                            "```\n"
                            "make CC=gcc            # all of the below\n"
                            "make CC=gcc program    # $\n"
                            "make CC=gcc static     # lib$.a\n"
                            "make CC=gcc shared     # lib$.so\n"
                            "```\n\n"
                            "The libraries need OpenMP alone: gcc brings libgomp, clang wants libomp (Debian: "
                            "`libomp-dev` of its version). The\n"
                            "program also reads pictures and writes JSON; with what that takes on Debian:\n"
                            "`apt-get install libjansson-dev libjpeg62-turbo-dev libpng-dev zlib1g-dev`.\n\n";

static const char use[] =
    "## Use\n\n"
    "`./$ --help` lists what the program does: it classifies pictures, runs tensors (`.npy`) and measures itself.\n\n"
    "The library's manual is `$.h`: shapes, errors, who owns what, how a picture becomes an input, the\n"
    "names of classes. From C or C++:\n\n"
    "```\n"
    "gcc application.c lib$.a -fopenmp -lm      # built by gcc; with clang's: clang ... -fopenmp\n"
    "```\n\n"
    "One process should have one OpenMP: build this folder by the compiler that the rest is built by, or link nothing\n"
    "else that uses another's. Or take the C files into a build of your own; the first lines of each say how they are\n"
    "compiled.\n\n";

static const char numbers[] =
    "## The numbers\n\n"
    "Programs built by gcc and by clang give the same numbers, to the last bit: netc's tests compare them for several\n"
    "networks and each of its targets. Which multiply-adds are fused is written in the C, and `-ffp-contract=off` "
    "keeps\n"
    "compilers from adding others; do not leave it out, and do not add `-ffast-math`. The numbers are the same for "
    "any\n"
    "number of threads, and for an image alone and in a batch. On ResNet-50 and its like gcc 12's code takes 5 to 8 % longer\n"
    "than clang 19's, for AVX-512 and for AVX2.\n\n";

static const char licence[] =
    "## Licence\n\n"
    "The C and the Makefile are netc's, see `LICENSE` (MIT). The weights are whose they were before.\n";

static void put_files(struct text *t, const char *name, const struct emit_options *o)
{
    struct text files = {.arena = t->arena};
    text_add(&files, "## Files\n\n| file | |\n| --- | --- |\n| `$.h` | the library's functions |\n");
    if (o->variant) {
        text_add(&files,
                 "| `$.c` | the library's functions: they pick the code for the processor |\n"
                 "| `$.*.c` | the network for one processor each%s |\n",
                 o->parts > 1 ? ", its kernels apart" : "");
    } else {
        text_add(&files, "| `$.c` | the network%s and the library's functions; it begins with its layers |\n",
                 o->parts > 1 ? "" : ": its kernels, the forward pass");
        if (o->parts > 1)
            text_add(&files, "| `$.kernels.*.c` | its kernels |\n");
    }
    text_add(&files, "| `$%s.program.c`, `runtime/` | what the program has beyond the library |\n",
             o->variant ? "*" : "");
    if (o->linked)
        text_add(&files, "| `$.weights` | the parameters, packed as the kernels read them; they become part of what is "
                         "built |\n");
    put_named(t, name, text_string(&files));
    text_add(t, "\n%s",
             o->linked
                 ? ""
                 : "The weights are not here: programs take `--weights-file=FILE`, and the library's `open` takes "
                   "a path. `netc pack` writes such files.\n\n");
}

void emit_readme(struct text *t, const struct program *const *p, int n, const struct emit_options *o)
{
    struct arena *a = t->arena;
    const struct graph *g = p[0]->graph;
    text_add(t, "# %s\n\n", g->name);
    put_wrapped(
        t,
        arena_printf(a,
                     "A convolutional network as C, with its weights: %s parameters, %s multiply-adds an image, "
                     "%d image%s a run. It was generated by netc " NETC_VERSION " from `%s`%s%s%s for %s, and "
                     "needs nothing of netc any more.",
                     grouped_digits(a, o->params), grouped_digits(a, o->macs), p[0]->batch, p[0]->batch > 1 ? "s" : "",
                     file_name(g->file), *o->options ? " (" : "", o->options, *o->options ? ")" : "", o->target),
        "", "", 120);
    text_add(t, "\n\n");
    put_targets(t, p, n);
    put_tensors(t, g);
    put_named(t, g->name, build);
    put_named(t, g->name, use);
    text_add(t, "%s", numbers);
    put_files(t, g->name, o);
    text_add(t, "%s", licence);
}
