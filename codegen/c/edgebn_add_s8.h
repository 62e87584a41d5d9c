/* Sum of two values with broadcasting. May work in place of the first operand where that is not repeated. */
#ifndef EDGEBN_ADD_S8_H
#define EDGEBN_ADD_S8_H

#include "edgebn_broadcast.h"
#include "edgebn_sum_s8.h"

#if defined(__ARM_FEATURE_MVE)
#include "edgebn_sum_mve_s8.h"
#define EDGEBN_SUM_ROW(rounding) edgebn_sum_row_##rounding##_mve
#else
#define EDGEBN_SUM_ROW(rounding) edgebn_sum_row_##rounding##_s8
#endif

#define EDGEBN_DEFINE_ADD(name, how_type, rounding)                                                             \
    EDGEBN_INLINE void name(const int8_t *a, const int8_t *b, int8_t *out, edgebn_broadcast s, how_type how) { \
        int y, x, c;                                                                                            \
        for (y = 0; y < s.height; y++) {                                                                        \
            for (x = 0; x < s.width; x++, out += s.channels) {                                                  \
                const int8_t *first = a + y * s.a_y + x * s.a_x, *second = b + y * s.b_y + x * s.b_x;           \
                if (s.a_c == 1 && s.b_c == 1) {                                                                 \
                    EDGEBN_SUM_ROW(rounding)(first, second, out, s.channels, how);                              \
                    continue;                                                                                   \
                }                                                                                               \
                for (c = 0; c < s.channels; c++) {                                                              \
                    out[c] = edgebn_sum_##rounding##_s8(first[c * s.a_c], second[c * s.b_c], how);              \
                }                                                                                               \
            }                                                                                                   \
        }                                                                                                       \
    }

EDGEBN_DEFINE_ADD(edgebn_add_single_s8, edgebn_add_single, single)
EDGEBN_DEFINE_ADD(edgebn_add_double_s8, edgebn_add_double, double)

#endif
