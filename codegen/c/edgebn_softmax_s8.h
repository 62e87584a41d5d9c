/* Softmax over the channels, TensorFlow Lite Micro's integer algorithm; output scale 1/256, zero point -128. May work in place.

   Fixed point: a raw int32 with n integer bits stands for raw / 2^(31 - n). */
#ifndef EDGEBN_SOFTMAX_S8_H
#define EDGEBN_SOFTMAX_S8_H

#include "edgebn_fixed_point.h"

/* exp(a) for -1/4 <= a < 0, both with 0 integer bits: Taylor's polynomial of degree 4 about -1/8. */
EDGEBN_INLINE int32_t edgebn_exp_of_last_quarter(int32_t a) {
    const int32_t exp_minus_one_eighth = 1895147668, one_third = 715827883;
    const int32_t x = a + ((int32_t)1 << 28);
    const int32_t x2 = edgebn_high_multiply(x, x);
    const int32_t x3 = edgebn_high_multiply(x2, x);
    const int32_t x4 = edgebn_high_multiply(x2, x2);
    const int32_t cubic = edgebn_high_multiply(edgebn_rounding_shift(x4, 2) + x3, one_third);
    return exp_minus_one_eighth + edgebn_high_multiply(x + edgebn_rounding_shift(cubic + x2, 1), exp_minus_one_eighth);
}

/* exp(a) for a <= 0 with 5 integer bits; the result has 0: a last quarter, times exponentials of powers of two. */
EDGEBN_SHARED int32_t edgebn_exp_of_negative(int32_t a) {
    static const int32_t exp_of_powers[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = (int32_t)1 << 24;
    const int32_t low = (a & (quarter - 1)) - quarter;
    const int32_t remainder = low - a;
    int32_t result = edgebn_exp_of_last_quarter(edgebn_saturating_shift(low, 5));
    int i;
    for (i = 0; i < 7; i++) {
        if ((remainder & (quarter << i)) != 0) {
            result = edgebn_high_multiply(result, exp_of_powers[i]);
        }
    }
    return a == 0 ? INT32_MAX : result;
}

/* 1 / total normalised to 0 integer bits, by Newton and Raphson; `total` has 12 integer bits and lies `*bits` bits above one. */
EDGEBN_SHARED int32_t edgebn_reciprocal_of_sum(int32_t total, int *bits) {
    const int32_t forty_eight_17ths = 1515870810, minus_thirty_two_17ths = -1010580540;
    int32_t half_denominator, x;
    int zeros = 0, i;
    while (((uint32_t)total << zeros & 0x80000000u) == 0) {
        zeros++;
    }
    *bits = 12 - zeros;
    half_denominator = (int32_t)(((int64_t)(((uint32_t)total << zeros) & 0x7FFFFFFFu) + INT32_MAX + 1) / 2);
    x = forty_eight_17ths + edgebn_high_multiply(half_denominator, minus_thirty_two_17ths);
    for (i = 0; i < 3; i++) {
        const int32_t rest = ((int32_t)1 << 29) - edgebn_high_multiply(half_denominator, x);
        x += edgebn_saturating_shift(edgebn_high_multiply(x, rest), 2);
    }
    return edgebn_saturating_shift(x, 1);
}

/* Real multiplier beta * scale * 2^26 as multiplier / 2^31 * 2^left_shift; codes further than diff_min below the maximum are 0. */
EDGEBN_SHARED void edgebn_softmax_s8(const int8_t *in, int8_t *out, int pixels, int channels, int32_t multiplier, int left_shift,
                                     int32_t diff_min) {
    for (; pixels > 0; pixels--, in += channels, out += channels) {
        int32_t largest = -128, total = 0, reciprocal;
        int c, bits;
        for (c = 0; c < channels; c++) {
            largest = edgebn_max(largest, in[c]);
        }
        for (c = 0; c < channels; c++) {
            if (in[c] - largest >= diff_min) {
                const int32_t scaled = edgebn_high_multiply(edgebn_saturating_shift(in[c] - largest, left_shift), multiplier);
                total += edgebn_rounding_shift(edgebn_exp_of_negative(scaled), 12);
            }
        }
        reciprocal = edgebn_reciprocal_of_sum(total, &bits);
        for (c = 0; c < channels; c++) {
            int32_t code = -128;
            if (in[c] - largest >= diff_min) {
                const int32_t scaled = edgebn_high_multiply(edgebn_saturating_shift(in[c] - largest, left_shift), multiplier);
                const int32_t power = edgebn_high_multiply(reciprocal, edgebn_exp_of_negative(scaled));
                code = edgebn_clip(edgebn_rounding_shift(power, bits + 23) - 128, -128, 127);
            }
            out[c] = (int8_t)code;
        }
    }
}

#endif
