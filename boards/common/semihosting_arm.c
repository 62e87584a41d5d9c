/* Semihosting on Arm: a breakpoint with a number of its own. */
#include "semihosting.h"

int32_t semihosting(uint32_t operation, const void *argument) {
    register uint32_t first __asm("r0") = operation;
    register const void *second __asm("r1") = argument;

    __asm volatile("bkpt 0xAB" : "+r"(first) : "r"(second) : "memory");
    return (int32_t)first;
}
