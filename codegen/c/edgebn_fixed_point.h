/* TensorFlow Lite's fixed point: a raw int32 with n integer bits stands for raw / 2^(31 - n). */
#ifndef EDGEBN_FIXED_POINT_H
#define EDGEBN_FIXED_POINT_H

#include "edgebn_common.h"

/* Rounding doubling high multiply: round(a * b / 2^31), ties towards plus infinity. */
EDGEBN_INLINE int32_t edgebn_high_multiply(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* x / 2^exponent, ties away from zero; 0 <= exponent < 62. */
EDGEBN_INLINE int32_t edgebn_rounding_shift(int32_t x, int exponent) {
    const int64_t half = exponent > 0 ? (int64_t)1 << (exponent - 1) : 0;
    const int64_t magnitude = ((x < 0 ? -(int64_t)x : (int64_t)x) + half) >> exponent;
    return (int32_t)(x < 0 ? -magnitude : magnitude);
}

/* x * 2^exponent held within int32. */
EDGEBN_INLINE int32_t edgebn_saturating_shift(int32_t x, int exponent) {
    const int64_t shifted = (int64_t)x * ((int64_t)1 << exponent);
    return shifted > INT32_MAX ? INT32_MAX : shifted < INT32_MIN ? INT32_MIN : (int32_t)shifted;
}

#endif
