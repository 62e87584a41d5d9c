/* Functions of two values with broadcasting, but for sums and products. May work in place of the first operand where that is not
   repeated. */
#ifndef EDGEBN_BINARY_S8_H
#define EDGEBN_BINARY_S8_H

#include "edgebn_broadcast.h"
#include "edgebn_sum_s8.h"

/* Both operands in units that they share, their function, and that in the output's scale; every step is rounded. `unit` is a power
   of two that keeps what rounding would lose. */
typedef struct {
    int32_t zero0, zero1;
    int32_t unit;
    int32_t m0, m1, m2;
    int e0, e1, e2; /* right shifts */
    int32_t zero_point, low, high;
} edgebn_binary;

EDGEBN_INLINE int32_t edgebn_subtract_s32(int32_t a, int32_t b) { return a - b; }

EDGEBN_INLINE int32_t edgebn_maximum_s32(int32_t a, int32_t b) { return a > b ? a : b; }

EDGEBN_INLINE int32_t edgebn_minimum_s32(int32_t a, int32_t b) { return a < b ? a : b; }

EDGEBN_INLINE int32_t edgebn_squared_difference_s32(int32_t a, int32_t b) { return (a - b) * (a - b); }

typedef int32_t (*edgebn_combine_s32)(int32_t a, int32_t b);

EDGEBN_INLINE void edgebn_binary_s8(const int8_t *a, const int8_t *b, int8_t *out, edgebn_broadcast s, edgebn_combine_s32 combine,
                                    edgebn_binary how) {
    int y, x, c;
    for (y = 0; y < s.height; y++) {
        for (x = 0; x < s.width; x++) {
            const int8_t *first = a + y * s.a_y + x * s.a_x, *second = b + y * s.b_y + x * s.b_x;
            for (c = 0; c < s.channels; c++) {
                const int32_t u = edgebn_round_twice((first[c * s.a_c] - how.zero0) * how.unit, how.m0, how.e0);
                const int32_t v = edgebn_round_twice((second[c * s.b_c] - how.zero1) * how.unit, how.m1, how.e1);
                const int32_t code = how.zero_point + edgebn_round_twice(combine(u, v), how.m2, how.e2);
                *out++ = (int8_t)edgebn_saturate_s8(code, how.low, how.high);
            }
        }
    }
}

#endif
