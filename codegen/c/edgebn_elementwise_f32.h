/* float32 functions of single elements, sums and products of two values, and batch norms of their own. All but those with a
   repeated first operand may work in place. */
#ifndef EDGEBN_ELEMENTWISE_F32_H
#define EDGEBN_ELEMENTWISE_F32_H

#include "edgebn_broadcast.h"
#include "edgebn_epilogue_f32.h"
#include "edgebn_power_f32.h"
#include "edgebn_unary_f32.h"

/* What the functions may read: bounds of a clip, slope of leaky_relu and hard_sigmoid, offset of hard_sigmoid, exponent of power, base of exp_base. */
typedef struct {
    float low, high, alpha, beta;
} edgebn_function_f32;

EDGEBN_INLINE float edgebn_apply_clip_f32(float x, edgebn_function_f32 f) { return edgebn_clip_f32(x, f.low, f.high); }

EDGEBN_INLINE float edgebn_apply_leaky_relu_f32(float x, edgebn_function_f32 f) { return x < 0.0f ? f.alpha * x : x; }

EDGEBN_INLINE float edgebn_apply_hard_sigmoid_f32(float x, edgebn_function_f32 f) {
    return edgebn_clip_f32(f.alpha * x + f.beta, 0.0f, 1.0f);
}

EDGEBN_INLINE float edgebn_apply_hard_swish_f32(float x, edgebn_function_f32 f) {
    (void)f;
    return x * (edgebn_clip_f32(x + 3.0f, 0.0f, 6.0f) / 6.0f);
}

EDGEBN_INLINE float edgebn_apply_sigmoid_f32(float x, edgebn_function_f32 f) {
    (void)f;
    return edgebn_sigmoid_f32(x);
}

EDGEBN_INLINE float edgebn_apply_silu_f32(float x, edgebn_function_f32 f) {
    (void)f;
    return edgebn_times_sigmoid_f32(x, x, 0.0f);
}

EDGEBN_INLINE float edgebn_apply_tanh_f32(float x, edgebn_function_f32 f) {
    (void)f;
    return edgebn_tanh_f32(x);
}

EDGEBN_INLINE float edgebn_apply_elu_f32(float x, edgebn_function_f32 f) { return x < 0.0f ? f.alpha * edgebn_expm1_f32(x) : x; }

EDGEBN_INLINE float edgebn_apply_power_f32(float x, edgebn_function_f32 f) { return edgebn_power_f32(x, f.alpha); }

EDGEBN_INLINE float edgebn_apply_exp_base_f32(float x, edgebn_function_f32 f) { return edgebn_power_f32(f.alpha, x); }

/* Those without parameters. */
#define EDGEBN_APPLY_F32(name, result)                                         \
    EDGEBN_INLINE float edgebn_apply_##name##_f32(float x, edgebn_function_f32 f) { \
        (void)f;                                                               \
        return result;                                                         \
    }

EDGEBN_APPLY_F32(abs, edgebn_abs_f32(x))
EDGEBN_APPLY_F32(ceil, edgebn_ceil_f32(x))
EDGEBN_APPLY_F32(cos, edgebn_turned_f32(x, 1))
EDGEBN_APPLY_F32(erf, edgebn_erf_f32(x))
EDGEBN_APPLY_F32(exp, edgebn_exp_f32(x))
EDGEBN_APPLY_F32(floor, edgebn_floor_f32(x))
EDGEBN_APPLY_F32(gelu, edgebn_gelu_f32(x))
EDGEBN_APPLY_F32(gelu_tanh, edgebn_gelu_tanh_f32(x))
EDGEBN_APPLY_F32(log, edgebn_log_f32(x))
EDGEBN_APPLY_F32(mish, edgebn_mish_f32(x))
EDGEBN_APPLY_F32(reciprocal, 1.0f / x)
EDGEBN_APPLY_F32(round, edgebn_round_f32(x))
EDGEBN_APPLY_F32(rsqrt, 1.0f / edgebn_any_root_f32(x))
EDGEBN_APPLY_F32(selu, x < 0.0f ? 1.75809934f * edgebn_expm1_f32(x) : 1.05070099f * x)
EDGEBN_APPLY_F32(sin, edgebn_turned_f32(x, 0))
EDGEBN_APPLY_F32(softplus, edgebn_softplus_f32(x))
EDGEBN_APPLY_F32(sqrt, edgebn_any_root_f32(x))
EDGEBN_APPLY_F32(square, x * x)

typedef float (*edgebn_apply_f32)(float x, edgebn_function_f32 f);

EDGEBN_INLINE void edgebn_elementwise_f32(const float *in, float *out, int count, edgebn_apply_f32 apply, edgebn_function_f32 f) {
    int i;
    for (i = 0; i < count; i++) {
        out[i] = apply(in[i], f);
    }
}

EDGEBN_INLINE float edgebn_sum_f32(float a, float b) { return a + b; }

EDGEBN_INLINE float edgebn_product_f32(float a, float b) { return a * b; }

EDGEBN_INLINE float edgebn_subtract_f32(float a, float b) { return a - b; }

EDGEBN_INLINE float edgebn_divide_f32(float a, float b) { return a / b; }

EDGEBN_INLINE float edgebn_maximum_f32(float a, float b) { return a > b ? a : b; }

EDGEBN_INLINE float edgebn_minimum_f32(float a, float b) { return a < b ? a : b; }

EDGEBN_INLINE float edgebn_squared_difference_f32(float a, float b) { return (a - b) * (a - b); }

/* x where it is positive, slope * x below zero. */
EDGEBN_INLINE float edgebn_prelu_f32(float x, float slope) { return x < 0.0f ? slope * x : x; }

typedef float (*edgebn_combine_f32)(float a, float b);

EDGEBN_INLINE void edgebn_binary_f32(const float *a, const float *b, float *out, edgebn_broadcast s, edgebn_combine_f32 combine,
                                     float low, float high) {
    int y, x, c;
    for (y = 0; y < s.height; y++) {
        for (x = 0; x < s.width; x++) {
            const float *first = a + y * s.a_y + x * s.a_x, *second = b + y * s.b_y + x * s.b_x;
            for (c = 0; c < s.channels; c++) {
                *out++ = edgebn_clip_f32(combine(first[c * s.a_c], second[c * s.b_c]), low, high);
            }
        }
    }
}

EDGEBN_INLINE void edgebn_affine_f32(const float *in, float *out, int pixels, int channels, edgebn_epilogue_f32 e) {
    int i, c;
    for (i = 0; i < pixels; i++) {
        EDGEBN_NO_GATHERS
        for (c = 0; c < channels; c++) {
            *out++ = edgebn_finish_f32(*in++, &e, c);
        }
    }
}

#endif
