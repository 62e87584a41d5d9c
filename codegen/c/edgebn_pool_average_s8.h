/* The division of an average pool of codes that keeps its scale: half away from zero, as TensorFlow Lite Micro rounds, or half to
   the code of one parity, as ONNX does. */
#ifndef EDGEBN_POOL_AVERAGE_S8_H
#define EDGEBN_POOL_AVERAGE_S8_H

#include "edgebn_pool_count.h"

EDGEBN_INLINE int32_t edgebn_half_away(int32_t sum, int32_t divisor) {
    return sum < 0 ? -((-sum + divisor / 2) / divisor) : (sum + divisor / 2) / divisor;
}

EDGEBN_INLINE int32_t edgebn_half_to_parity(int32_t sum, int32_t divisor, int ties) {
    const int32_t nearest = edgebn_half_away(sum, divisor);
    const int32_t twice = 2 * (nearest * divisor - sum); /* as large as the divisor on a tie */
    if ((twice == divisor || twice == -divisor) && (nearest + ties) % 2 == 0) {
        return nearest - (twice > 0 ? 1 : -1);
    }
    return nearest;
}

EDGEBN_INLINE int8_t edgebn_pool_mean_s8(int32_t sum, int32_t count, edgebn_pool_shape s) {
    const int32_t divisor = edgebn_max(count, 1);
    const int32_t mean = s.ties != 0 ? edgebn_half_to_parity(sum, divisor, s.ties) : edgebn_half_away(sum, divisor);
    return (int8_t)edgebn_clip(mean, -128, 127);
}

#endif
