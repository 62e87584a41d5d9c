"""What turns an accumulator into an output (docs/integer-contract.md): the one place where the plain kernels requantise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from edgebn.kernels.elements import FLOAT32, INT8, INT16, Element
from edgebn.kernels.jit import inlined, kernel
from edgebn.kernels.parameters import Clips, Codes, ProductCodes
from edgebn.kernels.primitives import load_f32, load_i64, store_f32, store_i32
from edgebn.kernels.records import NEGATIVE_ROUNDING, RECORD_WORDS


@kernel
def biased(acc: int, epilogue: int, channel: int) -> np.int32:
    """Return an int8 accumulator as an observer wants it: with its bias."""
    return np.int32(acc + load_i64(epilogue, channel * RECORD_WORDS))


@kernel
def requantize(acc: int, epilogue: int, channel: int, codes: Codes) -> int:
    """Return the code of an accumulator: exact in int64, for any m, r and s that the program may hold."""
    record = channel * RECORD_WORDS
    u = min(max(acc + load_i64(epilogue, record), load_i64(epilogue, record + 1)), load_i64(epilogue, record + 2))
    product = u * load_i64(epilogue, record + 3) + load_i64(epilogue, record + 4)
    if codes.neg != 0 and u < 0:
        product -= NEGATIVE_ROUNDING
    return min(max(codes.zero_point + (product >> load_i64(epilogue, record + 5)), codes.qmin), codes.qmax)


@kernel
def code_of_product(u: int, scaling: ProductCodes) -> int:
    """Return (u * multiplier + rounding - negative_rounding) >> shift about the zero point, as a code."""
    product = u * scaling.multiplier + scaling.rounding
    if scaling.neg != 0 and u < 0:
        product -= NEGATIVE_ROUNDING
    return min(max(scaling.zero_point + (product >> scaling.shift), scaling.qmin), scaling.qmax)


@kernel
def normalize(acc: float, epilogue: int, channel: int, channels: int, clips: Clips) -> float:
    """Return clip(clip(acc + bias, pre) * a + d, post); `epilogue` holds bias, a and d, each float32 (channels,)."""
    u = acc + load_f32(epilogue, channel)
    u = min(max(u, clips.pre_low), clips.pre_high)
    y = u * load_f32(epilogue, channels + channel) + load_f32(epilogue, 2 * channels + channel)
    return min(max(y, clips.post_low), clips.post_high)


class Output(NamedTuple):
    """How outputs of a type are made: `finish` stores one, and its accumulator where that is saved.

    `finish` takes (accumulator, epilogue, channel, channels, bounds, address of the output's pixel, row, offset), with bounds of
    the type `bounds`: the accumulator is saved `offset` bytes from `row`, where that is not 0.
    """

    element: Element
    bounds: type[Clips | Codes]
    finish: Callable[[Any, int, int, int, Any, int, int, int], None]


@inlined
def _finish_f32(acc: float, epilogue: int, channel: int, channels: int, clips: Clips, pixel: int, row: int, offset: int) -> None:
    if row != 0:
        store_f32(row + offset, channel, acc + load_f32(epilogue, channel))
    store_f32(pixel, channel, normalize(acc, epilogue, channel, channels, clips))


def _of_codes(element: Element) -> Output:
    store = element.store

    @inlined
    def finish(acc: int, epilogue: int, channel: int, channels: int, codes: Codes, pixel: int, row: int, offset: int) -> None:  # noqa: ARG001
        if row != 0:
            store_i32(row + offset, channel, biased(acc, epilogue, channel))
        store(pixel, channel, requantize(acc, epilogue, channel, codes))

    return Output(element, Codes, finish)


FLOAT32_OUTPUT = Output(FLOAT32, Clips, _finish_f32)
INT8_OUTPUT, INT16_OUTPUT = _of_codes(INT8), _of_codes(INT16)
