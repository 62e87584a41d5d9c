/* STM32H743ZI on a Nucleo board: BOARD_CORE_HZ from its own 64 MHz oscillator, caches on; USART3 on PD8 and PD9, which the ST-Link
   carries to USB. Names and sequence are of the reference manual RM0433. 480 MHz is for chips of revision V, which alone have voltage
   scale 0; 400 MHz is for all. */
#include "board.h"
#include "caches_cortex_m7.h"

#define FLASH_ACR BOARD_REGISTER(0x52002000u)
#define SYSCFG_PWRCR BOARD_REGISTER(0x5800042Cu)
#define PWR_CSR1 BOARD_REGISTER(0x58024804u)
#define PWR_CR3 BOARD_REGISTER(0x5802480Cu)
#define PWR_D3CR BOARD_REGISTER(0x58024818u)
#define RCC_CR BOARD_REGISTER(0x58024400u)
#define RCC_CFGR BOARD_REGISTER(0x58024410u)
#define RCC_D1CFGR BOARD_REGISTER(0x58024418u)
#define RCC_D2CFGR BOARD_REGISTER(0x5802441Cu)
#define RCC_D3CFGR BOARD_REGISTER(0x58024420u)
#define RCC_PLLCKSELR BOARD_REGISTER(0x58024428u)
#define RCC_PLLCFGR BOARD_REGISTER(0x5802442Cu)
#define RCC_PLL1DIVR BOARD_REGISTER(0x58024430u)
#define RCC_AHB4ENR BOARD_REGISTER(0x580244E0u)
#define RCC_APB1LENR BOARD_REGISTER(0x580244E8u)
#define RCC_APB4ENR BOARD_REGISTER(0x580244F4u)
#define GPIOD_MODER BOARD_REGISTER(0x58020C00u)
#define GPIOD_AFRH BOARD_REGISTER(0x58020C24u)
#define GPIOD_CLOCK (1u << 3)
#define USART3_CLOCK (1u << 18)
#define SYSCFG_CLOCK (1u << 1)
#define REGULATOR_ALONE (1u << 1)
#define SCALE_1 (3u << 14)
#define VOLTAGE_READY (1u << 13)
#define OVER_DRIVE (1u << 0)
#define PLL1_ON (1u << 24)
#define PLL1_READY (1u << 25)
#define OSCILLATOR_QUARTERED (4u << 4)              /* 16 MHz, from the internal oscillator */
#define PLL1_OF_8_TO_16_MHZ ((3u << 2) | (1u << 16)) /* wide output range; output P alone */
#if BOARD_CORE_HZ == 480000000u
#define TIMES 60u
#define WAIT_STATES (4u | (2u << 4))
#else
#define TIMES 50u
#define WAIT_STATES (2u | (2u << 4))
#endif
#define PLL1_DIVIDERS ((TIMES - 1u) | (1u << 9) | (1u << 16) | (1u << 24)) /* P, Q and R: half */
#define AHB_HALF_APB3_HALF (8u | (4u << 4))
#define APB1_HALF_APB2_HALF ((4u << 4) | (4u << 8))
#define APB4_HALF (4u << 4)
#define FROM_PLL1 3u
#define SWITCHED_TO_PLL1 (3u << 3)

void board_clocks_init(void) {
    RCC_AHB4ENR |= GPIOD_CLOCK;
    RCC_APB1LENR |= USART3_CLOCK;
    RCC_APB4ENR |= SYSCFG_CLOCK;
    (void)RCC_APB4ENR; /* the clock takes two cycles to reach the peripheral */
    PWR_CR3 = REGULATOR_ALONE; /* as the board is wired; until this is said, the voltage cannot be changed */
    while (!(PWR_CSR1 & VOLTAGE_READY)) {
    }
    PWR_D3CR = SCALE_1;
    while (!(PWR_D3CR & VOLTAGE_READY)) {
    }
#if BOARD_CORE_HZ == 480000000u
    SYSCFG_PWRCR |= OVER_DRIVE; /* scale 0 */
    while (!(PWR_D3CR & VOLTAGE_READY)) {
    }
#endif
    RCC_PLLCKSELR = OSCILLATOR_QUARTERED;
    RCC_PLLCFGR = PLL1_OF_8_TO_16_MHZ;
    RCC_PLL1DIVR = PLL1_DIVIDERS;
    RCC_CR |= PLL1_ON;
    FLASH_ACR = WAIT_STATES;
    while (FLASH_ACR != WAIT_STATES) {
    }
    RCC_D1CFGR = AHB_HALF_APB3_HALF;
    RCC_D2CFGR = APB1_HALF_APB2_HALF;
    RCC_D3CFGR = APB4_HALF;
    while (!(RCC_CR & PLL1_READY)) {
    }
    RCC_CFGR = FROM_PLL1;
    while ((RCC_CFGR & (7u << 3)) != SWITCHED_TO_PLL1) {
    }
    caches_enable();
    GPIOD_AFRH = (GPIOD_AFRH & ~0xFFu) | 0x77u;                 /* PD8, PD9: alternate function 7 */
    GPIOD_MODER = (GPIOD_MODER & ~(0xFu << 16)) | (0xAu << 16); /* and in that mode */
}
