"""What turns an accumulator into an output (docs/integer-contract.md): the one place where the plain kernels requantise."""

from __future__ import annotations

import numpy as np

from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_f32, load_i64
from edgebn.kernels.records import NUDGE, RECORD_WORDS


@kernel
def biased(acc: int, epilogue: int, channel: int) -> np.int32:
    """Return an int8 accumulator as an observer wants it: with its bias."""
    return np.int32(acc + load_i64(epilogue, channel * RECORD_WORDS))


@kernel
def requantize(acc: int, epilogue: int, channel: int, neg: int, zero_point: int, qmin: int, qmax: int) -> int:
    """Return the code of an accumulator: exact in int64, for any m, r and s that the program may hold."""
    record = channel * RECORD_WORDS
    u = min(max(acc + load_i64(epilogue, record), load_i64(epilogue, record + 1)), load_i64(epilogue, record + 2))
    product = u * load_i64(epilogue, record + 3) + load_i64(epilogue, record + 4)
    if neg != 0 and u < 0:
        product -= NUDGE
    return min(max(zero_point + (product >> load_i64(epilogue, record + 5)), qmin), qmax)


@kernel
def normalize(
    acc: float, epilogue: int, channel: int, channels: int, pre_low: float, pre_high: float, post_low: float, post_high: float
) -> float:
    """Return clip(clip(acc + bias, pre) * a + d, post); `epilogue` holds bias, a and d, each float32 (channels,)."""
    u = acc + load_f32(epilogue, channel)
    u = min(max(u, pre_low), pre_high)
    y = u * load_f32(epilogue, channels + channel) + load_f32(epilogue, 2 * channels + channel)
    return min(max(y, post_low), post_high)
