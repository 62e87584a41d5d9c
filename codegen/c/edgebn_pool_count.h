/* What an average pool divides by: how many positions of a window count, by its rules for padding. */
#ifndef EDGEBN_POOL_COUNT_H
#define EDGEBN_POOL_COUNT_H

#include "edgebn_common.h"
#include "edgebn_shape.h"

/* Positions of a window that count, and how many of them are padding. */
typedef struct {
    int all, padding;
} edgebn_pool_count;

/* Returns how many of `kernel` positions from `start` on lie in low..high-1. */
EDGEBN_INLINE int edgebn_positions_within(int start, int kernel, int dilation, int low, int high) {
    int i, count = 0;
    for (i = 0; i < kernel; i++) {
        count += start + i * dilation >= low && start + i * dilation < high;
    }
    return count;
}

EDGEBN_INLINE edgebn_pool_count edgebn_pool_counted(edgebn_pool_shape s, int y, int x) {
    const int first_y = y * s.stride_y - s.top, first_x = x * s.stride_x - s.left;
    const int inside = edgebn_positions_within(first_y, s.kernel_height, s.dilation_y, 0, s.height) *
                       edgebn_positions_within(first_x, s.kernel_width, s.dilation_x, 0, s.width);
    edgebn_pool_count count = {inside, 0};
    if (s.count_padding) {
        count.all = edgebn_positions_within(first_y, s.kernel_height, s.dilation_y, -s.top, s.height + s.counted_bottom) *
                    edgebn_positions_within(first_x, s.kernel_width, s.dilation_x, -s.left, s.width + s.counted_right);
        count.padding = count.all - inside;
    }
    return count;
}

#endif
