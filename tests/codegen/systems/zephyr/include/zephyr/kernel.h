#ifndef ZEPHYR_KERNEL_H
#define ZEPHYR_KERNEL_H
#include <stddef.h>
#include <stdint.h>
#define CONFIG_BOARD "stand_in"
uint32_t k_cycle_get_32(void);
void k_yield(void);
static inline int sys_clock_hw_cycles_per_sec(void) { return 1000000; }
#endif
