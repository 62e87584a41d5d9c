/* Boards whose clocks and pins work as they come out of reset. */
#include "board.h"

void board_clocks_init(void) {
}
