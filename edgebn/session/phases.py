"""A transposed convolution as several plain ones: every stride-th output pixel is a convolution of stride 1 by some of the taps.

Output y meets tap i at input (y + top - i * dilation) / stride where that is whole. Those y that are equal modulo the stride, a
phase, meet the same taps, and along them the input advances by one. Arithmetic only; it packs nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from edgebn import program as p
from edgebn.quick_dataclass import dataclass, replace


@dataclass(frozen=True)
class Phase:
    """The outputs of one phase along both axes.

    Attributes
    ----------
    step : Convolution
        Of stride 1, with the phase's taps; its padding is what it reads around the input, below zero where it begins inside. Its
        integer epilogue holds the share of the taps that the phase never meets: those read the input's zero point.
    first : (row, column)
        Of the output.
    shape : (rows, columns)
        How many outputs there are, `strides` apart.
    """

    step: p.Convolution
    first: p.Pair
    shape: p.Pair


@dataclass(frozen=True)
class _Line:
    """A phase along one axis: its first output, how many, the taps by increasing input, their distance and the first input."""

    first: int
    count: int
    taps: tuple[int, ...]
    dilation: int
    start: int


def phases(step: p.TransposedConvolution, input_shape: p.Hwc, output_shape: p.Hwc, zero_point: int) -> Iterator[Phase]:
    """Return the phases of a transposed convolution that have any output.

    Parameters
    ----------
    step : TransposedConvolution
    input_shape, output_shape : (height, width, channels)
    zero_point : int
        Of an int8 input.
    """
    everything = step.weight.astype(np.int64).sum(axis=(1, 2, 3)) if isinstance(step.epilogue, p.IntEpilogue) else None
    for rows, columns in itertools.product(*_lines(step, output_shape)):
        weight = step.weight[:, rows.taps][:, :, columns.taps]
        if not weight.size:  # no tap meets these outputs: one of weight zero does
            weight = np.zeros((step.weight.shape[0], 1, 1, step.weight.shape[3]), step.weight.dtype)
        epilogue = step.epilogue
        if isinstance(epilogue, p.IntEpilogue):
            assert everything is not None
            share = zero_point * (everything - weight.astype(np.int64).sum(axis=(1, 2, 3)))
            epilogue = replace(epilogue, acc_bias=(epilogue.acc_bias + share).astype(epilogue.acc_bias.dtype))
        top, left = -rows.start, -columns.start
        bottom, right = (
            line.count - 1 + line.start + line.dilation * (size - 1) - (extent - 1)
            for line, size, extent in zip((rows, columns), weight.shape[1:3], input_shape[:2], strict=True)
        )
        plain = p.Convolution(
            step.name,
            step.inputs,
            step.output,
            np.ascontiguousarray(weight),
            epilogue,
            dilations=(rows.dilation, columns.dilation),
            padding=(top, left, bottom, right),
            groups=step.groups,
        )
        yield Phase(plain, (rows.first, columns.first), (rows.count, columns.count))


def halo(step: p.TransposedConvolution, input_shape: p.Hwc, output_shape: p.Hwc) -> p.Sides:
    """Return how many pixels around its input the phases read: (top, left, bottom, right)."""
    sides = [phase.step.padding for phase in phases(step, input_shape, output_shape, 0)]
    top, left, bottom, right = (max(0, *side) for side in zip(*sides, strict=True))
    return top, left, bottom, right


def _lines(step: p.TransposedConvolution, output_shape: p.Hwc) -> list[list[_Line]]:
    return [
        [
            _line(first, size, step.weight.shape[1 + axis], step.strides[axis], step.dilations[axis], step.padding[axis])
            for first in range(min(step.strides[axis], size))
        ]
        for axis, size in enumerate(output_shape[:2])
    ]


def _line(first: int, size: int, kernel: int, stride: int, dilation: int, before: int) -> _Line:
    count = len(range(first, size, stride))
    taps = [tap for tap in reversed(range(kernel)) if (first + before - tap * dilation) % stride == 0]
    start = (first + before - taps[0] * dilation) // stride if taps else 0
    return _Line(first, count, tuple(taps), dilation // math.gcd(stride, dilation), start)
