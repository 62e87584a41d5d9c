/* float32 functions of one number, without a mathematics library. */
#ifndef EDGEBN_UNARY_F32_H
#define EDGEBN_UNARY_F32_H

#include "edgebn_exp_f32.h"

/* The square root of any number: NaN below zero. */
EDGEBN_INLINE float edgebn_any_root_f32(float x) {
    if (x < 1.17549435e-38f) { /* subnormal numbers are made normal ones */
        return x < 0.0f ? EDGEBN_INFINITY - EDGEBN_INFINITY : x == 0.0f ? x : edgebn_sqrt_f32(x * 16777216.0f) * 2.44140625e-4f;
    }
    return x <= 3.4028235e38f ? edgebn_sqrt_f32(x) : x;
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

/* exp(x) - 1 for x <= 0. */
EDGEBN_INLINE float edgebn_expm1_f32(float x) {
    edgebn_two_f32 less;
    if (!(x >= -30.0f)) {
        return x < 0.0f ? -1.0f : x;
    }
    less = edgebn_expm1_parts_f32(x);
    return less.high + less.low;
}

/* -m / (2 + m) with m = exp(-2 |x|) - 1. */
EDGEBN_SHARED float edgebn_tanh_f32(float x) {
    const float magnitude = edgebn_abs_f32(x);
    edgebn_two_f32 less, over;
    float result;
    if (!(magnitude < 10.0f)) {
        return magnitude >= 10.0f ? (x < 0.0f ? -1.0f : 1.0f) : x;
    }
    less = edgebn_expm1_parts_f32(-2.0f * magnitude);
    over.high = -less.high;
    over.low = -less.low;
    result = edgebn_quotient_f32(over, 2.0f, less);
    return x < 0.0f ? -result : result;
}

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

/* exp(z * z) times the complementary error function of z >= 1/2: c(1 / (1 + z / 2)); coefficients as in vector_math.py. */
EDGEBN_SHARED float edgebn_scaled_erfc_f32(float z) {
    static const float c[10] = {-7.46312045e-2f, 3.52180380e-1f, -6.12726740e-1f, 4.08279062e-1f, -1.09428031e-1f,
                                2.36014705e-1f,  2.34648395e-1f, 2.83674406e-1f,  2.81977045e-1f, 3.83705848e-6f};
    const float t = 1.0f / (1.0f + 0.5f * z);
    float sum = 0.0f;
    int i;
    for (i = 0; i < 10; i++) {
        sum = sum * t + c[i];
    }
    return sum;
}

/* The error function up to 0.9, and the complement's difference from 1 beyond. */
EDGEBN_SHARED float edgebn_erf_f32(float x) {
    static const float e[7] = {7.85386119e-5f,  -8.01019357e-4f, 5.18832768e-3f, -2.68538119e-2f,
                               1.12835851e-1f, -3.76126258e-1f, 1.28379167e-1f};
    const float magnitude = edgebn_abs_f32(x);
    float sum = 0.0f;
    int i;
    if (magnitude >= 0.9f) {
        sum = 1.0f - edgebn_scaled_exp_f32(-x * x, 0.0f, edgebn_scaled_erfc_f32(magnitude));
        return x < 0.0f ? -sum : sum;
    }
    for (i = 0; i < 7; i++) {
        sum = sum * (x * x) + e[i];
    }
    return x * sum + x;
}

/* max(x, 0) - |x| erfc(|x| / sqrt(2)) / 2, of which the last is exp(-x**2 / 2) s g(s - c) with s = |x| / (4 + |x|), up to where it
   is zero; coefficients as in vector_math.py. */
EDGEBN_SHARED float edgebn_gelu_f32(float x) {
    static const float g[8] = {-6.76748529e-2f, 0.104116604f, 0.145179272f, -0.341089368f,
                               -8.00428316e-2f, 1.04425883f,  -1.8715508f,  2.0208838f};
    const float center = 0.40625f;
    const float magnitude = edgebn_abs_f32(x), near = magnitude < 14.75f ? magnitude : 14.75f;
    const float half = -0.5f * near, square = near * half, quarter = 0.25f * near, inverse = 1.0f / (1.0f + quarter);
    const float sum = 1.0f + quarter, s = quarter * inverse, taken = s * sum;
    float missing, s_low, offset, curve = 0.0f, product, low;
    edgebn_two_f32 power, slope, share;
    int32_t n;
    int i;
    if (!(x <= 3.4028235e38f)) {
        return x;
    }
    power = edgebn_exp_parts_f32(square, edgebn_lost_f32(near, half, square), &n);
    missing = quarter - (sum - 1.0f);
    s_low = inverse * (((quarter - taken) - edgebn_lost_f32(s, sum, taken)) - s * missing);
    offset = (s - center) + s_low;
    for (i = 0; i < 8; i++) {
        curve = curve * offset + g[i];
    }
    slope = edgebn_product_plus_f32(curve, offset, -1.54875827f);
    share = edgebn_product_plus_f32(slope.high, offset, 0.884181798f);
    share.low += slope.low * offset;
    product = s * share.high;
    low = edgebn_lost_f32(s, share.high, product) + s * share.low + s_low * share.high;
    curve = product * power.high;
    low = edgebn_lost_f32(product, power.high, curve) + (product * power.low + low * power.high);
    curve = edgebn_scaled_f32(curve + low, n);
    return x < 0.0f ? -curve : x - curve;
}

/* u = 1.59576912 (x + 0.044715 x**3) in units of 2**-26, for an exponential of it: a float32 u of 100 would leave few digits. */
EDGEBN_SHARED float edgebn_gelu_tanh_f32(float x) {
    const float unit = 1.49011612e-8f, magnitude = edgebn_abs_f32(x), near = magnitude < 10.8f ? magnitude : 10.8f;
    const uint64_t whole = (uint64_t)(near * 67108864.0f);
    const uint64_t slope = 1713444047u + ((((whole * whole) >> 26) * 1225866409u) >> 30), u = (slope * whole) >> 30;
    const float high = (float)(u & ~(uint64_t)1023) * unit, rest = (float)(int32_t)(u & 1023u) * unit;
    return x < 0.0f ? edgebn_times_sigmoid_f32(-near, -high, -rest) : edgebn_times_sigmoid_f32(x, high, rest);
}

/* What an angle is beyond whole quarter turns, between -pi/4 and pi/4, and the number of these modulo 4: a product of 96 bits with
   those of 2/pi that matter to its size, of which 62 lie behind the point. */
EDGEBN_SHARED edgebn_two_f32 edgebn_beyond_quarters_f32(float x, int *quarters) {
    static const uint32_t two_over_pi[8] = {0u,          0xA2F9836Eu, 0x4E441529u, 0xFC2757D1u,
                                            0xF534DDC0u, 0xDB629599u, 0x3C439041u, 0xFE5163ABu};
    const int32_t bits = edgebn_bits_f32(x) & 0x7FFFFFFF;
    const uint32_t mantissa = ((uint32_t)bits & 0x7FFFFFu) | 0x800000u;
    uint32_t window[3];
    uint64_t product, turn;
    edgebn_two_f32 rest = {x, 0.0f};
    float whole, part;
    int i, start, is_below;
    *quarters = 0;
    if (bits <= 0x3F490FDA || bits >= 0x7F800000) { /* up to pi/4; no number comes of an infinite one */
        rest.high = bits >= 0x7F800000 ? x - x : x;
        return rest;
    }
    start = (int)(bits >> 23) - 120;
    for (i = 0; i < 3; i++) {
        const uint32_t *word = two_over_pi + start / 32 + i;
        window[i] = start % 32 ? (word[0] << (start % 32)) | (word[1] >> (32 - start % 32)) : word[0];
    }
    product = (((uint64_t)mantissa * window[2]) >> 32) + (uint64_t)mantissa * window[1];
    turn = product + (((uint64_t)mantissa * window[0]) << 32);
    *quarters = (int)((turn + ((uint64_t)1 << 61)) >> 62);
    turn -= (uint64_t)*quarters << 62;
    is_below = (int)(turn >> 63);
    turn = is_below ? UINT64_MAX - turn : turn;
    whole = (float)turn;
    part = (float)(int64_t)(turn - (uint64_t)whole);
    whole *= 2.168404345e-19f; /* 2**-62 */
    part *= 2.168404345e-19f;
    rest.high = whole * 1.57079637f; /* pi/2 is 4.37113883e-8 less */
    rest.low = edgebn_lost_f32(whole, 1.57079637f, rest.high) + (part * 1.57079637f - whole * 4.37113883e-8f);
    if (is_below != (x < 0.0f)) {
        rest.high = -rest.high;
        rest.low = -rest.low;
    }
    *quarters = x < 0.0f ? -*quarters & 3 : *quarters & 3;
    return rest;
}

/* The sine of an angle and `ahead` quarter turns, by Taylor's polynomials. */
EDGEBN_SHARED float edgebn_turned_f32(float x, int ahead) {
    int quarters;
    const edgebn_two_f32 angle = edgebn_beyond_quarters_f32(x, &quarters);
    const float rest = angle.high, square = rest * rest;
    float value;
    quarters += ahead;
    if (quarters & 1) {
        const edgebn_two_f32 less = edgebn_plus_f32(1.0f, -0.5f * square);
        value = ((-1.0f / 3628800.0f * square + 1.0f / 40320.0f) * square - 1.0f / 720.0f) * square + 1.0f / 24.0f;
        value = value * square * square - rest * angle.low;
        value = less.high + (less.low + value);
    } else {
        value = ((1.0f / 362880.0f * square - 1.0f / 5040.0f) * square + 1.0f / 120.0f) * square - 1.0f / 6.0f;
        value = rest + (value * square * rest + angle.low);
    }
    return quarters & 2 ? -value : value;
}

EDGEBN_INLINE float edgebn_softplus_f32(float x) {
    const float e = edgebn_exp_f32(-edgebn_abs_f32(x)), sum = 1.0f + e;
    return (x > 0.0f ? x : 0.0f) + edgebn_log_f32(sum) + (e - (sum - 1.0f)) / sum;
}

/* x * tanh(softplus(x)) = x n / (n + 2) with n = w (w + 2) and w = exp(x). */
EDGEBN_SHARED float edgebn_mish_f32(float x) {
    edgebn_two_f32 w, more, n, sum;
    float product, low, quotient;
    if (x < -40.0f) { /* as in edgebn_times_sigmoid_f32 */
        return edgebn_scaled_exp_f32(x, 0.0f, x);
    }
    if (!(x <= 20.0f)) {
        return x;
    }
    w = edgebn_near_exp_f32(x, 0.0f);
    more = edgebn_sum_of_two_f32(w.high, 2.0f);
    n.high = w.high * more.high;
    n.low = edgebn_lost_f32(w.high, more.high, n.high) + (w.high * (more.low + w.low) + w.low * more.high);
    sum = edgebn_sum_of_two_f32(n.high, 2.0f);
    product = x * n.high;
    low = edgebn_lost_f32(x, n.high, product) + x * n.low;
    quotient = product / sum.high;
    return quotient + (low - quotient * (sum.low + n.low)) / sum.high;
}

#endif
