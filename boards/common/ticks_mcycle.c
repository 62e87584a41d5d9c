/* Cycle counter of RISC-V cores: 64 bits in two halves. Some come out of reset with it stopped; QEMU counts instructions. */
#include "board.h"

void board_ticks_init(void) {
    __asm volatile("csrw 0x320, zero"); /* mcountinhibit */
}

uint64_t board_ticks(void) {
    uint32_t high;
    uint32_t low;
    uint32_t again;

    do {
        __asm volatile("csrr %0, mcycleh" : "=r"(high));
        __asm volatile("csrr %0, mcycle" : "=r"(low));
        __asm volatile("csrr %0, mcycleh" : "=r"(again));
    } while (high != again);
    return ((uint64_t)high << 32) | low;
}
