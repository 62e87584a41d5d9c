/* Columns times weights: the inner loop of every int8 convolution that mixes channels, for a tile of output pixels.

   weights  (channels / 2, taps / 4, 2, 4): pairs of channels, blocks of four taps, filled with zeros, as edgebn_pairs_s8.h has them
            unless the epilogue says `lowest`
   columns  the taps of each pixel of the tile, laid down in scratch memory as the processor wants them
   out      one pixel's channels; the next pixel of the tile lies `stride` bytes further; pixels from `count` on are not wanted

   The three functions differ in what the epilogue may hold: nothing but m, r and s; negative sums that round twice as well;
   anything. A processor's own header gives EDGEBN_TILE_PIXELS, how taps are laid down (EDGEBN_TAPS), the tile itself
   (`edgebn_gemm_tile_s8`) and `edgebn_dot_pair_s8` for dense layers. */
#ifndef EDGEBN_GEMM_S8_H
#define EDGEBN_GEMM_S8_H

#include "edgebn_pairs_s8.h"

/* Those of one processor read taps in words, lowest byte first. ESP32-S3's vector instructions would be another. */
#if defined(__ARM_BIG_ENDIAN)
#include "edgebn_gemm_plain_s8.h"
#elif defined(__ARM_FEATURE_MVE)
#include "edgebn_gemm_mve_s8.h"
#elif defined(EDGEBN_HAS_DSP)
#include "edgebn_gemm_dsp_s8.h"
#elif (defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)) && defined(__GNUC__)
#include "edgebn_gemm_v6m_s8.h"
#else
#include "edgebn_gemm_plain_s8.h"
#endif

typedef void (*edgebn_gemm_s8)(const int8_t *columns, const int8_t *weights, int taps, int channels, const edgebn_epilogue_s8 *e,
                               int8_t *out, int stride, int count);

EDGEBN_SHARED void edgebn_gemm_simple_s8(const int8_t *columns, const int8_t *weights, int taps, int channels,
                                         const edgebn_epilogue_s8 *e, int8_t *out, int stride, int count) {
    const edgebn_epilogue_s8 simple = edgebn_simple_epilogue(e, 0);
    edgebn_gemm_tile_s8(columns, weights, taps, channels, &simple, out, stride, count);
}

EDGEBN_SHARED void edgebn_gemm_double_s8(const int8_t *columns, const int8_t *weights, int taps, int channels,
                                         const edgebn_epilogue_s8 *e, int8_t *out, int stride, int count) {
    const edgebn_epilogue_s8 simple = edgebn_simple_epilogue(e, 1);
    edgebn_gemm_tile_s8(columns, weights, taps, channels, &simple, out, stride, count);
}

EDGEBN_SHARED void edgebn_gemm_any_s8(const int8_t *columns, const int8_t *weights, int taps, int channels,
                                      const edgebn_epilogue_s8 *e, int8_t *out, int stride, int count) {
    edgebn_gemm_tile_s8(columns, weights, taps, channels, e, out, stride, count);
}

#if defined(EDGEBN_ADAPT)
/* The first of these, for tiles that are observed; `edgebn_gemm_any_s8` observes too. */
EDGEBN_SHARED void edgebn_gemm_observed_s8(const int8_t *columns, const int8_t *weights, int taps, int channels,
                                           const edgebn_epilogue_s8 *e, int8_t *out, int stride, int count) {
    const edgebn_epilogue_s8 simple = edgebn_simple_observing(e);
    edgebn_gemm_tile_s8(columns, weights, taps, channels, &simple, out, stride, count);
}

#define EDGEBN_OBSERVING_GEMM(gemm) ((gemm) == edgebn_gemm_simple_s8 ? edgebn_gemm_observed_s8 : edgebn_gemm_any_s8)
#else
#define EDGEBN_OBSERVING_GEMM(gemm) (gemm)
#endif

#endif
