/* nRF52840: its core always runs at 64 MHz; the crystal replaces the internal oscillator, for the serial line's sake, and the cache of
   instructions is turned on. */
#include "board.h"

#define CLOCK_TASKS_HFCLKSTART BOARD_REGISTER(0x40000000u)
#define CLOCK_EVENTS_HFCLKSTARTED BOARD_REGISTER(0x40000100u)
#define NVMC_ICACHECNF BOARD_REGISTER(0x4001E540u)
#define CACHE_ENABLE 1u

void board_clocks_init(void) {
    CLOCK_EVENTS_HFCLKSTARTED = 0;
    CLOCK_TASKS_HFCLKSTART = 1;
    while (!CLOCK_EVENTS_HFCLKSTARTED) {
    }
    NVMC_ICACHECNF = CACHE_ENABLE;
}
