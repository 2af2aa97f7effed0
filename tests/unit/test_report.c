/* The report of a sweep: what is written where, and when nothing is. What it looks like is tested in tests/report, whose pages
 * this program makes: for each NAME.json of the folder $REPORT_PAGES a NAME.html. */
#include "sweep/report.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "children.h"

struct scene {
    struct arena *arena;
    struct diags *diags;
    char *folder; /* of the pages, or an empty one */
};

static struct scene begin(void)
{
    static char empty[] = "/tmp/netc-report-XXXXXX";
    struct arena *arena = arena_new("test");
    char *folder = getenv("REPORT_PAGES");
    temporary_begin();
    return (struct scene){arena, diags_new(arena), folder ? folder : mkdtemp(empty)};
}

static void end(struct scene *s)
{
    temporary_end();
    if (!getenv("REPORT_PAGES"))
        rmdir(s->folder);
    arena_free(s->arena);
}

static int files_in(const char *folder)
{
    int n = 0;
    DIR *open = opendir(folder);
    while (readdir(open))
        n++;
    closedir(open);
    return n - 2;
}

static json_t *small_sweep(void)
{
    return json_pack("{s:s, s:s, s:[]}", "network", "</script><!--<script>", "text", "a < b && c", "variants");
}

Test(report, a_page_stands_alone)
{
    struct scene s = begin();
    const char *path = arena_printf(s.arena, "%s/small.html", s.folder), *why;
    size_t n;
    json_t *sweep = small_sweep();
    cr_assert(sweep_report(s.diags, path, sweep));
    char *text = file_read(s.arena, path, 1 << 24, &n, &why);
    cr_assert(text, "%s", why);
    cr_assert(strstr(text, "{\"network\":\"\\u003c/script>\\u003c!--\\u003cscript>\",\"text\":\"a \\u003c b && c\""));
    cr_assert(strstr(text, "Copyright (c) 2014-2024 Chart.js Contributors"));
    cr_assert(!strstr(text, "sourceMappingURL"));
    cr_assert(!strstr(text, "\n@data@") && !strstr(text, "\n@report@") && !strstr(text, "\n@chart@"));
    cr_assert_eq(strstr(text, "<html")[0], '<');
    json_decref(sweep);
    unlink(path);
    end(&s);
}

/* An older page stays as it was, and nothing else. */
static void refused(struct scene *s, const char *path)
{
    json_t *sweep = small_sweep();
    cr_assert(!sweep_report(s->diags, path, sweep), "%s", path);
    cr_assert_eq(diag_errors(s->diags), 1);
    json_decref(sweep);
}

Test(report, a_folder_that_is_not_there)
{
    struct scene s = begin();
    refused(&s, arena_printf(s.arena, "%s/none/page.html", s.folder));
    end(&s);
}

Test(report, a_folder_is_no_page)
{
    struct scene s = begin();
    refused(&s, s.folder);
    end(&s);
}

Test(report, a_full_disk)
{
    if (getenv("REPORT_PAGES"))
        return;
    struct scene s = begin();
    const char *path = arena_printf(s.arena, "%s/page.html", s.folder);
    FILE *file = fopen(path, "w");
    fputs("older", file);
    fclose(file);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, 1000}); /* what a disk that is full comes to */
    refused(&s, path);
    cr_assert_eq(files_in(s.folder), 1);
    unlink(path);
    end(&s);
}

static void make_page(struct scene *s, const char *name)
{
    const char *in = arena_printf(s->arena, "%s/%s", s->folder, name);
    const char *out = arena_printf(s->arena, "%.*s.html", (int)strlen(in) - 5, in);
    json_error_t error;
    json_t *sweep = json_load_file(in, 0, &error);
    cr_assert(sweep, "%s: %s", in, error.text);
    cr_assert(sweep_report(s->diags, out, sweep), "%s", out);
    json_decref(sweep);
}

Test(report, pages_of_a_folder)
{
    if (!getenv("REPORT_PAGES"))
        return;
    struct scene s = begin();
    DIR *folder = opendir(s.folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot && strcmp(dot, ".json") == 0)
            make_page(&s, entry->d_name);
    }
    closedir(folder);
    end(&s);
}
