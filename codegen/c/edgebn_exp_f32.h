/* Exponentials of our own, so that no mathematics library is needed, and what follows from them by one division. Cores without a
   fused multiply-add lose what a product or a sum rounds off: here it is kept as a second number where the result is near to it. */
#ifndef EDGEBN_EXP_F32_H
#define EDGEBN_EXP_F32_H

#include "edgebn_float.h"
#include "edgebn_root_f32.h"

/* A number as the sum of two. */
typedef struct {
    float high, low;
} edgebn_two_f32;

/* What rounding left out of product = a * b: halves of 12 bits have exact products. */
EDGEBN_SHARED float edgebn_lost_f32(float a, float b, float product) {
    const float a_high = edgebn_of_bits_f32(edgebn_bits_f32(a) & -4096), a_low = a - a_high;
    const float b_high = edgebn_of_bits_f32(edgebn_bits_f32(b) & -4096), b_low = b - b_high;
    return a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low);
}

/* a + b, of which a is the larger. */
EDGEBN_INLINE edgebn_two_f32 edgebn_plus_f32(float a, float b) {
    edgebn_two_f32 sum;
    sum.high = a + b;
    sum.low = b - (sum.high - a);
    return sum;
}

/* The same of any two. */
EDGEBN_INLINE edgebn_two_f32 edgebn_sum_of_two_f32(float a, float b) {
    edgebn_two_f32 sum;
    float second;
    sum.high = a + b;
    second = sum.high - a;
    sum.low = (a - (sum.high - second)) + (b - second);
    return sum;
}

/* a * b + c, of which c is the larger. */
EDGEBN_INLINE edgebn_two_f32 edgebn_product_plus_f32(float a, float b, float c) {
    const float product = a * b;
    edgebn_two_f32 sum = edgebn_plus_f32(c, product);
    sum.low += edgebn_lost_f32(a, b, product);
    return sum;
}

/* exp(x + rest) = 2**n * the result, whose second number is up to 0.07; rest far smaller than x and -120 <= x <= 89: x = n ln 2 + f,
   |f| <= ln 2 / 2, Taylor's polynomial of degree 7 in f. */
EDGEBN_SHARED edgebn_two_f32 edgebn_exp_parts_f32(float x, float rest, int32_t *n) {
    const float ln2_high = 0.693145752f, ln2_low = 1.42860677e-6f;
    const int32_t whole = (int32_t)(x * 1.44269504f + (x < 0.0f ? -0.5f : 0.5f));
    const float near = x - (float)whole * ln2_high, less = (float)whole * ln2_low - rest, f = near - less;
    edgebn_two_f32 power = edgebn_plus_f32(1.0f, f);
    float more = 1.0f / 5040.0f;
    more = more * f + 1.0f / 720.0f;
    more = more * f + 1.0f / 120.0f;
    more = more * f + 1.0f / 24.0f;
    more = more * f + 1.0f / 6.0f;
    more = more * f + 0.5f;
    power.low += more * (f * f) + ((near - f) - less);
    *n = whole;
    return power;
}

/* x * 2**n for results in a float32's whole range: two factors, as one alone need not be a float32. */
EDGEBN_INLINE float edgebn_scaled_f32(float x, int32_t n) {
    const int32_t half = n / 2;
    return x * edgebn_of_bits_f32((half + 127) * ((int32_t)1 << 23)) * edgebn_of_bits_f32((n - half + 127) * ((int32_t)1 << 23));
}

/* factor * exp(x + rest). */
EDGEBN_SHARED float edgebn_scaled_exp_f32(float x, float rest, float factor) {
    edgebn_two_f32 power;
    float product;
    int32_t n;
    if (!(x >= -120.0f)) {
        return x < 0.0f ? 0.0f : x;
    }
    power = edgebn_exp_parts_f32(x > 89.0f ? 89.0f : x, rest, &n);
    product = factor * power.high;
    return edgebn_scaled_f32(product + (edgebn_lost_f32(factor, power.high, product) + factor * power.low), n);
}

EDGEBN_SHARED float edgebn_exp_f32(float x) {
    edgebn_two_f32 power;
    int32_t n;
    if (!(x >= -120.0f)) {
        return x < 0.0f ? 0.0f : x;
    }
    power = edgebn_exp_parts_f32(x > 89.0f ? 89.0f : x, 0.0f, &n);
    return edgebn_scaled_f32(power.high + power.low, n);
}

/* exp(x + rest) for -60 <= x <= 20: a normal number and its last places. */
EDGEBN_INLINE edgebn_two_f32 edgebn_near_exp_f32(float x, float rest) {
    int32_t n;
    const edgebn_two_f32 power = edgebn_exp_parts_f32(x, rest, &n);
    const float scale = edgebn_of_bits_f32((n + 127) * ((int32_t)1 << 23));
    return edgebn_plus_f32(power.high * scale, power.low * scale);
}

/* exp(x) - 1 for -30 <= x <= 0. */
EDGEBN_SHARED edgebn_two_f32 edgebn_expm1_parts_f32(float x) {
    const edgebn_two_f32 power = edgebn_near_exp_f32(x, 0.0f), less = edgebn_plus_f32(-1.0f, power.high);
    return edgebn_plus_f32(less.high, less.low + power.low);
}

/* over / (whole + part) for a sum between 1 and 2. */
EDGEBN_INLINE float edgebn_quotient_f32(edgebn_two_f32 over, float whole, edgebn_two_f32 part) {
    const edgebn_two_f32 sum = edgebn_plus_f32(whole, part.high);
    const float inverse = (0.323232323f * sum.high - 1.45454545f) * sum.high + 2.12121212f; /* within 1/99: Chebyshev's polynomial */
    const float quotient = over.high / sum.high;
    return quotient + (over.low - quotient * (sum.low + part.low)) * inverse;
}

/* x / (1 + exp(-(u + rest))) for u of x's sign, or x = 1. Far below zero x is a factor of the exponential, which alone may be no
   normal number. */
EDGEBN_SHARED float edgebn_times_sigmoid_f32(float x, float u, float rest) {
    edgebn_two_f32 power, over;
    if (!(u < 18.0f)) {
        return u >= 18.0f ? x : u;
    }
    if (u < -40.0f) {
        return edgebn_scaled_exp_f32(u, rest, x);
    }
    power = u < 0.0f ? edgebn_near_exp_f32(u, rest) : edgebn_near_exp_f32(-u, -rest);
    over.high = x;
    over.low = 0.0f;
    if (u < 0.0f) {
        over.high = x * power.high;
        over.low = edgebn_lost_f32(x, power.high, over.high) + x * power.low;
    }
    return edgebn_quotient_f32(over, 1.0f, power);
}

EDGEBN_SHARED float edgebn_sigmoid_f32(float x) {
    const edgebn_two_f32 one = {1.0f, 0.0f};
    edgebn_two_f32 power;
    if (!(x >= -40.0f) || x > 18.0f) {
        return x > 18.0f ? 1.0f : edgebn_exp_f32(x);
    }
    power = edgebn_near_exp_f32(x < 0.0f ? x : -x, 0.0f);
    return edgebn_quotient_f32(x < 0.0f ? power : one, 1.0f, power);
}

#endif
