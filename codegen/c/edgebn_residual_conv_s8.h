/* Convolution and the sum that follows it: the convolution's own codes are never stored. See edgebn_conv_s8.h and edgebn_add_s8.h.

   `out` may be the memory of `other`, the sum's other operand. `tile`: scratch memory for a tile's codes, behind the columns.
   Which operand of the sum the convolution is, the function's name says. */
#ifndef EDGEBN_RESIDUAL_CONV_S8_H
#define EDGEBN_RESIDUAL_CONV_S8_H

#include "edgebn_add_s8.h"
#include "edgebn_conv_s8.h"

#define EDGEBN_DEFINE_RESIDUAL(name, how_type, sum, first, second)                                                          \
    EDGEBN_INLINE void name(const int8_t *in, const int8_t *other, int8_t *out, int8_t *scratch, int8_t *tile,               \
                            edgebn_conv_shape s, const int8_t *weights, edgebn_epilogue_s8 e, edgebn_gemm_s8 gemm,           \
                            how_type how) {                                                                                  \
        int left = s.out_height * s.out_width, y = 0, x = 0;                                                                 \
        for (; left > 0; left -= EDGEBN_TILE_PIXELS) {                                                                       \
            const int codes = (int)edgebn_min(left, EDGEBN_TILE_PIXELS) * s.out_channels;                                    \
            edgebn_conv_tile_s8(in, tile, scratch, s, weights, e, gemm, y, x, left);                                         \
            sum(first, second, out, codes, how);                                                                             \
            out += codes;                                                                                                    \
            other += codes;                                                                                                  \
            for (x += EDGEBN_TILE_PIXELS; x >= s.out_width; x -= s.out_width) {                                              \
                y++;                                                                                                         \
            }                                                                                                                \
        }                                                                                                                    \
    }

EDGEBN_DEFINE_RESIDUAL(edgebn_conv_first_single_s8, edgebn_add_single, EDGEBN_SUM_ROW(single), tile, other)
EDGEBN_DEFINE_RESIDUAL(edgebn_conv_second_single_s8, edgebn_add_single, EDGEBN_SUM_ROW(single), other, tile)
EDGEBN_DEFINE_RESIDUAL(edgebn_conv_first_double_s8, edgebn_add_double, EDGEBN_SUM_ROW(double), tile, other)
EDGEBN_DEFINE_RESIDUAL(edgebn_conv_second_double_s8, edgebn_add_double, EDGEBN_SUM_ROW(double), other, tile)

#endif
