/* Sums of two codes: one rounding, or the three of TensorFlow Lite Micro. */
#ifndef EDGEBN_SUM_S8_H
#define EDGEBN_SUM_S8_H

#include "edgebn_requantize_s8.h"

/* Single rounding: y = (a * m0 + b * m1 + r) >> s; r holds the zero points, all three of them. The lowest `split` bits of m0, m1 and
   r are summed apart, so that 32 bits hold either sum; where that is not enough, `wide` takes 64. */
typedef struct {
    int32_t m0, m1;
    int64_t r;
    int s;
    int split;
    int wide;
    int32_t low, high;
} edgebn_add_single;

/* Double rounding: both operands in units of 2^-20 of twice the larger scale, each rounded, then their sum. */
typedef struct {
    int32_t zero0, zero1;
    int32_t m0, m1, m2;
    int e0, e1, e2; /* right shifts */
    int32_t zero_point, low, high;
} edgebn_add_double;

EDGEBN_INLINE int8_t edgebn_sum_single_s8(int32_t a, int32_t b, edgebn_add_single how) {
    if (how.wide) {
        int64_t y = ((int64_t)a * how.m0 + (int64_t)b * how.m1 + how.r) >> how.s;
        y = y > 1024 ? 1024 : y < -1024 ? -1024 : y;
        return (int8_t)edgebn_saturate_s8((int32_t)y, how.low, how.high);
    } else {
        const int32_t mask = ((int32_t)1 << how.split) - 1;
        const int32_t high = a * (how.m0 >> how.split) + b * (how.m1 >> how.split) + (int32_t)(how.r >> how.split);
        const int32_t rest = a * (how.m0 & mask) + b * (how.m1 & mask) + (int32_t)(how.r & mask);
        return (int8_t)edgebn_saturate_s8((high + (rest >> how.split)) >> (how.s - how.split), how.low, how.high);
    }
}

/* v * m / 2^(31 + e), rounded twice as gemmlowp does. */
EDGEBN_INLINE int32_t edgebn_round_twice(int32_t v, int32_t m, int e) {
    int64_t sum = (int64_t)v * m + ((int64_t)1 << 30);
    if (e == 0) {
        return (int32_t)(sum >> 31);
    }
    sum += ((int64_t)1 << (30 + e)) + (int64_t)-(v < 0) * ((int64_t)1 << 31);
    return (int32_t)(sum >> 32) >> (e - 1);
}

EDGEBN_INLINE int8_t edgebn_sum_double_s8(int32_t a, int32_t b, edgebn_add_double how) {
    const int32_t first = edgebn_round_twice((a - how.zero0) * ((int32_t)1 << 20), how.m0, how.e0);
    const int32_t second = edgebn_round_twice((b - how.zero1) * ((int32_t)1 << 20), how.m1, how.e1);
    const int32_t y = edgebn_round_twice(first + second, how.m2, how.e2);
    return (int8_t)edgebn_saturate_s8(how.zero_point + y, how.low, how.high);
}

/* `count` sums of neighbours; `out` may be `a` or `b`. */
EDGEBN_INLINE void edgebn_sum_row_single_s8(const int8_t *a, const int8_t *b, int8_t *out, int count, edgebn_add_single how) {
    for (; count > 0; count--) {
        *out++ = edgebn_sum_single_s8(*a++, *b++, how);
    }
}

EDGEBN_INLINE void edgebn_sum_row_double_s8(const int8_t *a, const int8_t *b, int8_t *out, int count, edgebn_add_double how) {
    for (; count > 0; count--) {
        *out++ = edgebn_sum_double_s8(*a++, *b++, how);
    }
}

#endif
