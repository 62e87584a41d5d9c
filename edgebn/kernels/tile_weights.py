"""Packs weights and float32 epilogues for the register tiles and the depthwise kernels, once at load."""

from __future__ import annotations

import math

import numpy as np

from edgebn.kernels.isa import InstructionSet
from edgebn.kernels.records import FLOAT32_WORDS
from edgebn.kernels.requantization import blocks
from edgebn.kernels.tile_shapes import padded_dense_depth


def pack_weights_i8(isa: InstructionSet, weight: np.ndarray, nv: int) -> np.ndarray:
    """Return int8 weights (O, taps, run) in the order that tiles of `nv` vectors read them."""
    lanes = isa.lanes
    outputs, taps, run = weight.shape
    blocks, quads = -(-outputs // (nv * lanes)), -(-run // 4)
    padded = np.zeros((blocks * nv * lanes, taps, quads * 4), np.int8)
    padded[:outputs, :, :run] = weight
    ordered = padded.reshape(blocks, nv, lanes, taps, quads, 4).transpose(0, 3, 4, 1, 2, 5)  # (B, T, Q, NV, L, 4)
    if isa.matrices:
        return _in_matrices(ordered)
    if isa.dot != "pmaddwd":
        return np.ascontiguousarray(ordered)
    halves = ordered.astype(np.int16).reshape(blocks, taps, quads, nv, lanes, 2, 2)  # pairs (0, 1), (2, 3)
    return np.ascontiguousarray(halves.transpose(0, 1, 2, 3, 6, 4, 5))  # even bytes (0, 2), odd bytes (1, 3)


def pack_dense_weights_i8(isa: InstructionSet, weight: np.ndarray, nv: int) -> np.ndarray:
    """Return int8 weights (O, depth) in the order that `dense_int8.py` reads them: quads of each vector's channels."""
    outputs, depth = weight.shape
    blocks, quads = -(-outputs // (nv * isa.lanes)), padded_dense_depth(depth) // 4
    padded = np.zeros((blocks * nv * isa.lanes, quads * 4), np.int8)
    padded[:outputs, :depth] = weight
    return np.ascontiguousarray(padded.reshape(blocks, nv, isa.lanes, quads, 4).transpose(0, 3, 1, 2, 4))


def _in_matrices(ordered: np.ndarray) -> np.ndarray:
    """Return weights (B, taps, quads, NV, lanes, 4) for products of matrices: two channels a vector, of two quads each.

    A last quad without a second keeps its order.
    """
    blocks, taps, quads, nv, lanes, _ = ordered.shape
    paired = ordered[:, :, : quads // 2 * 2].reshape(blocks, taps, quads // 2, 2, nv, lanes // 2, 2, 4)
    paired = paired.transpose(0, 1, 2, 4, 5, 6, 3, 7)  # (B, T, pairs, NV, L / 2, channel, quad, 4)
    parts = paired, ordered[:, :, quads // 2 * 2 :]
    return np.concatenate([part.reshape(blocks, taps, math.prod(part.shape[2:])) for part in parts], axis=2)


def pack_wide_weights_i8(isa: InstructionSet, weight: np.ndarray, nv: int) -> tuple[np.ndarray, np.ndarray]:
    """Return int16 weights (O, taps, run) as `pack_weights_i8` orders them, and behind each block's the rest in extra steps.

    A step is four adjacent weights. What is beyond int8 of any channel's is a step more, or two where that is again (255).

    Returns
    -------
    packed : ndarray
    steps : ndarray of int64, shape (extras, 2)
        (tap, step within the run) of each extra step.
    """
    low, high = max(-128, isa.least_weight), 127
    outputs, taps, run = weight.shape
    quads = -(-run // 4)
    rest = np.zeros((outputs, taps, quads * 4), np.int16)
    rest[:, :, :run] = weight
    rest = rest.reshape(outputs, taps * quads, 4)
    inside = np.clip(rest, low, high)
    parts, places = [inside], []
    rest = rest - inside
    while rest.any():
        chosen = np.flatnonzero(rest.any(axis=(0, 2)))
        inside = np.clip(rest, low, high)
        rest = rest - inside
        parts.append(inside[:, chosen])
        places.append(chosen)
    steps = np.concatenate([*places, np.zeros(0, np.int64)]).astype(np.int64)
    # The extra steps are so many taps of one step each: that is the order in which a tile goes through them.
    taken = (parts[0].reshape(outputs, taps, quads * 4), np.concatenate([parts[0][:, :0], *parts[1:]], axis=1))
    packed = [pack_weights_i8(isa, one.astype(np.int8), nv) for one in taken]
    packed = [one.reshape(len(one), -1) for one in packed]
    return np.concatenate(packed, axis=1), np.stack([steps // quads, steps % quads], axis=1)


def pack_weights_f32(isa: InstructionSet, weight: np.ndarray, nv: int) -> np.ndarray:
    """Return float32 weights (O, taps, run) in the order that tiles of `nv` vectors read them."""
    return _in_words(isa, weight.astype(np.float32, copy=False), nv)


def _in_words(isa: InstructionSet, weight: np.ndarray, nv: int) -> np.ndarray:
    """Return weights of 32 bits (O, taps, run) in the order that tiles of `nv` vectors read them."""
    outputs, taps, run = weight.shape
    width = nv * isa.lanes
    blocks = -(-outputs // width)
    padded = np.zeros((blocks * width, taps, run), weight.dtype)
    padded[:outputs] = weight
    return np.ascontiguousarray(padded.reshape(blocks, width, taps, run).transpose(0, 2, 3, 1))


def pack_weights_i16(isa: InstructionSet, weight: np.ndarray, nv: int) -> np.ndarray:
    """Return int16 weights (O, taps, run) in the order that tiles of `nv` vectors read them: two at a time."""
    even = np.pad(weight, ((0, 0), (0, 0), (0, 1))) if weight.shape[2] % 2 else weight
    return _in_words(isa, np.ascontiguousarray(even).view(np.int32), nv).view(np.int16)


def pack_epilogue_f32(isa: InstructionSet, bias: np.ndarray, a: np.ndarray, d: np.ndarray, nv: int) -> np.ndarray:
    """Return a float32 epilogue in blocks of `nv` vectors of channels."""
    columns = dict(zip(FLOAT32_WORDS, (bias, a, d), strict=True))
    return blocks([np.asarray(columns[name], np.float32) for name in FLOAT32_WORDS], nv * isa.lanes)


def block_channels(channels: int, width: int) -> np.ndarray:
    """Return the channel in every place of every block, (blocks, width), -1 where there is none; the last block moves left."""
    if channels <= width:
        return np.concatenate([np.arange(channels), np.full(width - channels, -1)])[None]
    starts = [min(begin, channels - width) for begin in range(0, channels, width)]
    return np.array([np.arange(start, start + width) for start in starts])


def interleaved(isa: InstructionSet) -> np.ndarray:
    """Return which channel stands in each place of an int8 depthwise block, (4 * lanes,): the order of the kernel's lanes."""
    return np.arange(4 * isa.lanes).reshape(isa.lanes // 4, 4, 4).transpose(1, 0, 2).reshape(-1)  # from (lane, vector, column)


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
