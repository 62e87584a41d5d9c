/* TIMER0 of Arm's Cortex-M system design kit: 32 bits, counts down. */
#include "board.h"

#define REGISTER(offset) (*(volatile uint32_t *)(BOARD_TIMER_ADDRESS + (offset)))
#define CONTROL REGISTER(0x0u)
#define VALUE REGISTER(0x4u)
#define RELOAD REGISTER(0x8u)
#define ENABLE 1u

void board_ticks_init(void) {
    RELOAD = UINT32_MAX;
    VALUE = UINT32_MAX;
    CONTROL = ENABLE;
}

uint64_t board_ticks(void) {
    static uint64_t now;

    now += (uint32_t)(UINT32_MAX - VALUE - (uint32_t)now);
    return now;
}
