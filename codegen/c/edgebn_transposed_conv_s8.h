/* Transposed convolution: every output pixel collects the inputs that scatter to it; a tap that meets none reads the zero point.

   weights (out_channels, kernel_height, kernel_width, channels / groups). */
#ifndef EDGEBN_TRANSPOSED_CONV_S8_H
#define EDGEBN_TRANSPOSED_CONV_S8_H

#include "edgebn_requantize_s8.h"
#include "edgebn_shape.h"

/* `tap`: the sum of one tap's products; `pixel` is NULL where the tap meets no input. Two loops: Clang 14 for Armv8.1-M does not
   survive one with the question inside. */
#define EDGEBN_DEFINE_TRANSPOSED(name, tap, weight_type)                                                               \
    EDGEBN_INLINE int32_t tap(const int8_t *pixel, const weight_type *w, int channels, int32_t zero_point) {           \
        int32_t sum = 0;                                                                                               \
        int i;                                                                                                         \
        if (pixel == NULL) {                                                                                           \
            for (i = 0; i < channels; i++) {                                                                           \
                sum += w[i];                                                                                           \
            }                                                                                                          \
            return sum * zero_point;                                                                                   \
        }                                                                                                              \
        for (i = 0; i < channels; i++) {                                                                               \
            sum += w[i] * pixel[i];                                                                                    \
        }                                                                                                              \
        return sum;                                                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    EDGEBN_INLINE void name(const int8_t *in, int8_t *out, edgebn_conv_shape s, const weight_type *weights,            \
                            edgebn_epilogue_s8 e) {                                                                    \
        const int per_group = s.channels / s.groups, out_per_group = s.out_channels / s.groups;                        \
        int y, x, o, i, j;                                                                                             \
        for (y = 0; y < s.out_height; y++) {                                                                           \
            for (x = 0; x < s.out_width; x++) {                                                                        \
                EDGEBN_CHOOSE_PIXELS(&e, s.out_width, y, x, 1);                                                        \
                for (o = 0; o < s.out_channels; o++) {                                                                 \
                    const weight_type *w = weights + o * s.kernel_height * s.kernel_width * per_group;                 \
                    const edgebn_channel_s8 channel = edgebn_channel(&e, o);                                           \
                    int32_t acc = edgebn_bias(&e, o);                                                                  \
                    for (i = 0; i < s.kernel_height; i++) {                                                            \
                        const int in_y = y + s.top - i * s.dilation_y;                                                 \
                        const int has_row = in_y >= 0 && in_y % s.stride_y == 0 && in_y / s.stride_y < s.height;       \
                        for (j = 0; j < s.kernel_width; j++, w += per_group) {                                         \
                            const int in_x = x + s.left - j * s.dilation_x;                                            \
                            const int has_column = in_x >= 0 && in_x % s.stride_x == 0 && in_x / s.stride_x < s.width; \
                            const int8_t *pixel = NULL;                                                                \
                            if (has_row && has_column) {                                                               \
                                pixel = in + (in_y / s.stride_y * s.width + in_x / s.stride_x) * s.channels;           \
                                pixel += o / out_per_group * per_group;                                                \
                            }                                                                                          \
                            acc += tap(pixel, w, per_group, s.zero_point);                                             \
                        }                                                                                              \
                    }                                                                                                  \
                    edgebn_observe_pair_s8(&e, o, acc, acc);                                                           \
                    *out++ = edgebn_requantize_s8(acc, &channel, &e);                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

EDGEBN_DEFINE_TRANSPOSED(edgebn_transposed_conv_s8, edgebn_transposed_tap_s8, int8_t)
EDGEBN_DEFINE_TRANSPOSED(edgebn_transposed_conv_wide_s8, edgebn_transposed_tap_wide_s8, int16_t) /* of uint8 files */

#endif
