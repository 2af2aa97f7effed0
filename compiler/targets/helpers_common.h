/* What every target's C starts with: the words in which kernels are written, and arithmetic on single floats.
 *
 * unroll  a loop over constant bounds that must vanish: it indexes registers
 * fence   no load moves above it, so that loaded values do not pile up and push accumulators out of registers
 * prefetch, prefetch2  ask for a cache line: close to the core, or into its second-level cache
 * renew   addresses made of this variable are computed again from here on; kept from before they fill registers too
 *
 * Names end in the number of lanes: fma16 works on f32x16, fma1 on f32. Infinities and NaN count: no -ffast-math. */
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef float f32;

#define kernel  __attribute__((noinline)) /* keeps its name in profiles */
#define inlined static inline __attribute__((always_inline, unused))
#ifdef __clang__
#define unroll  _Pragma("clang loop unroll(full)") for
#else
#define unroll  _Pragma("GCC unroll 64") for
#endif
#ifdef __x86_64__
#define anywhere __attribute__((target("arch=x86-64"))) /* runs before it is known what the processor has */
#else
#define anywhere
#endif
#define fence       __asm__ volatile("" ::: "memory")
#define renew(v)    __asm__ volatile("" : "+r"(v))
#define prefetch(p)  __builtin_prefetch(p, 0, 3)
#define prefetch2(p) __builtin_prefetch(p, 0, 2)

/* Numbers below 2^-126 count as zero from here on, as operands and as results: processors take a hundred times as long for
 * them. Returns the mode of before, which is the caller's. */
inlined uint32_t flush_denormals(void)
{
#if defined(__SSE2__)
    const uint32_t mode = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(mode | 0x8040); /* FTZ, DAZ */
    return mode;
#elif defined(__aarch64__)
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" : : "r"(mode | 1u << 24)); /* FZ */
    return (uint32_t)mode;
#else
    return 0;
#endif
}

inlined void restore_mode(uint32_t mode)
{
#if defined(__SSE2__)
    __builtin_ia32_ldmxcsr(mode);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode));
#else
    (void)mode;
#endif
}

inlined f32 bits_f32(uint32_t u) { f32 f; memcpy(&f, &u, sizeof f); return f; }
inlined uint32_t f32_bits(f32 f) { uint32_t u; memcpy(&u, &f, sizeof u); return u; }

/* a * b + c, rounded once. Without an instruction for it: the product is exact in double, and rounding the sum twice
 * differs only where the first rounding ends halfway between two floats. (Sums below 2^-126 may still be one unit
 * off.) */
inlined f32 fma1(f32 a, f32 b, f32 c)
{
#if !defined(__FMA__) && !defined(__aarch64__)
    double sum = (double)a * b + c;
    uint64_t u;
    memcpy(&u, &sum, sizeof u);
    if (__builtin_expect((u & 0x1fffffff) != 0x10000000, 1)) {
        return (f32)sum;
    }
#endif
    return fmaf(a, b, c);
}

inlined void transpose1(f32 *v) { (void)v; }
inlined f32 max1(f32 a, f32 b) { return a > b || a != a ? a : b; } /* a NaN stays, from either side */
inlined f32 sqrt1(f32 a)       { return sqrtf(a); }
inlined f32 relu1(f32 a)       { return a <= 0.0f ? 0.0f : a; }

/* e^x, within 1.01 units in the last place; the same operations in every width, so that all agree to the last bit.
 * x = n ln 2 + r, |r| <= ln 2 / 2; adding 1.5 * 2^23 rounds to an integer. e^r is a polynomial (Cephes, expf).
 * 2^n comes in two factors, so that results beyond the largest float and below the least normal one round as they
 * should. */
inlined f32 exp1(f32 x)
{
    x = -104.0f > x ? -104.0f : x; /* a NaN stays */
    x = 89.0f < x ? 89.0f : x;
    f32 t = fma1(x, 0x1.715476p0f, 0x1.8p23f);
    f32 n = t - 0x1.8p23f;
    f32 r = fma1(n, -0x1.7f7d1cp-20f, fma1(n, -0x1.62e4p-1f, x));
    f32 p = 1.9875691500e-4f;
    p = fma1(p, r, 1.3981999507e-3f);
    p = fma1(p, r, 8.3334519073e-3f);
    p = fma1(p, r, 4.1665795894e-2f);
    p = fma1(p, r, 1.6666665459e-1f);
    p = fma1(p, r, 5.0000001201e-1f);
    p = fma1(r * r, p, r) + 1.0f;
    uint32_t k = f32_bits(t) - 0x4b400000u + 254u; /* n + 2 * 127 */
    return p * bits_f32((k >> 1) << 23) * bits_f32((k - (k >> 1)) << 23);
}

inlined f32 sigmoid1(f32 x) { return 1.0f / (1.0f + exp1(-x)); }
inlined f32 silu1(f32 x)    { return x / (1.0f + exp1(-x)); }
