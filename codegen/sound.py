"""`<name>_sound.h` and `.c`: from a microphone's samples to the network's input. Text only."""

from __future__ import annotations

import numpy as np

from codegen.constants import comment, definition
from codegen.emitters.text import float_literal
from codegen.project import KERNELS, Listing
from codegen.stepcode import CArray
from codegen.values import ELEMENT
from edgebn.preparation.data import Sound
from edgebn.preparation.micro_tables import tables
from edgebn.preparation.sound_codes import thresholds

HEADER = "edgebn_micro_frontend.h"


def files(listing: Listing, sound: Sound) -> dict[str, str]:
    """Return the texts by name."""
    return {f"{listing.name}_sound.h": _header(listing, sound), f"{listing.name}_sound.c": _source(listing, sound)}


def _header(listing: Listing, sound: Sound) -> str:
    name, upper, front = listing.name, listing.name.upper(), sound.front_end
    element = _element(listing)
    return f"""\
/* From sound to the input of {comment(listing.title)}. Made by edgebn. */
#ifndef {upper}_SOUND_H
#define {upper}_SOUND_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define {upper}_SOUND_HZ {front.sample_rate}
#define {upper}_SOUND_STEP {front.step} /* samples from one window to the next */
#define {upper}_SOUND_STRIDE {sound.stride} /* windows from one inference to the next */
#define {upper}_SOUND_BYTES {_bytes(listing, sound)} /* RAM, static */

/* Forgets what was heard. Call once, before anything else. */
void {name}_sound_reset(void);

/* Takes samples until it is time for an inference, at most `count`; returns how many it took. `*ready` says whether it is: then
   `input` has been written for {name}_run, and the rest of the samples is for the next call. */
int32_t {name}_sound_feed(const int16_t *samples, int32_t count, {element} *input, int32_t *ready);

#ifdef __cplusplus
}}
#endif

#endif
"""


def _source(listing: Listing, sound: Sound) -> str:
    name, front = listing.name, sound.front_end
    found = tables(front)
    arrays = [
        CArray("window", "int16_t", found.window, f"({front.window},): Hann, in 12 bits"),
        CArray("order", "int16_t", found.order, f"({front.fft_size // 2},)"),
        CArray("twiddles", "int16_t", found.twiddles, f"({front.fft_size // 2}, 2): cosines and sines"),
        CArray("super_twiddles", "int16_t", found.super_twiddles, f"({front.fft_size // 4}, 2)"),
        CArray("starts", "int16_t", found.starts, f"({front.channels + 1},): first frequency of each mel filter"),
        CArray("widths", "int16_t", found.widths, f"({front.channels + 1},): how many frequencies"),
        CArray("rising", "int16_t", found.rising, "by frequency: its weight in its filter"),
        CArray("falling", "int16_t", found.falling, "and in the one after it"),
    ]
    if front.pcan:
        arrays.append(CArray("gains", "int16_t", found.gains, "gain by noise: parabolas"))
    if front.log:
        arrays.append(CArray("logs", "uint16_t", found.logs, "log2(1 + x) - x"))
    buffer = listing.program.buffers[listing.program.inputs[0]]
    is_int8 = buffer.dtype == "int8"
    if is_int8:
        limits = thresholds(sound, buffer.scale, buffer.zero_point)
        arrays.append(CArray("limits", "int32_t", limits, "(255,): the least feature of each code"))
    windows = int(np.prod(buffer.shape)) // front.channels
    return f"""\
/* From sound to the input of {comment(listing.title)}. Made by edgebn. */
#include "{name}_sound.h"

#include "{KERNELS}/{HEADER}"
#include "{name}_params.h"

{chr(10).join(_static(array) for array in arrays)}
static const edgebn_micro_tables tables = {{
    window, order, twiddles, super_twiddles, starts, widths, rising, falling, {"gains" if front.pcan else "NULL"},
    {"logs" if front.log else "NULL"}, {front.window}, {front.step}, {front.fft_size // 2}, {front.channels},
    {front.smoothing_bits}, {found.smoothing[0]}, {found.smoothing[1]}, {found.remaining}, {found.snr_shift},
    {found.correction}, {front.log_scale_shift}
}};

static int16_t waiting[{front.window}], work[{front.fft_size}];
static uint32_t noise[{front.channels}];
static edgebn_micro_state state = {{ waiting, work, noise, 0 }};
static {_element(listing)} heard[{windows * front.channels}]; /* ({windows}, {front.channels}): the latest window last */
static int32_t fresh; /* windows that no inference has seen; below zero until there are enough for the first */

{_CODE if is_int8 else _REAL.format(scale=float_literal(sound.scale), offset=float_literal(sound.offset))}
void {name}_sound_reset(void) {{
    edgebn_micro_reset(&tables, &state);
    fresh = {sound.stride - windows};
}}

int32_t {name}_sound_feed(const int16_t *samples, int32_t count, {_element(listing)} *input, int32_t *ready) {{
    uint16_t features[{front.channels}];
    int32_t taken = 0, full, i;

    *ready = 0;
    while (taken < count && !*ready) {{
        taken += edgebn_micro_feed(&tables, &state, samples + taken, count - taken, features, &full);
        if (full) {{
            memmove(heard, heard + {front.channels}, {(windows - 1) * front.channels} * sizeof *heard);
            for (i = 0; i < {front.channels}; i++) {{
                heard[{(windows - 1) * front.channels} + i] = value_of(features[i]);
            }}
            fresh++;
            if (fresh == {sound.stride}) {{
                fresh = 0;
                *ready = 1;
                memcpy(input, heard, sizeof heard);
            }}
        }}
    }}
    return taken;
}}
"""


_CODE = """\
/* The code of a feature: how many limits it reaches, by halves. */
static int8_t value_of(uint16_t feature) {
    int32_t reached = 0, half;

    for (half = 128; half > 0; half /= 2) {
        if (feature >= limits[reached + half - 1]) {
            reached += half;
        }
    }
    return (int8_t)(reached - 128);
}
"""
_REAL = """\
static float value_of(uint16_t feature) {{
    const float scaled = (float)feature * {scale};
    return scaled + {offset};
}}
"""


def _static(array: CArray) -> str:
    return definition(array).replace("EDGEBN_CONST EDGEBN_ALIGN const", "EDGEBN_CONST EDGEBN_ALIGN static const")


def _element(listing: Listing) -> str:
    return ELEMENT[listing.program.buffers[listing.program.inputs[0]].dtype][0]


def _bytes(listing: Listing, sound: Sound) -> int:
    buffer, front = listing.program.buffers[listing.program.inputs[0]], sound.front_end
    each = 1 if buffer.dtype == "int8" else 4
    return 2 * (front.window + front.fft_size) + 4 * front.channels + int(np.prod(buffer.shape)) * each
