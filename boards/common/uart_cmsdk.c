/* UART of Arm's Cortex-M system design kit: the MPS2 and MPS3 images. */
#include "board.h"

#define REGISTER(offset) (*(volatile uint32_t *)(BOARD_UART_ADDRESS + (offset)))
#define DATA REGISTER(0x00u)
#define STATE REGISTER(0x04u)
#define CONTROL REGISTER(0x08u)
#define BAUD_DIVIDER REGISTER(0x10u)
#define STATE_TRANSMIT_FULL 1u
#define STATE_RECEIVE_FULL 2u
#define CONTROL_TRANSMIT_RECEIVE 3u

void board_uart_init(void) {
    BAUD_DIVIDER = BOARD_UART_CLOCK_HZ / BOARD_BAUD; /* at least 16 */
    CONTROL = CONTROL_TRANSMIT_RECEIVE;
}

void board_put(uint8_t byte) {
    while (STATE & STATE_TRANSMIT_FULL) {
    }
    DATA = byte;
}

uint8_t board_get(void) {
    while (!(STATE & STATE_RECEIVE_FULL)) {
    }
    return (uint8_t)DATA;
}
