/* What a layer's kernel depends on, beside its schedule and the target: operator, types with their layouts, attributes, epilogues.
 * Names, weights, and where values lie are not part of it; whether a sum is made in place, and what number is a literal, is. */
#include "tune/tune.h"

static void put_operand(struct text *t, const struct node *layer, const struct node *operand)
{
    if (node_is_number(operand) && operand->op == OP_constant)
        text_add(t, " %.*g", number_digits(operand->value[0]), operand->value[0]);
    else
        text_add(t, " %s%s", type_text(t->arena, operand->type), same_place(operand, layer) ? " in place" : "");
}

const char *layer_signature(struct arena *scratch, const struct node *n)
{
    struct text t = {.arena = scratch};
    text_add(&t, "%s", op_info(n->op)->name);
    for (int i = 0; i < n->n_in; i++) {
        bool again = i > 0 && n->in[i] == n->in[0];
        text_add(&t, "%s %s", i ? "," : "", again ? "the same" : type_text(scratch, n->in[i]->type));
    }
    text_add(&t, " -> %s", type_text(scratch, n->type));
    node_attrs_print(&t, n);
    if (n->algorithm == ALGORITHM_winograd)
        text_add(&t, " F(%dx%d)", n->schedule.rows, n->schedule.rows); /* its weights are packed for it */
    for (int i = 0; i < n->n_epilogue; i++) {
        text_add(&t, " | %s", op_info(n->epilogue[i].op)->name);
        if (n->epilogue[i].operand)
            put_operand(&t, n, n->epilogue[i].operand);
    }
    return intern(text_string(&t));
}
