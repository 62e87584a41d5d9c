/* Convolutions of int16 codes by int8 weights (out_channels, kernel_height, kernel_width, channels / groups): plain, depthwise,
   grouped and dense layers. A tap beside the input reads 0. */
#ifndef EDGEBN_CONV_S16_H
#define EDGEBN_CONV_S16_H

#include "edgebn_requantize_s16.h"
#include "edgebn_shape.h"

/* `narrow`: 32 bits hold every sum of the layer. */
EDGEBN_INLINE int64_t edgebn_dot_s16(const int16_t *in, const int8_t *w, int count, int narrow) {
    int64_t wide = 0;
    int i;
    if (narrow) {
        int32_t sum = 0;
        for (i = 0; i < count; i++) {
            sum += (int32_t)in[i] * w[i];
        }
        return sum;
    }
    for (i = 0; i < count; i++) {
        wide += (int32_t)in[i] * w[i];
    }
    return wide;
}

/* The sum of one window that begins at (y, x), which may lie beside the input; `in` begins with its first channel. */
EDGEBN_INLINE int64_t edgebn_window_s16(const int16_t *in, edgebn_conv_shape s, const int8_t *w, int y, int x, int narrow) {
    const int per_group = s.channels / s.groups;
    int64_t sum = 0;
    int i, j;
    for (i = 0; i < s.kernel_height; i++) {
        const int in_y = y + i * s.dilation_y;
        if (in_y < 0 || in_y >= s.height) {
            continue;
        }
        for (j = 0; j < s.kernel_width; j++) {
            const int in_x = x + j * s.dilation_x;
            if (in_x >= 0 && in_x < s.width) {
                const int8_t *tap = w + (i * s.kernel_width + j) * per_group;
                sum += edgebn_dot_s16(in + (in_y * s.width + in_x) * s.channels, tap, per_group, narrow);
            }
        }
    }
    return sum;
}

EDGEBN_INLINE void edgebn_conv_s16(const int16_t *in, int16_t *out, edgebn_conv_shape s, const int8_t *weights, int narrow,
                                   edgebn_epilogue_s16 e) {
    const int per_group = s.channels / s.groups, out_per_group = s.out_channels / s.groups;
    int y, x, o;
    for (y = 0; y < s.out_height; y++) {
        for (x = 0; x < s.out_width; x++) {
            for (o = 0; o < s.out_channels; o++) {
                const int8_t *w = weights + o * s.kernel_height * s.kernel_width * per_group;
                const int16_t *from = in + o / out_per_group * per_group;
                const int64_t sum = edgebn_window_s16(from, s, w, y * s.stride_y - s.top, x * s.stride_x - s.left, narrow);
                *out++ = edgebn_requantize_s16(sum, o, e);
            }
        }
    }
}

#endif
