/* float32 numbers to int8 and int16 codes and back: real = scale * (code - zero_point). */
#ifndef EDGEBN_CONVERT_H
#define EDGEBN_CONVERT_H

#include "edgebn_common.h"

/* The nearest code, the even one of two; what is no number becomes the lowest. May write over `in`, from its start. */
EDGEBN_INLINE int32_t edgebn_quantized(float x, float scale, float reach) {
    float steps = x / scale, rest;
    int32_t code;

    steps = steps > -reach ? steps : -reach;
    steps = steps < reach ? steps : reach;
    code = (int32_t)steps;
    rest = steps - (float)code; /* exact */
    code += rest > 0.5f || (rest == 0.5f && (code & 1) != 0);
    code -= rest < -0.5f || (rest == -0.5f && (code & 1) != 0);
    return code;
}

EDGEBN_INLINE void edgebn_quantize_s8(const float *in, int8_t *out, int count, float scale, int zero_point) {
    int i;
    for (i = 0; i < count; i++) {
        out[i] = (int8_t)edgebn_clip(edgebn_quantized(in[i], scale, 1000.0f) + zero_point, -128, 127);
    }
}

EDGEBN_INLINE void edgebn_quantize_s16(const float *in, int16_t *out, int count, float scale) {
    int i;
    for (i = 0; i < count; i++) {
        out[i] = (int16_t)edgebn_clip(edgebn_quantized(in[i], scale, 100000.0f), -32768, 32767);
    }
}

EDGEBN_INLINE void edgebn_dequantize_s16(const int16_t *in, float *out, int count, float scale) {
    int i;
    for (i = 0; i < count; i++) {
        out[i] = scale * (float)in[i];
    }
}

EDGEBN_INLINE void edgebn_dequantize_f32(const int8_t *in, float *out, int count, float scale, int zero_point) {
    int i;
    for (i = 0; i < count; i++) {
        out[i] = scale * (float)(in[i] - zero_point);
    }
}

#endif
