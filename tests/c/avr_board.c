/* What a self-test asks of a board, on an AVR: the first serial line, and no clock. Sleeping with interrupts off ends simavr. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

#include "board/board.h"

int self_test_main(void);

void board_put(uint8_t byte) {
    while ((UCSR0A & (1 << UDRE0)) == 0) {
    }
    UDR0 = byte;
}

uint64_t board_ticks(void) {
    return 0;
}

int main(void) {
    UCSR0B = 1 << TXEN0;
    board_put((uint8_t)('0' + (self_test_main() != 0)));
    board_put('\n');
    while ((UCSR0A & (1 << TXC0)) == 0) {
    }
    cli();
    sleep_enable();
    sleep_cpu();
    return 0;
}
