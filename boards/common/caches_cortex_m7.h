/* The two caches of a Cortex-M7, as its technical reference manual has them (system control block). They come out of reset with
   anything in them. No board here has another bus master that reads memory, so nothing is ever cleaned. */
#ifndef CACHES_CORTEX_M7_H
#define CACHES_CORTEX_M7_H

#include "board.h"

#define CACHE_CONTROL BOARD_REGISTER(0xE000ED14u)
#define CACHE_SIZE BOARD_REGISTER(0xE000ED80u)
#define CACHE_SELECT BOARD_REGISTER(0xE000ED84u)
#define INVALIDATE_INSTRUCTIONS BOARD_REGISTER(0xE000EF50u)
#define INVALIDATE_DATA_LINE BOARD_REGISTER(0xE000EF60u)
#define SELECT_DATA 0u
#define INSTRUCTIONS_ON (1u << 17)
#define DATA_ON (1u << 16)

#if defined(__arm__)
#define CACHES_WAIT() __asm volatile("dsb\n isb" ::: "memory")
#else
#define CACHES_WAIT() ((void)0)
#endif

static void caches_enable(void) {
    uint32_t size;
    uint32_t set;
    uint32_t way;

    CACHE_SELECT = SELECT_DATA;
    CACHES_WAIT();
    size = CACHE_SIZE; /* ways - 1 from bit 3 on, sets - 1 from bit 13 on; lines of 32 bytes */
    for (set = 0; set <= (size >> 13 & 0x7FFFu); set++) {
        for (way = 0; way <= (size >> 3 & 0x3FFu); way++) {
            INVALIDATE_DATA_LINE = way << 30 | set << 5;
        }
    }
    INVALIDATE_INSTRUCTIONS = 0;
    CACHES_WAIT();
    CACHE_CONTROL |= INSTRUCTIONS_ON | DATA_ON;
    CACHES_WAIT();
}

#endif
