/* Depthwise convolution with the pool that follows it: see edgebn_depthwise_s8.h and edgebn_pool_feed_s8.h.

   scratch: the ring of input rows; `row`: one row of outputs; `sums`: those of an average. */
#ifndef EDGEBN_DEPTHWISE_POOL_S8_H
#define EDGEBN_DEPTHWISE_POOL_S8_H

#include "edgebn_depthwise_s8.h"
#include "edgebn_pool_feed_s8.h"

EDGEBN_INLINE void edgebn_depthwise_pool_s8(const int8_t *in, int8_t *out, int8_t *scratch, int8_t *row, int32_t *sums,
                                            edgebn_conv_shape s, const int8_t *weights, edgebn_epilogue_s8 e,
                                            edgebn_pool_shape pool) {
    edgebn_row_ring ring = {scratch, s.dilation_y * (s.kernel_height - 1) + 1, edgebn_padded_width(s) * s.channels, 0};
    edgebn_pool_state state = edgebn_pool_begin_s8(out, sums, pool);
    int y, x;
    for (y = 0; y < s.out_height; y++) {
        edgebn_depthwise_next_row_s8(&ring, in, row, s, weights, &e, y);
        for (x = 0; x < s.out_width; x++) {
            edgebn_pool_feed_s8(&state, row + x * s.channels, pool, y, x);
        }
    }
}

#endif
