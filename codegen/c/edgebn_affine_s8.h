/* A batch norm of its own: every code goes through the epilogue of its channel. May work in place. */
#ifndef EDGEBN_AFFINE_S8_H
#define EDGEBN_AFFINE_S8_H

#include "edgebn_requantize_s8.h"

EDGEBN_INLINE void edgebn_affine_s8(const int8_t *in, int8_t *out, int pixels, int channels, edgebn_epilogue_s8 e) {
    int i, c;
    for (i = 0; i < pixels; i++) {
        for (c = 0; c < channels; c++) {
            const edgebn_channel_s8 channel = edgebn_channel(&e, c);
            *out++ = edgebn_requantize_s8(*in++ + edgebn_bias(&e, c), &channel, &e);
        }
    }
}

#if defined(EDGEBN_ADAPT)
/* Gathers what edgebn_affine_s8 is about to see; call it first, since that may write over its input. */
EDGEBN_SHARED void edgebn_affine_observe_s8(const int8_t *in, int height, int width, int channels, edgebn_epilogue_s8 e) {
    int y, x, c;
    for (y = 0; y < height; y++) {
        e.pixels = edgebn_observed_pixels(e.observation, width, y, 0, 1);
        for (x = 0; x < width; x++, in += channels) {
            for (c = 0; c < channels; c++) {
                const int32_t acc = in[c] + edgebn_bias(&e, c);
                edgebn_observe_pair_s8(&e, c, acc, acc);
            }
        }
    }
}
#endif

#endif
