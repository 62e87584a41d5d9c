/* Reciprocal roots of whole numbers in fixed point. */
#ifndef EDGEBN_INVERSE_ROOT_H
#define EDGEBN_INVERSE_ROOT_H

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

#endif
