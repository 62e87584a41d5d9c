/* Which boxes stay, class by class, as ONNX's NonMaxSuppression has it: rows of 0, class, box, and of -1 behind the last. */
#ifndef EDGEBN_NON_MAX_SUPPRESSION_F32_H
#define EDGEBN_NON_MAX_SUPPRESSION_F32_H

#include "edgebn_boxes.h"
#include "edgebn_float.h"

typedef struct {
    int count;   /* boxes */
    int classes; /* of scores */
    int most;    /* boxes of a class that stay at most */
    int rows;    /* of the output */
    int centred; /* whether boxes are middle (x, y), width and height; else two opposite corners (y, x, y, x) */
    float threshold; /* above which a candidate's score is, -INFINITY: any */
    float overlap;   /* by how much two boxes may overlap */
} edgebn_suppression;

/* Writes top, left, bottom and right of one box. */
EDGEBN_SHARED void edgebn_box_corners(const float *given, float *box, int centred) {
    int side;
    for (side = 0; side < 2; side++) {
        const float one = given[side], other = given[2 + side], middle = given[1 - side], half = given[3 - side] / 2.0f;
        box[side] = centred ? middle - half : one < other ? one : other;
        box[2 + side] = centred ? middle + half : one > other ? one : other;
    }
}

/* given (count, 4), scores (classes, count), out (rows, 3); scratch: 4 * count floats and count integers. */
EDGEBN_SHARED void edgebn_non_max_suppression_f32(const float *given, const float *scores, int32_t *out, float *boxes,
                                                  int32_t *candidates, const edgebn_suppression *how) {
    const int32_t *const end = out + 3 * how->rows;
    int i, group, picked;
    for (i = 0; i < how->count; i++) {
        edgebn_box_corners(given + 4 * i, boxes + 4 * i, how->centred);
    }
    for (group = 0; group < how->classes; group++, scores += how->count) {
        int left = 0;
        for (i = 0; i < how->count; i++) {
            if (scores[i] > how->threshold || how->threshold <= -EDGEBN_INFINITY) {
                candidates[left++] = i;
            }
        }
        for (picked = 0; left > 0 && picked < how->most; picked++) {
            const int32_t taken = edgebn_surest(scores, 1, candidates, left);
            *out++ = 0;
            *out++ = group;
            *out++ = taken;
            left = edgebn_without_overlaps(boxes, candidates, left, taken, how->overlap);
        }
    }
    while (out < end) {
        *out++ = -1;
    }
}

#endif
