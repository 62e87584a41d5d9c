/* float32 arithmetic that kernels share: clips. */
#ifndef EDGEBN_FLOAT_H
#define EDGEBN_FLOAT_H

#include "edgebn_common.h"
#include "edgebn_shape.h"

#include <math.h>

/* A clip at it changes no number; a macro of the compiler, no library function. */
#define EDGEBN_INFINITY INFINITY

EDGEBN_INLINE float edgebn_clip_f32(float x, float low, float high) {
    const float above = x < low ? low : x;
    return above > high ? high : above;
}

#endif
