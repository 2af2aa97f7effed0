/* Calls the network of words.net by the constants of its header, in the order of the description. */
#include "words.h"

#include <stdio.h>
#include <stdlib.h>

static float *in(long n, int seed)
{
    float *at = malloc((size_t)n * sizeof *at);
    for (long i = 0; at && i < n; i++) {
        at[i] = (float)((i * 7 + seed) % 11) - 5.0f;
    }
    return at;
}

static float *out(long n)
{
    return calloc((size_t)n, sizeof(float));
}

int main(void)
{
    static _Alignas(WORDS_ALIGNMENT) unsigned char workspace[WORDS_WORKSPACE_BYTES];
    float *kernel = in(WORDS_KERNEL_ELEMENTS, 0), *threads = in(WORDS_THREADS_ELEMENTS, 1),
          *other = in(WORDS_INT_ELEMENTS, 2);
    float *map = out(WORDS_INT_2_ELEMENTS), *three = out(WORDS_WORKSPACE_ELEMENTS), *four = out(WORDS_INT_3_ELEMENTS),
          *five = out(WORDS_I_ELEMENTS), *same = out(WORDS_ERRNO_ELEMENTS), *one = out(WORDS_WORDS_ELEMENTS);
    words_net net;
    int code = words_open(&net, NULL);
    code = code ? code : words_run(&net, workspace, kernel, threads, other, map, three, four, five, same, one, 1);
    words_close(&net);
    for (int i = 0; i < WORDS_I_ELEMENTS; i++) {
        if (five[i] != threads[i]) {
            return 20;
        }
    }
    for (int i = 0; i < WORDS_ERRNO_ELEMENTS; i++) {
        if (same[i] != other[i]) {
            return 21;
        }
    }
    printf("%g %g %g %g\n", (double)map[WORDS_INT_2_ELEMENTS - 1], (double)three[2], (double)four[3], (double)one[0]);
    free(kernel), free(threads), free(other), free(map), free(three), free(four), free(five), free(same), free(one);
    return code;
}
