/* Adaptation of batch norms on the device: sums of an inference in, new epilogues out. Knows no layer's kernel and no network.

   The rule is edgebn/adapt/policies/compensated.py under rule.py and guards.py, the refold edgebn/reference/refold.py: every line
   one float32 operation in the order written there, 64-bit integers behind it, so that the bytes are Python's on every core.
   edgebn_adapt.c forbids GCC and Clang to fuse products and sums, which would round once where the rule rounds twice; tell other
   compilers (-ffp-contract=off).
   The generator has checked that no number can leave its range: no layer is ever refused here, and nothing becomes infinite.

   No heap, no recursion, no libc but memcpy and memset. Little-endian cores. */
#ifndef EDGEBN_ADAPT_H
#define EDGEBN_ADAPT_H

#include <stdint.h>

#define EDGEBN_ADAPT_HEADER 32u   /* bytes of a saved state before its numbers: docs/state-format.md */
#define EDGEBN_ADAPT_CHECKSUM 4u  /* and behind them */
#define EDGEBN_ADAPT_MODEL 16u    /* bytes of the model's hash in it */
#define EDGEBN_ADAPT_WORDS 5      /* of a channel's epilogue: see edgebn_requantize_s8.h */

enum edgebn_adapt_policy { EDGEBN_ADAPT_COMPENSATED = 1, EDGEBN_ADAPT_COMPENSATED_TRACKING = 2 };

enum edgebn_adapt_outcome {
    EDGEBN_ADAPT_NOTHING = 0, /* frozen, or no inference was observed since the last call */
    EDGEBN_ADAPT_LEARNED = 1,
    EDGEBN_ADAPT_RETURNED = 2 /* the watchdog went back to the factory state */
};

/* One adapted layer; its channels follow those of the layers before it. */
struct edgebn_adapt_layer {
    int32_t channels;
    float positions;        /* output positions that it observes in an inference */
    float noise;            /* of one source sample */
    float first_scale;      /* of the source tables */
    float second_scale;
    const int32_t *source;  /* (channels, 5) epilogue */
    int32_t *adapted;       /* (channels, 5), what the kernels read */
    int32_t zero_point;     /* inside r unless `wide` */
    uint8_t wide;           /* the epilogue holds s, not s - 32 */
    uint8_t rounds_twice;   /* negative sums round twice */
};

/* Constants of a model. All arrays run over the channels of all layers. */
struct edgebn_adapt_model {
    const struct edgebn_adapt_layer *layers;
    int32_t layer_count;
    int32_t channels;
    int32_t classes;
    const int32_t *centers;
    const uint8_t *shifts;
    const float *sigmas;        /* 0: the channel stays as it is */
    const float *sources;
    const int8_t *first_table;  /* (classes + 1, channels), the last row for the source itself */
    const int8_t *second_table;
    float margin;               /* of source samples */
    float strength;
    float drift_bound;
    float logit_scale;
    int32_t logit_zero;
    uint8_t policy;             /* enum edgebn_adapt_policy */
    uint8_t hash[EDGEBN_ADAPT_MODEL];
};

/* What changes. The arrays are the caller's. */
struct edgebn_adapt {
    const struct edgebn_adapt_model *model;
    int32_t *first;        /* (channels) sums of an inference; afterwards used as memory of the rule's own */
    uint64_t *second;
    float *numbers;        /* (planes, channels), then the count of samples: the state */
    float *shares;         /* (classes) how often each was predicted lately */
    int32_t label;
    float margin;
    uint8_t observing;     /* whether inferences gather sums */
    uint8_t frozen;
    uint8_t observed;      /* sums are there that have not been learned from */
    int32_t pinned;        /* inferences in a row with a sign of trouble, and all since the last return */
    int32_t energetic;
    int32_t age;
    uint32_t returns;      /* to the factory state, by the watchdog */
    float openness;        /* of the gate, 0..1, at the last update */
    float level;           /* of the evidence, in units of one sample's noise */
};

/* Whether inferences gather sums: not while frozen, when nobody would learn from them. */
static inline int edgebn_adapt_observes(const struct edgebn_adapt *adapt) { return adapt->observing && !adapt->frozen; }

/* Factory state, with observation on. */
void edgebn_adapt_init(struct edgebn_adapt *adapt);

/* Clears the sums before an inference, where it is observed. */
void edgebn_adapt_begin(struct edgebn_adapt *adapt);

/* Reads the prediction from the logits' codes: call it as soon as they are made. */
void edgebn_adapt_predict(struct edgebn_adapt *adapt, const int8_t *logits);

/* Learns from the last inference and folds new epilogues: call it between inferences. */
enum edgebn_adapt_outcome edgebn_adapt_learn(struct edgebn_adapt *adapt);

/* Back to the factory state, bit for bit. */
void edgebn_adapt_reset(struct edgebn_adapt *adapt);

/* Bytes of a saved state. */
uint32_t edgebn_adapt_state_bytes(const struct edgebn_adapt_model *model);

/* Writes the saved state's bytes; `sequence` is that of the write, 0 where it is none to flash. */
void edgebn_adapt_get(const struct edgebn_adapt *adapt, uint32_t sequence, uint8_t *bytes);

/* Whether `bytes` are an undamaged state of this model and policy, all numbers finite. */
int edgebn_adapt_is_good(const struct edgebn_adapt_model *model, const uint8_t *bytes, uint32_t count);

/* Takes a saved state; 0, and nothing changed, if it is not good. */
int edgebn_adapt_set(struct edgebn_adapt *adapt, const uint8_t *bytes, uint32_t count);

/* ---- two slots of flash (docs/state-format.md) ---- */

/* Flash as the user supplies it. A slot is `slot_pages` whole pages, slot 1 behind slot 0. */
struct edgebn_adapt_flash {
    uint32_t page_bytes;
    uint32_t slot_pages;
    void (*read)(uint32_t page, uint8_t *bytes, uint32_t count);
    int (*write)(uint32_t page, const uint8_t *bytes, uint32_t count); /* erases, then programs in rising order; 0 if it failed */
};

/* Loads the state that counts; 0 if there is none, and the state stays as it is. `buffer`: memory for a saved state. */
int edgebn_adapt_load(struct edgebn_adapt *adapt, const struct edgebn_adapt_flash *flash, uint8_t *buffer);

/* Returns the number of the save that counts, 0 if there is none. */
uint32_t edgebn_adapt_saved(const struct edgebn_adapt *adapt, const struct edgebn_adapt_flash *flash, uint8_t *buffer);

/* Saves the state into the slot that does not count; 0 if the flash refused or the slot is too small. */
int edgebn_adapt_save(const struct edgebn_adapt *adapt, const struct edgebn_adapt_flash *flash, uint8_t *buffer);

#endif
