/* The timer of RP2040 and RP2350: 64 bits of microseconds. The board's clocks_*.c has started its ticks. */
#include "board.h"

#define REGISTER(offset) (*(volatile uint32_t *)(BOARD_TIMER_ADDRESS + (offset)))
#define COUNT_HIGH REGISTER(0x24u)
#define COUNT_LOW REGISTER(0x28u)

void board_ticks_init(void) {
}

uint64_t board_ticks(void) {
    uint32_t high;
    uint32_t low;

    do {
        high = COUNT_HIGH;
        low = COUNT_LOW;
    } while (high != COUNT_HIGH);
    return ((uint64_t)high << 32) | low;
}
