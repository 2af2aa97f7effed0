/* Files that the driver writes: a folder of generated C is changed as a whole or not at all. */
#include "build.h"
#include "children.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

const char *absolute_path(struct arena *arena, const char *path)
{
    char here[PATH_MAX];
    if (*path == '/' || !getcwd(here, sizeof here)) {
        return path;
    }
    return arena_printf(arena, "%s/%s", here, path);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *const *runtime_files(struct diags *diags, const struct build_job *job, size_t *n)
{
    const char **name = NULL;
    size_t capacity = 0;
    *n = 0;
    DIR *folder = opendir(job->runtime_dir);
    int error = folder ? ENOENT : errno;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot && dot > entry->d_name && (strcmp(dot, ".c") == 0 || strcmp(dot, ".h") == 0)) {
            PUSH(job->arena, name, *n, capacity, arena_printf(job->arena, "%s", entry->d_name));
        }
    }
    if (folder) {
        closedir(folder);
    }
    if (*n == 0) {
        diag_error_file(diags, CHECK_build_runtime, job->runtime_dir, "the sources of netc's runtime are not here: %s",
                        strerror(error));
        return NULL;
    }
    qsort(name, *n, sizeof *name, by_name);
    return name;
}

const char *claim_file(struct arena *arena, const char *path, const char **why)
{
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
        *why = S_ISDIR(status.st_mode) ? "it is a directory" : "it is no ordinary file";
        return NULL;
    }
    const char *fresh = temporary_claim(absolute_path(arena, path));
    *why = fresh ? NULL : strerror(errno);
    return fresh;
}

/* Two pieces, the second perhaps empty. */
static bool write_pieces(struct diags *diags, const char *path, const char *shown, const void *bytes, size_t n,
                         const void *more, size_t n_more)
{
    FILE *file = fopen(path, "wb");
    bool good = file && fwrite(bytes, 1, n, file) == n && fwrite(more, 1, n_more, file) == n_more;
    int error = errno;
    if (file && fclose(file) != 0 && good) {
        good = false;
        error = errno;
    }
    if (!good) {
        diag_error_file(diags, CHECK_build_write, shown, "cannot be written: %s", strerror(error));
        if (file) {
            unlink(path);
        }
    }
    return good;
}

bool write_file(struct diags *diags, const char *path, const char *shown, const void *bytes, size_t n)
{
    return write_pieces(diags, path, shown, bytes, n, "", 0);
}

/* ---- a weights file ---- */

bool write_weights_file(struct diags *diags, const char *path, const struct weights_file *w)
{
    return write_pieces(diags, path, w->path, w->head, w->head_bytes, w->blob, w->blob_bytes);
}

const char *claim_weights(struct diags *diags, struct arena *scratch, const struct weights_file *w)
{
    const char *why, *fresh = claim_file(scratch, w->path, &why);
    if (!fresh) {
        diag_error_file(diags, CHECK_build_write, w->path, "cannot be written: %s", why);
    }
    return fresh;
}

bool rename_weights(struct diags *diags, const char *fresh, const struct weights_file *w)
{
    if (rename(fresh, w->path) != 0) {
        diag_error_file(diags, CHECK_build_write, w->path, "cannot be written: %s", strerror(errno));
        return false;
    }
    return true;
}

bool replace_weights_file(struct diags *diags, struct arena *scratch, const struct weights_file *w)
{
    temporary_begin();
    const char *fresh = claim_weights(diags, scratch, w);
    bool good =
        fresh && write_weights_file(diags, fresh, w) && !temporary_interrupted() && rename_weights(diags, fresh, w);
    temporary_end();
    return good;
}

/* ---- a folder of C ---- */

bool make_folder(struct diags *diags, const char *path, bool *made)
{
    struct stat status;
    *made = mkdir(path, 0777) == 0;
    int error = errno;
    if (!*made && error == EEXIST && stat(path, &status) == 0 && !S_ISDIR(status.st_mode)) {
        error = ENOTDIR;
    }
    if (!*made && error != EEXIST) {
        diag_error_file(diags, CHECK_build_write, path, "this folder cannot be made: %s", strerror(error));
    }
    return *made || error == EEXIST;
}

int lock_folder(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        flock(folder, LOCK_EX); /* where locks are not known, all goes on without */
    }
    return folder;
}

/* File i of the job: the generated ones, then the weights. NULL past the last one. */
static const char *job_file(const struct build_job *job, int i, const void **bytes, size_t *n)
{
    if (i < job->n_file) {
        *bytes = job->file[i].text;
        *n = job->file[i].length;
        return arena_printf(job->arena, "%s%s", job->name, job->file[i].suffix);
    }
    *bytes = job->weights;
    *n = job->weights_bytes;
    return i == job->n_file && job->weights ? arena_printf(job->arena, "%s.weights", job->name) : NULL;
}

bool write_generated(struct diags *diags, const struct build_job *job, const char *directory, const char *shown)
{
    const void *bytes;
    size_t n;
    const char *name;
    for (int i = 0; (name = job_file(job, i, &bytes, &n)); i++) {
        if (!write_file(diags, arena_printf(job->arena, "%s/%s", directory, name),
                        arena_printf(job->arena, "%s/%s", shown, name), bytes, n)) {
            return false;
        }
    }
    return true;
}

static bool is_written(const struct build_job *job, const char *name)
{
    const void *bytes;
    size_t n;
    const char *own;
    for (int i = 0; (own = job_file(job, i, &bytes, &n)); i++) {
        if (strcmp(own, name) == 0) {
            return true;
        }
    }
    return false;
}

bool is_generated(int folder, const char *name)
{
    static const char sign[] = "/* Generated by netc ";
    char begin[sizeof sign - 1] = "";
    int descriptor = openat(folder, name, O_RDONLY | O_CLOEXEC);
    bool same = descriptor >= 0 && read(descriptor, begin, sizeof begin) == (ssize_t)sizeof begin &&
                memcmp(begin, sign, sizeof begin) == 0;
    if (descriptor >= 0) {
        close(descriptor);
    }
    return same;
}

/* C of an earlier run that was cut otherwise would be taken for a part of this one: NAME.kernels.9.c, NAME.avx2.c. */
static void remove_stale(const struct build_job *job, const char *directory)
{
    DIR *folder = opendir(directory);
    size_t length = strlen(job->name);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        const char *name = entry->d_name, *end = name + strlen(name);
        bool ours = strncmp(name, job->name, length) == 0 && name[length] == '.' && end - name > 2 &&
                    strcmp(end - 2, ".c") == 0;
        if (ours && !is_written(job, name) && is_generated(dirfd(folder), name)) {
            unlinkat(dirfd(folder), name, 0);
        }
    }
    if (folder) {
        closedir(folder);
    }
}

/* All under their names, while no other netc does the same here: what is there at the end is of one run. */
static bool move_all(struct diags *diags, const struct build_job *job, const char *from, const char *to)
{
    const void *bytes;
    size_t n;
    const char *name;
    int lock = lock_folder(to);
    bool good = !temporary_interrupted(); /* a signal from now on comes too late: all of them or none */
    for (int i = 0; good && (name = job_file(job, i, &bytes, &n)); i++) {
        const char *target = arena_printf(job->arena, "%s/%s", to, name);
        if (rename(arena_printf(job->arena, "%s/%s", from, name), target) != 0) {
            diag_error_file(diags, CHECK_build_write, target, "cannot be written: %s", strerror(errno));
            good = false;
        }
    }
    if (good) {
        remove_stale(job, to);
    }
    if (lock >= 0) {
        close(lock);
    }
    return good;
}

bool write_to_folder(struct diags *diags, const struct build_job *job, const char *directory)
{
    bool made;
    if (!make_folder(diags, directory, &made)) {
        return false;
    }
    const char *fresh = temporary_directory(directory);
    if (!fresh) {
        diag_error_file(diags, CHECK_build_write, directory, "cannot be written to: %s", strerror(errno));
    }
    bool good = fresh && write_generated(diags, job, fresh, directory) && move_all(diags, job, fresh, directory);
    if (fresh) {
        temporary_remove(fresh);
    }
    if (!good && made) {
        rmdir(directory); /* if it is empty */
    }
    return good;
}

bool emit_to_directory(struct diags *diags, const struct build_job *job, const char *directory)
{
    const struct weights_file *w = job->weights_file;
    temporary_begin();
    const char *fresh = w ? claim_weights(diags, job->arena, w) : NULL;
    bool good = !w || (fresh && write_weights_file(diags, fresh, w));
    good = good && write_to_folder(diags, job, directory) && (!w || rename_weights(diags, fresh, w));
    temporary_end();
    return good;
}
