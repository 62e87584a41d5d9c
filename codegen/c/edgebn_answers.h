/* From a network's outputs to answers, without malloc: the surest classes, boxes freed of overlaps, key points, masks, wake words. The
   arithmetic is that of edgebn's Python: scores and overlaps in float, anchors and the way back to the picture in double, rounded
   once. */
#ifndef EDGEBN_ANSWERS_H
#define EDGEBN_ANSWERS_H

#include "edgebn_detection_post_process_f32.h"
#include "edgebn_found.h"

/* A table of numbers: row by row, or the other way round. */
typedef struct edgebn_table {
    const void *data;
    int is_codes; /* int8, which stand for scale * (code - zero_point); else float */
    float scale;
    int32_t zero_point;
    int row, column; /* from one candidate to the next, and from one of its numbers to the next */
    int rows;        /* how many there are before those of `more` go on */
    const struct edgebn_table *more; /* of the same numbers, or NULL */
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
    int points;                  /* key points of a candidate, */
    int first_point, point_step; /* where they begin in its row of boxes, and from one to the next */
} edgebn_detector;

EDGEBN_SHARED float edgebn_number(const edgebn_table *table, int row, int column) {
    int place;
    for (; table->more != NULL && row >= table->rows; table = table->more) {
        row -= table->rows;
    }
    place = row * table->row + column * table->column;
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

/* Turns a box in pixels of the input into one in those of the picture. */
EDGEBN_SHARED void edgebn_back_to_picture(const edgebn_detector *how, edgebn_found *found) {
    found->left = edgebn_in_picture(found->left, how->to_left, how->ratio_x, how->left, how->right);
    found->top = edgebn_in_picture(found->top, how->to_top, how->ratio_y, how->top, how->bottom);
    found->right = edgebn_in_picture(found->right, how->to_left, how->ratio_x, how->left, how->right);
    found->bottom = edgebn_in_picture(found->bottom, how->to_top, how->ratio_y, how->top, how->bottom);
}

/* Writes a point, given in pixels of the input, in those of the picture. */
EDGEBN_INLINE void edgebn_point_in_picture(const edgebn_detector *how, float x, float y, edgebn_point *point) {
    point->x = edgebn_in_picture(x, how->to_left, how->ratio_x, how->left, how->right);
    point->y = edgebn_in_picture(y, how->to_top, how->ratio_y, how->top, how->bottom);
}

/* Writes a candidate's key points. */
EDGEBN_SHARED void edgebn_points_of(const edgebn_detector *how, const edgebn_table *boxes, int row, edgebn_point *points) {
    int i;
    for (i = 0; i < how->points; i++) {
        const int place = how->first_point + i * how->point_step;
        float x = edgebn_number(boxes, row, place), y = edgebn_number(boxes, row, place + 1);
        if (how->head == EDGEBN_ANCHORS) {
            const double *anchor = how->anchors + 4 * row;
            x = (float)(((double)x / how->scales[1] * anchor[3] + anchor[1]) * (double)how->width);
            y = (float)(((double)y / how->scales[0] * anchor[2] + anchor[0]) * (double)how->height);
        } else {
            x *= how->width;
            y *= how->height;
        }
        edgebn_point_in_picture(how, x, y, points + i);
    }
}

/* Finds objects, the surest first, the earlier candidate first among equals; returns how many, `how->most` at most. `classes` has
   those of EDGEBN_FINISHED, and is NULL of others. `points` has room for those of each object, and `rows` for which candidate it is;
   NULL where nobody asks. */
EDGEBN_SHARED int32_t edgebn_find_boxes(const edgebn_detector *how, const edgebn_table *boxes, const edgebn_table *scores,
                                        const edgebn_table *classes, edgebn_found *found, edgebn_point *points, int32_t *rows) {
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
        if (other == number) {
            if (points != NULL) {
                edgebn_points_of(how, boxes, best, points + number * how->points);
            }
            if (rows != NULL) {
                rows[number] = best;
            }
            number++;
        }
    }
    for (i = 0; i < number; i++) {
        edgebn_back_to_picture(how, found + i);
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

/* Puts an object behind those that are surer; returns how many there are then, `most` at most. */
EDGEBN_SHARED int32_t edgebn_put_by_score(const edgebn_found *object, int32_t number, int32_t most, edgebn_found *found) {
    int32_t place = number;
    while (place > 0 && found[place - 1].score < object->score) {
        place--;
    }
    if (place == most) {
        return number;
    }
    number += number < most;
    memmove(found + place + 1, found + place, (size_t)(number - 1 - place) * sizeof *found);
    found[place] = *object;
    return number;
}

/* Whether a cell or one of its eight neighbours is marked 2. */
EDGEBN_SHARED int edgebn_touches(const uint8_t *marks, int height, int width, int y, int x) {
    const int end_y = y + 2 < height ? y + 2 : height, end_x = x + 2 < width ? x + 2 : width;
    int near_y, near_x;
    for (near_y = y > 0 ? y - 1 : 0; near_y < end_y; near_y++) {
        for (near_x = x > 0 ? x - 1 : 0; near_x < end_x; near_x++) {
            if (marks[near_y * width + near_x] == 2) {
                return 1;
            }
        }
    }
    return 0;
}

/* Takes every cell that hangs together with the first open one: marks are 1 of open cells, 2 of those that are taken, 3 later. */
EDGEBN_SHARED void edgebn_take_group(uint8_t *marks, int height, int width, int first) {
    int changed = 1, y, x;
    marks[first] = 2;
    while (changed) {
        changed = 0;
        for (y = 0; y < height; y++) {
            for (x = 0; x < width; x++) {
                if (marks[y * width + x] == 1 && edgebn_touches(marks, height, width, y, x)) {
                    marks[y * width + x] = 2;
                    changed = 1;
                }
            }
        }
    }
}

/* Finds objects in a map (height * width rows of scores, of which the first is nothing's): neighbouring cells are one. `marks` has a
   byte for every cell. The surest first; returns how many, `how->most` at most. */
EDGEBN_SHARED int32_t edgebn_find_groups(const edgebn_detector *how, const edgebn_table *scores, int height, int width,
                                         uint8_t *marks, edgebn_found *found) {
    const int cells = height * width;
    int32_t index, number = 0;
    int i, cell;
    for (index = 0; index < how->names; index++) {
        for (i = 0; i < cells; i++) {
            marks[i] = edgebn_number(scores, i, how->first + (int)index) > how->least;
        }
        for (i = 0; i < cells; i++) {
            edgebn_found object = {index, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
            int begin_x = width, begin_y = height, end_x = 0, end_y = 0;
            if (marks[i] != 1) {
                continue;
            }
            object.score = edgebn_number(scores, i, how->first + (int)index);
            edgebn_take_group(marks, height, width, i);
            for (cell = 0; cell < cells; cell++) {
                const int y = cell / width, x = cell % width;
                float score;
                if (marks[cell] != 2) {
                    continue;
                }
                score = edgebn_number(scores, cell, how->first + (int)index);
                object.score = score > object.score ? score : object.score;
                begin_x = x < begin_x ? x : begin_x;
                begin_y = y < begin_y ? y : begin_y;
                end_x = x + 1 > end_x ? x + 1 : end_x;
                end_y = y + 1 > end_y ? y + 1 : end_y;
                marks[cell] = 3;
            }
            object.left = (float)((double)begin_x / (double)width * (double)how->width);
            object.top = (float)((double)begin_y / (double)height * (double)how->height);
            object.right = (float)((double)end_x / (double)width * (double)how->width);
            object.bottom = (float)((double)end_y / (double)height * (double)how->height);
            number = edgebn_put_by_score(&object, number, how->most, found);
        }
    }
    for (i = 0; i < number; i++) {
        edgebn_back_to_picture(how, found + i);
    }
    return number;
}

/* Finds key points that are sure enough, in the network's order; rows are y, x in shares of the input, and a score. Their place is
   `left` and `top`, and again `right` and `bottom`. Returns how many. */
EDGEBN_SHARED int32_t edgebn_find_points(const edgebn_detector *how, const edgebn_table *rows, edgebn_found *found) {
    int32_t i, number = 0;
    for (i = 0; i < how->count; i++) {
        const float score = edgebn_number(rows, i, 2);
        edgebn_point point;
        if (score >= how->least) {
            edgebn_point_in_picture(how, edgebn_number(rows, i, 1) * how->width, edgebn_number(rows, i, 0) * how->height, &point);
            found[number].index = i;
            found[number].score = score;
            found[number].left = found[number].right = point.x;
            found[number].top = found[number].bottom = point.y;
            number++;
        }
    }
    return number;
}

/* How masks of objects are made: of which cells of the prototypes' map each pixel of the frame is, and with which weights. */
typedef struct {
    int wide, count;              /* columns of the map, and prototypes */
    int first;                    /* where an object's coefficients begin in its row */
    int height, width;            /* of the frame */
    int top, left, rows, columns; /* the part of it that the network sees */
    int taps_y, taps_x;           /* cells behind a pixel */
    const uint16_t *first_row, *first_column;
    const float *row_weights, *column_weights;
    double *lines; /* taps_y lines of the map */
} edgebn_prototypes;

/* The first pixel at a place or behind it, of those from `begin` to `end`. */
EDGEBN_SHARED int32_t edgebn_pixel_from(float place, int begin, int end) {
    const int32_t below = (int32_t)place, pixel = below + ((float)below < place);
    return pixel < begin ? begin : pixel > end ? end : pixel;
}

/* Computes the cells from `begin` to `end` of a line of the map for the candidate `row`. */
EDGEBN_SHARED void edgebn_mask_line(const edgebn_prototypes *how, const edgebn_table *rows, const edgebn_table *prototypes, int32_t row,
                                    int line, int begin, int end) {
    double *const values = how->lines + line % how->taps_y * how->wide;
    int cell, i;
    for (cell = begin; cell < end; cell++) {
        double total = 0.0;
        for (i = 0; i < how->count; i++) {
            total += (double)edgebn_number(rows, row, how->first + i) * (double)edgebn_number(prototypes, line * how->wide + cell, i);
        }
        values[cell] = total;
    }
}

/* Writes one byte for each pixel of the frame: 1 where it is the object's, which is the candidate `row`, else 0. */
EDGEBN_SHARED void edgebn_draw_mask(const edgebn_prototypes *how, const edgebn_table *rows, const edgebn_table *prototypes, int32_t row,
                                    const edgebn_found *object, uint8_t *mask) {
    const int32_t bottom = edgebn_pixel_from(object->bottom, how->top, how->top + how->rows);
    const int32_t left = edgebn_pixel_from(object->left, how->left, how->left + how->columns);
    const int32_t right = edgebn_pixel_from(object->right, how->left, how->left + how->columns);
    int32_t y = edgebn_pixel_from(object->top, how->top, how->top + how->rows), x;
    int line = 0, i, tap; /* lines of the map before this one are there, or no longer wanted */
    (void)memset(mask, 0, (size_t)how->height * (size_t)how->width);
    for (; y < bottom && left < right; y++) {
        const int first_line = how->first_row[y - how->top], first = how->first_column[left - how->left];
        const float *down = how->row_weights + (y - how->top) * how->taps_y;
        line = line < first_line ? first_line : line;
        for (; line < first_line + how->taps_y; line++) {
            edgebn_mask_line(how, rows, prototypes, row, line, first, how->first_column[right - 1 - how->left] + how->taps_x);
        }
        for (x = left; x < right; x++) {
            const float *across = how->column_weights + (x - how->left) * how->taps_x;
            double value = 0.0;
            for (tap = 0; tap < how->taps_y; tap++) {
                const double *values = how->lines + (first_line + tap) % how->taps_y * how->wide + how->first_column[x - how->left];
                double drawn = (double)across[0] * values[0];
                for (i = 1; i < how->taps_x; i++) {
                    drawn += (double)across[i] * values[i];
                }
                value += (double)down[tap] * drawn;
            }
            mask[y * how->width + x] = value > 0.0;
        }
    }
}

/* A part of a map that shows the picture: `first` is its first cell, and the map has `step` cells a row. */
typedef struct {
    int first, step, height, width;
} edgebn_cells;

/* Writes for each class its share of the cells of a mask as the score; returns how many classes there are. */
EDGEBN_SHARED int32_t edgebn_find_shares(const uint8_t *mask, int cells, int classes, edgebn_found *found) {
    int i, k;
    for (k = 0; k < classes; k++) {
        const edgebn_found nothing = {k, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
        found[k] = nothing;
    }
    for (i = 0; i < cells; i++) {
        found[mask[i]].index++; /* for now, counted from k on */
    }
    for (k = 0; k < classes; k++) {
        found[k].score = (float)((double)(found[k].index - k) / (double)cells);
        found[k].index = k;
    }
    return classes;
}

/* Returns where the map has the i-th cell of a part. */
EDGEBN_SHARED int edgebn_cell(const edgebn_cells *part, int i) {
    return part->first + i / part->width * part->step + i % part->width;
}

/* Writes the class of every cell of a part, which the map's numbers are, each less than `classes`, and the classes' shares; returns how
   many classes there are. */
EDGEBN_SHARED int32_t edgebn_take_mask(const int32_t *numbers, const edgebn_cells *part, int classes, uint8_t *mask,
                                       edgebn_found *found) {
    const int cells = part->height * part->width;
    int i;
    for (i = 0; i < cells; i++) {
        mask[i] = (uint8_t)numbers[edgebn_cell(part, i)];
    }
    return edgebn_find_shares(mask, cells, classes, found);
}

/* Writes the class of every cell of a part, the lower among equals, and the classes' shares; returns how many classes there are. */
EDGEBN_SHARED int32_t edgebn_find_mask(const edgebn_table *scores, const edgebn_cells *part, int classes, uint8_t *mask,
                                       edgebn_found *found) {
    const int cells = part->height * part->width;
    int i, k;
    for (i = 0; i < cells; i++) {
        const int row = edgebn_cell(part, i);
        float best = edgebn_number(scores, row, 0);
        mask[i] = 0;
        for (k = 1; k < classes; k++) {
            const float score = edgebn_number(scores, row, k);
            if (score > best) {
                best = score;
                mask[i] = (uint8_t)k;
            }
        }
    }
    return edgebn_find_shares(mask, cells, classes, found);
}

/* Returns the mean of the squared differences of a network's input and output, in double from the first to the last. */
EDGEBN_SHARED double edgebn_mean_difference(const edgebn_table *given, const edgebn_table *made, int count) {
    double total = 0.0;
    int i;
    for (i = 0; i < count; i++) {
        const double difference = (double)edgebn_number(given, i, 0) - (double)edgebn_number(made, i, 0);
        total += difference * difference;
    }
    return total / (double)count;
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
