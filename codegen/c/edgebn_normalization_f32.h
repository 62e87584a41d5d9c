/* float32 norms by the sample's own statistics, two passes: sums of blocks keep the rounding small. Both may work in place. */
#ifndef EDGEBN_NORMALIZATION_F32_H
#define EDGEBN_NORMALIZATION_F32_H

#include "edgebn_root_f32.h"

#define EDGEBN_NORM_BLOCK 32

/* Sum over a map (pixels, stride) of x - mean, or of its square, from `channels` neighbouring elements of each pixel. */
EDGEBN_SHARED float edgebn_norm_sum_f32(const float *in, int pixels, int stride, int channels, float mean, int squared) {
    float total = 0.0f, block = 0.0f;
    int i, c, count = 0;
    for (i = 0; i < pixels; i++, in += stride) {
        for (c = 0; c < channels; c++) {
            const float x = in[c] - mean;
            block += squared ? x * x : x;
            if (++count == EDGEBN_NORM_BLOCK) {
                total += block;
                block = 0.0f;
                count = 0;
            }
        }
    }
    return total + block;
}

/* One group of `channels` neighbouring elements of each pixel. */
EDGEBN_SHARED void edgebn_norm_group_f32(const float *in, float *out, int pixels, int stride, int channels, const float *gamma,
                                         const float *beta, float epsilon, int centred) {
    const float count = (float)pixels * (float)channels;
    float mean = 0.0f, variance, factor;
    int i, c;
    if (centred) { /* twice: the second takes what the first rounded away */
        mean = edgebn_norm_sum_f32(in, pixels, stride, channels, 0.0f, 0) / count;
        mean += edgebn_norm_sum_f32(in, pixels, stride, channels, mean, 0) / count;
    }
    variance = edgebn_norm_sum_f32(in, pixels, stride, channels, mean, 1) / count + epsilon;
    factor = 1.0f / edgebn_sqrt_f32(variance < 1e-37f ? 1e-37f : variance); /* of a normal number */
    for (i = 0; i < pixels; i++, in += stride, out += stride) {
        for (c = 0; c < channels; c++) {
            out[c] = (in[c] - mean) * factor * gamma[c] + beta[c];
        }
    }
}

/* Each pixel by the statistics of its channels. */
EDGEBN_SHARED void edgebn_normalize_pixels_f32(const float *in, float *out, int pixels, int channels, const float *gamma,
                                               const float *beta, float epsilon, int centred) {
    for (; pixels > 0; pixels--, in += channels, out += channels) {
        edgebn_norm_group_f32(in, out, 1, channels, channels, gamma, beta, epsilon, centred);
    }
}

/* The whole map by the statistics of groups of channels. */
EDGEBN_SHARED void edgebn_normalize_groups_f32(const float *in, float *out, int pixels, int channels, int groups, const float *gamma,
                                               const float *beta, float epsilon, int centred) {
    const int size = channels / groups;
    int c;
    for (c = 0; c < channels; c += size) {
        edgebn_norm_group_f32(in + c, out + c, pixels, channels, size, gamma + c, beta + c, epsilon, centred);
    }
}

#endif
