/* Boxes of an SSD detector: decoding against anchors and non-maximum suppression, as TFLite_Detection_PostProcess does them.
   There is no sorting: the surest candidate is looked for again after each that was taken, among those that are left. */
#ifndef EDGEBN_DETECTION_POST_PROCESS_F32_H
#define EDGEBN_DETECTION_POST_PROCESS_F32_H

#include "edgebn_boxes.h"

typedef struct {
    int count;      /* anchors */
    int code_size;  /* numbers from one anchor's codes to the next's */
    int score_size; /* the same of scores: as many as there are classes, or one more, the background, which is the first */
    int classes;
    int most;      /* boxes that are told */
    int each;      /* classes of each */
    int per_class; /* boxes of a class at most, if `regular` */
    int regular;   /* whether boxes are suppressed class by class */
    float y_scale, x_scale, h_scale, w_scale;
    float threshold; /* score that a candidate has at least */
    float overlap;   /* by how much two boxes may overlap */
} edgebn_detections;

/* exp(x) to the last bits of a double, from products and sums: Taylor's polynomial of degree 13 in x - n ln 2. */
EDGEBN_SHARED double edgebn_exp_f64(double x) {
    double power = 1.0 / 6227020800.0, base, f;
    int n;
    x = x < -700.0 ? -700.0 : x > 700.0 ? 700.0 : x; /* beyond it a float is infinite or zero */
    n = (int)(x * 1.4426950408889634 + (x >= 0.0 ? 0.5 : -0.5));
    f = (x - (double)n * 0.6931471803691238) - (double)n * 1.9082149292705877e-10;
    power = power * f + 1.0 / 479001600.0;
    power = power * f + 1.0 / 39916800.0;
    power = power * f + 1.0 / 3628800.0;
    power = power * f + 1.0 / 362880.0;
    power = power * f + 1.0 / 40320.0;
    power = power * f + 1.0 / 5040.0;
    power = power * f + 1.0 / 720.0;
    power = power * f + 1.0 / 120.0;
    power = power * f + 1.0 / 24.0;
    power = power * f + 1.0 / 6.0;
    power = power * f + 0.5;
    power = power * f * f + f + 1.0;
    base = n >= 0 ? 2.0 : 0.5;
    for (n = n >= 0 ? n : -n; n > 0; n >>= 1) {
        power *= n & 1 ? base : 1.0;
        base *= base;
    }
    return power;
}

/* Writes top, left, bottom and right of one box. */
EDGEBN_SHARED void edgebn_decode_box(const float *code, const float *anchor, float *box, const edgebn_detections *how) {
    const double h = (double)anchor[2], w = (double)anchor[3];
    const float y = (float)((double)code[0] / (double)how->y_scale * h + (double)anchor[0]);
    const float x = (float)((double)code[1] / (double)how->x_scale * w + (double)anchor[1]);
    const float half_h = (float)(0.5 * edgebn_exp_f64((double)code[2] / (double)how->h_scale) * h);
    const float half_w = (float)(0.5 * edgebn_exp_f64((double)code[3] / (double)how->w_scale) * w);
    box[0] = y - half_h;
    box[1] = x - half_w;
    box[2] = y + half_h;
    box[3] = x + half_w;
}

EDGEBN_SHARED void edgebn_write_box(float *out, int rows, int place, const float *box, int index, float score) {
    (void)memcpy(out + 4 * place, box, 4 * sizeof *box);
    out[4 * rows + place] = (float)index;
    out[5 * rows + place] = score;
}

/* The surest class after `before`, in the order of scores, the lower index first among equals; -1 is before all. */
EDGEBN_SHARED int edgebn_next_class(const float *scores, int classes, int before) {
    int index, found = -1;
    for (index = 0; index < classes; index++) {
        const int later = before < 0 || scores[index] < scores[before] || (!(scores[index] > scores[before]) && index > before);
        found = later && (found < 0 || scores[index] > scores[found]) ? index : found;
    }
    return found;
}

/* Puts a box among those that are sorted by score, behind its equals, if it is one of the first `most`; returns their number. */
EDGEBN_SHARED int edgebn_insert_box(float *out, int rows, int most, int size, const float *box, int index, float score) {
    int i, last, place = size;
    while (place > 0 && score > out[5 * rows + place - 1]) {
        place--;
    }
    if (place >= most) {
        return size;
    }
    last = size < most - 1 ? size : most - 1;
    for (i = last; i > place; i--) {
        edgebn_write_box(out, rows, i, out + 4 * (i - 1), 0, out[5 * rows + i - 1]);
        out[4 * rows + i] = out[4 * rows + i - 1];
    }
    edgebn_write_box(out, rows, place, box, index, score);
    return last + 1;
}

/* Takes the surest candidates of one list of scores, at most `most`, and tells of them; returns how many the output has then.
   `group` is the class of the scores, or -1 where they are each box's best. */
EDGEBN_SHARED int edgebn_take_boxes(const float *scores, const float *best, int step, float *out, const float *boxes,
                                    int32_t *candidates, int group, int size, int most, const edgebn_detections *how) {
    const int rows = how->most * how->each;
    int i, picked, left = 0;
    for (i = 0; i < how->count; i++) {
        if (best[i * step] >= how->threshold) {
            candidates[left++] = i;
        }
    }
    for (picked = 0; left > 0 && picked < most; picked++) {
        const int32_t taken = edgebn_surest(best, step, candidates, left);
        const float *own = scores + taken * how->score_size, *box = boxes + 4 * taken;
        if (group >= 0) {
            size = edgebn_insert_box(out, rows, how->most, size, box, group, best[taken * step]);
        } else {
            int rank, index = -1;
            for (rank = 0; rank < how->each && rank < how->classes; rank++) {
                index = edgebn_next_class(own, how->classes, index);
                if (index >= 0) {
                    edgebn_write_box(out, rows, picked * how->each + rank, box, index, own[index]);
                }
            }
            size++;
        }
        left = edgebn_without_overlaps(boxes, candidates, left, taken, how->overlap);
    }
    return size;
}

/* codes (count, code_size), scores (count, score_size), out (6 * most * each + 1): boxes, classes, scores, how many there are;
   anchors (count, 4); scratch: 5 * count floats and count integers. */
EDGEBN_SHARED void edgebn_detection_post_process_f32(const float *codes, const float *scores, float *out, const float *anchors,
                                                     float *scratch, int32_t *candidates, const edgebn_detections *how) {
    const int length = 6 * how->most * how->each + 1;
    float *boxes = scratch, *best = scratch + 4 * how->count;
    int i, index, size = 0;
    scores += how->score_size - how->classes;
    for (i = 0; i < length; i++) {
        out[i] = 0.0f;
    }
    for (i = 0; i < how->count; i++) {
        const float *own = scores + i * how->score_size;
        best[i] = own[0];
        for (index = 1; index < how->classes; index++) {
            best[i] = own[index] > best[i] ? own[index] : best[i];
        }
        if (best[i] >= how->threshold) {
            edgebn_decode_box(codes + i * how->code_size, anchors + 4 * i, boxes + 4 * i, how);
        }
    }
    if (!how->regular) {
        size = edgebn_take_boxes(scores, best, 1, out, boxes, candidates, -1, 0, how->most, how);
    }
    for (index = 0; how->regular && index < how->classes; index++) {
        const float *own = scores + index;
        size = edgebn_take_boxes(scores, own, how->score_size, out, boxes, candidates, index, size, how->per_class, how);
    }
    out[length - 1] = (float)size;
}

#endif
