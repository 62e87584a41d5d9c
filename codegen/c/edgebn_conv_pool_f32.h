/* float32 convolution with the pool that follows it; the unpooled rows are never stored.

   A maximum grows in the output; an average grows there as a sum and is divided when all is done. `scratch`: memory for the
   channels of one unpooled pixel, and, for an average of more than EDGEBN_SUM_BLOCK positions, for as many numbers as the output
   has: how much too large rounding has made each sum. */
#ifndef EDGEBN_CONV_POOL_F32_H
#define EDGEBN_CONV_POOL_F32_H

#include "edgebn_conv_f32.h"
#include "edgebn_pool_f32.h"

/* Takes the pixel (y, x) into every window that holds it; `excess` is NULL where sums are short. */
EDGEBN_INLINE void edgebn_pool_feed_f32(const float *pixel, float *out, float *excess, edgebn_pool_shape s, int y, int x) {
    const int span_y = s.dilation_y * (s.kernel_height - 1), span_x = s.dilation_x * (s.kernel_width - 1);
    int out_y, out_x, c;
    for (out_y = 0; out_y < s.out_height; out_y++) {
        const int row = y + s.top - out_y * s.stride_y;
        if (row < 0 || row > span_y || row % s.dilation_y != 0) {
            continue;
        }
        for (out_x = 0; out_x < s.out_width; out_x++) {
            const int column = x + s.left - out_x * s.stride_x;
            const int first = (out_y * s.out_width + out_x) * s.channels;
            float *target = out + first;
            if (column < 0 || column > span_x || column % s.dilation_x != 0) {
                continue;
            }
            for (c = 0; c < s.channels && excess != NULL; c++) {
                edgebn_long_sum sum = {target[c], excess[first + c]};
                edgebn_add_block(&sum, pixel[c]);
                target[c] = sum.total;
                excess[first + c] = sum.excess;
            }
            for (c = 0; c < s.channels && excess == NULL; c++) {
                target[c] = !s.is_max ? target[c] + pixel[c] : pixel[c] > target[c] ? pixel[c] : target[c];
            }
        }
    }
}

EDGEBN_INLINE void edgebn_conv_pool_f32(const float *in, float *out, float *scratch, edgebn_conv_shape s, const float *weights,
                                        edgebn_epilogue_f32 e, edgebn_pool_shape pool) {
    const int is_long = !pool.is_max && pool.kernel_height * pool.kernel_width > EDGEBN_SUM_BLOCK;
    float *excess = is_long ? scratch + pool.channels : NULL;
    int y, x, c;
    for (c = 0; c < pool.out_height * pool.out_width * pool.channels; c++) {
        out[c] = pool.is_max ? -EDGEBN_INFINITY : 0.0f;
        if (is_long) {
            excess[c] = 0.0f;
        }
    }
    for (y = 0; y < s.out_height; y++) {
        for (x = 0; x < s.out_width; x++) {
            edgebn_conv_pixel_f32(in, scratch, s, weights, &e, y, x);
            edgebn_pool_feed_f32(scratch, out, excess, pool, y, x);
        }
    }
    for (y = 0; y < pool.out_height && !pool.is_max; y++) {
        for (x = 0; x < pool.out_width; x++) {
            const float count = (float)edgebn_max(edgebn_pool_counted(pool, y, x).all, 1);
            for (c = 0; c < pool.channels; c++) {
                *out++ /= count;
            }
        }
    }
}

#endif
