/* int32: casts, comparisons and whole-number arithmetic, where an extreme stands, choices and indexing. */
#ifndef EDGEBN_INTEGERS_H
#define EDGEBN_INTEGERS_H

#include "edgebn_broadcast.h"
#include "edgebn_common.h"

/* What stands behind the point is dropped; numbers beyond int32 become its nearest, and what is no number 0. */
EDGEBN_INLINE void edgebn_cast_s32(const float *in, int32_t *out, int count) {
    int i;
    for (i = 0; i < count; i++) {
        const float value = in[i];
        if (value >= 2147483648.0f) {
            out[i] = INT32_MAX;
        } else if (value < -2147483648.0f) {
            out[i] = INT32_MIN;
        } else {
            out[i] = value == value ? (int32_t)value : 0;
        }
    }
}

EDGEBN_INLINE void edgebn_cast_f32(const int32_t *in, float *out, int count) {
    int i;
    for (i = 0; i < count; i++) {
        out[i] = (float)in[i];
    }
}

/* The low 32 bits of a number. */
EDGEBN_INLINE int32_t edgebn_low_bits(int64_t value) {
    const uint32_t bits = (uint32_t)value;
    return bits <= INT32_MAX ? (int32_t)bits : -(int32_t)(UINT32_MAX - bits) - 1;
}

EDGEBN_INLINE int32_t edgebn_whole_equal(int32_t a, int32_t b) { return a == b; }
EDGEBN_INLINE int32_t edgebn_whole_not_equal(int32_t a, int32_t b) { return a != b; }
EDGEBN_INLINE int32_t edgebn_whole_greater(int32_t a, int32_t b) { return a > b; }
EDGEBN_INLINE int32_t edgebn_whole_greater_equal(int32_t a, int32_t b) { return a >= b; }
EDGEBN_INLINE int32_t edgebn_whole_less(int32_t a, int32_t b) { return a < b; }
EDGEBN_INLINE int32_t edgebn_whole_less_equal(int32_t a, int32_t b) { return a <= b; }
EDGEBN_INLINE int32_t edgebn_whole_add(int32_t a, int32_t b) { return edgebn_low_bits((int64_t)a + b); }
EDGEBN_INLINE int32_t edgebn_whole_subtract(int32_t a, int32_t b) { return edgebn_low_bits((int64_t)a - b); }
EDGEBN_INLINE int32_t edgebn_whole_multiply(int32_t a, int32_t b) { return edgebn_low_bits((int64_t)a * b); }
EDGEBN_INLINE int32_t edgebn_whole_maximum(int32_t a, int32_t b) { return a > b ? a : b; }
EDGEBN_INLINE int32_t edgebn_whole_minimum(int32_t a, int32_t b) { return a < b ? a : b; }

/* Both round down, and are 0 where b is. */
EDGEBN_INLINE int32_t edgebn_whole_floor_divide(int32_t a, int32_t b) {
    int64_t quotient;
    if (b == 0) {
        return 0;
    }
    quotient = (int64_t)a / b;
    return edgebn_low_bits(quotient - ((int64_t)a % b != 0 && (a < 0) != (b < 0)));
}

EDGEBN_INLINE int32_t edgebn_whole_floor_mod(int32_t a, int32_t b) {
    int64_t rest;
    if (b == 0) {
        return 0;
    }
    rest = (int64_t)a % b;
    return (int32_t)(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

typedef int32_t (*edgebn_combine_integers)(int32_t a, int32_t b);

EDGEBN_INLINE void edgebn_binary_s32(const int32_t *a, const int32_t *b, int32_t *out, edgebn_broadcast s,
                                     edgebn_combine_integers combine) {
    int y, x, c;
    for (y = 0; y < s.height; y++) {
        for (x = 0; x < s.width; x++) {
            const int32_t *first = a + y * s.a_y + x * s.a_x, *second = b + y * s.b_y + x * s.b_x;
            for (c = 0; c < s.channels; c++) {
                *out++ = combine(first[c * s.a_c], second[c * s.b_c]);
            }
        }
    }
}

EDGEBN_INLINE int32_t edgebn_equal_f32(float a, float b) { return a == b; }
EDGEBN_INLINE int32_t edgebn_not_equal_f32(float a, float b) { return a != b; }
EDGEBN_INLINE int32_t edgebn_greater_f32(float a, float b) { return a > b; }
EDGEBN_INLINE int32_t edgebn_greater_equal_f32(float a, float b) { return a >= b; }
EDGEBN_INLINE int32_t edgebn_less_f32(float a, float b) { return a < b; }
EDGEBN_INLINE int32_t edgebn_less_equal_f32(float a, float b) { return a <= b; }

typedef int32_t (*edgebn_comparison)(float a, float b);

EDGEBN_INLINE void edgebn_compare_f32(const float *a, const float *b, int32_t *out, edgebn_broadcast s, edgebn_comparison compare) {
    int y, x, c;
    for (y = 0; y < s.height; y++) {
        for (x = 0; x < s.width; x++) {
            const float *first = a + y * s.a_y + x * s.a_x, *second = b + y * s.b_y + x * s.b_x;
            for (c = 0; c < s.channels; c++) {
                *out++ = compare(first[c * s.a_c], second[c * s.b_c]);
            }
        }
    }
}

/* Where along the middle one of three axes the `most` largest values stand, or the smallest, the best first; of equal ones the first
   first, or the last, and what is no number behind all others. `out` holds the places found so far. */
#define EDGEBN_ALL_NUMBERS(value) 0
#define EDGEBN_NO_NUMBER(value) ((value) != (value))
#define EDGEBN_ARG_EXTREME(suffix, type, no_number)                                                                                   \
    EDGEBN_INLINE int edgebn_better_##suffix(type a, type b, int smallest) {                                                          \
        return (smallest ? a < b : a > b) || (no_number(b) && !no_number(a));                                                         \
    }                                                                                                                                 \
    /* Whether a value goes before one that was found earlier. */                                                                     \
    EDGEBN_INLINE int edgebn_leads_##suffix(type value, type other, int smallest, int last) {                                         \
        return last ? !edgebn_better_##suffix(other, value, smallest) : edgebn_better_##suffix(value, other, smallest);               \
    }                                                                                                                                 \
    EDGEBN_INLINE void edgebn_arg_extreme_##suffix(const type *in, int32_t *out, int outer, int along, int inner, int most,           \
                                                   int smallest, int last) {                                                          \
        int i, j, k, slot;                                                                                                            \
        for (i = 0; i < outer; i++) {                                                                                                 \
            for (j = 0; j < inner; j++) {                                                                                             \
                const type *from = in + (i * along) * inner + j;                                                                      \
                int32_t *to = out + (i * most) * inner + j;                                                                           \
                type worst = from[0];                                                                                                 \
                int found = 0;                                                                                                        \
                for (k = 0; k < along; k++) {                                                                                         \
                    const type value = from[k * inner];                                                                               \
                    if (found == most && !edgebn_leads_##suffix(value, worst, smallest, last)) {                                      \
                        continue;                                                                                                     \
                    }                                                                                                                 \
                    slot = found < most ? found++ : most - 1;                                                                         \
                    for (; slot > 0; slot--) {                                                                                        \
                        const int32_t place = to[(slot - 1) * inner];                                                                 \
                        if (!edgebn_leads_##suffix(value, from[place * inner], smallest, last)) {                                     \
                            break;                                                                                                    \
                        }                                                                                                             \
                        to[slot * inner] = place;                                                                                     \
                    }                                                                                                                 \
                    to[slot * inner] = k;                                                                                             \
                    worst = from[to[(found - 1) * inner] * inner];                                                                    \
                }                                                                                                                     \
            }                                                                                                                         \
        }                                                                                                                             \
    }

EDGEBN_ARG_EXTREME(s8, int8_t, EDGEBN_ALL_NUMBERS)
EDGEBN_ARG_EXTREME(s32, int32_t, EDGEBN_ALL_NUMBERS)
EDGEBN_ARG_EXTREME(f32, float, EDGEBN_NO_NUMBER)

/* Elements of `size` bytes: that of a where the condition is not 0, else that of b. `s` is of a and b, then of the condition. */
EDGEBN_INLINE void edgebn_select(const int32_t *condition, const void *a, const void *b, void *out, edgebn_broadcast s, int c_y,
                                 int c_x, int c_c, int size) {
    int8_t *target = (int8_t *)out;
    int y, x, c;
    for (y = 0; y < s.height; y++) {
        for (x = 0; x < s.width; x++) {
            for (c = 0; c < s.channels; c++, target += size) {
                const int first = (y * s.a_y + x * s.a_x + c * s.a_c) * size, second = (y * s.b_y + x * s.b_x + c * s.b_c) * size;
                (void)memmove(target, condition[y * c_y + x * c_x + c * c_c] ? (const int8_t *)a + first : (const int8_t *)b + second,
                              (size_t)size);
            }
        }
    }
}

/* Parts of `part` bytes; every row of indices has those of up to three axes: sizes (0 where there is none) and bytes of a step. */
typedef struct {
    int count, pitch, part;
    int size0, size1, size2;
    int step0, step1, step2;
} edgebn_parts;

/* An index, a negative one counted from the end, within its axis. */
EDGEBN_INLINE int edgebn_inside(int32_t index, int size) {
    const int64_t wanted = index < 0 ? (int64_t)index + size : index;
    return wanted < 0 ? 0 : wanted >= size ? size - 1 : (int)wanted;
}

EDGEBN_INLINE void edgebn_gather_nd(const void *in, const int32_t *indices, void *out, edgebn_parts p) {
    int8_t *target = (int8_t *)out;
    int i;
    for (i = 0; i < p.count; i++, indices += p.pitch, target += p.part) {
        const int8_t *from = (const int8_t *)in + edgebn_inside(indices[0], p.size0) * p.step0;
        if (p.size1 > 0) {
            from += edgebn_inside(indices[1], p.size1) * p.step1;
        }
        if (p.size2 > 0) {
            from += edgebn_inside(indices[2], p.size2) * p.step2;
        }
        (void)memcpy(target, from, (size_t)p.part);
    }
}

#endif
