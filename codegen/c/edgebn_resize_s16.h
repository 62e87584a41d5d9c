/* Bilinear resampling of int16 codes; coordinates and weights in 1/1024, (out_height, 2) and (out_width, 2), are worked out at
   generation. `width` and `channels` are the input's. */
#ifndef EDGEBN_RESIZE_S16_H
#define EDGEBN_RESIZE_S16_H

#include "edgebn_common.h"

EDGEBN_INLINE void edgebn_resize_bilinear_s16(const int16_t *in, int16_t *out, int width, int channels, int out_height, int out_width,
                                             const int16_t *rows, const int16_t *columns, const int16_t *row_weights,
                                             const int16_t *column_weights) {
    int y, x, c, i;
    for (y = 0; y < out_height; y++) {
        for (x = 0; x < out_width; x++) {
            const int16_t *corner[4];
            int32_t weight[4];
            for (i = 0; i < 4; i++) {
                corner[i] = in + (rows[2 * y + i / 2] * width + columns[2 * x + i % 2]) * channels;
                weight[i] = (int32_t)row_weights[2 * y + i / 2] * column_weights[2 * x + i % 2];
            }
            for (c = 0; c < channels; c++) {
                int64_t sum = ((int64_t)1 << 19);
                for (i = 0; i < 4; i++) {
                    sum += (int64_t)corner[i][c] * weight[i];
                }
                *out++ = (int16_t)((sum - (sum < ((int64_t)1 << 19))) >> 20); /* half away from zero */
            }
        }
    }
}

#endif
