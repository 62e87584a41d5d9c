/* Steps that move elements of any type without computing: boxes copied between arrays, constant filling, axes in another order. */
#ifndef EDGEBN_MOVE_H
#define EDGEBN_MOVE_H

#include "edgebn_common.h"

/* A box of (height, width) runs of bytes; pitches are bytes from one row or column to the next, in either array. */
typedef struct {
    int height, width, run;
    int in_row, in_column, out_row, out_column;
} edgebn_box;

EDGEBN_INLINE void edgebn_copy_box(const void *in, void *out, edgebn_box box) {
    const int8_t *source = (const int8_t *)in;
    int8_t *target = (int8_t *)out;
    int y, x;
    for (y = 0; y < box.height; y++) {
        for (x = 0; x < box.width; x++) {
            (void)memcpy(target + y * box.out_row + x * box.out_column, source + y * box.in_row + x * box.in_column, (size_t)box.run);
        }
    }
}

/* The same for codes that pass through a table of 256 on their way. */
EDGEBN_INLINE void edgebn_translate_box_s8(const int8_t *in, int8_t *out, edgebn_box box, const int8_t *table) {
    int y, x, i;
    for (y = 0; y < box.height; y++) {
        for (x = 0; x < box.width; x++) {
            for (i = 0; i < box.run; i++) {
                out[y * box.out_row + x * box.out_column + i] = table[in[y * box.in_row + x * box.in_column + i] + 128];
            }
        }
    }
}

/* Fills `count` elements of `size` bytes with the one at `value`. */
EDGEBN_INLINE void edgebn_fill(void *out, const void *value, int size, int count) {
    int8_t *target = (int8_t *)out;
    for (; count > 0; count--, target += size) {
        (void)memcpy(target, value, (size_t)size);
    }
}

/* Output (a, b, c) in row-major order from input strides, all in elements of `size` bytes. */
EDGEBN_INLINE void edgebn_transpose(const void *in, void *out, int size, int a, int b, int c, int stride_a, int stride_b,
                                    int stride_c) {
    const int8_t *source = (const int8_t *)in;
    int8_t *target = (int8_t *)out;
    int i, j, k;
    for (i = 0; i < a; i++) {
        for (j = 0; j < b; j++) {
            for (k = 0; k < c; k++, target += size) {
                (void)memcpy(target, source + (i * stride_a + j * stride_b + k * stride_c) * size, (size_t)size);
            }
        }
    }
}

/* Nearest neighbours: input row and column of every output row and column, pixels of `run` bytes. */
EDGEBN_INLINE void edgebn_resize_nearest(const void *in, void *out, int width, int run, int out_height, int out_width,
                                         const uint16_t *rows, const uint16_t *columns) {
    const int8_t *source = (const int8_t *)in;
    int8_t *target = (int8_t *)out;
    int y, x;
    for (y = 0; y < out_height; y++) {
        for (x = 0; x < out_width; x++, target += run) {
            const uint32_t row = rows ? (uint32_t)rows[y] : (uint32_t)y;
            const uint32_t column = columns ? (uint32_t)columns[x] : (uint32_t)x;
            (void)memcpy(target, source + (row * (uint32_t)width + column) * (uint32_t)run, (size_t)run);
        }
    }
}

#endif
