/* A batch norm of its own: every int16 code goes through the epilogue of its channel. May work in place. */
#ifndef EDGEBN_AFFINE_S16_H
#define EDGEBN_AFFINE_S16_H

#include "edgebn_requantize_s16.h"

EDGEBN_INLINE void edgebn_affine_s16(const int16_t *in, int16_t *out, int pixels, int channels, edgebn_epilogue_s16 e) {
    int i, c;
    for (i = 0; i < pixels; i++) {
        for (c = 0; c < channels; c++) {
            *out++ = edgebn_requantize_s16(*in++, c, e);
        }
    }
}

#endif
