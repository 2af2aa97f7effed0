/* Memory by lifetime: an arena is a list of blocks that are given back together.
 *
 * What would surprise: there is no way to free one allocation, and no allocation returns NULL. Without memory the run
 * ends with one line and exit code 70, after the clean-up of on_fatal() has removed half-written outputs. Libraries
 * that free what they ask for (jansson, the scanner, the parser) are given heap_alloc(), which ends the run alike:
 * jansson and flex themselves would go on with half a text or exit with a code of their own. Tests make the n-th
 * allocation fail, with arena_fail_after() or for a whole run with the variable NETC_FAIL_ALLOC=n.
 * Under AddressSanitizer all of a block but the bytes that were asked for is poisoned, so that overflows are seen. */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONED 1
#endif
#endif
#ifdef POISONED /* declared here: the header that has them is not in every installation of clang */
void __asan_poison_memory_region(void const volatile *, size_t);
void __asan_unpoison_memory_region(void const volatile *, size_t);
#else
#define __asan_poison_memory_region(p, n)   ((void)(p), (void)(n))
#define __asan_unpoison_memory_region(p, n) ((void)(p), (void)(n))
#endif

enum { ALIGN = 16, FIRST_BLOCK = 1 << 16, LARGEST_BLOCK = 1 << 22 };

struct block {
    struct block *next;
    size_t size, used;
    bool dirty; /* was used before a reset: its bytes are not zero */
    _Alignas(ALIGN) char bytes[];
};

struct arena {
    const char *name;
    struct block *block; /* newest first */
    size_t bytes;
    size_t next_size;
};

static void (*clean_up)(void);
static long allocations_left = -1;

void on_fatal(void (*function)(void))
{
    clean_up = function;
}

void arena_fail_after(long n)
{
    allocations_left = n;
}

void out_of_memory(size_t bytes)
{
    fprintf(stderr, "netc: out of memory (%zu bytes were asked for)\n", bytes);
    if (clean_up) {
        clean_up();
    }
    exit(EXIT_DEFECT);
}

static void read_environment(void)
{
    static bool done;
    if (done) {
        return;
    }
    done = true;
    const char *value = getenv("NETC_FAIL_ALLOC");
    if (value && *value) {
        allocations_left = strtol(value, NULL, 10);
    }
}

/* Every allocation passes here first. */
static void count_allocation(size_t bytes)
{
    if (allocations_left == 0 || bytes > SIZE_MAX / 4) {
        out_of_memory(bytes);
    }
    if (allocations_left > 0) {
        allocations_left--;
    }
}

void *heap_alloc(size_t bytes)
{
    return heap_grow(NULL, bytes);
}

void *heap_grow(void *old, size_t bytes)
{
    count_allocation(bytes);
    void *memory = realloc(old, bytes ? bytes : 1);
    if (!memory) {
        out_of_memory(bytes);
    }
    return memory;
}

void heap_free(void *memory)
{
    free(memory);
}

struct arena *arena_new(const char *name)
{
    read_environment();
    struct arena *arena = calloc(1, sizeof *arena);
    if (!arena) {
        out_of_memory(sizeof *arena);
    }
    arena->name = name;
    arena->next_size = FIRST_BLOCK;
    return arena;
}

static struct block *add_block(struct arena *arena, size_t bytes)
{
    size_t size = bytes > arena->next_size ? bytes : arena->next_size;
    struct block *block = calloc(1, sizeof *block + size);
    if (!block) {
        out_of_memory(bytes);
    }
    block->size = size;
    __asan_poison_memory_region(block->bytes, size);
    if (arena->next_size < LARGEST_BLOCK) {
        arena->next_size *= 2;
    }
    /* A large allocation has its block to itself and must not hide what is left of the current one. */
    if (arena->block && size == bytes) {
        block->next = arena->block->next;
        arena->block->next = block;
    } else {
        block->next = arena->block;
        arena->block = block;
    }
    return block;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    count_allocation(bytes);
    size_t padded = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (padded == 0) {
        padded = ALIGN; /* two allocations never share an address */
    }
    struct block *block = arena->block;
    if (!block || block->size - block->used < padded) {
        block = add_block(arena, padded);
    }
    char *result = block->bytes + block->used;
    block->used += padded;
    arena->bytes += padded;
    __asan_unpoison_memory_region(result, bytes);
    if (block->dirty) {
        memset(result, 0, bytes);
    }
    return result;
}

char *arena_copy(struct arena *arena, const char *bytes, size_t n)
{
    char *copy = arena_alloc(arena, n + 1);
    if (n > 0) {
        memcpy(copy, bytes, n);
    }
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct text text = {.arena = arena};
    text_add_v(&text, format, args);
    va_end(args);
    return text.bytes ? text.bytes : arena_alloc(arena, 1);
}

void *arena_grow(struct arena *arena, void *old, size_t count, size_t *capacity, size_t size)
{
    size_t more = *capacity < 8 ? 8 : *capacity * 2;
    if (more > SIZE_MAX / 4 / size) {
        out_of_memory(SIZE_MAX);
    }
    void *fresh = arena_alloc(arena, more * size);
    if (count > 0) {
        memcpy(fresh, old, count * size);
    }
    *capacity = more;
    return fresh;
}

size_t arena_bytes(const struct arena *arena)
{
    return arena->bytes;
}

static void free_blocks(struct block *block)
{
    while (block) {
        struct block *next = block->next;
        __asan_unpoison_memory_region(block->bytes, block->size);
        free(block);
        block = next;
    }
}

/* Keeps one ordinary block, so that a reset after every pass costs nothing. */
void arena_reset(struct arena *arena)
{
    struct block *kept = arena->block;
    arena->bytes = 0;
    if (!kept) {
        return;
    }
    free_blocks(kept->next);
    kept->next = NULL;
    if (kept->size > LARGEST_BLOCK) {
        free_blocks(kept);
        arena->block = NULL;
        return;
    }
    kept->used = 0;
    kept->dirty = true;
    __asan_poison_memory_region(kept->bytes, kept->size);
}

void arena_free(struct arena *arena)
{
    if (arena) {
        free_blocks(arena->block);
        free(arena);
    }
}
