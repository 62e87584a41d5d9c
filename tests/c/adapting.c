/* Runs an adapting network named `net` over recorded inputs, learning after each, and prints what a test compares: a CRC of all
   outputs, what learning said, the state in hexadecimal digits before and after a reset, and ticks. */
#include <string.h>

#include "board.h"
#include "edgebn_adapt.h"
#include "net.h"
#include "stream.h"

static uint8_t state[NET_STATE_BYTES];
static int8_t output[(NET_OUTPUT_SIZE + 3) / 4 * 4] __attribute__((aligned(4)));

static void say(const char *text) {
    while (*text != '\0') {
        board_put((uint8_t)*text++);
    }
}

static void say_hex(const uint8_t *bytes, uint32_t count) {
    static const char digits[] = "0123456789abcdef";
    for (; count > 0; count--, bytes++) {
        board_put((uint8_t)digits[*bytes >> 4]);
        board_put((uint8_t)digits[*bytes & 15]);
    }
    say("\n");
}

static void say_ticks(uint64_t ticks) {
    uint8_t bytes[8];
    int i;
    for (i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(ticks >> (56 - 8 * i));
    }
    say_hex(bytes, 8);
}

int main(void) {
    uint64_t running = 0, learning = 0, plain = 0;
    uint32_t crc = 0xFFFFFFFFu, last = 0;
    int i;
    net_init();
    for (i = 0; i < STREAM_COUNT; i++) {
        uint64_t start = board_ticks();
        int k;
        net_run(stream + i * NET_INPUT_SIZE, output);
        running += board_ticks() - start;
        for (k = 0; k < NET_OUTPUT_SIZE; k++) {
            int bit;
            crc ^= (uint8_t)output[k];
            for (bit = 0; bit < 8; bit++) {
                crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
            }
        }
        start = board_ticks();
        last = (uint32_t)net_adapt();
        learning += board_ticks() - start;
    }
    net_state_get(state);
    say("state ");
    say_hex(state, sizeof state);
    crc = ~crc;
    for (i = 0; i < 4; i++) {
        state[i] = (uint8_t)(crc >> (24 - 8 * i));
    }
    say("outputs ");
    say_hex(state, 4);
    net_observe(0);
    {
        const uint64_t start = board_ticks();
        net_run(stream, output);
        plain = board_ticks() - start;
    }
    net_reset();
    net_state_get(state);
    say("factory ");
    say_hex(state, sizeof state);
    say("running ");
    say_ticks(running);
    say("plain ");
    say_ticks(plain);
    say("learning ");
    say_ticks(learning);
    say("end\n");
    return last > 2;
}
