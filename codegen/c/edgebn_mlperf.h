/* The device's end of MLPerf Tiny's serial protocol, so that the benchmark's own host runner can drive a network.
 *
 * The host sends words and a '%', 80 bytes at most; the device answers lines that end in "\r\n", "m-ready" last.
 *
 *     name                 m-name-dut-[DEVICE]
 *     profile              m-profile-[FIRMWARE], m-model-[MODEL]
 *     timestamp            m-lap-us-MICROSECONDS
 *     help                 what there is
 *     db load N            m-[Expecting N bytes]; then
 *     db HEX               bytes of the input, two digits each; m-load-done with the last one
 *     db print [N [O]]     m-buffer-HH-HH-... of N bytes (all) from byte O (0) on of what was loaded, eight bytes a line
 *     infer [N [W]]        W inferences to warm up (10), then N (1) between two timestamps, then the results
 *     results              m-results-[0.123,0.456,...]
 *
 * In energy mode, where the model has a timing pin, timestamps are said by the pin and not in words.
 *
 * What cannot be done is answered e-[REASON]. No memory of its own but struct edgebn_mlperf, no libc but memset.
 */
#ifndef EDGEBN_MLPERF_H
#define EDGEBN_MLPERF_H

#include <stdint.h>

#define EDGEBN_MLPERF_COMMAND 80u /* longest command, without its '%' */

/* What the protocol serves; all pointers outlive it. */
struct edgebn_mlperf_model {
    const char *device;
    const char *model; /* the benchmark's name for the network: kws01, vww01, ic01, ad01 */
    uint8_t *db;       /* where the host's bytes go */
    uint32_t db_bytes; /* how many of them make one input */
    uint8_t db_mask;   /* every byte is stored exclusive-or this: 0x80 makes int8 codes of pixels */
    void (*load)(void); /* makes the network's input of them; NULL where they are the input */
    void (*run)(void);  /* must leave the input as it is */
    uint32_t result_count;
    float (*result)(uint32_t index);
    uint64_t (*ticks)(void); /* never goes back; asked at least once an inference */
    uint32_t ticks_per_second;
    void (*put)(uint8_t byte);
    void (*pin_low)(void); /* energy mode: the timing pin; both NULL where there is none */
    void (*pin_high)(void);
};

struct edgebn_mlperf {
    const struct edgebn_mlperf_model *model;
    char command[EDGEBN_MLPERF_COMMAND + 1u];
    uint32_t length; /* of the command so far; more than EDGEBN_MLPERF_COMMAND: too long */
    uint32_t expected; /* bytes, as `db load` said */
    uint32_t loaded;
    uint8_t has_results;
};

/* Takes the model and says that it is ready. */
void edgebn_mlperf_init(struct edgebn_mlperf *mlperf, const struct edgebn_mlperf_model *model);

/* Takes one byte from the line; answers if it completes a command. */
void edgebn_mlperf_receive(struct edgebn_mlperf *mlperf, uint8_t byte);

#endif
