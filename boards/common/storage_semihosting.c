/* Storage of an emulated board: flash in a file of the emulator's host, which outlives the emulator. */
#include <string.h>

#include "board.h"
#include "semihosting.h"

#define OPEN 0x01u
#define CLOSE 0x02u
#define WRITE 0x05u
#define READ 0x06u
#define SEEK 0x0Au
#define UPDATE 3u  /* "r+b" */
#define CREATE 7u  /* "w+b" */
#define BLOCK 64u  /* bytes that are programmed at once: power may fail between any two */

static int32_t open_file(uint32_t mode) {
    static const char name[] = BOARD_STORAGE_FILE;
    const uint32_t block[3] = {(uint32_t)(uintptr_t)name, mode, sizeof name - 1u};

    return semihosting(OPEN, block);
}

static void close_file(int32_t file) {
    const uint32_t block[1] = {(uint32_t)file};

    (void)semihosting(CLOSE, block);
}

static int seek(int32_t file, uint32_t offset) {
    const uint32_t block[2] = {(uint32_t)file, offset};

    return semihosting(SEEK, block) == 0;
}

/* Both return how many bytes are missing. */
static uint32_t transfer(uint32_t operation, int32_t file, const uint8_t *bytes, uint32_t count) {
    const uint32_t block[3] = {(uint32_t)file, (uint32_t)(uintptr_t)bytes, count};
    const int32_t missing = semihosting(operation, block);

    return missing < 0 || (uint32_t)missing > count ? count : (uint32_t)missing;
}

void board_storage_read(uint32_t page, uint8_t *bytes, uint32_t count) {
    const int32_t file = open_file(UPDATE);
    uint32_t missing = count;

    if (file >= 0) {
        if (seek(file, page * BOARD_STORAGE_PAGE)) {
            missing = transfer(READ, file, bytes, count);
        }
        close_file(file);
    }
    memset(bytes + (count - missing), 0xFF, missing);
}

/* Writes `count` bytes from the page's beginning on: of `bytes`, or the erased state where that is NULL. */
static int put(int32_t file, uint32_t page, const uint8_t *bytes, uint32_t count) {
    uint8_t erased[BLOCK];
    uint32_t at;

    memset(erased, 0xFF, sizeof erased);
    if (!seek(file, page * BOARD_STORAGE_PAGE)) {
        return 0;
    }
    for (at = 0; at < count; at += BLOCK) {
        const uint32_t rest = count - at;

        if (transfer(WRITE, file, bytes ? bytes + at : erased, rest < BLOCK ? rest : BLOCK) != 0) {
            return 0;
        }
    }
    return 1;
}

int board_storage_write(uint32_t page, const uint8_t *bytes, uint32_t count) {
    int32_t file = open_file(UPDATE);
    int done;

    if (file < 0) {
        file = open_file(CREATE);
    }
    if (file < 0) {
        return 0;
    }
    done = put(file, page, NULL, BOARD_STORAGE_PAGE) && put(file, page, bytes, count);
    close_file(file);
    return done;
}
