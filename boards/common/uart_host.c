/* The serial line of a program on a host: one connection to the listening socket whose number is in EDGEBN_LISTEN_FD, or standard
 * input and output where there is none. The program ends when the line does. */
#define _POSIX_C_SOURCE 200809L
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "board.h"

static int input = STDIN_FILENO;
static int output = STDOUT_FILENO;

void board_uart_init(void) {
    const char *listening = getenv("EDGEBN_LISTEN_FD");

    if (listening) {
        input = accept((int)strtol(listening, NULL, 10), NULL, NULL);
        output = input;
        if (input < 0) {
            board_exit(EXIT_FAILURE);
        }
        /* Bytes go one by one, and none waits for the other end's word on the one before. */
        (void)setsockopt(input, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    }
}

void board_put(uint8_t byte) {
    if (write(output, &byte, 1) != 1) {
        board_exit(EXIT_SUCCESS);
    }
}

uint8_t board_get(void) {
    uint8_t byte = 0;

    if (read(input, &byte, 1) != 1) {
        board_exit(EXIT_SUCCESS);
    }
    return byte;
}
