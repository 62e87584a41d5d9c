#include "edgebn_frame.h"

#include "edgebn_crc.h"

#define BLOCK 254u /* most bytes of a COBS block */

/* ---- numbers ---- */

uint16_t edgebn_frame_get_u16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] | (uint32_t)bytes[1] << 8);
}

uint32_t edgebn_frame_get_u32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

void edgebn_frame_put_u32(uint8_t *bytes, uint32_t value) {
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
    bytes[2] = (uint8_t)(value >> 16);
    bytes[3] = (uint8_t)(value >> 24);
}

void edgebn_frame_put_u64(uint8_t *bytes, uint64_t value) {
    edgebn_frame_put_u32(bytes, (uint32_t)value);
    edgebn_frame_put_u32(bytes + 4, (uint32_t)(value >> 32));
}

uint32_t edgebn_frame_crc(uint32_t crc, const uint8_t *bytes, uint32_t count) {
    return edgebn_crc32(crc, bytes, count);
}

/* ---- sending ---- */

uint32_t edgebn_frame_close(uint8_t *frame, uint8_t kind, uint16_t sequence, uint32_t payload) {
    const uint32_t length = EDGEBN_FRAME_HEADER + payload;

    frame[0] = (uint8_t)EDGEBN_FRAME_VERSION;
    frame[1] = kind;
    frame[2] = (uint8_t)sequence;
    frame[3] = (uint8_t)(sequence >> 8);
    edgebn_frame_put_u32(frame + length, edgebn_frame_crc(0, frame, length));
    return length + EDGEBN_FRAME_CRC;
}

void edgebn_frame_send(const uint8_t *frame, uint32_t count, void (*put)(uint8_t byte)) {
    uint32_t at = 0;
    int more = 1;

    put(0);
    while (more) {
        uint32_t run = 0;
        uint32_t i;

        while (run < BLOCK && at + run < count && frame[at + run] != 0) {
            run++;
        }
        put((uint8_t)(run + 1u));
        for (i = 0; i < run; i++) {
            put(frame[at + i]);
        }
        at += run;
        more = at < count;
        if (more && run < BLOCK) {
            at++; /* the zero that ended the block; where it ends the frame, an empty block follows */
        }
    }
    put(0);
}

/* ---- receiving ---- */

static void append(struct edgebn_frame_receiver *receiver, uint8_t byte) {
    if (receiver->length < EDGEBN_FRAME_BYTES) {
        receiver->bytes[receiver->length++] = byte;
    } else {
        receiver->broken = 1;
    }
}

void edgebn_frame_restart(struct edgebn_frame_receiver *receiver) {
    receiver->length = 0;
    receiver->code = (uint8_t)(BLOCK + 1u); /* no zero byte before the first block */
    receiver->rest = 0;
    receiver->broken = 0;
}

static int is_whole(const struct edgebn_frame_receiver *receiver) {
    const uint8_t *bytes = receiver->bytes;
    const uint32_t length = receiver->length;

    if (receiver->broken || receiver->rest != 0 || length < EDGEBN_FRAME_HEADER + EDGEBN_FRAME_CRC) {
        return 0;
    }
    if (edgebn_frame_get_u32(bytes + length - EDGEBN_FRAME_CRC) != edgebn_frame_crc(0, bytes, length - EDGEBN_FRAME_CRC)) {
        return 0;
    }
    return bytes[0] == EDGEBN_FRAME_VERSION;
}

uint32_t edgebn_frame_take(struct edgebn_frame_receiver *receiver, uint8_t byte) {
    uint32_t length = 0;

    if (byte == 0) {
        length = is_whole(receiver) ? receiver->length : 0;
        edgebn_frame_restart(receiver);
    } else if (receiver->rest != 0) {
        append(receiver, byte);
        receiver->rest--;
    } else {
        if (receiver->code <= BLOCK) {
            append(receiver, 0);
        }
        receiver->code = byte;
        receiver->rest = (uint8_t)(byte - 1u);
    }
    return length;
}
