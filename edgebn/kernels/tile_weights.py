"""Packs weights and epilogues for the register tiles, once at load; and proves when the fast requantisation may be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.records import FLOAT32_WORDS, INT8_LONGS, INT8_WORDS, UNIT_BITS

UNIT = 1 << UNIT_BITS
SEEN = 256 * UNIT  # outputs beyond 256 are clipped, whatever the error
MOST = 2.0**31 - 2.0**12  # of t, so that its conversion to int32 is defined
LARGEST_GUARD = 256  # in units; a channel that needs more goes through 64-bit integers always


@dataclass(frozen=True)
class Requantization:
    """The arrays of an integer epilogue, (channels,) each, and its scalars, as DESIGN section 2 names them."""

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
    """

    data: np.ndarray
    scalars: dict[str, int]


def pack_weights_i8(isa: InstructionSet, weight: np.ndarray, nv: int) -> np.ndarray:
    """Return int8 weights (O, taps, run) in the order that tiles of `nv` vectors read them."""
    lanes = isa.lanes
    outputs, taps, run = weight.shape
    blocks, quads = -(-outputs // (nv * lanes)), -(-run // 4)
    padded = np.zeros((blocks * nv * lanes, taps, quads * 4), np.int8)
    padded[:outputs, :, :run] = weight
    ordered = padded.reshape(blocks, nv, lanes, taps, quads, 4).transpose(0, 3, 4, 1, 2, 5)  # (B, T, Q, NV, L, 4)
    if isa.dot != "pmaddwd":
        return np.ascontiguousarray(ordered)
    halves = ordered.astype(np.int16).reshape(blocks, taps, quads, nv, lanes, 2, 2)  # pairs (0, 1), (2, 3)
    return np.ascontiguousarray(halves.transpose(0, 1, 2, 3, 6, 4, 5))  # even bytes (0, 2), odd bytes (1, 3)


def pack_weights_f32(isa: InstructionSet, weight: np.ndarray, nv: int) -> np.ndarray:
    """Return float32 weights (O, taps, run) in the order that tiles of `nv` vectors read them."""
    outputs, taps, run = weight.shape
    width = nv * isa.lanes
    blocks = -(-outputs // width)
    padded = np.zeros((blocks * width, taps, run), np.float32)
    padded[:outputs] = weight
    return np.ascontiguousarray(padded.reshape(blocks, width, taps, run).transpose(0, 2, 3, 1))


def pack_epilogue_f32(isa: InstructionSet, bias: np.ndarray, a: np.ndarray, d: np.ndarray, nv: int) -> np.ndarray:
    """Return a float32 epilogue in blocks of `nv` vectors of channels."""
    columns = dict(zip(FLOAT32_WORDS, (bias, a, d), strict=True))
    return np.stack([_blocks(np.asarray(columns[name], np.float32), nv * isa.lanes) for name in FLOAT32_WORDS], axis=1)


def pack_epilogue_i8(isa: InstructionSet, how: Requantization, weight: np.ndarray, nv: int) -> PackedEpilogue:
    """Return an integer epilogue in blocks, with the float form of it and its guard.

    Parameters
    ----------
    isa : InstructionSet
    how : Requantization
    weight : ndarray of int8, shape (O, ...)
        All the weights of each output channel: their sums bound the accumulator.
    nv : int
        Vectors a block.
    """
    flat = weight.reshape(len(weight), -1).astype(np.int64)
    largest = np.abs(how.acc_bias.astype(np.int64)) + 128 * np.abs(flat).sum(axis=1)
    clips = bool(((how.lo > -largest) | (how.hi < largest)).any())
    scale, start, nudge, guard = _float_form(how, largest)
    stored_bias = how.acc_bias.astype(np.int64)
    if isa.code_flip:  # codes are stored plus 128: take 128 * sum(w) off again
        stored_bias = stored_bias - 128 * flat.sum(axis=1)
    arrays: dict[str, np.ndarray] = {
        "bias": stored_bias.astype(np.int32),
        "scale": scale.view(np.int32),
        "offset": start.view(np.int32),
        "nudge": nudge.view(np.int32),
        "lo": how.lo.astype(np.int32),
        "hi": how.hi.astype(np.int32),
        "m": how.m.astype(np.int32),
        "r": how.r.astype(np.int64),
        "s": how.s.astype(np.int64),
    }
    width = nv * isa.lanes
    # Channels that do not exist must not raise doubts: their t is half-way between integers.
    idle = {"offset": int(np.float32(UNIT / 2).view(np.int32))}
    parts = [_blocks(arrays[name], width, idle.get(name, 0)) for name in (*INT8_WORDS, *INT8_LONGS)]
    data = np.concatenate([part.view(np.uint8).reshape(len(part), -1) for part in parts], axis=1)
    scalars = {
        "zero": how.zero_point + 128,
        "low": how.qmin + 128,
        "high": how.qmax + 128,
        "certain": (UNIT - 1) & ~(2 * guard - 1),
        "neg": int(how.neg),
        "general": int(how.neg or clips),
    }
    return PackedEpilogue(data, scalars)


def _float_form(how: Requantization, largest: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return scale, offset and nudge (float32, in units of 2**-16) and the guard (units) that covers their error.

    t = fma(float(u), scale, offset) + copysign(nudge, u). Its error against T + guard, where T is in sight (|T| <= 256 codes):
    the rounding of scale times the largest u in sight, the rounding of offset, one unit for the multiply-add (its result is below
    2**25), one for adding the nudge, and that of float(u) where u has more than 24 bits.
    """
    power = np.ldexp(1.0, -how.s.astype(np.int64)) * UNIT
    exact_scale = how.m.astype(np.float64) * power
    exact_nudge = np.full(len(power), 2.0**30 if how.neg else 0.0) * power
    exact_start = how.r.astype(np.float64) * power - exact_nudge + (how.zero_point + 128) * float(UNIT)
    scale = exact_scale.astype(np.float32)
    reach = SEEN + np.abs(exact_start) + exact_nudge
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = np.where(scale == 0, largest, np.minimum(largest, 1.01 * reach / np.abs(exact_scale)))
    bound = largest * np.abs(exact_scale) + np.abs(exact_start) + exact_nudge
    error = seen * np.abs(exact_scale - scale) + np.where(exact_nudge > 0, 2.0, 1.0)
    error += np.where(largest < 2**24, 0.0, seen * np.abs(exact_scale) * 2.0**-24)
    error += np.abs(exact_start + LARGEST_GUARD) * 2.0**-23
    # Far beyond what is seen, errors need only stay below a whole code.
    trusted = (error < LARGEST_GUARD / 2) & (bound < MOST) & (np.abs(exact_start) < 2.0**30)
    needed = float(error[trusted].max(initial=0.0))
    guard = 1 << int(np.ceil(np.log2(needed + 0.5))) if needed > 0.5 else 1
    # An untrusted channel gets t = 0: always in doubt.
    scale = np.where(trusted, scale, np.float32(0)).astype(np.float32)
    start = np.where(trusted, exact_start + guard, 0.0).astype(np.float32)
    nudge = np.where(trusted, exact_nudge, 0.0).astype(np.float32)
    return scale, start, nudge, guard


def _blocks(array: np.ndarray, width: int, idle: int = 0) -> np.ndarray:
    """Return (channels,) as (blocks, width), with `idle` where there is no channel."""
    blocks = -(-len(array) // width)
    padded = np.full(blocks * width, idle, array.dtype)
    padded[: len(array)] = array
    return padded.reshape(blocks, width)


def block_channels(channels: int, width: int) -> np.ndarray:
    """Return the channel in every place of every block, (blocks, width), -1 where there is none; the last block moves left."""
    if channels <= width:
        return np.concatenate([np.arange(channels), np.full(width - channels, -1)])[None]
    starts = [min(begin, channels - width) for begin in range(0, channels, width)]
    return np.array([np.arange(start, start + width) for start in starts])


def interleaved(isa: InstructionSet) -> np.ndarray:
    """Return which channel stands in each place of an int8 depthwise block, (4 * lanes,): the order of the kernel's lanes."""
    lane, column, vector = np.meshgrid(np.arange(isa.lanes // 4), np.arange(4), np.arange(4), indexing="ij")
    return (16 * lane + 4 * vector + column).transpose(2, 0, 1).reshape(-1)


def pack_depthwise_i8(isa: InstructionSet, weight: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return int8 weights (channels, tap_rows, tap_columns) for the depthwise kernel, `order` (blocks, 4 * lanes) of channels."""
    _, rows, columns = weight.shape
    groups = -(-columns // 4)
    padded = np.zeros((*order.shape, rows, groups * 4), np.int8)
    padded[..., :columns] = np.where((order >= 0)[..., None, None], weight[order], 0)
    blocks = len(order)
    quads = padded.reshape(blocks, 4, isa.lanes, rows, groups, 4).transpose(0, 3, 4, 1, 2, 5)  # (B, rows, groups, 4, L, taps)
    if isa.dot != "pmaddwd":
        return np.ascontiguousarray(quads)
    halves = quads.astype(np.int16).reshape(blocks, rows, groups, 4, isa.lanes, 2, 2)
    return np.ascontiguousarray(halves.transpose(0, 1, 2, 3, 6, 4, 5))


def pack_depthwise_f32(weight: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return float32 weights (channels, taps) as (blocks, taps, lanes)."""
    chosen = np.where((order >= 0)[..., None], weight[order], np.float32(0))
    return np.ascontiguousarray(chosen.transpose(0, 2, 1).astype(np.float32))
