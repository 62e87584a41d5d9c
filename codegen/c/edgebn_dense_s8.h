/* Dense layer, or a convolution whose kernel is its whole input: one pixel's taps, read where they lie; no scratch memory.

   weights (channels / 2, taps / 4, 2, 4), see edgebn_gemm_s8.h. */
#ifndef EDGEBN_DENSE_S8_H
#define EDGEBN_DENSE_S8_H

#include "edgebn_gemm_s8.h"

typedef void (*edgebn_dense_kernel_s8)(const int8_t *in, int8_t *out, int taps, int channels, const int8_t *weights,
                                       const edgebn_epilogue_s8 *e);

EDGEBN_INLINE void edgebn_dense_pairs_s8(const int8_t *in, int8_t *out, int taps, int channels, const int8_t *w,
                                         const edgebn_epilogue_s8 *e) {
    int o;
    for (o = 0; o < channels; o += 2) {
        const int pair = o + 1 < channels;
        int32_t acc0 = edgebn_bias(e, o), acc1 = pair ? edgebn_bias(e, o + 1) : 0;
        edgebn_channel_s8 c = edgebn_channel(e, o);
        edgebn_dot_pair_s8(in, w, taps, &acc0, &acc1);
        edgebn_observe_pair_s8(e, o, acc0, acc0);
        out[o] = edgebn_requantize_s8(acc0, &c, e);
        if (pair) {
            edgebn_observe_pair_s8(e, o + 1, acc1, acc1);
            c = edgebn_channel(e, o + 1);
            out[o + 1] = edgebn_requantize_s8(acc1, &c, e);
        }
        w += 2 * EDGEBN_ROUND_UP_4(taps);
    }
}

EDGEBN_SHARED void edgebn_dense_simple_s8(const int8_t *in, int8_t *out, int taps, int channels, const int8_t *weights,
                                          const edgebn_epilogue_s8 *e) {
    const edgebn_epilogue_s8 simple = edgebn_simple_epilogue(e, 0);
    edgebn_dense_pairs_s8(in, out, taps, channels, weights, &simple);
}

EDGEBN_SHARED void edgebn_dense_double_s8(const int8_t *in, int8_t *out, int taps, int channels, const int8_t *weights,
                                          const edgebn_epilogue_s8 *e) {
    const edgebn_epilogue_s8 simple = edgebn_simple_epilogue(e, 1);
    edgebn_dense_pairs_s8(in, out, taps, channels, weights, &simple);
}

EDGEBN_SHARED void edgebn_dense_any_s8(const int8_t *in, int8_t *out, int taps, int channels, const int8_t *weights,
                                       const edgebn_epilogue_s8 *e) {
    edgebn_dense_pairs_s8(in, out, taps, channels, weights, e);
}

EDGEBN_INLINE void edgebn_dense_s8(const int8_t *in, int8_t *out, int taps, int channels, const int8_t *weights,
                                   edgebn_epilogue_s8 e, edgebn_dense_kernel_s8 kernel) {
    EDGEBN_CHOOSE_PIXELS(&e, 1, 0, 0, 1);
    if (EDGEBN_OBSERVES(&e)) {
        edgebn_dense_any_s8(in, out, taps, channels, weights, &e);
    } else {
        kernel(in, out, taps, channels, weights, &e);
    }
}

#endif
