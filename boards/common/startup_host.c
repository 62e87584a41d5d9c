/* On a host the operating system starts main; this runs what the start-up code of a board runs before it. */
#include "board.h"

__attribute__((constructor)) static void start(void) {
    board_clocks_init();
    board_uart_init();
    board_ticks_init();
}
