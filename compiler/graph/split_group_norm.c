/* split_group_norm: the norm of a map as three walks, none of which cares where groups begin. Needs fuse_epilogues, so that what
 * follows the norm stays with its last step; keeps every value.
 *
 *   %y f32[64,7,5] = group_norm %x, @weight, @bias {groups 4 eps 1e-05} | relu
 *
 *   %m f32[128,1,1] = moments %x                                                    # of each channel: means, then variances
 *   %s f32[128,1,1] = group_scale %m, @weight, @bias {groups 4 interleave 1 eps 1e-05}   # factors, then summands
 *   %y f32[64,7,5]  = rescale %x, %s | relu
 *
 * Channels in blocks of 16 lie across groups of any width; their moments do not, and those of a group follow from those of its
 * channels, all of which have equally many numbers. Each step is shared out over threads by itself. What would surprise: a variance is
 * still one of differences from a mean, in a second walk over a channel that is near by then; and tensors of other ranks keep the norm.
 */
#include "graph/graph.h"

#include <string.h>

static bool split(struct graph *g, struct pass_context *context, struct node *norm)
{
    struct attrs attrs = {.groups = norm->attrs.groups, .interleave = 1, .eps = norm->attrs.eps};
    struct node *moments = graph_add_before(g, context->diags, norm, OP_moments, norm->in, 1, &(struct attrs){0});
    struct node *scale =
        moments ? graph_add_before(g, context->diags, norm, OP_group_scale, &moments, 1, &attrs) : NULL;
    if (!scale) {
        return false;
    }
    memcpy(scale->param, norm->param, sizeof scale->param);
    memset(norm->param, 0, sizeof norm->param);
    struct node **in = NEW_ARRAY(g->arena, struct node *, 2);
    in[0] = norm->in[0];
    in[1] = scale;
    norm->op = OP_rescale; /* it stays, under its name */
    norm->attrs = (struct attrs){0};
    norm->in = in;
    norm->n_in = 2;
    return true;
}

bool split_group_norm(struct graph *g, struct pass_context *context)
{
    for (size_t i = 0; i < g->n_node; i++) {
        struct node *norm = g->node[i];
        if (norm->op == OP_group_norm && norm->type.shape.rank == 3) {
            if (!split(g, context, norm)) {
                return false;
            }
            i = (size_t)norm->id; /* what was made stands before it */
        }
    }
    return true;
}
