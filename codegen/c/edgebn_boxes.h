/* What all suppression of boxes does: boxes (top, left, bottom, right) and lists of candidates. */
#ifndef EDGEBN_BOXES_H
#define EDGEBN_BOXES_H

#include "edgebn_common.h"

/* What two boxes have in common, as a share of what they cover. */
EDGEBN_SHARED float edgebn_box_overlap(const float *a, const float *b) {
    const float area_a = (a[2] - a[0]) * (a[3] - a[1]), area_b = (b[2] - b[0]) * (b[3] - b[1]);
    const float height = (a[2] < b[2] ? a[2] : b[2]) - (a[0] > b[0] ? a[0] : b[0]);
    const float width = (a[3] < b[3] ? a[3] : b[3]) - (a[1] > b[1] ? a[1] : b[1]);
    const float common = (height > 0.0f ? height : 0.0f) * (width > 0.0f ? width : 0.0f);
    return area_a <= 0.0f || area_b <= 0.0f ? 0.0f : common / (area_a + area_b - common);
}

/* The surest of the candidates, the first among equals; `scores` has one every `step` numbers. */
EDGEBN_SHARED int32_t edgebn_surest(const float *scores, int step, const int32_t *candidates, int left) {
    int32_t taken = candidates[0];
    int i;
    for (i = 1; i < left; i++) {
        taken = scores[candidates[i] * step] > scores[taken * step] ? candidates[i] : taken;
    }
    return taken;
}

/* Leaves out what was taken and what overlaps it; returns how many candidates are left. */
EDGEBN_SHARED int edgebn_without_overlaps(const float *boxes, int32_t *candidates, int left, int32_t taken, float overlap) {
    int i, kept = 0;
    for (i = 0; i < left; i++) {
        if (candidates[i] != taken && !(edgebn_box_overlap(boxes + 4 * taken, boxes + 4 * candidates[i]) > overlap)) {
            candidates[kept++] = candidates[i];
        }
    }
    return kept;
}

#endif
