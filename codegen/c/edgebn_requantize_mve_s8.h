/* The integer epilogue of edgebn_requantize_s8.h for four accumulators at a time with Helium; not for `clips` or `wide`. */
#ifndef EDGEBN_REQUANTIZE_MVE_S8_H
#define EDGEBN_REQUANTIZE_MVE_S8_H

#include "edgebn_requantize_s8.h"

#include <arm_mve.h>

/* Four channels' numbers. */
typedef struct {
    int32x4_t m, r_high, minus_shift;
    uint32x4_t r_low;
} edgebn_channels_mve;

/* Word `word` of the entries that lie `entries` bytes behind `words`; zeros where not `valid`, unless `all` are. */
EDGEBN_INLINE int32x4_t edgebn_words_mve(const int32_t *words, int word, uint32x4_t entries, mve_pred16_t valid, int all) {
    return all ? vldrwq_gather_offset_s32(words + word, entries) : vldrwq_gather_offset_z_s32(words + word, entries, valid);
}

EDGEBN_INLINE edgebn_channels_mve edgebn_load_channels_mve(const int32_t *words, uint32x4_t entries, mve_pred16_t valid, int all) {
    edgebn_channels_mve c;
    c.m = edgebn_words_mve(words, EDGEBN_M, entries, valid, all);
    c.r_low = vreinterpretq_u32_s32(edgebn_words_mve(words, EDGEBN_R_LOW, entries, valid, all));
    c.r_high = edgebn_words_mve(words, EDGEBN_R_HIGH, entries, valid, all);
    c.minus_shift = vnegq_s32(edgebn_words_mve(words, EDGEBN_SHIFT, entries, valid, all));
    return c;
}

/* The highest bit of each lane, as 0 or 1. */
EDGEBN_INLINE int32x4_t edgebn_top_bit_mve(uint32x4_t x) { return vreinterpretq_s32_u32(vshrq_n_u32(x, 31)); }

/* Four codes, each in the low byte of its lane. The low words matter for their carry only, which a halving sum has on top. */
EDGEBN_INLINE int32x4_t edgebn_requantize_mve_s8(int32x4_t u, const edgebn_channels_mve *c, const edgebn_epilogue_s8 *e) {
    const uint32x4_t low = vreinterpretq_u32_s32(vmulq_s32(u, c->m));
    int32x4_t high = vaddq_s32(vmulhq_s32(u, c->m), c->r_high);
    high = vaddq_s32(high, edgebn_top_bit_mve(vhaddq_u32(low, c->r_low)));
    if (e->neg) { /* 2^31 less where u < 0: its sign bit to the low word, all of its sign to the high one */
        const uint32x4_t sum = vaddq_u32(low, c->r_low);
        high = vaddq_s32(high, edgebn_top_bit_mve(vandq_u32(sum, vreinterpretq_u32_s32(u))));
        high = vaddq_s32(high, vshrq_n_s32(u, 31));
    }
    high = vshlq_s32(high, c->minus_shift);
    if (e->low == -128 && e->high == 127) {
        const int16x8_t half = vqmovnbq_s32(vreinterpretq_s16_s32(high), high);
        return vreinterpretq_s32_s8(vqmovnbq_s16(vreinterpretq_s8_s16(half), half));
    }
    return vminq_s32(vmaxq_s32(high, vdupq_n_s32(e->low)), vdupq_n_s32(e->high));
}

#endif
