"""Finds the form in which an int8 map is scaled by channel exactly (`scale_tile.py`), and proves its guard. Needs no Numba."""

from __future__ import annotations

import math

import numpy as np

from edgebn.kernels.add_int8_proof import half_step
from edgebn.kernels.records import NEGATIVE_ROUNDING, UNIT_BITS
from edgebn.kernels.requantization import MAX_TOTAL, SLACK, UNIT

MAX_FACTOR = 255 * 255  # of the two codes less their zero points


def scaling_proof(final: tuple[int, int, int, int], bounds: tuple[int, int, int]) -> dict[str, int] | None:
    """Return the scalars of the float form as `scale_tile_i8` names them, or None where float32 is too coarse to be of use.

    Parameters
    ----------
    final : (multiplier, rounding, shift, neg)
        From the product to y.
    bounds : (zero_point, qmin, qmax)
    """
    multiplier, rounding, shift, neg = final
    power = UNIT / 2.0**shift
    exact = multiplier * power
    middle = rounding * power + (bounds[0] + 128) * float(UNIT)
    less = float(NEGATIVE_ROUNDING if neg else 0) * power  # of negative products
    scale = float(np.float32(exact))
    largest = MAX_FACTOR * abs(exact) + abs(middle) + less
    # The scale is rounded, and so are its product by a code and, where negative ones round otherwise, that by the other: each by
    # half a unit in the last place of a product that is at most as large as makes the total 2**24, from where on it is clipped. The
    # total then is, by half a unit.
    in_range = min(largest, 2.0**24 + abs(middle) + less)
    error = 3 * in_range * 2.0**-24 + half_step(abs(middle) + less + UNIT) + 0.5
    guard = 1 << max(math.ceil(math.log2(error + SLACK)), 0)
    if guard > UNIT // 8 or largest + guard > MAX_TOTAL:
        return None
    start, safe_mask = middle + guard, (UNIT - 1) & ~(2 * guard - 1)
    half = _half_grid(final)
    if half and exact == scale and largest + half <= half * 2.0**24:
        # float32 holds every number, each lies between two of the grid's, and none is in doubt.
        start, safe_mask = middle + half, half
    reals = {"scale_bits": scale, "start_bits": start, "below_bits": start - less}
    return {
        **{name: int(np.float32(value).view(np.int32)) for name, value in reals.items()},
        "safe_mask": safe_mask,
        "bounded": int(bounds[1:] != (-128, 127)),
    }


def _half_grid(final: tuple[int, int, int, int]) -> int:
    """Return half the largest power of two, at most UNIT, of which every total is a multiple; 0 where there is none.

    Scales that are powers of two have one. Many of their products are ties, of which the general form is in doubt each time.
    """
    multiplier, rounding, shift, neg = final
    every = multiplier | rounding | 1 << shift | (NEGATIVE_ROUNDING if neg else 0)
    return (every & -every) << UNIT_BITS >> shift + 1
