/* Bilinear resampling of codes as real numbers, rounded by adding a half: TensorFlow Lite's on uint8, whose codes are ours + 128.

   Every operation is rounded to float32, in this order: the pragmas forbid a compiler to fuse products and sums. */
#ifndef EDGEBN_RESIZE_HALF_S8_H
#define EDGEBN_RESIZE_HALF_S8_H

#include "edgebn_common.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

EDGEBN_INLINE void edgebn_resize_bilinear_half_s8(const int8_t *in, int8_t *out, int width, int channels, int out_height,
                                                  int out_width, const int16_t *rows, const int16_t *columns,
                                                  const float *row_weights, const float *column_weights) {
    int y, x, c, i;
    for (y = 0; y < out_height; y++) {
        for (x = 0; x < out_width; x++) {
            for (c = 0; c < channels; c++) {
                float sum = 0.0f;
                int whole;
                for (i = 0; i < 4; i++) { /* upper left, lower left, upper right, lower right */
                    const int8_t *pixel = in + (rows[2 * y + i % 2] * width + columns[2 * x + i / 2]) * channels;
                    const float weighted = (float)(pixel[c] + 128) * row_weights[2 * y + i % 2];
                    const float product = weighted * column_weights[2 * x + i / 2];
                    sum = sum + product;
                }
                sum = sum + 0.5f;
                whole = (int)sum;
                *out++ = (int8_t)((whole < 0 ? 0 : whole > 255 ? 255 : whole) - 128);
            }
        }
    }
}

#endif
