/* share_kernels: equal kernels become one function. A kernel knows its parameters, never its layer, so equal text (names of
 * buffers and variables aside) means equal work; addresses are arguments of the call.
 *
 *   call conv1x1_256to64_56x56_relu__avx512_1x14x32(layer1_1, ...)      both call the function that the first one made
 *   call conv1x1_256to64_56x56_relu__avx512_1x14x32(layer1_2, ...)
 */
#include "loop/loop.h"

/* Different kernels that would have one name (another border, say) are told apart by a number. */
static void name_apart(struct program *p, struct kernel *k)
{
    const char *wanted = k->name;
    for (int n = 2;; n++) {
        bool taken = false;
        for (size_t i = 0; i < p->n_kernel && !taken; i++)
            taken = p->kernel[i]->name == k->name;
        if (!taken)
            return;
        k->name = intern_printf("%s_%d", wanted, n);
    }
}

bool share_kernels(struct program *p, struct pass_context *c)
{
    size_t n = p->n_kernel;
    struct kernel **all = p->kernel, **same = NEW_ARRAY(c->scratch, struct kernel *, n);
    const char **text = NEW_ARRAY(c->scratch, const char *, n);
    p->kernel = NULL;
    p->n_kernel = p->cap_kernel = 0;
    for (size_t i = 0; i < n; i++) {
        text[i] = intern(kernel_canonical(c->scratch, all[i]));
        for (size_t k = 0; k < i && !same[i]; k++)
            if (text[k] == text[i])
                same[i] = same[k];
        if (same[i])
            continue;
        same[i] = all[i];
        name_apart(p, all[i]);
        PUSH(p->arena, p->kernel, p->n_kernel, p->cap_kernel, all[i]);
    }
    for (struct stage *s = p->stage; s; s = s->next)
        for (struct call *k = s->call; k; k = k->next)
            k->kernel = same[k->kernel->id];
    for (size_t i = 0; i < p->n_kernel; i++)
        p->kernel[i]->id = (int)i;
    return true;
}
