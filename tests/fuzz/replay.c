/* Runs a fuzzer's function over files without the fuzzer: each as it is, cut short at many places, and with single bytes
 * changed. Part of `make test`, where what a fuzzer once found (tests/fuzz/found) must stay found. */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CUTS = 40, SLOW_MS = 5000, ENDLESS_S = 60 };

static int slow; /* a sanitised build on a loaded machine: only what is far beyond a second counts */

static void try(const char *path, const void *bytes, size_t n)
{
    struct timespec start, end;
    uint8_t *exact = malloc(n ? n : 1); /* so that reading past the end is seen */
    memcpy(exact, bytes, n);
    alarm(ENDLESS_S); /* and then the signal ends the run, with the file's name as the last line */
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    LLVMFuzzerTestOneInput(exact, n);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    long ms = (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000;
    if (ms > SLOW_MS) {
        fprintf(stderr, "%s (%zu bytes of it) took %ld ms\n", path, n, ms);
        slow++;
    }
    free(exact);
}

int main(int argc, char **argv)
{
    struct arena *arena = arena_new("replay");
    for (int i = 1; i < argc; i++) {
        size_t n;
        const char *why;
        char *bytes = file_read(arena, argv[i], 1 << 26, &n, &why);
        if (!bytes) {
            fprintf(stderr, "%s: %s\n", argv[i], why);
            return 1;
        }
        fprintf(stderr, "%s\n", argv[i]); /* the last one named is the one that died */
        try(argv[i], bytes, n);
        for (size_t k = 1; k < CUTS && n <= 1 << 16; k++) {
            size_t place = n * k / CUTS;
            try(argv[i], bytes, place);
            char was = bytes[place < n ? place : 0];
            if (n > 0) {
                bytes[place] = "\0\xff{}[]()|>\"\n-9"[k % 14];
                try(argv[i], bytes, n);
                bytes[place] = was;
            }
        }
        arena_reset(arena);
    }
    arena_free(arena);
    return slow > 0;
}
