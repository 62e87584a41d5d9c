/* float32 softmax over the channels. May work in place. */
#ifndef EDGEBN_SOFTMAX_F32_H
#define EDGEBN_SOFTMAX_F32_H

#include "edgebn_float.h"

EDGEBN_SHARED void edgebn_softmax_f32(const float *in, float *out, int pixels, int channels, float beta) {
    for (; pixels > 0; pixels--, in += channels, out += channels) {
        float largest = in[0] * beta, total = 0.0f;
        int c;
        for (c = 1; c < channels; c++) {
            largest = in[c] * beta > largest ? in[c] * beta : largest;
        }
        for (c = 0; c < channels; c++) {
            out[c] = edgebn_exp_f32(in[c] * beta - largest);
            total += out[c];
        }
        for (c = 0; c < channels; c++) {
            out[c] /= total;
        }
    }
}

#endif
