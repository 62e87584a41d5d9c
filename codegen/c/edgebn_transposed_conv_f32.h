/* float32 transposed convolution: every output pixel collects the inputs that scatter to it.

   weights (out_channels, kernel_height, kernel_width, channels / groups). */
#ifndef EDGEBN_TRANSPOSED_CONV_F32_H
#define EDGEBN_TRANSPOSED_CONV_F32_H

#include "edgebn_conv_f32.h"

EDGEBN_INLINE void edgebn_transposed_conv_f32(const float *in, float *out, edgebn_conv_shape s, const float *weights,
                                              edgebn_epilogue_f32 e) {
    const int per_group = s.channels / s.groups, out_per_group = s.out_channels / s.groups;
    int y, x, o, i, j;
    for (y = 0; y < s.out_height; y++) {
        for (x = 0; x < s.out_width; x++) {
            for (o = 0; o < s.out_channels; o++) {
                const float *w = weights + o * s.kernel_height * s.kernel_width * per_group;
                float acc = 0.0f;
                for (i = 0; i < s.kernel_height; i++) {
                    const int in_y = y + s.top - i * s.dilation_y;
                    for (j = 0; j < s.kernel_width; j++, w += per_group) {
                        const int in_x = x + s.left - j * s.dilation_x;
                        if (in_y >= 0 && in_y % s.stride_y == 0 && in_y / s.stride_y < s.height && in_x >= 0 &&
                            in_x % s.stride_x == 0 && in_x / s.stride_x < s.width) {
                            const int pixel = in_y / s.stride_y * s.width + in_x / s.stride_x;
                            acc += edgebn_dot_f32(in + pixel * s.channels + o / out_per_group * per_group, w, per_group);
                        }
                    }
                }
                *out++ = edgebn_finish_f32(acc, &e, o);
            }
        }
    }
}

#endif
