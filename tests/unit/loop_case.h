/* What the unit tests of loop IR share: block.loop and its kernels, with places replaced, read and verified. */
#ifndef NETC_TEST_LOOP_CASE_H
#define NETC_TEST_LOOP_CASE_H

#include "loop/loop.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct arena *arena;
static struct diags *diags;

static void set_up(void)
{
    arena = arena_new("test");
    diags = diags_new(arena);
}

static void tear_down(void)
{
    arena_free(arena);
}

static const char *diagnostics(void)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    diag_print(diags, out);
    fclose(out);
    const char *copy = arena_copy(arena, text, n);
    free(text);
    return copy;
}

__attribute__((unused)) static const char *block_text(void)
{
    size_t length = 0;
    const char *why = NULL;
    const char *text = file_read(arena, "tests/unit/block.loop", 1 << 20, &length, &why);
    cr_assert(text, "tests/unit/block.loop: %s", why);
    return strstr(text, "target ");
}

/* The text of one kernel of block.loop. */
__attribute__((unused)) static const char *kernel_text(const char *name)
{
    const char *first = strstr(block_text(), arena_printf(arena, "kernel %s", name));
    cr_assert(first, "no kernel %s", name);
    return arena_copy(arena, first, (size_t)(strstr(first, "\n}\n") + 3 - first));
}

/* The text with the one place that says `old` saying `new`. */
__attribute__((unused)) static const char *replaced(const char *text, const char *old, const char *new)
{
    const char *place = strstr(text, old);
    cr_assert(place, "\"%s\" is not in\n%s", old, text);
    return arena_printf(arena, "%.*s%s%s", (int)(place - text), text, new, place + strlen(old));
}

__attribute__((unused)) static struct kernel *read_kernel(const char *text)
{
    return kernel_read(arena, diags,
                       source_add("case.loop", "case.loop", arena_copy(arena, text, strlen(text)), strlen(text)));
}

__attribute__((unused)) static struct program *read_program(const char *text)
{
    return program_read(arena, diags,
                        source_add("case.loop", "case.loop", arena_copy(arena, text, strlen(text)), strlen(text)));
}

__attribute__((unused)) static const char *print_kernel(const struct kernel *kernel)
{
    struct text text = {.arena = arena};
    kernel_print(&text, kernel);
    return text_string(&text);
}

/* The kernel is refused, and by this check first. */
__attribute__((unused)) static void expect_check(const char *check, const char *got, const char *text)
{
    const char *first = strchr(got, '[');
    while (first != NULL && strncmp(first - 2, "  [", 3) != 0) {
        first = strchr(first + 1, '[');
    }
    cr_assert(first && strncmp(first + 1, check, strlen(check)) == 0 && first[1 + strlen(check)] == ']',
              "expected [%s], got:\n%s\nfor\n%s", check, got, text);
}

#endif
