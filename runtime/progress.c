/* The bar on a terminal's stderr while many pictures are classified: how many are done, how long the rest will take.
 *
 * One line that is written over, never wider than the terminal (a line that wraps would scroll), and gone at the end.
 * Who writes other lines meanwhile clears it first; the next update draws it again. */
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime.h"

enum { WIDEST = 79, BAR = 30, TEXT = 128 };
static const double redraw_every = 0.1;

static int line_width(void)
{
    struct winsize size;
    const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known && size.ws_col <= WIDEST ? size.ws_col - 1 : WIDEST;
}

/* "40 s", "12 min", "3 h 05 min" */
static void duration_text(double seconds, char text[32])
{
    const long s = seconds < 360000 ? (long)(seconds + 0.5) : 360000, minutes = (s + 30) / 60;
    if (s < 100) {
        snprintf(text, 32, "%ld s", s);
    } else if (minutes < 100) {
        snprintf(text, 32, "%ld min", minutes);
    } else {
        snprintf(text, 32, "%ld h %02ld min", minutes / 60, minutes % 60);
    }
}

struct progress progress_begin(bool show, int64_t count)
{
    struct progress progress = {.show = show && isatty(STDERR_FILENO), .count = count, .start = now()};
    progress_update(&progress, 0);
    return progress;
}

void progress_update(struct progress *progress, int64_t done)
{
    const double time = now();
    if (!progress->show || (progress->drawn && time < progress->drawn + redraw_every)) {
        return;
    }
    char text[TEXT], left[32] = "";
    const int64_t count = progress->count > 0 ? progress->count : 1;
    const int filled = (int)((double)done / (double)count * BAR), width = line_width();
    duration_text((time - progress->start) / (double)(done ? done : 1) * (double)(count - done), left);
    snprintf(text, TEXT, "[%.*s%*s] %3d %%  %lld of %lld%s%s%s", filled, "##############################", BAR - filled,
             "", (int)(100 * ((double)done / (double)count)), (long long)done, (long long)count, done ? ", " : "",
             done ? left : "", done ? " left" : "");
    fprintf(stderr, "\r%-*.*s", width, width, text);
    fflush(stderr);
    progress->drawn = time;
}

void progress_clear(struct progress *progress)
{
    if (progress->show && progress->drawn) {
        fprintf(stderr, "\r%*s\r", line_width(), "");
        fflush(stderr);
        progress->drawn = 0;
    }
}
