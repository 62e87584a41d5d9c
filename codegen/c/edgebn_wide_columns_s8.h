/* Columns of taps that are widened as they are laid down: a word a tap holds both pixels of the tile.

   `edgebn_taps_widen_s8` of the processor's own header does it. Behind the words lies room for one row of codes, or for a column
   where rows are no whole blocks. */
#ifndef EDGEBN_WIDE_COLUMNS_S8_H
#define EDGEBN_WIDE_COLUMNS_S8_H

#include "edgebn_common.h"

/* Widens `count` codes, filled up to a multiple of four, into a pixel's taps from `first` on. */
EDGEBN_INLINE void edgebn_taps_widen_s8(int8_t *columns, int pixel, int first, int count, const int8_t *codes);

/* Returns where `count` taps of a pixel from tap `first` on are to be written; `edgebn_wide_taps_done_s8` must follow. Rows of whole
   blocks are widened one by one and share one place, others when the column is complete. */
EDGEBN_INLINE int8_t *edgebn_wide_taps_place_s8(int8_t *columns, int pixel, int taps, int first, int count) {
    (void)pixel;
    return columns + 4 * EDGEBN_ROUND_UP_4(taps) + (count % 4 == 0 ? 0 : first);
}

EDGEBN_INLINE void edgebn_wide_taps_done_s8(int8_t *columns, int pixel, int taps, int first, int count) {
    const int8_t *codes = columns + 4 * EDGEBN_ROUND_UP_4(taps);
    if (count % 4 == 0) {
        edgebn_taps_widen_s8(columns, pixel, first, count, codes);
    } else if (first + count == taps) {
        edgebn_taps_widen_s8(columns, pixel, 0, taps, codes);
    } else {
        /* the column is not complete yet */
    }
}

/* Lays down `count` taps that stand side by side at `codes`. */
EDGEBN_INLINE void edgebn_wide_taps_put_s8(int8_t *columns, int pixel, int taps, int first, int count, const int8_t *codes) {
    if (count % 4 == 0) {
        edgebn_taps_widen_s8(columns, pixel, first, count, codes);
    } else {
        (void)memcpy(edgebn_wide_taps_place_s8(columns, pixel, taps, first, count), codes, (size_t)count);
        edgebn_wide_taps_done_s8(columns, pixel, taps, first, count);
    }
}

#endif
