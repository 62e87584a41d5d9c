/* From a network's outputs to answers, without malloc: the surest classes, boxes freed of overlaps, wake words. The arithmetic is that
   of edgebn's Python: scores and overlaps in float, anchors and the way back to the picture in double, rounded once. */
#ifndef EDGEBN_ANSWERS_H
#define EDGEBN_ANSWERS_H

#include "edgebn_detection_post_process_f32.h"
#include "edgebn_found.h"

/* A table of numbers: row by row, or the other way round. */
typedef struct {
    const void *data;
    int is_codes; /* int8, which stand for scale * (code - zero_point); else float */
    float scale;
    int32_t zero_point;
    int row, column; /* from one candidate to the next, and from one of its numbers to the next */
} edgebn_table;

typedef enum { EDGEBN_MIDDLES, EDGEBN_CORNERS, EDGEBN_ANCHORS, EDGEBN_FINISHED } edgebn_head;

typedef struct {
    edgebn_head head;
    int count;   /* candidates */
    int classes; /* their scores begin at `first` of `scores` */
    int names;   /* classes that have a name; others are left out */
    int first;
    int objectness; /* number of the score that all others are multiplied by, or -1 */
    int logits;     /* whether scores become probabilities by a sigmoid */
    float least;    /* what a score must be above */
    float overlap;
    int most;
    float width, height;   /* what x and y of middles and corners are multiplied by */
    const double *anchors; /* (count, 4): middle y and x, height, width in shares of the input */
    double scales[4];      /* of y, x, height, width */
    int order[4];          /* where a box's codes have them */
    int exponential;
    double to_left, to_top, ratio_x, ratio_y, left, top, right, bottom; /* from the input's pixels back to the picture's */
} edgebn_detector;

EDGEBN_SHARED float edgebn_number(const edgebn_table *table, int row, int column) {
    const int place = row * table->row + column * table->column;
    if (table->is_codes) {
        return table->scale * (float)(((const int8_t *)table->data)[place] - table->zero_point);
    }
    return ((const float *)table->data)[place];
}

/* The surest class of a candidate, the lower index first among equals, and its score. */
EDGEBN_SHARED float edgebn_surest_class(const edgebn_detector *how, const edgebn_table *scores, int row, int32_t *index) {
    const float factor = how->objectness < 0 ? 1.0f : edgebn_number(scores, row, how->objectness);
    float best = edgebn_number(scores, row, how->first) * factor;
    int i;
    *index = 0;
    for (i = 1; i < how->classes; i++) {
        const float score = edgebn_number(scores, row, how->first + i) * factor;
        if (score > best) {
            best = score;
            *index = i;
        }
    }
    if (how->logits) {
        const double x = best < -100.0f ? -100.0 : best > 100.0f ? 100.0 : (double)best;
        best = (float)(1.0 / (1.0 + edgebn_exp_f64(-x)));
    }
    return best;
}

/* Writes left, top, right and bottom in pixels of the input. */
EDGEBN_SHARED void edgebn_corners_of(const edgebn_detector *how, const edgebn_table *boxes, int row, edgebn_found *found) {
    float given[4];
    int i;
    for (i = 0; i < 4; i++) {
        given[i] = edgebn_number(boxes, row, i);
    }
    if (how->head == EDGEBN_ANCHORS) {
        const double *anchor = how->anchors + 4 * row;
        double h = (double)given[how->order[2]] / how->scales[2], w = (double)given[how->order[3]] / how->scales[3];
        const double y = (double)given[how->order[0]] / how->scales[0] * anchor[2] + anchor[0];
        const double x = (double)given[how->order[1]] / how->scales[1] * anchor[3] + anchor[1];
        h = 0.5 * (how->exponential ? edgebn_exp_f64(h) : h) * anchor[2];
        w = 0.5 * (how->exponential ? edgebn_exp_f64(w) : w) * anchor[3];
        found->left = (float)((x - w) * (double)how->width);
        found->top = (float)((y - h) * (double)how->height);
        found->right = (float)((x + w) * (double)how->width);
        found->bottom = (float)((y + h) * (double)how->height);
    } else if (how->head == EDGEBN_MIDDLES) {
        found->left = (given[0] - given[2] / 2.0f) * how->width;
        found->top = (given[1] - given[3] / 2.0f) * how->height;
        found->right = (given[0] + given[2] / 2.0f) * how->width;
        found->bottom = (given[1] + given[3] / 2.0f) * how->height;
    } else { /* EDGEBN_FINISHED has top before left */
        const int turned = how->head == EDGEBN_FINISHED;
        found->left = given[turned] * how->width;
        found->top = given[1 - turned] * how->height;
        found->right = given[2 + turned] * how->width;
        found->bottom = given[3 - turned] * how->height;
    }
}

/* Whether two boxes overlap by more than `limit` of their union. */
EDGEBN_SHARED int edgebn_overlap_more(const edgebn_found *a, const edgebn_found *b, float limit) {
    const float wide_a = a->right - a->left, high_a = a->bottom - a->top, wide_b = b->right - b->left, high_b = b->bottom - b->top;
    const float area_a = (wide_a > 0.0f ? wide_a : 0.0f) * (high_a > 0.0f ? high_a : 0.0f);
    const float area_b = (wide_b > 0.0f ? wide_b : 0.0f) * (high_b > 0.0f ? high_b : 0.0f);
    const float wide = (a->right < b->right ? a->right : b->right) - (a->left > b->left ? a->left : b->left);
    const float high = (a->bottom < b->bottom ? a->bottom : b->bottom) - (a->top > b->top ? a->top : b->top);
    const float common = (wide > 0.0f ? wide : 0.0f) * (high > 0.0f ? high : 0.0f), all = area_a + area_b - common;
    return all > 0.0f && common / all > limit;
}

EDGEBN_INLINE float edgebn_in_picture(float place, double from, double ratio, double begin, double end) {
    const double moved = ((double)place - from) * ratio + begin;
    return (float)(moved < 0.0 ? 0.0 : moved > end ? end : moved);
}

/* Finds objects, the surest first, the earlier candidate first among equals; returns how many, `how->most` at most. `classes` has
   those of EDGEBN_FINISHED, and is NULL of others. */
EDGEBN_SHARED int32_t edgebn_find_boxes(const edgebn_detector *how, const edgebn_table *boxes, const edgebn_table *scores,
                                        const edgebn_table *classes, edgebn_found *found) {
    float last = 0.0f;
    int32_t number = 0;
    int i, other, place = -1;
    while (number < how->most) {
        edgebn_found *next = found + number;
        int best = -1;
        for (i = 0; i < how->count; i++) {
            int32_t index;
            const float score = edgebn_surest_class(how, scores, i, &index);
            const int is_later = place < 0 || score < last || (!(score > last) && i > place);
            if (is_later && score > how->least && (best < 0 || score > next->score)) {
                best = i;
                next->score = score;
                next->index = index;
            }
        }
        if (best < 0) {
            break;
        }
        last = next->score;
        place = best;
        if (classes != NULL) {
            next->index = (int32_t)edgebn_number(classes, best, 0);
        }
        if (next->index >= how->names) {
            continue;
        }
        edgebn_corners_of(how, boxes, best, next);
        for (other = 0; other < number; other++) {
            if (how->head != EDGEBN_FINISHED && found[other].index == next->index &&
                edgebn_overlap_more(found + other, next, how->overlap)) {
                break;
            }
        }
        number += other == number;
    }
    for (i = 0; i < number; i++) {
        found[i].left = edgebn_in_picture(found[i].left, how->to_left, how->ratio_x, how->left, how->right);
        found[i].top = edgebn_in_picture(found[i].top, how->to_top, how->ratio_y, how->top, how->bottom);
        found[i].right = edgebn_in_picture(found[i].right, how->to_left, how->ratio_x, how->left, how->right);
        found[i].bottom = edgebn_in_picture(found[i].bottom, how->to_top, how->ratio_y, how->top, how->bottom);
    }
    return number;
}

/* Finds the surest classes, the lower index first among equals; returns how many. */
EDGEBN_SHARED int32_t edgebn_find_classes(const edgebn_table *scores, int count, int most, edgebn_found *found) {
    int32_t number = 0;
    for (; number < most && number < count; number++) {
        const edgebn_found *before = found + number - 1;
        edgebn_found next = {-1, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
        int i;
        for (i = 0; i < count; i++) {
            const float score = edgebn_number(scores, i, 0);
            const int is_later = number == 0 || score < before->score || (!(score > before->score) && i > before->index);
            if (is_later && (next.index < 0 || score > next.score)) {
                next.index = i;
                next.score = score;
            }
        }
        found[number] = next;
    }
    return number;
}

/* What a wake word keeps: the last codes, where the next goes, and inferences that nothing is heard in. */
typedef struct {
    uint8_t *codes;
    int32_t window, next, silent;
} edgebn_wake_word;

EDGEBN_SHARED void edgebn_wake_reset(edgebn_wake_word *state) {
    (void)memset(state->codes, 0, (size_t)state->window);
    state->next = 0;
    state->silent = 0;
}

/* Takes one probability, 0 to 255, in; says whether the word was heard. `*total` is the sum of the last. */
EDGEBN_SHARED int32_t edgebn_wake_feed(edgebn_wake_word *state, uint8_t code, int32_t cutoff, int32_t refractory, int32_t *total) {
    const int32_t was_silent = state->silent;
    int32_t i;
    state->codes[state->next] = code;
    state->next = (state->next + 1) % state->window;
    for (i = 0, *total = 0; i < state->window; i++) {
        *total += state->codes[i];
    }
    state->silent -= state->silent > 0;
    if (was_silent > 0 || *total <= cutoff * state->window) {
        return 0;
    }
    edgebn_wake_reset(state);
    state->silent = refractory;
    return 1;
}

#endif
