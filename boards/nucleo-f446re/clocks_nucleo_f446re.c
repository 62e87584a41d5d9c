/* STM32F446RE on a Nucleo board: 180 MHz from its own 16 MHz oscillator; USART2 on PA2 and PA3, which the ST-Link carries to USB. */
#include "board.h"
#include "clocks_stm32_f4_f7.h"

#define GPIOA_MODER BOARD_REGISTER(0x40020000u)
#define GPIOA_AFRL BOARD_REGISTER(0x40020020u)
#define GPIOA_CLOCK (1u << 0)
#define USART2_CLOCK (1u << 17)
/* 16 MHz / 8 * 180 / 2; 45 MHz to what is left of it */
#define PLL_180_MHZ (8u | (180u << 6) | (8u << 24) | (2u << 28))
#define FIVE_WAIT_STATES_AND_CACHES (5u | (1u << 8) | (1u << 9) | (1u << 10))

void board_clocks_init(void) {
    clocks_from_pll(PLL_180_MHZ, FIVE_WAIT_STATES_AND_CACHES);
    RCC_AHB1ENR |= GPIOA_CLOCK;
    RCC_APB1ENR |= USART2_CLOCK;
    (void)RCC_APB1ENR;
    GPIOA_AFRL = (GPIOA_AFRL & ~0xFF00u) | 0x7700u;   /* PA2, PA3: alternate function 7 */
    GPIOA_MODER = (GPIOA_MODER & ~0xF0u) | 0xA0u;     /* and in that mode */
}
