"""New epilogues from a drift and a variance ratio per channel (docs/adaptation.md): the specification of the refold.

With x what the batch norm receives, m0 its source mean and sigma = sqrt(source variance + epsilon), the new mean is
m0 + sigma * drift and the new variance + epsilon is sigma**2 * ratio; the output at the mean stays what it was. A channel with
drift 0 and ratio 1 keeps its source numbers bit for bit.
"""

from __future__ import annotations

import numpy as np

from edgebn.adaptation import AdaptedLayer
from edgebn.program import FloatEpilogue, IntEpilogue

INT32_MAX = (1 << 31) - 1
GAIN_BITS = 20  # fraction bits of 1 / sqrt(ratio)
DRIFT_BITS = 4  # fraction bits of the drift in accumulator units
MAX_SHIFT_LOSS = 4  # bits that a shift may give up to a larger multiplier: gains below 16
LARGEST_OFFSET = 1 << 62  # of |r|: with |u * m| <= 2**62 no 64-bit sum overflows
LARGEST_SOURCE_OUTPUT = 1 << 61  # of |u * m + r| where u is the center
LARGEST_CENTER = 1 << 28
LARGEST_MOVE = np.float32(1 << 30)  # of the drift, in units of 2**-DRIFT_BITS accumulator steps
HALF_NEGATIVE_ROUNDING = 1 << 30  # half of NEG: the bias that double rounding takes back in the mean


def gains(ratio: np.ndarray) -> np.ndarray:
    """Return 1 / sqrt(ratio) in float32: one correctly rounded root, one correctly rounded division."""
    return np.float32(1) / np.sqrt(ratio)


def is_source(drift: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Whether a channel keeps its source numbers."""
    return (drift == 0) & (ratio == 1)


def refold_int(
    epilogue: IntEpilogue, layer: AdaptedLayer, drift: np.ndarray, ratio: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return (m, r, s) of an int8 step, or None where some channel's would leave its range: then nothing may be changed.

    Everything after the float32 gain and drift is 64-bit integers, and no sum of them overflows (`refusal`).

    Parameters
    ----------
    epilogue : IntEpilogue
        The source's.
    layer : AdaptedLayer
    drift, ratio : ndarray of float32, shape (channels,)
        ratio > 0.

    Returns
    -------
    (m int32, r int64, s uint8), each (channels,), or None
    """
    assert layer.observation.shift is not None
    m0, r0, s0 = epilogue.m.astype(np.int64), epilogue.r, epilogue.s.astype(np.int64)
    center = layer.observation.center.astype(np.int64)
    # One unit of e is 2**shift accumulator units: a power of two, exact in float32.
    unit = ((layer.observation.shift.astype(np.int32) + DRIFT_BITS + 127) << 23).view(np.float32)
    moved = (drift * layer.sigma) * unit
    gain = gains(ratio) * np.float32(1 << GAIN_BITS)
    if not ((np.abs(moved) < LARGEST_MOVE) & (gain < np.float32(1 << (GAIN_BITS + MAX_SHIFT_LOSS)))).all():
        return None
    delta = moved.astype(np.int64)  # towards zero
    product = m0 * gain.astype(np.int64)
    loss = np.zeros(len(m0), np.int64)
    for _ in range(MAX_SHIFT_LOSS):
        loss += np.abs(_halved(product, GAIN_BITS + loss)) > INT32_MAX
    m, s = _halved(product, GAIN_BITS + loss), s0 - loss
    half_rounding = np.where((epilogue.lo < 0) & epilogue.neg, HALF_NEGATIVE_ROUNDING, 0)
    at_center = m0 * center + r0 - (np.int64(1) << (s0 - 1)) - half_rounding
    at_center = np.where(loss > 0, _halved(at_center, np.maximum(loss, 1)), at_center)
    half = np.int64(1) << (np.maximum(s, 1) - 1)
    r = at_center + half + half_rounding - m * center - _halved(m * delta, np.int64(DRIFT_BITS))
    keep = is_source(drift, ratio) | (layer.sigma == 0)
    fits = (np.abs(m) <= INT32_MAX) & (np.abs(r) <= LARGEST_OFFSET) & (s >= 1)
    if not (fits | keep).all():
        return None
    m, r, s = np.where(keep, m0, m), np.where(keep, r0, r), np.where(keep, s0, s)
    return m.astype(np.int32), r, s.astype(np.uint8)


def _halved(value: np.ndarray, bits: np.ndarray | np.int64) -> np.ndarray:
    """Return value / 2**bits rounded half up; bits >= 1."""
    return (value + (np.int64(1) << (bits - 1))) >> bits


def refold_float(
    epilogue: FloatEpilogue, layer: AdaptedLayer, drift: np.ndarray, ratio: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return float32 (a, d) of a float32 step, or None where some number would not be finite: then nothing may be changed.

    Parameters
    ----------
    epilogue : FloatEpilogue
        The source's.
    layer : AdaptedLayer
    drift, ratio : ndarray of float32, shape (channels,)
    """
    center = layer.observation.center
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
        a = epilogue.a * gains(ratio)
        d = (epilogue.a * center + epilogue.d) - a * (center + drift * layer.sigma)
    keep = is_source(drift, ratio) | (layer.sigma == 0)
    if not (np.isfinite(a) & np.isfinite(d) | keep).all():
        return None
    return np.where(keep, epilogue.a, a), np.where(keep, epilogue.d, d)


def refusal(epilogue: IntEpilogue, center: np.ndarray, bounds: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return which channels of an int8 step cannot be refolded because a 64-bit sum might overflow, bool (channels,).

    Parameters
    ----------
    epilogue : IntEpilogue
    center : ndarray of int32, shape (channels,)
    bounds : (low, high)
        int64 arrays: what the accumulator can be, `acc_bias` included.
    """
    wide = [int(m) * int(c) + int(r) for m, c, r in zip(epilogue.m, center, epilogue.r, strict=True)]
    too_far = np.array([abs(value) > LARGEST_SOURCE_OUTPUT for value in wide])
    reach = np.maximum(bounds[1] - center, center - bounds[0])  # saturating subtraction needs no more than 32 bits
    return too_far | (np.abs(center.astype(np.int64)) > LARGEST_CENTER) | (reach > INT32_MAX) | (epilogue.s > 61)
