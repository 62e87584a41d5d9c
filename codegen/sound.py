"""`<name>_sound.h` and `.c`: from a microphone's samples to the network's input. Text only."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import indent

import numpy as np

from codegen.constants import comment, definition
from codegen.emitters.text import float_literal
from codegen.project import KERNELS, Listing
from codegen.stepcode import CArray
from codegen.values import ELEMENT
from edgebn.preparation.data import MfccFrontEnd, MicroFrontEnd, Sound
from edgebn.preparation.mfcc_tables import LOG_SHIFT, mfcc_tables
from edgebn.preparation.micro_tables import MicroTables, tables
from edgebn.preparation.sound_codes import thresholds

HEADER, MFCC_HEADER = "edgebn_micro_frontend.h", "edgebn_mfcc.h"


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
{_HOLD_DECLARED.format(name=name) if listing.pipeline else ""}
#ifdef __cplusplus
}}
#endif

#endif
"""


def _source(listing: Listing, sound: Sound) -> str:
    name, front = listing.name, sound.front_end
    buffer = listing.program.buffers[listing.program.inputs[0]]
    is_int8 = buffer.dtype == "int8"
    windows = int(np.prod(buffer.shape)) // front.channels
    made = _mfcc(front) if isinstance(front, MfccFrontEnd) else _micro(front)
    arrays = list(made.arrays)
    if is_int8:
        limits = thresholds(sound, buffer.scale, buffer.zero_point)
        arrays.append(CArray("limits", "int32_t", limits, "(255,): the least feature of each code"))
    element, row = _element(listing), made.row
    heard = "int16_t" if isinstance(front, MfccFrontEnd) else element
    take = made.take.format(last=(windows - 1) * row, channels=front.channels)
    give = made.give.format(channels=front.channels, windows=windows, row=row)
    return f"""\
/* From sound to the input of {comment(listing.title)}. Made by edgebn. */
#include "{name}_sound.h"

#include "{KERNELS}/{made.header}"
#include "{name}_params.h"

{chr(10).join(_static(array) for array in arrays)}
{made.tables}
static {heard} heard[{windows * row}]; /* ({windows}, {row}): the latest window last */
static int32_t fresh; /* windows that no inference has seen; below zero until there are enough for the first */

{_CODE if is_int8 else _REAL.format(scale=float_literal(sound.scale), offset=float_literal(sound.offset))}
void {name}_sound_reset(void) {{
    {made.reset}
    fresh = {sound.stride - windows};
}}

int32_t {name}_sound_feed(const int16_t *samples, int32_t count, {element} *input, int32_t *ready) {{
    {made.local}
    int32_t taken = 0, full, i;

    *ready = 0;
    while (taken < count && !*ready) {{
        taken += {made.feed}(&tables, &state, samples + taken, count - taken, {made.target}, &full);
        if (full) {{
            memmove(heard, heard + {row}, {(windows - 1) * row} * sizeof *heard);
{indent(take, " " * 12)}
            fresh++;
            if (fresh == {sound.stride}) {{
                fresh = 0;
                *ready = 1;
{indent(give, " " * 16)}
            }}
        }}
    }}
    return taken;
}}
{_hold(listing, made, heard) if listing.pipeline else ""}"""


def _hold(listing: Listing, made: _FrontEnd, heard: str) -> str:
    """Return the function that keeps what was heard, for a host that looks at every layer."""
    variables = [*made.kept, (heard, "heard", "sizeof heard"), ("int32_t", "fresh", "sizeof fresh")]
    before, moves = [], []
    for ctype, variable, size in variables:
        is_array = variable not in {"state", "fresh"}
        before.append(f"    static {ctype} {variable}_before{f'[{size} / sizeof({ctype})]' if is_array else ''};")
        here, there = (variable, f"{variable}_before") if is_array else (f"&{variable}", f"&{variable}_before")
        moves.append(f"    (void)memcpy(again ? {here} : {there}, again ? {there} : {here}, {size});")
    return f"""
#if defined(EDGEBN_TRACE)
void {listing.name}_sound_hold(int32_t again) {{
{chr(10).join(before)}

{chr(10).join(moves)}
}}
#endif
"""


@dataclass(frozen=True)
class _FrontEnd:
    """The parts of a source that differ from one front end to the next; `take` and `give` are filled in.

    A window gives `row` numbers, which `take` puts at the end of what was heard; `give` makes the network's input of all of it.
    `kept` are the type, name and bytes of what it keeps from window to window.
    """

    header: str
    arrays: list[CArray]
    tables: str
    row: int
    local: str
    reset: str
    feed: str
    target: str
    take: str
    give: str
    kept: tuple[tuple[str, str, str], ...]


def _fft_arrays(found: MicroTables, front: MicroFrontEnd | MfccFrontEnd, bits: int) -> list[CArray]:
    filters = len(found.starts) - 1
    return [
        CArray("window", "int16_t", found.window, f"({front.window},): Hann, in {bits} bits"),
        CArray("order", "int16_t", found.order, f"({front.fft_size // 2},)"),
        CArray("twiddles", "int16_t", found.twiddles, f"({front.fft_size // 2}, 2): cosines and sines"),
        CArray("super_twiddles", "int16_t", found.super_twiddles, f"({front.fft_size // 4}, 2)"),
        CArray("starts", "int16_t", found.starts, f"({filters + 1},): first frequency of each mel filter"),
        CArray("widths", "int16_t", found.widths, f"({filters + 1},): how many frequencies"),
        CArray("rising", "int16_t", found.rising, "by frequency: its weight in its filter"),
        CArray("falling", "int16_t", found.falling, "and in the one after it"),
    ]


def _micro(front: MicroFrontEnd) -> _FrontEnd:
    found = tables(front)
    arrays = _fft_arrays(found, front, 12)
    if front.pcan:
        arrays.append(CArray("gains", "int16_t", found.gains, "gain by noise: parabolas"))
    if front.log:
        arrays.append(CArray("logs", "uint16_t", found.logs, "log2(1 + x) - x"))
    return _FrontEnd(
        header=HEADER,
        arrays=arrays,
        tables=f"""\
static const edgebn_micro_tables tables = {{
    window, order, twiddles, super_twiddles, starts, widths, rising, falling, {"gains" if front.pcan else "NULL"},
    {"logs" if front.log else "NULL"}, {front.window}, {front.step}, {front.fft_size // 2}, {front.channels},
    {front.smoothing_bits}, {found.smoothing[0]}, {found.smoothing[1]}, {found.remaining}, {found.snr_shift},
    {found.correction}, {front.log_scale_shift}
}};

static int16_t waiting[{front.window}], work[{front.fft_size}];
static uint32_t noise[{front.channels}];
static edgebn_micro_state state = {{ waiting, work, noise, 0 }};""",
        row=front.channels,
        local=f"uint16_t features[{front.channels}];",
        reset="edgebn_micro_reset(&tables, &state);",
        feed="edgebn_micro_feed",
        target="features",
        take="for (i = 0; i < {channels}; i++) {{\n    heard[{last} + i] = value_of(features[i]);\n}}",
        give="(void)memcpy(input, heard, sizeof heard);",
        kept=(
            ("edgebn_micro_state", "state", "sizeof state"),
            ("int16_t", "waiting", "sizeof waiting"),
            ("uint32_t", "noise", "sizeof noise"),
        ),
    )


def _mfcc(front: MfccFrontEnd) -> _FrontEnd:
    found = mfcc_tables(front)
    arrays = [
        *_fft_arrays(found.front, front, 15),
        CArray("logs", "uint16_t", found.front.logs, "log2(1 + x) - x"),
        CArray("sums", "int16_t", found.sums, "log(1 + exp(-x))"),
        CArray("cosines", "int16_t", found.cosines, f"({front.channels}, {front.filters}): the DCT"),
    ]
    return _FrontEnd(
        header=MFCC_HEADER,
        arrays=arrays,
        tables=f"""\
static const edgebn_micro_tables front = {{
    window, order, twiddles, super_twiddles, starts, widths, rising, falling, NULL, logs, {front.window}, {front.step},
    {front.fft_size // 2}, {front.filters}, 0, 0, 0, 0, 0, 0, {LOG_SHIFT}
}};
static const edgebn_mfcc_tables tables = {{
    &front, sums, cosines, {front.channels}, {found.constant}, {int(front.normalize)}
}};

static int16_t waiting[{front.window}];
static int32_t work[{front.fft_size}];
static edgebn_mfcc_state state = {{ waiting, work, 0 }};""",
        row=front.filters + 1,
        local=f"uint16_t features[{front.channels}];\n    int16_t row[{front.filters + 1}];",
        reset="state.used = 0;",
        feed="edgebn_mfcc_feed",
        target="row",
        take="(void)memcpy(heard + {last}, row, sizeof row);",
        give="""\
const int32_t loudest = edgebn_mfcc_loudest(&tables, heard, {windows});
int32_t w;
for (w = 0; w < {windows}; w++) {{
    (void)memcpy(row, heard + w * {row}, sizeof row);
    edgebn_mfcc_features(&tables, row, loudest, features);
    for (i = 0; i < {channels}; i++) {{
        input[w * {channels} + i] = value_of(features[i]);
    }}
}}""",
        kept=(("edgebn_mfcc_state", "state", "sizeof state"), ("int16_t", "waiting", "sizeof waiting")),
    )


_HOLD_DECLARED = """
#if defined(EDGEBN_TRACE)
/* Keeps what was heard, or (`again`) goes back to what was kept. */
void {name}_sound_hold(int32_t again);
#endif
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
    windows = int(np.prod(buffer.shape)) // front.channels
    if isinstance(front, MfccFrontEnd):
        return 2 * front.window + 4 * front.fft_size + 2 * windows * (front.filters + 1)
    each = 1 if buffer.dtype == "int8" else 4
    return 2 * (front.window + front.fft_size) + 4 * front.channels + int(np.prod(buffer.shape)) * each
