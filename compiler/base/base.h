/* What every folder stands on: arenas, growing text and arrays, interned names, source files and spans, diagnostics.
 *
 * Memory is named by its lifetime and nothing outside base/ calls free():
 *   perm     text of source files, interned names, diagnostics: the whole run
 *   module   syntax trees, graphs, loop programs
 *   scratch  reset after every pass
 */
#ifndef NETC_BASE_H
#define NETC_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NETC_VERSION "0.1.0"
#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Exit codes of netc. */
enum { EXIT_DONE = 0, EXIT_INPUT = 1, EXIT_USAGE = 2, EXIT_DEFECT = 70 };

/* ---- arena.c ---- */
struct arena;

struct arena *arena_new(const char *name);
void *arena_alloc(struct arena *, size_t bytes); /* zeroed, aligned to 16; never NULL: without memory the run ends with one line */
char *arena_copy(struct arena *, const char *bytes, size_t n); /* a string of n bytes and a NUL */
char *arena_printf(struct arena *, const char *format, ...) PRINTF(2, 3);
void *arena_grow(struct arena *, void *old, size_t count, size_t *capacity, size_t size); /* room for one more; see PUSH */
size_t arena_bytes(const struct arena *);
void arena_reset(struct arena *);
void arena_free(struct arena *);
/* For libraries that free for themselves; never NULL, counted like the rest. */
void *heap_alloc(size_t bytes);
void *heap_grow(void *old, size_t bytes);
void heap_free(void *);
void out_of_memory(size_t bytes) __attribute__((noreturn)); /* one line on stderr, the clean-up below, exit 70 */
void on_fatal(void (*clean_up)(void));                      /* one function, or NULL: removes partial outputs; must not allocate */
void arena_fail_after(long n);                              /* for tests: the n+1st allocation from now fails; < 0: none does */

#define NEW(arena, type) ((type *)arena_alloc(arena, sizeof(type)))
#define NEW_ARRAY(arena, type, n) ((type *)arena_alloc(arena, sizeof(type) * (size_t)(n)))
/* Append to an array that has the fields `count` and `capacity` (size_t) beside it. */
#define PUSH(arena, array, count, capacity, value) \
    ((count) == (capacity) ? (void)((array) = arena_grow(arena, array, count, &(capacity), sizeof *(array))) : (void)0, \
     (array)[(count)++] = (value))
#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* ---- text.c ---- */
struct text { /* a growing string in an arena; start with {.arena = a} */
    struct arena *arena;
    char *bytes; /* always NUL-terminated once something was added; text_string() gives "" before */
    size_t length, capacity;
};
void text_add(struct text *, const char *format, ...) PRINTF(2, 3);
void text_add_v(struct text *, const char *format, va_list);
void text_put(struct text *, const char *bytes, size_t n);
const char *text_string(const struct text *);

const char *grouped_digits(struct arena *, int64_t); /* 1,234,567 */

const char *intern(const char *string); /* the one copy of this string, kept for the whole run: names compare by pointer */
const char *intern_n(const char *bytes, size_t n);
const char *intern_printf(const char *format, ...) PRINTF(1, 2);
/* The candidate nearest to `name` by edit distance, if near enough to be meant; else NULL. */
const char *nearest_name(const char *name, const char *const *candidates, size_t n);

/* ---- source.c ---- */
struct span { /* bytes [first, last) of a source file; file < 0: no place */
    int file, first, last;
};
#define NO_SPAN ((struct span){-1, 0, 0})

struct source {
    const char *path; /* as given by the user or found by an import */
    const char *shown; /* what diagnostics and generated code print: never absolute unless the user gave it so */
    const char *bytes;
    size_t length;
};
int source_add(const char *path, const char *shown, const char *bytes, size_t length); /* id of the file; keeps the pointers */
const struct source *source_get(int file);
void source_forget_all(void); /* for fuzzers, which read thousands of texts in one run */
void source_place(struct span, int *line, int *column); /* of its first byte, counted from 1; column in bytes */
/* Reads a whole file ("-": standard input). NULL and a message in *why if it cannot, or if it has more than `limit` bytes. */
char *file_read(struct arena *, const char *path, size_t limit, size_t *length, const char **why);
/* The folder `name` ("netdefs", "runtime") of this netc's own files: in the source tree whose build/netc or build/san/netc runs, or
 * ../share/netc/NAME of an installed one. Absolute; where none is there, the first place that was looked at. */
const char *data_folder(struct arena *, const char *name);

/* ---- machine.c ---- */
double seconds_now(void); /* of a clock that never goes back */
const char *processor_name(struct arena *); /* as the system calls it */
const char *system_name(struct arena *);    /* "Linux 6.1.0-18-amd64 x86_64" */
const char *own_program(struct arena *);    /* the file of this netc, absolute; "" where there is no /proc */

/* ---- diag.c ---- */
#define CHECK(name, text) CHECK_##name,
enum check {
#include "base/checks.def"
    CHECK_COUNT
};
#undef CHECK
const char *check_name(enum check);

/* Where in a chain of block applications something was made: "in bottleneck, called from resnext50_32x4d.net:11". */
struct site {
    const char *block;
    struct span call;
    const struct site *parent; /* NULL at the net itself */
};
struct origin {
    struct span span;
    const struct site *site;
};

struct diags; /* collects; printed in order of arrival, at most 50 errors, then a count */
struct diags *diags_new(struct arena *perm);
/* An error of a named check: [name] is printed behind the message. Adds "in BLOCK, called from" notes from origin.site. */
void diag_error(struct diags *, enum check, struct origin, const char *format, ...) PRINTF(4, 5);
void diag_error_at(struct diags *, enum check, struct span, const char *format, ...) PRINTF(4, 5);
/* A fault of a file that has no lines, or of an option: "PATH: error: message  [check]". */
void diag_error_file(struct diags *, enum check, const char *path, const char *format, ...) PRINTF(4, 5);
void diag_warning(struct diags *, enum check, struct span, const char *format, ...) PRINTF(4, 5);
/* Belongs to the diagnostic before it. */
void diag_note(struct diags *, struct span, const char *format, ...) PRINTF(3, 4);
int diag_errors(const struct diags *); /* how many errors so far */
/* The first error as one line, "FILE:LINE:COLUMN: message" without its notes, in the arena; NULL: there is none. */
const char *diag_first(const struct diags *, struct arena *, enum check *);
void diag_print(struct diags *, FILE *); /* prints what was not printed yet: file:line:col, source line, carets */

#endif
