/* Reading whole programs as program_print writes them: kernels, the plan of the memory, the weights, the forward. So
 * that a pass over programs, and the rules between kernels, can be tested from text. What has no place in the text
 * stays empty: the graph, the parameters behind the weights, the layers' names (the kernel's stands in). */
#include "loop/scan.h"

#include "targets/target.h"

/* Names of memories and kernels' targets: anything up to a space or one of , ) + */
static const char *read_long_name(struct reader *r)
{
    skip_space(r);
    size_t n = 0;
    while (r->pos + n < r->length && strchr(" \t\r\n;,)+#{}", r->bytes[r->pos + n]) == NULL) {
        n++;
    }
    if (r->failed || n == 0) {
        unexpected(r, "a name");
        return "?";
    }
    r->pos += n;
    return intern_n(r->bytes + r->pos - n, n);
}

static int read_small(struct reader *r)
{
    skip_space(r);
    size_t first = r->pos;
    int64_t value = read_digits(r);
    if (!r->failed && value > 1 << 20) {
        fail(r, CHECK_loop_sizes, first, r->pos, "the number is too large");
    }
    return r->failed ? 0 : (int)value;
}

static void read_memory(struct reader *r, struct program *program, bool weights)
{
    struct memory *m = NEW(r->arena, struct memory);
    m->kind = weights ? MEMORY_WEIGHTS : MEMORY_WORKSPACE;
    m->name = read_long_name(r);
    m->bytes = read_int(r);
    m->id = (int)(program->n_memory + program->n_pack);
    if (!weights && (next_is(r, "input") || next_is(r, "output"))) {
        m->kind = accept(r, "input") ? MEMORY_INPUT : MEMORY_OUTPUT;
        accept(r, "output");
        m->index = read_small(r);
    } else if (!weights && accept(r, "unused")) {
        m->first = m->last = -1;
    } else {
        expect(r, "at");
        m->offset = read_int(r);
    }
    if (m->kind == MEMORY_WORKSPACE && m->first == 0) {
        expect(r, "epochs");
        m->first = read_small(r);
        expect(r, "to");
        m->last = read_small(r);
    }
    if (accept(r, "each")) {
        m->per_image = expect(r, "image");
    }
    if (accept(r, "#")) {
        m->layout = read_comment(r);
    }
    if (weights) {
        struct pack pack = {.memory = m};
        PUSH(r->arena, program->pack, program->n_pack, program->cap_pack, pack);
    } else {
        PUSH(r->arena, program->memory, program->n_memory, program->cap_memory, m);
    }
}

static void read_memories(struct reader *r, struct program *program, bool weights)
{
    *(weights ? &program->weights_bytes : &program->workspace_bytes) = read_int(r);
    expect(r, "{");
    skip_comments(r);
    while (!r->failed && !next_is(r, "}") && r->pos < r->length) {
        read_memory(r, program, weights);
        skip_comments(r);
    }
    expect(r, "}");
}

static struct memory *find_memory(struct reader *r, const struct program *program)
{
    skip_space(r);
    size_t first = r->pos;
    const char *name = read_long_name(r);
    for (size_t i = 0; i < program->n_memory; i++) {
        if (program->memory[i]->name == name) {
            return program->memory[i];
        }
    }
    for (size_t i = 0; i < program->n_pack; i++) {
        if (program->pack[i].memory->name == name) {
            return program->pack[i].memory;
        }
    }
    fail(r, CHECK_loop_names, first, r->pos, "no memory is called %s", name);
    return NULL;
}

static struct call *read_call(struct reader *r, const struct program *program)
{
    struct call *call = NEW(r->arena, struct call);
    skip_space(r);
    size_t first = r->pos;
    const char *name = read_word(r, "a kernel");
    for (size_t i = 0; i < program->n_kernel; i++) {
        call->kernel = program->kernel[i]->name == name ? program->kernel[i] : call->kernel;
    }
    if (call->kernel == NULL) {
        fail(r, CHECK_loop_names, first, r->pos, "no kernel is called %s", name);
        return call;
    }
    call->layer = name;
    expect(r, "(");
    for (int i = 0; i < call->kernel->n_buffer && !r->failed; i++) {
        if (i > 0) {
            expect(r, ",");
        }
        call->arg[i].memory = find_memory(r, program);
        call->arg[i].lead = accept(r, "+") ? read_int(r) : 0;
    }
    for (int i = 0; i < call->kernel->n_task && !r->failed; i++) {
        if (i + call->kernel->n_buffer > 0) {
            expect(r, ",");
        }
        expect(r, i ? "s" : "r");
    }
    expect(r, ")");
    return call;
}

static struct stage *read_stage(struct reader *r, const struct program *program)
{
    struct stage *stage = NEW(r->arena, struct stage);
    struct call **tail = &stage->call;
    const char *comment = NULL;
    while (!r->failed && !next_is(r, "{") && r->pos < r->length) {
        int64_t lo, hi;
        if (stage->n_task == MAX_TASKS) {
            fail(r, CHECK_loop_sizes, r->pos, r->pos, "a stage has at most %d tasks", MAX_TASKS);
            break;
        }
        expect(r, stage->n_task ? "s" : "r");
        read_range(r, &lo, &hi);
        stage->task[stage->n_task++] = hi;
        accept(r, ",");
    }
    expect(r, "{");
    while (!r->failed && !accept(r, "}")) {
        if (accept(r, "#")) {
            const char *line = read_comment(r);
            comment = comment == NULL ? line : arena_printf(r->arena, "%s\n%s", comment, line);
        } else if (expect(r, "call")) {
            *tail = read_call(r, program);
            (*tail)->comment = comment;
            comment = NULL;
            tail = &(*tail)->next;
        }
    }
    return stage;
}

static void read_forward(struct reader *r, struct program *program)
{
    struct stage **tail = &program->stage;
    const char *barrier = NULL;
    int epoch = 0;
    expect(r, "{");
    while (!r->failed && !accept(r, "}")) {
        if (accept(r, "barrier")) {
            barrier = accept(r, "#") ? read_comment(r) : "";
            epoch++;
        } else if (expect(r, "stage")) {
            *tail = read_stage(r, program);
            (*tail)->barrier = barrier;
            (*tail)->epoch = epoch;
            barrier = NULL;
            tail = &(*tail)->next;
        }
    }
    program->n_epoch = program->stage != NULL ? epoch + 1 : 0;
}

struct program *program_read(struct arena *arena, struct diags *diags, int file)
{
    struct reader r;
    struct program *program = NEW(arena, struct program);
    program->arena = arena;
    program->batch = 1;
    if (!open_file(&r, arena, diags, file)) {
        return NULL;
    }
    skip_space(&r);
    while (!r.failed && r.pos < r.length) {
        if (accept(&r, "#")) {
            read_comment(&r);
        } else if (accept(&r, "target")) {
            size_t first = r.pos + 1;
            program->target = target_by_name(read_long_name(&r));
            if (program->target == NULL) {
                fail(&r, CHECK_loop_names, first, r.pos, "no target has this name");
            }
        } else if (accept(&r, "batch")) {
            program->batch = read_small(&r);
        } else if (accept(&r, "kernel")) {
            struct kernel *kernel = read_kernel_body(&r);
            if (kernel != NULL) {
                kernel->id = (int)program->n_kernel;
                PUSH(arena, program->kernel, program->n_kernel, program->cap_kernel, kernel);
            }
        } else if (accept(&r, "memory")) {
            read_memories(&r, program, false);
        } else if (accept(&r, "weights")) {
            read_memories(&r, program, true);
        } else if (accept(&r, "forward")) {
            read_forward(&r, program);
        } else {
            unexpected(&r, "target, batch, kernel, memory, weights or forward");
        }
        skip_space(&r);
    }
    return r.failed ? NULL : program;
}
