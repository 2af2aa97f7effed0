/* From the arguments IMAGE... to the list of pictures, before the first is read: how many there are decides how they
 * are worked on, and the progress bar and the header of --output need to know.
 *
 * A folder stands for the picture files in it and in its subfolders, by their names' endings, in the order of their
 * names' bytes at each level. Left out are names that begin with a dot (thumbnails, what macOS puts beside pictures)
 * and what is no regular file: a FIFO called x.jpg would wait for ever. A file that is named itself is read whatever
 * it is called. Links are followed, round in circles they are not. */
#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "runtime.h"

static const char *const endings[] = {".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".pbm", ".pnm"};

static void add_picture(struct listing *list, const char *path)
{
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 64;
        const char **larger = reallocarray(list->path, (size_t)list->room, sizeof *larger);
        if (!larger) {
            fail("out of memory: the names of %lld pictures", (long long)list->room);
        }
        list->path = larger;
    }
    list->path[list->count] = strdup(path);
    if (!list->path[list->count++]) {
        fail("out of memory: the names of %lld pictures", (long long)list->count);
    }
}

static void complain(struct listing *list, const char *path, const char *why)
{
    report("%s: %s", path, why);
    list->complaints++;
}

static bool is_picture_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++) {
        if (strcasecmp(dot, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void visit(struct listing *list, FTS *tree, FTSENT *entry)
{
    const bool hidden = entry->fts_level > 0 && entry->fts_name[0] == '.';
    switch (entry->fts_info) {
    case FTS_D:
        if (hidden) {
            fts_set(tree, entry, FTS_SKIP);
        }
        break;
    case FTS_F:
    case FTS_NS: /* what cannot be looked at, and links that lead nowhere: reading them says why */
    case FTS_SLNONE:
        if (!hidden && is_picture_name(entry->fts_name)) {
            add_picture(list, entry->fts_path);
        }
        break;
    case FTS_DNR:
    case FTS_ERR: complain(list, entry->fts_path, strerror(entry->fts_errno)); break;
    }
}

static void add_folder(struct listing *list, const char *path)
{
    char *const roots[] = {(char *)path, NULL};
    const int64_t before = list->count, complaints = list->complaints;
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    FTSENT *entry;
    errno = 0;
    while (tree && (entry = fts_read(tree))) {
        visit(list, tree, entry);
        errno = 0;
    }
    if (errno) {
        complain(list, path, strerror(errno));
    } else if (list->count == before && list->complaints == complaints) {
        complain(list, path, "there are no pictures in this folder (.jpg .jpeg .png .ppm .pgm .pbm .pnm)");
    }
    if (tree) {
        fts_close(tree);
    }
    list->folders = true;
}

struct listing list_pictures(const char *const *argument, int n)
{
    struct listing list = {0};
    struct stat status;
    for (int i = 0; i < n; i++) {
        const bool standard = strcmp(argument[i], "-") == 0;
        const bool folder = !standard && stat(argument[i], &status) == 0 && S_ISDIR(status.st_mode);
        (folder ? add_folder : add_picture)(&list, argument[i]);
    }
    return list;
}

void free_listing(struct listing *list)
{
    for (int64_t i = 0; i < list->count; i++) {
        free((char *)list->path[i]);
    }
    free(list->path);
}
