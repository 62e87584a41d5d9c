/* float32 numbers to int8 codes and back: real = scale * (code - zero_point). */
#ifndef EDGEBN_CONVERT_H
#define EDGEBN_CONVERT_H

#include "edgebn_common.h"

/* The nearest code, the even one of two; what is no number becomes the lowest. May write over `in`, from its start. */
EDGEBN_INLINE void edgebn_quantize_s8(const float *in, int8_t *out, int count, float scale, int zero_point) {
    int i;
    for (i = 0; i < count; i++) {
        float steps = in[i] / scale, rest;
        int code;

        steps = steps > -1000.0f ? steps : -1000.0f;
        steps = steps < 1000.0f ? steps : 1000.0f;
        code = (int)steps;
        rest = steps - (float)code; /* exact */
        code += rest > 0.5f || (rest == 0.5f && (code & 1) != 0);
        code -= rest < -0.5f || (rest == -0.5f && (code & 1) != 0);
        code += zero_point;
        out[i] = (int8_t)(code < -128 ? -128 : code > 127 ? 127 : code);
    }
}

EDGEBN_INLINE void edgebn_dequantize_f32(const int8_t *in, float *out, int count, float scale, int zero_point) {
    int i;
    for (i = 0; i < count; i++) {
        out[i] = scale * (float)(in[i] - zero_point);
    }
}

#endif
