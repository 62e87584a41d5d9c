/* The integer epilogue between int16 codes: a sum of 64 bits becomes a code.

   u    = clip(sum + bias, lo, hi)
   code = clip((u * m + r - (neg and u < 0 ? 2^31 : 0)) >> s, low, high)         floor; the zero point is 0 */
#ifndef EDGEBN_REQUANTIZE_S16_H
#define EDGEBN_REQUANTIZE_S16_H

#include "edgebn_common.h"

typedef struct {
    const int64_t *sums;   /* (channels, 2): bias, r */
    const int32_t *scales; /* (channels, 2): m, s */
    const int64_t *limits; /* (channels, 2): lo, hi; NULL where they change no sum */
    int neg;               /* whether 2^31 is taken from negative sums (TensorFlow Lite Micro's double rounding) */
    int32_t low, high;     /* of the code */
} edgebn_epilogue_s16;

EDGEBN_INLINE int64_t edgebn_clip_s64(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

/* A number far beyond the codes, or not, as a code. */
EDGEBN_INLINE int32_t edgebn_code(int64_t y, int32_t low, int32_t high) { return (int32_t)edgebn_clip_s64(y, low, high); }

EDGEBN_INLINE int16_t edgebn_requantize_s16(int64_t sum, int channel, edgebn_epilogue_s16 e) {
    const int64_t biased = sum + e.sums[2 * channel];
    const int64_t u = e.limits ? edgebn_clip_s64(biased, e.limits[2 * channel], e.limits[2 * channel + 1]) : biased;
    int64_t y = u * e.scales[2 * channel] + e.sums[2 * channel + 1];
    if (e.neg && u < 0) {
        y -= (int64_t)1 << 31;
    }
    return (int16_t)edgebn_code(y >> e.scales[2 * channel + 1], e.low, e.high);
}

#endif
