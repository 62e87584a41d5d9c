/* Depthwise convolution, one output channel an input channel.

   weights (kernel_height, kernel_width, channels). The padding's zero point sits in the bias, as that of every other code.
   scratch: (ring rows, left + width + right, channels) codes. */
#ifndef EDGEBN_DEPTHWISE_S8_H
#define EDGEBN_DEPTHWISE_S8_H

#include "edgebn_requantize_s8.h"
#include "edgebn_row_ring.h"

#if defined(__ARM_FEATURE_MVE)
#include "edgebn_depthwise_mve_s8.h"
#define EDGEBN_DEPTHWISE_ROW edgebn_depthwise_row_mve
#else
#include "edgebn_depthwise_plain_s8.h"
#define EDGEBN_DEPTHWISE_ROW edgebn_depthwise_row_s8
#endif

#if defined(EDGEBN_ADAPT)
EDGEBN_INLINE int edgebn_observes_row_s8(const edgebn_epilogue_s8 *e, int y) {
    return e->observation != NULL && e->observation->rows[y];
}

EDGEBN_INLINE void edgebn_depthwise_pairs_observed_s8(const int8_t *const *rows, int8_t *out, edgebn_conv_shape s,
                                                      const int8_t *weights, edgebn_epilogue_s8 observing) {
    int x;
    observing.pixels = 3;
    for (x = 0; x + 2 <= s.out_width; x += 2) {
        edgebn_depthwise_channels_s8(rows, x * s.stride_x * s.channels, out + x * s.channels, s, weights, &observing, 1);
    }
    if (s.out_width % 2 != 0) {
        observing.pixels = 1;
        edgebn_depthwise_channels_s8(rows, x * s.stride_x * s.channels, out + x * s.channels, s, weights, &observing, 0);
    }
}

/* One for all layers: few rows are observed. What most layers have is literal again. */
EDGEBN_SHARED void edgebn_depthwise_row_observed_s8(const int8_t *const *rows, int8_t *out, edgebn_conv_shape s,
                                                    const int8_t *weights, const edgebn_epilogue_s8 *e) {
    if (s.kernel_height == 3 && s.kernel_width == 3 && s.dilation_x == 1 && edgebn_is_simple(e)) {
        s.kernel_height = s.kernel_width = 3;
        s.dilation_x = 1;
        edgebn_depthwise_pairs_observed_s8(rows, out, s, weights, edgebn_simple_observing(e));
    } else {
        edgebn_depthwise_pairs_observed_s8(rows, out, s, weights, *e);
    }
}
#else
#define edgebn_observes_row_s8(e, y) 0
#define edgebn_depthwise_row_observed_s8 EDGEBN_DEPTHWISE_ROW
#endif

/* Row `y` of the output. */
EDGEBN_INLINE void edgebn_depthwise_next_row_s8(edgebn_row_ring *ring, const int8_t *in, int8_t *out, edgebn_conv_shape s,
                                                const int8_t *weights, const edgebn_epilogue_s8 *e, int y) {
    const int8_t *rows[EDGEBN_DEPTHWISE_ROWS];
    int i;
    edgebn_ring_fill(ring, in, s, y * s.stride_y + ring->count);
    EDGEBN_UNROLL_3
    for (i = 0; i < s.kernel_height; i++) {
        rows[i] = ring->rows + (y * s.stride_y + i * s.dilation_y) % ring->count * ring->pitch;
    }
    if (edgebn_observes_row_s8(e, y)) {
        /* Copies: where no address of them leaves this function, the compiler knows their numbers in the other branch. */
        const edgebn_epilogue_s8 copy = *e;
        const int8_t *copies[EDGEBN_DEPTHWISE_ROWS];
        for (i = 0; i < s.kernel_height; i++) {
            copies[i] = rows[i];
        }
        edgebn_depthwise_row_observed_s8(copies, out, s, weights, &copy);
    } else {
        EDGEBN_DEPTHWISE_ROW(rows, out, s, weights, e);
    }
}

EDGEBN_INLINE void edgebn_depthwise_s8(const int8_t *in, int8_t *out, int8_t *scratch, edgebn_conv_shape s, const int8_t *weights,
                                       edgebn_epilogue_s8 e) {
    edgebn_row_ring ring = {scratch, s.dilation_y * (s.kernel_height - 1) + 1, edgebn_padded_width(s) * s.channels, 0};
    int y;
    for (y = 0; y < s.out_height; y++) {
        edgebn_depthwise_next_row_s8(&ring, in, out + y * s.out_width * s.channels, s, weights, &e, y);
    }
}

#endif
