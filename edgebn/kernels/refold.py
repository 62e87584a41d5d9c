"""Refolds adapted epilogues where they stand, packed, between two inferences (docs/adaptation.md).

`reference/refold.py` is the specification of `fold_i8` and `fold_f32`. The others write what came out into every packed copy of a
step's epilogue, and the arguments that go with it into the operation tables. A step's status says what is to be done with it.
"""

from __future__ import annotations

import numpy as np

from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import (
    float_from_bits,
    load_f32,
    load_i32,
    load_i64,
    load_u8,
    store_f32,
    store_i32,
    store_i64,
    store_u8,
)
from edgebn.kernels.records import FOLDED, NEGATIVE_ROUNDING, RECORD_WORDS, REFUSED, SOURCE
from edgebn.kernels.requantization import LARGEST_GUARD, MAX_TOTAL, SEEN, SLACK, UNIT

SOURCE_WORDS = 7  # int64 a channel: m, r, s, half of the negative rounding, center, shift, and whether it has a sigma
FOLDED_WORDS = 3  # int64 a channel: m, r, s

INT32_MAX = (1 << 31) - 1
GAIN_BITS = 20
DRIFT_BITS = 4
MAX_SHIFT_LOSS = 4
LARGEST_OFFSET = 1 << 62
ONE = np.float32(1)
GAIN_UNIT = np.float32(1 << GAIN_BITS)
MAX_GAIN = np.float32(1 << (GAIN_BITS + MAX_SHIFT_LOSS))
MAX_MOVE = np.float32(1 << 30)
EXPONENT_BIAS = 127
MANTISSA_BITS = 23


@kernel
def _halved(value: int, bits: int) -> int:
    """Return value / 2**bits rounded half up; bits >= 1."""
    return (value + (1 << (bits - 1))) >> bits


@kernel
def fold_i8(channels: int, source: int, sigma: int, drift: int, ratio: int, folded: int, status: int) -> None:
    """Fold one step's channels: sigma, drift, ratio float32 (channels,); folded int64 (channels, FOLDED_WORDS)."""
    result = SOURCE
    for c in range(channels):
        record, out = source + 8 * SOURCE_WORDS * c, folded + 8 * FOLDED_WORDS * c
        m, r, s = load_i64(record, 0), load_i64(record, 1), load_i64(record, 2)
        moved_by, spread = load_f32(drift, c), load_f32(ratio, c)
        if (moved_by == 0 and spread == 1) or load_i64(record, 6) == 0:
            store_i64(out, 0, m)
            store_i64(out, 1, r)
            store_i64(out, 2, s)
            continue
        half_negative_rounding, center = load_i64(record, 3), load_i64(record, 4)
        unit = float_from_bits((load_i64(record, 5) + DRIFT_BITS + EXPONENT_BIAS) << MANTISSA_BITS)
        moved = (moved_by * load_f32(sigma, c)) * unit
        gain = (ONE / np.sqrt(spread)) * GAIN_UNIT
        if not (abs(moved) < MAX_MOVE and gain < MAX_GAIN):
            store_i64(status, 0, REFUSED)
            return
        product = m * np.int64(gain)
        loss = 0
        for _ in range(MAX_SHIFT_LOSS):
            if abs(_halved(product, GAIN_BITS + loss)) > INT32_MAX:
                loss += 1
        new_m, new_s = _halved(product, GAIN_BITS + loss), s - loss
        at_center = m * center + r - (1 << (s - 1)) - half_negative_rounding
        if loss > 0:
            at_center = _halved(at_center, loss)
        half = 1 << (max(new_s, 1) - 1)
        new_r = at_center + half + half_negative_rounding - new_m * center - _halved(new_m * np.int64(moved), DRIFT_BITS)
        if abs(new_m) > INT32_MAX or abs(new_r) > LARGEST_OFFSET or new_s < 1:
            store_i64(status, 0, REFUSED)
            return
        store_i64(out, 0, new_m)
        store_i64(out, 1, new_r)
        store_i64(out, 2, new_s)
        result = FOLDED
    store_i64(status, 0, result)


@kernel
def fold_f32(channels: int, source: int, sigma: int, drift: int, ratio: int, folded: int, status: int) -> None:
    """Fold one step's channels: source float32 (3, channels): a, d, center; folded float32 (2, channels): a, d."""
    result = SOURCE
    for c in range(channels):
        a, d, center = load_f32(source, c), load_f32(source, channels + c), load_f32(source, 2 * channels + c)
        moved_by, spread, width = load_f32(drift, c), load_f32(ratio, c), load_f32(sigma, c)
        new_a, new_d = a, d
        if not ((moved_by == 0 and spread == 1) or width == 0):
            new_a = a * (ONE / np.sqrt(spread))
            new_d = (a * center + d) - new_a * (center + moved_by * width)
            if not (np.isfinite(new_a) and np.isfinite(new_d)):
                store_i64(status, 0, REFUSED)
                return
            result = FOLDED
        store_f32(folded, c, new_a)
        store_f32(folded, channels + c, new_d)
    store_i64(status, 0, result)


@kernel
def _copy(source: int, target: int, count: int) -> None:
    for i in range(count):
        store_u8(target, i, load_u8(source, i))


@kernel
def _set_words(addresses: int, count: int, value: int) -> None:
    """Store a value in each of `count` words, whose addresses stand in an array."""
    for i in range(count):
        store_i64(load_i64(addresses, i), 0, value)


@kernel
def write_records_i8(status: int, folded: int, channels: int, records: int) -> None:
    """Write a step's numbers into the records of the plain kernels."""
    if load_i64(status, 0) == REFUSED:
        return
    for c in range(channels):
        for i in range(FOLDED_WORDS):
            store_i64(records + 8 * RECORD_WORDS * c, RECORD_WORDS - FOLDED_WORDS + i, load_i64(folded + 8 * FOLDED_WORDS * c, i))


@kernel
def write_floats(
    status: int,
    folded: int,
    channels: int,
    names: int,
    places: int,
    width: int,
    block: int,
    generals: int,
    count: int,
    source_general: int,
) -> None:
    """Write a step's a and d into blocks of bias, a and d, each `width` float32: place i holds channel names[i], -1 none.

    `generals` are the words of the tables that say whether there is anything between the bounds; `source_general` is the source's.
    """
    now = load_i64(status, 0)
    if now == REFUSED:
        return
    for i in range(places):
        channel = load_i32(names, i)
        if channel >= 0:
            at = block + 4 * (3 * width * (i // width) + i % width)
            store_f32(at, width, load_f32(folded, channel))
            store_f32(at, 2 * width, load_f32(folded, channels + channel))
    _set_words(generals, count, source_general if now == SOURCE else 1)


@kernel
def _power(shift: int) -> float:
    """Return 2**-shift in units, exact."""
    return UNIT / np.float64(1 << shift)


@kernel
def _error(m: int, r: int, s: int, largest: int, zero: int, negative_rounding: float, guard: int) -> float:
    """Return the error of the float form in units (`requantization._float_form`, converted), or a negative number: not possible."""
    scale = m * _power(s)
    start = r * _power(s) + zero * np.float64(UNIT)
    negative_rounding = negative_rounding * _power(s)
    if not (largest * abs(scale) + abs(start) + negative_rounding < MAX_TOTAL and abs(start) < 2.0**30):
        return -1.0
    rounded = np.float64(np.float32(scale))
    seen = np.float64(largest)
    if rounded != 0.0:
        seen = min(seen, 1.01 * (SEEN + abs(start) + negative_rounding) / abs(scale))
    error = seen * abs(scale - rounded) + (negative_rounding - np.float64(np.int64(min(negative_rounding, MAX_TOTAL)))) + 0.5
    if largest >= 1 << 24:
        error += seen * abs(scale) * 2.0**-24
    return error + abs(start + guard - np.float64(np.float32(start + guard)))


@kernel
def write_blocks_i8(
    status: int,
    folded: int,
    names: int,
    places: int,
    width: int,
    block: int,
    block_bytes: int,
    arrays: int,
    template: int,
    source: int,
    largest: int,
    zero: int,
    neg: int,
    safe_masks: int,
    modes: int,
    count: int,
    source_safe_mask: int,
    source_mode: int,
    mode: int,
) -> None:
    """Write a step's numbers into packed blocks, in the form without a base.

    arrays int64 (6,): bytes from a block's beginning to scale, offset, negative_rounding, m, r and s. template, source: all blocks
    as they are without a base, and as they were packed. largest int64 (places,): bounds on accumulators. safe_masks, modes:
    addresses of the words of the tables with these arguments, `count` each.
    """
    now = load_i64(status, 0)
    if now == REFUSED:
        return
    blocks = places // width
    if now == SOURCE:
        _copy(source, block, blocks * block_bytes)
        _set_words(safe_masks, count, source_safe_mask)
        _set_words(modes, count, source_mode)
        return
    _copy(template, block, blocks * block_bytes)
    shift = np.float64(NEGATIVE_ROUNDING) if neg != 0 else 0.0
    guard = 1
    while guard < LARGEST_GUARD:
        worst = 0.0
        for i in range(places):
            channel = load_i32(names, i)
            if channel >= 0:
                at = folded + 8 * FOLDED_WORDS * channel
                error = _error(load_i64(at, 0), load_i64(at, 1), load_i64(at, 2), load_i64(largest, i), zero, shift, guard)
                if error < LARGEST_GUARD / 2:
                    worst = max(worst, error)
        if worst + SLACK <= guard:
            break
        guard *= 2
    for i in range(places):
        channel = load_i32(names, i)
        if channel < 0:
            continue
        at = folded + 8 * FOLDED_WORDS * channel
        m, r, s = load_i64(at, 0), load_i64(at, 1), load_i64(at, 2)
        error = _error(m, r, s, load_i64(largest, i), zero, shift, guard)
        base, lane = block + block_bytes * (i // width), i % width
        scale = offset = np.float32(0)
        step = np.int64(0)
        if 0 <= error < LARGEST_GUARD / 2:  # else t is 0: always in doubt
            scale = np.float32(m * _power(s))
            offset = np.float32(r * _power(s) + zero * np.float64(UNIT) + guard)
            step = np.int64(min(shift * _power(s), MAX_TOTAL))
        store_f32(base + load_i64(arrays, 0), lane, scale)
        store_f32(base + load_i64(arrays, 1), lane, offset)
        store_i32(base + load_i64(arrays, 2), lane, np.int32(step))
        store_i32(base + load_i64(arrays, 3), lane, np.int32(m))
        store_i64(base + load_i64(arrays, 4), lane, r)
        store_i64(base + load_i64(arrays, 5), lane, s)
    _set_words(safe_masks, count, (UNIT - 1) & ~(2 * guard - 1))
    _set_words(modes, count, mode)


FLOAT32_REFOLD = (fold_f32, write_floats)
INT8_REFOLD = (fold_i8, write_records_i8, write_blocks_i8)
