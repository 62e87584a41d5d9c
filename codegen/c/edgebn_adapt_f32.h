/* float32 functions of edgebn/reference/float32.py: the same bits on every core, one rounded operation a step. Needs no libm.

   A compiler that fuses products and sums would round otherwise: the pragmas forbid it, and so does -ffp-contract=off where neither is
   known. What no pragma mends is refused. */
#ifndef EDGEBN_ADAPT_F32_H
#define EDGEBN_ADAPT_F32_H

#include <float.h>

#include "edgebn_root_f32.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off", "no-unsafe-math-optimizations", "no-associative-math", "no-reciprocal-math")
#endif

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ + 0 != 0)
#error "adaptation gives other numbers under -ffast-math and -ffinite-math-only: compile it without"
#endif
/* 16: only half precision is widened. */
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "adaptation needs float32 that is rounded after every operation (FLT_EVAL_METHOD 0): on x86 compile with -msse2 -mfpmath=sse"
#endif

EDGEBN_INLINE float edgebn_greater_f32(float a, float b) { return a > b ? a : b; }

EDGEBN_INLINE float edgebn_lesser_f32(float a, float b) { return a < b ? a : b; }

/* 2**n; -126 <= n <= 127. */
EDGEBN_INLINE float edgebn_power_f32(int32_t n) { return edgebn_of_bits_f32((n + 127) * ((int32_t)1 << 23)); }

/* The nearest float32, ties to even, without the compiler's 64-bit conversion: a sticky bit stands for what is shifted out. */
EDGEBN_INLINE float edgebn_from_u64_f32(uint64_t x) {
    int shift = 0;
    while (x >> 32 != 0) {
        x = (x >> 4) | ((x & 15) != 0);
        shift += 4;
    }
    return (float)(uint32_t)x * edgebn_power_f32(shift);
}

/* Natural logarithm of a positive normal number. */
EDGEBN_INLINE float edgebn_ln_f32(float x) {
    const int32_t bits = edgebn_bits_f32(x);
    int32_t exponent = (bits >> 23) - 127;
    float mantissa = edgebn_of_bits_f32((bits & 0x7FFFFF) | 0x3F800000), s, z, series, half;
    if (mantissa > 1.41421354f) {
        mantissa = mantissa * 0.5f;
        exponent++;
    }
    s = (mantissa - 1.0f) / (mantissa + 1.0f);
    z = s * s;
    series = (1.0f / 9.0f) * z + (1.0f / 7.0f);
    series = series * z + (1.0f / 5.0f);
    series = series * z + (1.0f / 3.0f);
    series = series * z;
    half = s + s * series;
    return half + half + (float)exponent * 0.693147182f;
}

/* e**x; x is held within -80..80. */
EDGEBN_INLINE float edgebn_exp_f32(float x) {
    float nearest, real, f, series;
    int32_t n;
    x = edgebn_lesser_f32(edgebn_greater_f32(x, -80.0f), 80.0f);
    nearest = x * 1.44269502f + (x < 0.0f ? -0.5f : 0.5f);
    n = (int32_t)nearest;
    real = (float)n;
    f = x - real * 0.693145752f;
    f = f - real * 1.42860677e-6f;
    series = (1.0f / 720.0f) * f + (1.0f / 120.0f);
    series = series * f + (1.0f / 24.0f);
    series = series * f + (1.0f / 6.0f);
    series = series * f + 0.5f;
    series = series * f + 1.0f;
    return (series * f + 1.0f) * edgebn_power_f32(n);
}

#endif
