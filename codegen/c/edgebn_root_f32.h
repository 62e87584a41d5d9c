/* The bits of float32 numbers, and their square root: the same bits on every core, without libm. */
#ifndef EDGEBN_ROOT_F32_H
#define EDGEBN_ROOT_F32_H

#include "edgebn_common.h"

EDGEBN_INLINE int32_t edgebn_bits_f32(float x) {
    int32_t bits;
    (void)memcpy(&bits, &x, sizeof bits);
    return bits;
}

EDGEBN_INLINE float edgebn_of_bits_f32(int32_t bits) {
    float x;
    (void)memcpy(&x, &bits, sizeof x);
    return x;
}

/* The square root of a positive normal number, correctly rounded. */
EDGEBN_INLINE float edgebn_sqrt_f32(float x) {
#if defined(__ARM_FP) && (__ARM_FP & 4) && defined(__GNUC__) && !defined(__aarch64__)
    float root;
    __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(x));
    return root;
#else
    const int32_t bits = edgebn_bits_f32(x), exponent = (bits >> 23) - 127;
    uint32_t rest = ((uint32_t)bits & 0x7FFFFFu) | 0x800000u, root = 0, trial = 0, bit;
    rest <<= 1 + (exponent & 1);
    for (bit = 0x1000000u; bit != 0; bit >>= 1) { /* 25 bits of the root, the last one for rounding */
        const uint32_t next = trial + bit;
        if (next <= rest) {
            trial = next + bit;
            rest -= next;
            root += bit;
        }
        rest <<= 1;
    }
    root += root & 1u; /* never a tie: the root of 24 bits has no 25-bit square root with its last bit set */
    return edgebn_of_bits_f32((int32_t)(root >> 1) + ((exponent - (exponent & 1)) / 2 + 126) * ((int32_t)1 << 23));
#endif
}

#endif
