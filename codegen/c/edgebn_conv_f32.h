/* float32 convolution of any kernel, stride, dilation, padding and grouping, depthwise and dense included.

   weights (out_channels, kernel_height, kernel_width, channels / groups). Taps outside the input are left out. */
#ifndef EDGEBN_CONV_F32_H
#define EDGEBN_CONV_F32_H

#include "edgebn_epilogue_f32.h"

EDGEBN_INLINE float edgebn_dot_f32(const float *x, const float *w, int count) {
    float even = 0.0f, odd = 0.0f; /* two sums: the products need not wait for one another */
    int i;
    for (i = 0; i + 2 <= count; i += 2) {
        even += x[i] * w[i];
        odd += x[i + 1] * w[i + 1];
    }
    return i < count ? even + odd + x[i] * w[i] : even + odd;
}

/* One output pixel's channels. */
EDGEBN_INLINE void edgebn_conv_pixel_f32(const float *in, float *out, edgebn_conv_shape s, const float *weights,
                                         const edgebn_epilogue_f32 *e, int out_y, int out_x) {
    const int per_group = s.channels / s.groups, out_per_group = s.out_channels / s.groups;
    const int first_y = out_y * s.stride_y - s.top, first_x = out_x * s.stride_x - s.left;
    int o, i, j;
    for (o = 0; o < s.out_channels; o++) {
        const float *w = weights + o * s.kernel_height * s.kernel_width * per_group;
        float acc = 0.0f;
        for (i = 0; i < s.kernel_height; i++) {
            const int y = first_y + i * s.dilation_y;
            for (j = 0; j < s.kernel_width; j++, w += per_group) {
                const int x = first_x + j * s.dilation_x;
                if (y >= 0 && y < s.height && x >= 0 && x < s.width) {
                    acc += edgebn_dot_f32(in + (y * s.width + x) * s.channels + o / out_per_group * per_group, w, per_group);
                }
            }
        }
        out[o] = edgebn_finish_f32(acc, e, o);
    }
}

EDGEBN_INLINE void edgebn_conv_f32(const float *in, float *out, edgebn_conv_shape s, const float *weights, edgebn_epilogue_f32 e) {
    int y, x;
    for (y = 0; y < s.out_height; y++) {
        for (x = 0; x < s.out_width; x++, out += s.out_channels) {
            edgebn_conv_pixel_f32(in, out, s, weights, &e, y, x);
        }
    }
}

#endif
