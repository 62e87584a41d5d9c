/* Mel-frequency cepstral coefficients in integers: 16-bit samples to rows of logarithms, and the rows that a network hears at once
   to features. Window, real FFT of 32 bits in place, magnitudes, mel filters, logarithm; then the loudest sample and the DCT. */
#ifndef EDGEBN_MFCC_H
#define EDGEBN_MFCC_H

#include "edgebn_micro_frontend.h"

typedef struct {
    const edgebn_micro_tables *front; /* window in 15 bits, FFT and filters */
    const int16_t *sums;              /* (128,): log(1 + exp(-x)) */
    const int16_t *cosines;           /* (coefficients, filters), in 13 bits */
    int32_t coefficients;
    int32_t constant;  /* added to logarithms */
    int32_t normalize; /* whether the loudest sample counts as 1; else 32768 does */
} edgebn_mfcc_tables;

typedef struct {
    int16_t *waiting; /* (length,): samples of the next window */
    int32_t *work;    /* (2 * half,) */
    int32_t used;     /* samples in `waiting` */
} edgebn_mfcc_state;

/* x = x * y, complex, y in 15 bits. */
EDGEBN_INLINE void edgebn_mfcc_turn(int32_t x[2], const int16_t *y) {
    const int64_t real = (int64_t)x[0] * y[0] - (int64_t)x[1] * y[1];
    const int64_t imaginary = (int64_t)x[0] * y[1] + (int64_t)x[1] * y[0];
    x[0] = (int32_t)((real + (1 << 14)) >> 15);
    x[1] = (int32_t)((imaginary + (1 << 14)) >> 15);
}

EDGEBN_INLINE void edgebn_mfcc_quartered(int32_t to[2], const int32_t *x) {
    to[0] = (x[0] + 2) >> 2;
    to[1] = (x[1] + 2) >> 2;
}

/* Puts the pairs of samples into the order in which an FFT in place begins: cycle by cycle, each from its smallest place. */
EDGEBN_SHARED void edgebn_mfcc_permute(const edgebn_micro_tables *t, int32_t *x) {
    int32_t first;

    for (first = 0; first < t->half; first++) {
        int32_t to = first, from = t->order[first];
        int32_t real, imaginary;
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

/* The complex FFT, divided by its length: fours, after one stage of twos where the length is no power of four. */
EDGEBN_SHARED void edgebn_mfcc_fft(const edgebn_micro_tables *t, int32_t *x) {
    const int32_t n = t->half;
    int32_t m = 1, base, k;

    if ((edgebn_micro_bits((uint32_t)n) & 1) == 0) {
        for (base = 0; base < n; base += 2) {
            int32_t *first = x + 2 * base, *second = first + 2;
            const int32_t a[2] = { (first[0] + 1) >> 1, (first[1] + 1) >> 1 };
            int32_t b[2];
            b[0] = (second[0] + 1) >> 1;
            b[1] = (second[1] + 1) >> 1;
            edgebn_mfcc_turn(b, t->twiddles);
            first[0] = a[0] + b[0];
            first[1] = a[1] + b[1];
            second[0] = a[0] - b[0];
            second[1] = a[1] - b[1];
        }
        m = 2;
    }
    for (; m < n; m *= 4) {
        const int32_t stride = 2 * (n / (4 * m));
        for (base = 0; base < n; base += 4 * m) {
            for (k = 0; k < m; k++) {
                int32_t *first = x + 2 * (base + k), *second = first + 2 * m, *third = second + 2 * m, *fourth = third + 2 * m;
                int32_t a[2], b[2], c[2], d[2], total[2], difference[2], sides[2], across[2];
                edgebn_mfcc_quartered(a, first);
                edgebn_mfcc_quartered(b, second);
                edgebn_mfcc_quartered(c, third);
                edgebn_mfcc_quartered(d, fourth);
                edgebn_mfcc_turn(b, t->twiddles + k * stride);
                edgebn_mfcc_turn(c, t->twiddles + 2 * k * stride);
                edgebn_mfcc_turn(d, t->twiddles + 3 * k * stride);
                total[0] = a[0] + c[0];
                total[1] = a[1] + c[1];
                difference[0] = a[0] - c[0];
                difference[1] = a[1] - c[1];
                sides[0] = b[0] + d[0];
                sides[1] = b[1] + d[1];
                across[0] = b[0] - d[0];
                across[1] = b[1] - d[1];
                first[0] = total[0] + sides[0];
                first[1] = total[1] + sides[1];
                second[0] = difference[0] + across[1];
                second[1] = difference[1] - across[0];
                third[0] = total[0] - sides[0];
                third[1] = total[1] - sides[1];
                fourth[0] = difference[0] - across[1];
                fourth[1] = difference[1] + across[0];
            }
        }
    }
}

/* From the spectrum of pairs to that of real samples, in place; the highest frequency is left out, as no filter has it. */
EDGEBN_SHARED void edgebn_mfcc_separate(const edgebn_micro_tables *t, int32_t *x) {
    const int32_t half = t->half;
    int32_t k;

    x[0] += x[1];
    x[1] = 0;
    for (k = 1; k <= half / 2; k++) {
        int32_t *low = x + 2 * k, *high = x + 2 * (half - k);
        const int32_t even[2] = { low[0] + high[0], low[1] - high[1] };
        int32_t odd[2];
        odd[0] = low[0] - high[0];
        odd[1] = low[1] + high[1];
        edgebn_mfcc_turn(odd, t->super_twiddles + 2 * (k - 1));
        low[0] = (even[0] + odd[0]) >> 2;
        low[1] = (even[1] + odd[1]) >> 2;
        high[0] = (even[0] - odd[0]) >> 2;
        high[1] = (odd[1] - even[1]) >> 2;
    }
}

/* The square root of the energy, of its first 31 or 32 bits where it has more. */
EDGEBN_INLINE uint32_t edgebn_mfcc_magnitude(const int32_t *x) {
    const uint64_t energy = (uint64_t)((int64_t)x[0] * x[0]) + (uint64_t)((int64_t)x[1] * x[1]);
    const uint32_t high = (uint32_t)(energy >> 32);
    const int32_t bits = high != 0u ? 32 + edgebn_micro_bits(high) : edgebn_micro_bits((uint32_t)energy);
    const int32_t dropped = bits > 31 ? (bits - 31) / 2 : 0;

    return edgebn_micro_root32((uint32_t)(energy >> (2 * dropped))) << dropped;
}

/* The logarithms of one window whose spectrum is in `x`. */
EDGEBN_SHARED void edgebn_mfcc_filters(const edgebn_mfcc_tables *mfcc, const int32_t *x, int16_t *row) {
    const edgebn_micro_tables *t = mfcc->front;
    uint64_t total = 0;
    int32_t channel, k;

    for (channel = 0; channel <= t->channels; channel++) {
        uint64_t next = 0;
        for (k = t->starts[channel]; k < t->starts[channel] + t->widths[channel]; k++) {
            const uint32_t magnitude = edgebn_mfcc_magnitude(x + 2 * k);
            const uint32_t rising = (uint32_t)t->rising[k], falling = (uint32_t)t->falling[k];
            total += (uint64_t)magnitude * rising;
            next += (uint64_t)magnitude * falling;
        }
        if (channel > 0) { /* before is the slope below the first filter */
            const uint64_t share = total >> 12;
            const uint32_t value = share > 0xFFFFFFFFu ? 0xFFFFFFFFu : (uint32_t)share;
            row[channel - 1] = (int16_t)(value == 0u ? INT16_MIN : (int32_t)edgebn_micro_log(t, value) + mfcc->constant);
        }
        total = next;
    }
}

/* Takes samples until a window is full, at most `count`, and returns how many it took. `*ready` says whether `row`, filters + 1
   numbers, was written; then go on with the rest of the samples. */
EDGEBN_SHARED int32_t edgebn_mfcc_feed(
    const edgebn_mfcc_tables *mfcc, edgebn_mfcc_state *state, const int16_t *samples, int32_t count, int16_t *row, int32_t *ready) {
    const edgebn_micro_tables *t = mfcc->front;
    const int32_t missing = t->length - state->used;
    const int32_t taken = count < missing ? count : missing;

    (void)memcpy(state->waiting + state->used, samples, (size_t)taken * sizeof *samples);
    state->used += taken;
    *ready = state->used == t->length;
    if (*ready) {
        int32_t loudest = INT16_MIN, i;
        for (i = 0; i < t->length; i++) {
            const int32_t sample = state->waiting[i];
            loudest = sample > loudest ? sample : loudest;
            state->work[i] = (sample * t->window[i]) >> 3;
        }
        (void)memset(state->work + t->length, 0, (size_t)(2 * t->half - t->length) * sizeof *state->work);
        state->used -= t->step;
        (void)memmove(state->waiting, state->waiting + t->step, (size_t)state->used * sizeof *state->waiting);
        edgebn_mfcc_permute(t, state->work);
        edgebn_mfcc_fft(t, state->work);
        edgebn_mfcc_separate(t, state->work);
        edgebn_mfcc_filters(mfcc, state->work, row);
        row[t->channels] = (int16_t)loudest;
    }
    return taken;
}

/* The logarithm of the loudest sample in `rows`, (windows, filters + 1), which the others are set against. */
EDGEBN_INLINE int32_t edgebn_mfcc_loudest(const edgebn_mfcc_tables *mfcc, const int16_t *rows, int32_t windows) {
    const int32_t filters = mfcc->front->channels;
    int32_t loudest = 1, i;

    for (i = 0; i < windows; i++) {
        const int32_t sample = rows[i * (filters + 1) + filters];
        loudest = sample > loudest ? sample : loudest;
    }
    return (int32_t)edgebn_micro_log(mfcc->front, mfcc->normalize ? (uint32_t)loudest : 32768u);
}

/* The features of one row: `row` is changed. */
EDGEBN_SHARED void edgebn_mfcc_features(const edgebn_mfcc_tables *mfcc, int16_t *row, int32_t loudest, uint16_t *features) {
    const int32_t filters = mfcc->front->channels;
    int32_t k, i;

    for (i = 0; i < filters; i++) { /* log(exp(a) + exp(b)) = max(a, b) + log(1 + exp(-|a - b|)) */
        const int32_t above = (int32_t)row[i] - loudest + 14147;
        const int32_t step = (above < 0 ? -above : above) >> 6;
        row[i] = (int16_t)((above < 0 ? 0 : above) - 14147 + (step < 128 ? mfcc->sums[step] : 0));
    }
    for (k = 0; k < mfcc->coefficients; k++) {
        int32_t total = 1 << 15;
        for (i = 0; i < filters; i++) {
            total += (int32_t)row[i] * mfcc->cosines[k * filters + i];
        }
        total = (total >> 16) + 32768;
        features[k] = (uint16_t)(total < 0 ? 0 : total > 65535 ? 65535 : total);
    }
}

#endif
