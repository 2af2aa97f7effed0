/* What the readers of checkpoints share: a file as a table of tensors over storages. Known to weights/ alone.
 *
 *   checkpoint.c     the mapped file, which format it is, values
 *   safetensors.c    the safetensors format
 *   torch_file.c     what torch.save writes: a zip, or before PyTorch 1.6 pickles with the storages behind them
 *   archive.c        zip files, by libzip
 *   pickle.c         the machine of pickles, which runs nothing: pickle_opcodes.c and .def, pickle_globals.def
 *   state_dict.c     from a pickle's value to the table
 * grammar/CHECKPOINTS.md says what of all that is read.
 */
#ifndef NETC_CHECKPOINT_H
#define NETC_CHECKPOINT_H

#include "base/base.h"

enum {
    SHOWN = 100,         /* characters of a name out of a file that a message repeats */
    MOST_DIMENSIONS = 64,
    LONGEST_NAME = 4096, /* of a tensor */
};

struct dtype {
    const char *name;    /* "F32" */
    const char *storage; /* "FloatStorage", the type's name in a pickle; NULL: none */
    const char *torch;   /* "float32", PyTorch's name; NULL: none */
    int bytes;
    double (*widen)(const unsigned char *, int64_t i); /* element i; NULL: a parameter cannot have this type */
};
const struct dtype *dtype_by_name(const char *name);
const struct dtype *dtype_by_storage(const char *storage, size_t length);
bool dtype_of_torch(const char *name, size_t length); /* is that one of PyTorch's? */

struct stored { /* numbers in a row, which tensors look into */
    const char *key; /* what messages call it */
    const struct dtype *dtype;
    int64_t elements;
    const unsigned char *bytes; /* little-endian, at any address, in the mapped file; NULL: in an entry of the zip */
    const struct entry *entry;
    bool whole; /* the entry was read once to its end, and its checksum is right */
};

struct tensor { /* everything about it was checked against the file but the checksum of its entry */
    const char *given; /* its name in the file */
    const char *name;  /* without `module.` and after --rename; NULL: a line of the renames drops it */
    struct stored *storage;
    int rank;
    const int64_t *dim;
    const int64_t *stride; /* in elements; NULL: row-major */
    int64_t first;         /* element of the storage */
    int64_t elements;
    bool used;             /* weights_check: the graph loads it */
};

struct checkpoint {
    struct arena *arena;
    struct diags *diags;
    const char *path;
    const unsigned char *map; /* NULL: closed */
    size_t length;
    struct tensor *tensor;
    size_t n_tensor, capacity;
    struct archive *archive; /* NULL: no zip */
    struct arena *read_in;   /* the storage that was read last, out of a zip */
    const struct stored *read;
    const unsigned char *read_bytes;
};

#define FAULT(c, check, ...) (diag_error_file((c)->diags, CHECK_##check, (c)->path, __VA_ARGS__), false)

/* Maps the file, tells its format and fills the table; `key` as --checkpoint-key has it, or NULL. False after one
 * diagnostic, with nothing left open. */
bool checkpoint_open(struct arena *, struct diags *, const char *path, const char *key, struct checkpoint *);
void checkpoint_close(struct checkpoint *); /* may be called twice */
/* Can the tensor's bytes be had whole? False after a diagnostic. */
bool checkpoint_check(struct checkpoint *, const struct tensor *);
/* As many doubles as the tensor has elements, row-major; NaN if its bytes cannot be had. */
void checkpoint_values(struct checkpoint *, const struct tensor *, double *out);
/* "[64,3,7,7]" */
const char *dims_text(struct arena *, int rank, const int64_t *dim);

bool safetensors_read(struct checkpoint *);

/* ---- torch_file.c ---- */
bool torch_zip_read(struct checkpoint *, const char *key);
bool torch_legacy_is(const struct checkpoint *);
bool torch_legacy_read(struct checkpoint *, const char *key);

/* ---- state_dict.c ---- */
struct pickled;
bool state_dict_read(struct checkpoint *, const struct pickled *root, const char *key);

/* ---- archive.c ---- */
struct entry {
    const char *name;
    uint64_t index;
    int64_t bytes, packed; /* inflated, and in the file */
    uint16_t method, encryption;
    struct stored *storage; /* torch_file.c: that it holds, once somebody asked for it */
};
bool archive_open(struct checkpoint *); /* of the mapped file; its names are all different */
void archive_close(struct archive *);
struct entry *archive_find(const struct checkpoint *, const char *name);
struct entry *archive_ending(const struct checkpoint *, const char *ending); /* the first whose name ends so */
const struct entry *archive_first(const struct checkpoint *);                /* NULL: it is empty */
/* The entry is stored or deflated, in clear, and takes memory in proportion to the file. */
bool archive_readable(struct checkpoint *, const struct entry *);
/* All bytes of a readable entry, checked by its checksum; NULL after a diagnostic. */
const unsigned char *archive_read(struct checkpoint *, struct arena *, const struct entry *);

/* ---- name_index.c: which number belongs to a name ---- */
struct name_index {
    struct arena *arena;
    const char **name; /* slots, open addressing; n_slot is 0 or a power of two */
    size_t *value;
    size_t n_slot, count;
};
/* Where the value of this name stands, 0 when it is new; the name is kept, not copied. */
size_t *name_index_put(struct name_index *, const char *name, bool *is_new);
const size_t *name_index_find(const struct name_index *, const char *name); /* NULL: it is not there */

#endif
