/* TIMER0 of Nordic's nRF51 and nRF52: 32 bits at 16 MHz. */
#include "board.h"

#define REGISTER(offset) (*(volatile uint32_t *)(BOARD_TIMER_ADDRESS + (offset)))
#define TASK_START REGISTER(0x000u)
#define TASK_CAPTURE REGISTER(0x040u)
#define MODE REGISTER(0x504u)
#define WIDTH REGISTER(0x508u)
#define PRESCALER REGISTER(0x510u)
#define CAPTURED REGISTER(0x540u)
#define MODE_TIMER 0u
#define WIDTH_32 3u

void board_ticks_init(void) {
    MODE = MODE_TIMER;
    WIDTH = WIDTH_32;
    PRESCALER = 0;
    TASK_START = 1;
}

uint64_t board_ticks(void) {
    static uint64_t now;

    TASK_CAPTURE = 1;
    now += (uint32_t)(CAPTURED - (uint32_t)now);
    return now;
}
