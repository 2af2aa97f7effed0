/* The part of NAME.c that maps packed weights from a file: the code, carried inside netc as the helper headers are, and
 * the table of how the network has its weights packed, which a file must repeat line by line. */
#include "emit/emit.h"
#include "emit/names.h"
#include "weights/weights.h"

#include <string.h>

#pragma clang diagnostic ignored "-Wc23-extensions"

static const char map_weights[] = {
#embed "map_weights.h"
    , '\0'};

void emit_features(struct text *t)
{
    text_add(t, "#ifndef _DEFAULT_SOURCE\n#define _DEFAULT_SOURCE /* madvise, O_CLOEXEC */\n#endif\n");
}

/* A line as a string of C, in as many pieces as it takes, parted before blanks. */
static void put_pieces(struct text *t, const char *line)
{
    enum { WIDTH = 112 };
    size_t left = strlen(line);
    while (left > 0) {
        size_t n = left;
        if (n > WIDTH)
            for (n = WIDTH; n > 1 && line[n] != ' ';)
                n--;
        n = n > 1 ? n : left;
        text_add(t, "    ");
        put_string(t, arena_copy(t->arena, line, n));
        line += n;
        left -= n;
        text_add(t, left ? "\n" : ",\n");
    }
}

void emit_map_weights(struct text *t, const struct program *p)
{
    text_add(t, "\n");
    text_put(t, map_weights, strlen(map_weights));
    text_add(t, "\n/* How the weights are packed: name, shape, algorithm, packing = source. A weights file has the "
                "same lines. */\n"
                "static const char *const packing[] = {\n");
    for (size_t i = 0; i < p->n_pack; i++)
        put_pieces(t, packing_line(t->arena, &p->pack[i]));
    text_add(t, "    NULL\n};\n");
}
