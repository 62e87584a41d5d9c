/* Products of two stacks of float32 matrices: rows of b are added up, each times its factor, so that memory is read in order. */
#ifndef EDGEBN_MATMUL_F32_H
#define EDGEBN_MATMUL_F32_H

#include "edgebn_common.h"
#include "edgebn_matrices.h"

EDGEBN_INLINE void edgebn_matmul_f32(const float *a, const float *b, float *out, edgebn_matrices m) {
    int s, i, j, k;
    for (s = 0; s < m.stacks; s++) {
        const float *left = a + s * m.a_stack;
        for (i = 0; i < m.rows; i++, left += m.depth, out += m.columns) {
            const float *right = b + s * m.b_stack;
            for (j = 0; j < m.columns; j++) {
                out[j] = 0.0f;
            }
            for (k = 0; k < m.depth; k++, right += m.columns) {
                for (j = 0; j < m.columns; j++) {
                    out[j] += left[k] * right[j];
                }
            }
        }
    }
}

#endif
