/* NEON, what every 64-bit ARM processor has: 4 floats a vector, 32 registers; a block of 16 floats is four vectors.
 * + - * / are C's own; an intrinsic stands where no expression gives the instruction. fmax and fmin differ from the other
 * targets in what they make of NaN and of -0, so a comparison and a choice stand for them; of a number and 0 they do not.
 * load4_n and store4_n read and write the first n lanes, repeat4 fills all with n of them; fma4 of a dup4 is one instruction, a multiply-add by lane. */
#include <arm_neon.h>

typedef float32x4_t f32x4;
typedef int32x4_t   i32x4;
typedef uint32x4_t  u32x4;
#define lane4 ((i32x4){0, 1, 2, 3})

inlined f32x4 zero4(void)                        { return vdupq_n_f32(0.0f); }
inlined f32x4 splat4(f32 s)                      { return vdupq_n_f32(s); }
inlined f32x4 dup4(f32x4 v, int l)               { return vdupq_n_f32(v[l]); }
inlined f32x4 load4(const f32 *p)                { return vld1q_f32(p); }
inlined f32x4 loadu4(const f32 *p)               { return vld1q_f32(p); }
inlined f32x4 load4_n(const f32 *p, int n, f32 rest)
{
    f32x4 v = splat4(rest);
    unroll (int l = 0; l < 4; l++) if (l < n) v[l] = p[l];
    return v;
}
inlined f32x4 repeat4(const f32 *p, int n)
{
    return n == 2 ? vcombine_f32(vld1_f32(p), vld1_f32(p)) : splat4(*p);
}
inlined void  store4(f32 *p, f32x4 v)            { vst1q_f32(p, v); }
inlined void  storeu4(f32 *p, f32x4 v)           { vst1q_f32(p, v); }
inlined void  store4_n(f32 *p, f32x4 v, int n)   { unroll (int l = 0; l < 4; l++) if (l < n) p[l] = v[l]; }
inlined f32x4 fma4(f32x4 a, f32x4 b, f32x4 c)    { return vfmaq_f32(c, a, b); }
inlined f32x4 min4(f32x4 a, f32x4 b)             { return vbslq_f32(vcltq_f32(a, b), a, b); }
inlined f32x4 sqrt4(f32x4 a)                     { return vsqrtq_f32(a); }
inlined f32x4 relu4(f32x4 a)                     { return vmaxq_f32(a, zero4()); } /* of NaN it makes NaN */
inlined f32x4 max4(f32x4 a, f32x4 b)
{
    return vbslq_f32(vorrq_u32(vcgtq_f32(a, b), vmvnq_u32(vceqq_f32(a, a))), a, b);
}

/* Lane i becomes block[l[i]], from a block of 16, a byte table for the instruction: an index becomes four of them.
 * pick4 where it is known that all come from one quarter, given by its first float: it looks at the lowest two bits of
 * an index only. */
inlined uint8x16_t bytes4(i32x4 l)               { return vreinterpretq_u8_s32(l * 0x04040404 + 0x03020100); }
inlined f32x4 pick4(const f32 *quarter, i32x4 l)
{
    return vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(vld1q_f32(quarter)), bytes4(l & 3)));
}
inlined f32x4 pick4_wide(const f32 *block, i32x4 l)
{
    uint8x16x4_t table;
    unroll (int i = 0; i < 4; i++) {
        table.val[i] = vreinterpretq_u8_f32(vld1q_f32(block + 4 * i));
    }
    return vreinterpretq_f32_u8(vqtbl4q_u8(table, bytes4(l)));
}

/* Vector i and lane l change places. */
inlined void transpose4(f32x4 *v)
{
    float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(v[0], v[1])), b = vreinterpretq_f64_f32(vtrn2q_f32(v[0], v[1]));
    float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(v[2], v[3])), d = vreinterpretq_f64_f32(vtrn2q_f32(v[2], v[3]));
    v[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
    v[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
    v[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
    v[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}

inlined f32x4 exp4(f32x4 x) /* see exp1 */
{
    x = vbslq_f32(vcgtq_f32(splat4(-104.0f), x), splat4(-104.0f), x);
    x = min4(splat4(89.0f), x);
    f32x4 t = fma4(x, splat4(0x1.715476p0f), splat4(0x1.8p23f));
    f32x4 n = t - splat4(0x1.8p23f);
    f32x4 r = fma4(n, splat4(-0x1.7f7d1cp-20f), fma4(n, splat4(-0x1.62e4p-1f), x));
    f32x4 p = splat4(1.9875691500e-4f);
    p = fma4(p, r, splat4(1.3981999507e-3f));
    p = fma4(p, r, splat4(8.3334519073e-3f));
    p = fma4(p, r, splat4(4.1665795894e-2f));
    p = fma4(p, r, splat4(1.6666665459e-1f));
    p = fma4(p, r, splat4(5.0000001201e-1f));
    p = fma4(r * r, p, r) + splat4(1.0f);
    u32x4 k = vreinterpretq_u32_f32(t) - vdupq_n_u32(0x4b400000u - 254u);
    return p * vreinterpretq_f32_u32((k >> 1) << 23) * vreinterpretq_f32_u32((k - (k >> 1)) << 23);
}

inlined f32x4 sigmoid4(f32x4 x) { return splat4(1.0f) / (splat4(1.0f) + exp4(-x)); }
inlined f32x4 silu4(f32x4 x)    { return x / (splat4(1.0f) + exp4(-x)); }

/* What this processor lacks of what the code was compiled for; NULL: nothing, NEON is part of the architecture. */
anywhere __attribute__((unused)) static const char *lacks(void)
{
    return NULL;
}

/* Multiply-adds on registers alone, about 0.1 ms; returns the floating-point operations done. */
__attribute__((noinline, unused)) static double peak_slice(void)
{
    enum { CHAINS = 24, TURNS = 14000 };
    f32x4 a[CHAINS], x = splat4(0.999f), y = splat4(0.001f);
    __asm__ volatile("" : "+w"(x), "+w"(y));
    unroll (int i = 0; i < CHAINS; i++) {
        a[i] = splat4((f32)i);
    }
    for (int turn = 0; turn < TURNS; turn++) {
        unroll (int i = 0; i < CHAINS; i++) {
            a[i] = fma4(x, y, a[i]); /* adds to its own register */
        }
        fence;
    }
    unroll (int i = 0; i < CHAINS; i++) {
        __asm__ volatile("" : : "w"(a[i]));
    }
    return 2.0 * 4 * CHAINS * TURNS;
}
