/* Bilinear resampling of codes, halves to an even number of steps from `zero`, as QuantizeLinear of ONNX rounds; coordinates and
   weights in 1/1024, (out_height, 2) and (out_width, 2), are worked out at generation. `width` and `channels` are the input's. */
#ifndef EDGEBN_RESIZE_EVEN_S8_H
#define EDGEBN_RESIZE_EVEN_S8_H

#include "edgebn_common.h"

EDGEBN_INLINE void edgebn_resize_bilinear_even_s8(const int8_t *in, int8_t *out, int width, int channels, int out_height,
                                                  int out_width, const int16_t *rows, const int16_t *columns,
                                                  const int16_t *row_weights, const int16_t *column_weights, int zero) {
    int y, x, c, i;
    for (y = 0; y < out_height; y++) {
        for (x = 0; x < out_width; x++) {
            const int8_t *corner[4];
            int32_t weight[4];
            for (i = 0; i < 4; i++) {
                corner[i] = in + (rows[2 * y + i / 2] * width + columns[2 * x + i % 2]) * channels;
                weight[i] = (int32_t)row_weights[2 * y + i / 2] * column_weights[2 * x + i % 2];
            }
            for (c = 0; c < channels; c++) {
                const int32_t sum = corner[0][c] * weight[0] + corner[1][c] * weight[1] + corner[2][c] * weight[2] +
                                    corner[3][c] * weight[3] - (int32_t)zero * ((int32_t)1 << 20);
                *out++ = (int8_t)(((sum + ((int32_t)1 << 19) - 1 + ((sum >> 20) & 1)) >> 20) + zero);
            }
        }
    }
}

#endif
