/* Pixels of a depthwise convolution in plain C: two neighbours at a time share the weights and, at stride one, most inputs. */
#ifndef EDGEBN_DEPTHWISE_PLAIN_S8_H
#define EDGEBN_DEPTHWISE_PLAIN_S8_H

#include "edgebn_requantize_s8.h"
#include "edgebn_shape.h"

/* One pixel, or two neighbours where `two`; `x0` is the first one's leftmost tap in row 0 of `rows`, in bytes. */
EDGEBN_INLINE void edgebn_depthwise_channels_s8(const int8_t *const *rows, int x0, int8_t *out, edgebn_conv_shape s,
                                                const int8_t *weights, const edgebn_epilogue_s8 *e, int two) {
    const int x1 = two ? x0 + s.stride_x * s.channels : x0;
    int c;
    for (c = 0; c < s.channels; c++) {
        int32_t acc0 = edgebn_bias(e, c), acc1 = acc0;
        const edgebn_channel_s8 channel = edgebn_channel(e, c);
        int8_t code;
        int i, j;
        EDGEBN_UNROLL_3
        for (i = 0; i < s.kernel_height; i++) {
            EDGEBN_UNROLL_3
            for (j = 0; j < s.kernel_width; j++) {
                const int32_t w = weights[(i * s.kernel_width + j) * s.channels + c];
                const int8_t *tap = rows[i] + j * s.dilation_x * s.channels + c;
                acc0 += w * tap[x0];
                if (two) {
                    acc1 += w * tap[x1];
                }
            }
        }
        edgebn_observe_pair_s8(e, c, acc0, acc1);
        code = edgebn_requantize_s8(acc0, &channel, e);
        if (two) {
            out[s.channels + c] = edgebn_requantize_s8(acc1, &channel, e);
        }
        out[c] = code;
    }
}

/* One row of the output. */
EDGEBN_INLINE void edgebn_depthwise_row_s8(const int8_t *const *rows, int8_t *out, edgebn_conv_shape s, const int8_t *weights,
                                           const edgebn_epilogue_s8 *e) {
    int x;
    for (x = 0; x + 2 <= s.out_width; x += 2) {
        edgebn_depthwise_channels_s8(rows, x * s.stride_x * s.channels, out + x * s.channels, s, weights, e, 1);
    }
    if (s.out_width % 2 != 0) {
        edgebn_depthwise_channels_s8(rows, x * s.stride_x * s.channels, out + x * s.channels, s, weights, e, 0);
    }
}

#endif
