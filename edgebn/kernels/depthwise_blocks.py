"""What the vector depthwise kernels (multiplier 1) of both types share: blocks of channels, and where they begin.

A block is as many channels as a vector has bytes (int8) or lanes (float32); the last block moves left over the one before it.
"""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir

from edgebn.kernels.parameters import SavedAccumulators, Walk
from edgebn.kernels.vectors import I64


class Blocks(NamedTuple):
    """Blocks of channels: they begin `block_step` bytes apart, the last at `last_block`, and `valid` channels of a block exist."""

    blocks: int
    block_step: int
    last_block: int
    valid: int


GEOMETRY = (*Walk._fields, *Blocks._fields, *SavedAccumulators._fields)


def block_offset(builder: ir.IRBuilder, arguments: dict[str, ir.Value], index: ir.Value) -> ir.Value:
    """Return the bytes from the first channel to those of a block."""
    is_last = builder.icmp_signed("==", builder.add(index, ir.Constant(I64, 1)), arguments["blocks"])
    return builder.select(is_last, arguments["last_block"], builder.mul(index, arguments["block_step"]))
