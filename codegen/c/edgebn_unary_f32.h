/* float32 functions of one number, without a mathematics library. */
#ifndef EDGEBN_UNARY_F32_H
#define EDGEBN_UNARY_F32_H

#include "edgebn_float.h"
#include "edgebn_root_f32.h"

/* The square root; 0 below the normal numbers, NaN below zero. */
EDGEBN_INLINE float edgebn_root_or_zero_f32(float x) {
    if (x < 1.17549435e-38f) {
        return x < 0.0f ? EDGEBN_INFINITY - EDGEBN_INFINITY : 0.0f;
    }
    return x > 3.4028235e38f ? x : edgebn_sqrt_f32(x);
}

EDGEBN_INLINE float edgebn_abs_f32(float x) { return x < 0.0f ? -x : x; }

/* The nearest whole number, ties to even: from 2**23 on every number is whole. */
EDGEBN_INLINE float edgebn_round_f32(float x) {
    const float magnitude = edgebn_abs_f32(x);
    float whole, rest;
    if (!(magnitude < 8388608.0f)) {
        return x;
    }
    whole = (float)(int32_t)magnitude;
    rest = magnitude - whole;
    if (rest > 0.5f || (rest == 0.5f && ((int32_t)magnitude & 1) != 0)) {
        whole += 1.0f;
    }
    return x < 0.0f ? -whole : whole;
}

EDGEBN_INLINE float edgebn_floor_f32(float x) {
    const float whole = edgebn_round_f32(x);
    return whole > x ? whole - 1.0f : whole;
}

EDGEBN_INLINE float edgebn_ceil_f32(float x) {
    const float whole = edgebn_round_f32(x);
    return whole < x ? whole + 1.0f : whole;
}

/* exp(x) - 1 for x <= 0: Taylor's polynomial near 0, where the difference would lose digits. */
EDGEBN_INLINE float edgebn_expm1_f32(float x) {
    float sum = 1.0f / 5040.0f;
    if (x < -0.35f) {
        return edgebn_exp_f32(x) - 1.0f;
    }
    sum = sum * x + 1.0f / 720.0f;
    sum = sum * x + 1.0f / 120.0f;
    sum = sum * x + 1.0f / 24.0f;
    sum = sum * x + 1.0f / 6.0f;
    sum = sum * x + 0.5f;
    return sum * x * x + x;
}

EDGEBN_INLINE float edgebn_exp_or_infinity_f32(float x) { return x > 88.7228f ? EDGEBN_INFINITY : edgebn_exp_f32(x); }

/* Natural logarithm: x = m 2**n with sqrt(1/2) <= m < sqrt(2); coefficients as in edgebn/kernels/vector_math.py. */
EDGEBN_SHARED float edgebn_log_f32(float x) {
    static const float l[9] = {7.3325293e-2f,  -1.16599292e-1f, 1.16346625e-1f,  -1.23967005e-1f, 1.42511556e-1f,
                               -1.6669151e-1f, 2.00006881e-1f,  -2.49999812e-1f, 3.33333313e-1f};
    float n = 0.0f, f, sum = 0.0f;
    int32_t exponent;
    int i;
    if (!(x > 0.0f)) {
        return x == 0.0f ? -EDGEBN_INFINITY : x - x + (x < 0.0f ? EDGEBN_INFINITY - EDGEBN_INFINITY : x);
    }
    if (x > 3.4028235e38f) {
        return x;
    }
    if (x < 1.17549435e-38f) {
        x *= 8388608.0f;
        n = -23.0f;
    }
    exponent = (edgebn_bits_f32(x) - 0x3F3504F3) >> 23;
    f = edgebn_of_bits_f32(edgebn_bits_f32(x) - exponent * ((int32_t)1 << 23)) - 1.0f;
    n += (float)exponent;
    for (i = 0; i < 9; i++) {
        sum = sum * f + l[i];
    }
    sum = sum * f * f * f - 0.5f * f * f + n * -2.12194440e-4f;
    return n * 0.693359375f + (f + sum);
}

/* exp(-z * z) c(1 / (1 + z / 2)), the complementary error function of z >= 1/2; coefficients as in vector_math.py. */
EDGEBN_SHARED float edgebn_erfc_f32(float z) {
    static const float c[10] = {-7.46312045e-2f, 3.52180380e-1f, -6.12726740e-1f, 4.08279062e-1f, -1.09428031e-1f,
                                2.36014705e-1f,  2.34648395e-1f, 2.83674406e-1f,  2.81977045e-1f, 3.83705848e-6f};
    const float t = 1.0f / (1.0f + 0.5f * z);
    float sum = 0.0f;
    int i;
    for (i = 0; i < 10; i++) {
        sum = sum * t + c[i];
    }
    return edgebn_exp_f32(-z * z) * sum;
}

EDGEBN_SHARED float edgebn_erf_f32(float x) {
    static const float e[7] = {7.85386119e-5f,  -8.01019357e-4f, 5.18832768e-3f, -2.68538119e-2f,
                               1.12835851e-1f, -3.76126258e-1f, 1.12837917f};
    const float magnitude = edgebn_abs_f32(x);
    float sum = 0.0f;
    int i;
    if (magnitude >= 1.0f) {
        sum = 1.0f - edgebn_erfc_f32(magnitude);
        return x < 0.0f ? -sum : sum;
    }
    for (i = 0; i < 7; i++) {
        sum = sum * (x * x) + e[i];
    }
    return x * sum;
}

EDGEBN_INLINE float edgebn_gelu_f32(float x) {
    const float z = edgebn_abs_f32(x) * 0.707106781f;
    float tail;
    if (z < 0.5f) {
        return x * (0.5f + 0.5f * edgebn_erf_f32(x * 0.707106781f));
    }
    tail = z > 10.0f ? 0.0f : 0.5f * edgebn_erfc_f32(z);
    return x < 0.0f ? x * tail : x * (1.0f - tail);
}

EDGEBN_INLINE float edgebn_softplus_f32(float x) {
    const float e = edgebn_exp_f32(-edgebn_abs_f32(x)), sum = 1.0f + e;
    return (x > 0.0f ? x : 0.0f) + edgebn_log_f32(sum) + (e - (sum - 1.0f)) / sum;
}

EDGEBN_INLINE float edgebn_mish_f32(float x) {
    const float w = edgebn_exp_f32(x > 20.0f ? 20.0f : x), n = w * (w + 2.0f);
    return x > 20.0f ? x : x * (n / (n + 2.0f));
}

#endif
