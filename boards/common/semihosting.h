/* Asking the emulator's host for a service: Arm's semihosting, which RISC-V has taken over. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

/* Returns what the host answers. `argument`: what the operation wants, most often a block of words. */
int32_t semihosting(uint32_t operation, const void *argument);

#endif
