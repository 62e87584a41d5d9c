/* Maximum, average, and average with an epilogue of its own, over windows of int16 codes. May work in place where every window
   begins at or after the pixel it makes. */
#ifndef EDGEBN_POOL_S16_H
#define EDGEBN_POOL_S16_H

#include "edgebn_pool_average_s8.h"
#include "edgebn_pool_count.h"
#include "edgebn_requantize_s16.h"

/* Maximum or sum of one channel of a window that begins at (y, x), which may lie outside the input. */
EDGEBN_INLINE int32_t edgebn_pool_window_s16(const int16_t *in, edgebn_pool_shape s, int y, int x) {
    int32_t result = s.is_max ? -32768 : 0;
    int i, j;
    for (i = 0; i < s.kernel_height; i++) {
        const int in_y = y + i * s.dilation_y;
        if (in_y < 0 || in_y >= s.height) {
            continue;
        }
        for (j = 0; j < s.kernel_width; j++) {
            const int in_x = x + j * s.dilation_x;
            if (in_x >= 0 && in_x < s.width) {
                const int32_t code = in[(in_y * s.width + in_x) * s.channels];
                result = s.is_max ? edgebn_max(result, code) : result + code;
            }
        }
    }
    return result;
}

/* `e` is NULL for a maximum and for an average that keeps its scale; `by_count`: entry n - 1 of it is for windows in which n
   positions count, else entry 0 for all. */
EDGEBN_INLINE void edgebn_pool_with_s16(const int16_t *in, int16_t *out, edgebn_pool_shape s, const edgebn_epilogue_s16 *e,
                                        int by_count) {
    int y, x, c;
    for (y = 0; y < s.out_height; y++) {
        for (x = 0; x < s.out_width; x++) {
            const int32_t count = edgebn_max(edgebn_pool_counted(s, y, x).all, 1);
            for (c = 0; c < s.channels; c++) {
                const int32_t result = edgebn_pool_window_s16(in + c, s, y * s.stride_y - s.top, x * s.stride_x - s.left);
                if (s.is_max) {
                    *out++ = (int16_t)result;
                } else if (e != NULL) {
                    *out++ = edgebn_requantize_s16(result, by_count ? (int)count - 1 : 0, *e);
                } else {
                    *out++ = (int16_t)(s.ties != 0 ? edgebn_half_to_parity(result, count, s.ties) : edgebn_half_away(result, count));
                }
            }
        }
    }
}

EDGEBN_INLINE void edgebn_pool_s16(const int16_t *in, int16_t *out, edgebn_pool_shape s) {
    edgebn_pool_with_s16(in, out, s, NULL, 0);
}

EDGEBN_INLINE void edgebn_pool_rescaled_s16(const int16_t *in, int16_t *out, edgebn_pool_shape s, edgebn_epilogue_s16 e) {
    edgebn_pool_with_s16(in, out, s, &e, 0);
}

EDGEBN_INLINE void edgebn_pool_rescaled_by_count_s16(const int16_t *in, int16_t *out, edgebn_pool_shape s, edgebn_epilogue_s16 e) {
    edgebn_pool_with_s16(in, out, s, &e, 1);
}

#endif
