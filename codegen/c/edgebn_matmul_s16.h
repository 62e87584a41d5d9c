/* Products of two stacks of int16 matrices, sums of 64 bits through one multiplier. */
#ifndef EDGEBN_MATMUL_S16_H
#define EDGEBN_MATMUL_S16_H

#include "edgebn_matrices.h"
#include "edgebn_multiply_s8.h"
#include "edgebn_requantize_s16.h"

EDGEBN_INLINE void edgebn_matmul_s16(const int16_t *a, const int16_t *b, int16_t *out, edgebn_matrices m, edgebn_multiply how) {
    int s, i, j, k;
    for (s = 0; s < m.stacks; s++) {
        const int16_t *left = a + s * m.a_stack;
        for (i = 0; i < m.rows; i++, left += m.depth) {
            for (j = 0; j < m.columns; j++) {
                const int16_t *right = b + s * m.b_stack + j;
                int64_t sum = 0;
                for (k = 0; k < m.depth; k++, right += m.columns) {
                    sum += (int32_t)left[k] * *right;
                }
                *out++ = (int16_t)edgebn_code((sum * how.m + how.r) >> how.s, how.low, how.high);
            }
        }
    }
}

#endif
