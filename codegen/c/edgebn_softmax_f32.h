/* float32 softmax over the channels. May work in place. */
#ifndef EDGEBN_SOFTMAX_F32_H
#define EDGEBN_SOFTMAX_F32_H

#include "edgebn_exp_f32.h"

/* Exponentials are kept 2**60 times as large, so that none loses digits before it is divided. */
#define EDGEBN_RAISED 60
#define EDGEBN_LOWERED 8.67361738e-19f /* 2**-60 */

/* exp(x + rest) for x <= 0, raised; NaN where x is. */
EDGEBN_SHARED float edgebn_raised_exp_f32(float x, float rest) {
    edgebn_two_f32 power;
    int32_t n;
    if (!(x >= -120.0f)) {
        return x < 0.0f ? 0.0f : x;
    }
    power = edgebn_exp_parts_f32(x, rest, &n);
    return edgebn_scaled_f32(power.high + power.low, n + EDGEBN_RAISED);
}

/* Differences and the sum are kept in two numbers: what rounding leaves out of a difference is what counts in an exponential. */
EDGEBN_SHARED void edgebn_softmax_f32(const float *in, float *out, int pixels, int channels, float beta) {
    for (; pixels > 0; pixels--, in += channels, out += channels) {
        float largest = in[0] * beta, largest_low, missing = 0.0f, inverse;
        edgebn_two_f32 total = {0.0f, 0.0f};
        int c, at = 0;
        for (c = 1; c < channels; c++) {
            if (in[c] * beta > largest) {
                largest = in[c] * beta;
                at = c;
            }
        }
        largest_low = edgebn_lost_f32(in[at], beta, largest);
        for (c = 0; c < channels; c++) {
            const float x = in[c] * beta, low = beta == 1.0f ? 0.0f : edgebn_lost_f32(in[c], beta, x) - largest_low;
            const edgebn_two_f32 difference = edgebn_sum_of_two_f32(x, -largest);
            out[c] = edgebn_raised_exp_f32(difference.high, difference.low + low);
            total = edgebn_sum_of_two_f32(total.high, out[c]);
            missing += total.low;
        }
        total.high *= EDGEBN_LOWERED;
        missing *= EDGEBN_LOWERED;
        inverse = 1.0f / total.high;
        for (c = 0; c < channels; c++) {
            const float share = out[c] * inverse, product = share * total.high;
            const float rest = (out[c] - product) - edgebn_lost_f32(share, total.high, product);
            out[c] = (share + (rest - share * missing) * inverse) * EDGEBN_LOWERED;
        }
    }
}

#endif
