/* Other names for a checkpoint's tensors: a small text, --rename=FILE. grammar/CHECKPOINTS.md describes its lines. */
#ifndef NETC_RENAME_H
#define NETC_RENAME_H

#include "base/base.h"

struct renames;

/* FILE, or a name for renames/FILE.rename in one of the folders. NULL after diagnostics. */
struct renames *renames_read(struct arena *, struct diags *, const char *file, const char *const *folder, int n_folder);
/* The name after every line, the same pointer if none applies; NULL where a line drops it. False after a diagnostic. */
bool renames_apply(struct renames *, struct diags *, const char *name, const char **out);
/* Notes about the lines that no name was changed by. */
void renames_unused(const struct renames *, struct diags *);

#endif
