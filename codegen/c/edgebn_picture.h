/* From a camera's frame buffer to rows of resized pixels, each of which its caller looks up: no second frame. Two arithmetics:
   two pixels a side in 11 bits (OpenCV's INTER_LINEAR), or weighed sums of any number in 22 bits (Pillow's). */
#ifndef EDGEBN_PICTURE_H
#define EDGEBN_PICTURE_H

#include "edgebn_common.h"

/* Layouts of a frame buffer. */
#define EDGEBN_FRAME_GREY 0
#define EDGEBN_FRAME_RGB888 1
#define EDGEBN_FRAME_BGR888 2
#define EDGEBN_FRAME_RGB565 3
#define EDGEBN_FRAME_RGB565_SWAPPED 4
#define EDGEBN_FRAME_YUYV 5

/* Everything about one frame and one input; all are constants where it is used. */
typedef struct {
    int32_t layout, row_bytes;
    int32_t top, left;       /* of the part that is used, pixels */
    int32_t height, width;   /* of the resized picture */
    int32_t channels;        /* 3, or 1 for grey */
    int32_t column_taps, row_taps;
    const uint16_t *columns; /* (width, 2), or (width, 1): the first of several */
    const int32_t *column_weights; /* (width, column_taps) */
    const uint16_t *rows;    /* (height, 2), or (height, 1) */
    const int32_t *row_weights; /* (height, row_taps) */
} edgebn_picture;

/* Luma and colour differences to one colour, in 20 bits. */
EDGEBN_INLINE uint8_t edgebn_picture_colour(int32_t sum) { return (uint8_t)edgebn_clip((sum + (1 << 19)) >> 20, 0, 255); }

/* Writes a pixel's channels: red, green, blue, or grey. */
EDGEBN_INLINE void edgebn_picture_pixel(const edgebn_picture *p, const uint8_t *row, int32_t x, uint8_t *to) {
    uint8_t rgb[3];

    if (p->layout == EDGEBN_FRAME_GREY) {
        rgb[0] = rgb[1] = rgb[2] = row[x];
    } else if (p->layout == EDGEBN_FRAME_RGB888 || p->layout == EDGEBN_FRAME_BGR888) {
        const int32_t swapped = p->layout == EDGEBN_FRAME_BGR888 ? 2 : 0;
        rgb[0] = row[3 * x + swapped];
        rgb[1] = row[3 * x + 1];
        rgb[2] = row[3 * x + 2 - swapped];
    } else if (p->layout == EDGEBN_FRAME_YUYV) {
        const uint8_t *pair = row + 4 * (x / 2);
        const int32_t luma = edgebn_max(row[2 * x] - 16, 0) * 1220542, u = pair[1] - 128, v = pair[3] - 128;
        rgb[0] = edgebn_picture_colour(luma + 1673527 * v);
        rgb[1] = edgebn_picture_colour(luma - 409993 * u - 852492 * v);
        rgb[2] = edgebn_picture_colour(luma + 2116026 * u);
    } else {
        const int32_t high = p->layout == EDGEBN_FRAME_RGB565_SWAPPED ? 0 : 1;
        const uint32_t word = ((uint32_t)row[2 * x + high] << 8) | row[2 * x + 1 - high];
        const uint32_t red = word >> 11, green = (word >> 5) & 63u, blue = word & 31u;
        rgb[0] = (uint8_t)((red << 3) | (red >> 2));
        rgb[1] = (uint8_t)((green << 2) | (green >> 4));
        rgb[2] = (uint8_t)((blue << 3) | (blue >> 2));
    }
    if (p->channels == 3) {
        to[0] = rgb[0];
        to[1] = rgb[1];
        to[2] = rgb[2];
    } else if (p->layout == EDGEBN_FRAME_GREY) {
        to[0] = rgb[0];
    } else {
        to[0] = (uint8_t)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + (1u << 15)) >> 16);
    }
}

/* One row of the frame, mixed along it: (width, channels) in 7 bits of fraction. */
EDGEBN_INLINE void edgebn_picture_across(const edgebn_picture *p, const uint8_t *frame, int32_t row, int16_t *across) {
    const uint8_t *pixels = frame + (p->top + row) * p->row_bytes;
    int32_t x, c;

    for (x = 0; x < p->width; x++) {
        const int32_t *weights = p->column_weights + 2 * x;
        uint8_t first[3], second[3];
        edgebn_picture_pixel(p, pixels, p->left + p->columns[2 * x], first);
        edgebn_picture_pixel(p, pixels, p->left + p->columns[2 * x + 1], second);
        for (c = 0; c < p->channels; c++) {
            across[p->channels * x + c] = (int16_t)((first[c] * weights[0] + second[c] * weights[1]) >> 4);
        }
    }
}

/* Row y of the resized picture, (width, channels). `across` (2, width, channels) keeps the rows that it needed, `held` which ones:
   -1 before the first row. */
EDGEBN_INLINE void edgebn_picture_linear(
    const edgebn_picture *p, const uint8_t *frame, int32_t y, int16_t *across, int32_t held[2], uint8_t *values) {
    const int32_t count = p->width * p->channels;
    const int32_t *weights = p->row_weights + 2 * y;
    int16_t *mixed[2];
    int32_t side, i;

    for (side = 0; side < 2; side++) {
        const int32_t row = p->rows[2 * y + side];
        const int32_t place = row & 1; /* neighbours never share one */
        if (held[place] != row) {
            edgebn_picture_across(p, frame, row, across + place * count);
            held[place] = row;
        }
        mixed[side] = across + place * count;
    }
    for (i = 0; i < count; i++) {
        values[i] = (uint8_t)(((weights[0] * mixed[0][i] >> 16) + (weights[1] * mixed[1][i] >> 16) + 2) >> 2);
    }
}

EDGEBN_INLINE uint8_t edgebn_picture_rounded(int32_t sum) { return (uint8_t)edgebn_clip(sum >> 22, 0, 255); }

/* The same by weighed sums: `sums` (width, channels). Weights of nothing fill the tables up. */
EDGEBN_INLINE void edgebn_picture_weighed(
    const edgebn_picture *p, const uint8_t *frame, int32_t y, int32_t *sums, uint8_t *values) {
    const int32_t count = p->width * p->channels;
    int32_t x, c, i, k;

    for (i = 0; i < count; i++) {
        sums[i] = 1 << 21;
    }
    for (i = 0; i < p->row_taps; i++) {
        const int32_t down = p->row_weights[p->row_taps * y + i];
        const uint8_t *pixels = frame + (p->top + p->rows[y] + i) * p->row_bytes;
        for (x = 0; down != 0 && x < p->width; x++) {
            const int32_t *weights = p->column_weights + p->column_taps * x;
            int32_t totals[3] = {1 << 21, 1 << 21, 1 << 21};
            for (k = 0; k < p->column_taps; k++) {
                if (weights[k] != 0) {
                    uint8_t pixel[3];
                    edgebn_picture_pixel(p, pixels, p->left + p->columns[x] + k, pixel);
                    for (c = 0; c < p->channels; c++) {
                        totals[c] += pixel[c] * weights[k];
                    }
                }
            }
            for (c = 0; c < p->channels; c++) {
                sums[p->channels * x + c] += edgebn_picture_rounded(totals[c]) * down;
            }
        }
    }
    for (i = 0; i < count; i++) {
        values[i] = edgebn_picture_rounded(sums[i]);
    }
}

#endif
