/* How the STM32F4 and F7 come to their full speed from their own 16 MHz oscillator: power scale 1 with over-drive, the PLL, and buses of
   a quarter and a half of it. Names and sequence are of the reference manuals RM0390 and RM0385. */
#ifndef CLOCKS_STM32_F4_F7_H
#define CLOCKS_STM32_F4_F7_H

#include "board.h"

#define FLASH_ACR BOARD_REGISTER(0x40023C00u)
#define PWR_CR BOARD_REGISTER(0x40007000u)
#define PWR_CSR BOARD_REGISTER(0x40007004u)
#define RCC_CR BOARD_REGISTER(0x40023800u)
#define RCC_PLLCFGR BOARD_REGISTER(0x40023804u)
#define RCC_CFGR BOARD_REGISTER(0x40023808u)
#define RCC_AHB1ENR BOARD_REGISTER(0x40023830u)
#define RCC_APB1ENR BOARD_REGISTER(0x40023840u)
#define PWR_CLOCK (1u << 28)
#define SCALE_1 (3u << 14)
#define OVER_DRIVE (1u << 16)
#define OVER_DRIVE_SWITCHED (1u << 17)
#define PLL_ON (1u << 24)
#define PLL_READY (1u << 25)
#define APB1_QUARTER_APB2_HALF ((5u << 10) | (4u << 13))
#define FROM_PLL 2u
#define SWITCHED_TO_PLL (2u << 2)

/* `pll` is its configuration, `flash` the wait states and buffers of flash at its speed. */
static void clocks_from_pll(uint32_t pll, uint32_t flash) {
    RCC_APB1ENR |= PWR_CLOCK;
    (void)RCC_APB1ENR; /* the clock takes two cycles to reach the peripheral */
    PWR_CR |= SCALE_1;
    RCC_PLLCFGR = pll;
    RCC_CR |= PLL_ON;
    PWR_CR |= OVER_DRIVE;
    while (!(PWR_CSR & OVER_DRIVE)) {
    }
    PWR_CR |= OVER_DRIVE_SWITCHED;
    while (!(PWR_CSR & OVER_DRIVE_SWITCHED)) {
    }
    FLASH_ACR = flash;
    while (FLASH_ACR != flash) {
    }
    RCC_CFGR = APB1_QUARTER_APB2_HALF;
    while (!(RCC_CR & PLL_READY)) {
    }
    RCC_CFGR = APB1_QUARTER_APB2_HALF | FROM_PLL;
    while ((RCC_CFGR & (3u << 2)) != SWITCHED_TO_PLL) {
    }
}

#endif
