/* float32 recurrent cells, one moment after the other. */
#ifndef EDGEBN_RECURRENCE_F32_H
#define EDGEBN_RECURRENCE_F32_H

#include "edgebn_elementwise_f32.h"

/* Weights (gates * units, units); the first state and cell of every sequence, or NULL for zeros. */
typedef struct {
    const float *weight, *bias, *state, *memory;
    edgebn_apply_f32 gate, function;
    edgebn_function_f32 gate_settings, function_settings;
    float limit;
    int sequences, moments, gates, units, backwards, gives_cell, reset_after;
} edgebn_recurrence;

/* Scratch: products with the weights (gates * units), a state behind the reset gate, and an LSTM's cell. */
typedef struct {
    float *sums, *reset, *memory;
} edgebn_recurrent_room;

/* What enters the gates is x; the state becomes y. */
typedef void (*edgebn_moment_f32)(const edgebn_recurrence *r, const float *x, const float *state, float *y, edgebn_recurrent_room room);

/* Products of rows of the weights with a state, four at once: each of its numbers is read once for all of them. */
EDGEBN_SHARED void edgebn_recurrent_product_f32(const float *weight, const float *state, float *out, int outputs, int units) {
    const int together = outputs / 4 * 4;
    int i, k;
    for (i = 0; i < together; i += 4, weight += 4 * units) {
        float a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;
        for (k = 0; k < units; k++) {
            a += weight[k] * state[k];
            b += weight[k + units] * state[k];
            c += weight[k + 2 * units] * state[k];
            d += weight[k + 3 * units] * state[k];
        }
        out[i] = a;
        out[i + 1] = b;
        out[i + 2] = c;
        out[i + 3] = d;
    }
    for (; i < outputs; i++, weight += units) {
        float sum = 0.0f;
        for (k = 0; k < units; k++) {
            sum += weight[k] * state[k];
        }
        out[i] = sum;
    }
}

/* Gates input, forget, output and candidate. */
EDGEBN_INLINE void edgebn_lstm_moment_f32(const edgebn_recurrence *r, const float *x, const float *state, float *y,
                                          edgebn_recurrent_room room) {
    const int units = r->units;
    int j;
    edgebn_recurrent_product_f32(r->weight, state, room.sums, 4 * units, units);
    for (j = 0; j < units; j++) {
        const float enters = r->gate(x[j] + room.sums[j], r->gate_settings);
        const float keeps = r->gate(x[j + units] + room.sums[j + units], r->gate_settings);
        const float leaves = r->gate(x[j + 2 * units] + room.sums[j + 2 * units], r->gate_settings);
        const float candidate = r->function(x[j + 3 * units] + room.sums[j + 3 * units], r->function_settings);
        room.memory[j] = edgebn_clip_f32(keeps * room.memory[j] + enters * candidate, -r->limit, r->limit);
        y[j] = leaves * r->function(room.memory[j], r->function_settings);
    }
}

/* Gates update, reset and candidate; the reset gate applies to the candidate's product with the state, or to the state. */
EDGEBN_INLINE void edgebn_gru_moment_f32(const edgebn_recurrence *r, const float *x, const float *state, float *y,
                                         edgebn_recurrent_room room) {
    const int units = r->units;
    float *const seen = room.sums + 2 * units;
    int j;
    edgebn_recurrent_product_f32(r->weight, state, room.sums, (r->reset_after ? 3 : 2) * units, units);
    for (j = 0; j < 2 * units; j++) {
        room.sums[j] = r->gate(x[j] + room.sums[j], r->gate_settings);
    }
    if (r->reset_after) {
        for (j = 0; j < units; j++) {
            seen[j] = room.sums[j + units] * (seen[j] + r->bias[j]);
        }
    } else {
        for (j = 0; j < units; j++) {
            room.reset[j] = room.sums[j + units] * state[j];
        }
        edgebn_recurrent_product_f32(r->weight + 2 * units * units, room.reset, seen, units, units);
    }
    for (j = 0; j < units; j++) {
        const float candidate = r->function(x[j + 2 * units] + seen[j], r->function_settings);
        y[j] = candidate + room.sums[j] * (state[j] - candidate);
    }
}

EDGEBN_INLINE void edgebn_rnn_moment_f32(const edgebn_recurrence *r, const float *x, const float *state, float *y,
                                         edgebn_recurrent_room room) {
    int j;
    edgebn_recurrent_product_f32(r->weight, state, room.sums, r->units, r->units);
    for (j = 0; j < r->units; j++) {
        y[j] = r->function(x[j] + room.sums[j], r->function_settings);
    }
}

/* in (sequences, moments, gates * units), out (sequences, moments, units), and behind the last moment the cell where it is given. */
EDGEBN_INLINE void edgebn_recurrence_f32(const float *in, float *out, float *scratch, edgebn_moment_f32 moment,
                                         const edgebn_recurrence *r) {
    const int units = r->units, width = r->gates * r->units;
    edgebn_recurrent_room room;
    int s, t, j;
    room.sums = scratch;
    room.reset = scratch + width;
    room.memory = room.reset + units;
    for (s = 0; s < r->sequences; s++, in += r->moments * width, out += r->moments * units) {
        const float *state = room.reset;
        for (j = 0; j < units; j++) {
            room.reset[j] = 0.0f;
            room.memory[j] = r->memory != NULL ? r->memory[s * units + j] : 0.0f;
        }
        if (r->state != NULL) {
            state = r->state + s * units;
        }
        for (t = 0; t < r->moments; t++) {
            const int at = r->backwards ? r->moments - 1 - t : t;
            moment(r, in + at * width, state, out + at * units, room);
            state = out + at * units;
        }
        if (r->gives_cell) {
            for (j = 0; j < units; j++) {
                out[r->moments * units + j] = room.memory[j];
            }
            out += units;
        }
    }
}

#endif
