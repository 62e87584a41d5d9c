/* Start-up of every Cortex-M: vector table, memory, floating-point unit, then main. */
#include <stdint.h>

#include "board.h"

/* From the linker script. */
extern uint32_t _stack_top[], _data_source[], _data_start[], _data_end[], _bss_start[], _bss_end[];

#define FAULT_STATUS 70 /* status with which the emulator is left when the core faults */
#define CPACR (*(volatile uint32_t *)0xE000ED88u)
#define CPACR_FULL_ACCESS (0xFu << 20) /* coprocessors 10 and 11: floating point and Helium */
#define EXCEPTIONS 15

void Reset_Handler(void);
void Fault_Handler(void);

void Fault_Handler(void) {
    board_exit(FAULT_STATUS);
}

void Reset_Handler(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    /* Before any loop: the compiler may have turned it into vector instructions. */
    CPACR |= CPACR_FULL_ACCESS;
    __asm volatile("dsb\n isb" ::: "memory");
#endif
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

/* No interrupt is ever enabled, so the table ends after the core's own exceptions. */
struct vector_table {
    uint32_t *stack_top;
    void (*handlers[EXCEPTIONS])(void);
};

__attribute__((section(".vectors"), used)) const struct vector_table board_vectors = {
    _stack_top,
    {Reset_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler, 0, 0,
     Fault_Handler, Fault_Handler, 0, Fault_Handler, Fault_Handler},
};
