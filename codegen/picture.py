"""`<name>_picture.h` and `.c`: from a camera's frame buffer to the network's input. Text only."""

from __future__ import annotations

import numpy as np

from codegen.constants import comment, static_definition
from codegen.project import KERNELS, Listing
from codegen.stepcode import CArray
from codegen.values import ELEMENT
from edgebn.preparation.check import BYTES
from edgebn.preparation.data import Frame, Picture
from edgebn.preparation.pixel_numbers import lookup
from edgebn.preparation.resizing import boxes, linear_taps, taps

HEADER = "edgebn_picture.h"


def files(listing: Listing, picture: Picture, frame: Frame) -> dict[str, str]:
    """Return the texts by name."""
    return {
        f"{listing.name}_picture.h": _header(listing, frame),
        f"{listing.name}_picture.c": _source(listing, picture, frame),
    }


def _header(listing: Listing, frame: Frame) -> str:
    name, upper = listing.name, listing.name.upper()
    return f"""\
/* From pictures to the input of {comment(listing.title)}. Made by edgebn. */
#ifndef {upper}_PICTURE_H
#define {upper}_PICTURE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define {upper}_FRAME_HEIGHT {frame.height}
#define {upper}_FRAME_WIDTH {frame.width}
#define {upper}_FRAME_BYTES {frame.height * frame.width * BYTES[frame.layout]} /* {frame.layout}, rows without gaps */

/* Makes the input for {name}_run of a frame, row by row. */
void {name}_picture(const uint8_t *frame, {_element(listing)} *input);

#ifdef __cplusplus
}}
#endif

#endif
"""


def _source(listing: Listing, picture: Picture, frame: Frame) -> str:
    name = listing.name
    buffer = listing.program.buffers[listing.program.inputs[0]]
    rows, columns, channels = buffer.shape
    found = boxes(picture, (frame.height, frame.width), (rows, columns))
    top, left, height, width = found.source
    to_top, to_left, to_height, to_width = found.target
    is_linear = picture.resize == "bilinear"
    if is_linear:
        across, down = linear_taps(width, to_width, is_row=False), linear_taps(height, to_height, is_row=True)
    else:
        across, down = taps(picture.resize, width, to_width), taps(picture.resize, height, to_height)
    table = lookup(picture, buffer)
    shared = bool((table == table[0]).all())  # one row for all channels
    arrays = [
        CArray("columns", "uint16_t", across.first.astype(np.uint16), f"{across.first.shape}: which pixels make a column"),
        CArray("column_weights", "int32_t", across.weights, f"{across.weights.shape}"),
        CArray("rows", "uint16_t", down.first.astype(np.uint16), f"{down.first.shape}: and a row"),
        CArray("row_weights", "int32_t", down.weights, f"{down.weights.shape}"),
        CArray("table", _element(listing), table[:1] if shared else table, "by channel: the input's number of each pixel value"),
    ]
    count = to_width * channels
    memory = f"static int16_t across[{2 * count}];" if is_linear else f"static int32_t sums[{count}];"
    row = (
        "edgebn_picture_linear(&picture, frame, y, across, held, values);"
        if is_linear
        else "edgebn_picture_weighed(&picture, frame, y, sums, values);"
    )
    held = "    int32_t held[2] = {-1, -1};\n" if is_linear else ""
    place = f"{columns * channels} * ({to_top} + y) + {channels} * ({to_left} + x)"
    return f"""\
/* From pictures to the input of {comment(listing.title)}. Made by edgebn. */
#include "{name}_picture.h"

#include "{KERNELS}/{HEADER}"
#include "{name}_params.h"

{chr(10).join(static_definition(array) for array in arrays)}
static const edgebn_picture picture = {{
    EDGEBN_FRAME_{frame.layout.upper()}, {frame.width * BYTES[frame.layout]}, {top}, {left}, {to_height}, {to_width}, {channels},
    {across.weights.shape[1]}, {down.weights.shape[1]}, columns, column_weights, rows, row_weights
}};

{memory}
static uint8_t values[{count}];

void {name}_picture(const uint8_t *frame, {_element(listing)} *input) {{
{held}    int32_t x, y;

{_border(picture, buffer.shape, (to_height, to_width), shared=shared)}    for (y = 0; y < {to_height}; y++) {{
        {row}
        for (x = 0; x < {to_width}; x++) {{
{_channels(picture, channels, place, shared=shared)}
        }}
    }}
}}
"""


def _border(picture: Picture, shape: tuple[int, int, int], inner: tuple[int, int], *, shared: bool) -> str:
    """Return what fills the borders of a letterbox, and the middle until it is written."""
    rows, columns, channels = shape
    if inner == (rows, columns):
        return ""
    lines = [
        f"        input[{channels} * x + {c}] = table[{(0 if shared else 256 * c) + picture.border}];" for c in range(channels)
    ]
    return f"    for (x = 0; x < {rows * columns}; x++) {{\n" + "\n".join(lines) + "\n    }\n"


def _channels(picture: Picture, channels: int, place: str, *, shared: bool) -> str:
    order = range(channels)[::-1] if picture.colours == "bgr" else range(channels)
    return "\n".join(
        f"            input[{place} + {c}] = table[{'' if shared else f'{256 * c} + '}values[{channels} * x + {stored}]];"
        for c, stored in enumerate(order)
    )


def _element(listing: Listing) -> str:
    return ELEMENT[listing.program.buffers[listing.program.inputs[0]].dtype][0]
