/* netc export: the network with its weights as an ONNX model, for other engines. No clang. */
#include <errno.h>
#include <string.h>

#include "build.h"
#include "children.h"
#include "export/export.h"
#include "netc.h"

static bool write_model(struct netc *n, const struct onnx_model *model, struct weights *w, const char *path)
{
    FILE *file = fopen(path, "wb");
    bool good = file && onnx_write(model, n->scratch, w, file);
    int error = errno;
    bool read = !diag_errors(n->diags); /* else the checkpoint could not be read again */
    if (file && fclose(file) != 0 && good) {
        good = false;
        error = errno;
    }
    if (!good && read)
        diag_error_file(n->diags, CHECK_build_write, n->options.output, "cannot be written: %s", strerror(error));
    return good && read;
}

/* Whole or not at all, as a weights file. */
static bool replace_model(struct netc *n, const struct onnx_model *model, struct weights *w)
{
    const char *path = n->options.output, *why;
    temporary_begin();
    const char *fresh = claim_file(n->module, path, &why);
    if (!fresh)
        diag_error_file(n->diags, CHECK_build_write, path, "cannot be written: %s", why);
    bool good = fresh && write_model(n, model, w, fresh) && !temporary_interrupted();
    if (good && rename(fresh, path) != 0) {
        diag_error_file(n->diags, CHECK_build_write, path, "cannot be written: %s", strerror(errno));
        good = false;
    }
    temporary_end();
    return good;
}

bool command_export(struct netc *n)
{
    const struct options *o = &n->options;
    struct weights *w;
    struct graph *g = elaborate_with_weights(n, &w);
    if (!g || !spares_checkpoint(n, o->output))
        return false;
    struct onnx_model *model = onnx_model(n->module, n->diags, g, o->batch);
    bool good = model && replace_model(n, model, w);
    weights_close(w);
    return good;
}
