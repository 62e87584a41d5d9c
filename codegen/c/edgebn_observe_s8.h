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

EDGEBN_INLINE void edgebn_observe_s8(const edgebn_observation_s8 *observation, int channel, int32_t u) {
    /* Wherever the difference could overflow the generator has put the center elsewhere; unsigned, it is defined at any rate. */
    const int32_t away = (int32_t)((uint32_t)u - (uint32_t)observation->centers[channel]) >> observation->shifts[channel];
    const int32_t e = edgebn_clip(away, -32768, 32767);
    observation->first[channel] += e;
    observation->second[channel] += (uint32_t)(e * e);
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
