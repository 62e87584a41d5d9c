/* What a program may ask of a board, the same on every board of this folder.
 *
 * Start-up code (startup_*.c) calls board_clocks_init, board_uart_init and board_ticks_init, in this order, before main.
 * One uart_*.c, ticks_*.c, exit_*.c and storage_*.c implement the rest; board.toml names them and board_config.h has the addresses.
 */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

#include "board_config.h"

/* A register of the chip. Tests put a model of the chip in its place. */
#ifndef BOARD_REGISTER
#define BOARD_REGISTER(address) (*(volatile uint32_t *)(address))
#endif

/* Clocks, caches, pins and watchdogs out of reset; nothing to do on emulated boards. */
void board_clocks_init(void);

/* Serial line: 8 data bits, no parity, one stop bit, BOARD_BAUD. */
void board_uart_init(void);
void board_put(uint8_t byte); /* waits until the line takes the byte */
uint8_t board_get(void);      /* waits until the line has a byte */

/* A clock that never goes back: BOARD_TICK_HZ ticks a second. Where its counter is 32 bits wide it must be asked at least once
 * in 2^32 ticks. */
void board_ticks_init(void);
uint64_t board_ticks(void);

/* Storage that outlives a restart, such as flash: pages of BOARD_STORAGE_PAGE bytes, from 0 on. A write erases its page (to 0xFF), then
 * programs `count` bytes in rising order, and returns 0 if it failed. Real boards have none until the project supplies the two
 * functions (storage_none.c). */
void board_storage_read(uint32_t page, uint8_t *bytes, uint32_t count);
int board_storage_write(uint32_t page, const uint8_t *bytes, uint32_t count);

/* Ends the program: leaves the emulator with this status, and stops the core on real boards. */
void board_exit(int status);

int main(void);

#endif
