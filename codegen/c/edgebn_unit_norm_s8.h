/* Codes divided by the root of the sum of their squares along the channels, TensorFlow Lite's; output scale 1/128, zero point 0.
   May work in place. */
#ifndef EDGEBN_UNIT_NORM_S8_H
#define EDGEBN_UNIT_NORM_S8_H

#include "edgebn_fixed_point.h"

/* 1 / sqrt(total) as a multiplier of 2^-31, and its right shift: five steps of Newton and Raphson with 3 integer bits. */
EDGEBN_SHARED int32_t edgebn_inverse_root(int32_t total, int *shift) {
    const int32_t one_and_a_half = (int32_t)3 << 27, root_of_half = 1518500250;
    int32_t half, root = (int32_t)1 << 28;
    int i;
    *shift = 0;
    if (total <= 1) {
        return INT32_MAX;
    }
    *shift = 11;
    for (; total >= (int32_t)1 << 29; total >>= 2) {
        (*shift)++;
    }
    for (; total < (int32_t)1 << 27; total <<= 2) {
        (*shift)--;
    }
    half = ((total >> 1) + 1) >> 1;
    for (i = 0; i < 5; i++) {
        const int32_t square = edgebn_high_multiply(root, root);
        const int32_t cube = edgebn_saturating_shift(edgebn_high_multiply(square, root), 6);
        root = edgebn_saturating_shift(edgebn_high_multiply(root, one_and_a_half) - edgebn_high_multiply(half, cube), 3);
    }
    root = edgebn_high_multiply(root, root_of_half);
    if (*shift < 0) {
        root = root << -*shift;
        *shift = 0;
    }
    return root;
}

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
