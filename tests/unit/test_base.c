/* base/: arenas, text, names, places, diagnostics. */
#include "base/base.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- arena ---- */

Test(arena, memory_is_zeroed_aligned_and_apart)
{
    struct arena *arena = arena_new("test");
    char *last = NULL;
    for (size_t bytes = 0; bytes < 300; bytes++) {
        char *p = arena_alloc(arena, bytes);
        cr_assert_eq((uintptr_t)p % 16, 0, "%zu bytes", bytes);
        cr_assert_neq(p, last);
        for (size_t i = 0; i < bytes; i++) {
            cr_assert_eq(p[i], 0);
        }
        memset(p, 0xab, bytes);
        last = p;
    }
    arena_free(arena);
}

Test(arena, memory_is_zero_again_after_a_reset)
{
    struct arena *arena = arena_new("test");
    memset(arena_alloc(arena, 1000), 0xff, 1000);
    cr_assert_geq(arena_bytes(arena), 1000);
    arena_reset(arena);
    cr_assert_eq(arena_bytes(arena), 0);
    char *p = arena_alloc(arena, 1000);
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(p[i], 0);
    }
    arena_free(arena);
}

Test(arena, a_large_allocation_keeps_the_current_block)
{
    struct arena *arena = arena_new("test");
    char *a = arena_alloc(arena, 16);
    char *large = arena_alloc(arena, 50 << 20);
    char *b = arena_alloc(arena, 16);
    large[(50 << 20) - 1] = 1;
    cr_assert_eq(b - a, 16);
    arena_reset(arena);
    arena_free(arena);
    arena_free(NULL);
}

Test(arena, push_grows_and_keeps_what_is_there)
{
    struct arena *arena = arena_new("test");
    int *array = NULL;
    size_t count = 0, capacity = 0;
    for (int i = 0; i < 1000; i++) {
        PUSH(arena, array, count, capacity, i);
    }
    cr_assert_eq(count, 1000);
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(array[i], i);
    }
    arena_free(arena);
}

Test(arena, strings_are_copied_and_printed)
{
    struct arena *arena = arena_new("test");
    cr_assert_str_eq(arena_copy(arena, "abcdef", 3), "abc");
    cr_assert_str_eq(arena_copy(arena, NULL, 0), "");
    cr_assert_str_eq(arena_printf(arena, "%s", ""), "");
    cr_assert_str_eq(arena_printf(arena, "%d %s", 7, "x"), "7 x");
    cr_assert_eq(strlen(arena_printf(arena, "%01000d", 7)), 1000);
    arena_free(arena);
}

Test(arena, without_memory_the_run_ends, .exit_code = EXIT_DEFECT)
{
    struct arena *arena = arena_new("test");
    arena_fail_after(2);
    arena_alloc(arena, 1);
    arena_alloc(arena, 1);
    arena_alloc(arena, 1);
    exit(EXIT_DONE);
}

Test(arena, an_impossible_size_ends_the_run, .exit_code = EXIT_DEFECT)
{
    arena_alloc(arena_new("test"), SIZE_MAX - 8);
    exit(EXIT_DONE);
}

static void say_cleaned(void)
{
    fputs("cleaned", stdout);
    fflush(stdout);
    _exit(3);
}

Test(arena, clean_up_runs_before_the_end, .exit_code = 3)
{
    on_fatal(say_cleaned);
    arena_fail_after(0);
    arena_alloc(arena_new("test"), 1);
    exit(EXIT_DONE);
}

/* ---- text and names ---- */

Test(text, grows_by_any_amount)
{
    struct arena *arena = arena_new("test");
    struct text text = {.arena = arena};
    cr_assert_str_eq(text_string(&text), "");
    for (int i = 0; i < 2000; i++) {
        text_add(&text, "%d,", i % 10);
    }
    cr_assert_eq(text.length, 4000);
    cr_assert_eq(strlen(text.bytes), 4000);
    text_put(&text, "a\0b", 3);
    cr_assert_eq(text.length, 4003);
    cr_assert_eq(text.bytes[4002], 'b');
    text_add(&text, "%0300d", 1);
    cr_assert_eq(text.length, 4303);
    text_add(&text, "%s", "");
    cr_assert_eq(text.bytes[4302], '1');
    arena_free(arena);
}

Test(intern, equal_strings_are_one)
{
    const char *a = intern("conv1");
    cr_assert_eq(a, intern_n("conv1.weight", 5));
    cr_assert_eq(a, intern_printf("conv%d", 1));
    cr_assert_neq(a, intern("conv2"));
    cr_assert_eq(intern(""), intern_n("x", 0));
    cr_assert_neq(intern_n("a\0b", 3), intern("a"));
    for (int i = 0; i < 5000; i++) {
        intern_printf("name%d", i);
    }
    cr_assert_eq(a, intern("conv1"), "the table grew");
    cr_assert_eq(strlen(intern_printf("%0400d", 1)), 400);
}

Test(nearest_name, finds_what_was_meant)
{
    static const char *const names[] = {"stride", "strip", "dilation", "groups", "bias", "bn1", "x"};
    static const struct {
        const char *name, *nearest;
    } cases[] = {
        {"strides", "stride"},
        {"srtide", "stride"},
        {"Stride", "stride"},
        {"dillation", "dilation"},
        {"group", "groups"},
        {"bn2", "bn1"},
        {"kernel", NULL},
        {"y", NULL},
        {"", NULL},
        {"bais", "bias"},
        {"completely_different", NULL},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const char *found = nearest_name(cases[i].name, names, LENGTH(names));
        if (cases[i].nearest) {
            cr_assert_not_null(found, "%s", cases[i].name);
            cr_assert_str_eq(found, cases[i].nearest, "%s", cases[i].name);
        } else {
            cr_assert_null(found, "%s gave %s", cases[i].name, found ? found : "");
        }
    }
    cr_assert_null(nearest_name("stride", NULL, 0));
    char *endless = calloc(1, 5000);
    memset(endless, 'x', 4999);
    cr_assert_null(nearest_name(endless, names, LENGTH(names)));
    free(endless);
}

/* ---- source ---- */

static int add(const char *text)
{
    return source_add("x.net", "x.net", text, strlen(text));
}

Test(source, places_are_counted_from_one)
{
    int file = add("ab\n\ncd\n");
    static const int places[][3] = {{0, 1, 1}, {2, 1, 3}, {3, 2, 1}, {4, 3, 1}, {5, 3, 2}, {7, 4, 1}};
    for (size_t i = 0; i < LENGTH(places); i++) {
        int line, column;
        source_place((struct span){file, places[i][0], places[i][0]}, &line, &column);
        cr_assert_eq(line, places[i][1], "byte %d", places[i][0]);
        cr_assert_eq(column, places[i][2], "byte %d", places[i][0]);
    }
    cr_assert_null(source_get(-1));
    cr_assert_null(source_get(file + 1));
    cr_assert_str_eq(source_get(file)->shown, "x.net");
}

Test(source, files_are_read_whole_or_not_at_all)
{
    struct arena *arena = arena_new("test");
    char path[] = "/tmp/netc-test-XXXXXX";
    int fd = mkstemp(path);
    size_t length;
    const char *why = NULL;
    cr_assert_eq(write(fd, "a\0b", 3), 3);
    close(fd);
    char *bytes = file_read(arena, path, 3, &length, &why);
    cr_assert_not_null(bytes);
    cr_assert_eq(length, 3);
    cr_assert_eq(memcmp(bytes, "a\0b", 4), 0);
    cr_assert_null(file_read(arena, path, 2, &length, &why));
    cr_assert_str_eq(why, "it has 3 bytes, the limit is 2");
    unlink(path);
    cr_assert_null(file_read(arena, path, 2, &length, &why));
    cr_assert_str_eq(why, "No such file or directory");
    cr_assert_null(file_read(arena, "/tmp", 2, &length, &why));
    cr_assert_str_eq(why, "it is a directory");
    cr_assert_null(file_read(arena, "/dev/zero", 10000, &length, &why));
    cr_assert_str_eq(why, "it has more than 10000 bytes, the limit");
    arena_free(arena);
}

Test(source, a_pipe_gives_its_bytes_in_pieces)
{
    struct arena *arena = arena_new("test");
    char path[64];
    int ends[2];
    size_t length;
    const char *why = NULL;
    cr_assert_eq(pipe(ends), 0);
    if (fork() == 0) {
        for (int i = 0; i < 100; i++) {
            char piece[97];
            memset(piece, 'a' + i % 26, sizeof piece);
            if (write(ends[1], piece, sizeof piece) < 0) {
                _exit(1);
            }
            usleep(200);
        }
        _exit(0);
    }
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    char *bytes = file_read(arena, path, 1 << 20, &length, &why);
    cr_assert_not_null(bytes);
    cr_assert_eq(length, 9700);
    cr_assert_eq(bytes[9699], 'a' + 99 % 26);
    arena_free(arena);
}

Test(source, own_files_are_found_from_the_executable)
{
    struct arena *arena = arena_new("test");
    const char *runtime =
        data_folder(arena, "runtime"); /* this test lies in build/san/unit/ at most: not in a place of netc's */
    cr_assert_eq(*runtime, '/');
    cr_assert_not_null(strstr(runtime, "runtime"));
    cr_assert_str_eq(strrchr(data_folder(arena, "no-such-folder"), '/'), "/no-such-folder");
    arena_free(arena);
}

/* ---- diagnostics ---- */

static struct arena *perm;
static struct diags *diags;

static void start(void)
{
    perm = arena_new("perm");
    diags = diags_new(perm);
}

static char *printed(void)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    diag_print(diags, out);
    fclose(out);
    return text;
}

static void expect(const char *text)
{
    char *got = printed();
    cr_assert_str_eq(got, text, "printed:\n%s\nexpected:\n%s", got, text);
    free(got);
}

static struct span span_of(int file, const char *part)
{
    const char *bytes = source_get(file)->bytes;
    int first = (int)(strstr(bytes, part) - bytes);
    return (struct span){file, first, first + (int)strlen(part)};
}

Test(diag, shows_line_carets_notes_and_check, .init = start)
{
    int file = add("net x()\n{\n    let y = conv(3)\n}\n");
    diag_error_at(diags, CHECK_syntax, span_of(file, "conv(3)"), "no %s here", "call");
    diag_note(diags, span_of(file, "net"), "it starts here");
    expect("x.net:3:13: error: no call here  [syntax]\n"
           "    3 |     let y = conv(3)\n"
           "      |             ^~~~~~~\n"
           "x.net:1:1: note: it starts here\n"
           "    1 | net x()\n"
           "      | ^~~\n");
    expect("");
}

Test(diag, a_site_becomes_notes_behind_the_others, .init = start)
{
    int file = add("a(b(c))");
    struct site outer = {"stage", span_of(file, "a("), NULL};
    struct site inner = {"bottleneck", span_of(file, "b("), &outer};
    diag_error(diags, CHECK_syntax, (struct origin){span_of(file, "c"), &inner}, "bad");
    diag_note(diags, NO_SPAN, "by the way");
    diag_error_at(diags, CHECK_syntax, NO_SPAN, "nowhere");
    expect("x.net:1:5: error: bad  [syntax]\n"
           "    1 | a(b(c))\n"
           "      |     ^\n"
           "note: by the way\n"
           "x.net:1:3: note: in bottleneck, called from here\n"
           "    1 | a(b(c))\n"
           "      |   ^~\n"
           "x.net:1:1: note: in stage, called from here\n"
           "    1 | a(b(c))\n"
           "      | ^~\n"
           "netc: error: nowhere  [syntax]\n");
}

Test(diag, an_endless_chain_of_calls_is_cut, .init = start)
{
    int file = add("f(1)");
    struct site site[200];
    for (int i = 0; i < 200; i++) {
        site[i] = (struct site){"f", span_of(file, "f(1)"), i > 0 ? &site[i - 1] : NULL};
    }
    diag_error(diags, CHECK_syntax, (struct origin){span_of(file, "1"), &site[199]}, "too deep");
    char *text = printed();
    int calls = 0;
    for (const char *p = text; (p = strstr(p, "called from")); p++) {
        calls++;
    }
    cr_assert_eq(calls, 8);
    cr_assert_not_null(strstr(text, "\nnote: ... 192 calls between ...\n"), "%s", text);
    free(text);
}

Test(diag, equal_errors_are_printed_once_and_counted_all, .init = start)
{
    int file = add("xyz");
    for (int i = 0; i < 1000; i++) {
        diag_error_at(diags, CHECK_syntax, span_of(file, "y"), "bad");
        diag_note(diags, NO_SPAN, "because");
    }
    diag_error_at(diags, CHECK_encoding, span_of(file, "y"), "bad");
    cr_assert_eq(diag_errors(diags), 1001);
    expect("x.net:1:2: error: bad  [syntax]\n"
           "    1 | xyz\n"
           "      |  ^\n"
           "note: because\n"
           "x.net:1:2: error: bad  [encoding]\n"
           "    1 | xyz\n"
           "      |  ^\n");
}

Test(diag, fifty_errors_then_a_count, .init = start)
{
    for (int i = 0; i < 300; i++) {
        diag_error_file(diags, CHECK_file_read, "w.safetensors", "error %d", i);
        diag_note(diags, NO_SPAN, "note %d", i);
    }
    char *text = printed();
    cr_assert_not_null(
        strstr(text, "w.safetensors: error: error 49  [file_read]\nnote: note 49\n... and 250 more errors\n"));
    cr_assert_null(strstr(text, "error 50"));
    cr_assert_eq(diag_errors(diags), 300);
    free(text);
    diag_error_file(diags, CHECK_file_read, "w.safetensors", "one more");
    expect("... and 1 more error\n");
}

Test(diag, warnings_are_no_errors, .init = start)
{
    int file = add("xyz");
    diag_warning(diags, CHECK_syntax, span_of(file, "z"), "odd");
    cr_assert_eq(diag_errors(diags), 0);
    expect("x.net:1:3: warning: odd  [syntax]\n    1 | xyz\n      |   ^\n");
}

Test(diag, tabs_and_wide_characters_keep_carets_below, .init = start)
{
    int file = add("\tl\xc3\xa9t\t\xe6\xb7\xb1 here\r\n");
    diag_error_at(diags, CHECK_syntax, span_of(file, "here"), "x");
    expect("x.net:1:11: error: x  [syntax]\n"
           "    1 | \tl\xc3\xa9t\t\xe6\xb7\xb1 here\n"
           "      | \t   \t   ^~~~\n");
    diag_error_at(diags, CHECK_syntax, span_of(file, "\xe6\xb7\xb1"), "x");
    expect("x.net:1:7: error: x  [syntax]\n"
           "    1 | \tl\xc3\xa9t\t\xe6\xb7\xb1 here\n"
           "      | \t   \t^~\n");
}

Test(diag, what_a_terminal_would_obey_is_not_printed, .init = start)
{
    int file = add("a\033[1m \xff \xe2\x80\xae b");
    diag_error_at(diags, CHECK_encoding, span_of(file, "b"), "bad \033 byte");
    expect("x.net:1:13: error: bad ? byte  [encoding]\n"
           "    1 | a\xef\xbf\xbd[1m \xef\xbf\xbd \xef\xbf\xbd b\n"
           "      |           ^\n");
}

Test(diag, spans_at_the_end_and_over_lines, .init = start)
{
    int file = add("ab {\n  cd\n}");
    diag_error_at(diags, CHECK_syntax, (struct span){file, 3, 11}, "over lines");
    diag_error_at(diags, CHECK_syntax, (struct span){file, 11, 11}, "at the end");
    diag_error_at(diags, CHECK_syntax, (struct span){file, 4, 5}, "the newline");
    int empty = add("");
    diag_error_at(diags, CHECK_syntax, (struct span){empty, 0, 0}, "empty");
    expect("x.net:1:4: error: over lines  [syntax]\n    1 | ab {\n      |    ^\n"
           "x.net:3:2: error: at the end  [syntax]\n    3 | }\n      |  ^\n"
           "x.net:1:5: error: the newline  [syntax]\n    1 | ab {\n      |     ^\n"
           "x.net:1:1: error: empty  [syntax]\n    1 | \n      | ^\n");
}

Test(diag, a_long_line_is_shown_in_part, .init = start)
{
    char *line = calloc(1, 20001);
    memset(line, 'x', 20000);
    memcpy(line + 10000, "HERE", 4);
    int file = add(line);
    diag_error_at(diags, CHECK_syntax, span_of(file, "HERE"), "long");
    char *text = printed();
    char *shown = strchr(text, '\n') + 1, *carets = strchr(shown, '\n') + 1;
    cr_assert_lt(strlen(text), 500);
    cr_assert_eq(strstr(shown, "HERE") - shown, strstr(carets, "^~~~") - carets);
    free(text);
}

Test(diag, a_long_message_is_kept_whole, .init = start)
{
    diag_error_file(diags, CHECK_file_read, "x", "%01000d", 1);
    char *text = printed();
    cr_assert_not_null(strstr(text, "0001  [file_read]\n"));
    cr_assert_gt(strlen(text), 1000);
    free(text);
}
