/* The tile of edgebn_gemm_s8.h in plain C: two pixels by two channels, which is what thirteen registers hold. */
#ifndef EDGEBN_GEMM_PLAIN_S8_H
#define EDGEBN_GEMM_PLAIN_S8_H

#include "edgebn_columns_s8.h"
#include "edgebn_dot_plain_s8.h"
#include "edgebn_requantize_s8.h"

#define EDGEBN_TILE_PIXELS 2
#define EDGEBN_TAPS(what) edgebn_taps_##what##_s8

/* One tap of two pixels and two channels. */
#define EDGEBN_TAP_2X2(i)                                        \
    do {                                                         \
        const int32_t p = x0[i], q = x1[i], u = w[i], v = w[4 + (i)]; \
        acc00 += p * u;                                          \
        acc01 += q * u;                                          \
        acc10 += p * v;                                          \
        acc11 += q * v;                                          \
    } while (0)

EDGEBN_INLINE void edgebn_gemm_tile_s8(const int8_t *columns, const int8_t *w, int taps, int channels, const edgebn_epilogue_s8 *e,
                                       int8_t *out, int stride, int count) {
    const int length = EDGEBN_ROUND_UP_4(taps);
    int8_t *out0 = out, *out1 = count > 1 ? out + stride : out;
    int o;
    for (o = 0; o < channels; o += 2) {
        const int8_t *x0 = columns, *x1 = columns + length, *const end = x1;
        const int pair = o + 1 < channels;
        int32_t acc00 = edgebn_bias(e, o), acc01 = acc00;
        int32_t acc10 = pair ? edgebn_bias(e, o + 1) : 0, acc11 = acc10;
        edgebn_channel_s8 c;
        int8_t y0, y1;
        for (; x0 != end; x0 += 4, x1 += 4, w += 8) {
            EDGEBN_TAP_2X2(0);
            EDGEBN_TAP_2X2(1);
            EDGEBN_TAP_2X2(2);
            EDGEBN_TAP_2X2(3);
        }
        edgebn_observe_pair_s8(e, o, acc00, acc01);
        c = edgebn_channel(e, o);
        y1 = edgebn_requantize_s8(acc01, &c, e);
        y0 = edgebn_requantize_s8(acc00, &c, e);
        out1[o] = y1;
        out0[o] = y0;
        if (pair) {
            edgebn_observe_pair_s8(e, o + 1, acc10, acc11);
            c = edgebn_channel(e, o + 1);
            y1 = edgebn_requantize_s8(acc11, &c, e);
            y0 = edgebn_requantize_s8(acc10, &c, e);
            out1[o + 1] = y1;
            out0[o + 1] = y0;
        }
    }
}

#endif
