#include "link_model.h"

#include <stddef.h>
#include <string.h>

#define TICKS_A_READING 7u

static uint8_t first_input[FIRST_INPUT];
static uint8_t arena[INPUT]; /* holds the second input, and every layer's output: a run writes over its input */
static uint8_t first_output[FIRST_OUTPUT];
static uint8_t second_output[SECOND_OUTPUT];
static uint8_t state[STATE];
static uint8_t gathered[STATE];
static struct edgebn_link *served;
static uint64_t now;
static uint8_t steps[1]; /* of a sequence: what the model keeps from run to run */
static uint8_t steps_before[1];
static int keeps;
static int frozen;

static const struct edgebn_link_span inputs[] = {{first_input, FIRST_INPUT}, {arena, SECOND_INPUT}};
static const struct edgebn_link_span outputs[] = {{first_output, FIRST_OUTPUT}, {second_output, SECOND_OUTPUT}};

static void init(void) {
    memset(first_input, 0, sizeof first_input);
    memset(arena, 0, sizeof arena);
    memset(first_output, 0, sizeof first_output);
    memset(second_output, 0, sizeof second_output);
    steps[0] = 0;
    frozen = 0;
}

static uint64_t ticks(void) {
    now += TICKS_A_READING;
    return now;
}

/* Every byte becomes a function of the one before it and of itself. */
static void mix(uint8_t *bytes, uint32_t count, uint8_t seed) {
    uint32_t i;

    for (i = 0; i < count; i++) {
        seed = (uint8_t)(seed * 31u + bytes[i]);
        bytes[i] = seed;
    }
}

static void run(void) {
    uint8_t seed = keeps ? (uint8_t)(1u + steps[0]++) : 1u;
    uint32_t step;
    uint32_t i;

    for (i = 0; i < FIRST_INPUT; i++) {
        seed = (uint8_t)(seed * 31u + first_input[i]);
    }
    for (step = 0; step < 3; step++) {
        const uint32_t bytes = step == 1 ? 252u : SECOND_INPUT; /* one that fills no frame, one that fills one and a bit */

        mix(arena, SECOND_INPUT, seed);
        now += 1000u * (step + 1u);
        edgebn_link_layer(served, 10u + step, arena, bytes);
    }
    memcpy(first_output, arena, FIRST_OUTPUT);
    memcpy(second_output, arena + FIRST_OUTPUT, SECOND_OUTPUT);
}

static uint8_t watched;

static void state_get(uint32_t offset, uint8_t *bytes, uint32_t count) {
    memcpy(bytes, state + offset, count);
}

static void state_put(uint32_t offset, const uint8_t *bytes, uint32_t count) {
    memcpy(gathered + offset, bytes, count);
}

static int state_set(uint32_t crc) {
    if (edgebn_frame_crc(0, gathered, STATE) != crc) {
        return 0;
    }
    memcpy(state, gathered, STATE);
    return 1;
}

static void watch(void) {
    watched = 1;
}

/* A run that was watched shows in the state's first byte. */
static void learn(void) {
    state[0] = (uint8_t)(state[0] + (frozen ? 0 : watched));
    watched = 0;
}

/* What was kept is only counted, and refused while the state's second byte is odd. */
static uint32_t saves;
static uint8_t started;

static int keep(void) {
    saves += (state[1] & 1u) == 0;
    return (state[1] & 1u) == 0;
}

static uint32_t kept_number(void) {
    return saves;
}

static void freeze(int on) {
    frozen = on;
}

static void unwatch(void) {
    watched = 0;
}

struct edgebn_link_model link_model(struct edgebn_link *link, void (*put)(uint8_t byte), int with_state) {
    const struct edgebn_link_model model = {
        "toy",  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "test", inputs, outputs, 2, 2, sizeof arena, 1000000, init, run, ticks, put, steps,  steps_before,
        (with_state & LINK_KEEPS) != 0 ? sizeof steps : 0,
    };

    served = link;
    keeps = (with_state & LINK_KEEPS) != 0;
    return model;
}

void link_start(struct edgebn_link *link, const struct edgebn_link_model *model, int with_state) {
    static const struct edgebn_link_state kept = {STATE,   state_get, state_put,   state_set, watch, learn,
                                                  unwatch, keep,      kept_number, &started,  freeze};

    if ((with_state & 1) != 0) {
        edgebn_link_init_adapting(link, model, &kept);
    } else {
        edgebn_link_init(link, model);
    }
}
