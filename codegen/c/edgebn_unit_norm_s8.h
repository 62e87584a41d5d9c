/* Codes divided by the root of the sum of their squares along the channels, TensorFlow Lite's; output scale 1/128, zero point 0.
   May work in place. */
#ifndef EDGEBN_UNIT_NORM_S8_H
#define EDGEBN_UNIT_NORM_S8_H

#include "edgebn_inverse_root.h"

/* `left_shift` is 0, or 7 of codes that are uint8 in the file. */
EDGEBN_SHARED void edgebn_unit_norm_s8(const int8_t *in, int8_t *out, int pixels, int channels, int32_t zero, int left_shift) {
    for (; pixels > 0; pixels--, in += channels, out += channels) {
        int32_t total = 0, multiplier;
        int c, shift;
        for (c = 0; c < channels; c++) {
            total += (in[c] - zero) * (in[c] - zero);
        }
        multiplier = edgebn_inverse_root(total, &shift);
        shift += left_shift - 7;
        for (c = 0; c < channels; c++) {
            const int32_t scaled = (in[c] - zero) * ((int32_t)1 << (left_shift + (shift < 0 ? -shift : 0)));
            const int32_t code = edgebn_rounding_shift(edgebn_high_multiply(scaled, multiplier), shift > 0 ? shift : 0);
            out[c] = (int8_t)edgebn_clip(code, -128, 127);
        }
    }
}

#endif
