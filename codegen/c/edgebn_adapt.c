/* See edgebn_adapt.h. */
#include "edgebn_adapt.h"

#include <string.h>

#include "edgebn_adapt_f32.h"
#include "edgebn_crc.h"

/* States are shared with Python and other devices as they lie in memory. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "adaptation is for little-endian cores"
#endif

/* Two models of one program bring this file along twice: the linker takes either. */
#if defined(__GNUC__) && defined(__ELF__)
#define EDGEBN_ONCE __attribute__((weak))
#else
#define EDGEBN_ONCE
#endif

#define MIN_VARIANCE 0.01f
#define MAX_SCALE 2.0f
#define MIN_DIVISOR 0.2f
#define PRIOR_COUNT 16.0f
#define MAX_COUNT 4096.0f
#define FAST_RATE 0.1f
#define MAX_CHANGE 0.4f
#define SETTLING 5.0f
#define GATE_FLOOR 0.015f
#define GATE_RATE 1.2f
#define MIN_RATIO 0.01f
#define MAX_RATIO 100.0f

/* the watchdog's */
#define PATIENCE 100
#define MAX_PINNED 0.25f
#define MAX_ENERGY 30.0f
#define SHARE_RATE (1.0f / 256.0f)
#define MAX_SHARE 0.98f
#define SHARES_SETTLE 1000

/* the refold's */
#define GAIN_BITS 20
#define DRIFT_BITS 4
#define MAX_SHIFT_LOSS 4
#define HALF_NEGATIVE_ROUNDING ((int64_t)1 << 30)

/* ---- memory ---- */

static int is_tracking(const struct edgebn_adapt_model *model) { return model->policy == EDGEBN_ADAPT_COMPENSATED_TRACKING; }

static int32_t numbers_of(const struct edgebn_adapt_model *model) { return (is_tracking(model) ? 4 : 2) * model->channels + 1; }

static float *count_of(const struct edgebn_adapt *adapt) { return adapt->numbers + numbers_of(adapt->model) - 1; }

/* A channel's two sums, read, are the rule's own memory: residuals while it learns, logarithms while it folds. */
static void keep(void *place, float value) { (void)memcpy(place, &value, sizeof value); }

static float kept(const void *place) {
    float value;
    (void)memcpy(&value, place, sizeof value);
    return value;
}

/* ---- learning ---- */

/* What one inference says about the class that it is taken for. */
struct prediction {
    float certainty;
    float away; /* how much of the source samples' own offset counts */
    const int8_t *first;
    const int8_t *second;
};

static float variance(float first, float second) {
    return edgebn_greater_f32((1.0f + second) - first * first, MIN_VARIANCE);
}

static float rate_of(const struct edgebn_adapt *adapt) {
    const float least = is_tracking(adapt->model) ? 0.0035f : 0.01f;
    return edgebn_greater_f32(1.0f / (PRIOR_COUNT + *count_of(adapt)), least);
}

/* Deviations of a channel: d1 and d2, 0 for source samples. */
static void deviate(const struct edgebn_adapt *adapt, int32_t c, float share, float *d1, float *d2) {
    const float sigma = adapt->model->sigmas[c];
    *d1 = 0.0f;
    *d2 = 0.0f;
    if (sigma > 0.0f) {
        const float inverse = 1.0f / sigma;
        const float first = inverse * share;
        *d1 = (float)adapt->first[c] * first;
        *d2 = edgebn_from_u64_f32(adapt->second[c]) * (first * inverse) - adapt->model->sources[c];
    }
}

/* Takes the source's and the class's part off a channel; keeps r1 and r2, and returns the variance of the state before. */
static float take_off(struct edgebn_adapt *adapt, int32_t c, const struct edgebn_adapt_layer *layer, float share,
                      const struct prediction *prediction) {
    const struct edgebn_adapt_model *model = adapt->model;
    const int8_t *const source1 = model->first_table + model->classes * model->channels;
    const int8_t *const source2 = model->second_table + model->classes * model->channels;
    const float shift = prediction->away * ((float)source1[c] * layer->first_scale) +
                        prediction->certainty * ((float)prediction->first[c] * layer->first_scale);
    const float widening = prediction->away * ((float)source2[c] * layer->second_scale) +
                           prediction->certainty * ((float)prediction->second[c] * layer->second_scale);
    const float before = variance(adapt->numbers[c], adapt->numbers[model->channels + c]);
    const float expected = edgebn_lesser_f32(edgebn_sqrt_f32(before), MAX_SCALE) * shift;
    float d1, d2, about;
    deviate(adapt, c, share, &d1, &d2);
    about = ((1.0f + d2) - (expected + expected) * d1) + expected * expected;
    keep(&adapt->first[c], d1 - expected);
    keep(&adapt->second[c], about / edgebn_greater_f32(1.0f + widening, MIN_DIVISOR) - 1.0f);
    return before;
}

/* Follows the residuals quickly; returns how far this layer's fast averages are from its slow ones. */
static float follow(struct edgebn_adapt *adapt, int32_t begin, const struct edgebn_adapt_layer *layer, float share,
                    const struct prediction *prediction) {
    const int32_t channels = adapt->model->channels, end = begin + layer->channels;
    float *const fast1 = adapt->numbers + 2 * channels, *const fast2 = adapt->numbers + 3 * channels;
    float gaps = 0.0f, spreads = 0.0f;
    int32_t c;
    for (c = begin; c < end; c++) {
        const float before = take_off(adapt, c, layer, share, prediction);
        if (is_tracking(adapt->model)) {
            float gap, spread;
            fast1[c] += FAST_RATE * (kept(&adapt->first[c]) - fast1[c]);
            fast2[c] += FAST_RATE * (kept(&adapt->second[c]) - fast2[c]);
            gap = fast1[c] - adapt->numbers[c];
            spread = edgebn_ln_f32(variance(fast1[c], fast2[c])) - edgebn_ln_f32(before);
            gaps += gap * gap;
            spreads += spread * spread;
        }
    }
    return gaps / (float)layer->channels + spreads / (float)layer->channels;
}

static void update(struct edgebn_adapt *adapt) {
    const struct edgebn_adapt_model *model = adapt->model;
    float *const count = count_of(adapt);
    struct prediction prediction;
    float change = 0.0f, rate;
    int32_t i, c = 0;
    prediction.certainty = edgebn_lesser_f32(adapt->margin / model->margin, 1.0f);
    prediction.away = (1.0f - model->strength) + model->strength * prediction.certainty;
    prediction.first = model->first_table + adapt->label * model->channels;
    prediction.second = model->second_table + adapt->label * model->channels;
    for (i = 0; i < model->layer_count; i++) {
        const struct edgebn_adapt_layer *layer = &model->layers[i];
        change += follow(adapt, c, layer, 1.0f / layer->positions, &prediction) / layer->noise;
        c += layer->channels;
    }
    if (is_tracking(model) && change / (float)model->layer_count > MAX_CHANGE && *count > SETTLING) {
        *count = 0.0f;
    }
    *count = edgebn_lesser_f32(*count + 1.0f, MAX_COUNT);
    rate = rate_of(adapt);
    for (c = 0; c < model->channels; c++) {
        float *const slow1 = adapt->numbers + c, *const slow2 = slow1 + model->channels;
        *slow1 += rate * (kept(&adapt->first[c]) - *slow1);
        *slow2 += rate * (kept(&adapt->second[c]) - *slow2);
    }
}

/* ---- folding ---- */

/* value / 2**bits rounded half up; bits >= 1. */
static int64_t halved(int64_t value, int bits) { return (value + ((int64_t)1 << (bits - 1))) >> bits; }

static int too_large(int64_t value) { return value > INT32_MAX || value < -INT32_MAX; }

/* New m, r and s of one channel, from its source words. */
static void refold(const struct edgebn_adapt_model *model, const struct edgebn_adapt_layer *layer, int32_t c, const int32_t *source,
                   int32_t *adapted, float drift, float ratio) {
    const int64_t m0 = source[1], center = model->centers[c];
    const int s0 = (int)source[4] + (layer->wide ? 0 : 32);
    const int64_t inside = layer->wide ? 0 : (int64_t)layer->zero_point * ((int64_t)1 << s0);
    const int64_t r0 = (int64_t)(((uint64_t)(uint32_t)source[3] << 32) | (uint32_t)source[2]) - inside;
    const int64_t half_rounding = layer->rounds_twice ? HALF_NEGATIVE_ROUNDING : 0;
    const float unit = edgebn_power_f32(model->shifts[c] + DRIFT_BITS);
    const int64_t delta = (int32_t)((drift * model->sigmas[c]) * unit);
    const int64_t product = m0 * (int32_t)((1.0f / edgebn_sqrt_f32(ratio)) * (float)((int32_t)1 << GAIN_BITS));
    int64_t m, r, at_center = m0 * center + r0 - ((int64_t)1 << (s0 - 1)) - half_rounding;
    int loss = 0, s;
    while (loss < MAX_SHIFT_LOSS && too_large(halved(product, GAIN_BITS + loss))) {
        loss++;
    }
    m = halved(product, GAIN_BITS + loss);
    s = s0 - loss;
    if (loss > 0) {
        at_center = halved(at_center, loss);
    }
    r = at_center + ((int64_t)1 << (s - 1)) + half_rounding - m * center - halved(m * delta, DRIFT_BITS);
    if (!layer->wide) {
        r += (int64_t)layer->zero_point * ((int64_t)1 << s);
    }
    adapted[1] = (int32_t)m;
    adapted[2] = (int32_t)(uint32_t)((uint64_t)r & 0xFFFFFFFFu);
    adapted[3] = (int32_t)(uint32_t)((uint64_t)r >> 32);
    adapted[4] = layer->wide ? s : s - 32;
}

/* The estimate of a channel, within bounds; returns whether a bound held it back. */
static int estimate_channel(const struct edgebn_adapt *adapt, int32_t c, float *drift, float *ratio) {
    const struct edgebn_adapt_model *model = adapt->model;
    const float s1 = adapt->numbers[c], s2 = adapt->numbers[model->channels + c];
    const float wanted = (1.0f + s2) - s1 * s1;
    *drift = edgebn_lesser_f32(edgebn_greater_f32(s1, -model->drift_bound), model->drift_bound);
    *ratio = edgebn_lesser_f32(edgebn_greater_f32(wanted, MIN_RATIO), MAX_RATIO);
    return *drift != s1 || *ratio != wanted;
}

/* What the watchdog wants to know of a fold. */
struct signs {
    int32_t pinned;
    int energetic;
};

/* Computes the gate from all layers; keeps every channel's logarithm. */
static struct signs compute_gate(struct edgebn_adapt *adapt) {
    const struct edgebn_adapt_model *model = adapt->model;
    struct signs signs = {0, 0};
    float level = 0.0f;
    int32_t i, j, c = 0;
    for (i = 0; i < model->layer_count; i++) {
        const struct edgebn_adapt_layer *layer = &model->layers[i];
        float drifts = 0.0f, spreads = 0.0f, energy;
        for (j = 0; j < layer->channels; j++, c++) {
            float drift, ratio, logarithm;
            signs.pinned += estimate_channel(adapt, c, &drift, &ratio);
            logarithm = edgebn_ln_f32(ratio);
            drifts += drift * drift;
            spreads += logarithm * logarithm;
            keep(&adapt->second[c], logarithm);
        }
        energy = drifts / (float)layer->channels + spreads / (float)layer->channels;
        signs.energetic |= energy > MAX_ENERGY;
        level += energy / layer->noise;
    }
    adapt->level = level / (float)model->layer_count;
    adapt->openness = edgebn_greater_f32(adapt->level / (GATE_FLOOR + GATE_RATE * rate_of(adapt)) - 1.0f, 0.0f);
    adapt->openness = edgebn_lesser_f32(adapt->openness, 1.0f);
    return signs;
}

static struct signs fold(struct edgebn_adapt *adapt) {
    const struct edgebn_adapt_model *model = adapt->model;
    const struct signs signs = compute_gate(adapt);
    const float share = model->strength * adapt->openness;
    int32_t i, j, c = 0;
    for (i = 0; i < model->layer_count; i++) {
        const struct edgebn_adapt_layer *layer = &model->layers[i];
        (void)memcpy(layer->adapted, layer->source, (size_t)layer->channels * EDGEBN_ADAPT_WORDS * sizeof *layer->adapted);
        for (j = 0; j < layer->channels && share > 0.0f; j++) {
            float drift, ratio;
            (void)estimate_channel(adapt, c + j, &drift, &ratio);
            drift = share * drift;
            ratio = edgebn_exp_f32(share * kept(&adapt->second[c + j]));
            if (model->sigmas[c + j] > 0.0f && (drift < 0.0f || drift > 0.0f || ratio < 1.0f || ratio > 1.0f)) {
                refold(model, layer, c + j, layer->source + j * EDGEBN_ADAPT_WORDS, layer->adapted + j * EDGEBN_ADAPT_WORDS, drift,
                       ratio);
            }
        }
        c += layer->channels;
    }
    return signs;
}

/* ---- guarding ---- */

static void restart_watch(struct edgebn_adapt *adapt) {
    adapt->pinned = 0;
    adapt->energetic = 0;
    adapt->age = 0;
    (void)memset(adapt->shares, 0, (size_t)adapt->model->classes * sizeof *adapt->shares);
}

static int has_gone_astray(struct edgebn_adapt *adapt, struct signs signs) {
    const int32_t classes = adapt->model->classes;
    adapt->pinned = (float)signs.pinned / (float)adapt->model->channels > MAX_PINNED ? adapt->pinned + 1 : 0;
    adapt->energetic = signs.energetic ? adapt->energetic + 1 : 0;
    adapt->age += adapt->age < INT32_MAX;
    if (adapt->pinned >= PATIENCE || adapt->energetic >= PATIENCE) {
        return 1;
    }
    if (classes > 2) {
        int32_t k;
        for (k = 0; k < classes; k++) {
            adapt->shares[k] -= SHARE_RATE * adapt->shares[k];
        }
        adapt->shares[adapt->label] += SHARE_RATE;
        return adapt->age >= SHARES_SETTLE && adapt->shares[adapt->label] > MAX_SHARE;
    }
    return 0;
}

/* ---- for callers ---- */

EDGEBN_ONCE void edgebn_adapt_init(struct edgebn_adapt *adapt) {
    adapt->observing = 1;
    adapt->frozen = 0;
    adapt->returns = 0;
    edgebn_adapt_reset(adapt);
}

EDGEBN_ONCE void edgebn_adapt_begin(struct edgebn_adapt *adapt) {
    adapt->observed = 0;
    if (edgebn_adapt_observes(adapt)) {
        (void)memset(adapt->first, 0, (size_t)adapt->model->channels * sizeof *adapt->first);
        (void)memset(adapt->second, 0, (size_t)adapt->model->channels * sizeof *adapt->second);
    }
}

EDGEBN_ONCE void edgebn_adapt_predict(struct edgebn_adapt *adapt, const int8_t *logits) {
    const struct edgebn_adapt_model *model = adapt->model;
    int32_t k, second = -1;
    adapt->label = 0;
    for (k = 1; k < model->classes; k++) {
        if (logits[k] > logits[adapt->label]) {
            second = adapt->label;
            adapt->label = k;
        } else if (second < 0 || logits[k] > logits[second]) {
            second = k;
        } else {
            /* neither the best nor the second best */
        }
    }
    adapt->margin = (float)(logits[adapt->label] - model->logit_zero) * model->logit_scale -
                    (float)(logits[second] - model->logit_zero) * model->logit_scale;
    adapt->observed = edgebn_adapt_observes(adapt) != 0;
}

EDGEBN_ONCE enum edgebn_adapt_outcome edgebn_adapt_learn(struct edgebn_adapt *adapt) {
    if (adapt->frozen || !adapt->observed) {
        return EDGEBN_ADAPT_NOTHING;
    }
    adapt->observed = 0;
    update(adapt);
    if (has_gone_astray(adapt, fold(adapt))) {
        adapt->returns++;
        edgebn_adapt_reset(adapt);
        return EDGEBN_ADAPT_RETURNED;
    }
    return EDGEBN_ADAPT_LEARNED;
}

EDGEBN_ONCE void edgebn_adapt_reset(struct edgebn_adapt *adapt) {
    (void)memset(adapt->numbers, 0, (size_t)numbers_of(adapt->model) * sizeof *adapt->numbers);
    adapt->observed = 0;
    restart_watch(adapt);
    (void)fold(adapt);
}

/* ---- saved states ---- */

static void put_u32(uint8_t *bytes, uint32_t value) { (void)memcpy(bytes, &value, sizeof value); }

static uint32_t get_u32(const uint8_t *bytes) {
    uint32_t value;
    (void)memcpy(&value, bytes, sizeof value);
    return value;
}

EDGEBN_ONCE uint32_t edgebn_adapt_state_bytes(const struct edgebn_adapt_model *model) {
    return EDGEBN_ADAPT_HEADER + 4u * (uint32_t)numbers_of(model) + EDGEBN_ADAPT_CHECKSUM;
}

/* The header's bytes but for the sequence number. */
static void put_header(const struct edgebn_adapt_model *model, uint8_t *bytes) {
    static const uint8_t magic[4] = {'E', 'B', 'N', 'S'};

    (void)memcpy(bytes, magic, sizeof magic);
    put_u32(bytes + 4, 1u | (uint32_t)model->policy << 16);
    put_u32(bytes + 8, 0);
    put_u32(bytes + 12, 4u * (uint32_t)numbers_of(model));
    (void)memcpy(bytes + 16, model->hash, EDGEBN_ADAPT_MODEL);
}

EDGEBN_ONCE void edgebn_adapt_get(const struct edgebn_adapt *adapt, uint32_t sequence, uint8_t *bytes) {
    const uint32_t end = edgebn_adapt_state_bytes(adapt->model) - EDGEBN_ADAPT_CHECKSUM;
    put_header(adapt->model, bytes);
    put_u32(bytes + 8, sequence);
    (void)memcpy(bytes + EDGEBN_ADAPT_HEADER, adapt->numbers, (size_t)(end - EDGEBN_ADAPT_HEADER));
    put_u32(bytes + end, edgebn_crc32(0, bytes, end));
}

EDGEBN_ONCE int edgebn_adapt_is_good(const struct edgebn_adapt_model *model, const uint8_t *bytes, uint32_t count) {
    const uint32_t end = edgebn_adapt_state_bytes(model) - EDGEBN_ADAPT_CHECKSUM;
    uint8_t header[EDGEBN_ADAPT_HEADER];
    uint32_t at;
    if (count != end + EDGEBN_ADAPT_CHECKSUM) {
        return 0;
    }
    put_header(model, header);
    (void)memcpy(header + 8, bytes + 8, 4);
    if (memcmp(header, bytes, sizeof header) != 0 || get_u32(bytes + end) != edgebn_crc32(0, bytes, end)) {
        return 0;
    }
    for (at = EDGEBN_ADAPT_HEADER; at < end; at += 4) {
        if ((get_u32(bytes + at) & 0x7F800000u) == 0x7F800000u) {
            return 0; /* infinite, or no number */
        }
    }
    return 1;
}

EDGEBN_ONCE int edgebn_adapt_set(struct edgebn_adapt *adapt, const uint8_t *bytes, uint32_t count) {
    if (!edgebn_adapt_is_good(adapt->model, bytes, count)) {
        return 0;
    }
    (void)memcpy(adapt->numbers, bytes + EDGEBN_ADAPT_HEADER, (size_t)numbers_of(adapt->model) * sizeof *adapt->numbers);
    adapt->observed = 0;
    restart_watch(adapt);
    (void)fold(adapt);
    return 1;
}

/* ---- two slots of flash ---- */

static int read_slot(const struct edgebn_adapt_model *model, const struct edgebn_adapt_flash *flash, uint32_t slot, uint8_t *buffer) {
    const uint32_t bytes = edgebn_adapt_state_bytes(model);
    uint32_t at, page = slot * flash->slot_pages;
    for (at = 0; at < bytes; at += flash->page_bytes, page++) {
        const uint32_t rest = bytes - at;
        flash->read(page, buffer + at, rest < flash->page_bytes ? rest : flash->page_bytes);
    }
    return edgebn_adapt_is_good(model, buffer, bytes);
}

static int fits(const struct edgebn_adapt_model *model, const struct edgebn_adapt_flash *flash) {
    return edgebn_adapt_state_bytes(model) <= flash->page_bytes * flash->slot_pages;
}

/* Returns the slot that counts, or -1; its sequence number goes to `sequence`. `buffer` holds slot 1 afterwards. */
static int newest(const struct edgebn_adapt_model *model, const struct edgebn_adapt_flash *flash, uint8_t *buffer,
                  uint32_t *sequence) {
    int found = -1;
    uint32_t slot;
    *sequence = 0;
    for (slot = 0; slot < 2; slot++) {
        if (read_slot(model, flash, slot, buffer)) {
            const uint32_t number = get_u32(buffer + 8);
            if (found < 0 || number - *sequence < 0x80000000u) {
                found = (int)slot;
                *sequence = number;
            }
        }
    }
    return found;
}

EDGEBN_ONCE int edgebn_adapt_load(struct edgebn_adapt *adapt, const struct edgebn_adapt_flash *flash, uint8_t *buffer) {
    uint32_t sequence;
    const int slot = fits(adapt->model, flash) ? newest(adapt->model, flash, buffer, &sequence) : -1;
    return slot >= 0 && read_slot(adapt->model, flash, (uint32_t)slot, buffer) &&
           edgebn_adapt_set(adapt, buffer, edgebn_adapt_state_bytes(adapt->model));
}

EDGEBN_ONCE uint32_t edgebn_adapt_saved(const struct edgebn_adapt *adapt, const struct edgebn_adapt_flash *flash, uint8_t *buffer) {
    uint32_t sequence;
    return fits(adapt->model, flash) && newest(adapt->model, flash, buffer, &sequence) >= 0 ? sequence : 0;
}

EDGEBN_ONCE int edgebn_adapt_save(const struct edgebn_adapt *adapt, const struct edgebn_adapt_flash *flash, uint8_t *buffer) {
    const uint32_t bytes = edgebn_adapt_state_bytes(adapt->model);
    uint32_t sequence, at, page;
    int slot;
    if (!fits(adapt->model, flash)) {
        return 0;
    }
    slot = newest(adapt->model, flash, buffer, &sequence);
    edgebn_adapt_get(adapt, slot < 0 ? 1 : sequence + 1, buffer);
    page = slot == 0 ? flash->slot_pages : 0;
    for (at = 0; at < bytes; at += flash->page_bytes, page++) {
        const uint32_t rest = bytes - at;
        if (!flash->write(page, buffer + at, rest < flash->page_bytes ? rest : flash->page_bytes)) {
            return 0;
        }
    }
    return 1;
}
