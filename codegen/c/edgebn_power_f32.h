/* |x| raised by any number: exp(c log |x|), whose logarithm and product keep what rounding leaves out of them. */
#ifndef EDGEBN_POWER_F32_H
#define EDGEBN_POWER_F32_H

#include "edgebn_exp_f32.h"

/* The natural logarithm of a positive number: x = m 2**n with sqrt(1/2) <= m < sqrt(2), and log(m) = 2 artanh(s) with
   s = (m - 1) / (m + 1), by Taylor's polynomial of degree 13, whose first two terms are the sum of two numbers each. */
EDGEBN_SHARED edgebn_two_f32 edgebn_log_parts_f32(float x) {
    const float third = 0.333333343f, third_low = -9.93410776e-9f, ln2_high = 0.693145752f, ln2_low = 1.42860677e-6f;
    const int32_t subnormal = x < 1.17549435e-38f ? 23 : 0, bits = edgebn_bits_f32(subnormal ? x * 8388608.0f : x);
    const int32_t exponent = (bits - 0x3F3504F3) >> 23;
    const float n = (float)(exponent - subnormal), f = edgebn_of_bits_f32(bits - exponent * ((int32_t)1 << 23)) - 1.0f;
    const edgebn_two_f32 under = edgebn_plus_f32(2.0f, f);
    const float s = f / under.high, taken = s * under.high;
    const float s_low = (((f - taken) - edgebn_lost_f32(s, under.high, taken)) - s * under.low) / under.high;
    const float square = s * s, square_low = edgebn_lost_f32(s, s, square) + 2.0f * s * s_low;
    const float cube = square * s, cube_low = edgebn_lost_f32(square, s, cube) + (square * s_low + square_low * s);
    const float second = cube * third, second_low = edgebn_lost_f32(cube, third, second) + (cube * third_low + cube_low * third);
    edgebn_two_f32 sum = edgebn_plus_f32(s, second), total;
    float rest = 1.0f / 13.0f;
    rest = rest * square + 1.0f / 11.0f;
    rest = rest * square + 1.0f / 9.0f;
    rest = rest * square + 1.0f / 7.0f;
    rest = rest * square + 1.0f / 5.0f;
    sum.low += (s_low + second_low) + rest * square * cube;
    total = edgebn_sum_of_two_f32(n * ln2_high, 2.0f * sum.high);
    return edgebn_plus_f32(total.high, total.low + (n * ln2_low + 2.0f * sum.low));
}

/* x ** c as C99's powf has it: of a negative x NaN unless c is a whole number. */
EDGEBN_SHARED float edgebn_power_f32(float x, float c) {
    const float size = x < 0.0f ? -x : x, by = c < 0.0f ? -c : c;
    const int is_whole = !(by < 8388608.0f) || by == (float)(int32_t)by;
    const int is_odd = is_whole && by < 16777216.0f && ((int32_t)by & 1) != 0;
    float result;
    if (c == 0.0f || x == 1.0f || (x == -1.0f && by > 3.4028235e38f)) {
        return 1.0f;
    }
    if (x != x || c != c) {
        return x + c;
    }
    if (size == 0.0f || size > 3.4028235e38f) {
        result = (size == 0.0f) == (c < 0.0f) ? EDGEBN_INFINITY : 0.0f;
    } else if (x < 0.0f && !is_whole) {
        return EDGEBN_INFINITY - EDGEBN_INFINITY;
    } else {
        const edgebn_two_f32 logarithm = edgebn_log_parts_f32(size);
        const float product = c * logarithm.high;
        result = product < 0.0f ? 0.0f : EDGEBN_INFINITY;
        if (product >= -120.0f && product <= 89.0f) {
            int32_t n;
            const float low = edgebn_lost_f32(c, logarithm.high, product) + c * logarithm.low;
            const edgebn_two_f32 power = edgebn_exp_parts_f32(product, low, &n);
            result = edgebn_scaled_f32(power.high + power.low, n);
        }
    }
    return is_odd && edgebn_bits_f32(x) < 0 ? -result : result;
}

#endif
