/* Building for another architecture than this machine's: what clang needs beyond its usual command line.
 *
 * clang itself compiles for every architecture and lld links for every one; what they lack are headers and libraries,
 * a sysroot. It is looked for in this order: --sysroot=DIR, $NETC_SYSROOT, what `make sysroot-ARCH` made in the checkout
 * that this netc was built in, share/netc/sysroot/ARCH of an installed one. */
#include "build.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_sysroot(struct arena *arena, const char *folder)
{
    return access(arena_printf(arena, "%s/usr/include/stdio.h", folder), R_OK) == 0;
}

static const char *look_for(struct arena *arena, const char *arch, const char *named)
{
    const char *variable = getenv("NETC_SYSROOT");
    if (named || (variable && *variable)) {
        return absolute_path(arena, named ? named : variable);
    }
    const char *checkout = data_folder(arena, arena_printf(arena, "build/sysroot/%s", arch));
    const char *installed = data_folder(arena, arena_printf(arena, "sysroot/%s", arch));
    return is_sysroot(arena, installed) && !is_sysroot(arena, checkout) ? installed : checkout;
}

/* The folder of libomp where it lies beside LLVM's, as in Debian's packages: the newest; else clang looks for it. */
static const char *openmp_folder(struct arena *arena, const char *sysroot)
{
    glob_t found = {0};
    const char *folder = NULL;
    glob(arena_printf(arena, "%s/usr/lib/llvm-*/lib/libomp.so", sysroot), 0, NULL, &found);
    if (found.gl_pathc > 0) {
        const char *last = found.gl_pathv[found.gl_pathc - 1];
        folder = arena_copy(arena, last, (size_t)(strrchr(last, '/') - last));
    }
    globfree(&found);
    return folder;
}

bool find_cross(struct diags *diags, const struct build_job *job, struct cross *cross)
{
    *cross = (struct cross){0};
    if (!job->arch) {
        return true;
    }
    struct arena *arena = job->arena;
    const char *sysroot = look_for(arena, job->arch, job->sysroot);
    if (!is_sysroot(arena, sysroot)) {
        diag_error_file(diags, CHECK_build_sysroot, sysroot,
                        "the headers and libraries of %s are not here (no usr/include/stdio.h)", job->arch);
        diag_note(diags, NO_SPAN,
                  "`make sysroot-%s` in netc's sources unpacks Debian's into build/sysroot; --sysroot=DIR or "
                  "NETC_SYSROOT name a folder of your own",
                  job->arch);
        return false;
    }
    const char *openmp = openmp_folder(arena, sysroot);
    cross->sysroot = sysroot;
    cross->compile[0] = arena_printf(arena, "--target=%s-linux-gnu", job->arch);
    cross->compile[1] = arena_printf(arena, "--sysroot=%s", sysroot);
    cross->link[0] = "-fuse-ld=lld";
    cross->link[1] = openmp ? arena_printf(arena, "-L%s", openmp) : NULL;
    return true;
}
