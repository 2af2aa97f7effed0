/* Every error of the functions, in order, and arrays at odd multiples of four bytes, each as large as it must be and no
 * larger: address and undefined-behaviour sanitizers watch. errors INPUT OUTPUT, as caller.c for one image. */
#include "$.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed;

#define EXPECT(code, call)                                                                                             \
    do {                                                                                                               \
        const int got = (call);                                                                                        \
        if (got != (code)) {                                                                                           \
            fprintf(stderr, "line %d: %d (%s) instead of %d\n", __LINE__, got, $_strerror(got), (int)(code));          \
            failed = 1;                                                                                                \
        }                                                                                                              \
    } while (0)

int main(int argc, char **argv)
{
    if (argc < 3) {
        return 2;
    }
    /* at a multiple of 4 that is none of 8 */
    char *pixels_at = malloc(4 + sizeof(float) * @_PIXELS_ELEMENTS);
    char *logits_at = malloc(4 + sizeof(float) * @_LOGITS_ELEMENTS);
    char *space = aligned_alloc(64, 64 + $_workspace_size());
    if (!pixels_at || !logits_at || !space) {
        return 2;
    }
    float *pixels = (float *)(void *)(pixels_at + 4), *logits = (float *)(void *)(logits_at + 4);
    void *workspace = space;
    FILE *input = fopen(argv[1], "rb");
    if (!input || fread(pixels, sizeof(float), @_PIXELS_ELEMENTS, input) != @_PIXELS_ELEMENTS || fclose(input)) {
        return 3;
    }
    memset(space, 0xff, $_workspace_size()); /* what is in it does not matter */

    $_net net = {0};
    EXPECT(@_ERROR_ARGUMENT, $_open(NULL, NULL));
    $_close(NULL);
    EXPECT(@_ERROR_ARGUMENT, $_run(&net, workspace, pixels, logits, 1)); /* not open */
    $_close(&net);
    EXPECT(@_ERROR_FILE, $_open(&net, "/there/is/no/such/file"));
    if (net.error == 0 || net.weights != NULL) {
        failed = 1;
    }
    EXPECT(@_ERROR_FORMAT, $_open(&net, argv[1]));
    EXPECT(@_ERROR_ARGUMENT, $_run(&net, workspace, pixels, logits, 1)); /* after an error nothing is open */
    EXPECT(@_OK, $_open(&net, NULL));
    if (strcmp(net.digest, @_DIGEST) != 0 || net.detail != NULL) {
        failed = 1;
    }

    EXPECT(@_ERROR_ARGUMENT, $_run(NULL, workspace, pixels, logits, 1));
    EXPECT(@_ERROR_ARGUMENT, $_run(&net, NULL, pixels, logits, 1));
    EXPECT(@_ERROR_ARGUMENT, $_run(&net, workspace, NULL, logits, 1));
    EXPECT(@_ERROR_ARGUMENT, $_run(&net, workspace, pixels, NULL, 1));
    EXPECT(@_ERROR_ARGUMENT, $_run(&net, workspace, pixels, logits, 0));
    EXPECT(@_ERROR_ARGUMENT, $_run(&net, workspace, pixels, logits, -1));
    EXPECT(@_ERROR_ARGUMENT, $_run(&net, workspace, pixels, logits, @_MOST_THREADS + 1));
    for (int shift = 1; shift < 64; shift *= 2) {
        EXPECT(@_ERROR_ALIGNMENT, $_run(&net, space + shift, pixels, logits, 1));
    }
    for (int shift = 1; shift < 4; shift++) {
        EXPECT(@_ERROR_ALIGNMENT, $_run(&net, workspace, (float *)(void *)(pixels_at + shift), logits, 1));
        EXPECT(@_ERROR_ALIGNMENT, $_run(&net, workspace, pixels, (float *)(void *)(logits_at + shift), 1));
    }
    EXPECT(@_OK, $_run(&net, workspace, pixels, logits, 2));
    $_close(&net);
    $_close(&net);
    EXPECT(@_ERROR_ARGUMENT, $_run(&net, workspace, pixels, logits, 1)); /* closed */

    for (int code = 0; code <= @_ERROR_DAMAGED; code++) {
        for (int other = 0; other < code; other++) {
            if (strcmp($_strerror(code), $_strerror(other)) == 0) {
                fprintf(stderr, "codes %d and %d read alike\n", code, other);
                failed = 1;
            }
        }
    }
    if (!$_strerror(-1) || !$_strerror(1000)) {
        failed = 1;
    }
    FILE *output = fopen(argv[2], "wb");
    if (!output || fwrite(logits, sizeof(float), @_LOGITS_ELEMENTS, output) != @_LOGITS_ELEMENTS || fclose(output)) {
        return 4;
    }
    free(pixels_at);
    free(logits_at);
    free(space);
    return failed;
}
