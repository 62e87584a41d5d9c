/* The sums of edgebn_sum_s8.h for four neighbours at a time with Helium. */
#ifndef EDGEBN_SUM_MVE_S8_H
#define EDGEBN_SUM_MVE_S8_H

#include "edgebn_sum_s8.h"

#include <arm_mve.h>

/* edgebn_round_twice; its first rounding is that of VQRDMULH. */
EDGEBN_INLINE int32x4_t edgebn_round_twice_mve(int32x4_t v, int32_t m, int e) {
    const int32x4_t once = vqrdmulhq_n_s32(v, m);
    return e == 0 ? once : vrshlq_s32(vaddq_s32(once, vshrq_n_s32(v, 31)), vdupq_n_s32(-e));
}

/* Codes less their zero point, in units of 2^-20. */
EDGEBN_INLINE int32x4_t edgebn_operand_mve(const int8_t *codes, mve_pred16_t valid, int32_t zero_point) {
    return vshlq_n_s32(vsubq_n_s32(vldrbq_z_s32(codes, valid), zero_point), 20);
}

EDGEBN_INLINE void edgebn_store_sum_mve(int8_t *out, int32x4_t y, mve_pred16_t valid, int32_t low, int32_t high) {
    vstrbq_p_s32(out, vminq_s32(vmaxq_s32(y, vdupq_n_s32(low)), vdupq_n_s32(high)), valid);
}

EDGEBN_INLINE void edgebn_sum_row_double_mve(const int8_t *a, const int8_t *b, int8_t *out, int count, edgebn_add_double how) {
    for (; count > 0; count -= 4, a += 4, b += 4, out += 4) {
        const mve_pred16_t valid = vctp32q((uint32_t)count);
        const int32x4_t first = edgebn_round_twice_mve(edgebn_operand_mve(a, valid, how.zero0), how.m0, how.e0);
        const int32x4_t second = edgebn_round_twice_mve(edgebn_operand_mve(b, valid, how.zero1), how.m1, how.e1);
        const int32x4_t y = edgebn_round_twice_mve(vaddq_s32(first, second), how.m2, how.e2);
        edgebn_store_sum_mve(out, vaddq_n_s32(y, how.zero_point), valid, how.low, how.high);
    }
}

EDGEBN_INLINE void edgebn_sum_row_single_mve(const int8_t *a, const int8_t *b, int8_t *out, int count, edgebn_add_single how) {
    const int32_t mask = (1 << how.split) - 1;
    if (how.wide) {
        edgebn_sum_row_single_s8(a, b, out, count, how);
        return;
    }
    for (; count > 0; count -= 4, a += 4, b += 4, out += 4) {
        const mve_pred16_t valid = vctp32q((uint32_t)count);
        const int32x4_t x0 = vldrbq_z_s32(a, valid), x1 = vldrbq_z_s32(b, valid);
        int32x4_t y = vdupq_n_s32((int32_t)(how.r >> how.split));
        y = vmlaq_n_s32(vmlaq_n_s32(y, x0, how.m0 >> how.split), x1, how.m1 >> how.split);
        if (how.split != 0) {
            int32x4_t rest = vdupq_n_s32((int32_t)(how.r & mask));
            rest = vmlaq_n_s32(vmlaq_n_s32(rest, x0, how.m0 & mask), x1, how.m1 & mask);
            y = vaddq_s32(y, vshlq_s32(rest, vdupq_n_s32(-how.split)));
        }
        edgebn_store_sum_mve(out, vshlq_s32(y, vdupq_n_s32(how.split - how.s)), valid, how.low, how.high);
    }
}

#endif
