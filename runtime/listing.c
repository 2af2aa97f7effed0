/* From the arguments IMAGE... to the list of pictures, before the first is read: how many there are decides how they
 * are worked on, and the progress bar and the header of --output need to know.
 *
 * A folder stands for the picture files in it and in its subfolders, by their names' endings, in the order of their
 * names' bytes at each level. Left out are names that begin with a dot (thumbnails, what macOS puts beside pictures)
 * and what is no regular file: a FIFO called x.jpg would wait for ever. A file that is named itself is read whatever
 * it is called. Links are followed, round in circles they are not. (Not by fts(3): glibc's follows a null pointer where
 * memory ends.) */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "runtime.h"

static const char *const endings[] = {".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".pbm", ".pnm"};

/* Takes the path, which was allocated. */
static void add(struct listing *list, char *path)
{
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 64;
        const char **larger = reallocarray(list->path, (size_t)list->room, sizeof *larger);
        if (!larger) {
            fail("out of memory: the names of %lld pictures", (long long)list->room);
        }
        list->path = larger;
    }
    list->path[list->count++] = path;
}

/* "folder/name", or the name alone. The caller frees it. */
static char *join(const char *folder, const char *name)
{
    char *path = NULL;
    const size_t length = folder ? strlen(folder) : 0;
    const char *between = length && folder[length - 1] != '/' ? "/" : "";
    if (asprintf(&path, "%s%s%s", folder ? folder : "", between, name) < 0) {
        fail("out of memory: the name of %s", name);
    }
    return path;
}

static void add_picture(struct listing *list, const char *path)
{
    add(list, join(NULL, path));
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

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder but the hidden ones, sorted, allocated. What could be read of them if it ends in an error. */
static int64_t read_names(struct listing *list, const char *path, char ***names)
{
    DIR *folder = opendir(path);
    int64_t n = 0, room = 0;
    errno = folder ? 0 : errno;
    for (struct dirent *entry; folder && (entry = readdir(folder)); errno = 0) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        if (n == room) {
            room = room ? 2 * room : 64;
            *names = reallocarray(*names, (size_t)room, sizeof **names);
        }
        if (!*names) {
            fail("out of memory: the names in %s", path);
        }
        (*names)[n++] = join(NULL, entry->d_name);
    }
    if (errno) {
        complain(list, path, strerror(errno));
    }
    if (folder) {
        closedir(folder);
    }
    if (n > 0) {
        qsort(*names, (size_t)n, sizeof **names, by_name);
    }
    return n;
}

struct place { /* a folder and those that it lies in */
    dev_t device;
    ino_t number;
    const struct place *above;
};

static bool is_round(const struct place *place)
{
    const struct place *above = place->above;
    while (above && (above->device != place->device || above->number != place->number)) {
        above = above->above;
    }
    return above;
}

static void walk(struct listing *list, const char *path, const struct stat *status, const struct place *above)
{
    const struct place place = {status->st_dev, status->st_ino, above};
    char **names = NULL;
    const int64_t n = is_round(&place) ? 0 : read_names(list, path, &names);
    for (int64_t i = 0; i < n; i++) {
        char *inside = join(path, names[i]);
        struct stat own;
        const bool known = stat(inside, &own) == 0; /* if not, reading it says why */
        if (known && S_ISDIR(own.st_mode)) {
            walk(list, inside, &own, &place);
        } else if ((!known || S_ISREG(own.st_mode)) && is_picture_name(names[i])) {
            add(list, inside);
            inside = NULL;
        }
        free(inside);
        free(names[i]);
    }
    free(names);
}

static void add_folder(struct listing *list, const char *path, const struct stat *status)
{
    const int64_t before = list->count, complaints = list->complaints;
    walk(list, path, status, NULL);
    if (list->count == before && list->complaints == complaints) {
        complain(list, path, "there are no pictures in this folder (.jpg .jpeg .png .ppm .pgm .pbm .pnm)");
    }
    list->folders = true;
}

struct listing list_pictures(const char *const *argument, int n)
{
    struct listing list = {0};
    struct stat status;
    for (int i = 0; i < n; i++) {
        const bool standard = strcmp(argument[i], "-") == 0;
        if (!standard && stat(argument[i], &status) == 0 && S_ISDIR(status.st_mode)) {
            add_folder(&list, argument[i], &status);
        } else {
            add_picture(&list, argument[i]);
        }
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
