/* How far a sweep is: a phase (the variants, the builds, the rounds), and how long that will take from here. */
#include "progress.h"
#include "sweep/sweep.h"

static const double least_seconds = 0.5; /* of a phase before it is shown, as nobody waits for less */

void sweep_progress(struct sweep *s, double done, const char *phase, const char *doing)
{
    char text[200], left[40] = "";
    double now = seconds_now();
    if (phase != s->phase) {
        s->phase = phase;
        s->phase_begin = now;
    }
    double spent = now - s->phase_begin;
    if (spent < least_seconds)
        return;
    if (done > 0.02) {
        double more = spent * (1 - done) / done;
        more < 90 ? snprintf(left, sizeof left, ", %.0f s left", more)
                  : snprintf(left, sizeof left, ", %.0f min left", more / 60);
    }
    snprintf(text, sizeof text, "%s %.0f %%%s", phase, 100 * done, left);
    progress_show("sweep", done, text, doing);
}
