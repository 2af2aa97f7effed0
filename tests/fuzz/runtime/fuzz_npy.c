/* Any bytes as a .npy file that a program is given: the header is read and checked, then the numbers. */
#include "../../../runtime/runtime.h"
#include "tracked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_tensor(const char *path)
{
    enum { PIECE = 100 };
    float numbers[PIECE];
    struct npy npy;
    npy_open(&npy, path);
    int64_t left = 1;
    for (int i = 0; i < npy.rank; i++) {
        left *= npy.shape[i]; /* npy_open() has seen that this fits */
    }
    for (int64_t n; left > 0; left -= n) {
        n = left < PIECE ? left : PIECE;
        npy_read(&npy, numbers, n);
    }
    npy_close(&npy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *why;
    survives(read_tensor, data, size, &why);
    return 0;
}
