/* merge_branches: branches that do alike side by side become one. Needs bind_kernels; keeps values but for the order of sums, and
 * makes one graph of the three forms of a ResNeXt block (Xie et al. 2017, figure 3).
 *
 *   %conv2.0 f32[4,9,9]   = conv %relu, @conv2.0.weight {k 3x3 pad 1}
 *   %conv2.1 f32[4,9,9]   = conv %relu2, @conv2.1.weight {k 3x3 pad 1}
 *   %conv3.0 f32[256,9,9] = conv %conv2.0, @conv3.0.weight {k 1x1}
 *   %conv3.1 f32[256,9,9] = conv %conv2.1, @conv3.1.weight {k 1x1}
 *   %sum     f32[256,9,9] = add %conv3.0, %conv3.1
 *
 *   param @conv2.weight f32[8,4,3,3]   = concat @conv2.0.weight, @conv2.1.weight {axis 0}
 *   param @conv3.weight f32[256,8,1,1] = concat @conv3.0.weight, @conv3.1.weight {axis 1}
 *   %conv2 f32[8,9,9]   = conv %relu3, @conv2.weight {k 3x3 pad 1 groups 2}
 *   %conv3 f32[256,9,9] = conv %conv2, @conv3.weight {k 1x1}
 *
 * It begins where branches meet: at neighbours in a concatenation of channels, or at a sum of convolutions. From there it follows all
 * of them up, level by level, as long as they do the same:
 *   activation, batch norm                 the same of the concatenation
 *   convolutions of one value              a wider convolution; here the branches begin
 *   convolutions of as many values         a grouped convolution of their concatenation, each branch its groups
 *   neighbouring slices of one value       that value, or one slice of it; here the branches begin, too
 * Only if they begin somewhere is anything changed, so that no concatenation is made that was not there. Nobody else may see what
 * lies between. As every node on the way has one input, no branch can depend on another. Slices whose groups would be slower than
 * they are alone stay; branches of one value are always joined, whatever width they have, since the forms shall be one.
 *
 * What would surprise: it runs before fold_batch_norm, so that what is folded, the names and the lines of weights files are those of
 * the grouped form; and names that differ by a number that counts from 0 lose it (conv2.0, conv2.1 make conv2).
 */
#include "graph/graph.h"

#include <string.h>

static const int64_t most_elements = INT32_MAX; /* of a value and of a parameter, as in shape.c */

struct merger {
    struct graph *g;
    struct pass_context *context;
    int *uses; /* by id, of every node */
    size_t cap_uses;
    struct node **cell; /* the levels one behind the other */
    size_t n_cell, cap_cell;
    struct level {
        size_t first; /* cell */
        int width;
    } *level;
    size_t n_level, cap_level;
    bool one_input; /* the last level: convolutions of one value; else it is slices */
    bool summed; /* the first level is added, not joined */
    struct node **add; /* the additions of a sum */
    size_t n_add, cap_add;
    struct node **open; /* its parts that are still to be looked at */
    size_t n_open, cap_open;
    const char **note; /* from the last of the network to the first */
    size_t n_note, cap_note;
};

static void count_uses(struct merger *m)
{
    const struct graph *g = m->g;
    if (g->n_node > m->cap_uses) {
        m->cap_uses = 2 * g->n_node;
        m->uses = NEW_ARRAY(m->context->scratch, int, m->cap_uses);
    }
    memset(m->uses, 0, g->n_node * sizeof *m->uses);
    for (size_t i = 0; i < g->n_node; i++) {
        const struct node *user = g->node[i];
        for (int k = 0; k < user->n_in; k++) {
            m->uses[user->in[k]->id]++;
        }
        for (int k = 0; k < user->n_epilogue; k++) {
            m->uses[user->epilogue[k].operand ? user->epilogue[k].operand->id : user->id]++;
        }
    }
    for (size_t i = 0; i < g->n_output; i++) {
        m->uses[g->output[i].node->id]++;
    }
}

/* ---- which nodes do the same ---- */

/* Channels are axis 0, and nothing was chosen or joined to it yet. */
static bool is_plain(const struct node *n)
{
    return n->type.shape.rank == 3 && n->n_epilogue == 0 && n->algorithm == ALGORITHM_NONE &&
           n->type.layout.kind == LAYOUT_NONE;
}

static bool is_alike(const struct node *a, const struct node *b)
{
    const struct attrs *x = &a->attrs, *y = &b->attrs;
    const struct shape *of = &a->in[0]->type.shape, *with = &b->in[0]->type.shape;
    if (a->op != b->op || of->dim[1] != with->dim[1] || of->dim[2] != with->dim[2]) {
        return false;
    }
    switch (a->op) {
    case OP_relu:
    case OP_sigmoid:
    case OP_silu: return true;
    case OP_batch_norm: return x->eps == y->eps;
    case OP_conv: break;
    default: return false;
    }
    return !memcmp(x->kernel, y->kernel, sizeof x->kernel) && !memcmp(x->stride, y->stride, sizeof x->stride) &&
           !memcmp(x->pad, y->pad, sizeof x->pad) && !memcmp(x->dilation, y->dilation, sizeof x->dilation) &&
           x->groups == y->groups && !a->param[1] == !b->param[1];
}

/* How many of the first `n` nodes do as the first one does, seen by one user each, and together are no more than a value may be. */
static int prefix_alike(const struct merger *m, struct node *const *node, int n)
{
    int64_t elements = 0, weights = 0;
    for (int i = 0; i < n; i++) {
        if (!is_plain(node[i]) || m->uses[node[i]->id] != 1 || node[i]->n_in != 1 || !is_alike(node[0], node[i])) {
            return i;
        }
        elements += shape_elements(node[i]->type.shape);
        weights += node[i]->op == OP_conv ? shape_elements(node[i]->param[0]->shape) : 0;
        if (elements > most_elements || weights > most_elements) {
            return i;
        }
    }
    return n;
}

static int prefix_of_one_input(struct node *const *conv, int n)
{
    int i = 1;
    while (i < n && conv[i]->in[0] == conv[0]->in[0] && conv[i]->attrs.groups == 1) {
        i++;
    }
    return i;
}

/* Each branch becomes groups of its own: all are as wide as the first one. */
static int prefix_of_equal_width(struct node *const *conv, int n)
{
    int i = 1;
    while (i < n && shape_equal(conv[i]->param[0]->shape, conv[0]->param[0]->shape)) {
        i++;
    }
    return i;
}

static bool is_slice(const struct node *n)
{
    return n->op == OP_slice && n->attrs.axis == 0 && is_plain(n);
}

static int prefix_of_slices(struct node *const *node, int n)
{
    int i = 1;
    while (i < n && is_slice(node[i]) && node[i]->in[0] == node[0]->in[0] &&
           node[i]->attrs.start == node[i - 1]->attrs.start + node[i - 1]->attrs.size) {
        i++;
    }
    return i;
}

/* Convolutions of slices, which need no copy, gain by being groups if they are narrow or many. Groups of 3, 5, 7 ... blocks of channels
 * lose: a tile of two blocks does not fit them, as it does a layer alone with a tail of one (3 of 208 channels: 1.27 times the time on
 * AVX-512, 3 of 104: 1.15; 7 of 14: 0.93, 4 of 4: 0.36). */
static bool is_slower_in_groups(const struct node *conv)
{
    int64_t blocks = (conv->attrs.out / conv->attrs.groups + 15) / 16;
    return blocks > 1 && blocks % 2 == 1;
}

/* ---- following the branches up ---- */

static void push_level(struct merger *m, struct node *const *node, int n, bool inputs)
{
    struct level level = {m->n_cell, n};
    for (int i = 0; i < n; i++) {
        PUSH(m->context->scratch, m->cell, m->n_cell, m->cap_cell, inputs ? node[i]->in[0] : node[i]);
    }
    PUSH(m->context->scratch, m->level, m->n_level, m->cap_level, level);
}

static struct node **level_at(const struct merger *m, size_t i)
{
    return m->cell + m->level[i].first;
}

/* From the last level to where the branches begin; how many of them, in order, come that far together. Less than 2: none. */
static int follow(struct merger *m, int n)
{
    for (bool convolved = m->summed, slow = false;;) {
        struct node **node = level_at(m, m->n_level - 1);
        if (convolved && is_slice(node[0])) {
            m->one_input = false;
            return slow ? 0 : prefix_of_slices(node, n);
        }
        n = prefix_alike(m, node, n);
        if (n >= 2 && node[0]->op == OP_conv && node[0]->in[0] == node[1]->in[0]) {
            m->one_input = true;
            return node[0]->attrs.groups == 1 ? prefix_of_one_input(node, n) : 0;
        }
        if (n >= 2 && node[0]->op == OP_conv) {
            convolved = true;
            slow = slow || is_slower_in_groups(node[0]);
            n = prefix_of_equal_width(node, n);
        }
        if (n < 2) {
            return 0;
        }
        push_level(m, node, n, true);
    }
}

static int follow_from(struct merger *m, struct node *const *node, int n)
{
    m->n_cell = m->n_level = 0;
    m->summed = false;
    push_level(m, node, n, false);
    return follow(m, n);
}

/* ---- the one that does for all ---- */

static const char *name_in(const void *list, int i)
{
    return ((struct node *const *)list)[i]->name;
}

static const char *path_in(const void *list, int i)
{
    return ((struct node *const *)list)[i]->path;
}

/* `slot`'s parameters of all, one behind the other; or added, what a sum of biases is. */
static struct param *join_slot(struct merger *m, struct node *const *node, int n, int slot, const struct node *fresh,
                               const char *leaf, bool summed)
{
    struct graph *g = m->g;
    struct param **from = NEW_ARRAY(m->context->scratch, struct param *, n);
    for (int i = 0; i < n; i++) {
        from[i] = node[i]->param[slot];
    }
    const char *name = joined_param_name(from, n);
    name = name ? name : intern_printf("%s.%s", fresh->name, leaf);
    while (graph_find_param(g, name)) {
        name = intern_printf("%s_", name);
    }
    if (summed && slot == 1) {
        return graph_derived(g, name, from[0]->shape, PARAM_SUM, from, n, 0);
    }
    return graph_joined(g, name, from, n, summed ? 1 : 0);
}

static void note(struct merger *m, struct node *const *node, int n, const struct node *fresh, const char *how)
{
    if (m->context->notes) {
        const char *line = arena_printf(m->context->scratch, "merge_branches: %s is the %d convolutions %s to %s, %s",
                                        fresh->name, n, node[0]->name, node[n - 1]->name, how);
        PUSH(m->context->scratch, m->note, m->n_note, m->cap_note, line);
    }
}

/* What the level's nodes do, done to `value`, before `at`; NULL after a diagnostic. */
static struct node *merge_level(struct merger *m, size_t level, int n, struct node *value, struct node *at)
{
    struct node **node = level_at(m, level), *fresh;
    struct attrs attrs = node[0]->attrs;
    bool summed = m->summed && level == 0, wider = m->one_input && level == m->n_level - 1;
    if (node[0]->op == OP_conv && !summed) {
        attrs.groups = wider ? 1 : attrs.groups * n;
        for (int i = 1; i < n; i++) {
            attrs.out += node[i]->attrs.out;
        }
    }
    const char *path = joined_name(node, n, path_in), *name = joined_name(node, n, name_in), *leaf;
    bool owns = *op_info(node[0]->op)->params;
    name = name || !owns ? name : intern_printf("%s.merged", node[0]->name);
    path = path ? path : owns ? name : node[0]->path;
    fresh = graph_add(m->g, m->context->diags, node[0]->op, &value, 1, &attrs, path, name, node[0]->origin);
    if (!fresh) {
        return NULL;
    }
    fresh->source = node[0]->source;
    bool optional;
    struct shape shape;
    for (int slot = 0; node_param(fresh, slot, &leaf, &optional, &shape); slot++) {
        fresh->param[slot] = node[0]->param[slot] ? join_slot(m, node, n, slot, fresh, leaf, summed) : NULL;
    }
    graph_insert_before(m->g, at, fresh);
    if (fresh->op == OP_conv) {
        note(m, node, n, fresh, summed ? "added" : wider ? "of one input" : "in groups");
    }
    return fresh;
}

/* Where the branches begin: their one input, or what all slices together are. */
static struct node *beginning(struct merger *m, int n, struct node *at)
{
    struct node **node = level_at(m, m->n_level - 1), *value = node[0]->in[0];
    if (m->one_input) {
        return value;
    }
    struct attrs attrs = node[0]->attrs;
    attrs.size = node[n - 1]->attrs.start + node[n - 1]->attrs.size - attrs.start;
    if (attrs.size == value->type.shape.dim[0]) {
        return value;
    }
    struct node *fresh =
        graph_add(m->g, m->context->diags, OP_slice, &value, 1, &attrs, node[0]->path, NULL, node[0]->origin);
    if (fresh) {
        fresh->source = node[0]->source;
        graph_insert_before(m->g, at, fresh);
    }
    return fresh;
}

static struct node *merge_levels(struct merger *m, int n, struct node *at)
{
    struct node *value = beginning(m, n, at);
    size_t noted = m->n_note;
    for (size_t i = m->n_level - !m->one_input; value && i-- > 0;) {
        value = merge_level(m, i, n, value, at);
    }
    for (size_t last = m->n_note; noted + 1 < last; noted++) { /* the first one was noted first */
        const char *line = m->note[noted];
        m->note[noted] = m->note[--last];
        m->note[last] = line;
    }
    return value;
}

/* What was merged uses nothing any more, so that it does not count as a user of what lies above it. */
static void let_go(struct merger *m, int n)
{
    for (size_t i = 0; i < m->n_level - !m->one_input; i++) {
        for (int k = 0; k < n; k++) {
            level_at(m, i)[k]->n_in = 0;
        }
    }
    count_uses(m);
    for (int k = 0; k < n && !m->one_input; k++) {
        struct node *slice = level_at(m, m->n_level - 1)[k];
        slice->n_in = m->uses[slice->id] ? slice->n_in : 0;
    }
    count_uses(m);
}

/* ---- where branches meet ---- */

static bool merge_concat(struct merger *m, struct node *root)
{
    int n_in = root->n_in;
    for (int a = 0; a + 1 < root->n_in; a++) {
        int n = follow_from(m, root->in + a, root->n_in - a);
        if (n < 2) {
            continue;
        }
        struct node *merged = merge_levels(m, n, root);
        if (!merged) {
            return false;
        }
        root->in[a] = merged;
        root->n_in -= n - 1;
        memmove(root->in + a + 1, root->in + a + n, (size_t)(root->n_in - a - 1) * sizeof *root->in);
        let_go(m, n);
    }
    if (root->n_in == 1 && n_in > 1) {
        graph_replace(m->g, root, root->in[0]);
        root->n_in = 0;
        count_uses(m);
    }
    return true;
}

static bool is_sum(const struct node *n, struct shape shape)
{
    return n->op == OP_add && is_plain(n) && n->n_in == 2 && shape_equal(n->in[0]->type.shape, shape) &&
           shape_equal(n->in[1]->type.shape, shape);
}

/* The terms of a sum, all of them convolutions, in their order, as the first level; how many. 0: there are others. */
static int terms(struct merger *m, struct node *root)
{
    m->n_cell = m->n_level = m->n_add = m->n_open = 0;
    PUSH(m->context->scratch, m->open, m->n_open, m->cap_open, root);
    while (m->n_open) {
        struct node *n = m->open[--m->n_open];
        if (n->op == OP_conv) {
            PUSH(m->context->scratch, m->cell, m->n_cell, m->cap_cell, n);
            continue;
        }
        PUSH(m->context->scratch, m->add, m->n_add, m->cap_add, n);
        for (int k = 1; k >= 0; k--) {
            struct node *part = n->in[k];
            if (part->op != OP_conv && !(is_sum(part, root->type.shape) && m->uses[part->id] == 1)) {
                return 0;
            }
            PUSH(m->context->scratch, m->open, m->n_open, m->cap_open, part);
        }
    }
    PUSH(m->context->scratch, m->level, m->n_level, m->cap_level, ((struct level){0, (int)m->n_cell}));
    m->summed = true;
    return (int)m->n_cell;
}

static bool merge_sum(struct merger *m, struct node *root)
{
    int n = terms(m, root);
    struct node **term = n ? level_at(m, 0) : NULL;
    if (!n || prefix_alike(m, term, n) < n || term[0]->attrs.groups > 1) {
        return true;
    }
    push_level(m, term, n, true);
    if (follow(m, n) < n) {
        return true;
    }
    struct node *merged = merge_levels(m, n, root);
    if (!merged) {
        return false;
    }
    graph_replace(m->g, root, merged);
    for (size_t i = 0; i < m->n_add; i++) {
        m->add[i]->n_in = 0;
    }
    let_go(m, n);
    return true;
}

/* From the last node to the first, so that a sum is seen before its parts. */
bool merge_branches(struct graph *g, struct pass_context *context)
{
    struct merger m = {.g = g, .context = context};
    count_uses(&m);
    for (size_t i = g->n_node; i-- > 0;) {
        struct node *root = g->node[i];
        bool fine = true;
        if (root->op == OP_concat && root->attrs.axis == 0 && is_plain(root)) {
            fine = merge_concat(&m, root);
        } else if (is_sum(root, root->type.shape)) {
            fine = merge_sum(&m, root);
        }
        if (!fine) {
            return false;
        }
        i = (size_t)root->id; /* what was made stands before it */
    }
    while (m.n_note) {
        pass_note(context, "%s", m.note[--m.n_note]);
    }
    graph_remove_dead(g);
    return true;
}
