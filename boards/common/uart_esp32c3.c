/* UART0 of the ESP32-C3, as its boot ROM leaves it: 115200 baud on pins 20 (receive) and 21 (transmit). */
#include "board.h"

#define REGISTER(offset) (*(volatile uint32_t *)(BOARD_UART_ADDRESS + (offset)))
#define FIFO REGISTER(0x00u)
#define STATUS REGISTER(0x1Cu)
#define RECEIVED_BYTES (STATUS & 0x3FFu)
#define WAITING_BYTES (STATUS >> 16 & 0x3FFu)
#define FIFO_BYTES 128u

void board_uart_init(void) {
}

void board_put(uint8_t byte) {
    while (WAITING_BYTES >= FIFO_BYTES - 2u) {
    }
    FIFO = byte;
}

uint8_t board_get(void) {
    while (RECEIVED_BYTES == 0) {
    }
    return (uint8_t)FIFO;
}
