/* Bilinear resampling of float32; coordinates and weights (out_height, 2), (out_width, 2) are worked out at generation. */
#ifndef EDGEBN_RESIZE_F32_H
#define EDGEBN_RESIZE_F32_H

#include "edgebn_common.h"

EDGEBN_INLINE void edgebn_resize_bilinear_f32(const float *in, float *out, int width, int channels, int out_height, int out_width,
                                              const int16_t *rows, const int16_t *columns, const float *row_weights,
                                              const float *column_weights) {
    int y, x, c, i;
    for (y = 0; y < out_height; y++) {
        for (x = 0; x < out_width; x++) {
            for (c = 0; c < channels; c++) {
                float sum = 0.0f;
                for (i = 0; i < 4; i++) {
                    sum += row_weights[2 * y + i / 2] * column_weights[2 * x + i % 2] *
                           in[(rows[2 * y + i / 2] * width + columns[2 * x + i % 2]) * channels + c];
                }
                *out++ = sum;
            }
        }
    }
}

#endif
