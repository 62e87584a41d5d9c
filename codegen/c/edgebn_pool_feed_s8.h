/* Pooling of pixels as they are made, so that the unpooled rows are never stored.

   A maximum grows in the output itself. An average keeps sums (rows in flight, out_width, channels) in scratch memory; a pooled row
   leaves when its last input row is complete. */
#ifndef EDGEBN_POOL_FEED_S8_H
#define EDGEBN_POOL_FEED_S8_H

#include "edgebn_pool_average_s8.h"

/* What is being pooled. */
typedef struct {
    int8_t *out;
    int32_t *sums;
    int finished; /* pooled rows that have left */
} edgebn_pool_state;

/* How many pooled rows take from one input row at most. */
#define EDGEBN_POOL_ROWS(s) (((s).dilation_y * ((s).kernel_height - 1) + (s).stride_y) / (s).stride_y)

EDGEBN_INLINE edgebn_pool_state edgebn_pool_begin_s8(int8_t *out, int32_t *sums, edgebn_pool_shape s) {
    const edgebn_pool_state state = {out, sums, 0};
    if (s.is_max) {
        (void)memset(out, -128, (size_t)(s.out_height * s.out_width * s.channels));
    } else {
        (void)memset(sums, 0, sizeof(int32_t) * (size_t)(EDGEBN_POOL_ROWS(s) * s.out_width * s.channels));
    }
    return state;
}

EDGEBN_INLINE void edgebn_pool_take_s8(const edgebn_pool_state *state, const int8_t *pixel, edgebn_pool_shape s, int y, int x) {
    int c;
    if (s.is_max) {
        int8_t *best = state->out + (y * s.out_width + x) * s.channels;
        for (c = 0; c < s.channels; c++) {
            best[c] = (int8_t)edgebn_max(best[c], pixel[c]);
        }
    } else {
        int32_t *sum = state->sums + (y % EDGEBN_POOL_ROWS(s) * s.out_width + x) * s.channels;
        for (c = 0; c < s.channels; c++) {
            sum[c] += pixel[c];
        }
    }
}

/* Hands one pooled row out and clears its sums for the row that takes them over. */
EDGEBN_INLINE void edgebn_pool_leave_s8(const edgebn_pool_state *state, edgebn_pool_shape s, int y) {
    int32_t *sum = state->sums + y % EDGEBN_POOL_ROWS(s) * s.out_width * s.channels;
    int8_t *out = state->out + y * s.out_width * s.channels;
    int x, c;
    for (x = 0; x < s.out_width; x++) {
        const edgebn_pool_count count = edgebn_pool_counted(s, y, x);
        for (c = 0; c < s.channels; c++, sum++) {
            *out++ = edgebn_pool_mean_s8(*sum + (int32_t)s.zero_point * count.padding, count.all, s);
            *sum = 0;
        }
    }
}

/* Takes the pixel (y, x), whose channels are at `pixel`; pixels come in row-major order. */
EDGEBN_INLINE void edgebn_pool_feed_s8(edgebn_pool_state *state, const int8_t *pixel, edgebn_pool_shape s, int y, int x) {
    const int span_y = s.dilation_y * (s.kernel_height - 1), span_x = s.dilation_x * (s.kernel_width - 1);
    const int last_y = (int)edgebn_min((y + s.top) / s.stride_y, s.out_height - 1);
    const int last_x = (int)edgebn_min((x + s.left) / s.stride_x, s.out_width - 1);
    int out_y, out_x;
    for (out_y = last_y; out_y >= 0 && y + s.top - out_y * s.stride_y <= span_y; out_y--) {
        if ((y + s.top - out_y * s.stride_y) % s.dilation_y == 0) {
            for (out_x = last_x; out_x >= 0 && x + s.left - out_x * s.stride_x <= span_x; out_x--) {
                if ((x + s.left - out_x * s.stride_x) % s.dilation_x == 0) {
                    edgebn_pool_take_s8(state, pixel, s, out_y, out_x);
                }
            }
        }
    }
    if (!s.is_max && x == s.width - 1) {
        while (state->finished < s.out_height &&
               (y == s.height - 1 || state->finished * s.stride_y - s.top + span_y <= y)) {
            edgebn_pool_leave_s8(state, s, state->finished++);
        }
    }
}

#endif
