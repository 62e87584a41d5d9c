/* Functions of int16 codes by tables between whose entries lines run. May work in place. */
#ifndef EDGEBN_CURVE_S16_H
#define EDGEBN_CURVE_S16_H

#include "edgebn_common.h"

/* What a table of 513 entries, of every 128th code from -32768 on, holds at a code. */
EDGEBN_INLINE int32_t edgebn_interpolated_s16(int32_t code, const int16_t *table) {
    const int16_t *entry = table + 256 + (code >> 7);
    return entry[0] + (((entry[1] - entry[0]) * (code & 127) + 64) >> 7);
}

EDGEBN_INLINE void edgebn_curve_s16(const int16_t *in, int16_t *out, int count, const int16_t *table) {
    int i;
    for (i = 0; i < count; i++) {
        out[i] = (int16_t)edgebn_interpolated_s16(in[i], table);
    }
}

/* sigmoid(magnitude / (24 * 2^bits)) in units of 2^-(16 + bits); the table holds sigmoid(i / 24) in units of 2^-16. */
EDGEBN_INLINE int32_t edgebn_sigmoid_part(int32_t magnitude, const uint16_t *table, int bits, int32_t most) {
    const int32_t place = magnitude >> bits;
    if (place >= 255) {
        return most;
    }
    return ((int32_t)table[place] << bits) + (magnitude & ((1 << bits) - 1)) * ((int32_t)table[place + 1] - table[place]);
}

/* A code in the units of the table. */
EDGEBN_INLINE int32_t edgebn_curve_input(int32_t code, int32_t multiplier, int shift) {
    return (code * multiplier + (shift > 0 ? (int32_t)1 << (shift - 1) : 0)) >> shift;
}

EDGEBN_INLINE void edgebn_sigmoid_s16(const int16_t *in, int16_t *out, int count, const uint16_t *table, int32_t multiplier,
                                      int shift) {
    int i;
    for (i = 0; i < count; i++) {
        const int32_t v = edgebn_curve_input(in[i], multiplier, shift);
        const int32_t w = edgebn_sigmoid_part(v < 0 ? -v : v, table, 9, (int32_t)32767 << 10);
        out[i] = (int16_t)((v >= 0 ? w + 512 : ((int32_t)1 << 25) - w + 511) >> 10);
    }
}

EDGEBN_INLINE void edgebn_tanh_s16(const int16_t *in, int16_t *out, int count, const uint16_t *table, int32_t multiplier,
                                   int shift) {
    int i;
    for (i = 0; i < count; i++) {
        const int32_t v = edgebn_curve_input(in[i], multiplier, shift);
        const int32_t w = edgebn_sigmoid_part(v < 0 ? -v : v, table, 8, (int32_t)65535 << 8);
        out[i] = (int16_t)((v >= 0 ? w - ((int32_t)1 << 23) + 128 : ((int32_t)1 << 23) - w + 127) >> 8);
    }
}

#endif
