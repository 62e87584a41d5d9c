"""Boxes of (height, width, channels) copied from one array into another: what concat, crop and pad have in common."""

from __future__ import annotations

from codegen.emitters.text import struct
from edgebn.program import ELEMENT_BYTES, Buffer, Hwc


def at(pointer: str, shape: Hwc, start: Hwc) -> str:
    """Return the pointer to element `start` of an array of `shape`."""
    elements = (start[0] * shape[1] + start[1]) * shape[2] + start[2]
    return f"{pointer} + {elements}" if elements else pointer


def box(size: Hwc, source: Buffer, target: Buffer) -> str:
    """Return `edgebn_box` for `size` elements moved between two buffers; runs that touch in both become one."""
    nbytes = ELEMENT_BYTES[source.dtype]
    height, width, channels = size
    run = channels
    in_row, in_column = source.shape[1] * source.shape[2], source.shape[2]
    out_row, out_column = target.shape[1] * target.shape[2], target.shape[2]
    if in_column == out_column == run:
        run, width = run * width, 1
        if in_row == out_row == run:
            run, height = run * height, 1
    return struct(
        "edgebn_box", height=height, width=width, run=run * nbytes,
        in_row=in_row * nbytes if height > 1 else 0, in_column=in_column * nbytes if width > 1 else 0,
        out_row=out_row * nbytes if height > 1 else 0, out_column=out_column * nbytes if width > 1 else 0,
    )  # fmt: skip
