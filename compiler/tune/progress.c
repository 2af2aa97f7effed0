/* How far `netc tune` is, on stderr: on a terminal one line that is written over, with a bar and the gain so far; elsewhere a
 * line every ten seconds. */
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tune/tune.h"

enum { WIDEST = 110, BAR = 24 };
static const double redraw_every = 0.1, line_every = 10;
static double drawn; /* when; 0: never */
static bool bar; /* a line stands there that is to be cleared */

static int line_width(void)
{
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    return known && size.ws_col <= WIDEST ? size.ws_col - 1 : WIDEST;
}

static int describe(char *text, size_t size, const struct tuning *t, double seconds)
{
    double model, best;
    tuning_total(t, &model, &best);
    int n =
        snprintf(text, size, "%.0f of %.0f s  %d schedules of %zu kernels", seconds, t->seconds, t->tried, t->n_kind);
    if (model > 0)
        n += snprintf(text + n, size - (size_t)n, ", %.1f %% less than by the model", 100 * (1 - best / model));
    return n;
}

void tune_progress(const struct tuning *t, const char *doing)
{
    double now = seconds_now(), seconds = now - t->begin;
    bool terminal = isatty(STDERR_FILENO);
    char text[200];
    if (now < drawn + (terminal ? redraw_every : line_every))
        return;
    if (!drawn && !terminal) { /* nothing is known yet */
        drawn = now;
        return;
    }
    drawn = now;
    int n = describe(text, sizeof text, t, seconds), width = line_width();
    snprintf(text + n, sizeof text - (size_t)n, "  %s", doing);
    if (!terminal) {
        text[n] = '\0';
        fprintf(stderr, "netc tune: %s\n", text);
        return;
    }
    int filled = seconds < t->seconds ? (int)(BAR * seconds / t->seconds) : BAR;
    char line[300];
    snprintf(line, sizeof line, "[%.*s%*s] %s", filled, "########################", BAR - filled, "", text);
    fprintf(stderr, "\r%-*.*s", width, width, line);
    fflush(stderr);
    bar = true;
}

void tune_progress_end(void)
{
    if (bar) {
        fprintf(stderr, "\r%*s\r", line_width(), "");
        fflush(stderr);
    }
    bar = false;
    drawn = 0;
}
