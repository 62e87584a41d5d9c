/* Products of two stacks of int8 matrices, sums through one multiplier. */
#ifndef EDGEBN_MATMUL_S8_H
#define EDGEBN_MATMUL_S8_H

#include "edgebn_matrices.h"
#include "edgebn_multiply_s8.h"

EDGEBN_INLINE void edgebn_matmul_s8(const int8_t *a, const int8_t *b, int8_t *out, edgebn_matrices m, edgebn_multiply how) {
    int s, i, j, k;
    for (s = 0; s < m.stacks; s++) {
        const int8_t *left = a + s * m.a_stack;
        for (i = 0; i < m.rows; i++, left += m.depth) {
            for (j = 0; j < m.columns; j++) {
                const int8_t *right = b + s * m.b_stack + j;
                int32_t sum = 0;
                for (k = 0; k < m.depth; k++, right += m.columns) {
                    sum += (left[k] - how.zero0) * (*right - how.zero1);
                }
                *out++ = edgebn_rescaled_s8(sum, how);
            }
        }
    }
}

#endif
