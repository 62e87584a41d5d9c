/* The device's end of the link as a process: a line on standard input and output. It ends when the line does. */
#include <stdlib.h>
#include <unistd.h>

#include "link_model.h"

static void put(uint8_t byte) {
    if (write(STDOUT_FILENO, &byte, 1) != 1) {
        exit(0);
    }
}

int main(void) {
    static struct edgebn_link link;
    const struct edgebn_link_model model = link_model(&link, put, 0);
    uint8_t byte;

    link_start(&link, &model, 0);
    while (read(STDIN_FILENO, &byte, 1) == 1) {
        edgebn_link_receive(&link, byte);
    }
    return 0;
}
