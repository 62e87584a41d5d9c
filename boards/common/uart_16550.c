/* UART of the 16550 family with byte-wide registers: QEMU's RISC-V virt machine. */
#include "board.h"

#define REGISTER(offset) (*(volatile uint8_t *)(BOARD_UART_ADDRESS + (offset)))
#define DATA REGISTER(0u)
#define FIFO_CONTROL REGISTER(2u)
#define LINE_STATUS REGISTER(5u)
#define FIFO_ENABLE 1u
#define STATUS_RECEIVED 0x01u
#define STATUS_TRANSMIT_EMPTY 0x20u

void board_uart_init(void) {
    FIFO_CONTROL = FIFO_ENABLE;
}

void board_put(uint8_t byte) {
    while (!(LINE_STATUS & STATUS_TRANSMIT_EMPTY)) {
    }
    DATA = byte;
}

uint8_t board_get(void) {
    while (!(LINE_STATUS & STATUS_RECEIVED)) {
    }
    return DATA;
}
