/* What a pool may assume of the border of its input: choose_layout and the lowering must agree on it. */
#include "graph/graph.h"

/* The least value of a relu is 0, so that a border of zeros never wins a maximum. */
static bool never_negative(const struct node *n)
{
    enum op last = n->n_epilogue ? n->epilogue[n->n_epilogue - 1].op : n->op;
    if (last == OP_relu || last == OP_sigmoid)
        return true;
    if (n->n_epilogue == 0 &&
        (n->op == OP_slice || n->op == OP_max_pool || n->op == OP_avg_pool || n->op == OP_convert))
        return never_negative(n->in[0]);
    return false;
}

bool pool_overhangs(const struct node *pool)
{
    for (int d = 0; d < 2; d++) {
        int64_t last = (pool->type.shape.dim[1 + d] - 1) * pool->attrs.stride[d] + pool->attrs.kernel[d];
        if (last > pool->in[0]->type.shape.dim[1 + d] + 2 * pool->attrs.pad[d])
            return true;
    }
    return false;
}

bool pool_reads_border(const struct node *n)
{
    if (pool_overhangs(n) || (n->attrs.pad[0] == 0 && n->attrs.pad[1] == 0))
        return false;
    return n->op == OP_max_pool ? never_negative(n->in[0]) : n->attrs.count_pad;
}
