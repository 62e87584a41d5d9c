/* STM32F446RE on a Nucleo board: 180 MHz from its own 16 MHz oscillator; USART2 on PA2 and PA3, which the ST-Link carries to USB.
   Names and sequence are of the reference manual RM0390: power scale 1 with over-drive, five wait states, flash caches on. */
#include "board.h"

#define FLASH_ACR BOARD_REGISTER(0x40023C00u)
#define PWR_CR BOARD_REGISTER(0x40007000u)
#define PWR_CSR BOARD_REGISTER(0x40007004u)
#define RCC_CR BOARD_REGISTER(0x40023800u)
#define RCC_PLLCFGR BOARD_REGISTER(0x40023804u)
#define RCC_CFGR BOARD_REGISTER(0x40023808u)
#define RCC_AHB1ENR BOARD_REGISTER(0x40023830u)
#define RCC_APB1ENR BOARD_REGISTER(0x40023840u)
#define GPIOA_MODER BOARD_REGISTER(0x40020000u)
#define GPIOA_AFRL BOARD_REGISTER(0x40020020u)
#define GPIOA_CLOCK (1u << 0)
#define USART2_CLOCK (1u << 17)
#define PWR_CLOCK (1u << 28)
#define SCALE_1 (3u << 14)
#define OVER_DRIVE (1u << 16)
#define OVER_DRIVE_SWITCHED (1u << 17)
#define PLL_ON (1u << 24)
#define PLL_READY (1u << 25)
/* 16 MHz / 8 * 180 / 2; 45 MHz to what is left of it */
#define PLL_180_MHZ (8u | (180u << 6) | (8u << 24) | (2u << 28))
#define FIVE_WAIT_STATES_AND_CACHES (5u | (1u << 8) | (1u << 9) | (1u << 10))
#define APB1_QUARTER_APB2_HALF ((5u << 10) | (4u << 13))
#define FROM_PLL 2u
#define SWITCHED_TO_PLL (2u << 2)

void board_clocks_init(void) {
    RCC_APB1ENR |= PWR_CLOCK | USART2_CLOCK;
    RCC_AHB1ENR |= GPIOA_CLOCK;
    (void)RCC_APB1ENR; /* the clock takes two cycles to reach the peripheral */
    PWR_CR |= SCALE_1;
    RCC_PLLCFGR = PLL_180_MHZ;
    RCC_CR |= PLL_ON;
    PWR_CR |= OVER_DRIVE;
    while (!(PWR_CSR & OVER_DRIVE)) {
    }
    PWR_CR |= OVER_DRIVE_SWITCHED;
    while (!(PWR_CSR & OVER_DRIVE_SWITCHED)) {
    }
    FLASH_ACR = FIVE_WAIT_STATES_AND_CACHES;
    while (FLASH_ACR != FIVE_WAIT_STATES_AND_CACHES) {
    }
    RCC_CFGR = APB1_QUARTER_APB2_HALF;
    while (!(RCC_CR & PLL_READY)) {
    }
    RCC_CFGR = APB1_QUARTER_APB2_HALF | FROM_PLL;
    while ((RCC_CFGR & (3u << 2)) != SWITCHED_TO_PLL) {
    }
    GPIOA_AFRL = (GPIOA_AFRL & ~0xFF00u) | 0x7700u;   /* PA2, PA3: alternate function 7 */
    GPIOA_MODER = (GPIOA_MODER & ~0xF0u) | 0xA0u;     /* and in that mode */
}
