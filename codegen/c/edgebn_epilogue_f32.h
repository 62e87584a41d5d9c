/* The float epilogue: y = clip(clip(acc + bias, pre) * a + d, post). A channel is three floats: bias, a, d. */
#ifndef EDGEBN_EPILOGUE_F32_H
#define EDGEBN_EPILOGUE_F32_H

#include "edgebn_float.h"

typedef struct {
    const float *channels; /* (channels, 3): bias, a, d */
    float pre_low, pre_high, post_low, post_high;
} edgebn_epilogue_f32;

EDGEBN_INLINE float edgebn_finish_f32(float acc, const edgebn_epilogue_f32 *e, int channel) {
    const float *words = e->channels + 3 * channel;
    const float u = edgebn_clip_f32(acc + words[0], e->pre_low, e->pre_high);
    return edgebn_clip_f32(u * words[1] + words[2], e->post_low, e->post_high);
}

#endif
