/* Storage of a program on a host: flash in a file of the folder in which it runs. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "board.h"

#define ACCESS 0600
#define AT_ONCE 64u /* bytes that are programmed at once: power may fail between any two */

void board_storage_read(uint32_t page, uint8_t *bytes, uint32_t count) {
    const int file = open(BOARD_STORAGE_FILE, O_RDONLY);
    ssize_t found = 0;

    if (file >= 0) {
        found = pread(file, bytes, count, (off_t)page * (off_t)BOARD_STORAGE_PAGE);
        (void)close(file);
    }
    if (found < 0) {
        found = 0;
    }
    memset(bytes + found, 0xFF, count - (size_t)found);
}

/* Writes `count` bytes from the page's beginning on: of `bytes`, or the erased state where that is NULL. */
static int put(int file, uint32_t page, const uint8_t *bytes, uint32_t count) {
    uint8_t erased[AT_ONCE];
    uint32_t at;

    memset(erased, 0xFF, sizeof erased);
    for (at = 0; at < count; at += AT_ONCE) {
        const uint32_t part = count - at < AT_ONCE ? count - at : AT_ONCE;
        const off_t place = (off_t)page * (off_t)BOARD_STORAGE_PAGE + (off_t)at;

        if (pwrite(file, bytes ? bytes + at : erased, part, place) != (ssize_t)part) {
            return 0;
        }
    }
    return 1;
}

int board_storage_write(uint32_t page, const uint8_t *bytes, uint32_t count) {
    const int file = open(BOARD_STORAGE_FILE, O_RDWR | O_CREAT, ACCESS);
    int done;

    if (file < 0) {
        return 0;
    }
    done = put(file, page, NULL, BOARD_STORAGE_PAGE) && put(file, page, bytes, count);
    return close(file) == 0 && done;
}
