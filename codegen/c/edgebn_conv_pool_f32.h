/* float32 convolution with the pool that follows it; the unpooled rows are never stored.

   A maximum grows in the output; an average grows there as a sum and is divided when all is done. `pixel`: scratch memory for the
   channels of one unpooled pixel. */
#ifndef EDGEBN_CONV_POOL_F32_H
#define EDGEBN_CONV_POOL_F32_H

#include "edgebn_conv_f32.h"
#include "edgebn_pool_f32.h"

/* Takes the pixel (y, x) into every window that holds it. */
EDGEBN_INLINE void edgebn_pool_feed_f32(const float *pixel, float *out, edgebn_pool_shape s, int y, int x) {
    const int span_y = s.dilation_y * (s.kernel_height - 1), span_x = s.dilation_x * (s.kernel_width - 1);
    int out_y, out_x, c;
    for (out_y = 0; out_y < s.out_height; out_y++) {
        const int row = y + s.top - out_y * s.stride_y;
        if (row < 0 || row > span_y || row % s.dilation_y != 0) {
            continue;
        }
        for (out_x = 0; out_x < s.out_width; out_x++) {
            const int column = x + s.left - out_x * s.stride_x;
            float *target = out + (out_y * s.out_width + out_x) * s.channels;
            if (column < 0 || column > span_x || column % s.dilation_x != 0) {
                continue;
            }
            for (c = 0; c < s.channels; c++) {
                target[c] = !s.is_max ? target[c] + pixel[c] : pixel[c] > target[c] ? pixel[c] : target[c];
            }
        }
    }
}

EDGEBN_INLINE void edgebn_conv_pool_f32(const float *in, float *out, float *pixel, edgebn_conv_shape s, const float *weights,
                                        edgebn_epilogue_f32 e, edgebn_pool_shape pool) {
    int y, x, c;
    for (c = 0; c < pool.out_height * pool.out_width * pool.channels; c++) {
        out[c] = pool.is_max ? -EDGEBN_INFINITY : 0.0f;
    }
    for (y = 0; y < s.out_height; y++) {
        for (x = 0; x < s.out_width; x++) {
            edgebn_conv_pixel_f32(in, pixel, s, weights, &e, y, x);
            edgebn_pool_feed_f32(pixel, out, pool, y, x);
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
