/* One pixel by two channels in plain C, for dense layers: see edgebn_gemm_s8.h. */
#ifndef EDGEBN_DOT_PLAIN_S8_H
#define EDGEBN_DOT_PLAIN_S8_H

#include "edgebn_common.h"

/* One pixel by two channels: adds the products of `in` and a pair's weights. */
EDGEBN_INLINE void edgebn_dot_pair_s8(const int8_t *in, const int8_t *w, int taps, int32_t *acc0, int32_t *acc1) {
    int32_t sum0 = *acc0, sum1 = *acc1;
    int k, i;
    for (k = taps; k >= 4; k -= 4, in += 4, w += 8) {
        EDGEBN_UNROLL_4
        for (i = 0; i < 4; i++) {
            sum0 += in[i] * w[i];
            sum1 += in[i] * w[4 + i];
        }
    }
    for (i = 0; i < k; i++) {
        sum0 += in[i] * w[i];
        sum1 += in[i] * w[4 + i];
    }
    *acc0 = sum0;
    *acc1 = sum1;
}

#endif
