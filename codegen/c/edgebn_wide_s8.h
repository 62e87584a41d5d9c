/* Output channels of a convolution whose weights need 16 bits (uint8 files), one by one, over what the int8 kernel wrote for them.

   channels (count): which output channels. weights (count, kernel_height, kernel_width, channels / groups). The epilogue has `count`
   records. A tap beside the input reads the zero point. */
#ifndef EDGEBN_WIDE_S8_H
#define EDGEBN_WIDE_S8_H

#include "edgebn_requantize_s8.h"
#include "edgebn_shape.h"

EDGEBN_INLINE int32_t edgebn_wide_tap_s8(const int8_t *in, const int16_t *w, int channels) {
    int32_t sum = 0;
    int i;
    for (i = 0; i < channels; i++) {
        sum += w[i] * in[i];
    }
    return sum;
}

EDGEBN_INLINE int32_t edgebn_wide_padding_s8(const int16_t *w, int channels, int32_t zero_point) {
    int32_t sum = 0;
    int i;
    for (i = 0; i < channels; i++) {
        sum += w[i];
    }
    return sum * zero_point;
}

/* The sum of one window that begins at (y, x), which may lie beside the input, from input channel `first` on. */
EDGEBN_INLINE int32_t edgebn_wide_window_s8(const int8_t *in, edgebn_conv_shape s, const int16_t *w, int y, int x, int first) {
    const int per_group = s.channels / s.groups;
    int32_t sum = 0;
    int i, j;
    for (i = 0; i < s.kernel_height; i++) {
        const int in_y = y + i * s.dilation_y;
        for (j = 0; j < s.kernel_width; j++, w += per_group) {
            const int in_x = x + j * s.dilation_x;
            if (in_y < 0 || in_y >= s.height || in_x < 0 || in_x >= s.width) {
                sum += edgebn_wide_padding_s8(w, per_group, s.zero_point);
            } else {
                sum += edgebn_wide_tap_s8(in + (in_y * s.width + in_x) * s.channels + first, w, per_group);
            }
        }
    }
    return sum;
}

/* One for all layers: they have few such channels, and a copy in each would fill the stack of the function that calls them all. */
EDGEBN_SHARED void edgebn_wide_s8(const int8_t *in, int8_t *out, edgebn_conv_shape s, int count, const int16_t *channels,
                                  const int16_t *weights, edgebn_epilogue_s8 e) {
    const int per_group = s.channels / s.groups, out_per_group = s.out_channels / s.groups;
    int k, y, x;
    for (k = 0; k < count; k++) {
        const int16_t *w = weights + k * s.kernel_height * s.kernel_width * per_group;
        const edgebn_channel_s8 channel = edgebn_channel(&e, k);
        const int first = channels[k] / out_per_group * per_group;
        int8_t *to = out + channels[k];
        for (y = 0; y < s.out_height; y++) {
            for (x = 0; x < s.out_width; x++, to += s.out_channels) {
                const int32_t sum = edgebn_wide_window_s8(in, s, w, y * s.stride_y - s.top, x * s.stride_x - s.left, first);
                *to = edgebn_requantize_s8(edgebn_bias(&e, k) + sum, &channel, &e);
            }
        }
    }
}

#endif
