/* float32 convolution 1 x 1 with stride 1; may work in place where it makes no more channels than it reads.

   weights (out_channels, channels). pixel: scratch memory for the channels of one input pixel. */
#ifndef EDGEBN_POINTWISE_F32_H
#define EDGEBN_POINTWISE_F32_H

#include "edgebn_conv_f32.h"

EDGEBN_INLINE void edgebn_pointwise_f32(const float *in, float *out, float *pixel, int pixels, int channels, int out_channels,
                                        const float *weights, edgebn_epilogue_f32 e) {
    for (; pixels > 0; pixels--, in += channels, out += out_channels) {
        const float *w = weights;
        int o;
        (void)memcpy(pixel, in, sizeof(float) * (size_t)channels);
        for (o = 0; o < out_channels; o++, w += channels) {
            out[o] = edgebn_finish_f32(edgebn_dot_f32(pixel, w, channels), &e, o);
        }
    }
}

#endif
