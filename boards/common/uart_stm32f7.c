/* USART of the STM32 F0, F3, F7, H7, L4 and G4 families. Clock and pins are the board's: see its clocks_*.c. */
#include "board.h"

#define REGISTER(offset) (*(volatile uint32_t *)(BOARD_UART_ADDRESS + (offset)))
#define CONTROL_1 REGISTER(0x00u)
#define CONTROL_3 REGISTER(0x08u)
#define BAUD_DIVIDER REGISTER(0x0Cu)
#define STATUS REGISTER(0x1Cu)
#define RECEIVED REGISTER(0x24u)
#define TRANSMIT REGISTER(0x28u)
#define ENABLE_RECEIVE_TRANSMIT ((1u << 0) | (1u << 2) | (1u << 3))
#define OVERRUN_DISABLE (1u << 12) /* a byte too many replaces the one before: the link's checksums notice */
#define STATUS_RECEIVED (1u << 5)
#define STATUS_TRANSMIT_EMPTY (1u << 7)

void board_uart_init(void) {
    BAUD_DIVIDER = (BOARD_UART_CLOCK_HZ + BOARD_BAUD / 2u) / BOARD_BAUD;
    CONTROL_3 = OVERRUN_DISABLE;
    CONTROL_1 = ENABLE_RECEIVE_TRANSMIT;
}

void board_put(uint8_t byte) {
    while (!(STATUS & STATUS_TRANSMIT_EMPTY)) {
    }
    TRANSMIT = byte;
}

uint8_t board_get(void) {
    while (!(STATUS & STATUS_RECEIVED)) {
    }
    return (uint8_t)RECEIVED;
}
