/* Convolution with the pool that follows it: see edgebn_conv_s8.h and edgebn_pool_feed_s8.h.

   scratch: columns of one tile, the tile's outputs, then the sums of an average; `tile` and `sums` say where the last two begin. */
#ifndef EDGEBN_CONV_POOL_S8_H
#define EDGEBN_CONV_POOL_S8_H

#include "edgebn_conv_s8.h"
#include "edgebn_pool_feed_s8.h"

EDGEBN_INLINE void edgebn_conv_pool_s8(const int8_t *in, int8_t *out, int8_t *scratch, int8_t *tile, int32_t *sums,
                                       edgebn_conv_shape s, const int8_t *weights, edgebn_epilogue_s8 e, edgebn_gemm_s8 gemm,
                                       edgebn_pool_shape pool) {
    edgebn_pool_state state = edgebn_pool_begin_s8(out, sums, pool);
    int left = s.out_height * s.out_width, y = 0, x = 0;
    for (; left > 0; left -= EDGEBN_TILE_PIXELS) {
        int pixel;
        edgebn_conv_tile_s8(in, tile, scratch, s, weights, e, gemm, y, x, left);
        for (pixel = 0; pixel < EDGEBN_TILE_PIXELS && pixel < left; pixel++) {
            edgebn_pool_feed_s8(&state, tile + pixel * s.out_channels, pool, y, x);
            if (++x == s.out_width) {
                x = 0;
                y++;
            }
        }
    }
}

#endif
