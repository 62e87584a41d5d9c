/* Four taps' weights of a pair of channels, in the order and the form that the processor's tile reads them (edgebn_gemm_s8.h).

   With the DSP extension a half word holds a tap's weights of both channels, 256 a + b: it goes into a dual product as it lies, and
   only b needs to be taken out of it. Where b is negative it borrows one of a. */
#ifndef EDGEBN_PAIRS_S8_H
#define EDGEBN_PAIRS_S8_H

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__GNUC__) && !defined(__ARM_FEATURE_MVE) && !defined(__ARM_BIG_ENDIAN)
#define EDGEBN_HAS_DSP
#define EDGEBN_HALF(b, a) (b), (a) - ((b) < 0)
#define EDGEBN_PAIR(b0, b1, b2, b3, a0, a1, a2, a3) \
    EDGEBN_HALF(b0, a0), EDGEBN_HALF(b2, a2), EDGEBN_HALF(b1, a1), EDGEBN_HALF(b3, a3)
#else
#define EDGEBN_PAIR(b0, b1, b2, b3, a0, a1, a2, a3) (b0), (b1), (b2), (b3), (a0), (a1), (a2), (a3)
#endif

#endif
