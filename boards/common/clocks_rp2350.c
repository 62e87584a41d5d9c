/* RP2350 on a Raspberry Pi Pico 2: core, UART and timer run from the 12 MHz crystal; UART0 on pins 0 (transmit) and 1 (receive).
   The block that tells the chip's ROM what this image is stands at the end. */
#include "board.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define XOSC_CONTROL REGISTER(0x40048000u)
#define XOSC_STATUS REGISTER(0x40048004u)
#define XOSC_STARTUP REGISTER(0x4004800Cu)
#define XOSC_ENABLE_1_15_MHZ 0x00FABAA0u
#define XOSC_STABLE (1u << 31)
#define XOSC_STARTUP_1_MS 47u /* in 256 cycles */
#define CLOCK_REFERENCE REGISTER(0x40010030u)
#define CLOCK_REFERENCE_SELECTED REGISTER(0x40010038u)
#define CLOCK_SYSTEM REGISTER(0x4001003Cu)
#define CLOCK_SYSTEM_SELECTED REGISTER(0x40010044u)
#define CLOCK_PERIPHERALS REGISTER(0x40010048u)
#define FROM_CRYSTAL 2u
#define FROM_REFERENCE 0u
#define PERIPHERALS_FROM_CRYSTAL ((1u << 11) | (4u << 5))
#define RESETS_CLEAR REGISTER(0x40023000u)
#define RESETS_DONE REGISTER(0x40020008u)
#define IO_PADS_TIMER0_UART0 ((1u << 6) | (1u << 9) | (1u << 23) | (1u << 26))
#define PIN_0_FUNCTION REGISTER(0x40028004u)
#define PIN_1_FUNCTION REGISTER(0x4002800Cu)
#define FUNCTION_UART 2u
#define PIN_0_PAD REGISTER(0x40038004u)
#define PIN_1_PAD REGISTER(0x40038008u)
#define PAD_TRANSMIT 0x52u /* 4 mA, Schmitt trigger, input enabled; not isolated, not disabled */
#define PAD_RECEIVE 0x4Au  /* the same with a pull-up */
#define TIMER0_TICK_CONTROL REGISTER(0x40108018u)
#define TIMER0_TICK_CYCLES REGISTER(0x4010801Cu)

void board_clocks_init(void) {
    XOSC_STARTUP = XOSC_STARTUP_1_MS;
    XOSC_CONTROL = XOSC_ENABLE_1_15_MHZ;
    while (!(XOSC_STATUS & XOSC_STABLE)) {
    }
    CLOCK_REFERENCE = FROM_CRYSTAL;
    while (!(CLOCK_REFERENCE_SELECTED & (1u << FROM_CRYSTAL))) {
    }
    CLOCK_SYSTEM = FROM_REFERENCE;
    while (!(CLOCK_SYSTEM_SELECTED & (1u << FROM_REFERENCE))) {
    }
    CLOCK_PERIPHERALS = PERIPHERALS_FROM_CRYSTAL;
    RESETS_CLEAR = IO_PADS_TIMER0_UART0;
    while ((RESETS_DONE & IO_PADS_TIMER0_UART0) != IO_PADS_TIMER0_UART0) {
    }
    PIN_0_FUNCTION = FUNCTION_UART;
    PIN_1_FUNCTION = FUNCTION_UART;
    PIN_0_PAD = PAD_TRANSMIT;
    PIN_1_PAD = PAD_RECEIVE;
    TIMER0_TICK_CYCLES = 12u;
    TIMER0_TICK_CONTROL = 1u;
}

/* The smallest block that the ROM takes: an executable for this chip, for its Arm or its RISC-V cores. */
#if defined(__riscv)
#define EXECUTABLE 0x11010142u
#else
#define EXECUTABLE 0x10210142u
#endif
__attribute__((section(".image_definition"), used)) const uint32_t board_image_definition[] = {
    0xFFFFDED3u, EXECUTABLE, 0x000001FFu, 0x00000000u, 0xAB123579u,
};
