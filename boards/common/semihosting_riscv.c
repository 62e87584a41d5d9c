/* Semihosting on RISC-V. */
#include "semihosting.h"

int32_t semihosting(uint32_t operation, const void *argument) {
    register uint32_t first __asm("a0") = operation;
    register const void *second __asm("a1") = argument;

    /* The two shifts mark the breakpoint as a call; the three instructions must be uncompressed and on one page. */
    __asm volatile(".option push\n"
                   ".option norvc\n"
                   ".balign 16\n"
                   "slli zero, zero, 0x1f\n"
                   "ebreak\n"
                   "srai zero, zero, 7\n"
                   ".option pop"
                   : "+r"(first)
                   : "r"(second)
                   : "memory");
    return (int32_t)first;
}
