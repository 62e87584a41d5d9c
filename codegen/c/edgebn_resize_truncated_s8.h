/* Bilinear resampling of codes as real numbers, whose fraction is dropped: what onnxruntime makes of int8 and uint8 tensors.

   `offset` is what the file's codes are larger by than ours. Every operation is rounded to float32, in this order; a compiler that
   fuses products and sums would round otherwise: the pragmas forbid it. */
#ifndef EDGEBN_RESIZE_TRUNCATED_S8_H
#define EDGEBN_RESIZE_TRUNCATED_S8_H

#include "edgebn_common.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

EDGEBN_INLINE void edgebn_resize_bilinear_truncated_s8(const int8_t *in, int8_t *out, int width, int channels, int out_height,
                                                       int out_width, const int16_t *rows, const int16_t *columns,
                                                       const float *row_weights, const float *column_weights, int offset) {
    int y, x, c, i;
    for (y = 0; y < out_height; y++) {
        for (x = 0; x < out_width; x++) {
            const int8_t *corner[4];
            float weight[4];
            for (i = 0; i < 4; i++) {
                corner[i] = in + (rows[2 * y + i / 2] * width + columns[2 * x + i % 2]) * channels;
                weight[i] = column_weights[2 * x + i % 2] * row_weights[2 * y + i / 2];
            }
            for (c = 0; c < channels; c++) {
                float sum = weight[0] * (float)(corner[0][c] + offset);
                for (i = 1; i < 4; i++) {
                    const float product = weight[i] * (float)(corner[i][c] + offset);
                    sum = sum + product;
                }
                *out++ = (int8_t)((int)sum - offset);
            }
        }
    }
}

#endif
