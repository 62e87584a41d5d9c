/* Sums, products and other functions of two int16 values with broadcasting. May work in place of the first operand where that is
   not repeated. */
#ifndef EDGEBN_BINARY_S16_H
#define EDGEBN_BINARY_S16_H

#include "edgebn_binary_s8.h"
#include "edgebn_multiply_s8.h"
#include "edgebn_requantize_s16.h"

/* y = (a * m0 + b * m1 + r) >> s */
typedef struct {
    int64_t m0, m1, r;
    int s;
    int32_t low, high;
} edgebn_add_s16;

EDGEBN_INLINE int16_t edgebn_sum_single_s16(int32_t a, int32_t b, edgebn_add_s16 how) {
    return (int16_t)edgebn_code((a * how.m0 + b * how.m1 + how.r) >> how.s, how.low, how.high);
}

EDGEBN_INLINE int16_t edgebn_product_s16(int32_t a, int32_t b, edgebn_multiply how) {
    const int32_t u = a * b;
    int64_t y = u * how.m + how.r;
    if (how.neg && u < 0) {
        y -= (int64_t)1 << 31;
    }
    return (int16_t)edgebn_code(y >> how.s, how.low, how.high);
}

EDGEBN_INLINE int32_t edgebn_sum_s32(int32_t a, int32_t b) { return a + b; }

#define EDGEBN_DEFINE_BINARY_S16(name, how_type, combined)                                                         \
    EDGEBN_INLINE void name(const int16_t *a, const int16_t *b, int16_t *out, edgebn_broadcast s, how_type how) { \
        int y, x, c;                                                                                               \
        for (y = 0; y < s.height; y++) {                                                                           \
            for (x = 0; x < s.width; x++) {                                                                        \
                const int16_t *first = a + y * s.a_y + x * s.a_x, *second = b + y * s.b_y + x * s.b_x;             \
                for (c = 0; c < s.channels; c++) {                                                                 \
                    *out++ = combined(first[c * s.a_c], second[c * s.b_c], how);                                   \
                }                                                                                                  \
            }                                                                                                      \
        }                                                                                                          \
    }

EDGEBN_DEFINE_BINARY_S16(edgebn_add_single_s16, edgebn_add_s16, edgebn_sum_single_s16)
EDGEBN_DEFINE_BINARY_S16(edgebn_multiply_s16, edgebn_multiply, edgebn_product_s16)

/* Both operands in units that they share, their function, and that in the output's scale; every step is rounded. */
EDGEBN_INLINE void edgebn_binary_s16(const int16_t *a, const int16_t *b, int16_t *out, edgebn_broadcast s,
                                     edgebn_combine_s32 combine, edgebn_binary how) {
    int y, x, c;
    for (y = 0; y < s.height; y++) {
        for (x = 0; x < s.width; x++) {
            const int16_t *first = a + y * s.a_y + x * s.a_x, *second = b + y * s.b_y + x * s.b_x;
            for (c = 0; c < s.channels; c++) {
                const int32_t u = edgebn_round_twice(first[c * s.a_c] * how.unit, how.m0, how.e0);
                const int32_t v = edgebn_round_twice(second[c * s.b_c] * how.unit, how.m1, how.e1);
                *out++ = (int16_t)edgebn_code(edgebn_round_twice(combine(u, v), how.m2, how.e2), how.low, how.high);
            }
        }
    }
}

#endif
