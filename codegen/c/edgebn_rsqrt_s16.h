/* Reciprocal roots of int16 codes above 0, of which others are the largest. A shift below 0 goes left, ahead. May work in place. */
#ifndef EDGEBN_RSQRT_S16_H
#define EDGEBN_RSQRT_S16_H

#include "edgebn_inverse_root.h"

EDGEBN_INLINE void edgebn_rsqrt_s16(const int16_t *in, int16_t *out, int count, int32_t multiplier, int shift) {
    const int left = shift < 0 ? -shift : 0;
    int i, right;
    for (i = 0; i < count; i++) {
        int32_t code = 32767;
        if (in[i] > 0) {
            const int32_t root = edgebn_inverse_root(in[i], &right);
            const int32_t units = edgebn_high_multiply((int32_t)1 << (20 - right), root);
            code = edgebn_rounding_shift(edgebn_high_multiply(units << left, multiplier), shift + left);
        }
        out[i] = (int16_t)(code > 32767 ? 32767 : code);
    }
}

#endif
