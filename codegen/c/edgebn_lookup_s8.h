/* An elementwise function of codes as a table: out = table[channel or 0][code + 128]. May work in place. */
#ifndef EDGEBN_LOOKUP_S8_H
#define EDGEBN_LOOKUP_S8_H

#include "edgebn_common.h"

/* `tables` is 1, or the number of channels. */
EDGEBN_INLINE void edgebn_lookup_s8(const int8_t *in, int8_t *out, int pixels, int channels, const int8_t *table, int tables) {
    int i, c;
    for (i = 0; i < pixels; i++) {
        for (c = 0; c < channels; c++) {
            *out++ = table[(tables > 1 ? c * 256 : 0) + *in++ + 128];
        }
    }
}

#endif
