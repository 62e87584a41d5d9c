/* USART of the STM32 F1, F2 and F4 families. Clock and pins are the board's: see its clocks_*.c. */
#include "board.h"

#define REGISTER(offset) (*(volatile uint32_t *)(BOARD_UART_ADDRESS + (offset)))
#define STATUS REGISTER(0x00u)
#define DATA REGISTER(0x04u)
#define BAUD_DIVIDER REGISTER(0x08u)
#define CONTROL REGISTER(0x0Cu)
#define STATUS_RECEIVED (1u << 5)
#define STATUS_TRANSMIT_EMPTY (1u << 7)
#define CONTROL_RECEIVE_TRANSMIT_ENABLE ((1u << 2) | (1u << 3) | (1u << 13))

void board_uart_init(void) {
    BAUD_DIVIDER = (BOARD_UART_CLOCK_HZ + BOARD_BAUD / 2u) / BOARD_BAUD;
    CONTROL = CONTROL_RECEIVE_TRANSMIT_ENABLE;
}

void board_put(uint8_t byte) {
    while (!(STATUS & STATUS_TRANSMIT_EMPTY)) {
    }
    DATA = byte;
}

uint8_t board_get(void) {
    while (!(STATUS & STATUS_RECEIVED)) {
    }
    return (uint8_t)DATA; /* status and data read in this order: an overrun is forgotten too */
}
