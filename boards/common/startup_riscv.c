/* Start-up of every 32-bit RISC-V: pointers, trap vector, memory, then main. */
#include <stdint.h>

#include "board.h"

/* From the linker script. */
extern uint32_t _data_source[], _data_start[], _data_end[], _bss_start[], _bss_end[];

#define FAULT_STATUS 70 /* status with which the emulator is left when the core faults */

void _start(void);
void board_start(void);
void board_trap(void);

/* First instruction of the image. The trap vector takes every exception; some cores want 256-byte alignment. */
__attribute__((naked, section(".vectors"), used)) void _start(void) {
    __asm volatile(".option push\n"
                   ".option norelax\n"
                   "la gp, __global_pointer$\n"
                   ".option pop\n"
                   "la sp, _stack_top\n"
                   "la t0, board_trap\n"
                   "csrw mtvec, t0\n"
                   "j board_start");
}

__attribute__((aligned(256), used)) void board_trap(void) {
    board_exit(FAULT_STATUS);
}

__attribute__((used)) void board_start(void) {
    const uint32_t *source = _data_source;
    for (uint32_t *target = _data_start; target < _data_end; target++) {
        *target = *source++;
    }
    for (uint32_t *target = _bss_start; target < _bss_end; target++) {
        *target = 0;
    }
    board_clocks_init();
    board_uart_init();
    board_ticks_init();
    board_exit(main());
}
