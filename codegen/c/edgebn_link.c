#include "edgebn_link.h"

#include <stddef.h>
#include <string.h>

/* A request that has arrived undamaged. */
struct edgebn_link_request {
    uint8_t kind;
    uint16_t sequence;
    const uint8_t *payload;
    uint32_t length; /* of the payload */
};

/* ---- inputs and outputs: spans of memory, one after the other ---- */

static uint32_t total(const struct edgebn_link_span *spans, uint32_t count) {
    uint32_t bytes = 0;
    uint32_t i;

    for (i = 0; i < count; i++) {
        bytes += spans[i].bytes;
    }
    return bytes;
}

static uint32_t input_bytes(const struct edgebn_link_model *model) {
    return total(model->inputs, model->input_count);
}

static uint32_t output_bytes(const struct edgebn_link_model *model) {
    return total(model->outputs, model->output_count);
}

static uint32_t checksum(const struct edgebn_link_span *spans, uint32_t count) {
    uint32_t crc = 0;
    uint32_t i;

    for (i = 0; i < count; i++) {
        crc = edgebn_frame_crc(crc, spans[i].data, spans[i].bytes);
    }
    return crc;
}

/* Takes the longest piece of `offset .. offset + count` that lies in one span; returns its bytes. */
static uint32_t piece(const struct edgebn_link_span *spans, uint32_t offset, uint32_t count, uint8_t **place) {
    uint32_t room;

    while (offset >= spans->bytes) {
        offset -= spans->bytes;
        spans++;
    }
    *place = (uint8_t *)spans->data + offset;
    room = spans->bytes - offset;
    return count < room ? count : room;
}

static void write_spans(const struct edgebn_link_span *spans, uint32_t offset, const uint8_t *bytes, uint32_t count) {
    while (count != 0) {
        uint8_t *place;
        const uint32_t part = piece(spans, offset, count, &place);

        (void)memcpy(place, bytes, (size_t)part);
        bytes += part;
        offset += part;
        count -= part;
    }
}

static void read_spans(const struct edgebn_link_span *spans, uint32_t offset, uint8_t *bytes, uint32_t count) {
    while (count != 0) {
        uint8_t *place;
        const uint32_t part = piece(spans, offset, count, &place);

        (void)memcpy(bytes, place, (size_t)part);
        bytes += part;
        offset += part;
        count -= part;
    }
}

/* Whether `offset .. offset + count` lies within `bytes`, whatever the numbers. */
static int is_within(uint32_t offset, uint32_t count, uint32_t bytes) {
    return offset <= bytes && count <= bytes - offset;
}

/* ---- answers ---- */

/* Where the payload of the next frame goes. */
static uint8_t *payload_of(struct edgebn_link *link) {
    return link->answer + EDGEBN_FRAME_HEADER;
}

/* Completes the frame whose payload is in place, and sends it. */
static void send_frame(struct edgebn_link *link, uint32_t kind, uint16_t sequence, uint32_t payload) {
    link->answer_length = edgebn_frame_close(link->answer, (uint8_t)kind, sequence, payload);
    edgebn_frame_send(link->answer, link->answer_length, link->model->put);
}

static void send_answer(struct edgebn_link *link, const struct edgebn_link_request *request, uint32_t payload) {
    send_frame(link, request->kind | EDGEBN_LINK_ANSWER, request->sequence, payload);
}

static void send_error(struct edgebn_link *link, const struct edgebn_link_request *request, enum edgebn_link_error code) {
    payload_of(link)[0] = (uint8_t)code;
    payload_of(link)[1] = request->kind;
    send_frame(link, EDGEBN_LINK_ERROR, request->sequence, 2);
}

/* ---- information ---- */

static uint8_t digit(char character) {
    if (character >= '0' && character <= '9') {
        return (uint8_t)(character - '0');
    }
    return (uint8_t)(character >= 'a' && character <= 'f' ? character - 'a' + 10 : 0);
}

/* Writes a name and its zero byte; returns how many bytes that were. */
static uint32_t put_name(uint8_t *target, const char *name) {
    uint32_t length = 0;

    while (length < EDGEBN_LINK_NAME && name[length] != '\0') {
        target[length] = (uint8_t)name[length];
        length++;
    }
    target[length] = 0;
    return length + 1u;
}

static uint32_t put_info(struct edgebn_link *link) {
    const struct edgebn_link_model *model = link->model;
    uint8_t *payload = payload_of(link);
    uint32_t length = 20;
    uint32_t i;

    edgebn_frame_put_u32(payload, input_bytes(model));
    edgebn_frame_put_u32(payload + 4, output_bytes(model));
    edgebn_frame_put_u32(payload + 8, model->arena_bytes);
    edgebn_frame_put_u32(payload + 12, model->ticks_per_second);
    edgebn_frame_put_u32(payload + 16, link->overhead);
    for (i = 0; i < EDGEBN_LINK_HASH; i++) {
        payload[length++] = (uint8_t)(digit(model->hash[2u * i]) << 4 | digit(model->hash[2u * i + 1u]));
    }
    length += put_name(payload + length, model->name);
    length += put_name(payload + length, model->board);
    return length;
}

static void answer_info(struct edgebn_link *link, const struct edgebn_link_request *request) {
    send_answer(link, request, put_info(link));
}

/* ---- inference ---- */

static void answer_write(struct edgebn_link *link, const struct edgebn_link_request *request) {
    const uint32_t offset = request->length >= 4u ? edgebn_frame_get_u32(request->payload) : 0;
    const uint32_t count = request->length - 4u;

    if (request->length < 4u || !is_within(offset, count, input_bytes(link->model))) {
        send_error(link, request, EDGEBN_LINK_BAD_PAYLOAD);
        return;
    }
    write_spans(link->model->inputs, offset, request->payload + 4, count);
    edgebn_frame_put_u32(payload_of(link), offset + count);
    send_answer(link, request, 4);
}

/* Ticks since an earlier reading, without those of asking. */
static uint64_t ticks_since(const struct edgebn_link *link, uint64_t since) {
    const uint64_t passed = link->model->ticks() - since;

    return passed > link->overhead ? passed - link->overhead : 0;
}

/* Makes a run that the host asks for again, to hear what it has missed, the same run and not the next one of a sequence. */
static void hold_states(struct edgebn_link *link, uint32_t run) {
    const struct edgebn_link_model *model = link->model;

    if (model->states_bytes != 0) {
        const int again = link->has_begun && link->run == run;
        void *target = again ? model->states : model->states_before;

        (void)memcpy(target, again ? model->states_before : model->states, (size_t)model->states_bytes);
    }
    link->has_begun = 1;
}

static void answer_run(struct edgebn_link *link, const struct edgebn_link_request *request) {
    const struct edgebn_link_model *model = link->model;
    const uint8_t *payload = request->payload;
    uint64_t start;
    uint64_t passed;
    int learns, watches;

    if (request->length != 17u || payload[8] > EDGEBN_LINK_OBSERVED) {
        send_error(link, request, EDGEBN_LINK_BAD_PAYLOAD);
        return;
    }
    learns = payload[8] == EDGEBN_LINK_LEARN;
    watches = learns || payload[8] == EDGEBN_LINK_OBSERVED;
    if (watches && link->state == NULL) {
        send_error(link, request, EDGEBN_LINK_NOT_BUILT_IN);
        return;
    }
    if (checksum(model->inputs, model->input_count) != edgebn_frame_get_u32(payload + 4)) {
        send_error(link, request, EDGEBN_LINK_OTHER_INPUT);
        return;
    }
    hold_states(link, edgebn_frame_get_u32(payload));
    link->run = edgebn_frame_get_u32(payload);
    link->detail = payload[8];
    link->first_layer = edgebn_frame_get_u32(payload + 9);
    link->first_offset = edgebn_frame_get_u32(payload + 13);
    link->sequence = request->sequence;
    link->layers = 0;
    if (watches) {
        link->state->watch();
    }
    start = model->ticks();
    link->since = start;
    model->run();
    passed = ticks_since(link, start);
    if (learns) {
        uint64_t learning;
        start = model->ticks();
        link->state->learn();
        learning = ticks_since(link, start);
        link->layers = learning < UINT32_MAX ? (uint32_t)learning : UINT32_MAX;
    } else if (watches) {
        link->state->unwatch();
    } else {
        /* a run without adaptation */
    }
    link->detail = EDGEBN_LINK_OUTPUT;
    link->has_run = 1;
    edgebn_frame_put_u32(payload_of(link), link->run);
    edgebn_frame_put_u64(payload_of(link) + 4, passed);
    edgebn_frame_put_u32(payload_of(link) + 12, checksum(model->outputs, model->output_count));
    edgebn_frame_put_u32(payload_of(link) + 16, link->layers);
    send_answer(link, request, 20);
}

/* Sends a layer's output from `offset` on. */
static void send_layer_data(struct edgebn_link *link, uint32_t layer, const uint8_t *data, uint32_t bytes, uint32_t offset) {
    while (offset < bytes) {
        const uint32_t room = EDGEBN_FRAME_PAYLOAD - 8u;
        const uint32_t count = bytes - offset < room ? bytes - offset : room;

        edgebn_frame_put_u32(payload_of(link), layer);
        edgebn_frame_put_u32(payload_of(link) + 4, offset);
        (void)memcpy(payload_of(link) + 8, data + offset, (size_t)count);
        send_frame(link, EDGEBN_LINK_DATA, link->sequence, 8u + count);
        offset += count;
    }
}

void edgebn_link_layer(struct edgebn_link *link, uint32_t step, const void *data, uint32_t bytes) {
    const uint32_t layer = link->layers;
    uint64_t passed;

    if (link->detail != EDGEBN_LINK_TICKS && link->detail != EDGEBN_LINK_LAYERS && link->detail != EDGEBN_LINK_OBSERVED) {
        return;
    }
    passed = ticks_since(link, link->since);
    link->layers++;
    if (layer >= link->first_layer) {
        edgebn_frame_put_u32(payload_of(link), layer);
        edgebn_frame_put_u32(payload_of(link) + 4, step);
        edgebn_frame_put_u32(payload_of(link) + 8, bytes);
        edgebn_frame_put_u64(payload_of(link) + 12, passed);
        edgebn_frame_put_u32(payload_of(link) + 20, edgebn_frame_crc(0, data, bytes));
        send_frame(link, EDGEBN_LINK_LAYER, link->sequence, 24);
        if (link->detail == EDGEBN_LINK_LAYERS) {
            send_layer_data(link, layer, data, bytes, layer == link->first_layer ? link->first_offset : 0);
        }
    }
    link->since = link->model->ticks();
}

static void answer_read(struct edgebn_link *link, const struct edgebn_link_request *request) {
    const struct edgebn_link_model *model = link->model;
    const uint32_t offset = request->length == 10u ? edgebn_frame_get_u32(request->payload + 4) : 0;
    const uint32_t count = request->length == 10u ? edgebn_frame_get_u16(request->payload + 8) : 0;

    if (request->length != 10u || count > EDGEBN_FRAME_PAYLOAD - 4u || !is_within(offset, count, output_bytes(model))) {
        send_error(link, request, EDGEBN_LINK_BAD_PAYLOAD);
        return;
    }
    if (!link->has_run || link->run != edgebn_frame_get_u32(request->payload)) {
        send_error(link, request, EDGEBN_LINK_OTHER_RUN);
        return;
    }
    edgebn_frame_put_u32(payload_of(link), offset);
    read_spans(model->outputs, offset, payload_of(link) + 4, count);
    send_answer(link, request, 4u + count);
}

/* Takes the model, puts it into its first state and says BOOT. */
static void begin(struct edgebn_link *link, const struct edgebn_link_model *model, const struct edgebn_link_state *state,
                  void (*answers)(struct edgebn_link *link, const struct edgebn_link_request *request)) {
    uint64_t start;

    (void)memset(link, 0, sizeof *link);
    link->model = model;
    link->state = state;
    link->answer_state = answers;
    edgebn_frame_restart(&link->receiver);
    model->init();
    start = model->ticks();
    link->overhead = (uint32_t)(model->ticks() - start);
    send_frame(link, EDGEBN_LINK_BOOT, 0, put_info(link));
    link->answer_length = 0;
}

static void answer_reset(struct edgebn_link *link, const struct edgebn_link_request *request) {
    send_answer(link, request, 0);
    begin(link, link->model, link->state, link->answer_state);
}

/* ---- state ---- */

static void answer_state_get(struct edgebn_link *link, const struct edgebn_link_request *request) {
    const struct edgebn_link_state *state = link->state;
    const uint32_t offset = request->length == 6u ? edgebn_frame_get_u32(request->payload) : 0;
    const uint32_t count = request->length == 6u ? edgebn_frame_get_u16(request->payload + 4) : 0;

    if (request->length != 6u || count > EDGEBN_FRAME_PAYLOAD - 8u || !is_within(offset, count, state->bytes)) {
        send_error(link, request, EDGEBN_LINK_BAD_PAYLOAD);
        return;
    }
    edgebn_frame_put_u32(payload_of(link), state->bytes);
    edgebn_frame_put_u32(payload_of(link) + 4, offset);
    state->get(offset, payload_of(link) + 8, count);
    send_answer(link, request, 8u + count);
}

static void answer_state_put(struct edgebn_link *link, const struct edgebn_link_request *request) {
    const struct edgebn_link_state *state = link->state;
    const uint32_t offset = request->length >= 4u ? edgebn_frame_get_u32(request->payload) : 0;
    const uint32_t count = request->length - 4u;

    if (request->length < 4u || !is_within(offset, count, state->bytes)) {
        send_error(link, request, EDGEBN_LINK_BAD_PAYLOAD);
        return;
    }
    state->put(offset, request->payload + 4, count);
    edgebn_frame_put_u32(payload_of(link), offset + count);
    send_answer(link, request, 4);
}

static void answer_state_set(struct edgebn_link *link, const struct edgebn_link_request *request) {
    if (request->length != 4u) {
        send_error(link, request, EDGEBN_LINK_BAD_PAYLOAD);
    } else if (!link->state->set(edgebn_frame_get_u32(request->payload))) {
        send_error(link, request, EDGEBN_LINK_STATE_REFUSED);
    } else {
        send_answer(link, request, 0);
    }
}

static void answer_state_keep(struct edgebn_link *link, const struct edgebn_link_request *request) {
    const struct edgebn_link_state *state = link->state;

    if (request->length != 1u || request->payload[0] > 1u) {
        send_error(link, request, EDGEBN_LINK_BAD_PAYLOAD);
    } else if (request->payload[0] == 1u && !state->keep()) {
        send_error(link, request, EDGEBN_LINK_NOT_KEPT);
    } else {
        edgebn_frame_put_u32(payload_of(link), state->kept());
        payload_of(link)[4] = *state->started;
        send_answer(link, request, 5);
    }
}

static void answer_state_freeze(struct edgebn_link *link, const struct edgebn_link_request *request) {
    if (request->length > 1u || (request->length == 1u && request->payload[0] > 1u)) {
        send_error(link, request, EDGEBN_LINK_BAD_PAYLOAD);
        return;
    }
    if (request->length == 1u) {
        link->is_frozen = request->payload[0];
        link->state->freeze(link->is_frozen);
    }
    payload_of(link)[0] = link->is_frozen;
    send_answer(link, request, 1);
}

static void answer_state(struct edgebn_link *link, const struct edgebn_link_request *request) {
    switch (request->kind) {
    case EDGEBN_LINK_STATE_GET:
        answer_state_get(link, request);
        break;
    case EDGEBN_LINK_STATE_PUT:
        answer_state_put(link, request);
        break;
    case EDGEBN_LINK_STATE_SET:
        answer_state_set(link, request);
        break;
    case EDGEBN_LINK_STATE_KEEP:
        answer_state_keep(link, request);
        break;
    default:
        answer_state_freeze(link, request);
        break;
    }
}

/* ---- the way in ---- */

static void answer(struct edgebn_link *link, const struct edgebn_link_request *request) {
    switch (request->kind) {
    case EDGEBN_LINK_INFO:
        answer_info(link, request);
        break;
    case EDGEBN_LINK_WRITE:
        answer_write(link, request);
        break;
    case EDGEBN_LINK_RUN:
        answer_run(link, request);
        break;
    case EDGEBN_LINK_READ:
        answer_read(link, request);
        break;
    case EDGEBN_LINK_RESET:
        answer_reset(link, request);
        break;
    case EDGEBN_LINK_STATE_GET:
    case EDGEBN_LINK_STATE_PUT:
    case EDGEBN_LINK_STATE_SET:
    case EDGEBN_LINK_STATE_KEEP:
    case EDGEBN_LINK_STATE_FREEZE:
        if (link->state == NULL) {
            send_error(link, request, EDGEBN_LINK_NOT_BUILT_IN);
        } else {
            link->answer_state(link, request);
        }
        break;
    default:
        send_error(link, request, EDGEBN_LINK_UNKNOWN_REQUEST);
        break;
    }
}

void edgebn_link_receive(struct edgebn_link *link, uint8_t byte) {
    const uint32_t length = edgebn_frame_take(&link->receiver, byte);
    const uint8_t *frame = link->receiver.bytes;
    struct edgebn_link_request request;
    uint32_t crc;

    if (length == 0 || (frame[1] & EDGEBN_LINK_ANSWER) != 0) {
        return;
    }
    crc = edgebn_frame_get_u32(frame + length - EDGEBN_FRAME_CRC);
    if (link->answer_length != 0 && crc == link->answered_crc) {
        edgebn_frame_send(link->answer, link->answer_length, link->model->put);
        return;
    }
    request.kind = frame[1];
    request.sequence = edgebn_frame_get_u16(frame + 2);
    request.payload = frame + EDGEBN_FRAME_HEADER;
    request.length = length - EDGEBN_FRAME_HEADER - EDGEBN_FRAME_CRC;
    answer(link, &request);
    link->answered_crc = crc;
}

void edgebn_link_init(struct edgebn_link *link, const struct edgebn_link_model *model) {
    begin(link, model, NULL, NULL);
}

void edgebn_link_init_adapting(struct edgebn_link *link, const struct edgebn_link_model *model, const struct edgebn_link_state *state) {
    begin(link, model, state, answer_state);
}
