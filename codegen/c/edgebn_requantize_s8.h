/* The integer epilogue: an int32 accumulator becomes an int8 code, batch norm, rounding and activation included.

   u    = clip(acc, lo, hi)
   y    = (u * m + r - (neg and u < 0 ? 2^31 : 0)) >> s         in 64 bits, floor
   code = clip(zero_point + y, low, high)

   A channel is five int32: accumulator bias, m, r (low word, high word), s. The generator scales m and r so that s >= 32 where it
   can, stores s - 32 and adds the zero point into r: only the high word of the sum is shifted. Where that would overflow, the
   step is `wide`: s itself, and all 64 bits are shifted. */
#ifndef EDGEBN_REQUANTIZE_S8_H
#define EDGEBN_REQUANTIZE_S8_H

#include "edgebn_observe_s8.h"

enum { EDGEBN_BIAS, EDGEBN_M, EDGEBN_R_LOW, EDGEBN_R_HIGH, EDGEBN_SHIFT, EDGEBN_CHANNEL_WORDS };

/* All but the pointers are literals at the call, so that the tests on them cost nothing. */
typedef struct {
    const int32_t *channels; /* (channels, 5): bias, m, r low, r high, s */
    const int32_t *limits;   /* (channels, 2): lo, hi; used where `clips` */
    int32_t zero_point;      /* used where `wide`, else r holds it */
    int32_t low, high;       /* of the code */
    int clips;               /* whether lo and hi can change an accumulator */
    int neg;                 /* whether 2^31 is taken from negative sums (TensorFlow Lite Micro's double rounding) */
    int wide;                /* whether the table holds s itself, for a shift of all 64 bits */
    int lowest;              /* whether weights are too large to share words or halves: -128s side by side, or sums beyond 24 bits */
#if defined(EDGEBN_ADAPT)
    const edgebn_observation_s8 *observation; /* NULL where nothing is observed */
    int first_channel;                        /* of `observation`: the one that `channels` begins with */
    int pixels;                               /* of the tile at hand: see edgebn_observed_pixels */
#endif
} edgebn_epilogue_s8;

/* Returns the epilogue with everything but its table fixed, so that the compiler drops what it does not need. */
EDGEBN_INLINE edgebn_epilogue_s8 edgebn_simple_epilogue(const edgebn_epilogue_s8 *e, int neg) {
    const edgebn_epilogue_s8 simple = {.channels = e->channels, .low = -128, .high = 127, .neg = neg};
    return simple;
}

#if defined(EDGEBN_ADAPT)
/* The same for one that observes, without double rounding. */
EDGEBN_INLINE edgebn_epilogue_s8 edgebn_simple_observing(const edgebn_epilogue_s8 *e) {
    edgebn_epilogue_s8 simple = edgebn_simple_epilogue(e, 0);
    simple.observation = e->observation;
    simple.first_channel = e->first_channel;
    simple.pixels = e->pixels;
    return simple;
}

/* Whether an epilogue is what `edgebn_simple_epilogue(e, 0)` makes of it. */
EDGEBN_INLINE int edgebn_is_simple(const edgebn_epilogue_s8 *e) {
    return !(e->clips | e->neg | e->wide) && e->low == -128 && e->high == 127;
}
#endif

/* One channel's numbers, in registers. */
typedef struct {
    int32_t m, shift, lo, hi;
    int64_t r;
} edgebn_channel_s8;

EDGEBN_INLINE edgebn_channel_s8 edgebn_channel(const edgebn_epilogue_s8 *e, int channel) {
    const int32_t *words = e->channels + channel * EDGEBN_CHANNEL_WORDS;
    edgebn_channel_s8 c;
    c.m = words[EDGEBN_M];
    c.r = (int64_t)(((uint64_t)(uint32_t)words[EDGEBN_R_HIGH] << 32) | (uint32_t)words[EDGEBN_R_LOW]);
    c.shift = words[EDGEBN_SHIFT];
    c.lo = e->clips ? e->limits[2 * channel] : 0;
    c.hi = e->clips ? e->limits[2 * channel + 1] : 0;
    return c;
}

/* Returns the accumulator that a channel starts from. */
EDGEBN_INLINE int32_t edgebn_bias(const edgebn_epilogue_s8 *e, int channel) {
    return e->channels[channel * EDGEBN_CHANNEL_WORDS + EDGEBN_BIAS];
}

#if defined(EDGEBN_ADAPT)
/* Gathers the accumulators of one channel in two neighbouring pixels, as far as they are observed. */
EDGEBN_INLINE void edgebn_observe_pair_s8(const edgebn_epilogue_s8 *e, int channel, int32_t acc0, int32_t acc1) {
    if (e->pixels != 0) {
        const int at = e->first_channel + channel;
        if (e->clips) {
            acc0 = edgebn_clip(acc0, e->limits[2 * channel], e->limits[2 * channel + 1]);
            acc1 = edgebn_clip(acc1, e->limits[2 * channel], e->limits[2 * channel + 1]);
        }
        if (e->pixels == 3) {
            edgebn_observe_two_s8(e->observation, at, acc0, acc1);
        } else {
            edgebn_observe_s8(e->observation, at, e->pixels == 1 ? acc0 : acc1);
        }
    }
}

/* Whether the tile at hand needs a kernel that observes. */
#define EDGEBN_OBSERVES(e) ((e)->pixels != 0)
#define EDGEBN_CHOOSE_PIXELS(e, width, y, x, count) ((e)->pixels = edgebn_observed_pixels((e)->observation, width, y, x, count))
#define EDGEBN_NEXT_CHANNELS(e, count) ((e)->first_channel += (count))
#else
#define edgebn_observe_pair_s8(e, channel, acc0, acc1) ((void)0)
#define EDGEBN_OBSERVES(e) 0
#define EDGEBN_CHOOSE_PIXELS(e, width, y, x, count) ((void)0)
#define EDGEBN_NEXT_CHANNELS(e, count) ((void)0)
#endif

EDGEBN_INLINE int32_t edgebn_saturate_s8(int32_t y, int32_t low, int32_t high) {
#if defined(EDGEBN_HAS_SSAT)
    if (low == -128 && high == 127) { /* in assembly: GCC warns of a sign inside of arm_acle.h's __ssat */
        __asm__("ssat %0, #8, %1" : "=r"(y) : "r"(y));
        return y;
    }
#endif
    return edgebn_clip(y, low, high);
}

EDGEBN_INLINE int8_t edgebn_requantize_s8(int32_t acc, const edgebn_channel_s8 *c, const edgebn_epilogue_s8 *e) {
    const int32_t u = e->clips ? edgebn_clip(acc, c->lo, c->hi) : acc;
    int64_t sum = (int64_t)u * c->m + c->r;
    if (e->neg) {
        sum += (int64_t)-(u < 0) * ((int64_t)1 << 31);
    }
    if (e->wide) {
        sum >>= c->shift;
        sum = sum > 1024 ? 1024 : sum < -1024 ? -1024 : sum; /* far outside the codes, and within int32 with a zero point */
        return (int8_t)edgebn_saturate_s8((int32_t)sum + e->zero_point, e->low, e->high);
    }
    return (int8_t)edgebn_saturate_s8((int32_t)(sum >> 32) >> c->shift, e->low, e->high);
}

#endif
