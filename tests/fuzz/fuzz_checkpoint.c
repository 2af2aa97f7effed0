/* Any bytes as a checkpoint, of whichever format they begin like: the table is read, then every tensor's values; and as a file of
 * renames, which is applied to some names. Pickles are reached through the old format, which has no checksum. */
#include "fuzz.h"
#include "weights/checkpoint.h"
#include "weights/rename.h"

enum { MOST_ELEMENTS = 1 << 16 };

static bool read_checkpoint(struct arena *perm, struct diags *diags, const char *path)
{
    struct checkpoint c;
    if (!checkpoint_open(perm, diags, path, NULL, &c)) {
        return false;
    }
    bool whole = true;
    for (size_t i = 0; i < c.n_tensor && whole; i++) {
        const struct tensor *t = &c.tensor[i];
        if (t->elements <= MOST_ELEMENTS && (whole = checkpoint_check(&c, t))) {
            checkpoint_values(&c, t, NEW_ARRAY(perm, double, t->elements));
        }
    }
    checkpoint_close(&c);
    return whole;
}

static bool read_renames(struct arena *perm, struct diags *diags, const char *path)
{
    static const char *const name[] = {"layer1.0.conv1.weight", "res4b22_branch2a.bias", "fc", "", "a.1234567890.b.0"};
    struct renames *r = renames_read(perm, diags, path, NULL, 0);
    const char *out;
    bool fine = r;
    for (size_t i = 0; i < LENGTH(name) && fine; i++) {
        fine = renames_apply(r, diags, name[i], &out);
    }
    return fine;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_reader *const reader[] = {read_checkpoint, read_renames};
    fuzz_file(reader, LENGTH(reader), data, size);
    return 0;
}
