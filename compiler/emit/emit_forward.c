/* The forward pass as C: one parallel region, a loop a stage, a commented call a layer; and the file around it. */
#include "emit/emit.h"
#include "emit/names.h"

static void put_place(struct text *t, const struct program *p, const struct program_names *n, const struct argument *a)
{
    const struct memory *m = a->memory;
    bool batched = p->batch > 1;
    long long lead = (long long)a->lead;
    if (m->kind == MEMORY_INPUT || m->kind == MEMORY_OUTPUT) {
        text_add(t, "%s[%d]", m->kind == MEMORY_INPUT ? "input" : "output", m->index);
        if (batched)
            text_add(t, " + n * %lld", (long long)(m->bytes / 4));
        return;
    }
    const char *base = "m", *name = NULL;
    if (m->kind == MEMORY_WEIGHTS) {
        base = "w";
        for (size_t i = 0; i < p->n_pack; i++)
            if (p->pack[i].memory == m)
                name = n->weight[i];
    } else
        for (size_t i = 0; i < p->n_memory; i++)
            if (p->memory[i] == m)
                name = n->memory[i];
    text_add(t, "%s + %s", base, name);
    if (lead)
        text_add(t, " + %lld", lead);
}

/* conv1(..., r, c): arguments wrap at 120 columns. */
static void put_call(struct text *t, const struct program *p, const struct program_names *n, const struct call *c,
                     const struct stage *s, const char *prefix)
{
    enum { WIDTH = 120, INDENT = 12 };
    text_add(t, "            /* %s */\n", c->comment);
    struct text line = {.arena = t->arena};
    text_add(&line, "%*s%s%s(", INDENT, "", prefix, c->kernel->name);
    for (int i = 0; i < c->kernel->n_buffer + s->n_task; i++) {
        struct text arg = {.arena = t->arena};
        if (i >= c->kernel->n_buffer)
            text_add(&arg, "%s", s->call->kernel->task[i - c->kernel->n_buffer]->name);
        else {
            text_add(&arg, "(void *)(");
            put_place(&arg, p, n, &c->arg[i]);
            text_add(&arg, ")");
        }
        bool last = i + 1 == c->kernel->n_buffer + s->n_task;
        if (line.length + arg.length + 2 > WIDTH) {
            text_add(t, "%.*s\n", (int)line.length - 1, text_string(&line)); /* without the blank behind the comma */
            line = (struct text){.arena = t->arena};
            text_add(&line, "%*s", INDENT + 4, "");
        }
        text_add(&line, "%s%s", text_string(&arg), last ? "" : ", ");
    }
    text_add(t, "%s);\n", text_string(&line));
}

static bool uses_memory(const struct stage *s, enum memory_kind kind)
{
    for (const struct call *c = s->call; c; c = c->next)
        for (int i = 0; i < c->kernel->n_buffer; i++)
            if (c->arg[i].memory->kind == kind)
                return true;
    return false;
}

static void put_stage(struct text *t, const struct program *p, const struct program_names *n, const struct stage *s,
                      const char *prefix)
{
    int64_t tasks = 1;
    for (int i = 0; i < s->n_task; i++)
        tasks *= s->task[i];
    if (s->barrier)
        text_add(t, "\n#pragma omp barrier /* %s */\n", s->barrier);
    text_add(t, "\n        for (struct part k = part(%s%lld); k.next < k.end; k.next++) {\n",
             p->batch > 1 ? "BATCH * " : "", (long long)tasks);
    const char *image = "k.next";
    if (p->batch > 1) {
        text_add(t, "            const int n = k.next / %lld, i = k.next %% %lld;\n", (long long)tasks,
                 (long long)tasks);
        image = "i";
        if (uses_memory(s, MEMORY_WORKSPACE))
            text_add(t, "            char *const m = workspace + (size_t)n * IMAGE_BYTES;\n");
        if (!s->n_task)
            text_add(t, "            (void)i;\n");
    }
    const struct kernel *first = s->call->kernel;
    if (s->n_task == 1)
        text_add(t, "            const int %s = %s;\n", first->task[0]->name, image);
    if (s->n_task == 2)
        text_add(t, "            const int %s = %s / %lld, %s = %s %% %lld;\n", first->task[0]->name, image,
                 (long long)s->task[1], first->task[1]->name, image, (long long)s->task[1]);
    for (const struct call *c = s->call; c; c = c->next)
        put_call(t, p, n, c, s, prefix);
    text_add(t, "        }\n");
}

static void put_forward(struct text *t, const struct program *p, const struct program_names *n,
                        const struct emit_options *o, const char *prefix)
{
    text_add(t, "\nstruct part { int next, end; };\n\n"
                "/* the tasks of this thread: the same for every stage of n tasks, so equal stages need no barrier "
                "between them */\n"
                "inlined struct part part(int n)\n{\n"
                "    int me = omp_get_thread_num(), all = omp_get_num_threads();\n"
                "    return (struct part){(int)((int64_t)n * me / all), (int)((int64_t)n * (me + 1) / all)};\n}\n");
    text_add(t,
             "\n__asm__(\".pushsection .rodata,\\\"a\\\",@progbits\\n\"\n        \".balign 4096\\n\"\n        \".globl "
             "%s_weights\\n\"\n        \".hidden %s_weights\\n\"\n"
             "        \"%s_weights:\\n\"\n        \".incbin \\\"%s\\\"\\n\"\n        \".popsection\\n\");\n",
             p->graph->name, p->graph->name, p->graph->name, o->weights_file);
    text_add(t, "extern const char %s_weights[] __attribute__((visibility(\"hidden\")));\n", p->graph->name);
    if (p->batch > 1)
        text_add(t, "enum { BATCH = %d };\n", p->batch);
    text_add(t,
             "\nstatic void run(void *memory, const float *const *input, float *const *output, int threads)\n{\n"
             "    const char *const w = %s_weights;\n    char *const %s = memory;\n    (void)%s;\n    "
             "(void)w;\n\n#pragma omp parallel num_threads(threads)\n    {",
             p->graph->name, p->batch > 1 ? "workspace" : "m", p->batch > 1 ? "workspace" : "m");
    for (const struct stage *s = p->stage; s; s = s->next)
        put_stage(t, p, n, s, prefix);
    text_add(t, "    }\n}\n");
}

void emit_program(struct text *t, const struct program *p, const struct emit_options *o)
{
    bool main_part = o->parts <= 1 || o->part == 0, alone = o->parts <= 1;
    const char *prefix = alone ? "" : arena_printf(t->arena, "%s_", p->graph->name);
    struct program_names names = {.arena = t->arena};
    name_places(&names, p);
    emit_banner(t, p, o);
    if (main_part)
        text_add(t, "#include \"model.h\"\n#include <omp.h>\n");
    emit_helpers(t, p->target);
    for (size_t i = 0; i < p->n_kernel; i++) {
        if (alone || o->kernel_part[i] == o->part)
            emit_kernel(t, p->kernel[i], alone ? "static" : "", prefix);
        else if (main_part)
            emit_prototype(t, p->kernel[i], prefix);
    }
    if (!main_part)
        return;
    emit_places(t, p, &names);
    put_forward(t, p, &names, o, prefix);
    emit_model(t, p, o);
}
