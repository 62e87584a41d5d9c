/* System timer of the ESP32-C3: 52 bits at 16 MHz, running out of reset. */
#include "board.h"

#define REGISTER(offset) (*(volatile uint32_t *)(BOARD_TIMER_ADDRESS + (offset)))
#define OPERATION REGISTER(0x04u)
#define COUNT_HIGH REGISTER(0x40u)
#define COUNT_LOW REGISTER(0x44u)
#define TAKE (1u << 30)
#define TAKEN (1u << 29)

void board_ticks_init(void) {
}

uint64_t board_ticks(void) {
    OPERATION = TAKE;
    while (!(OPERATION & TAKEN)) {
    }
    return ((uint64_t)COUNT_HIGH << 32) | COUNT_LOW;
}
