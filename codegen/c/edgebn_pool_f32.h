/* Maximum and average of float32 over windows; padding counts as zeros in an average where `count_padding`.

   An average of many taps is a compensated sum (Kahan 1965) of sums of about EDGEBN_SUM_BLOCK taps: one float that grows over all
   of them would lose a bit for each doubling. */
#ifndef EDGEBN_POOL_F32_H
#define EDGEBN_POOL_F32_H

#include "edgebn_float.h"
#include "edgebn_pool_count.h"

#define EDGEBN_SUM_BLOCK 32

/* A sum of sums, and how much too large rounding has made it. */
typedef struct {
    float total, excess;
} edgebn_long_sum;

EDGEBN_INLINE void edgebn_add_block(edgebn_long_sum *sum, float block) {
    const float added = block - sum->excess, total = sum->total + added, excess = (total - sum->total) - added;
    sum->excess = excess == excess ? excess : 0.0f; /* infinity less infinity */
    sum->total = total;
}

EDGEBN_INLINE void edgebn_pool_f32(const float *in, float *out, edgebn_pool_shape s) {
    int y, x, c, i, j;
    for (y = 0; y < s.out_height; y++) {
        for (x = 0; x < s.out_width; x++) {
            const float count = (float)edgebn_max(edgebn_pool_counted(s, y, x).all, 1);
            for (c = 0; c < s.channels; c++) {
                edgebn_long_sum sum = {0.0f, 0.0f};
                float result = s.is_max ? -EDGEBN_INFINITY : 0.0f;
                int taps = 0;
                for (i = 0; i < s.kernel_height; i++) {
                    const int in_y = y * s.stride_y - s.top + i * s.dilation_y;
                    for (j = 0; j < s.kernel_width; j++) {
                        const int in_x = x * s.stride_x - s.left + j * s.dilation_x;
                        if (in_y >= 0 && in_y < s.height && in_x >= 0 && in_x < s.width) {
                            const float value = in[(in_y * s.width + in_x) * s.channels + c];
                            result = !s.is_max ? result + value : value > result ? value : result;
                            taps++;
                        }
                        if (taps == EDGEBN_SUM_BLOCK && !s.is_max) {
                            edgebn_add_block(&sum, result);
                            result = 0.0f;
                            taps = 0;
                        }
                    }
                }
                if (!s.is_max) {
                    edgebn_add_block(&sum, result);
                    result = sum.total / count;
                }
                *out++ = result;
            }
        }
    }
}

#endif
