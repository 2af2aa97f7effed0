/* Zip files, by libzip, over the mapped file.
 *
 * What would surprise: an entry's size is what the directory says, so it is compared with the file before memory is
 * taken for it, all entries that are asked for together (LARGEST_RATIO); and an entry is read to its end and one byte
 * beyond, since only then libzip compares the checksum. libzip has no allocator of ours: where it finds no memory, the
 * run ends here as it does in base/.
 */
#include "weights/checkpoint.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>
#include <zlib.h> /* Z_MEM_ERROR */

enum { LARGEST_RATIO = 100, SMALL_ANYWAY = 1 << 20 };

struct archive {
    zip_t *zip;
    struct entry *entry;
    size_t n;
    struct name_index index;
    int64_t promised; /* bytes of the entries that were asked for */
};

static const char *reason(zip_error_t *error)
{
    bool of_zlib = zip_error_code_zip(error) == ZIP_ER_ZLIB && zip_error_code_system(error) == Z_MEM_ERROR;
    if (zip_error_code_zip(error) == ZIP_ER_MEMORY || of_zlib)
        out_of_memory(0);
    return zip_error_strerror(error);
}

static bool read_entry(struct checkpoint *c, struct archive *a, size_t i)
{
    enum { NEEDED = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD };
    zip_stat_t status;
    zip_stat_init(&status);
    if (zip_stat_index(a->zip, i, 0, &status) != 0)
        return FAULT(c, zip_directory, "entry %zu of the zip file: %s", i, reason(zip_get_error(a->zip)));
    if ((status.valid & NEEDED) != NEEDED || status.size > INT64_MAX / 2 || status.comp_size > INT64_MAX / 2)
        return FAULT(c, zip_directory, "entry %zu of the zip file has no sizes", i);
    a->entry[i] =
        (struct entry){.name = arena_copy(c->arena, status.name, strlen(status.name)),
                       .index = i,
                       .bytes = (int64_t)status.size,
                       .packed = (int64_t)status.comp_size,
                       .method = status.comp_method,
                       .encryption = status.valid & ZIP_STAT_ENCRYPTION_METHOD ? status.encryption_method : 0};
    bool is_new;
    *name_index_put(&a->index, a->entry[i].name, &is_new) = i;
    return is_new || FAULT(c, zip_directory, "the zip file has two entries %.*s", SHOWN, a->entry[i].name);
}

bool archive_open(struct checkpoint *c)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(c->map, c->length, 0, &error);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    if (!zip) {
        zip_source_free(source);
        bool cut = zip_error_code_zip(&error) == ZIP_ER_NOZIP;
        FAULT(c, zip_directory, "a zip file %s",
              cut ? "without the directory at its end: is it truncated?"
                  : arena_printf(c->arena, "that cannot be read: %s", reason(&error)));
        zip_error_fini(&error);
        return false;
    }
    zip_error_fini(&error);
    struct archive *a = NEW(c->arena, struct archive);
    c->archive = a;
    a->zip = zip;
    a->n = (size_t)zip_get_num_entries(zip, 0);
    a->entry = NEW_ARRAY(c->arena, struct entry, a->n);
    a->index.arena = c->arena;
    for (size_t i = 0; i < a->n; i++)
        if (!read_entry(c, a, i))
            return false;
    return true;
}

void archive_close(struct archive *a)
{
    if (a)
        zip_discard(a->zip);
}

struct entry *archive_find(const struct checkpoint *c, const char *name)
{
    const size_t *i = name_index_find(&c->archive->index, name);
    return i ? &c->archive->entry[*i] : NULL;
}

struct entry *archive_ending(const struct checkpoint *c, const char *ending)
{
    size_t n = strlen(ending);
    for (size_t i = 0; i < c->archive->n; i++) {
        size_t length = strlen(c->archive->entry[i].name);
        if (length >= n && strcmp(c->archive->entry[i].name + length - n, ending) == 0)
            return &c->archive->entry[i];
    }
    return NULL;
}

const struct entry *archive_first(const struct checkpoint *c)
{
    return c->archive->n ? c->archive->entry : NULL;
}

bool archive_readable(struct checkpoint *c, const struct entry *e)
{
    int64_t most = LARGEST_RATIO * (int64_t)c->length + SMALL_ANYWAY;
    if (e->encryption != ZIP_EM_NONE)
        return FAULT(c, zip_entry, "%.*s is encrypted", SHOWN, e->name);
    if (e->method != ZIP_CM_STORE && e->method != ZIP_CM_DEFLATE)
        return FAULT(c, zip_entry, "%.*s is packed by method %d of zip; stored (0) and deflated (8) entries are read",
                     SHOWN, e->name, e->method);
    if (e->bytes > most - c->archive->promised)
        return FAULT(c, zip_size, "%.*s inflates to %lld bytes, %s%d times the file's %zu: that is no checkpoint",
                     SHOWN, e->name, (long long)e->bytes,
                     c->archive->promised ? "all entries so far to more than " : "more than ", LARGEST_RATIO,
                     c->length);
    c->archive->promised += e->bytes;
    return true;
}

/* Reads exactly the entry's bytes and sees its end. */
static bool read_whole(struct checkpoint *c, zip_file_t *file, const struct entry *e, unsigned char *to)
{
    int64_t done = 0;
    unsigned char beyond;
    for (;;) {
        zip_int64_t n = zip_fread(file, done < e->bytes ? to + done : &beyond,
                                  done < e->bytes ? (zip_uint64_t)(e->bytes - done) : 1);
        if (n < 0)
            return FAULT(c, zip_entry, "%.*s is damaged: %s", SHOWN, e->name, reason(zip_file_get_error(file)));
        done += n;
        if (n == 0 || done > e->bytes)
            break;
    }
    return done == e->bytes ||
           FAULT(c, zip_entry, "%.*s is damaged: it has %s than the %lld bytes of the zip's directory", SHOWN, e->name,
                 done > e->bytes ? "more" : "fewer", (long long)e->bytes);
}

const unsigned char *archive_read(struct checkpoint *c, struct arena *arena, const struct entry *e)
{
    zip_file_t *file = zip_fopen_index(c->archive->zip, e->index, 0);
    if (!file) {
        FAULT(c, zip_entry, "%.*s cannot be read: %s", SHOWN, e->name, reason(zip_get_error(c->archive->zip)));
        return NULL;
    }
    unsigned char *bytes = arena_alloc(arena, (size_t)e->bytes);
    bool whole = read_whole(c, file, e, bytes);
    zip_fclose(file);
    return whole ? bytes : NULL;
}
