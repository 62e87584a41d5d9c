/* libFuzzer on the device's end of the link. The first byte of an input says how the rest arrives: as bytes of the line, as they are;
 * or as requests, each a length, a kind and a payload, framed here so that they get past the CRC. */
#include <string.h>

#include "link_model.h"

#define REQUESTS 1u
#define STATE_BUILT_IN 2u

static struct edgebn_link link_;
static uint16_t sequence;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(uint8_t byte) {
    (void)byte;
}

static void take(uint8_t byte) {
    edgebn_link_receive(&link_, byte);
}

/* A RUN carries a checksum that no fuzzer guesses: it is put right here, every other time. */
static void mend(uint8_t *frame, uint32_t payload) {
    static uint8_t input[INPUT];
    static int right;

    right = !right;
    if (frame[1] == EDGEBN_LINK_RUN && payload == 17u && right) {
        uint32_t at = 0;
        uint32_t i;
        for (i = 0; i < link_.model->input_count; i++) {
            memcpy(input + at, link_.model->inputs[i].data, link_.model->inputs[i].bytes);
            at += link_.model->inputs[i].bytes;
        }
        edgebn_frame_put_u32(frame + EDGEBN_FRAME_HEADER + 4, edgebn_frame_crc(0, input, at));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t frame[EDGEBN_FRAME_BYTES];
    struct edgebn_link_model model;
    const uint8_t *end = data + size;

    if (size == 0) {
        return 0;
    }
    model = link_model(&link_, put, (data[0] & STATE_BUILT_IN) != 0);
    link_start(&link_, &model, (data[0] & STATE_BUILT_IN) != 0);
    if (!(*data++ & REQUESTS)) {
        while (data < end) {
            take(*data++);
        }
        return 0;
    }
    while (end - data >= 2) {
        const size_t room = (size_t)(end - data) - 2u;
        const uint32_t payload = data[0] < room ? data[0] : (uint32_t)room;

        memcpy(frame + EDGEBN_FRAME_HEADER, data + 2, payload);
        frame[1] = data[1];
        mend(frame, payload);
        edgebn_frame_send(frame, edgebn_frame_close(frame, data[1], sequence++, payload), take);
        data += 2u + payload;
    }
    return 0;
}
