/* A made-up model for tests of the link: two inputs, three layers, two outputs, all a function of the inputs' bytes. */
#ifndef LINK_MODEL_H
#define LINK_MODEL_H

#include "edgebn_link.h"

#define FIRST_INPUT 5u
#define SECOND_INPUT 600u
#define INPUT (FIRST_INPUT + SECOND_INPUT)
#define FIRST_OUTPUT 300u
#define SECOND_OUTPUT 3u
#define STATE 300u

#define LINK_KEEPS 2 /* a bit of `with_state`: it keeps how many runs there were, beside or instead of adaptation (bit 1) */

/* The model with everything but `put`, which is the caller's. */
struct edgebn_link_model link_model(struct edgebn_link *link, void (*put)(uint8_t byte), int with_state);

/* Switches it on. */
void link_start(struct edgebn_link *link, const struct edgebn_link_model *model, int with_state);

#endif
