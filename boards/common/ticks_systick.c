/* SysTick, which every Cortex-M has: 24 bits, counts down. It must be asked at least once in 2^24 ticks. */
#include "board.h"

#define REGISTER(offset) (*(volatile uint32_t *)(BOARD_TIMER_ADDRESS + (offset)))
#define CONTROL REGISTER(0x0u)
#define RELOAD REGISTER(0x4u)
#define VALUE REGISTER(0x8u)
#define CORE_CLOCK_ENABLE 5u
#define MASK 0xFFFFFFu

void board_ticks_init(void) {
    RELOAD = MASK;
    VALUE = 0;
    CONTROL = CORE_CLOCK_ENABLE;
}

uint64_t board_ticks(void) {
    static uint64_t now;

    now += (MASK - VALUE - (uint32_t)now) & MASK;
    return now;
}
