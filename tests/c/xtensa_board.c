/* board.h on an emulated lx106 (qemu-system-xtensa -M sim): text and the end go through the simulator's calls. */
#include "board/board.h"

__asm__(".section .reset, \"ax\"\n"
        "    j 1f\n"
        "    .align 4\n"
        "0:  .word _start\n"
        "1:  l32r a0, 0b\n"
        "    jx a0\n"
        ".section .start, \"ax\"\n"
        ".literal_position\n"
        ".global _start\n"
        "_start:\n"
        "    movi a1, stack_top\n"
        "    call0 main\n"
        "    mov a3, a2\n"
        "    movi a2, 1\n" /* exit */
        "    simcall\n"
        ".text\n");

static int call(int number, int first, const void *second, int third) {
    register int a2 __asm__("a2") = number;
    register int a3 __asm__("a3") = first;
    register const void *a4 __asm__("a4") = second;
    register int a5 __asm__("a5") = third;

    __asm__ volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
    return a2;
}

void board_put(uint8_t byte) { (void)call(4, 1, &byte, 1); }

uint64_t board_ticks(void) { return 0; }

void board_exit(int status) { (void)call(1, status, 0, 0); }

/* ---- What the libgcc of Debian's gcc-xtensa-lx106 lacks ---- */

int64_t __muldi3(int64_t a, int64_t b);
uint64_t __udivdi3(uint64_t a, uint64_t b);
uint64_t __umoddi3(uint64_t a, uint64_t b);

static uint64_t times(uint32_t a, uint32_t b) {
    const uint32_t low = a & 0xFFFFu, high = a >> 16, lower = b & 0xFFFFu, higher = b >> 16;

    return ((uint64_t)(high * higher) << 32) + ((uint64_t)(high * lower) << 16) + ((uint64_t)(low * higher) << 16) + low * lower;
}

int64_t __muldi3(int64_t a, int64_t b) {
    const uint64_t u = (uint64_t)a, v = (uint64_t)b;
    const uint32_t crossed = (uint32_t)(u >> 32) * (uint32_t)v + (uint32_t)u * (uint32_t)(v >> 32);

    return (int64_t)(times((uint32_t)u, (uint32_t)v) + ((uint64_t)crossed << 32));
}

uint64_t __udivdi3(uint64_t a, uint64_t b) {
    uint64_t quotient = 0, rest = 0;
    int i;

    for (i = 63; i >= 0; i--) {
        rest = rest << 1 | (a >> i & 1u);
        if (rest >= b) {
            rest -= b;
            quotient |= (uint64_t)1 << i;
        }
    }
    return quotient;
}

uint64_t __umoddi3(uint64_t a, uint64_t b) { return a - (uint64_t)__muldi3((int64_t)__udivdi3(a, b), (int64_t)b); }
