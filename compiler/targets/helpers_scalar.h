/* Plain C: one float at a time, so everything needed stands above. */

/* What this processor lacks of what the code was compiled for; NULL: nothing. */
anywhere __attribute__((unused)) static const char *lacks(void)
{
    return NULL;
}

/* Multiplications and additions on registers alone, about 0.1 ms; returns the floating-point operations done. The
 * compiler may put neighbouring chains into one vector, as it may in the kernels. */
__attribute__((noinline, unused)) static double peak_slice(void)
{
    enum { CHAINS = 8, TURNS = 50000 };
    volatile f32 factor = 0.999f, step = 0.001f;
    f32 a[CHAINS], x = factor, y = step, sum = 0.0f;
    unroll (int i = 0; i < CHAINS; i++) {
        a[i] = (f32)i;
    }
    for (int turn = 0; turn < TURNS; turn++) {
        unroll (int i = 0; i < CHAINS; i++) {
            a[i] = a[i] * x + y;
        }
    }
    unroll (int i = 0; i < CHAINS; i++) {
        sum += a[i];
    }
    factor = sum;
    return 2.0 * CHAINS * TURNS;
}
