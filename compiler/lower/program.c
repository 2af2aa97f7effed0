/* The whole graph: a memory for every storage, a kernel (or several) and a stage for every node that computes, in order. Sharing of equal
 * kernels, barriers and addresses come later, as passes of their own. */
#include "lower/lower.h"

static struct kernel *(*const lowering_of[ALGORITHM_COUNT])(struct lowering *) = {
    [ALGORITHM_direct] = lower_direct,
    [ALGORITHM_spread] = lower_spread,
    [ALGORITHM_pool] = lower_pool,
    [ALGORITHM_global_pool] = lower_global_pool,
    [ALGORITHM_map] = lower_map,
    [ALGORITHM_convert] = lower_convert,
    [ALGORITHM_generic] = lower_generic,
    [ALGORITHM_local] = lower_local,
    [ALGORITHM_each] = lower_each,
    [ALGORITHM_moments] = lower_moments,
    [ALGORITHM_group_scale] = lower_group_scale,
    [ALGORITHM_winograd] = lower_winograd,
};

static struct memory *add_memory(struct program *p, const struct node *owner, enum memory_kind kind, int index)
{
    struct memory *m = NEW(p->arena, struct memory);
    *m = (struct memory){.name = owner->name,
                         .kind = kind,
                         .bytes = owner->storage->bytes,
                         .index = index,
                         .id = owner->storage->id,
                         .first = -1,
                         .last = -1,
                         .per_image = true,
                         .layout = type_text(p->arena, owner->type)};
    PUSH(p->arena, p->memory, p->n_memory, p->cap_memory, m);
    return m;
}

/* A value that is known now lies in the blob. */
static void add_constant(struct program *p, struct node *n)
{
    struct param *param = n->param[0];
    if (n->op == OP_constant) {
        param = NEW(p->arena, struct param);
        *param =
            (struct param){.id = -1, .name = n->name, .shape = n->type.shape, .op = PARAM_CONSTANT, .value = n->value};
    }
    struct memory *m = add_memory(p, n, MEMORY_WEIGHTS, 0);
    m->bytes = layout_bytes(n->type);
    m->offset = p->weights_bytes;
    p->weights_bytes += (m->bytes + 63) / 64 * 64;
    struct pack pack = {.param = param,
                        .kind = PACK_PLAIN,
                        .memory = m,
                        .layer = n,
                        .rank = 1,
                        .dim = {m->bytes / (int64_t)sizeof(float)}};
    PUSH(p->arena, p->pack, p->n_pack, p->cap_pack, pack);
}

static void add_memories(struct program *p, struct graph *g)
{
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *n = g->node[i];
        if (!n->storage || n->storage->owner != n)
            continue;
        int input = -1, output = -1;
        for (size_t k = 0; k < g->n_input; k++)
            if (g->input[k].node == n)
                input = (int)k;
        for (size_t k = 0; k < g->n_output; k++)
            if (g->output[k].node == n)
                output = (int)k;
        if (n->op == OP_constant || n->op == OP_parameter)
            add_constant(p, n);
        else if (input >= 0)
            add_memory(p, n, MEMORY_INPUT, input);
        else if (output >= 0)
            add_memory(p, n, MEMORY_OUTPUT, output);
        else
            add_memory(p, n, MEMORY_WORKSPACE, 0);
    }
}

static void add_stage(struct lowering *l, struct kernel *k, const char *comment, const struct node *result)
{
    struct program *p = l->program;
    struct call *c = NEW(p->arena, struct call);
    struct stage *s = *l->tail = NEW(p->arena, struct stage);
    l->tail = &s->next;
    k->id = (int)p->n_kernel;
    PUSH(p->arena, p->kernel, p->n_kernel, p->cap_kernel, k);
    *c = (struct call){.kernel = k, .comment = comment, .layer = l->node->name, .node = result};
    for (int i = 0; i < k->n_buffer; i++)
        c->arg[i] = l->arg[i];
    *s = (struct stage){.n_task = k->n_task, .call = c};
    for (int i = 0; i < s->n_task; i++)
        s->task[i] = k->task[i]->hi;
}

void next_kernel(struct lowering *l, struct kernel *k, const char *call_comment)
{
    add_stage(l, k, call_comment, NULL);
    l->build = kernel_begin(l->program->arena, kernel_name(l->program->arena, l->node, l->target));
    l->n_name = 0;
}

struct stage *lower_node(struct program *p, struct node *n, const struct target *t)
{
    struct lowering l = {
        .program = p, .target = t, .node = n, .lanes = t->lanes, .vectors = BLOCK / t->lanes, .zero = affine_const(0)};
    l.tail = &l.stage;
    l.build = kernel_begin(p->arena, kernel_name(p->arena, n, t));
    struct kernel *k = lowering_of[n->algorithm](&l);
    k->comment = kernel_comment(p->arena, n);
    k->macs = node_macs(n);
    add_stage(&l, k, call_comment(p->arena, n), n);
    return l.stage;
}

/* What has a name and a place, but is made by no kernel. Constants are no results. */
static void add_view(struct program *p, const struct node *n, int after)
{
    struct program_view v = {n, value_place(p, n), NULL, after};
    if (n->n_in == 0 || !v.place.memory || v.place.memory->kind == MEMORY_WEIGHTS)
        return;
    v.comment = view_comment(p->arena, n);
    PUSH(p->arena, p->view, p->n_view, p->cap_view, v);
}

struct program *lower(struct graph *g, struct pass_context *c)
{
    struct program *p = NEW(c->module, struct program);
    *p = (struct program){.arena = c->module, .graph = g, .target = c->target, .batch = c->batch};
    add_memories(p, g);
    struct stage **tail = &p->stage;
    for (size_t i = 0, calls = 0; i < g->n_node; i++) {
        struct node *n = g->node[i];
        if (!lowering_of[n->algorithm]) {
            add_view(p, n, (int)calls);
            continue;
        }
        *tail = lower_node(p, n, c->target);
        for (; *tail; tail = &(*tail)->next)
            calls++;
    }
    return p;
}
