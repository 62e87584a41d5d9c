/* STM32F746G on a Discovery board: 216 MHz from its own 16 MHz oscillator, caches on; USART1 on PA9 and PB7, which the ST-Link carries
   to USB. Names and sequence are of the reference manual RM0385: power scale 1 with over-drive, seven wait states. */
#include "board.h"
#include "caches_cortex_m7.h"

#define FLASH_ACR BOARD_REGISTER(0x40023C00u)
#define PWR_CR1 BOARD_REGISTER(0x40007000u)
#define PWR_CSR1 BOARD_REGISTER(0x40007004u)
#define RCC_CR BOARD_REGISTER(0x40023800u)
#define RCC_PLLCFGR BOARD_REGISTER(0x40023804u)
#define RCC_CFGR BOARD_REGISTER(0x40023808u)
#define RCC_AHB1ENR BOARD_REGISTER(0x40023830u)
#define RCC_APB1ENR BOARD_REGISTER(0x40023840u)
#define RCC_APB2ENR BOARD_REGISTER(0x40023844u)
#define GPIOA_MODER BOARD_REGISTER(0x40020000u)
#define GPIOA_AFRH BOARD_REGISTER(0x40020024u)
#define GPIOB_MODER BOARD_REGISTER(0x40020400u)
#define GPIOB_AFRL BOARD_REGISTER(0x40020420u)
#define GPIOA_GPIOB_CLOCKS ((1u << 0) | (1u << 1))
#define USART1_CLOCK (1u << 4)
#define PWR_CLOCK (1u << 28)
#define SCALE_1 (3u << 14)
#define OVER_DRIVE (1u << 16)
#define OVER_DRIVE_SWITCHED (1u << 17)
#define PLL_ON (1u << 24)
#define PLL_READY (1u << 25)
/* 16 MHz / 8 * 216 / 2; 48 MHz to USB */
#define PLL_216_MHZ (8u | (216u << 6) | (9u << 24))
#define SEVEN_WAIT_STATES_AND_ACCELERATOR (7u | (1u << 8) | (1u << 9))
#define APB1_QUARTER_APB2_HALF ((5u << 10) | (4u << 13))
#define FROM_PLL 2u
#define SWITCHED_TO_PLL (2u << 2)

void board_clocks_init(void) {
    RCC_AHB1ENR |= GPIOA_GPIOB_CLOCKS;
    RCC_APB1ENR |= PWR_CLOCK;
    RCC_APB2ENR |= USART1_CLOCK;
    (void)RCC_APB2ENR; /* the clock takes two cycles to reach the peripheral */
    PWR_CR1 |= SCALE_1;
    RCC_PLLCFGR = PLL_216_MHZ;
    RCC_CR |= PLL_ON;
    PWR_CR1 |= OVER_DRIVE;
    while (!(PWR_CSR1 & OVER_DRIVE)) {
    }
    PWR_CR1 |= OVER_DRIVE_SWITCHED;
    while (!(PWR_CSR1 & OVER_DRIVE_SWITCHED)) {
    }
    FLASH_ACR = SEVEN_WAIT_STATES_AND_ACCELERATOR;
    while (FLASH_ACR != SEVEN_WAIT_STATES_AND_ACCELERATOR) {
    }
    RCC_CFGR = APB1_QUARTER_APB2_HALF;
    while (!(RCC_CR & PLL_READY)) {
    }
    RCC_CFGR = APB1_QUARTER_APB2_HALF | FROM_PLL;
    while ((RCC_CFGR & (3u << 2)) != SWITCHED_TO_PLL) {
    }
    caches_enable();
    GPIOA_AFRH = (GPIOA_AFRH & ~0xF0u) | 0x70u;               /* PA9: alternate function 7 */
    GPIOA_MODER = (GPIOA_MODER & ~(3u << 18)) | (2u << 18);   /* and in that mode */
    GPIOB_AFRL = (GPIOB_AFRL & ~0xF0000000u) | 0x70000000u;   /* PB7 likewise */
    GPIOB_MODER = (GPIOB_MODER & ~(3u << 14)) | (2u << 14);
}
