/* drop_dead: removes what no output needs, nodes and parameters. Keeps every value that an output needs.
 *
 *   %x  f32[8,5,5] = input
 *   %a  f32[8,5,5] = relu %x
 *   %b  f32[8,5,5] = sigmoid %x
 *   output %a
 *
 *   %x  f32[8,5,5] = input
 *   %a  f32[8,5,5] = relu %x
 *   output %a
 *
 * Inputs stay even when nothing reads them: they are what the caller of the program passes.
 */
#include "graph/graph.h"

bool drop_dead(struct graph *g, struct pass_context *context)
{
    (void)context;
    graph_remove_dead(g);
    return true;
}
