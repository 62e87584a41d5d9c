/* The host's steady clock, in nanoseconds. */
#define _POSIX_C_SOURCE 200809L
#include <time.h>

#include "board.h"

void board_ticks_init(void) {
}

uint64_t board_ticks(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
