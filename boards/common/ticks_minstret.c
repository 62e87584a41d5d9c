/* Counter of retired instructions that every RISC-V has: 64 bits in two halves. */
#include "board.h"

void board_ticks_init(void) {
}

uint64_t board_ticks(void) {
    uint32_t high;
    uint32_t low;
    uint32_t again;

    do {
        __asm volatile("csrr %0, minstreth" : "=r"(high));
        __asm volatile("csrr %0, minstret" : "=r"(low));
        __asm volatile("csrr %0, minstreth" : "=r"(again));
    } while (high != again);
    return ((uint64_t)high << 32) | low;
}
