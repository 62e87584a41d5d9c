/* Softmax over the channels of int16 codes, TensorFlow Lite Micro's. Output in units of 2^-15. May work in place. */
#ifndef EDGEBN_SOFTMAX_S16_H
#define EDGEBN_SOFTMAX_S16_H

#include "edgebn_curve_s16.h"
#include "edgebn_sum_s8.h"

/* exp(code - highest), in units of 2^-15. */
EDGEBN_INLINE int32_t edgebn_power_s16(int32_t code, int32_t highest, const int16_t *table, int32_t multiplier, int left_shift) {
    const int32_t difference = (code - highest) * ((int32_t)1 << (left_shift > 0 ? left_shift : 0));
    const int32_t scaled = edgebn_round_twice(difference, multiplier, left_shift < 0 ? -left_shift : 0);
    return edgebn_interpolated_s16(edgebn_clip(edgebn_max(scaled, -65535) + 32767, -32768, 32767), table);
}

/* `tables` (2, 513): exp from -10 to 0, and 1 / (1 + x) from 0 to 1. */
EDGEBN_INLINE void edgebn_softmax_s16(const int16_t *in, int16_t *out, int pixels, int channels, const int16_t *tables,
                                      int32_t multiplier, int left_shift) {
    int i, c;
    for (i = 0; i < pixels; i++, in += channels, out += channels) {
        int32_t highest = in[0], total = 0, reciprocal;
        int zeros = 0;
        for (c = 1; c < channels; c++) {
            highest = edgebn_max(highest, in[c]);
        }
        for (c = 0; c < channels; c++) {
            total += edgebn_power_s16(in[c], highest, tables, multiplier, left_shift);
        }
        while (((uint32_t)total << zeros & 0x80000000u) == 0) {
            zeros++;
        }
        reciprocal = (int32_t)((((int64_t)total << (zeros - 1)) + ((int32_t)1 << 13)) >> 14) - 3 * ((int32_t)1 << 15);
        reciprocal = edgebn_interpolated_s16(edgebn_clip(reciprocal, -32768, 32767), tables + 513);
        for (c = 0; c < channels; c++) {
            const int32_t power = edgebn_power_s16(in[c], highest, tables, multiplier, left_shift);
            const int64_t product = (int64_t)power * reciprocal + ((int64_t)1 << (30 - zeros));
            out[c] = (int16_t)edgebn_clip((int32_t)(product >> (31 - zeros)), 0, 32767);
        }
    }
}

#endif
