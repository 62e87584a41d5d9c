"""Finds the form in which the vector sum of two int8 buffers (`add_tile.py`) is exact, and proves its guard. Needs no Numba."""

from __future__ import annotations

import math

import numpy as np

from edgebn.kernels.isa import SELECTED
from edgebn.kernels.records import NEGATIVE_ROUNDING, UNIT_BITS
from edgebn.kernels.requantization import MAX_TOTAL, SLACK, UNIT
from edgebn.quick_dataclass import dataclass


@dataclass(frozen=True)
class Sum:
    """An integer sum in the form of this kernel: tables (256,) of int64 by stored byte, and scalars as `add_tile_i8` names them."""

    a_table: np.ndarray
    b_table: np.ndarray
    scalars: dict[str, int]


def sum_proof(
    a_table: np.ndarray, b_table: np.ndarray, final: tuple[int, int, int, int], bounds: tuple[int, int, int]
) -> Sum | None:
    """Return the kernel's form of a sum, or None where float32 is too coarse to be of use.

    Parameters
    ----------
    a_table, b_table : ndarray of int64, shape (256,)
        What each code adds to the total, by code + 128.
    final : (multiplier, rounding, shift, neg)
        From the total to y.
    bounds : (zero_point, qmin, qmax)
    """
    multiplier, rounding, shift, neg = final
    power = UNIT / 2.0**shift
    codes = np.arange(256)
    # The best line through each table; what it misses is counted as error.
    slopes = [(float(table[255]) - float(table[0])) / 255 for table in (a_table, b_table)]
    starts = [float(table[0]) for table in (a_table, b_table)]
    missed = sum(
        float(np.abs(table - (first + slope * codes)).max())
        for table, first, slope in zip((a_table, b_table), starts, slopes, strict=True)
    )
    negative_rounding = float(NEGATIVE_ROUNDING if neg else 0)
    exact = [slope * multiplier * power for slope in slopes]
    middle = (sum(starts) * multiplier + rounding - negative_rounding / 2) * power + (bounds[0] + 128) * float(UNIT)
    scales = [float(np.float32(value)) for value in exact]
    largest = abs(middle) + 255 * (abs(exact[0]) + abs(exact[1]))
    inner = max(abs(middle), abs(middle + 255 * exact[1])) + UNIT  # bound on what the first multiply-add gives
    error = 255 * sum(abs(value - scale) for value, scale in zip(exact, scales, strict=True))
    # Half a unit is the rounding of the second one, whose result is below 2**24, or clipped.
    error += (missed * multiplier + negative_rounding / 2) * power + half_step(inner) + half_step(abs(middle) + UNIT) + 0.5
    guard = 1 << max(int(np.ceil(np.log2(error + SLACK))), 0)
    if guard > UNIT // 8 or largest + guard > MAX_TOTAL:
        return None
    start, safe_mask = middle + guard, (UNIT - 1) & ~(2 * guard - 1)
    half = _half_grid(a_table, b_table, final)
    if half and exact == scales and largest + half <= half * 2.0**24:
        # float32 holds every number, each lies between two of the grid's, and none is in doubt.
        start, safe_mask = middle + half, half
    by_byte = codes ^ 0x80 ^ SELECTED.code_flip  # code + 128 of a stored byte
    integers = {
        "multiplier": multiplier,
        "rounding": rounding,
        "shift": shift,
        "neg": neg,
        "zero_point": bounds[0],
        "qmin": bounds[1],
        "qmax": bounds[2],
        "safe_mask": safe_mask,
        "bounded": int(bounds[1:] != (-128, 127)),
    }
    reals = {"a_scale": scales[0], "b_scale": scales[1], "start": start}
    integers |= {f"{name}_bits": int(np.float32(value).view(np.int32)) for name, value in reals.items()}
    return Sum(a_table[by_byte], b_table[by_byte], integers)


def _half_grid(a_table: np.ndarray, b_table: np.ndarray, final: tuple[int, int, int, int]) -> int:
    """Return half the largest power of two, at most UNIT, of which every pair of codes has a multiple; 0 where there is none.

    Scales that are powers of two have one. Many of their sums are ties, of which the general form is in doubt each time.
    """
    multiplier, rounding, shift, neg = final
    steps = [int(table[1]) - int(table[0]) for table in (a_table, b_table)]
    # Ties that go away from zero are not linear.
    if neg or any((np.diff(table) != step).any() for table, step in zip((a_table, b_table), steps, strict=True)):
        return 0
    every = ((int(a_table[0]) + int(b_table[0])) * multiplier + rounding) | steps[0] * multiplier | steps[1] * multiplier
    every |= 1 << shift  # UNIT, before the shift
    return (every & -every) << UNIT_BITS >> shift + 1


def half_step(magnitude: float) -> float:
    """Return half the distance between the float32 numbers of a size."""
    return math.ldexp(1.0, math.frexp(magnitude)[1] - 25)
