/* Convolution of any kernel, stride, dilation, padding and grouping: a tile of columns, then their products with the weights.

   weights (groups, channels / 2, taps / 4, 2, 4), see edgebn_gemm_s8.h. scratch: the columns of one tile. A pointwise convolution
   that makes no more channels than it reads may work in place: a pixel is read whole before it is written. */
#ifndef EDGEBN_CONV_S8_H
#define EDGEBN_CONV_S8_H

#include "edgebn_gather_s8.h"

/* One tile: `count` pixels from (y, x) on in row-major order, into `out` with their channels side by side. */
EDGEBN_INLINE void edgebn_conv_tile_s8(const int8_t *in, int8_t *out, int8_t *scratch, edgebn_conv_shape s, const int8_t *weights,
                                       edgebn_epilogue_s8 e, edgebn_gemm_s8 gemm, int y, int x, int count) {
    const int taps = s.kernel_height * s.kernel_width * (s.channels / s.groups);
    const int per_group = s.out_channels / s.groups;
    int group;
    EDGEBN_CHOOSE_PIXELS(&e, s.out_width, y, x, count);
    for (group = 0; group < s.groups; group++) {
        int tile_y = y, tile_x = x, pixel;
        for (pixel = 0; pixel < EDGEBN_TILE_PIXELS && pixel < count; pixel++) {
            edgebn_gather_s8(in, scratch, pixel, s, tile_y, tile_x, group);
            if (++tile_x == s.out_width) {
                tile_x = 0;
                tile_y++;
            }
        }
        if (EDGEBN_OBSERVES(&e)) {
            const edgebn_epilogue_s8 observing = e; /* a copy: see edgebn_depthwise_s8.h */
            EDGEBN_OBSERVING_GEMM(gemm)(scratch, weights, taps, per_group, &observing, out, s.out_channels, count);
        } else {
            gemm(scratch, weights, taps, per_group, &e, out, s.out_channels, count);
        }
        if (s.groups > 1) {
            weights += (per_group + 1) / 2 * 2 * EDGEBN_ROUND_UP_4(taps);
            out += per_group;
            e.channels += per_group * EDGEBN_CHANNEL_WORDS;
            e.limits = e.clips ? e.limits + 2 * per_group : NULL;
            EDGEBN_NEXT_CHANNELS(&e, per_group);
        }
    }
}

EDGEBN_INLINE void edgebn_conv_s8(const int8_t *in, int8_t *out, int8_t *scratch, edgebn_conv_shape s, const int8_t *weights,
                                  edgebn_epilogue_s8 e, edgebn_gemm_s8 gemm) {
    int left = s.out_height * s.out_width, y = 0, x = 0;
    for (; left > 0; left -= EDGEBN_TILE_PIXELS, out += EDGEBN_TILE_PIXELS * s.out_channels) {
        edgebn_conv_tile_s8(in, out, scratch, s, weights, e, gemm, y, x, left);
        for (x += EDGEBN_TILE_PIXELS; x >= s.out_width; x -= s.out_width) {
            y++;
        }
    }
}

#endif
