/* AVX2 and FMA: 8 floats a vector, 16 registers; a block of 16 floats is two vectors.
 * + - * / are C's own; an intrinsic stands where no expression gives the instruction.
 * load8_n and store8_n read and write the first n lanes, repeat8 fills all with n of them. */
#include <immintrin.h>

typedef f32      f32x8 __attribute__((vector_size(32)));
typedef int32_t  i32x8 __attribute__((vector_size(32)));
typedef uint32_t u32x8 __attribute__((vector_size(32)));
#define lane8 ((i32x8){0, 1, 2, 3, 4, 5, 6, 7})

inlined f32x8 zero8(void)                        { return (f32x8){0}; }
inlined f32x8 splat8(f32 s)                      { return s - zero8(); } /* s + zero is an addition: -0 */
inlined f32x8 dup8(f32x8 v, int l)               { return splat8(v[l]); }
inlined f32x8 load8(const f32 *p)                { return _mm256_load_ps(p); }
inlined f32x8 loadu8(const f32 *p)               { return _mm256_loadu_ps(p); }
inlined f32x8 load8_n(const f32 *p, int n, f32 rest)
{
    return _mm256_blendv_ps(splat8(rest), _mm256_maskload_ps(p, (__m256i)(lane8 < n)), (__m256)(lane8 < n));
}
inlined f32x8 repeat8(const f32 *p, int n)
{
    return n == 4 ? (f32x8)_mm256_broadcast_ps((const __m128 *)(const void *)p)
         : n == 2 ? (f32x8)_mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)(const void *)p))
                  : splat8(*p);
}
inlined void  store8(f32 *p, f32x8 v)            { _mm256_store_ps(p, v); }
inlined void  storeu8(f32 *p, f32x8 v)           { _mm256_storeu_ps(p, v); }
inlined void  store8_n(f32 *p, f32x8 v, int n)   { _mm256_maskstore_ps(p, (__m256i)(lane8 < n), v); }
inlined f32x8 fma8(f32x8 a, f32x8 b, f32x8 c)    { return _mm256_fmadd_ps(a, b, c); }
inlined f32x8 sqrt8(f32x8 a)                     { return _mm256_sqrt_ps(a); }
inlined f32x8 relu8(f32x8 a) /* what is not at most 0, a NaN too */
{
    return _mm256_and_ps(_mm256_cmp_ps(a, zero8(), _CMP_NLE_UQ), a);
}
inlined f32x8 max8(f32x8 a, f32x8 b)
{
    return _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

/* Lane i becomes block[l[i]], from a block of 16. pick8 where it is known that all come from one half, given by its
 * first float: the instruction looks at the lowest three bits of an index only. */
inlined f32x8 pick8(const f32 *half, i32x8 l)    { return _mm256_permutevar8x32_ps(_mm256_loadu_ps(half), (__m256i)l); }
inlined f32x8 pick8_wide(const f32 *block, i32x8 l)
{
    return _mm256_blendv_ps(pick8(block, l), pick8(block + 8, l), (__m256)(l << 28)); /* bit 3 chooses the half */
}

/* Vector i and lane l change places: pairs of lanes, halves of a half, and then the halves. */
inlined void transpose8(f32x8 *v)
{
    f32x8 a[8], b[8];
    unroll (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
    }
    unroll (int i = 0; i < 8; i++) {
        int k = i / 4 * 4 + i % 4 / 2;
        b[i] = i % 2 ? (f32x8)_mm256_unpackhi_pd((__m256d)a[k], (__m256d)a[k + 2])
                     : (f32x8)_mm256_unpacklo_pd((__m256d)a[k], (__m256d)a[k + 2]);
    }
    unroll (int i = 0; i < 4; i++) {
        v[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        v[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}

inlined f32x8 exp8(f32x8 x) /* see exp1 */
{
    x = _mm256_max_ps(splat8(-104.0f), x);
    x = _mm256_min_ps(splat8(89.0f), x);
    f32x8 t = fma8(x, splat8(0x1.715476p0f), splat8(0x1.8p23f));
    f32x8 n = t - 0x1.8p23f;
    f32x8 r = fma8(n, splat8(-0x1.7f7d1cp-20f), fma8(n, splat8(-0x1.62e4p-1f), x));
    f32x8 p = splat8(1.9875691500e-4f);
    p = fma8(p, r, splat8(1.3981999507e-3f));
    p = fma8(p, r, splat8(8.3334519073e-3f));
    p = fma8(p, r, splat8(4.1665795894e-2f));
    p = fma8(p, r, splat8(1.6666665459e-1f));
    p = fma8(p, r, splat8(5.0000001201e-1f));
    p = fma8(r * r, p, r) + 1.0f;
    u32x8 k = (u32x8)t - 0x4b400000u + 254u;
    return p * (f32x8)((k >> 1) << 23) * (f32x8)((k - (k >> 1)) << 23);
}

inlined f32x8 sigmoid8(f32x8 x) { return 1.0f / (1.0f + exp8(-x)); }
inlined f32x8 silu8(f32x8 x)    { return x / (1.0f + exp8(-x)); }

/* What this processor lacks of what the code was compiled for; NULL: nothing. */
anywhere __attribute__((unused)) static const char *lacks(void)
{
    __builtin_cpu_init();
    return !__builtin_cpu_supports("avx2") ? "AVX2"
         : !__builtin_cpu_supports("fma")  ? "FMA"
         : !__builtin_cpu_supports("bmi2") ? "BMI2" : NULL;
}

/* Multiply-adds on registers alone, about 0.1 ms; returns the floating-point operations done. */
__attribute__((noinline, unused)) static double peak_slice(void)
{
    enum { CHAINS = 12, TURNS = 56000 };
    f32x8 a[CHAINS], x = splat8(0.999f), y = splat8(0.001f);
    __asm__ volatile("" : "+x"(x), "+x"(y));
    unroll (int i = 0; i < CHAINS; i++) {
        a[i] = splat8((f32)i);
    }
    for (int turn = 0; turn < TURNS; turn++) {
        unroll (int i = 0; i < CHAINS; i++) {
            a[i] = fma8(a[i], x, y);
        }
        fence;
    }
    unroll (int i = 0; i < CHAINS; i++) {
        __asm__ volatile("" : : "x"(a[i]));
    }
    return 2.0 * 8 * CHAINS * TURNS;
}
