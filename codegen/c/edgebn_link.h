/* The device's end of the serial link: answers requests for information, inference, layer outputs and cycle counts.
 *
 * The host sends one request at a time (frames: edgebn_frame.h) and repeats it unchanged, sequence included, until it has the answer;
 * the device answers a repetition of its last request from memory, without doing the work twice. Frames that are damaged, of another
 * version or too long are dropped in silence.
 *
 *     request    payload                                                       answer
 *     INFO                                                                     struct below
 *     WRITE      offset u32, bytes of the input                                end of the bytes u32
 *     RUN        run u32, CRC-32 of the whole input u32, detail u8,            LAYER and DATA frames as asked for, then
 *                first layer u32, first offset u32                             run u32, ticks u64, CRC-32 of the output u32, layers u32
 *                                                                              (with detail LEARN instead: ticks of learning u32)
 *     READ       run u32, offset u32, count u16                                offset u32, bytes of the output of that run
 *     RESET                                                                    nothing; then the device starts afresh and says BOOT
 *     STATE_GET  offset u32, count u16                                         bytes of all state u32, offset u32, bytes of the state
 *     STATE_PUT  offset u32, bytes                                             end of the bytes u32
 *     STATE_SET  CRC-32 of all that was put u32                                nothing
 *     STATE_KEEP u8: 1 to put the state into the board's storage, 0 to ask    number of the newest state there u32 (0: there is
 *                                                                              none), whether the device started from one u8
 *     STATE_FREEZE u8: 1 to stop learning, 0 to go on; or nothing, to ask      whether it was stopped so u8 (RESET: it goes on)
 *
 *     INFO and BOOT: input bytes u32, output bytes u32, arena bytes u32, ticks a second u32, ticks of asking the clock u32,
 *                    model hash 32 bytes, model name, zero byte, board name, zero byte
 *     LAYER:         layer u32, step u32, bytes of its output u32, ticks u64, CRC-32 of its output u32
 *                    (from the first layer on; layers are counted from 0, the step is the number that edgebn_link_layer was told)
 *     DATA:          layer u32, offset u32, bytes of its output                           (from the first offset on)
 *     ERROR:         code u8, kind of the request u8
 *
 * A run is known by the number that the host gave it: what is read belongs to that run or is refused, and of a network with states a
 * RUN of the same number as the last begins from what the states held before that one, so that it may be repeated. Several inputs (outputs) are
 * one after the other. The state is that of adaptation; without it every STATE request, and a RUN that is to be learned from, is
 * answered NOT_BUILT_IN.
 * No memory of its own: everything is in struct edgebn_link. No recursion, no libc but memcpy and memset.
 */
#ifndef EDGEBN_LINK_H
#define EDGEBN_LINK_H

#include <stdint.h>

#include "edgebn_frame.h"

#define EDGEBN_LINK_HASH 32u
#define EDGEBN_LINK_NAME 63u /* characters of a name that are sent */

enum edgebn_link_kind {
    EDGEBN_LINK_INFO = 0x01,
    EDGEBN_LINK_WRITE = 0x02,
    EDGEBN_LINK_RUN = 0x03,
    EDGEBN_LINK_READ = 0x04,
    EDGEBN_LINK_RESET = 0x05,
    EDGEBN_LINK_STATE_GET = 0x06,
    EDGEBN_LINK_STATE_PUT = 0x07,
    EDGEBN_LINK_STATE_SET = 0x08,
    EDGEBN_LINK_STATE_KEEP = 0x09,
    EDGEBN_LINK_STATE_FREEZE = 0x0A,
    EDGEBN_LINK_ANSWER = 0x80, /* added to the kind of the request */
    EDGEBN_LINK_LAYER = 0xC0,
    EDGEBN_LINK_DATA = 0xC1,
    EDGEBN_LINK_BOOT = 0xC2,
    EDGEBN_LINK_ERROR = 0xFF
};

enum edgebn_link_error {
    EDGEBN_LINK_UNKNOWN_REQUEST = 1,
    EDGEBN_LINK_BAD_PAYLOAD = 2, /* its length or a number in it is out of range */
    EDGEBN_LINK_OTHER_INPUT = 3, /* the input that is here is not the one whose checksum the host sent */
    EDGEBN_LINK_OTHER_RUN = 4,   /* the output that is here is not of the run that the host names */
    EDGEBN_LINK_NOT_BUILT_IN = 5,
    EDGEBN_LINK_STATE_REFUSED = 6, /* what was put is damaged or of another model */
    EDGEBN_LINK_NOT_KEPT = 7       /* the board has no storage, or its storage failed */
};

enum edgebn_link_detail {
    EDGEBN_LINK_OUTPUT = 0,
    EDGEBN_LINK_TICKS = 1,
    EDGEBN_LINK_LAYERS = 2,
    EDGEBN_LINK_LEARN = 3,   /* the output alone, and adaptation learns from the run when it is done */
    EDGEBN_LINK_OBSERVED = 4 /* ticks of layers that gather statistics; nothing is learned from them */
};

/* One input or output: its elements in memory. */
struct edgebn_link_span {
    void *data;
    uint32_t bytes;
};

struct edgebn_link;
struct edgebn_link_request;

/* What adaptation keeps, as bytes that a host can take away and bring back. */
struct edgebn_link_state {
    uint32_t bytes;
    void (*get)(uint32_t offset, uint8_t *bytes, uint32_t count);
    void (*put)(uint32_t offset, const uint8_t *bytes, uint32_t count); /* gathers; nothing uses it yet */
    int (*set)(uint32_t crc); /* takes what was put if its CRC-32 and its model are right; 0 if it is refused */
    void (*watch)(void);      /* before a run that gathers statistics */
    void (*learn)(void);      /* after it, where it is to be learned from */
    void (*unwatch)(void);    /* after it, where not */
    int (*keep)(void);        /* puts the state into the board's storage; 0 if that failed */
    uint32_t (*kept)(void);   /* number of the newest state there, 0 if there is none */
    const uint8_t *started;   /* whether the device started from one */
    void (*freeze)(int frozen); /* stops learning, with the statistics as they stand; 0 goes on. `init` does too */
};

/* What the link serves; all pointers outlive it. */
struct edgebn_link_model {
    const char *name;
    const char *hash; /* 64 hexadecimal digits */
    const char *board;
    const struct edgebn_link_span *inputs;
    const struct edgebn_link_span *outputs;
    uint32_t input_count;
    uint32_t output_count;
    uint32_t arena_bytes;
    uint32_t ticks_per_second;
    void (*init)(void); /* puts the model into its first state */
    void (*run)(void);  /* inputs to outputs; calls edgebn_link_layer after each step if the program is built with EDGEBN_TRACE */
    uint64_t (*ticks)(void);
    void (*put)(uint8_t byte);
    void *states;          /* what the network keeps from run to run */
    void *states_before;   /* as much memory, for what it kept before the last run */
    uint32_t states_bytes; /* 0: it keeps nothing */
};

struct edgebn_link {
    const struct edgebn_link_model *model;
    const struct edgebn_link_state *state; /* NULL without adaptation */
    /* what answers STATE requests; called through here, so that a program without adaptation has no code for it */
    void (*answer_state)(struct edgebn_link *link, const struct edgebn_link_request *request);
    struct edgebn_frame_receiver receiver;
    /* last answer, kept for repetitions of its request */
    uint8_t answer[EDGEBN_FRAME_BYTES];
    uint32_t answer_length; /* 0: there is none */
    uint32_t answered_crc;  /* CRC of the request; it covers the sequence number */
    /* run at hand, and the last one */
    uint32_t run;
    uint8_t has_run;
    uint8_t has_begun; /* whether `run` is the number of a run that the states have seen */
    uint8_t detail;
    uint8_t is_frozen; /* whether the host has stopped learning */
    uint16_t sequence;
    uint32_t first_layer;
    uint32_t first_offset;
    uint32_t layers;
    uint64_t since;
    uint32_t overhead; /* ticks that pass between two readings of the clock */
};

/* Takes the model, puts it into its first state and says BOOT. */
void edgebn_link_init(struct edgebn_link *link, const struct edgebn_link_model *model);

/* The same for a model that adapts; the only way to bring its state. `state` outlives the link. */
void edgebn_link_init_adapting(struct edgebn_link *link, const struct edgebn_link_model *model, const struct edgebn_link_state *state);

/* Takes one byte from the line; answers if it completes a request. */
void edgebn_link_receive(struct edgebn_link *link, uint8_t byte);

/* Reports one step's output; call it from edgebn_trace. Outside a run, or where the host asked for no layers, it does nothing. */
void edgebn_link_layer(struct edgebn_link *link, uint32_t step, const void *data, uint32_t bytes);

#endif
