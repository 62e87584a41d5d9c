/* float32 functions of edgebn/reference/float32.py: the same bits on every core, one rounded operation a step. Needs no libm.

   A compiler that fuses products and sums would round otherwise: -ffp-contract=off, and the pragma where it is known. */
#ifndef EDGEBN_ADAPT_F32_H
#define EDGEBN_ADAPT_F32_H

#include "edgebn_common.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

EDGEBN_INLINE float edgebn_greater_f32(float a, float b) { return a > b ? a : b; }

EDGEBN_INLINE float edgebn_lesser_f32(float a, float b) { return a < b ? a : b; }

EDGEBN_INLINE int32_t edgebn_bits_f32(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

EDGEBN_INLINE float edgebn_of_bits_f32(int32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

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

/* The square root of a positive normal number, correctly rounded. */
EDGEBN_INLINE float edgebn_sqrt_f32(float x) {
#if defined(__ARM_FP) && (__ARM_FP & 4) && defined(__GNUC__) && !defined(__aarch64__)
    float root;
    __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(x));
    return root;
#else
    const int32_t bits = edgebn_bits_f32(x), exponent = (bits >> 23) - 127;
    uint32_t rest = ((uint32_t)bits & 0x7FFFFFu) | 0x800000u, root = 0, trial = 0, bit;
    rest <<= 1 + (exponent & 1);
    for (bit = 0x1000000u; bit != 0; bit >>= 1) { /* 25 bits of the root, the last one for rounding */
        const uint32_t next = trial + bit;
        if (next <= rest) {
            trial = next + bit;
            rest -= next;
            root += bit;
        }
        rest <<= 1;
    }
    root += root & 1u; /* never a tie: the root of 24 bits has no 25-bit square root with its last bit set */
    return edgebn_of_bits_f32((int32_t)(root >> 1) + ((exponent - (exponent & 1)) / 2 + 126) * ((int32_t)1 << 23));
#endif
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
