/* A look at every layer: with EDGEBN_TRACE defined, your `edgebn_trace` is called after each step with what the step made. */
#ifndef EDGEBN_TRACE_H
#define EDGEBN_TRACE_H

#if defined(EDGEBN_TRACE)
#include <stdint.h>

/* step: its number in the listing's comments; data: the value it made, valid during the call. */
void edgebn_trace(int step, const void *data, uint32_t bytes);
#define EDGEBN_MADE(step, data, bytes) edgebn_trace(step, data, bytes)
#else
#define EDGEBN_MADE(step, data, bytes) ((void)0)
#endif

#endif
