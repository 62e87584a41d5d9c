/* UART of Nordic's nRF51, still present in the nRF52. */
#include "board.h"

#define REGISTER(offset) (*(volatile uint32_t *)(BOARD_UART_ADDRESS + (offset)))
#define TASK_START_RECEIVE REGISTER(0x000u)
#define TASK_START_TRANSMIT REGISTER(0x008u)
#define EVENT_RECEIVED REGISTER(0x108u)
#define EVENT_TRANSMITTED REGISTER(0x11Cu)
#define ENABLE REGISTER(0x500u)
#define PIN_TRANSMIT REGISTER(0x50Cu)
#define PIN_RECEIVE REGISTER(0x514u)
#define RECEIVED REGISTER(0x518u)
#define TRANSMIT REGISTER(0x51Cu)
#define BAUD_RATE REGISTER(0x524u)
#define ENABLED 4u
/* The register counts in 16 MHz / 2^32 and wants the low 12 bits clear. */
#define BAUD_CODE ((uint32_t)((((uint64_t)BOARD_BAUD << 32) / 16000000u + 0x800u) & 0xFFFFF000u))

void board_uart_init(void) {
    PIN_TRANSMIT = BOARD_UART_TX_PIN;
    PIN_RECEIVE = BOARD_UART_RX_PIN;
    BAUD_RATE = BAUD_CODE;
    ENABLE = ENABLED;
    EVENT_RECEIVED = 0;
    TASK_START_TRANSMIT = 1;
    TASK_START_RECEIVE = 1;
}

void board_put(uint8_t byte) {
    EVENT_TRANSMITTED = 0;
    TRANSMIT = byte;
    while (!EVENT_TRANSMITTED) {
    }
}

uint8_t board_get(void) {
    while (!EVENT_RECEIVED) {
    }
    EVENT_RECEIVED = 0; /* before the read: reading brings the next byte up, with an event of its own */
    return (uint8_t)RECEIVED;
}
