/* The rows that a window spans, copied with their padding into a ring in scratch memory: every pixel is then an inner one, and a
   depthwise convolution may write over its input. */
#ifndef EDGEBN_ROW_RING_H
#define EDGEBN_ROW_RING_H

#include "edgebn_common.h"
#include "edgebn_shape.h"

/* The ring: row `y` of the padded input lies at slot y % rows. */
typedef struct {
    int8_t *rows;
    int count, pitch; /* rows in the ring, bytes of one */
    int filled;       /* padded rows copied so far */
} edgebn_row_ring;

/* Kernels of more rows than this go another way. */
#define EDGEBN_DEPTHWISE_ROWS 8

/* Returns how many columns a row of windows reaches over, padding included. */
EDGEBN_INLINE int edgebn_padded_width(edgebn_conv_shape s) {
    const int reached = (s.out_width - 1) * s.stride_x + s.dilation_x * (s.kernel_width - 1) + 1;
    return (int)edgebn_max(reached, s.left + s.width);
}

/* Copies rows up to padded row `end` (not included). */
EDGEBN_INLINE void edgebn_ring_fill(edgebn_row_ring *ring, const int8_t *in, edgebn_conv_shape s, int end) {
    for (; ring->filled < end; ring->filled++) {
        int8_t *row = ring->rows + ring->filled % ring->count * ring->pitch;
        const int y = ring->filled - s.top, length = s.width * s.channels;
        if (y < 0 || y >= s.height) {
            (void)memset(row, s.zero_point, (size_t)ring->pitch);
        } else {
            (void)memset(row, s.zero_point, (size_t)(s.left * s.channels));
            (void)memcpy(row + s.left * s.channels, in + y * length, (size_t)length);
            (void)memset(row + s.left * s.channels + length, s.zero_point, (size_t)(ring->pitch - s.left * s.channels - length));
        }
    }
}

#endif
