/* STM32H743ZI on a Nucleo board: its own 64 MHz oscillator; USART3 on PD8 and PD9, which the ST-Link carries to USB. */
#include "board.h"

#define RCC_AHB4ENR (*(volatile uint32_t *)0x580244E0u)
#define RCC_APB1LENR (*(volatile uint32_t *)0x580244E8u)
#define GPIOD_MODER (*(volatile uint32_t *)0x58020C00u)
#define GPIOD_AFRH (*(volatile uint32_t *)0x58020C24u)
#define GPIOD_CLOCK (1u << 3)
#define USART3_CLOCK (1u << 18)

void board_clocks_init(void) {
    RCC_AHB4ENR |= GPIOD_CLOCK;
    RCC_APB1LENR |= USART3_CLOCK;
    (void)RCC_APB1LENR; /* the clock takes two cycles to reach the peripheral */
    GPIOD_AFRH = (GPIOD_AFRH & ~0xFFu) | 0x77u;                 /* PD8, PD9: alternate function 7 */
    GPIOD_MODER = (GPIOD_MODER & ~(0xFu << 16)) | (0xAu << 16); /* and in that mode */
}
