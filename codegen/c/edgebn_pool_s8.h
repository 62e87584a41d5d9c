/* Maximum, average, and average with an epilogue of its own, over windows. May work in place where every window begins at or
   after the pixel it makes. */
#ifndef EDGEBN_POOL_S8_H
#define EDGEBN_POOL_S8_H

#include "edgebn_pool_average_s8.h"
#include "edgebn_requantize_s8.h"

/* The part of a window that lies inside the input: first tap, and the one after the last. */
typedef struct {
    int first, end;
} edgebn_tap_range;

EDGEBN_INLINE edgebn_tap_range edgebn_taps_inside(int start, int kernel, int dilation, int size) {
    edgebn_tap_range range = {0, kernel};
    while (range.first < kernel && start + range.first * dilation < 0) {
        range.first++;
    }
    while (range.end > range.first && start + (range.end - 1) * dilation >= size) {
        range.end--;
    }
    return range;
}

/* Maximum or sum of one channel; `in` is tap (0, 0) of the window, which may lie outside the input. */
EDGEBN_INLINE int32_t edgebn_pool_window_s8(const int8_t *in, edgebn_pool_shape s, int offset, edgebn_tap_range rows,
                                            edgebn_tap_range columns) {
    int32_t result = s.is_max ? -128 : 0;
    int i, j;
    for (i = rows.first; i < rows.end; i++) {
        for (j = columns.first; j < columns.end; j++) {
            const int32_t code = in[offset + (i * s.dilation_y * s.width + j * s.dilation_x) * s.channels];
            result = s.is_max ? edgebn_max(result, code) : result + code;
        }
    }
    return result;
}

/* `e` is NULL for a maximum and for an average that keeps its scale; `by_count`: entry n - 1 of it is for windows in which n
   positions count, else entry 0 for all. */
EDGEBN_INLINE void edgebn_pool_with_s8(const int8_t *in, int8_t *out, edgebn_pool_shape s, const edgebn_epilogue_s8 *e,
                                       int by_count) {
    int y, x, c;
    for (y = 0; y < s.out_height; y++) {
        const int first_y = y * s.stride_y - s.top;
        const edgebn_tap_range rows = edgebn_taps_inside(first_y, s.kernel_height, s.dilation_y, s.height);
        for (x = 0; x < s.out_width; x++) {
            const int first_x = x * s.stride_x - s.left;
            const edgebn_tap_range columns = edgebn_taps_inside(first_x, s.kernel_width, s.dilation_x, s.width);
            const edgebn_pool_count count = edgebn_pool_counted(s, y, x);
            const int entry = by_count ? (int)edgebn_max(count.all, 1) - 1 : 0;
            for (c = 0; c < s.channels; c++) {
                const int offset = (first_y * s.width + first_x) * s.channels + c;
                const int32_t result = edgebn_pool_window_s8(in, s, offset, rows, columns);
                if (s.is_max) {
                    *out++ = (int8_t)result;
                } else if (e != NULL) {
                    const edgebn_channel_s8 channel = edgebn_channel(e, entry);
                    *out++ = edgebn_requantize_s8(result + (int32_t)s.zero_point * count.padding + edgebn_bias(e, entry), &channel, e);
                } else {
                    *out++ = edgebn_pool_mean_s8(result + (int32_t)s.zero_point * count.padding, count.all, s);
                }
            }
        }
    }
}

EDGEBN_INLINE void edgebn_pool_s8(const int8_t *in, int8_t *out, edgebn_pool_shape s) {
    edgebn_pool_with_s8(in, out, s, NULL, 0);
}

/* Every window's sum through one epilogue: bias, m, r and s of channel 0. */
EDGEBN_INLINE void edgebn_pool_rescaled_s8(const int8_t *in, int8_t *out, edgebn_pool_shape s, edgebn_epilogue_s8 e) {
    edgebn_pool_with_s8(in, out, s, &e, 0);
}

/* Every window's sum through an epilogue of its count: bias, m, r and s of channel n - 1 where n positions count. */
EDGEBN_INLINE void edgebn_pool_rescaled_by_count_s8(const int8_t *in, int8_t *out, edgebn_pool_shape s, edgebn_epilogue_s8 e) {
    edgebn_pool_with_s8(in, out, s, &e, 1);
}

#endif
