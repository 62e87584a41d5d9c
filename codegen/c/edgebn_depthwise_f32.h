/* float32 depthwise convolution, one output channel an input channel; may work in place (see edgebn_row_ring.h).

   weights (kernel_height, kernel_width, channels). scratch: (ring rows, left + width + right, channels) floats. */
#ifndef EDGEBN_DEPTHWISE_F32_H
#define EDGEBN_DEPTHWISE_F32_H

#include "edgebn_epilogue_f32.h"
#include "edgebn_row_ring.h"

/* One output pixel; `x` is its leftmost tap in every row, in floats. */
EDGEBN_INLINE void edgebn_depthwise_pixel_f32(const float *const *rows, int x, float *out, edgebn_conv_shape s,
                                              const float *weights, const edgebn_epilogue_f32 *e) {
    int c, i, j;
    for (c = 0; c < s.channels; c++) {
        const float *w = weights + c;
        float acc = 0.0f;
        EDGEBN_UNROLL_3
        for (i = 0; i < s.kernel_height; i++) {
            EDGEBN_UNROLL_3
            for (j = 0; j < s.kernel_width; j++, w += s.channels) {
                acc += *w * rows[i][x + j * s.dilation_x * s.channels + c];
            }
        }
        out[c] = edgebn_finish_f32(acc, e, c);
    }
}

EDGEBN_INLINE void edgebn_depthwise_f32(const float *in, float *out, float *scratch, edgebn_conv_shape s, const float *weights,
                                        edgebn_epilogue_f32 e) {
    const int pitch = edgebn_padded_width(s) * s.channels;
    const float *rows[EDGEBN_DEPTHWISE_ROWS];
    edgebn_row_ring ring = {(int8_t *)scratch, s.dilation_y * (s.kernel_height - 1) + 1, 4 * pitch, 0};
    edgebn_conv_shape bytes = s;
    int y, x, i;
    bytes.channels = 4 * s.channels;
    for (y = 0; y < s.out_height; y++) {
        edgebn_ring_fill(&ring, (const int8_t *)in, bytes, y * s.stride_y + ring.count);
        for (i = 0; i < s.kernel_height; i++) {
            rows[i] = scratch + (y * s.stride_y + i * s.dilation_y) % ring.count * pitch;
        }
        for (x = 0; x < s.out_width; x++, out += s.channels) {
            edgebn_depthwise_pixel_f32(rows, x * s.stride_x * s.channels, out, s, weights, &e);
        }
    }
}

#endif
