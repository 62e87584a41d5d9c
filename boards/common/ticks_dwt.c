/* Cycle counter of the debug unit that Cortex-M3, M4, M7, M33 and M55 have: 32 bits of core clock. */
#include "board.h"

#define DEBUG_CONTROL (*(volatile uint32_t *)0xE000EDFCu)
#define TRACE_ENABLE (1u << 24)
#define REGISTER(offset) (*(volatile uint32_t *)(BOARD_TIMER_ADDRESS + (offset)))
#define CONTROL REGISTER(0x000u)
#define CYCLES REGISTER(0x004u)
#define LOCK REGISTER(0xFB0u)
#define COUNT_ENABLE 1u
#define UNLOCK 0xC5ACCE55u /* the Cortex-M7 wants it; others ignore it */

void board_ticks_init(void) {
    DEBUG_CONTROL |= TRACE_ENABLE;
    LOCK = UNLOCK;
    CYCLES = 0;
    CONTROL |= COUNT_ENABLE;
}

uint64_t board_ticks(void) {
    static uint64_t now;

    now += (uint32_t)(CYCLES - (uint32_t)now);
    return now;
}
