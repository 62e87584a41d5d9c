/* Columns of codes: one pixel's taps after the other's, each filled up to a multiple of four. */
#ifndef EDGEBN_COLUMNS_S8_H
#define EDGEBN_COLUMNS_S8_H

#include "edgebn_common.h"

/* Returns where `count` taps of a pixel from tap `first` on are to be written; `edgebn_taps_done_s8` must follow. */
EDGEBN_INLINE int8_t *edgebn_taps_place_s8(int8_t *columns, int pixel, int taps, int first, int count) {
    (void)count;
    return columns + pixel * EDGEBN_ROUND_UP_4(taps) + first;
}

EDGEBN_INLINE void edgebn_taps_done_s8(int8_t *columns, int pixel, int taps, int first, int count) {
    (void)columns;
    (void)pixel;
    (void)taps;
    (void)first;
    (void)count;
}

/* Lays down `count` taps that stand side by side at `codes`. */
EDGEBN_INLINE void edgebn_taps_put_s8(int8_t *columns, int pixel, int taps, int first, int count, const int8_t *codes) {
    (void)memcpy(edgebn_taps_place_s8(columns, pixel, taps, first, count), codes, (size_t)count);
}

#endif
