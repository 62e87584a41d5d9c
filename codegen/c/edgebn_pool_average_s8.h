/* The division of an average pool of codes: half away from zero, as TensorFlow Lite Micro rounds. */
#ifndef EDGEBN_POOL_AVERAGE_S8_H
#define EDGEBN_POOL_AVERAGE_S8_H

#include "edgebn_pool_count.h"

EDGEBN_INLINE int8_t edgebn_pool_mean_s8(int32_t sum, int32_t count) {
    const int32_t divisor = edgebn_max(count, 1);
    const int32_t mean = sum < 0 ? -((-sum + divisor / 2) / divisor) : (sum + divisor / 2) / divisor;
    return (int8_t)edgebn_clip(mean, -128, 127);
}

#endif
