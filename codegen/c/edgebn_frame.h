/* Frames on a serial line: what makes one out of bytes, and bytes out of one. Knows nothing of requests.
 *
 * Wire format, version 1. Little-endian. A frame is COBS-encoded and stands between zero bytes, so that no damage outlasts the next
 * zero byte:
 *
 *     version u8 | kind u8 | sequence u16 | payload, at most EDGEBN_FRAME_PAYLOAD bytes | CRC-32 of everything before it (as zlib)
 */
#ifndef EDGEBN_FRAME_H
#define EDGEBN_FRAME_H

#include <stdint.h>

#define EDGEBN_FRAME_VERSION 1u
#define EDGEBN_FRAME_HEADER 4u
#define EDGEBN_FRAME_PAYLOAD 256u
#define EDGEBN_FRAME_CRC 4u
#define EDGEBN_FRAME_BYTES (EDGEBN_FRAME_HEADER + EDGEBN_FRAME_PAYLOAD + EDGEBN_FRAME_CRC)

/* A frame on its way out of the line's bytes. */
struct edgebn_frame_receiver {
    uint8_t bytes[EDGEBN_FRAME_BYTES]; /* the frame, decoded so far */
    uint32_t length;
    uint8_t code;   /* of the COBS block at hand */
    uint8_t rest;   /* bytes that it still wants */
    uint8_t broken; /* too long */
};

/* Forgets what has arrived. */
void edgebn_frame_restart(struct edgebn_frame_receiver *receiver);

/* Takes one byte of the line. Returns the number of bytes in receiver->bytes when it completes an undamaged frame of this version,
   and 0 otherwise; the frame stands there until the next byte is taken. */
uint32_t edgebn_frame_take(struct edgebn_frame_receiver *receiver, uint8_t byte);

/* Writes header and CRC around the payload that is in place at frame + EDGEBN_FRAME_HEADER; returns the frame's bytes. */
uint32_t edgebn_frame_close(uint8_t *frame, uint8_t kind, uint16_t sequence, uint32_t payload);

/* Sends a closed frame through `put`. */
void edgebn_frame_send(const uint8_t *frame, uint32_t count, void (*put)(uint8_t byte));

/* CRC-32 as in zlib: start with 0, hand the result in again to go on. */
uint32_t edgebn_frame_crc(uint32_t crc, const uint8_t *bytes, uint32_t count);

uint16_t edgebn_frame_get_u16(const uint8_t *bytes);
uint32_t edgebn_frame_get_u32(const uint8_t *bytes);
void edgebn_frame_put_u32(uint8_t *bytes, uint32_t value);
void edgebn_frame_put_u64(uint8_t *bytes, uint64_t value);

#endif
