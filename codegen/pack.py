"""Layouts of constant arrays: weights, and the numbers of an epilogue, as the kernels in `codegen/c` read them.

Plain NumPy; knows nothing of C text, names or memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebn.program import IntEpilogue
from edgebn.reference.refold import MAX_SHIFT_LOSS

CHANNEL_WORDS = 5  # bias, m, r low, r high, s
TAP_BLOCK = 4
_MAX_REFOLDED_SHIFT = 54  # up to here a refolded r, below 2**62, takes the zero point and leaves room for the product
_LOWEST_SHIFT = 32  # from here on only the high word of a 64-bit sum is shifted


def round_up(size: int, multiple: int = TAP_BLOCK) -> int:
    """Return `size` filled up to a multiple."""
    return -(-size // multiple) * multiple


def pack_pairs(weight: np.ndarray, groups: int = 1) -> np.ndarray:
    """Return weights in pairs of channels and blocks of four taps, filled up with zeros.

    Parameters
    ----------
    weight : ndarray of int8, shape (O, ...)
        The taps of a channel in row-major order.
    groups : int

    Returns
    -------
    ndarray of int8, shape (groups, ceil(O / groups / 2), ceil(taps / 4), 2, 4)
    """
    flat = weight.reshape(groups, len(weight) // groups, -1)
    channels, taps = flat.shape[1:]
    filled = np.zeros((groups, round_up(channels, 2), round_up(taps)), np.int8)
    filled[:, :channels, :taps] = flat
    return filled.reshape(groups, -1, 2, filled.shape[2] // TAP_BLOCK, TAP_BLOCK).transpose(0, 1, 3, 2, 4)


def has_lowest_pair(packed: np.ndarray) -> bool:
    """Whether two taps that a kernel may add in 16 bits are both -128: their products can then reach 2**15 (see `pack_pairs`)."""
    return bool(np.any(np.all(packed.reshape(-1, 2) == -128, axis=1)))


def can_share(packed: np.ndarray) -> bool:
    """Whether a half word can hold a tap's weights of both channels as 256 a + b, and what the sums of a reach 24 bits."""
    b, a = packed[..., 0, :].astype(np.int64), packed[..., 1, :].astype(np.int64)
    fits = np.all(a - (b < 0) >= -128) and np.all(np.abs(a).sum(axis=(-2, -1)) * 128 < 2**23)
    return bool(fits)


def pack_depthwise(weight: np.ndarray) -> np.ndarray:
    """Return depthwise weights (C, kh, kw, 1) as (kh, kw, C)."""
    return weight[:, :, :, 0].transpose(1, 2, 0)


@dataclass(frozen=True)
class PackedEpilogue:
    """An integer epilogue as `edgebn_epilogue_s8` wants it.

    Attributes
    ----------
    channels : ndarray of int32, shape (channels, 5)
        Accumulator bias, m, r (low and high word), and s - 32, or s where `wide`.
    limits : ndarray of int32, shape (channels, 2), or None
        lo and hi, where they can change an accumulator.
    zero_point : int
        0 where r holds it.
    low, high : int
    neg, wide : bool
    lowest : bool
        Whether weights are too large for what kernels share: `has_lowest_pair`, or not `can_share`.
    adapts : bool
        Whether the kernels read the table in RAM, and hand out accumulators to be observed.
    """

    channels: np.ndarray
    limits: np.ndarray | None
    zero_point: int
    low: int
    high: int
    neg: bool
    wide: bool
    lowest: bool
    adapts: bool = False

    @property
    def is_simple(self) -> bool:
        """Whether nothing but m, r and s (and `neg`) changes an accumulator, and the weights are no special case."""
        return self.limits is None and not self.wide and not self.lowest and (self.low, self.high) == (-128, 127)


def accumulator_bound(e: IntEpilogue, products: np.ndarray | int) -> np.ndarray:
    """Return the largest magnitude of every channel's accumulator, as Python integers.

    Parameters
    ----------
    e : IntEpilogue
    products : ndarray or int
        Largest magnitude of the sum of products, per channel or for all.
    """
    return np.abs(e.acc_bias.astype(object)) + products


def sum_bound(weight: np.ndarray) -> np.ndarray:
    """Return the largest magnitude of sum(w * q) per output channel, weight (O, ...), q any code."""
    return 128 * np.abs(weight.astype(np.int64)).reshape(len(weight), -1).sum(axis=1)


def pack_epilogue(e: IntEpilogue, bound: np.ndarray, *, lowest: bool = False, adapts: bool = False) -> PackedEpilogue:
    """Lay an epilogue out for the kernels; exact for every accumulator within `bound` (per channel, before the clip).

    Where the step `adapts`, the layout also holds every m, r and s that a refold may put in their place (`reference/refold.py`).
    """
    lo, hi = e.lo.astype(object), e.hi.astype(object)
    clips = bool(np.any(lo > -bound) or np.any(hi < bound))
    magnitude = np.minimum(bound, np.maximum(abs(lo), abs(hi))) if clips else bound
    m, r, s = e.m.astype(object), e.r.astype(object), e.s.astype(object)
    lift = np.maximum(0, _LOWEST_SHIFT - s)  # the same quotient with m, r and 2**s times a power of two
    lifted_m = m * 2**lift
    lifted_r = r * 2**lift + e.zero_point * 2 ** (s + lift)
    room = magnitude * abs(lifted_m) + abs(lifted_r) + 2**31 < 2**63
    wide = bool(np.any(~room.astype(bool)) or np.any(abs(lifted_m) >= 2**31) or (e.neg and np.any(lift > 0)))
    if adapts:
        wide = not bool(np.all((s >= _LOWEST_SHIFT + MAX_SHIFT_LOSS) & (s <= _MAX_REFOLDED_SHIFT) & (magnitude < 2**30)))
    words = np.empty((len(m), CHANNEL_WORDS), object)
    words[:, 0] = e.acc_bias
    words[:, 1] = m if wide else lifted_m
    words[:, 2] = (r if wide else lifted_r) & 0xFFFFFFFF
    words[:, 3] = (r if wide else lifted_r) >> 32
    words[:, 4] = s if wide else s + lift - _LOWEST_SHIFT
    return PackedEpilogue(
        words.astype(np.int64).astype(np.uint32).view(np.int32),
        np.stack([e.lo, e.hi], 1).astype(np.int32) if clips else None,
        int(e.zero_point) if wide else 0,
        int(e.qmin),
        int(e.qmax),
        bool(e.neg),
        wide,
        lowest,
        adapts,
    )
