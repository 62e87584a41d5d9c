"""Packs the integer contract for the vector kernels, once at load, and proves where a float32 multiply-add may stand for it.

`int8_epilogue.py` says what the kernels do with it. Two things are decided here for a whole layer:

guard
    A bound, in units of 2**-16, on the error of the float form.
base
    Accumulators start from an integer that, read as the bits of a float32, is 1.5 * 2**23 plus a little. Adding an integer to
    such bits adds the same integer to the float, so a finished accumulator *is* a float and needs no conversion, as long as it
    stays below 2**22. The little is chosen, channel by channel, so that the offset that takes the base off again is
    a float32 almost exactly. Where that cannot be had (large accumulators, or tiny ones whose base would drown them), the base is 0
    and kernels convert.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.records import BOUNDED, CLIPPED, CONVERTED, DOUBLE_ROUNDED, INT8_LONGS, INT8_WORDS, NEGATIVE_ROUNDING, UNIT_BITS
from edgebn.quick_dataclass import dataclass

UNIT = 1 << UNIT_BITS
SEEN = 256 * UNIT  # outputs beyond 256 are clipped, whatever the error
MAX_TOTAL = 2.0**31 - 2.0**12  # of t, so that its conversion to int32 is defined
LARGEST_GUARD = 256  # in units; a channel that needs more goes through 64-bit integers always

CLEAR = 2 * LARGEST_GUARD / UNIT + 2.0**-8  # of a code: a t further from a whole one is in no doubt
MAX_CLIPPED = 1 << 30  # accumulators at which a channel may saturate: they must be int32
CLEAR_STEPS = 16  # accumulators that are looked at for one

MIDDLE = 3 << 22  # 1.5 * 2**23: below it and above it a float32 holds every integer within 2**22
MIDDLE_BITS = 0x4B400000
NEAR = np.arange(256)  # integers above the middle that are tried first
NEAR_MIDDLE = (MIDDLE + NEAR).astype(np.float64)
FAR = 1 << 20  # and the bound on those that are looked for
MIN_GUARD = 2  # with a base: a smaller one is seldom found and gains little
SLACK = 2.0**-6  # of a unit: covers the float64 in which errors are computed
# A base is worth a conversion only while it does not raise the guard (and with it the doubts) by more than this factor.
WORTH = 2


@dataclass(frozen=True)
class Requantization:
    """The arrays of an integer epilogue, (channels,) each, and its scalars, as docs/integer-contract.md names them."""

    acc_bias: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    m: np.ndarray
    r: np.ndarray
    s: np.ndarray
    neg: bool
    zero_point: int
    qmin: int
    qmax: int


@dataclass(frozen=True)
class PackedEpilogue:
    """A packed integer epilogue.

    Attributes
    ----------
    data : ndarray of uint8
        Blocks of `nv` vectors of channels, each with the arrays of `INT8_WORDS` and `INT8_LONGS`.
    scalars : dict of str to int
        As `Int8Epilogue.scalars` names them.
    largest : ndarray of int64, shape (O,)
        Bound on the magnitude of every channel's clipped accumulator.
    """

    data: np.ndarray
    scalars: dict[str, int]
    largest: np.ndarray


@dataclass(frozen=True)
class _Exact:
    """t of a layer, u * scale + start less a rounding where u < 0, in units: float64 (channels,) each, exact but for their own.

    Attributes
    ----------
    scale, start : ndarray
    rounded_down : ndarray
        What rounding negative accumulators once more takes off.
    negative_rounding : ndarray
        That, or 0 where they are not.
    """

    scale: np.ndarray
    start: np.ndarray
    rounded_down: np.ndarray
    negative_rounding: np.ndarray


@dataclass(frozen=True)
class _FloatEpilogue:
    """The float form of a layer: (channels,) each, and its guard. float32: scale, offset; int64: negative_rounding, base."""

    scale: np.ndarray
    offset: np.ndarray
    negative_rounding: np.ndarray
    base: np.ndarray
    guard: int


def pack_epilogue_i8(
    isa: InstructionSet, epilogue: Requantization, weight: np.ndarray, nv: int, *, with_base: bool = True, saturating: bool = True
) -> PackedEpilogue:
    """Return an integer epilogue in blocks, with the float form of it and its guard.

    Parameters
    ----------
    isa : InstructionSet
    epilogue : Requantization
    weight : ndarray of int8, shape (O, ...)
        All the weights of each output channel: their sums bound the accumulator.
    nv : int
        Vectors a block.
    with_base : bool
        Whether a base may be looked for, which takes time.
    saturating : bool
        Whether accumulators of channels of large gain may be clipped where the output is (`_saturated`).
    """
    flat = weight.reshape(len(weight), -1).astype(np.int64)
    bias = epilogue.acc_bias.astype(np.int64)
    reach = np.abs(bias) + 128 * np.abs(flat).sum(axis=1)
    # What clipping makes of the ends of that range: the same bounds for every accumulator there is.
    least, most = epilogue.lo.astype(np.int64), epilogue.hi.astype(np.int64)
    lo, hi = (np.minimum(np.maximum(end, least), most) for end in (-reach, reach))
    exact = _exact(epilogue)
    if saturating:
        lo, hi = _saturated(epilogue, exact, lo, hi)
    clips = bool(((lo > -reach) | (hi < reach)).any())
    largest = np.maximum(np.abs(lo), np.abs(hi))
    form = _float_form(exact, largest, with_base=with_base)
    stored_bias = bias + form.base
    if isa.code_flip:  # codes are stored plus 128: take 128 * sum(w) off again
        stored_bias = stored_bias - 128 * flat.sum(axis=1)
    arrays: dict[str, np.ndarray] = {
        "bias": _wrapped(stored_bias),
        "scale": form.scale.view(np.int32),
        "offset": form.offset.view(np.int32),
        "negative_rounding": form.negative_rounding.astype(np.int32),
        "base": _wrapped(form.base),
        "lo": _wrapped(lo + form.base),
        "hi": _wrapped(hi + form.base),
        "m": epilogue.m.astype(np.int32),
        "r": epilogue.r.astype(np.int64),
        "s": epilogue.s.astype(np.int64),
    }
    width = nv * isa.lanes
    parts = [blocks([arrays[name] for name in names], width) for names in (INT8_WORDS, INT8_LONGS)]
    # Channels that do not exist must not raise doubts: their t is half-way between integers.
    parts[0][-1, INT8_WORDS.index("offset"), (len(flat) - 1) % width + 1 :] = np.float32(UNIT / 2).view(np.int32)
    data = np.concatenate([part.view(np.uint8).reshape(len(part), -1) for part in parts], axis=1)
    modes = {
        DOUBLE_ROUNDED: epilogue.neg,
        CLIPPED: clips,
        CONVERTED: not form.base.any(),
        BOUNDED: (epilogue.qmin, epilogue.qmax) != (-128, 127),
    }
    scalars = {
        "zero": epilogue.zero_point + 128,
        "low": epilogue.qmin + 128,
        "high": epilogue.qmax + 128,
        "safe_mask": (UNIT - 1) & ~(2 * form.guard - 1),
        "mode": sum(bit for bit, is_set in modes.items() if is_set),
    }
    return PackedEpilogue(data, scalars, largest)


def _exact(epilogue: Requantization) -> _Exact:
    """Return t of a layer as float64 has it."""
    power = np.ldexp(1.0, -epilogue.s.astype(np.int32)) * UNIT
    rounded_down = NEGATIVE_ROUNDING * power
    return _Exact(
        scale=epilogue.m * power,
        start=epilogue.r * power + (epilogue.zero_point + 128) * float(UNIT),
        rounded_down=rounded_down,
        negative_rounding=rounded_down if epilogue.neg else np.zeros(len(power)),
    )


def _saturated(epilogue: Requantization, exact: _Exact, lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of accumulators; of channels whose t could leave int32, just past where the output no longer changes.

    With n the negative rounding, 0 or 2**31, (u * m + r - n) >> s is qmax less the zero point or more where u * m + r - 2**31 is
    (qmax - zero point) * 2**s or more, and qmin less it or less where u * m + r is below (qmin - zero point + 1) * 2**s. Beyond
    either u the output is that bound, so that clipping there changes no byte; between them lie little more than 256 codes. In
    Python's integers.
    """
    lo, hi = lo.copy(), hi.copy()
    largest = np.maximum(np.abs(lo), np.abs(hi))
    bound = largest * np.abs(exact.scale) + np.abs(exact.start) + exact.rounded_down
    for channel in np.flatnonzero((bound >= MAX_TOTAL) & (epilogue.m != 0)).tolist():
        m, r, s = (int(array[channel]) for array in (epilogue.m, epilogue.r, epilogue.s))
        # u * m is `high` or more: saturated above; `low` or less: below.
        high = ((epilogue.qmax - epilogue.zero_point) << s) - r + (NEGATIVE_ROUNDING if epilogue.neg else 0)
        low = ((epilogue.qmin - epilogue.zero_point + 1) << s) - 1 - r
        first, last = (low // m, -(-high // m)) if m > 0 else (high // m, -(-low // m))
        first, last = _clear_of_doubt(epilogue, channel, first, -1), _clear_of_doubt(epilogue, channel, last, 1)
        if max(abs(first), abs(last)) > MAX_CLIPPED:
            continue
        begin, end = int(lo[channel]), int(hi[channel])
        # Where all accumulators there are saturate, any one that does stands for them.
        lo[channel] = first if first > end else min(max(begin, first), last)
        hi[channel] = last if last < begin else max(min(end, last), first)
    return lo, hi


def _clear_of_doubt(epilogue: Requantization, channel: int, u: int, step: int) -> int:
    """Return the accumulator from `u` on whose t is not near a whole code: it stands for all those beyond it."""
    m, r, s = (int(array[channel]) for array in (epilogue.m, epilogue.r, epilogue.s))
    for at in range(u, u + CLEAR_STEPS * step, step):
        fraction = at * m + r - (NEGATIVE_ROUNDING if epilogue.neg and at < 0 else 0) & (1 << s) - 1
        if CLEAR <= fraction / (1 << s) <= 1 - CLEAR:
            return at
    return u


def _float_form(exact: _Exact, largest: np.ndarray, *, with_base: bool) -> _FloatEpilogue:
    """Return scale, offset, negative_rounding and base, and the guard (units) that covers their error.

    t = int(fma(float(u + base), scale, offset)) - (negative_rounding if u < 0 else 0). Its error against T + guard, where T is in
    sight (0 <= T < 256 codes): the rounding of scale times the largest u in sight, the rounding of offset, the fraction of
    negative_rounding, half a unit for the multiply-add (its result is below 2**24, or clipped), and without a base that of
    float(u) where u has more than 24 bits.

    Parameters
    ----------
    exact : _Exact
    largest : ndarray of int64
        Bound on the magnitude of every channel's u.
    """
    scale = exact.scale.astype(np.float32)
    gain, distance = np.abs(exact.scale), np.abs(exact.start)
    reach = SEEN + distance + exact.negative_rounding
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = np.where(scale == 0, largest, np.minimum(largest, 1.01 * reach / gain))
    bound = largest * gain + distance + exact.negative_rounding
    negative_rounding = np.floor(np.minimum(exact.negative_rounding, MAX_TOTAL))
    common = seen * np.abs(exact.scale - scale) + (exact.negative_rounding - negative_rounding) + 0.5
    # Far beyond what is seen, errors need only stay below a whole code.
    possible = (bound < MAX_TOTAL) & (distance < 2.0**30)

    def converted(guard: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        start = (exact.start + guard).astype(np.float32)
        rounding = np.where(largest < 2**24, 0.0, seen * gain * 2.0**-24)
        return np.zeros(len(start), np.int64), start, common + rounding + np.abs(exact.start + guard - start)

    def based(guard: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        above, start, residual = _best_bases(exact.start + guard, scale, guard - SLACK - common, min(room, FAR))
        return MIDDLE_BITS + above, start, common + residual

    room = (1 << 22) - 1 - int(largest.max())
    if room < len(NEAR) or not with_base:
        return _form(_smallest_guard(converted, possible), scale, negative_rounding)
    by_base = _smallest_guard(based, possible, MIN_GUARD)
    if by_base.guard <= WORTH and by_base.trusted[possible].all():  # as nearly always: no conversion can be worth more
        return _form(by_base, scale, negative_rounding)
    by_conversion = _smallest_guard(converted, possible)
    worth = by_base.guard <= WORTH * by_conversion.guard and by_base.trusted[by_conversion.trusted].all()
    return _form(by_base if worth else by_conversion, scale, negative_rounding)


def _best_bases(start: np.ndarray, scale: np.ndarray, allowed: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return integers b so that start - (MIDDLE + b) * scale is nearly a float32, that float32, and how much it is off.

    Parameters
    ----------
    start : ndarray of float64
    scale : ndarray of float32
    allowed : ndarray of float64
        Where a channel is off by no more, the search ends.
    room : int
        b stays below it.
    """
    rows = np.arange(len(start))
    off = scale.astype(np.float64)[:, None] * NEAR_MIDDLE  # (channels, 256), which becomes how much each is off
    np.subtract(start[:, None], off, out=off)
    np.subtract(off, off.astype(np.float32), out=off)
    np.abs(off, out=off)
    best = off.argmin(axis=1)
    for channel in np.flatnonzero(off[rows, best] > allowed):
        found = _far_base(float(start[channel]), float(scale[channel]), float(allowed[channel]))
        if found is not None and found < room:
            best[channel] = found
    exact = start - (MIDDLE + best) * scale.astype(np.float64)
    offset = exact.astype(np.float32)
    return best, offset, np.abs(exact - offset)


def _far_base(start: float, scale: float, allowed: float) -> int | None:
    """Return the least integer b >= 0 so that start - (MIDDLE + b) * scale is a float32 but for `allowed`, if there is one.

    With scale an integer in steps of its own last bit, and what a float32 of the result's size resolves likewise, that is: the
    least b whose product with an integer, modulo a power of two, falls into a given interval.
    """
    if scale == 0:
        return None
    mantissa, exponent = math.frexp(scale)
    factor, step = int(mantissa * 2**24), exponent - 24
    middle = start - MIDDLE * scale
    modulus = 1 << (math.frexp(middle)[1] - 24 - step)
    width = int(math.ldexp(allowed, -step))
    low = (math.floor(math.ldexp(middle, -step)) - width) % modulus
    return _first_in_range(factor % modulus, modulus, low, low + 2 * width) if width > 0 and low + 2 * width < modulus else None


def _first_in_range(factor: int, modulus: int, low: int, high: int) -> int | None:
    """Return the least x >= 0 with low <= factor * x mod modulus <= high, if there is one, as Euclid would find it."""
    if low == 0:
        return 0
    if factor == 0:
        return None
    if 2 * factor > modulus:
        return _first_in_range(modulus - factor, modulus, modulus - high, modulus - low)
    steps = -(-low // factor)
    if factor * steps <= high:
        return steps
    # Whole turns around the modulus, seen modulo the factor, are the same problem again, and smaller.
    turns = _first_in_range(-modulus % factor, factor, low % factor, high % factor)
    return None if turns is None else -(-(low + modulus * turns) // factor)


@dataclass(frozen=True)
class _Choice:
    """Bases and offsets of one way to form t, the guard that covers their error, and the channels that it covers."""

    base: np.ndarray
    offset: np.ndarray
    guard: int
    trusted: np.ndarray


def _smallest_guard(
    way: Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray]], possible: np.ndarray, least: int = 1
) -> _Choice:
    """Return the choice with the smallest guard that is no less than the error it leads to; `way` gives base, offset, error."""
    for guard in (1 << power for power in range(least.bit_length() - 1, LARGEST_GUARD.bit_length())):
        base, offset, error = way(guard)
        trusted = possible & (error < LARGEST_GUARD / 2)
        if error[trusted].max(initial=0.0) + SLACK <= guard:
            break
    return _Choice(base, offset, guard, trusted)


def _form(choice: _Choice, scale: np.ndarray, negative_rounding: np.ndarray) -> _FloatEpilogue:
    """Return the arrays of a choice; an untrusted channel gets t = 0: always in doubt."""
    scale, offset, negative_rounding = (np.where(choice.trusted, array, 0) for array in (scale, choice.offset, negative_rounding))
    return _FloatEpilogue(
        scale.astype(np.float32), offset.astype(np.float32), negative_rounding.astype(np.int64), choice.base, choice.guard
    )


def _wrapped(values: np.ndarray) -> np.ndarray:
    """Return int64 values as the int32 that they are modulo 2**32: accumulators wrap around, their sums do not."""
    return values.astype(np.uint64).astype(np.uint32).view(np.int32)


def blocks(arrays: Sequence[np.ndarray], width: int) -> np.ndarray:
    """Return arrays of one type, (channels,) each, as (blocks, arrays, width), with 0 where there is no channel."""
    channels = len(arrays[0])
    count = -(-channels // width)
    padded = np.zeros((len(arrays), count * width), arrays[0].dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[:channels] = array
    return np.ascontiguousarray(padded.reshape(len(arrays), count, width).transpose(1, 0, 2))
