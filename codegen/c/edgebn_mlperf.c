#include "edgebn_mlperf.h"

#include <stddef.h>
#include <string.h>

#define END_OF_COMMAND '%'
#define FIRMWARE "ULPMark for tinyML Firmware V0.0.1" /* the host's runner looks for it */
#define WARM_UP 10u /* inferences, where the host does not say */
#define MAX_NUMBER UINT32_MAX
#define BYTES_A_LINE 8u

/* ---- saying things ---- */

static void say(const struct edgebn_mlperf *mlperf, const char *text) {
    while (*text != '\0') {
        mlperf->model->put((uint8_t)*text++);
    }
}

static void say_number(const struct edgebn_mlperf *mlperf, uint64_t value) {
    char digits[21];
    char *first = digits + sizeof digits - 1;

    *first = '\0';
    do {
        *--first = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    say(mlperf, first);
}

/* Says a number between two texts. */
static void say_line(const struct edgebn_mlperf *mlperf, const char *before, uint64_t value, const char *after) {
    say(mlperf, before);
    say_number(mlperf, value);
    say(mlperf, after);
    say(mlperf, "\r\n");
}

/* Says a real number with three decimals. */
static void say_real(const struct edgebn_mlperf *mlperf, float value) {
    const float largest = 4294967040.0f; /* below 2^32 */
    uint32_t whole;
    uint32_t thousandths;

    if (value < 0.0f) {
        say(mlperf, "-");
        value = -value;
    }
    if (!(value <= largest)) {
        say(mlperf, value > largest ? "inf" : "nan");
        return;
    }
    whole = (uint32_t)value;
    thousandths = (uint32_t)((value - (float)whole) * 1000.0f + 0.5f);
    whole += thousandths / 1000u;
    say_number(mlperf, whole);
    mlperf->model->put('.');
    mlperf->model->put((uint8_t)('0' + thousandths / 100u % 10u));
    mlperf->model->put((uint8_t)('0' + thousandths / 10u % 10u));
    mlperf->model->put((uint8_t)('0' + thousandths % 10u));
}

/* Holds the timing pin low for a microsecond at least. */
static void mark_timestamp(const struct edgebn_mlperf_model *model) {
    const uint64_t least = model->ticks_per_second / 1000000u + 1u;
    uint64_t start;

    model->pin_low();
    start = model->ticks();
    while (model->ticks() - start < least) {
    }
    model->pin_high();
}

static void say_timestamp(const struct edgebn_mlperf *mlperf) {
    const uint64_t ticks = mlperf->model->ticks();
    const uint64_t hertz = mlperf->model->ticks_per_second;

    if (mlperf->model->pin_low != NULL) {
        mark_timestamp(mlperf->model);
        return;
    }
    say_line(mlperf, "m-lap-us-", ticks / hertz * 1000000u + ticks % hertz * 1000000u / hertz, "");
}

/* ---- reading words ---- */

/* Cuts the next word off `rest`; NULL where there is none. */
static char *next_word(char **rest) {
    char *word = *rest;
    char *end;

    while (*word == ' ') {
        word++;
    }
    end = word;
    while (*end != ' ' && *end != '\0') {
        end++;
    }
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return *word == '\0' ? NULL : word;
}

static int is_word(const char *word, const char *known) {
    while (*known != '\0' && *word == *known) {
        word++;
        known++;
    }
    return *known == '\0' && *word == '\0';
}

/* Reads a whole number up to MAX_NUMBER; returns 0 if the word is none. */
static int read_number(const char *word, uint32_t *number) {
    uint32_t value = 0;

    for (; *word != '\0'; word++) {
        const uint32_t digit = (uint32_t)(uint8_t)*word - (uint32_t)'0';
        if (digit > 9u || value > (MAX_NUMBER - digit) / 10u) {
            return 0;
        }
        value = value * 10u + digit;
    }
    *number = value;
    return 1;
}

/* Returns the value of a hexadecimal digit, 16 for anything else. */
static uint8_t hex_value(char digit) {
    if (digit >= '0' && digit <= '9') {
        return (uint8_t)(digit - '0');
    }
    if (digit >= 'a' && digit <= 'f') {
        return (uint8_t)(digit - 'a' + 10);
    }
    return (uint8_t)(digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : 16);
}

/* ---- the input ---- */

static void load(struct edgebn_mlperf *mlperf, const char *word) {
    uint32_t count;

    if (word == NULL) {
        say(mlperf, "e-[Command 'db load' requires the # of bytes]\r\n");
    } else if (!read_number(word, &count) || count == 0) {
        say(mlperf, "e-[Command 'db load' must be >0 bytes]\r\n");
    } else if (count > mlperf->model->db_bytes) {
        say_line(mlperf, "e-[Supplied buffer size exceeds maximum of ", mlperf->model->db_bytes, "]");
    } else {
        mlperf->expected = count;
        mlperf->loaded = 0;
        mlperf->has_results = 0; /* they may be a function of the input */
        say_line(mlperf, "m-[Expecting ", count, " bytes]");
    }
}

static void load_bytes(struct edgebn_mlperf *mlperf, const char *digits) {
    uint32_t count = 0;

    while (digits[count] != '\0') {
        if (hex_value(digits[count]) > 15u) {
            say(mlperf, "e-[Invalid hex digits]\r\n");
            return;
        }
        count++;
    }
    if ((count & 1u) != 0) {
        say(mlperf, "e-[Insufficient number of hex digits]\r\n");
    } else if (mlperf->loaded == mlperf->expected) {
        say(mlperf, "e-[Bytes without 'db load']\r\n");
    } else {
        for (; count != 0 && mlperf->loaded < mlperf->expected; count -= 2u) {
            const uint32_t byte = (uint32_t)hex_value(digits[0]) << 4 | hex_value(digits[1]);

            mlperf->model->db[mlperf->loaded++] = (uint8_t)(byte ^ mlperf->model->db_mask);
            digits += 2;
        }
        if (mlperf->loaded == mlperf->expected) {
            say(mlperf, "m-load-done\r\n"); /* digits beyond the last byte are disregarded */
        }
    }
}

static void print_bytes(const struct edgebn_mlperf *mlperf, char *rest) {
    static const char digits[] = "0123456789abcdef";
    const char *word = next_word(&rest);
    uint32_t count = mlperf->loaded;
    uint32_t first = 0;
    uint32_t i;

    if (word != NULL && (!read_number(word, &count) || count == 0)) {
        say(mlperf, "e-[Command 'db print' must be >0 bytes]\r\n");
        return;
    }
    word = next_word(&rest);
    if (word != NULL && !read_number(word, &first)) {
        say(mlperf, "e-[Command 'db print' offset must be >=0]\r\n");
        return;
    }
    if (first > mlperf->loaded || count > mlperf->loaded - first) {
        say_line(mlperf, "e-[Command 'db print' exceeds the bytes that were loaded: ", mlperf->loaded, "]");
        return;
    }
    for (i = 0; i < count; i++) {
        const uint32_t byte = (uint32_t)mlperf->model->db[first + i] ^ mlperf->model->db_mask;

        say(mlperf, i % BYTES_A_LINE == 0 ? "m-buffer-" : "-");
        mlperf->model->put((uint8_t)digits[byte >> 4]);
        mlperf->model->put((uint8_t)digits[byte & 15u]);
        if (i % BYTES_A_LINE == BYTES_A_LINE - 1u || i + 1u == count) {
            say(mlperf, "\r\n");
        }
    }
}

static void answer_db(struct edgebn_mlperf *mlperf, char *rest) {
    const char *word = next_word(&rest);

    if (word == NULL) {
        say(mlperf, "e-[Command 'db' requires a subcommand]\r\n");
    } else if (is_word(word, "load")) {
        load(mlperf, next_word(&rest));
    } else if (is_word(word, "print")) {
        print_bytes(mlperf, rest);
    } else {
        load_bytes(mlperf, word);
    }
}

/* ---- inference ---- */

static void say_results(const struct edgebn_mlperf *mlperf) {
    uint32_t i;

    if (!mlperf->has_results) {
        say(mlperf, "e-[No inference yet]\r\n");
        return;
    }
    say(mlperf, "m-results-[");
    for (i = 0; i < mlperf->model->result_count; i++) {
        say(mlperf, i == 0 ? "" : ",");
        say_real(mlperf, mlperf->model->result(i));
    }
    say(mlperf, "]\r\n");
}

static void run(const struct edgebn_mlperf *mlperf, uint32_t count) {
    for (; count != 0; count--) {
        mlperf->model->run();
        (void)mlperf->model->ticks(); /* a counter of 32 bits wraps once in a while: it is looked at often enough */
    }
}

static void infer(struct edgebn_mlperf *mlperf, uint32_t count, uint32_t warm_up) {
    if (mlperf->loaded != mlperf->model->db_bytes) {
        say_line(mlperf, "e-[Input db must have bytes: ", mlperf->model->db_bytes, "]");
        return;
    }
    if (mlperf->model->load != NULL) {
        mlperf->model->load();
    }
    say_line(mlperf, "m-warmup-start-", warm_up, "");
    run(mlperf, warm_up);
    say(mlperf, "m-warmup-done\r\n");
    say_line(mlperf, "m-infer-start-", count, "");
    say_timestamp(mlperf);
    run(mlperf, count);
    say_timestamp(mlperf);
    say(mlperf, "m-infer-done\r\n");
    mlperf->has_results = 1;
    say_results(mlperf);
}

static void answer_infer(struct edgebn_mlperf *mlperf, char *rest) {
    const char *word = next_word(&rest);
    uint32_t count = 1;
    uint32_t warm_up = WARM_UP;

    if (word != NULL && (!read_number(word, &count) || count == 0)) {
        say(mlperf, "e-[Inference iterations must be >0]\r\n");
        return;
    }
    word = next_word(&rest);
    if (word != NULL && !read_number(word, &warm_up)) {
        say(mlperf, "e-[Inference warmup must be >=0]\r\n");
        return;
    }
    infer(mlperf, count, warm_up);
}

/* ---- commands ---- */

static void say_between(const struct edgebn_mlperf *mlperf, const char *before, const char *text) {
    say(mlperf, before);
    say(mlperf, text);
    say(mlperf, "]\r\n");
}

static void say_help(const struct edgebn_mlperf *mlperf) {
    say(mlperf, FIRMWARE "\r\n\r\n"
                "help         : Print this information\r\n"
                "name         : Print the name of the device\r\n"
                "profile      : Print the profile and the model\r\n"
                "timestamp    : Print the time in microseconds\r\n"
                "db load N    : Expect N bytes of input\r\n"
                "db HH[HH]*   : Load bytes as hexadecimal digits\r\n"
                "db print [N [O]] : Print N bytes that were loaded, from byte O on\r\n"
                "infer N [W]  : Run N inferences after W to warm up\r\n"
                "results      : Print the results of the last inference\r\n");
}

static void answer(struct edgebn_mlperf *mlperf) {
    char *rest = mlperf->command;
    const char *word = next_word(&rest);

    if (word == NULL) {
        return;
    }
    if (is_word(word, "name")) {
        say_between(mlperf, "m-name-dut-[", mlperf->model->device);
    } else if (is_word(word, "profile")) {
        say_between(mlperf, "m-profile-[", FIRMWARE);
        say_between(mlperf, "m-model-[", mlperf->model->model);
    } else if (is_word(word, "timestamp")) {
        say_timestamp(mlperf);
    } else if (is_word(word, "help")) {
        say_help(mlperf);
    } else if (is_word(word, "db")) {
        answer_db(mlperf, rest);
    } else if (is_word(word, "infer")) {
        answer_infer(mlperf, rest);
    } else if (is_word(word, "results")) {
        say_results(mlperf);
    } else {
        say_between(mlperf, "e-[Unknown command: ", word);
    }
}

void edgebn_mlperf_receive(struct edgebn_mlperf *mlperf, uint8_t byte) {
    if (byte == END_OF_COMMAND) {
        if (mlperf->length > EDGEBN_MLPERF_COMMAND) {
            say(mlperf, "e-[Command too long]\r\n");
        } else {
            mlperf->command[mlperf->length] = '\0';
            answer(mlperf);
        }
        mlperf->length = 0;
        say(mlperf, "m-ready\r\n");
    } else if (byte == '\r' || byte == '\n' || byte == '\0') {
        /* what a person's terminal adds, or a line that is being opened */
    } else if (mlperf->length < EDGEBN_MLPERF_COMMAND) {
        mlperf->command[mlperf->length++] = (char)byte;
    } else {
        mlperf->length = EDGEBN_MLPERF_COMMAND + 1u;
    }
}

void edgebn_mlperf_init(struct edgebn_mlperf *mlperf, const struct edgebn_mlperf_model *model) {
    (void)memset(mlperf, 0, sizeof *mlperf);
    mlperf->model = model;
    if (model->pin_high != NULL) {
        model->pin_high();
    }
    say(mlperf, model->pin_low != NULL ? "m-timestamp-mode-energy\r\n" : "m-timestamp-mode-performance\r\n");
    say_timestamp(mlperf);
    say(mlperf, "m-init-done\r\n");
    say(mlperf, "m-ready\r\n");
}
