/* One answer of a network. */
#ifndef EDGEBN_FOUND_H
#define EDGEBN_FOUND_H

#include <stdint.h>

/* One class or one object; of classes without a place. */
typedef struct {
    int32_t index; /* of its class */
    float score;
    float left, top, right, bottom; /* in pixels of the picture */
} edgebn_found;

/* A key point, in pixels of the picture. */
typedef struct {
    float x, y;
} edgebn_point;

#endif
