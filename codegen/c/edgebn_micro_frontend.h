/* The audio front end of TensorFlow Lite Micro: 16-bit samples to features, integers throughout. Window, real FFT in place, mel
   filters, square root, noise reduction, gain control (PCAN), logarithm. The tables come with the model. */
#ifndef EDGEBN_MICRO_FRONTEND_H
#define EDGEBN_MICRO_FRONTEND_H

#include "edgebn_common.h"

typedef struct {
    const int16_t *window;         /* (length,) */
    const int16_t *order;          /* (half,): which pair of samples each place begins with */
    const int16_t *twiddles;       /* (half, 2) */
    const int16_t *super_twiddles; /* (half / 2, 2) */
    const int16_t *starts;         /* (channels + 1,): first frequency of each filter */
    const int16_t *widths;         /* (channels + 1,) */
    const int16_t *rising;         /* (half + 1,): weight of each frequency in its filter */
    const int16_t *falling;        /* (half + 1,): in the one after it */
    const int16_t *gains;          /* (126,), or none without gain control */
    const uint16_t *logs;          /* (130,), or none without the logarithm */
    int32_t length, step, half, channels;
    int32_t smoothing_bits, even_smoothing, odd_smoothing, remaining;
    int32_t snr_shift, correction, log_scale_shift;
} edgebn_micro_tables;

typedef struct {
    int16_t *waiting; /* (length,): samples of the next window */
    int16_t *work;    /* (2 half,) */
    uint32_t *noise;  /* (channels,): the estimate */
    int32_t used;     /* of `waiting` */
} edgebn_micro_state;

/* Returns how many bits a number has. */
EDGEBN_INLINE int32_t edgebn_micro_bits(uint32_t x) {
#if defined(__GNUC__)
    return x == 0u ? 0 : (int32_t)(8u * sizeof(unsigned long)) - __builtin_clzl(x);
#else
    int32_t bits = 0;
    for (; x != 0u; x >>= 1) {
        bits++;
    }
    return bits;
#endif
}

EDGEBN_INLINE int16_t edgebn_micro_round(int32_t x) { return (int16_t)((x + (1 << 14)) >> 15); }

/* Windows the samples into `work`, scales them up by the free bits and returns how many those were. */
EDGEBN_SHARED int32_t edgebn_micro_window(const edgebn_micro_tables *t, const int16_t *samples, int16_t *work) {
    int32_t i, shift, loudest = 0;

    for (i = 0; i < t->length; i++) {
        const int16_t value = (int16_t)(((int32_t)samples[i] * t->window[i]) >> 12);
        const int16_t magnitude = (int16_t)(value < 0 ? -value : value); /* that of -32768 stays negative: passed over */
        work[i] = value;
        loudest = magnitude > loudest ? magnitude : loudest;
    }
    shift = 15 - edgebn_micro_bits((uint32_t)loudest);
    for (i = 0; i < t->length; i++) {
        work[i] = (int16_t)(uint16_t)((uint32_t)(uint16_t)work[i] << shift);
    }
    (void)memset(work + t->length, 0, (size_t)(2 * t->half - t->length) * sizeof *work);
    return shift;
}

/* Puts the pairs of samples into the order in which an FFT in place begins: cycle by cycle, each from its smallest place. */
EDGEBN_SHARED void edgebn_micro_permute(const edgebn_micro_tables *t, int16_t *x) {
    int32_t first;

    for (first = 0; first < t->half; first++) {
        int32_t to = first, from = t->order[first];
        int16_t real, imaginary;
        while (from > first) {
            from = t->order[from];
        }
        if (from < first || t->order[first] == first) {
            continue;
        }
        real = x[2 * first];
        imaginary = x[2 * first + 1];
        for (from = t->order[to]; from != first; to = from, from = t->order[to]) {
            x[2 * to] = x[2 * from];
            x[2 * to + 1] = x[2 * from + 1];
        }
        x[2 * to] = real;
        x[2 * to + 1] = imaginary;
    }
}

/* x = x * y, complex, y in 15 bits. */
EDGEBN_INLINE void edgebn_micro_turn(int16_t x[2], const int16_t *y) {
    const int32_t real = (int32_t)x[0] * y[0] - (int32_t)x[1] * y[1];
    const int32_t imaginary = (int32_t)x[0] * y[1] + (int32_t)x[1] * y[0];
    x[0] = edgebn_micro_round(real);
    x[1] = edgebn_micro_round(imaginary);
}

EDGEBN_INLINE void edgebn_micro_divided(int16_t to[2], const int16_t *x, int32_t inverse) {
    to[0] = edgebn_micro_round(x[0] * inverse);
    to[1] = edgebn_micro_round(x[1] * inverse);
}

/* The complex FFT, divided by its length: fours, after one stage of twos where the length is no power of four. */
EDGEBN_SHARED void edgebn_micro_fft(const edgebn_micro_tables *t, int16_t *x) {
    const int32_t n = t->half;
    int32_t m = 1, base, k;

    if ((edgebn_micro_bits((uint32_t)n) & 1) == 0) {
        for (base = 0; base < n; base += 2, x += 4) {
            int16_t a[2], b[2];
            edgebn_micro_divided(a, x, 16383);
            edgebn_micro_divided(b, x + 2, 16383);
            edgebn_micro_turn(b, t->twiddles);
            x[2] = (int16_t)(a[0] - b[0]);
            x[3] = (int16_t)(a[1] - b[1]);
            x[0] = (int16_t)(a[0] + b[0]);
            x[1] = (int16_t)(a[1] + b[1]);
        }
        x -= 2 * n;
        m = 2;
    }
    for (; m < n; m *= 4) {
        const int32_t stride = 2 * (n / (4 * m));
        for (base = 0; base < n; base += 4 * m) {
            for (k = 0; k < m; k++) {
                int16_t *first = x + 2 * (base + k), *second = first + 2 * m, *third = second + 2 * m, *fourth = third + 2 * m;
                int16_t a[2], b[2], c[2], d[2], total[2], difference[2], sides[2], across[2];
                edgebn_micro_divided(a, first, 8191);
                edgebn_micro_divided(b, second, 8191);
                edgebn_micro_divided(c, third, 8191);
                edgebn_micro_divided(d, fourth, 8191);
                edgebn_micro_turn(b, t->twiddles + k * stride);
                edgebn_micro_turn(c, t->twiddles + 2 * k * stride);
                edgebn_micro_turn(d, t->twiddles + 3 * k * stride);
                total[0] = (int16_t)(a[0] + c[0]);
                total[1] = (int16_t)(a[1] + c[1]);
                difference[0] = (int16_t)(a[0] - c[0]);
                difference[1] = (int16_t)(a[1] - c[1]);
                sides[0] = (int16_t)(b[0] + d[0]);
                sides[1] = (int16_t)(b[1] + d[1]);
                across[0] = (int16_t)(b[0] - d[0]);
                across[1] = (int16_t)(b[1] - d[1]);
                first[0] = (int16_t)(total[0] + sides[0]);
                first[1] = (int16_t)(total[1] + sides[1]);
                second[0] = (int16_t)(difference[0] + across[1]);
                second[1] = (int16_t)(difference[1] - across[0]);
                third[0] = (int16_t)(total[0] - sides[0]);
                third[1] = (int16_t)(total[1] - sides[1]);
                fourth[0] = (int16_t)(difference[0] - across[1]);
                fourth[1] = (int16_t)(difference[1] + across[0]);
            }
        }
    }
}

/* From the spectrum of pairs to that of real samples, in place; the highest frequency is left out, as no filter has it. */
EDGEBN_SHARED void edgebn_micro_separate(const edgebn_micro_tables *t, int16_t *x) {
    const int32_t half = t->half;
    int16_t ends[2];
    int32_t k;

    edgebn_micro_divided(ends, x, 16383);
    x[0] = (int16_t)(ends[0] + ends[1]);
    x[1] = 0;
    for (k = 1; k <= half / 2; k++) {
        int16_t *low = x + 2 * k, *high = x + 2 * (half - k);
        int16_t here[2], mirrored[2], even[2], odd[2];
        edgebn_micro_divided(here, low, 16383);
        mirrored[0] = high[0];
        mirrored[1] = (int16_t)-high[1];
        edgebn_micro_divided(mirrored, mirrored, 16383);
        even[0] = (int16_t)(here[0] + mirrored[0]);
        even[1] = (int16_t)(here[1] + mirrored[1]);
        odd[0] = (int16_t)(here[0] - mirrored[0]);
        odd[1] = (int16_t)(here[1] - mirrored[1]);
        edgebn_micro_turn(odd, t->super_twiddles + 2 * (k - 1));
        low[0] = (int16_t)((even[0] + odd[0]) >> 1);
        low[1] = (int16_t)((even[1] + odd[1]) >> 1);
        high[0] = (int16_t)((even[0] - odd[0]) >> 1);
        high[1] = (int16_t)((odd[1] - even[1]) >> 1);
    }
}

/* The square root, rounded, but never up to a power of two of 16 bits; digit by digit. */
EDGEBN_SHARED uint32_t edgebn_micro_root32(uint32_t number) {
    uint32_t root = 0, bit = 1u << ((edgebn_micro_bits(number | 1u) - 1) & ~1);

    for (; bit != 0u; bit >>= 2) {
        if (number >= root + bit) {
            number -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return number > root && root != 0xFFFFu ? root + 1u : root;
}

EDGEBN_SHARED uint32_t edgebn_micro_root(uint64_t number) {
    const uint32_t high = (uint32_t)(number >> 32);
    uint64_t root = 0, bit;

    if (high == 0u) {
        return edgebn_micro_root32((uint32_t)number);
    }
    for (bit = (uint64_t)1 << (32 + ((edgebn_micro_bits(high) - 1) & ~1)); bit != 0u; bit >>= 2) {
        if (number >= root + bit) {
            number -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return number > root && root != 0xFFFFFFFFu ? (uint32_t)root + 1u : (uint32_t)root;
}

/* The gain for a noise: a parabola for each doubling. */
EDGEBN_SHARED uint32_t edgebn_micro_gain(uint32_t noise, const int16_t *gains) {
    int32_t interval, fraction, bent;
    const int16_t *entry;

    if (noise <= 2u) {
        return (uint32_t)(int32_t)gains[noise];
    }
    interval = edgebn_micro_bits(noise);
    entry = gains + 4 * interval - 6;
    fraction = (int32_t)((interval < 11 ? noise << (11 - interval) : noise >> (interval - 11)) & 0x3FFu);
    bent = ((entry[2] * fraction) >> 5) + entry[1] * 32;
    return (uint32_t)(((bent * fraction + (1 << 14)) >> 15) + entry[0]);
}

/* The value times its gain, small ratios squared. */
EDGEBN_SHARED uint32_t edgebn_micro_gained(const edgebn_micro_tables *t, uint32_t value, uint32_t noise) {
    const uint32_t ratio = (uint32_t)(((uint64_t)value * edgebn_micro_gain(noise, t->gains)) >> t->snr_shift);

    return ratio < 2u << 12 ? (ratio * ratio) >> 20 : (ratio >> 6) - 64u;
}

/* The natural logarithm times 2 ** log_scale_shift. */
EDGEBN_SHARED uint32_t edgebn_micro_log(const edgebn_micro_tables *t, uint32_t value) {
    int32_t integer, begin, end;
    uint32_t fraction, segment, logarithm;

    value = t->correction >= 0 ? value << t->correction : value >> -t->correction;
    if (value <= 1u) {
        return 0;
    }
    integer = edgebn_micro_bits(value) - 1;
    fraction = value - (1u << integer);
    fraction = integer < 16 ? fraction << (16 - integer) : fraction >> (integer - 16);
    segment = fraction >> 9;
    begin = t->logs[segment];
    end = t->logs[segment + 1u];
    fraction += (uint32_t)(begin + (((end - begin) * (int32_t)(fraction - (segment << 9))) >> 16));
    logarithm = (uint32_t)(((uint64_t)45426u * (((uint32_t)integer << 16) + fraction) + (1u << 15)) >> 16);
    return ((logarithm << t->log_scale_shift) + (1u << 15)) >> 16;
}

/* The features of one window whose spectrum is in `x`: filters, root, noise reduction, gain, logarithm. */
EDGEBN_SHARED void edgebn_micro_filters(
    const edgebn_micro_tables *t, edgebn_micro_state *state, const int16_t *x, int32_t shift, uint16_t *features) {
    uint64_t total = 0;
    int32_t channel, k;

    for (channel = 0; channel <= t->channels; channel++) {
        uint64_t next = 0;
        for (k = t->starts[channel]; k < t->starts[channel] + t->widths[channel]; k++) {
            const uint32_t energy = (uint32_t)(x[2 * k] * x[2 * k]) + (uint32_t)(x[2 * k + 1] * x[2 * k + 1]);
            const uint32_t rising = (uint32_t)t->rising[k], falling = (uint32_t)t->falling[k];
            total += (uint64_t)energy * rising;
            next += (uint64_t)energy * falling;
        }
        if (channel > 0) { /* before is the slope below the first filter */
            const uint32_t smoothing = (uint32_t)((channel & 1) != 0 ? t->even_smoothing : t->odd_smoothing);
            uint32_t value = edgebn_micro_root(total) >> shift;
            const uint32_t scaled = value << t->smoothing_bits;
            const uint32_t noise =
                (uint32_t)(((uint64_t)scaled * smoothing + (uint64_t)state->noise[channel - 1] * ((1u << 14) - smoothing)) >> 14);
            const uint32_t least = (uint32_t)(((uint64_t)value * (uint32_t)t->remaining) >> 14);
            state->noise[channel - 1] = noise;
            value = (scaled - (noise < scaled ? noise : scaled)) >> t->smoothing_bits;
            value = value > least ? value : least;
            value = t->gains != NULL ? edgebn_micro_gained(t, value, noise) : value;
            value = t->logs != NULL ? edgebn_micro_log(t, value) : value;
            features[channel - 1] = (uint16_t)(value < 65535u ? value : 65535u);
        }
        total = next;
    }
}

/* Forgets what was heard. */
EDGEBN_INLINE void edgebn_micro_reset(const edgebn_micro_tables *t, edgebn_micro_state *state) {
    (void)memset(state->noise, 0, (size_t)t->channels * sizeof *state->noise);
    state->used = 0;
}

/* Takes samples until a window is full, at most `count`, and returns how many it took. `*ready` says whether `features`,
   (channels,), were written; then go on with the rest of the samples. */
EDGEBN_SHARED int32_t edgebn_micro_feed(
    const edgebn_micro_tables *t, edgebn_micro_state *state, const int16_t *samples, int32_t count, uint16_t *features,
    int32_t *ready) {
    const int32_t missing = t->length - state->used;
    const int32_t taken = count < missing ? count : missing;

    (void)memcpy(state->waiting + state->used, samples, (size_t)taken * sizeof *samples);
    state->used += taken;
    *ready = state->used == t->length;
    if (*ready) {
        const int32_t shift = edgebn_micro_window(t, state->waiting, state->work);
        state->used -= t->step;
        (void)memmove(state->waiting, state->waiting + t->step, (size_t)state->used * sizeof *state->waiting);
        edgebn_micro_permute(t, state->work);
        edgebn_micro_fft(t, state->work);
        edgebn_micro_separate(t, state->work);
        edgebn_micro_filters(t, state, state->work, shift, features);
    }
    return taken;
}

#endif
