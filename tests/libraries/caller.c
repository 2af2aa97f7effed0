/* A caller of a network with one input and one output, in C11: caller INPUT OUTPUT THREADS CALLERS [WEIGHTS]
 *
 * $ is the network's name, @ the same in capitals. INPUT is raw floats, whole batches; each of CALLERS threads runs all
 * of them at once on one opened net, with a workspace and outputs of its own, and all must agree to the last bit. */
#include "$.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CALLERS = 8, INPUT = @_BATCH * @_PIXELS_ELEMENTS, OUTPUT = @_BATCH * @_LOGITS_ELEMENTS };

struct caller {
    const $_net *net;
    const float *pixels;
    float *logits;
    long batches;
    int threads, code;
};

static void *call(void *argument)
{
    struct caller *c = argument;
    void *workspace = aligned_alloc(@_ALIGNMENT, $_workspace_size());
    for (long i = 0; i < c->batches && !c->code; i++) {
        c->code = $_run(c->net, workspace, c->pixels + i * INPUT, c->logits + i * OUTPUT, c->threads);
    }
    free(workspace);
    return NULL;
}

static float *read_floats(const char *path, long *n)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) || (*n = ftell(file) / (long)sizeof(float)) <= 0) {
        return NULL;
    }
    rewind(file);
    float *floats = malloc((size_t)*n * sizeof *floats);
    if (floats && fread(floats, sizeof *floats, (size_t)*n, file) != (size_t)*n) {
        free(floats);
        floats = NULL;
    }
    fclose(file);
    return floats;
}

int main(int argc, char **argv)
{
    long n = 0;
    float *pixels = argc > 4 ? read_floats(argv[1], &n) : NULL;
    if (!pixels) {
        return 2;
    }
    $_net net;
    int code = $_open(&net, argc > 5 ? argv[5] : NULL), callers = atoi(argv[4]);
    struct caller caller[MOST_CALLERS];
    pthread_t thread[MOST_CALLERS];
    const long batches = n / INPUT;
    const size_t bytes = (size_t)batches * OUTPUT * sizeof(float);
    for (int i = 0; i < callers && !code; i++) {
        caller[i] = (struct caller){&net, pixels, malloc(bytes), batches, atoi(argv[3]), 0};
        if (callers == 1) {
            call(&caller[i]);
        } else if (pthread_create(&thread[i], NULL, call, &caller[i])) {
            return 3;
        }
    }
    for (int i = 0; i < callers && !code; i++) {
        if (callers > 1) {
            pthread_join(thread[i], NULL);
        }
        code = caller[i].code;
        if (!code && memcmp(caller[i].logits, caller[0].logits, bytes)) {
            fprintf(stderr, "caller %d has other numbers than caller 0\n", i);
            return 4;
        }
    }
    FILE *output = code ? NULL : fopen(argv[2], "wb");
    if (!code && (!output || fwrite(caller[0].logits, 1, bytes, output) != bytes || fclose(output))) {
        return 5;
    }
    for (int i = 0; i < callers && !code; i++) {
        free(caller[i].logits);
    }
    free(pixels);
    $_close(&net);
    if (code) {
        fprintf(stderr, "%s%s%s\n", $_strerror(code), net.detail ? ": " : "", net.detail ? net.detail : "");
    }
    return code ? 10 + code : 0;
}
