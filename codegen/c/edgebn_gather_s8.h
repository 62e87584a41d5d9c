/* One output pixel's taps, copied from the input into a column; padding reads the input's zero point. */
#ifndef EDGEBN_GATHER_S8_H
#define EDGEBN_GATHER_S8_H

#include "edgebn_gemm_s8.h"
#include "edgebn_shape.h"

/* One row of taps, the first of them tap `first`; `x` is the leftmost input column. */
EDGEBN_INLINE void edgebn_gather_row_s8(const int8_t *row, int8_t *columns, int pixel, edgebn_conv_shape s, int first, int x,
                                        int first_channel) {
    const int per_group = s.channels / s.groups, count = s.kernel_width * per_group;
    const int taps = s.kernel_height * count;
    int8_t *place;
    if (s.groups == 1 && s.dilation_x == 1) { /* the taps lie side by side */
        const int before = (int)edgebn_clip(-x, 0, s.kernel_width);
        const int after = (int)edgebn_clip(x + s.kernel_width - s.width, 0, s.kernel_width - before);
        if (before == 0 && after == 0) {
            EDGEBN_TAPS(put)(columns, pixel, taps, first, count, row + x * s.channels);
            return;
        }
        place = EDGEBN_TAPS(place)(columns, pixel, taps, first, count);
        (void)memset(place, s.zero_point, (size_t)count);
        (void)memcpy(place + before * s.channels, row + (x + before) * s.channels,
                     (size_t)((s.kernel_width - before - after) * s.channels));
    } else {
        int i;
        place = EDGEBN_TAPS(place)(columns, pixel, taps, first, count);
        for (i = 0; i < s.kernel_width; i++, x += s.dilation_x, place += per_group) {
            if (x < 0 || x >= s.width) {
                (void)memset(place, s.zero_point, (size_t)per_group);
            } else {
                (void)memcpy(place, row + x * s.channels + first_channel, (size_t)per_group);
            }
        }
    }
    EDGEBN_TAPS(done)(columns, pixel, taps, first, count);
}

/* All taps of the output pixel (out_y, out_x) become column `pixel` of a tile. */
EDGEBN_INLINE void edgebn_gather_s8(const int8_t *in, int8_t *columns, int pixel, edgebn_conv_shape s, int out_y, int out_x,
                                    int group) {
    const int per_group = s.channels / s.groups, count = s.kernel_width * per_group;
    const int x = out_x * s.stride_x - s.left;
    int y = out_y * s.stride_y - s.top, i;
    for (i = 0; i < s.kernel_height; i++, y += s.dilation_y) {
        if (y < 0 || y >= s.height) {
            const int taps = s.kernel_height * count;
            (void)memset(EDGEBN_TAPS(place)(columns, pixel, taps, i * count, count), s.zero_point, (size_t)count);
            EDGEBN_TAPS(done)(columns, pixel, taps, i * count, count);
        } else {
            edgebn_gather_row_s8(in + y * s.width * s.channels, columns, pixel, s, i * count, x, group * per_group);
        }
    }
}

#endif
