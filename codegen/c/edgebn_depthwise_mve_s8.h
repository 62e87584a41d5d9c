/* Pixels of a depthwise convolution with Helium: four channels of two neighbouring pixels at a time. */
#ifndef EDGEBN_DEPTHWISE_MVE_S8_H
#define EDGEBN_DEPTHWISE_MVE_S8_H

#include "edgebn_depthwise_plain_s8.h"
#include "edgebn_requantize_mve_s8.h"

EDGEBN_INLINE int32x4_t edgebn_codes_mve(const int8_t *codes, mve_pred16_t valid, int all) {
    return all ? vldrbq_s32(codes) : vldrbq_z_s32(codes, valid);
}

EDGEBN_INLINE void edgebn_store_codes_mve(int8_t *out, int32x4_t codes, mve_pred16_t valid, int all) {
    if (all) {
        vstrbq_s32(out, codes);
    } else {
        vstrbq_p_s32(out, codes, valid);
    }
}

/* The sums of one kernel row for a pixel and, where `two`, its neighbour; `tap` and `w` walk along columns. */
EDGEBN_INLINE void edgebn_depthwise_taps_mve(int32x4_t *acc0, int32x4_t *acc1, const int8_t *tap, const int8_t *w,
                                             edgebn_conv_shape s, int two, mve_pred16_t valid, int all) {
    int j;
    if (two && s.kernel_width == 3 && s.stride_x == 1 && s.dilation_x == 1) { /* the neighbours share two of four columns */
        int32x4_t x = edgebn_codes_mve(tap, valid, all), w0, w1, w2;
        w0 = edgebn_codes_mve(w, valid, all);
        w += s.channels;
        w1 = edgebn_codes_mve(w, valid, all);
        w += s.channels;
        w2 = edgebn_codes_mve(w, valid, all);
        *acc0 = vaddq_s32(*acc0, vmulq_s32(w0, x));
        tap += s.channels;
        x = edgebn_codes_mve(tap, valid, all);
        *acc0 = vaddq_s32(*acc0, vmulq_s32(w1, x));
        *acc1 = vaddq_s32(*acc1, vmulq_s32(w0, x));
        tap += s.channels;
        x = edgebn_codes_mve(tap, valid, all);
        *acc0 = vaddq_s32(*acc0, vmulq_s32(w2, x));
        *acc1 = vaddq_s32(*acc1, vmulq_s32(w1, x));
        tap += s.channels;
        x = edgebn_codes_mve(tap, valid, all);
        *acc1 = vaddq_s32(*acc1, vmulq_s32(w2, x));
        return;
    }
    EDGEBN_UNROLL_3
    for (j = 0; j < s.kernel_width; j++, tap += s.dilation_x * s.channels, w += s.channels) {
        const int32x4_t weight = edgebn_codes_mve(w, valid, all);
        *acc0 = vaddq_s32(*acc0, vmulq_s32(weight, edgebn_codes_mve(tap, valid, all)));
        if (two) {
            *acc1 = vaddq_s32(*acc1, vmulq_s32(weight, edgebn_codes_mve(tap + s.stride_x * s.channels, valid, all)));
        }
    }
}

/* Keeps the compiler from loading a row's taps before the row above is done: eight registers hold no more. */
#define EDGEBN_NOT_EARLIER(pointer) __asm__ volatile("" : "+r"(pointer))

/* One pixel, or two neighbours where `two`; `x` is the first one's leftmost tap in row 0 of `rows`, in bytes. */
EDGEBN_INLINE void edgebn_depthwise_channels_mve(const int8_t *const *rows, int x, int8_t *out, edgebn_conv_shape s,
                                                 const int8_t *weights, const edgebn_epilogue_s8 *e, int two) {
    static const uint32_t table[4] = {0, 4 * EDGEBN_CHANNEL_WORDS, 8 * EDGEBN_CHANNEL_WORDS, 12 * EDGEBN_CHANNEL_WORDS};
    const int all = s.channels % 4 == 0;
    int c;
    for (c = 0; c < s.channels; c += 4) {
        const mve_pred16_t valid = all ? (mve_pred16_t)0xFFFF : vctp32q((uint32_t)(s.channels - c));
        const int32_t *words = e->channels + c * EDGEBN_CHANNEL_WORDS;
        uint32x4_t entries = vldrwq_u32(table);
        int32x4_t acc0 = edgebn_words_mve(words, EDGEBN_BIAS, entries, valid, all), acc1 = acc0;
        edgebn_channels_mve channels;
        int i;
        EDGEBN_UNROLL_3
        for (i = 0; i < s.kernel_height; i++) {
            const int8_t *tap = rows[i] + x + c;
            const int8_t *w = weights + i * s.kernel_width * s.channels + c;
            EDGEBN_NOT_EARLIER(tap);
            EDGEBN_NOT_EARLIER(w);
            edgebn_depthwise_taps_mve(&acc0, &acc1, tap, w, s, two, valid, all);
        }
        EDGEBN_NOT_EARLIER(words);
        channels = edgebn_load_channels_mve(words, entries, valid, all);
        edgebn_store_codes_mve(out + c, edgebn_requantize_mve_s8(acc0, &channels, e), valid, all);
        if (two) {
            edgebn_store_codes_mve(out + s.channels + c, edgebn_requantize_mve_s8(acc1, &channels, e), valid, all);
        }
    }
}

/* One row of the output; the epilogues that Helium does not do go the plain way. */
EDGEBN_INLINE void edgebn_depthwise_row_mve(const int8_t *const *rows, int8_t *out, edgebn_conv_shape s, const int8_t *weights,
                                            const edgebn_epilogue_s8 *e) {
    int x;
    if (e->clips || e->wide) {
        edgebn_depthwise_row_s8(rows, out, s, weights, e);
        return;
    }
    for (x = 0; x + 2 <= s.out_width; x += 2) {
        edgebn_depthwise_channels_mve(rows, x * s.stride_x * s.channels, out + x * s.channels, s, weights, e, 1);
    }
    if (s.out_width % 2 != 0) {
        edgebn_depthwise_channels_mve(rows, x * s.stride_x * s.channels, out + x * s.channels, s, weights, e, 0);
    }
}

#endif
