/* netc pack: a checkpoint as a weights file, which a program or library of the same network maps at start. No clang. */
#include <sys/stat.h>

#include "netc.h"
#include "weights/weights.h"

bool spares_checkpoint(struct netc *n, const char *path)
{
    struct stat checkpoint, output;
    if (!path || stat(n->options.weights, &checkpoint) != 0 || stat(path, &output) != 0 ||
        checkpoint.st_dev != output.st_dev || checkpoint.st_ino != output.st_ino)
        return true;
    diag_error_file(n->diags, CHECK_build_write, path,
                    "cannot be written: it is the checkpoint that the weights come from");
    return false;
}

bool pack_file(struct netc *n, const struct program *p, struct weights *w, const struct packed_about *about,
               struct weights_file *file)
{
    if (!spares_checkpoint(n, file->path))
        return false;
    char *blob = arena_alloc(n->module, (size_t)p->weights_bytes + 64);
    pack_weights(n->scratch, p, w, blob);
    if (diag_errors(n->diags))
        return false; /* the checkpoint could not be read again */
    file->blob = blob;
    file->blob_bytes = (size_t)p->weights_bytes;
    file->head = packed_head(n->module, p, about, blob, &file->head_bytes);
    return true;
}

bool command_pack(struct netc *n)
{
    const struct options *o = &n->options;
    struct weights *w;
    struct graph *g = elaborate_with_weights(n, &w);
    if (!g)
        return false;
    struct packed_about about = {.digest = weights_digest(w, g), .options = o->described};
    struct program *p = compile(n, g);
    struct weights_file file = {.path = o->output};
    return p && pack_file(n, p, w, &about, &file) && replace_weights_file(n->diags, n->scratch, &file);
}
