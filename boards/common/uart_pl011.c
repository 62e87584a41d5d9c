/* Arm's PL011 UART: RP2040, RP2350, and Stellaris parts. Clock and pins are the board's: see its clocks_*.c. */
#include "board.h"

#define REGISTER(offset) (*(volatile uint32_t *)(BOARD_UART_ADDRESS + (offset)))
#define DATA REGISTER(0x00u)
#define FLAGS REGISTER(0x18u)
#define BAUD_WHOLE REGISTER(0x24u)
#define BAUD_64THS REGISTER(0x28u)
#define LINE_CONTROL REGISTER(0x2Cu)
#define CONTROL REGISTER(0x30u)
#define FLAG_RECEIVE_EMPTY (1u << 4)
#define FLAG_TRANSMIT_FULL (1u << 5)
#define EIGHT_BITS_FIFO ((3u << 5) | (1u << 4))
#define ENABLE_TRANSMIT_RECEIVE ((1u << 0) | (1u << 8) | (1u << 9))
/* The divider is clock / (16 * baud), in 64ths, rounded. */
#define DIVIDER ((8u * BOARD_UART_CLOCK_HZ / BOARD_BAUD + 1u) / 2u)

void board_uart_init(void) {
    BAUD_WHOLE = DIVIDER / 64u;
    BAUD_64THS = DIVIDER % 64u;
    LINE_CONTROL = EIGHT_BITS_FIFO; /* after the divider: writing it takes the divider over */
    CONTROL = ENABLE_TRANSMIT_RECEIVE;
}

void board_put(uint8_t byte) {
    while (FLAGS & FLAG_TRANSMIT_FULL) {
    }
    DATA = byte;
}

uint8_t board_get(void) {
    while (FLAGS & FLAG_RECEIVE_EMPTY) {
    }
    return (uint8_t)DATA;
}
