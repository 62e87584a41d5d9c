/* System counter of Arm's SSE-300 (MPS3 AN547): 64 bits in two halves. */
#include "board.h"

#define CONTROL (*(volatile uint32_t *)0x58100000u)
#define COUNT_LOW (*(volatile uint32_t *)BOARD_TIMER_ADDRESS)
#define COUNT_HIGH (*(volatile uint32_t *)(BOARD_TIMER_ADDRESS + 4u))
#define ENABLE 1u

void board_ticks_init(void) {
    CONTROL = ENABLE;
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
