/* NAME.c: kernels, the forward pass (one parallel region, a loop a stage, a commented call a layer) and the API. */
#include "emit/emit.h"
#include "emit/names.h"

const char *memory_name(const struct program_names *n, const struct memory *m)
{
    for (size_t i = 0; i < n->program->n_memory; i++)
        if (n->program->memory[i] == m)
            return n->memory[i];
    return NULL;
}

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
        name = memory_name(n, m);
    text_add(t, "%s + %s", base, name);
    if (lead)
        text_add(t, " + %lld", lead);
}

/* conv1(..., r, c): arguments wrap at 120 columns. The n_task last ones are named in task. */
void put_call(struct text *t, const struct program *p, const struct program_names *n, const struct call *c,
              const char *const *task, int n_task, int indent)
{
    enum { WIDTH = 120 };
    struct text line = {.arena = t->arena};
    text_add(&line, "%*s%s%s(", indent, "", n->prefix, c->kernel->name);
    for (int i = 0; i < c->kernel->n_buffer + n_task; i++) {
        struct text arg = {.arena = t->arena};
        if (i >= c->kernel->n_buffer)
            text_add(&arg, "%s", task[i - c->kernel->n_buffer]);
        else {
            text_add(&arg, "(void *)(");
            put_place(&arg, p, n, &c->arg[i]);
            text_add(&arg, ")");
        }
        bool last = i + 1 == c->kernel->n_buffer + n_task;
        if (line.length + arg.length + 2 > WIDTH) {
            bool blank = line.bytes[line.length - 1] == ' '; /* behind a comma; a long name ends with its bracket */
            text_add(t, "%.*s\n", (int)line.length - blank, text_string(&line));
            line = (struct text){.arena = t->arena};
            text_add(&line, "%*s", indent + 4, "");
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

static void put_stage(struct text *t, const struct program *p, const struct program_names *n, const struct stage *s)
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
    const char *const task[] = {s->n_task > 0 ? first->task[0]->name : "", s->n_task > 1 ? first->task[1]->name : ""};
    for (const struct call *c = s->call; c; c = c->next) {
        text_add(t, "            /* %s */\n", c->comment);
        put_call(t, p, n, c, task, s->n_task, 12);
    }
    text_add(t, "        }\n");
}

const char *forward_name(struct arena *a, const struct program *p, const struct emit_options *o)
{
    return o->variant ? arena_printf(a, "%s_%s_forward", p->graph->name, p->target->isa) : "forward";
}

void put_forward_signature(struct text *t, const char *before, const char *name, const char *end)
{
    put_signature(t, arena_printf(t->arena,
                                  "%svoid %s(const char *w, void *memory, const float *const *input, float *const "
                                  "*output, int threads)%s",
                                  before, name, end));
}

static void put_forward(struct text *t, const struct program *p, const struct program_names *n,
                        const struct emit_options *o)
{
    const char *name = forward_name(t->arena, p, o), *memory = p->batch > 1 ? "workspace" : "m";
    text_add(t, "\nstruct part { int next, end; };\n\n"
                "/* the tasks of this thread: the same for every stage of n tasks, so equal stages need no barrier "
                "between them */\n"
                "inlined struct part part(int n)\n{\n"
                "    int me = omp_get_thread_num(), all = omp_get_num_threads();\n"
                "    return (struct part){(int)((int64_t)n * me / all), (int)((int64_t)n * (me + 1) / all)};\n}\n");
    if (p->batch > 1)
        text_add(t, "\nenum { BATCH = %d };\n", p->batch);
    text_add(t, "\n/* The whole network. w: the packed weights; memory: the workspace. */\n");
    if (o->variant)
        put_forward_signature(t, "", name, ";\n");
    put_forward_signature(t, o->variant ? "" : "static ", name, "\n{\n");
    text_add(
        t,
        "    char *const %s = memory;\n    (void)%s, (void)w;\n\n#pragma omp parallel num_threads(threads)\n    {\n"
        "        const uint32_t mode = flush_denormals();\n",
        memory, memory);
    for (const struct stage *s = p->stage; s; s = s->next)
        put_stage(t, p, n, s);
    text_add(t, "        restore_mode(mode);\n    }\n}\n");
}

const char *kernel_prefix(struct arena *a, const struct program *p, const struct emit_options *o)
{
    return o->parts > 1 ? arena_printf(a, "%s_", p->graph->name) : "";
}

void emit_network(struct text *t, const struct program *p, const struct emit_options *o, int part)
{
    bool alone = o->parts <= 1;
    struct program_names names = {.arena = t->arena};
    name_places(&names, p);
    names.prefix = kernel_prefix(t->arena, p, o);
    emit_banner(t, p, o, p->target->name,
                part ? arena_printf(t->arena, "Kernels, part %d of %d.", part, o->parts - 1) : NULL);
    if (part == 0) {
        emit_contents(t, p, o);
        if (!o->variant) {
            emit_features(t);
            text_add(t, "#include \"%s.h\"\n", p->graph->name);
        }
        text_add(t, "#include <omp.h>\n");
    }
    emit_helpers(t, p->target);
    for (size_t i = 0; i < p->n_kernel; i++) {
        if (alone || o->kernel_part[i] == part)
            emit_kernel(t, p->kernel[i], alone ? "static" : "", names.prefix);
        else if (part == 0)
            emit_prototype(t, p->kernel[i], names.prefix);
    }
    if (part)
        return;
    emit_places(t, p, &names);
    put_forward(t, p, &names, o);
    if (o->variant)
        text_add(t,
                 "\n/* What this processor lacks of what the code above needs; NULL: nothing. */\nconst char "
                 "*%s_%s_lacks(void);\nanywhere const char *%s_%s_lacks(void)\n{\n    return lacks();\n}\n",
                 p->graph->name, p->target->isa, p->graph->name, p->target->isa);
    else
        emit_api(t, &p, 1, o);
}
