/* What adaptation gathers where accumulators become codes; a program compiled without EDGEBN_ADAPT has none of it.

   e = saturate_int16((u - center) >> shift)    first += e    second += e * e          u: the accumulator after the epilogue's clip

   Pixels of a tile are chosen one by one: two neighbours may lie in different rows. */
#ifndef EDGEBN_OBSERVE_S8_H
#define EDGEBN_OBSERVE_S8_H

#include "edgebn_common.h"

/* One layer's part. */
typedef struct {
    const int32_t *centers; /* (channels) */
    const uint8_t *shifts;  /* (channels) */
    const uint8_t *rows;    /* (rows of output before a pool): 1 where a row is observed */
    int32_t *first;         /* (channels) sums, 0 before an inference */
    uint64_t *second;
} edgebn_observation_s8;

EDGEBN_INLINE int32_t edgebn_saturate_s16(int32_t x) {
#if defined(EDGEBN_HAS_SSAT)
    __asm__("ssat %0, #16, %1" : "=r"(x) : "r"(x));
    return x;
#else
    return edgebn_clip(x, -32768, 32767);
#endif
}

EDGEBN_INLINE int32_t edgebn_deviation_s8(int32_t u, int32_t center, int shift) {
    /* Wherever the difference could overflow the generator has put the center elsewhere; unsigned, it is defined at any rate. */
    return edgebn_saturate_s16((int32_t)((uint32_t)u - (uint32_t)center) >> shift);
}

EDGEBN_INLINE void edgebn_observe_s8(const edgebn_observation_s8 *observation, int channel, int32_t u) {
    const int32_t e = edgebn_deviation_s8(u, observation->centers[channel], observation->shifts[channel]);
    observation->first[channel] += e;
    observation->second[channel] += (uint32_t)(e * e);
}

/* The same for two accumulators of a channel: their squares' sum fits 32 bits. */
EDGEBN_INLINE void edgebn_observe_two_s8(const edgebn_observation_s8 *observation, int channel, int32_t u0, int32_t u1) {
    const int32_t center = observation->centers[channel];
    const int shift = observation->shifts[channel];
    const int32_t e0 = edgebn_deviation_s8(u0, center, shift), e1 = edgebn_deviation_s8(u1, center, shift);
    observation->first[channel] += e0 + e1;
    observation->second[channel] += (uint32_t)(e0 * e0) + (uint32_t)(e1 * e1);
}

/* Returns which of the `count` pixels from (y, x) on are observed: bit 0 for the first, bit 1 for the second. */
EDGEBN_INLINE int edgebn_observed_pixels(const edgebn_observation_s8 *observation, int width, int y, int x, int count) {
    const uint8_t *rows;
    if (observation == NULL) {
        return 0;
    }
    rows = observation->rows + y;
    return rows[0] | (count > 1 ? rows[x + 1 == width] << 1 : 0);
}

#endif
