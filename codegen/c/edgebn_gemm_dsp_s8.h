/* The tile of edgebn_gemm_s8.h for the DSP extension of Armv7E-M: two pixels by two channels, two products an instruction.

   Columns are widened to 16 bits once a tile. A block of four taps is four words: taps 0 and 2 of pixel 0, of pixel 1, then taps
   1 and 3 of each: the halves that SXTB16 makes of the weights. */
#ifndef EDGEBN_GEMM_DSP_S8_H
#define EDGEBN_GEMM_DSP_S8_H

#include "edgebn_requantize_s8.h"
#include "edgebn_wide_columns_s8.h"

#define EDGEBN_TILE_PIXELS 2
#define EDGEBN_TAPS(what) edgebn_wide_taps_##what##_s8

/* Taps 0 and 2 of a word of four, and taps 1 and 3, each as a half word. arm_acle.h has no SXTB16 that rotates, and with its plain one
   GCC 12 takes more instructions for keyword spotting. */
EDGEBN_INLINE uint32_t edgebn_even_taps_s8(uint32_t word) {
    uint32_t even;
    __asm__("sxtb16 %0, %1" : "=r"(even) : "r"(word));
    return even;
}
EDGEBN_INLINE uint32_t edgebn_odd_taps_s8(uint32_t word) {
    uint32_t odd;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(word));
    return odd;
}

/* Widens `count` codes, filled up to a multiple of four, into a pixel's taps from `first` on. */
EDGEBN_INLINE void edgebn_taps_widen_s8(int8_t *columns, int pixel, int first, int count, const int8_t *codes) {
    const int8_t *const end = codes + EDGEBN_ROUND_UP_4(count);
    int8_t *halves = columns + 4 * first + 4 * pixel;
    for (; codes != end; codes += 4, halves += 16) {
        uint32_t word, even, odd;
        (void)memcpy(&word, codes, 4);
        even = edgebn_even_taps_s8(word);
        odd = edgebn_odd_taps_s8(word);
        (void)memcpy(halves, &even, 4);
        (void)memcpy(halves + 8, &odd, 4);
    }
}

#if defined(__OPTIMIZE__) || defined(__clang__)

/* Four taps of two pixels and two channels, of which the second's sums are of 256 a + b. */
#define EDGEBN_BLOCK_SHARED                       \
    "ldrd %[p], %[q], [%[x]], #8\n\t"             \
    "ldrd %[u], %[v], [%[w]], #8\n\t"             \
    "sxtb16 %[t], %[u]\n\t"                       \
    "smlad %[acc00], %[p], %[t], %[acc00]\n\t"    \
    "smlad %[acc01], %[q], %[t], %[acc01]\n\t"    \
    "smlad %[acc10], %[p], %[u], %[acc10]\n\t"    \
    "smlad %[acc11], %[q], %[u], %[acc11]\n\t"    \
    "ldrd %[p], %[q], [%[x]], #8\n\t"             \
    "sxtb16 %[t], %[v]\n\t"                       \
    "smlad %[acc00], %[p], %[t], %[acc00]\n\t"    \
    "smlad %[acc01], %[q], %[t], %[acc01]\n\t"    \
    "smlad %[acc10], %[p], %[v], %[acc10]\n\t"    \
    "smlad %[acc11], %[q], %[v], %[acc11]\n\t"

/* The same of weights as they are, taps of a channel side by side. */
#define EDGEBN_BLOCK_APART                        \
    "ldrd %[p], %[q], [%[x]], #8\n\t"             \
    "ldrd %[u], %[v], [%[w]], #8\n\t"             \
    "sxtb16 %[t], %[u]\n\t"                       \
    "smlad %[acc00], %[p], %[t], %[acc00]\n\t"    \
    "smlad %[acc01], %[q], %[t], %[acc01]\n\t"    \
    "sxtb16 %[t], %[v]\n\t"                       \
    "smlad %[acc10], %[p], %[t], %[acc10]\n\t"    \
    "smlad %[acc11], %[q], %[t], %[acc11]\n\t"    \
    "ldrd %[p], %[q], [%[x]], #8\n\t"             \
    "sxtb16 %[u], %[u], ror #8\n\t"               \
    "smlad %[acc00], %[p], %[u], %[acc00]\n\t"    \
    "smlad %[acc01], %[q], %[u], %[acc01]\n\t"    \
    "sxtb16 %[v], %[v], ror #8\n\t"               \
    "smlad %[acc10], %[p], %[v], %[acc10]\n\t"    \
    "smlad %[acc11], %[q], %[v], %[acc11]\n\t"

#define EDGEBN_LOOP_2X2(blocks, end)                                                                                  \
    __asm__ volatile("1:\n\t" blocks "cmp %[x], %[stop]\n\t"                                                          \
                     "bne 1b\n\t"                                                                                     \
                     : [acc00] "+r"(acc00), [acc01] "+r"(acc01), [acc10] "+r"(acc10), [acc11] "+r"(acc11),            \
                       [x] "+r"(x), [w] "+r"(w), [p] "=&r"(p), [q] "=&r"(q), [u] "=&r"(u), [v] "=&r"(v), [t] "=&r"(t) \
                     : [stop] "r"(end)                                                                                \
                     : "cc", "memory")

/* Four taps of one pixel and two channels, from `in` on. */
#define EDGEBN_LOOP_1X2(end)                                                                                              \
    __asm__ volatile("1:\n\t"                                                                                             \
                     "ldr %[q], [%[x]], #4\n\t"                                                                           \
                     "ldrd %[u], %[v], [%[w]], #8\n\t"                                                                    \
                     "sxtb16 %[p], %[q]\n\t"                                                                              \
                     "sxtb16 %[q], %[q], ror #8\n\t"                                                                      \
                     "sxtb16 %[t], %[u]\n\t"                                                                              \
                     "smlad %[sum0], %[p], %[t], %[sum0]\n\t"                                                             \
                     "sxtb16 %[t], %[v]\n\t"                                                                              \
                     "smlad %[sum1], %[p], %[t], %[sum1]\n\t"                                                             \
                     "sxtb16 %[u], %[u], ror #8\n\t"                                                                      \
                     "smlad %[sum0], %[q], %[u], %[sum0]\n\t"                                                             \
                     "sxtb16 %[v], %[v], ror #8\n\t"                                                                      \
                     "smlad %[sum1], %[q], %[v], %[sum1]\n\t"                                                             \
                     "cmp %[x], %[stop]\n\t"                                                                              \
                     "bne 1b\n\t"                                                                                         \
                     : [sum0] "+r"(sum0), [sum1] "+r"(sum1), [x] "+r"(in), [w] "+r"(w), [p] "=&r"(p), [q] "=&r"(q),       \
                       [u] "=&r"(u), [v] "=&r"(v), [t] "=&r"(t)                                                           \
                     : [stop] "r"(end)                                                                                    \
                     : "cc", "memory")

#else

/* GCC 14 finds no more than seven registers for an assembly statement where it does not optimise and there is an FPU: the same, an
   instruction a statement. */
EDGEBN_INLINE uint32_t edgebn_next_word_s8(const int8_t **from) {
    uint32_t word;
    (void)memcpy(&word, *from, 4);
    *from += 4;
    return word;
}
EDGEBN_INLINE int32_t edgebn_two_products_s8(int32_t sum, uint32_t x, uint32_t w) {
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(x), "r"(w));
    return sum;
}

#define EDGEBN_TWO_TAPS_2X2(first, second)       \
    p = edgebn_next_word_s8(&x);                 \
    q = edgebn_next_word_s8(&x);                 \
    t = (first);                                 \
    acc00 = edgebn_two_products_s8(acc00, p, t); \
    acc01 = edgebn_two_products_s8(acc01, q, t); \
    t = (second);                                \
    acc10 = edgebn_two_products_s8(acc10, p, t); \
    acc11 = edgebn_two_products_s8(acc11, q, t);

#define EDGEBN_BLOCK_SHARED                        \
    u = edgebn_next_word_s8(&w);                   \
    v = edgebn_next_word_s8(&w);                   \
    EDGEBN_TWO_TAPS_2X2(edgebn_even_taps_s8(u), u) \
    EDGEBN_TWO_TAPS_2X2(edgebn_even_taps_s8(v), v)

#define EDGEBN_BLOCK_APART                                              \
    u = edgebn_next_word_s8(&w);                                        \
    v = edgebn_next_word_s8(&w);                                        \
    EDGEBN_TWO_TAPS_2X2(edgebn_even_taps_s8(u), edgebn_even_taps_s8(v)) \
    EDGEBN_TWO_TAPS_2X2(edgebn_odd_taps_s8(u), edgebn_odd_taps_s8(v))

#define EDGEBN_LOOP_2X2(blocks, end) \
    do {                             \
        blocks                       \
    } while (x != (end))

#define EDGEBN_LOOP_1X2(end)                       \
    do {                                           \
        q = edgebn_next_word_s8(&in);              \
        u = edgebn_next_word_s8(&w);               \
        v = edgebn_next_word_s8(&w);               \
        p = edgebn_even_taps_s8(q);                \
        t = edgebn_even_taps_s8(u);                \
        sum0 = edgebn_two_products_s8(sum0, p, t); \
        t = edgebn_even_taps_s8(v);                \
        sum1 = edgebn_two_products_s8(sum1, p, t); \
        q = edgebn_odd_taps_s8(q);                 \
        u = edgebn_odd_taps_s8(u);                 \
        sum0 = edgebn_two_products_s8(sum0, q, u); \
        v = edgebn_odd_taps_s8(v);                 \
        sum1 = edgebn_two_products_s8(sum1, q, v); \
    } while (in != (end))

#endif

/* The second channel's sum of sums that both share, which is all of them modulo 2^32; its own are within 2^23. */
EDGEBN_INLINE int32_t edgebn_second_s8(int32_t both, int32_t first) { return (int32_t)((uint32_t)both - (uint32_t)first) >> 8; }

EDGEBN_INLINE void edgebn_gemm_tile_s8(const int8_t *columns, const int8_t *w, int taps, int channels, const edgebn_epilogue_s8 *e,
                                       int8_t *out, int stride, int count) {
    const int8_t *const end = columns + 4 * EDGEBN_ROUND_UP_4(taps);
    const int8_t *const single_end = columns + EDGEBN_ROUND_UP_4(taps) % 16 * 4;
    int8_t *const out1 = count > 1 ? out + stride : out;
    int o;
    for (o = 0; o < channels; o += 2) {
        const int8_t *x = columns;
        int32_t acc00 = edgebn_bias(e, o), acc01 = acc00, acc10 = acc00, acc11 = acc00;
        uint32_t p, q, u, v, t;
        edgebn_channel_s8 c;
        int8_t y0, y1;
        if (e->lowest) {
            acc10 = 0;
            acc11 = 0;
            EDGEBN_LOOP_2X2(EDGEBN_BLOCK_APART, end);
        } else {
            if (x != single_end) {
                EDGEBN_LOOP_2X2(EDGEBN_BLOCK_SHARED, single_end);
            }
            if (x != end) {
                EDGEBN_LOOP_2X2(EDGEBN_BLOCK_SHARED EDGEBN_BLOCK_SHARED EDGEBN_BLOCK_SHARED EDGEBN_BLOCK_SHARED, end);
            }
            acc10 = edgebn_second_s8(acc10, acc00);
            acc11 = edgebn_second_s8(acc11, acc01);
        }
        edgebn_observe_pair_s8(e, o, acc00, acc01);
        c = edgebn_channel(e, o);
        y1 = edgebn_requantize_s8(acc01, &c, e);
        y0 = edgebn_requantize_s8(acc00, &c, e);
        out1[o] = y1;
        out[o] = y0;
        if (o + 1 < channels) {
            const int32_t bias = edgebn_bias(e, o + 1);
            acc10 += bias;
            acc11 += bias;
            edgebn_observe_pair_s8(e, o + 1, acc10, acc11);
            c = edgebn_channel(e, o + 1);
            y1 = edgebn_requantize_s8(acc11, &c, e);
            y0 = edgebn_requantize_s8(acc10, &c, e);
            out1[o + 1] = y1;
            out[o + 1] = y0;
        }
    }
}

/* One pixel by two channels: adds the products of `in` and a pair's weights. */
EDGEBN_INLINE void edgebn_dot_pair_s8(const int8_t *in, const int8_t *w, int taps, int32_t *acc0, int32_t *acc1) {
    const int8_t *const end = in + taps / 4 * 4;
    int32_t sum0 = *acc0, sum1 = *acc1;
    int i;
    if (in != end) {
        uint32_t p, q, u, v, t;
        EDGEBN_LOOP_1X2(end);
    }
    for (i = 0; i < taps % 4; i++) {
        sum0 += in[i] * w[i];
        sum1 += in[i] * w[4 + i];
    }
    *acc0 = sum0;
    *acc1 = sum1;
}

#endif
