/* What the fuzzers of netc's readers share: printing what was said, and bytes as a file for readers that take a path. */
#ifndef NETC_FUZZ_H
#define NETC_FUZZ_H

#include "base/base.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* To nowhere: the text is made as a terminal would get it. */
static inline void print_diags(struct diags *diags)
{
    char *printed;
    size_t length;
    FILE *out = open_memstream(&printed, &length);
    diag_print(diags, out);
    fclose(out);
    free(printed);
}

/* True, or false after a diagnostic; anything else is a contradiction and ends the fuzzer. */
typedef bool fuzz_reader(struct arena *perm, struct diags *, const char *path);

static inline void fuzz_file(fuzz_reader *const *reader, size_t n, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < n; i++) {
        struct arena *perm = arena_new("perm");
        struct diags *diags = diags_new(perm);
        int fd = memfd_create("fuzzed", MFD_CLOEXEC);
        if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
            abort();
        }
        if (reader[i](perm, diags, arena_printf(perm, "/proc/self/fd/%d", fd)) == (diag_errors(diags) > 0)) {
            abort();
        }
        print_diags(diags);
        close(fd);
        arena_free(perm);
        source_forget_all();
    }
}

#endif
