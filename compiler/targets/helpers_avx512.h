/* AVX-512: 16 floats a vector, 32 registers.
 * + - * / are C's own; an intrinsic stands where no expression gives the instruction.
 * load16_n and store16_n read and write the first n lanes, repeat16 fills all with n of them; lane i of pick16 is p[l[i]], in a block of 16. */
#include <immintrin.h>

typedef f32      f32x16 __attribute__((vector_size(64)));
typedef int32_t  i32x16 __attribute__((vector_size(64)));
typedef uint32_t u32x16 __attribute__((vector_size(64)));
#define lane16 ((i32x16){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})

inlined f32x16 zero16(void)                         { return (f32x16){0}; }
inlined f32x16 splat16(f32 s)                       { return s - zero16(); } /* s + zero is an addition: -0 */
inlined f32x16 dup16(f32x16 v, int l)               { return splat16(v[l]); }
inlined f32x16 load16(const f32 *p)                 { return _mm512_load_ps(p); }
inlined f32x16 loadu16(const f32 *p)                { return _mm512_loadu_ps(p); }
inlined f32x16 load16_n(const f32 *p, int n, f32 rest)
{
    return _mm512_mask_loadu_ps(splat16(rest), (__mmask16)((1u << n) - 1), p);
}
inlined f32x16 repeat16(const f32 *p, int n)
{
    return n == 8 ? (f32x16)_mm512_broadcast_f32x8(_mm256_loadu_ps(p))
         : n == 4 ? (f32x16)_mm512_broadcast_f32x4(_mm_loadu_ps(p))
         : n == 2 ? (f32x16)_mm512_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)(const void *)p))
                  : splat16(*p);
}
inlined void   store16(f32 *p, f32x16 v)            { _mm512_store_ps(p, v); }
inlined void   storeu16(f32 *p, f32x16 v)           { _mm512_storeu_ps(p, v); }
inlined void   store16_n(f32 *p, f32x16 v, int n)   { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v); }
inlined f32x16 pick16(const f32 *p, i32x16 l)       { return _mm512_permutexvar_ps((__m512i)l, _mm512_loadu_ps(p)); }
inlined f32x16 fma16(f32x16 a, f32x16 b, f32x16 c)  { return _mm512_fmadd_ps(a, b, c); }
inlined f32x16 sqrt16(f32x16 a)                     { return _mm512_sqrt_ps(a); }
inlined f32x16 relu16(f32x16 a) /* what is not at most 0, a NaN too */
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, zero16(), _CMP_NLE_UQ), a);
}
inlined f32x16 max16(f32x16 a, f32x16 b)
{
    return _mm512_mask_mov_ps(_mm512_max_ps(a, b), _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), a);
}

/* Vector i and lane l change places: pairs of lanes, quarters of a vector, and then the quarters. */
inlined void transpose16(f32x16 *v)
{
    f32x16 a[16], b[16];
    unroll (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_ps(v[i], v[i + 1]);
        a[i + 1] = _mm512_unpackhi_ps(v[i], v[i + 1]);
    }
    unroll (int i = 0; i < 16; i++) {
        int k = i / 4 * 4 + i % 4 / 2; /* a[k] and a[k + 2] hold the same two columns of four vectors */
        b[i] = i % 2 ? (f32x16)_mm512_unpackhi_pd((__m512d)a[k], (__m512d)a[k + 2])
                     : (f32x16)_mm512_unpacklo_pd((__m512d)a[k], (__m512d)a[k + 2]);
    }
    unroll (int i = 0; i < 4; i++) { /* b[i + 4k] has, in quarter q, column 4q + i of vectors 4k to 4k + 3 */
        a[i] = _mm512_shuffle_f32x4(b[i], b[i + 4], 0x88);
        a[i + 4] = _mm512_shuffle_f32x4(b[i], b[i + 4], 0xdd);
        a[i + 8] = _mm512_shuffle_f32x4(b[i + 8], b[i + 12], 0x88);
        a[i + 12] = _mm512_shuffle_f32x4(b[i + 8], b[i + 12], 0xdd);
    }
    unroll (int i = 0; i < 4; i++) {
        v[i] = _mm512_shuffle_f32x4(a[i], a[i + 8], 0x88);
        v[i + 8] = _mm512_shuffle_f32x4(a[i], a[i + 8], 0xdd);
        v[i + 4] = _mm512_shuffle_f32x4(a[i + 4], a[i + 12], 0x88);
        v[i + 12] = _mm512_shuffle_f32x4(a[i + 4], a[i + 12], 0xdd);
    }
}

inlined f32x16 exp16(f32x16 x) /* see exp1 */
{
    x = _mm512_max_ps(splat16(-104.0f), x);
    x = _mm512_min_ps(splat16(89.0f), x);
    f32x16 t = fma16(x, splat16(0x1.715476p0f), splat16(0x1.8p23f));
    f32x16 n = t - 0x1.8p23f;
    f32x16 r = fma16(n, splat16(-0x1.7f7d1cp-20f), fma16(n, splat16(-0x1.62e4p-1f), x));
    f32x16 p = splat16(1.9875691500e-4f);
    p = fma16(p, r, splat16(1.3981999507e-3f));
    p = fma16(p, r, splat16(8.3334519073e-3f));
    p = fma16(p, r, splat16(4.1665795894e-2f));
    p = fma16(p, r, splat16(1.6666665459e-1f));
    p = fma16(p, r, splat16(5.0000001201e-1f));
    p = fma16(r * r, p, r) + 1.0f;
    u32x16 k = (u32x16)t - 0x4b400000u + 254u;
    return p * (f32x16)((k >> 1) << 23) * (f32x16)((k - (k >> 1)) << 23);
}

inlined f32x16 sigmoid16(f32x16 x) { return 1.0f / (1.0f + exp16(-x)); }
inlined f32x16 silu16(f32x16 x)    { return x / (1.0f + exp16(-x)); }

/* What this processor lacks of what the code was compiled for; NULL: nothing. */
anywhere __attribute__((unused)) static const char *lacks(void)
{
    __builtin_cpu_init();
    return !__builtin_cpu_supports("avx2")     ? "AVX2"
         : !__builtin_cpu_supports("fma")      ? "FMA"
         : !__builtin_cpu_supports("bmi2")     ? "BMI2"
         : !__builtin_cpu_supports("avx512f")  ? "AVX-512 F"
         : !__builtin_cpu_supports("avx512bw") ? "AVX-512 BW"
         : !__builtin_cpu_supports("avx512cd") ? "AVX-512 CD"
         : !__builtin_cpu_supports("avx512dq") ? "AVX-512 DQ"
         : !__builtin_cpu_supports("avx512vl") ? "AVX-512 VL" : NULL;
}

/* Multiply-adds on registers alone, about 0.1 ms; returns the floating-point operations done. */
__attribute__((noinline, unused)) static double peak_slice(void)
{
    enum { CHAINS = 24, TURNS = 28000 };
    f32x16 a[CHAINS], x = splat16(0.999f), y = splat16(0.001f);
    __asm__ volatile("" : "+v"(x), "+v"(y));
    unroll (int i = 0; i < CHAINS; i++) {
        a[i] = splat16((f32)i);
    }
    for (int turn = 0; turn < TURNS; turn++) {
        unroll (int i = 0; i < CHAINS; i++) {
            a[i] = fma16(a[i], x, y);
        }
        fence;
    }
    unroll (int i = 0; i < CHAINS; i++) {
        __asm__ volatile("" : : "v"(a[i]));
    }
    return 2.0 * 16 * CHAINS * TURNS;
}
