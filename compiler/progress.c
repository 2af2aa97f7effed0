#include "progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/base.h"

enum { WIDEST = 110, BAR = 24 };
static const double redraw_every = 0.1, line_every = 10;
static double drawn; /* when; 0: never */
static bool bar;     /* a line stands there that is to be cleared */

static int line_width(void)
{
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    return known && size.ws_col <= WIDEST ? size.ws_col - 1 : WIDEST;
}

static void draw(double done, const char *text, const char *doing)
{
    int filled = done < 1 ? (int)(BAR * done) : BAR, width = line_width();
    char line[400];
    snprintf(line, sizeof line, "[%.*s%*s] %s  %s", filled, "########################", BAR - filled, "", text, doing);
    fprintf(stderr, "\r%-*.*s", width, width, line);
    fflush(stderr);
    bar = true;
}

void progress_show(const char *command, double done, const char *text, const char *doing)
{
    double now = seconds_now();
    bool terminal = isatty(STDERR_FILENO), first = !drawn;
    if (now < drawn + (terminal ? redraw_every : line_every))
        return;
    drawn = now;
    if (terminal)
        draw(done, text, doing);
    else if (!first) /* nothing is known yet at the first */
        fprintf(stderr, "netc %s: %s\n", command, text);
}

void progress_end(void)
{
    if (bar) {
        fprintf(stderr, "\r%*s\r", line_width(), "");
        fflush(stderr);
    }
    bar = false;
    drawn = 0;
}
