/* The tile of edgebn_gemm_s8.h for Helium: two pixels by two channels, sixteen taps an instruction. */
#ifndef EDGEBN_GEMM_MVE_S8_H
#define EDGEBN_GEMM_MVE_S8_H

#include "edgebn_columns_s8.h"
#include "edgebn_requantize_mve_s8.h"

#define EDGEBN_TILE_PIXELS 2
#define EDGEBN_TAPS(what) edgebn_taps_##what##_s8

/* Sixteen taps of a pair of channels. */
EDGEBN_INLINE int32x4x2_t edgebn_pair_mve(const int8_t *w) { return vld2q_s32((const int32_t *)(const void *)w); }

/* The last `taps` (fewer than sixteen) taps of channel `i` of a pair; the rest is zero. */
EDGEBN_INLINE int8x16_t edgebn_last_weights_mve(const int8_t *w, int i, int taps) {
    const uint32x4_t offsets = vidupq_n_u32(0, 8);
    const mve_pred16_t blocks = vctp32q((uint32_t)((taps + 3) / 4));
    return vreinterpretq_s8_s32(vldrwq_gather_offset_z_s32((const int32_t *)(const void *)(w + 4 * i), offsets, blocks));
}

/* Hands out four accumulators: channel 0 of both pixels, channel 1 of both. */
EDGEBN_INLINE void edgebn_finish_pair_mve(int32x4_t acc, const int32_t *words, const edgebn_epilogue_s8 *e, int8_t *out,
                                          uint32x4_t places, uint32x4_t entries) {
    const edgebn_channels_mve channels = edgebn_load_channels_mve(words, entries, 0, 1);
    vstrbq_scatter_offset_s32(out, places, edgebn_requantize_mve_s8(acc, &channels, e));
}

/* The same one by one, for epilogues that clip or are wide, and for a channel without a partner. */
EDGEBN_INLINE void edgebn_finish_pair_s8(const int32_t *acc, int channel, const edgebn_epilogue_s8 *e, int8_t *out, int stride,
                                         int count, int pair) {
    int i, j;
    for (i = 0; i <= pair; i++) {
        const edgebn_channel_s8 c = edgebn_channel(e, channel + i);
        for (j = 0; j < 2 && j < count; j++) {
            out[j * stride + i] = edgebn_requantize_s8(acc[2 * i + j], &c, e);
        }
    }
}

EDGEBN_INLINE void edgebn_gemm_tile_s8(const int8_t *columns, const int8_t *w, int taps, int channels, const edgebn_epilogue_s8 *e,
                                       int8_t *out, int stride, int count) {
    static const uint32_t pairs[4] = {0, 0, 1, 1};
    static const uint32_t second[4] = {0, 1, 0, 1};
    const uint32x4_t places = vaddq_u32(vldrwq_u32(pairs), vmulq_n_u32(vldrwq_u32(second), count > 1 ? (uint32_t)stride : 0u));
    const uint32x4_t entries = vmulq_n_u32(vldrwq_u32(pairs), 4 * EDGEBN_CHANNEL_WORDS);
    const int length = EDGEBN_ROUND_UP_4(taps), rest = length % 16;
    const int8_t *const second_column = count > 1 ? columns + length : columns; /* a pixel alone is made twice */
    int o;
    for (o = 0; o < channels; o += 2) {
        const int8_t *x0 = columns, *x1 = second_column;
        const int pair = o + 1 < channels;
        int32_t acc00 = edgebn_bias(e, o), acc01 = acc00;
        int32_t acc10 = edgebn_bias(e, o + pair), acc11 = acc10;
        int blocks;
        for (blocks = length / 16; blocks > 0; blocks--, x0 += 16, x1 += 16, w += 32) {
            const int32x4x2_t both = edgebn_pair_mve(w);
            const int8x16_t u = vreinterpretq_s8_s32(both.val[0]), v = vreinterpretq_s8_s32(both.val[1]);
            const int8x16_t p = vldrbq_s8(x0), q = vldrbq_s8(x1);
            acc00 = vmladavaq_s8(acc00, p, u);
            acc01 = vmladavaq_s8(acc01, q, u);
            acc10 = vmladavaq_s8(acc10, p, v);
            acc11 = vmladavaq_s8(acc11, q, v);
        }
        if (rest != 0) {
            const mve_pred16_t valid = vctp8q((uint32_t)rest);
            const int8x16_t u = edgebn_last_weights_mve(w, 0, rest), v = edgebn_last_weights_mve(w, 1, rest);
            const int8x16_t p = vldrbq_z_s8(x0, valid), q = vldrbq_z_s8(x1, valid);
            acc00 = vmladavaq_s8(acc00, p, u);
            acc01 = vmladavaq_s8(acc01, q, u);
            acc10 = vmladavaq_s8(acc10, p, v);
            acc11 = vmladavaq_s8(acc11, q, v);
            w += 2 * rest;
        }
        if (e->clips || e->wide || !pair || EDGEBN_OBSERVES(e)) {
            const int32_t accs[4] = {acc00, acc01, acc10, acc11};
            edgebn_observe_pair_s8(e, o, acc00, acc01);
            if (pair) {
                edgebn_observe_pair_s8(e, o + 1, acc10, acc11);
            }
            edgebn_finish_pair_s8(accs, o, e, out + o, stride, count, pair);
        } else {
            int32x4_t accs = vdupq_n_s32(acc00);
            accs = vsetq_lane_s32(acc01, accs, 1);
            accs = vsetq_lane_s32(acc10, accs, 2);
            accs = vsetq_lane_s32(acc11, accs, 3);
            edgebn_finish_pair_mve(accs, e->channels + o * EDGEBN_CHANNEL_WORDS, e, out + o, places, entries);
        }
    }
}

/* One pixel by two channels: adds the products of `in` and a pair's weights. */
EDGEBN_INLINE void edgebn_dot_pair_s8(const int8_t *in, const int8_t *w, int taps, int32_t *acc0, int32_t *acc1) {
    int32_t sum0 = *acc0, sum1 = *acc1;
    for (; taps >= 16; taps -= 16, in += 16, w += 32) {
        const int32x4x2_t both = edgebn_pair_mve(w);
        const int8x16_t p = vldrbq_s8(in);
        sum0 = vmladavaq_s8(sum0, p, vreinterpretq_s8_s32(both.val[0]));
        sum1 = vmladavaq_s8(sum1, p, vreinterpretq_s8_s32(both.val[1]));
    }
    if (taps != 0) {
        const int8x16_t p = vldrbq_z_s8(in, vctp8q((uint32_t)taps));
        sum0 = vmladavaq_s8(sum0, p, edgebn_last_weights_mve(w, 0, taps));
        sum1 = vmladavaq_s8(sum1, p, edgebn_last_weights_mve(w, 1, taps));
    }
    *acc0 = sum0;
    *acc1 = sum1;
}

#endif
