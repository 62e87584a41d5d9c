/* STM32F446RE on a Nucleo board: its own 16 MHz oscillator; USART2 on PA2 and PA3, which the ST-Link carries to USB. */
#include "board.h"

#define RCC_AHB1ENR (*(volatile uint32_t *)0x40023830u)
#define RCC_APB1ENR (*(volatile uint32_t *)0x40023840u)
#define GPIOA_MODER (*(volatile uint32_t *)0x40020000u)
#define GPIOA_AFRL (*(volatile uint32_t *)0x40020020u)
#define GPIOA_CLOCK (1u << 0)
#define USART2_CLOCK (1u << 17)

void board_clocks_init(void) {
    RCC_AHB1ENR |= GPIOA_CLOCK;
    RCC_APB1ENR |= USART2_CLOCK;
    (void)RCC_APB1ENR; /* the clock takes two cycles to reach the peripheral */
    GPIOA_AFRL = (GPIOA_AFRL & ~0xFF00u) | 0x7700u;   /* PA2, PA3: alternate function 7 */
    GPIOA_MODER = (GPIOA_MODER & ~0xF0u) | 0xA0u;     /* and in that mode */
}
