/* What every kernel shares: inlining, loop unrolling and small integer helpers. Knows no operation. */
#ifndef EDGEBN_COMMON_H
#define EDGEBN_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "edgebn_compiler.h"

/* Kernels are inlined into their call, where every dimension is a literal: the compiler makes each one for its layer.
   Parts that gain nothing from that are shared by all calls. */
#if defined(__GNUC__)
#define EDGEBN_INLINE static inline __attribute__((always_inline))
#define EDGEBN_SHARED static __attribute__((noinline, unused))
#else
#define EDGEBN_INLINE static inline
#define EDGEBN_SHARED static
#endif

/* Whether there is the instruction that saturates to a number of bits: Clang says so of Armv8-M baseline too, which has none. */
#if defined(__ARM_FEATURE_SAT) && defined(__GNUC__) && (defined(__thumb2__) || !defined(__thumb__))
#define EDGEBN_HAS_SSAT
#endif

/* Loops over the taps of small windows: unrolled whole when they turn at most three times. */
#if defined(__clang__)
#define EDGEBN_UNROLL_3 _Pragma("clang loop unroll_count(3)")
#define EDGEBN_UNROLL_4 _Pragma("clang loop unroll_count(4)")
#elif defined(__GNUC__) && __GNUC__ >= 8
#define EDGEBN_UNROLL_3 _Pragma("GCC unroll 3")
#define EDGEBN_UNROLL_4 _Pragma("GCC unroll 4")
#else
#define EDGEBN_UNROLL_3
#define EDGEBN_UNROLL_4
#endif

/* Clang 14 ends in an internal error where it makes a loop of loads of every third word into Helium's gathers. */
#if defined(__clang__) && defined(__ARM_FEATURE_MVE)
#define EDGEBN_NO_GATHERS _Pragma("clang loop vectorize(disable)")
#else
#define EDGEBN_NO_GATHERS
#endif

/* Taps are stored in blocks of four, channels in pairs: how many taps a column has with its filling. */
#define EDGEBN_ROUND_UP_4(n) (((n) + 3) / 4 * 4)

EDGEBN_INLINE int32_t edgebn_min(int32_t a, int32_t b) { return a < b ? a : b; }

EDGEBN_INLINE int32_t edgebn_max(int32_t a, int32_t b) { return a > b ? a : b; }

/* Returns x held within low..high. */
EDGEBN_INLINE int32_t edgebn_clip(int32_t x, int32_t low, int32_t high) { return edgebn_min(edgebn_max(x, low), high); }

#endif
