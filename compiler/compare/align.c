/* Stages of several networks as rows: those of one name in one row, in the order of all; what stands between two such rows is paired
 * by position, so that layer1 ... layer4 of one lie beside stages.0 ... stages.3 of another.
 */
#include <string.h>

#include "compare/compare.h"

static bool row_has(const struct comparison *c, const struct compared_row *row, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (row->stage[i] >= 0 && strcmp(c->network[i].stages.stage[row->stage[i]].name, name) == 0)
            return true;
    return false;
}

/* common[i][k]: how many names the rows from i on and the stages from k on have in common, in order. */
static int *common_names(struct arena *a, const struct comparison *c, const struct network_stages *s)
{
    size_t width = s->n + 1;
    int *common = NEW_ARRAY(a, int, (c->n_row + 1) * width);
    for (size_t i = c->n_row; i-- > 0;)
        for (size_t k = s->n; k-- > 0;) {
            int *at = &common[i * width + k], down = at[width], right = at[1];
            *at = row_has(c, &c->row[i], s->stage[k].name) ? at[width + 1] + 1 : down > right ? down : right;
        }
    return common;
}

static struct compared_row empty_row(void)
{
    struct compared_row row;
    for (int i = 0; i < MOST_COMPARED; i++)
        row.stage[i] = -1;
    row.name = "";
    return row;
}

static void add_row(struct arena *a, struct comparison *c, int network, const struct compared_row *old, int stage)
{
    struct compared_row row = old ? *old : empty_row();
    row.stage[network] = stage;
    PUSH(a, c->row, c->n_row, c->cap_row, row);
}

/* The rows with one more network beside them. */
static void join(struct arena *a, struct comparison *c, int network)
{
    const struct network_stages *s = &c->network[network].stages;
    const int *common = common_names(a, c, s);
    const struct compared_row *old = c->row;
    size_t n_old = c->n_row, width = s->n + 1, i = 0, k = 0;
    c->row = NULL;
    c->n_row = c->cap_row = 0;
    while (i < n_old || k < s->n) {
        size_t row_end = i, stage_end = k; /* the next pair of one name */
        for (const int *at; row_end < n_old && stage_end < s->n;) {
            at = &common[row_end * width + stage_end];
            if (*at != at[width] && *at != at[1])
                break;
            row_end += *at == at[width];
            stage_end += *at != at[width];
        }
        bool pair = row_end < n_old && stage_end < s->n;
        while (i < (pair ? row_end : n_old) || k < (pair ? stage_end : s->n)) {
            bool has_row = i < (pair ? row_end : n_old), has_stage = k < (pair ? stage_end : s->n);
            add_row(a, c, network, has_row ? &old[i] : NULL, has_stage ? (int)k : -1);
            i += has_row;
            k += has_stage;
        }
        if (pair)
            add_row(a, c, network, &old[i++], (int)k++);
    }
}

static const char *row_name(struct arena *a, const struct comparison *c, const struct compared_row *row)
{
    struct text t = {.arena = a};
    for (int i = 0; i < c->n; i++) {
        struct compared_row before = *row;
        for (int k = i; k < MOST_COMPARED; k++)
            before.stage[k] = -1;
        const char *name = row->stage[i] < 0 ? NULL : c->network[i].stages.stage[row->stage[i]].name;
        if (name && !row_has(c, &before, name))
            text_add(&t, "%s%s", t.length ? " / " : "", name);
    }
    return text_string(&t);
}

void align_stages(struct arena *a, struct comparison *c)
{
    for (int i = 0; i < c->n; i++)
        join(a, c, i);
    for (size_t i = 0; i < c->n_row; i++)
        c->row[i].name = row_name(a, c, &c->row[i]);
}
