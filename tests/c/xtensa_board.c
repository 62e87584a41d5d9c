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

/* Debian's libgcc for the lx106 calls these and does not have them: on an ESP8266 they are in the boot ROM. */
uint32_t __udivsi3(uint32_t a, uint32_t b);
uint32_t __umodsi3(uint32_t a, uint32_t b);
int32_t __divsi3(int32_t a, int32_t b);
int32_t __modsi3(int32_t a, int32_t b);
uint64_t __umulsidi3(uint32_t a, uint32_t b);

/* Long division, one bit of the quotient at a time. */
static uint32_t divide(uint32_t a, uint32_t b, uint32_t *rest) {
    uint32_t quotient = 0;
    uint32_t left = 0;
    int bit;

    for (bit = 31; bit >= 0; bit--) {
        const uint32_t carry = left >> 31;
        left = left << 1 | (a >> bit & 1u);
        if (carry != 0u || left >= b) {
            left -= b;
            quotient |= (uint32_t)1 << bit;
        }
    }
    *rest = left;
    return quotient;
}

static uint32_t magnitude(int32_t a) {
    return a < 0 ? 0u - (uint32_t)a : (uint32_t)a;
}

uint32_t __udivsi3(uint32_t a, uint32_t b) {
    uint32_t rest;
    return divide(a, b, &rest);
}

uint32_t __umodsi3(uint32_t a, uint32_t b) {
    uint32_t rest;
    (void)divide(a, b, &rest);
    return rest;
}

int32_t __divsi3(int32_t a, int32_t b) {
    const uint32_t quotient = __udivsi3(magnitude(a), magnitude(b));
    return (int32_t)((a < 0) != (b < 0) ? 0u - quotient : quotient);
}

int32_t __modsi3(int32_t a, int32_t b) {
    const uint32_t rest = __umodsi3(magnitude(a), magnitude(b));
    return (int32_t)(a < 0 ? 0u - rest : rest);
}

uint64_t __umulsidi3(uint32_t a, uint32_t b) {
    const uint32_t low = (a & 0xFFFFu) * (b & 0xFFFFu);
    const uint32_t one = (a >> 16) * (b & 0xFFFFu) + (low >> 16);
    const uint32_t other = (a & 0xFFFFu) * (b >> 16) + (one & 0xFFFFu);
    const uint32_t high = (a >> 16) * (b >> 16) + (one >> 16) + (other >> 16);
    return (uint64_t)high << 32 | (uint32_t)(other << 16 | (low & 0xFFFFu));
}
