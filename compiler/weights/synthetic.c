/* The synthetic fill: weights and inputs made from a hash of their names, the same in every implementation.
 *
 *   h(name)  FNV-1a, 32 bits, of the UTF-8 name
 *   v_i      in [0,1), row-major: z = h + i * 0x9E3779B1, murmur3's finaliser of z, its upper 24 bits * 2^-24
 *
 *   *.running_mean              0.2 v - 0.1
 *   *.running_var               0.5 + v
 *   two or more dimensions      (2 v - 1) * sqrt(3 / fan), fan = elements / shape[0]
 *   one dimension, *.weight     0.5 + 0.5 v
 *   any other                   0.2 v - 0.1
 *
 * Integers are modulo 2^32; the rest is computed in double and rounded to float32, since that is what a checkpoint
 * would hold. The input of a network is 2 v - 1 of the name "input" and is not rounded: 24 bits fit a float anyway.
 */
#include "weights/weights.h"

#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF /* 0.2 * v - 0.1 is two roundings on every machine */

static uint32_t name_hash(const char *name)
{
    uint32_t h = 2166136261u;
    for (const unsigned char *byte = (const unsigned char *)name; *byte; byte++) {
        h = (h ^ *byte) * 16777619u;
    }
    return h;
}

static double uniform(uint32_t h, int64_t i)
{
    uint32_t z = h + (uint32_t)i * 0x9E3779B1u;
    z ^= z >> 16;
    z *= 0x85EBCA6Bu;
    z ^= z >> 13;
    z *= 0xC2B2AE35u;
    z ^= z >> 16;
    return (double)(z >> 8) * 0x1p-24;
}

static bool leaf_is(const char *name, const char *leaf)
{
    const char *dot = strrchr(name, '.');
    return strcmp(dot ? dot + 1 : name, leaf) == 0;
}

/* Every rule is scale * v + shift, but for the order of the operations in the one with the fan. */
void synthetic_fill(const char *name, struct shape shape, double *out)
{
    int64_t n = shape_elements(shape);
    uint32_t h = name_hash(name);
    double scale = 0.2, shift = -0.1;
    if (leaf_is(name, "running_var")) {
        scale = 1, shift = 0.5;
    } else if (leaf_is(name, "running_mean")) {
    } else if (shape.rank >= 2) {
        double bound = sqrt(3.0 / (double)(n / shape.dim[0]));
        for (int64_t i = 0; i < n; i++) {
            out[i] = (float)((2 * uniform(h, i) - 1) * bound);
        }
        return;
    } else if (leaf_is(name, "weight")) {
        scale = 0.5, shift = 0.5;
    }
    for (int64_t i = 0; i < n; i++) {
        out[i] = (float)(scale * uniform(h, i) + shift);
    }
}

void synthetic_input(const char *name, int64_t n, double *out)
{
    uint32_t h = name_hash(name);
    for (int64_t i = 0; i < n; i++) {
        out[i] = 2 * uniform(h, i) - 1;
    }
}
