/* merge_sums: sums whose terms are read where the sum is wanted, so that no term is walked twice. Runs before fuse_epilogues, which would
 * take the additions one by one; keeps every value but the sums and products that disappear.
 *
 *   %p f32[64,7,5] = mul %a, %g                    # %g, %h f32[64,1,1]
 *   %q f32[64,7,5] = mul %b, %h
 *   %y f32[64,7,5] = add %p, %q                    %y f32[64,7,5] = gated_sum %a, %g, %b, %h
 *
 *   %s f32[64,7,5] = add %a, %b
 *   %m f32[64,1,1] = global_avg_pool %s            %m f32[64,1,1] = global_avg_pool %a, %b
 *
 * The paths of selective kernels, split attention and contextual transformers meet so. What would surprise: what anybody else reads
 * stays as it is, and with it the whole sum; and a map of one position keeps its additions, as a gate of it is no gate.
 */
#include "graph/graph.h"

enum { MOST_TERMS = 8 };

static bool is_bare(const struct node *n, enum op op)
{
    return n->op == op && n->n_epilogue == 0;
}

/* The terms of a sum of values of its own shape; 0: too many. */
static int terms_of(const struct graph *g, struct node *sum, struct node **term, int n)
{
    for (int k = 0; k < sum->n_in; k++) {
        struct node *in = sum->in[k];
        bool nested = is_bare(in, OP_add) && node_uses(g, in) == 1;
        if (!shape_equal(in->type.shape, sum->type.shape) || (!nested && n == MOST_TERMS)) {
            return 0;
        }
        if (!nested) {
            term[n++] = in;
        } else if (!(n = terms_of(g, in, term, n))) {
            return 0;
        }
    }
    return n;
}

/* The value and the gate of a product. */
static bool is_gated(const struct graph *g, const struct node *product, struct node **in)
{
    struct shape whole = product->type.shape, gate = {3, {whole.dim[0], 1, 1}};
    if (!is_bare(product, OP_mul) || node_uses(g, product) != 1 || whole.rank != 3 || shape_equal(whole, gate)) {
        return false;
    }
    for (int k = 0; k < 2; k++) {
        in[0] = product->in[k];
        in[1] = product->in[1 - k];
        if (shape_equal(in[0]->type.shape, whole) && shape_equal(in[1]->type.shape, gate)) {
            return true;
        }
    }
    return false;
}

/* `at` is what `op` makes of these, in its place and under its name. */
static void become(struct graph *g, struct node *at, enum op op, struct node *const *in, int n)
{
    at->op = op;
    at->attrs = (struct attrs){0};
    at->in = NEW_ARRAY(g->arena, struct node *, n);
    at->n_in = n;
    for (int i = 0; i < n; i++) {
        at->in[i] = in[i];
    }
}

static void merge_gated(struct graph *g, struct node *sum)
{
    struct node *term[MOST_TERMS], *in[2 * MOST_TERMS];
    int n = terms_of(g, sum, term, 0);
    for (int i = 0; i < n; i++) {
        if (!is_gated(g, term[i], in + 2 * i)) {
            return;
        }
    }
    if (n) {
        become(g, sum, OP_gated_sum, in, 2 * n);
    }
}

static void merge_pooled(struct graph *g, struct node *pool)
{
    struct node *term[MOST_TERMS], *sum = pool->in[0];
    int n = is_bare(sum, OP_add) && node_uses(g, sum) == 1 ? terms_of(g, sum, term, 0) : 0;
    if (n) {
        become(g, pool, OP_global_avg_pool, term, n);
    }
}

bool merge_sums(struct graph *g, struct pass_context *context)
{
    (void)context;
    for (size_t i = g->n_node; i-- > 0;) { /* the last addition of a sum first */
        struct node *n = g->node[i];
        if (is_bare(n, OP_add)) {
            merge_gated(g, n);
        } else if (n->op == OP_global_avg_pool && n->n_in == 1) {
            merge_pooled(g, n);
        }
    }
    graph_remove_dead(g);
    return true;
}
