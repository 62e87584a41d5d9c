/* float32 arithmetic that kernels share: clips, and exponentials of our own, so that no mathematics library is needed. */
#ifndef EDGEBN_FLOAT_H
#define EDGEBN_FLOAT_H

#include "edgebn_common.h"
#include "edgebn_shape.h"

#include <math.h>

/* A clip at it changes no number; a macro of the compiler, no library function. */
#define EDGEBN_INFINITY INFINITY

EDGEBN_INLINE float edgebn_clip_f32(float x, float low, float high) {
    const float above = x < low ? low : x;
    return above > high ? high : above;
}

/* factor * exp(x + rest), rest far smaller than x: x = n ln 2 + f, |f| <= ln 2 / 2, Taylor's polynomial of degree 7 in f, for
   results in a float32's whole range: 2**n is two factors, as one alone need not be a float32. */
EDGEBN_SHARED float edgebn_scaled_exp_f32(float x, float rest, float factor) {
    const float ln2_high = 0.693145752f, ln2_low = 1.42860677e-6f;
    float power, scale;
    uint32_t bits;
    int32_t n, half;
    float f;
    if (!(x >= -120.0f)) {
        return x < 0.0f ? 0.0f : x;
    }
    x = x > 89.0f ? 89.0f : x;
    n = (int32_t)(x * 1.44269504f + (x < 0.0f ? -0.5f : 0.5f));
    f = x - (float)n * ln2_high - ((float)n * ln2_low - rest);
    power = 1.0f / 5040.0f;
    power = power * f + 1.0f / 720.0f;
    power = power * f + 1.0f / 120.0f;
    power = power * f + 1.0f / 24.0f;
    power = power * f + 1.0f / 6.0f;
    power = power * f + 0.5f;
    power = (power * f * f + f + 1.0f) * factor;
    half = n / 2;
    bits = (uint32_t)(half + 127) << 23;
    (void)memcpy(&scale, &bits, sizeof scale);
    power *= scale;
    bits = (uint32_t)(n - half + 127) << 23;
    (void)memcpy(&scale, &bits, sizeof scale);
    return power * scale;
}

EDGEBN_INLINE float edgebn_exp_f32(float x) { return edgebn_scaled_exp_f32(x, 0.0f, 1.0f); }

EDGEBN_INLINE float edgebn_sigmoid_f32(float x) {
    const float small = edgebn_exp_f32(x < 0.0f ? x : -x);
    return (x < 0.0f ? small : 1.0f) / (1.0f + small);
}

#endif
