/* The tile of edgebn_gemm_s8.h for Armv6-M (Cortex-M0, M0+) and Armv8-M Baseline: two pixels share one multiplication.

   A column's word is x0 + 65536 x1, for the same tap of both pixels: times a weight it holds both products. Two taps' products may
   be added before the halves overflow, unless weights of -128 stand side by side (`lowest`); then they go to accumulators of their
   own. */
#ifndef EDGEBN_GEMM_V6M_S8_H
#define EDGEBN_GEMM_V6M_S8_H

#include "edgebn_dot_plain_s8.h"
#include "edgebn_requantize_s8.h"
#include "edgebn_wide_columns_s8.h"

#define EDGEBN_TILE_PIXELS 2
#define EDGEBN_TAPS(what) edgebn_wide_taps_##what##_s8

EDGEBN_INLINE void edgebn_taps_widen_s8(int8_t *columns, int pixel, int first, int count, const int8_t *codes) {
    int32_t *word = (int32_t *)(void *)(columns + 4 * first);
    const int8_t *const end = codes + EDGEBN_ROUND_UP_4(count);
    for (; codes != end; codes++, word++) {
        *word = pixel == 0 ? *codes : *word + *codes * 65536;
    }
}

/* r9 belongs to systems that keep the base of their data there. GCC does not tell of -ffixed-r9: whoever gives it defines
   EDGEBN_R9_IS_TAKEN too. */
#if defined(EDGEBN_R9_IS_TAKEN) || defined(__PIC__) || defined(__ARM_RWPI)
#define EDGEBN_SUM_1 "lr"
#else
#define EDGEBN_SUM_1 "r9"
#endif

/* Adds the halves of register `sum` to the accumulators of pixel 0 and pixel 1. */
#define EDGEBN_SPLIT(sum, acc0, acc1)    \
    "sxth r5, " sum "\n\t"               \
    "add " acc0 ", r5\n\t"               \
    "subs " sum ", " sum ", r5\n\t"      \
    "asrs " sum ", " sum ", #16\n\t"     \
    "add " acc1 ", " sum "\n\t"

/* Two taps of two pixels (r2, r3) and two channels; `first` and `second` bring a weight from r0 or r1 to r5. */
#define EDGEBN_TWO_TAPS(first, second)   \
    "ldmia r6!, {r2, r3}\n\t"            \
    first("r0")                          \
    "movs r4, r5\n\t"                    \
    "muls r4, r2, r4\n\t"                \
    first("r1")                          \
    "muls r2, r5, r2\n\t"                \
    second("r0")                         \
    "muls r5, r3, r5\n\t"                \
    "adds r4, r4, r5\n\t"                \
    second("r1")                         \
    "muls r3, r5, r3\n\t"                \
    "adds r2, r2, r3\n\t"                \
    EDGEBN_SPLIT("r4", "r8", EDGEBN_SUM_1) \
    EDGEBN_SPLIT("r2", "r10", "r11")

#define EDGEBN_WEIGHT_0(from) "sxtb r5, " from "\n\t"
#define EDGEBN_WEIGHT_1(from) "lsls r5, " from ", #16\n\tasrs r5, r5, #24\n\t"
#define EDGEBN_WEIGHT_2(from) "lsls r5, " from ", #8\n\tasrs r5, r5, #24\n\t"
#define EDGEBN_WEIGHT_3(from) "asrs r5, " from ", #24\n\t"

/* Adds the products of the words up to `stop` with a pair's weights to four accumulators. Registers are named: ldmia fills them in
   rising order, and the compiler keeps r7. The accumulators are in r8 to r11, the weights' address in r12. */
EDGEBN_INLINE void edgebn_two_at_once_s8(const int8_t *columns, const int8_t *weights, const int8_t *stop, int32_t *acc) {
    register const int8_t *x __asm__("r6") = columns;
    register const int8_t *w __asm__("r4") = weights;
    register const int8_t *end __asm__("r3") = stop;
    register int32_t *sums __asm__("r5") = acc;
    __asm__ volatile(".syntax unified\n\t"
                     "push {r3, r5}\n\t"
                     "mov r12, r4\n\t"
                     "ldmia r5!, {r0, r1, r2, r3}\n\t"
                     "mov r8, r0\n\t"
                     "mov " EDGEBN_SUM_1 ", r1\n\t"
                     "mov r10, r2\n\t"
                     "mov r11, r3\n\t"
                     "1:\n\t"
                     "mov r4, r12\n\t"
                     "ldmia r4!, {r0, r1}\n\t"
                     "mov r12, r4\n\t"
                     EDGEBN_TWO_TAPS(EDGEBN_WEIGHT_0, EDGEBN_WEIGHT_1)
                     EDGEBN_TWO_TAPS(EDGEBN_WEIGHT_2, EDGEBN_WEIGHT_3)
                     "ldr r4, [sp]\n\t"
                     "cmp r6, r4\n\t"
                     "bne 1b\n\t"
                     "pop {r3, r5}\n\t"
                     "mov r0, r8\n\t"
                     "mov r1, " EDGEBN_SUM_1 "\n\t"
                     "mov r2, r10\n\t"
                     "mov r4, r11\n\t"
                     "stmia r5!, {r0, r1, r2, r4}\n\t"
                     : "+l"(x), "+l"(w), "+l"(end), "+l"(sums)
                     :
                     : "r0", "r1", "r2", "r8", EDGEBN_SUM_1, "r10", "r11", "r12", "cc", "memory");
}

/* Adds the products of `length` words with a pair's weights to four accumulators, one by one. */
EDGEBN_INLINE void edgebn_one_by_one_s8(const int8_t *columns, const int8_t *w, int length, int32_t acc[4]) {
    const int32_t *word = (const int32_t *)(const void *)columns;
    int i;
    for (i = 0; i < length; i++, word++, w += i % 4 == 0 ? 5 : 1) {
        const int32_t x0 = (int16_t)*word, x1 = (*word - x0) / 65536;
        acc[0] += x0 * w[0];
        acc[1] += x1 * w[0];
        acc[2] += x0 * w[4];
        acc[3] += x1 * w[4];
    }
}

EDGEBN_INLINE void edgebn_gemm_tile_s8(const int8_t *columns, const int8_t *w, int taps, int channels, const edgebn_epilogue_s8 *e,
                                       int8_t *out, int stride, int count) {
    const int length = EDGEBN_ROUND_UP_4(taps);
    int8_t *const out1 = count > 1 ? out + stride : out;
    int o;
    for (o = 0; o < channels; o += 2) {
        const int pair = o + 1 < channels;
        const int32_t bias0 = edgebn_bias(e, o), bias1 = pair ? edgebn_bias(e, o + 1) : 0;
        int32_t acc[4] = {bias0, bias0, bias1, bias1}; /* channel 0 of both pixels, channel 1 of both */
        edgebn_channel_s8 c;
        int8_t y0, y1;
        if (e->lowest) {
            edgebn_one_by_one_s8(columns, w, length, acc);
        } else {
            edgebn_two_at_once_s8(columns, w, columns + 4 * length, acc);
        }
        w += 2 * length;
        edgebn_observe_pair_s8(e, o, acc[0], acc[1]);
        c = edgebn_channel(e, o);
        y1 = edgebn_requantize_s8(acc[1], &c, e);
        y0 = edgebn_requantize_s8(acc[0], &c, e);
        out1[o] = y1;
        out[o] = y0;
        if (pair) {
            edgebn_observe_pair_s8(e, o + 1, acc[2], acc[3]);
            c = edgebn_channel(e, o + 1);
            y1 = edgebn_requantize_s8(acc[3], &c, e);
            y0 = edgebn_requantize_s8(acc[2], &c, e);
            out1[o + 1] = y1;
            out[o + 1] = y0;
        }
    }
}

#endif
