/* Stands in front of the runtime's own files where they are fuzzed (clang's -include): what they ask for is noted, so that
 * it can be given back when fail() ends a reader in the middle. See tracked.c. */
#ifndef TRACKED_H
#define TRACKED_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

void *tracked_malloc(size_t);
void *tracked_calloc(size_t, size_t);
void *tracked_realloc(void *, size_t);
void *tracked_aligned_alloc(size_t, size_t);
char *tracked_strdup(const char *);
void tracked_free(void *);
FILE *tracked_fopen(const char *, const char *);
int tracked_fclose(FILE *);
gzFile tracked_gzdopen(int, const char *);
int tracked_gzclose(gzFile);

/* Calls the function with `size` bytes as the contents of a file. False if it ended in fail(), whose message is in *why. */
bool survives(void (*reader)(const char *path), const uint8_t *bytes, size_t size, const char **why);

/* Aborts if anything was not freed. */
void check_given_back(void);

#ifndef TRACKED_ITSELF
#define malloc        tracked_malloc
#define calloc        tracked_calloc
#define realloc       tracked_realloc
#define aligned_alloc tracked_aligned_alloc
#define strdup        tracked_strdup
#define free          tracked_free
#define fopen         tracked_fopen
#define fclose        tracked_fclose
#define gzdopen       tracked_gzdopen
#define gzclose       tracked_gzclose
#endif

#endif
