/* Transposed convolution of int16 codes: every output pixel collects the inputs that scatter to it.

   weights (out_channels, kernel_height, kernel_width, channels / groups), int8. */
#ifndef EDGEBN_TRANSPOSED_CONV_S16_H
#define EDGEBN_TRANSPOSED_CONV_S16_H

#include "edgebn_conv_s16.h"

/* The input row or column that a tap meets, -1 where it meets none. */
EDGEBN_INLINE int edgebn_met_s16(int position, int stride, int size) {
    return position >= 0 && position % stride == 0 && position / stride < size ? position / stride : -1;
}

EDGEBN_INLINE void edgebn_transposed_conv_s16(const int16_t *in, int16_t *out, edgebn_conv_shape s, const int8_t *weights, int narrow,
                                              edgebn_epilogue_s16 e) {
    const int per_group = s.channels / s.groups, out_per_group = s.out_channels / s.groups;
    int y, x, o, i, j;
    for (y = 0; y < s.out_height; y++) {
        for (x = 0; x < s.out_width; x++) {
            for (o = 0; o < s.out_channels; o++) {
                const int8_t *w = weights + o * s.kernel_height * s.kernel_width * per_group;
                const int16_t *from = in + o / out_per_group * per_group;
                int64_t sum = 0;
                for (i = 0; i < s.kernel_height; i++) {
                    const int row = edgebn_met_s16(y + s.top - i * s.dilation_y, s.stride_y, s.height);
                    for (j = 0; j < s.kernel_width; j++, w += per_group) {
                        const int column = edgebn_met_s16(x + s.left - j * s.dilation_x, s.stride_x, s.width);
                        if (row >= 0 && column >= 0) {
                            sum += edgebn_dot_s16(from + (row * s.width + column) * s.channels, w, per_group, narrow);
                        }
                    }
                }
                *out++ = edgebn_requantize_s16(sum, o, e);
            }
        }
    }
}

#endif
