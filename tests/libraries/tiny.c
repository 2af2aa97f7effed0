/* Results below 2^-126 are zero, on every thread, and the caller computes as before. Ends with 0 if so. */
#include "tiny.h"

#include <stdio.h>

static volatile float least_normal = 1.1754943508e-38f;

int main(void)
{
    static _Alignas(TINY_ALIGNMENT) unsigned char workspace[TINY_WORKSPACE_BYTES];
    static float x[TINY_X_ELEMENTS], y[TINY_Y_ELEMENTS];
    tiny_net net;
    int bad = tiny_open(&net, NULL) != 0;
    for (int threads = 1; threads <= 2; threads++) {
        for (int i = 0; i < TINY_X_ELEMENTS; i++) {
            x[i] = i % 3 == 0 ? least_normal : i % 3 == 1 ? least_normal * 0.25f : 3.0f;
            y[i] = -1.0f;
        }
        bad += tiny_run(&net, workspace, x, y, threads) != 0;
        for (int i = 0; i < TINY_Y_ELEMENTS; i++) {
            if (y[i] != (i % 3 == 2 ? 1.5f : 0.0f)) {
                printf("%d threads: y[%d] = %g of x = %g\n", threads, i, (double)y[i], (double)x[i]);
                bad++;
            }
        }
        if (least_normal * 0.5f == 0.0f) {
            printf("%d threads: the caller's denormal numbers are zero\n", threads);
            bad++;
        }
    }
    tiny_close(&net);
    return bad != 0;
}
