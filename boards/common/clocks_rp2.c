/* RP2040 and RP2350, on a Raspberry Pi Pico and Pico 2: the core runs at 133 or 150 MHz from the system PLL, UART and timer from the
   12 MHz crystal; UART0 is on pins 0 (send) and 1 (receive). What the chip's ROM looks for in an image stands at the end. */
#include "board.h"

#if BOARD_UART_ADDRESS == 0x40034000u
#define RP2040
#define XOSC 0x40024000u
#define CLOCKS 0x40008000u
#define RESETS 0x4000C000u
#define IO_BANK 0x40014000u
#define PLL_SYSTEM 0x40028000u
#define PLL_SYSTEM_RESET (1u << 12)
#define PLL_TIMES 133u
#define PLL_OUTPUT ((6u << 16) | (2u << 12)) /* a sixth of it, and half of that */
#define IO_PADS_TIMER_UART0 ((1u << 5) | (1u << 8) | (1u << 21) | (1u << 22))
#define WATCHDOG_TICK BOARD_REGISTER(0x4005802Cu)
#define TICK_EVERY_12_CYCLES ((1u << 9) | 12u)
#else
#define XOSC 0x40048000u
#define CLOCKS 0x40010000u
#define RESETS 0x40020000u
#define IO_BANK 0x40028000u
#define PLL_SYSTEM 0x40050000u
#define PLL_SYSTEM_RESET (1u << 14)
#define PLL_TIMES 125u
#define PLL_OUTPUT ((5u << 16) | (2u << 12)) /* a fifth of it, and half of that */
#define IO_PADS_TIMER_UART0 ((1u << 6) | (1u << 9) | (1u << 23) | (1u << 26))
#define PIN_0_PAD BOARD_REGISTER(0x40038004u)
#define PIN_1_PAD BOARD_REGISTER(0x40038008u)
#define PAD_TRANSMIT 0x52u /* 4 mA, Schmitt trigger, input enabled; not isolated, not disabled */
#define PAD_RECEIVE 0x4Au  /* the same with a pull-up */
#define TIMER0_TICK_CONTROL BOARD_REGISTER(0x40108018u)
#define TIMER0_TICK_CYCLES BOARD_REGISTER(0x4010801Cu)
#endif
#define XOSC_CONTROL BOARD_REGISTER(XOSC + 0x00u)
#define XOSC_STATUS BOARD_REGISTER(XOSC + 0x04u)
#define XOSC_STARTUP BOARD_REGISTER(XOSC + 0x0Cu)
#define XOSC_ENABLE_1_15_MHZ 0x00FABAA0u
#define XOSC_STABLE (1u << 31)
#define XOSC_STARTUP_1_MS 47u /* in 256 cycles */
#define CLOCK_REFERENCE BOARD_REGISTER(CLOCKS + 0x30u)
#define CLOCK_REFERENCE_SELECTED BOARD_REGISTER(CLOCKS + 0x38u)
#define CLOCK_SYSTEM BOARD_REGISTER(CLOCKS + 0x3Cu)
#define CLOCK_SYSTEM_SELECTED BOARD_REGISTER(CLOCKS + 0x44u)
#define CLOCK_PERIPHERALS BOARD_REGISTER(CLOCKS + 0x48u)
#define FROM_CRYSTAL 2u
#define FROM_REFERENCE 0u
#define FROM_PLL_SYSTEM 1u
#define PLL_STATUS BOARD_REGISTER(PLL_SYSTEM + 0x0u)
#define PLL_POWER_DOWN BOARD_REGISTER(PLL_SYSTEM + 0x4u)
#define PLL_FEEDBACK BOARD_REGISTER(PLL_SYSTEM + 0x8u)
#define PLL_DIVIDERS BOARD_REGISTER(PLL_SYSTEM + 0xCu)
#define PLL_LOCKED (1u << 31)
#define PLL_REFERENCE_WHOLE 1u
#define PLL_OUTPUT_DOWN (1u << 3)
#define PLL_FRACTION_DOWN (1u << 2) /* whole multiples need none */
#define PERIPHERALS_FROM_CRYSTAL ((1u << 11) | (4u << 5))
#define RESETS_CLEAR BOARD_REGISTER(RESETS + 0x3000u) /* clears the bits that are written */
#define RESETS_DONE BOARD_REGISTER(RESETS + 0x08u)
#define PIN_0_FUNCTION BOARD_REGISTER(IO_BANK + 0x04u)
#define PIN_1_FUNCTION BOARD_REGISTER(IO_BANK + 0x0Cu)
#define FUNCTION_UART 2u

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
    RESETS_CLEAR = IO_PADS_TIMER_UART0 | PLL_SYSTEM_RESET;
    while ((RESETS_DONE & (IO_PADS_TIMER_UART0 | PLL_SYSTEM_RESET)) != (IO_PADS_TIMER_UART0 | PLL_SYSTEM_RESET)) {
    }
    PLL_STATUS = PLL_REFERENCE_WHOLE;
    PLL_FEEDBACK = PLL_TIMES;
    PLL_POWER_DOWN = PLL_OUTPUT_DOWN | PLL_FRACTION_DOWN;
    while (!(PLL_STATUS & PLL_LOCKED)) {
    }
    PLL_DIVIDERS = PLL_OUTPUT;
    PLL_POWER_DOWN = PLL_FRACTION_DOWN;
    CLOCK_SYSTEM = FROM_PLL_SYSTEM; /* of the clocks beside the reference, the PLL is number 0 */
    while (!(CLOCK_SYSTEM_SELECTED & (1u << FROM_PLL_SYSTEM))) {
    }
    PIN_0_FUNCTION = FUNCTION_UART;
    PIN_1_FUNCTION = FUNCTION_UART;
#if defined(RP2040)
    WATCHDOG_TICK = TICK_EVERY_12_CYCLES;
#else
    PIN_0_PAD = PAD_TRANSMIT;
    PIN_1_PAD = PAD_RECEIVE;
    TIMER0_TICK_CYCLES = 12u;
    TIMER0_TICK_CONTROL = 1u;
#endif
}

#if !defined(__arm__) && !defined(__riscv)
/* A test of the clocks on another processor. */
#elif defined(RP2040)
/* The ROM copies the first 256 bytes of flash to RAM and runs them if their CRC-32 is right. They set the flash interface to plain
   reads (command 03h, which every flash chip knows) at a quarter of the core's clock, and start the image behind them. A test
   computes the checksum again. */
__asm__(".pushsection .boot, \"ax\", %progbits\n"
        ".syntax unified\n"
        ".thumb\n"
        ".balign 4\n"
        "boot_second_stage:\n"
        "ldr r3, 1f\n"          /* serial interface */
        "movs r1, #0\n"
        "str r1, [r3, #0x08]\n" /* off */
        "movs r1, #4\n"
        "str r1, [r3, #0x14]\n" /* clock divider */
        "ldr r1, 2f\n"
        "str r1, [r3, #0x00]\n" /* 32 bits a word, read mode */
        "ldr r0, 3f\n"
        "ldr r1, 4f\n"
        "str r1, [r0]\n"        /* command 03h, 8 bits of it, 24 bits of address */
        "movs r1, #0\n"
        "str r1, [r3, #0x04]\n" /* one word at a time */
        "movs r1, #1\n"
        "str r1, [r3, #0x08]\n" /* on */
        "ldr r0, 5f\n"          /* the image's vectors */
        "ldr r1, 6f\n"
        "str r0, [r1]\n"
        "ldr r1, [r0]\n"
        "msr msp, r1\n"
        "ldr r0, [r0, #4]\n"
        "bx r0\n"
        ".balign 4\n"
        "1: .word 0x18000000\n"
        "2: .word 0x001F0300\n"
        "3: .word 0x180000F4\n"
        "4: .word 0x03000218\n"
        "5: .word 0x10000100\n"
        "6: .word 0xE000ED08\n"
        ".fill 252 - (. - boot_second_stage), 1, 0\n"
        ".word 0x6B5414F5\n" /* CRC-32 of the 252 bytes before it */
        ".popsection\n");
#else
/* The smallest block that the ROM takes: an executable for this chip, for its Arm or its RISC-V cores. */
#if defined(__riscv)
#define EXECUTABLE 0x11010142u
#else
#define EXECUTABLE 0x10210142u
#endif
__attribute__((section(".image_definition"), used)) const uint32_t board_image_definition[] = {
    0xFFFFDED3u, EXECUTABLE, 0x000001FFu, 0x00000000u, 0xAB123579u,
};
#endif
