/* Affine forms c + sum of k_i * var_i: subscripts, guards, indices of lanes. They are values, copied freely: eight
 * terms are more than any nest needs. Terms stand in ascending order of the variables' ids and have no zero
 * coefficients, so equal forms are equal term by term. Variables of one kernel only may meet in a form. */
#include <assert.h>

#include "loop/loop.h"

struct affine affine_const(int64_t value)
{
    return (struct affine){.c = value};
}

struct affine affine_var(struct var *var, int64_t k)
{
    struct affine form = {0};
    if (k != 0) {
        form.n = 1;
        form.term[0].var = var;
        form.term[0].k = k;
    }
    return form;
}

static void add_term(struct affine *form, struct var *var, int64_t k)
{
    if (k == 0)
        return;
    assert(form->n < MAX_TERMS && "an affine form has at most MAX_TERMS variables");
    form->term[form->n].var = var;
    form->term[form->n++].k = k;
}

struct affine affine_add(struct affine a, struct affine b)
{
    struct affine sum = {.c = a.c + b.c};
    int i = 0, j = 0;
    while (i < a.n || j < b.n) {
        if (j == b.n || (i < a.n && a.term[i].var->id < b.term[j].var->id)) {
            add_term(&sum, a.term[i].var, a.term[i].k);
            i++;
        } else if (i == a.n || b.term[j].var->id < a.term[i].var->id) {
            add_term(&sum, b.term[j].var, b.term[j].k);
            j++;
        } else {
            assert(a.term[i].var == b.term[j].var && "variables of one kernel");
            add_term(&sum, a.term[i].var, a.term[i].k + b.term[j].k);
            i++, j++;
        }
    }
    return sum;
}

struct affine affine_plus(struct affine form, int64_t value)
{
    form.c += value;
    return form;
}

struct affine affine_scale(struct affine form, int64_t factor)
{
    if (factor == 0)
        return affine_const(0);
    form.c *= factor;
    for (int i = 0; i < form.n; i++)
        form.term[i].k *= factor;
    return form;
}

bool affine_equal(struct affine a, struct affine b)
{
    if (a.c != b.c || a.n != b.n)
        return false;
    for (int i = 0; i < a.n; i++) {
        if (a.term[i].var != b.term[i].var || a.term[i].k != b.term[i].k)
            return false;
    }
    return true;
}

bool affine_is_const(struct affine form, int64_t *value)
{
    if (form.n != 0)
        return false;
    if (value != NULL)
        *value = form.c;
    return true;
}

void affine_range(struct affine form, int64_t *least, int64_t *greatest)
{
    *least = *greatest = form.c;
    for (int i = 0; i < form.n; i++) {
        int64_t k = form.term[i].k, lo = form.term[i].var->lo, last = form.term[i].var->hi - 1;
        *least += k * (k > 0 ? lo : last);
        *greatest += k * (k > 0 ? last : lo);
    }
}

const char *affine_text(struct arena *arena, struct affine form)
{
    struct text text = {.arena = arena};
    for (int i = 0; i < form.n; i++) {
        int64_t k = form.term[i].k, size = k < 0 ? -k : k;
        const char *sign = i == 0 ? (k < 0 ? "-" : "") : (k < 0 ? " - " : " + ");
        if (size == 1)
            text_add(&text, "%s%s", sign, form.term[i].var->name);
        else
            text_add(&text, "%s%lld%s", sign, (long long)size, form.term[i].var->name);
    }
    if (form.n == 0)
        text_add(&text, "%lld", (long long)form.c);
    else if (form.c != 0)
        text_add(&text, " %c %lld", form.c < 0 ? '-' : '+', (long long)(form.c < 0 ? -form.c : form.c));
    return text_string(&text);
}
