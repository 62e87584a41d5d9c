/* The end of a program on real hardware: the core stops where it is. */
#include "board.h"

void board_exit(int status) {
    (void)status;
    for (;;) {
    }
}
