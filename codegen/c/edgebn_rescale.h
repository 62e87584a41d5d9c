/* Codes to codes of another scale or type, with another multiplier below zero. May work in place where the output's codes are no
   larger than the input's. */
#ifndef EDGEBN_RESCALE_H
#define EDGEBN_RESCALE_H

#include "edgebn_requantize_s16.h"

/* u = code - zero: code = clip(zero_point + ((u * m + r) >> s), low, high), with the second of each where u < 0 */
typedef struct {
    int32_t zero;
    int64_t m[2], r[2];
    int s[2];
    int32_t zero_point, low, high;
} edgebn_rescaling;

EDGEBN_INLINE int32_t edgebn_rescaled(int32_t code, edgebn_rescaling how) {
    const int32_t u = code - how.zero;
    const int64_t y = u < 0 ? (u * how.m[1] + how.r[1]) >> how.s[1] : (u * how.m[0] + how.r[0]) >> how.s[0];
    return edgebn_code(y + how.zero_point, how.low, how.high);
}

#define EDGEBN_DEFINE_RESCALE(name, in_type, out_type)                                                     \
    EDGEBN_INLINE void name(const in_type *in, out_type *out, int count, edgebn_rescaling how) {           \
        int i;                                                                                             \
        for (i = 0; i < count; i++) {                                                                      \
            out[i] = (out_type)edgebn_rescaled(in[i], how);                                                \
        }                                                                                                  \
    }

EDGEBN_DEFINE_RESCALE(edgebn_rescale_s8_s8, int8_t, int8_t)
EDGEBN_DEFINE_RESCALE(edgebn_rescale_s8_s16, int8_t, int16_t)
EDGEBN_DEFINE_RESCALE(edgebn_rescale_s16_s8, int16_t, int8_t)
EDGEBN_DEFINE_RESCALE(edgebn_rescale_s16_s16, int16_t, int16_t)

#endif
