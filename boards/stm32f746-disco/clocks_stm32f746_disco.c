/* STM32F746G on a Discovery board: 216 MHz from its own 16 MHz oscillator, caches on; USART1 on PA9 and PB7, which the ST-Link carries
   to USB. */
#include "board.h"
#include "caches_cortex_m7.h"
#include "clocks_stm32_f4_f7.h"

#define RCC_APB2ENR BOARD_REGISTER(0x40023844u)
#define GPIOA_MODER BOARD_REGISTER(0x40020000u)
#define GPIOA_AFRH BOARD_REGISTER(0x40020024u)
#define GPIOB_MODER BOARD_REGISTER(0x40020400u)
#define GPIOB_AFRL BOARD_REGISTER(0x40020420u)
#define GPIOA_GPIOB_CLOCKS ((1u << 0) | (1u << 1))
#define USART1_CLOCK (1u << 4)
/* 16 MHz / 8 * 216 / 2; 48 MHz to USB */
#define PLL_216_MHZ (8u | (216u << 6) | (9u << 24))
#define SEVEN_WAIT_STATES_AND_ACCELERATOR (7u | (1u << 8) | (1u << 9))

void board_clocks_init(void) {
    clocks_from_pll(PLL_216_MHZ, SEVEN_WAIT_STATES_AND_ACCELERATOR);
    caches_enable();
    RCC_AHB1ENR |= GPIOA_GPIOB_CLOCKS;
    RCC_APB2ENR |= USART1_CLOCK;
    (void)RCC_APB2ENR; /* the clock takes two cycles to reach the peripheral */
    GPIOA_AFRH = (GPIOA_AFRH & ~0xF0u) | 0x70u;               /* PA9: alternate function 7 */
    GPIOA_MODER = (GPIOA_MODER & ~(3u << 18)) | (2u << 18);   /* and in that mode */
    GPIOB_AFRL = (GPIOB_AFRL & ~0xF0000000u) | 0x70000000u;   /* PB7 likewise */
    GPIOB_MODER = (GPIOB_MODER & ~(3u << 14)) | (2u << 14);
}
