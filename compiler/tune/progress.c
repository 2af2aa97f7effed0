/* How far `netc tune` is, and the gain so far. */
#include "progress.h"
#include "tune/tune.h"

void tune_progress(const struct tuning *t, const char *doing)
{
    double model, best, seconds = seconds_now() - t->begin;
    char text[200];
    tuning_total(t, &model, &best);
    int n = snprintf(text, sizeof text, "%.0f of %.0f s  %d schedules of %zu kernels", seconds, t->seconds, t->tried,
                     t->n_kind);
    if (model > 0)
        snprintf(text + n, sizeof text - (size_t)n, ", %.1f %% less than by the model", 100 * (1 - best / model));
    progress_show("tune", seconds / t->seconds, text, doing);
}
