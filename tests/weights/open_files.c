/* Opens weights files with a network's own code, compiled under sanitizers: open_files FILE... prints a line a file (code,
 * errno, digest, detail); --flip FILE changes every bit of its text and every 61st byte of its weights, one at a time, and
 * cuts it at every length of its text; none of those may be taken. NET, HEADER: the network's name and header. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include HEADER

#define JOIN(a, b) a##b
#define NAMED(a, b) JOIN(a, b)
typedef NAMED(NET, _net) opened;

static int open_one(const char *path, opened *net)
{
    memset(net, 0xa5, sizeof *net); /* what stood there before does not matter */
    const int code = NAMED(NET, _open)(net, path);
    if (code && (net->weights || net->bytes)) {
        printf("%s: an error left something open\n", path);
        exit(1);
    }
    return code;
}

static void print_one(const char *path)
{
    opened net;
    const int code = open_one(path, &net);
    printf("%d\t%d\t%s\t%s\t%s\n", code, net.error, net.digest, net.detail ? net.detail : "", NAMED(NET, _strerror)(code));
    NAMED(NET, _close)(&net);
    NAMED(NET, _close)(&net); /* twice does no harm */
}

/* The bytes as a file of their own; its code. */
static int try(int memory, const char *bytes, size_t n)
{
    char path[64];
    opened net;
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    if (ftruncate(memory, 0) != 0 || pwrite(memory, bytes, n, 0) != (ssize_t)n) {
        abort();
    }
    const int code = open_one(path, &net);
    NAMED(NET, _close)(&net);
    return code;
}

static int flip(const char *path)
{
    FILE *file = fopen(path, "rb");
    fseek(file, 0, SEEK_END);
    const size_t n = (size_t)ftell(file);
    char *bytes = malloc(n);
    rewind(file);
    if (fread(bytes, 1, n, file) != n || fclose(file) != 0) {
        abort();
    }
    const int memory = memfd_create("changed", 0);
    const size_t text = (size_t)((char *)memmem(bytes, n, "\nend\n", 5) - bytes) + 5;
    int faults = try(memory, bytes, n) != 0, tried = 0;
    for (size_t i = 0; i < n; i += i < text ? 1 : 61) {
        for (int bit = 0; bit < (i < text ? 8 : 1); bit++, tried++) {
            bytes[i] ^= (char)(1 << (bit + i) % 8);
            if (try(memory, bytes, n) == 0) {
                printf("byte %zu changed to %d is taken\n", i, bytes[i]);
                faults++;
            }
            bytes[i] ^= (char)(1 << (bit + i) % 8);
        }
    }
    for (size_t i = 0; i < n; i += i <= text ? 1 : 4093, tried++) {
        if (try(memory, bytes, i) == 0) {
            printf("%zu bytes of %zu are taken\n", i, n);
            faults++;
        }
    }
    free(bytes);
    printf("%d tried\n", tried);
    return faults > 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--flip") == 0) {
        return flip(argv[2]);
    }
    for (int i = 1; i < argc; i++) {
        print_one(argv[i]);
    }
    return 0;
}
