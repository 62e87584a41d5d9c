/* The device's end of the link as a shared library: bytes in, bytes out, for a line that a test simulates. */
#include "link_model.h"

#define ROOM (1u << 16)

static struct edgebn_link link_;
static struct edgebn_link_model model;
static uint8_t sent[ROOM];
static uint32_t sent_count;
static uint32_t lost;

void device_start(int with_state);
uint32_t device_take(const uint8_t *bytes, uint32_t count);
const uint8_t *device_sent(void);
uint32_t device_lost(void);

static void put(uint8_t byte) {
    if (sent_count < ROOM) {
        sent[sent_count++] = byte;
    } else {
        lost++;
    }
}

/* Switches the device on (again). */
void device_start(int with_state) {
    sent_count = 0;
    model = link_model(&link_, put, with_state);
    link_start(&link_, &model, with_state);
}

/* Hands bytes to the device; returns how many it has sent since the last call. */
uint32_t device_take(const uint8_t *bytes, uint32_t count) {
    uint32_t answered;
    uint32_t i;

    for (i = 0; i < count; i++) {
        edgebn_link_receive(&link_, bytes[i]);
    }
    answered = sent_count;
    sent_count = 0;
    return answered;
}

const uint8_t *device_sent(void) {
    return sent;
}

uint32_t device_lost(void) {
    return lost;
}
