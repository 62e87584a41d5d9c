/* STM32F746G on a Discovery board: its own 16 MHz oscillator; USART1 on PA9 and PB7, which the ST-Link carries to USB. */
#include "board.h"

#define RCC_AHB1ENR (*(volatile uint32_t *)0x40023830u)
#define RCC_APB2ENR (*(volatile uint32_t *)0x40023844u)
#define GPIOA_MODER (*(volatile uint32_t *)0x40020000u)
#define GPIOA_AFRH (*(volatile uint32_t *)0x40020024u)
#define GPIOB_MODER (*(volatile uint32_t *)0x40020400u)
#define GPIOB_AFRL (*(volatile uint32_t *)0x40020420u)
#define GPIOA_GPIOB_CLOCKS ((1u << 0) | (1u << 1))
#define USART1_CLOCK (1u << 4)

void board_clocks_init(void) {
    RCC_AHB1ENR |= GPIOA_GPIOB_CLOCKS;
    RCC_APB2ENR |= USART1_CLOCK;
    (void)RCC_APB2ENR; /* the clock takes two cycles to reach the peripheral */
    GPIOA_AFRH = (GPIOA_AFRH & ~0xF0u) | 0x70u;               /* PA9: alternate function 7 */
    GPIOA_MODER = (GPIOA_MODER & ~(3u << 18)) | (2u << 18);   /* and in that mode */
    GPIOB_AFRL = (GPIOB_AFRL & ~0xF0000000u) | 0x70000000u;   /* PB7 likewise */
    GPIOB_MODER = (GPIOB_MODER & ~(3u << 14)) | (2u << 14);
}
