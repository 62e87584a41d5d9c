/* Product of two values with broadcasting, through one multiplier. May work in place of the first operand where that is not
   repeated. */
#ifndef EDGEBN_MULTIPLY_S8_H
#define EDGEBN_MULTIPLY_S8_H

#include "edgebn_broadcast.h"
#include "edgebn_requantize_s8.h"

/* u = (a - zero0) * (b - zero1), y = (u * m + r - (neg and u < 0 ? 2^31 : 0)) >> s */
typedef struct {
    int32_t zero0, zero1;
    int64_t m, r;
    int s, neg;
    int32_t zero_point, low, high;
} edgebn_multiply;

EDGEBN_INLINE int8_t edgebn_rescaled_s8(int32_t u, edgebn_multiply how) {
    int64_t y = u * how.m + how.r;
    if (how.neg) {
        y += (int64_t)-(u < 0) * ((int64_t)1 << 31);
    }
    y >>= how.s;
    y = y > 1024 ? 1024 : y < -1024 ? -1024 : y;
    return (int8_t)edgebn_saturate_s8((int32_t)y + how.zero_point, how.low, how.high);
}

EDGEBN_INLINE int8_t edgebn_product_s8(int32_t a, int32_t b, edgebn_multiply how) {
    return edgebn_rescaled_s8((a - how.zero0) * (b - how.zero1), how);
}

EDGEBN_INLINE void edgebn_multiply_s8(const int8_t *a, const int8_t *b, int8_t *out, edgebn_broadcast s, edgebn_multiply how) {
    int y, x, c;
    for (y = 0; y < s.height; y++) {
        for (x = 0; x < s.width; x++) {
            const int8_t *first = a + y * s.a_y + x * s.a_x, *second = b + y * s.b_y + x * s.b_x;
            for (c = 0; c < s.channels; c++) {
                *out++ = edgebn_product_s8(first[c * s.a_c], second[c * s.b_c], how);
            }
        }
    }
}

#endif
