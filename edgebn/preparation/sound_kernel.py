"""Both audio front ends compiled by Numba. All of it is in this file, so that Numba's cache sees every change.

The arithmetic is that of `micro_reference.py` and `mfcc_reference.py`, to the byte.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.preparation.compiling import compiled
from edgebn.preparation.mfcc_tables import LOG_SHIFT, SAMPLE_BITS, SILENT
from edgebn.preparation.mfcc_tables import WINDOW_BITS as MFCC_WINDOW_BITS
from edgebn.preparation.micro_tables import (
    FILTER_BITS,
    LOG_BITS,
    LOG_E,
    LOG_SEGMENTS,
    NOISE_BITS,
    PCAN_BITS,
    SNR_BITS,
    WINDOW_BITS,
)

_HALF = 1 << (LOG_BITS - 1)


@compiled
def features(
    samples: np.ndarray,
    step: int,
    window: np.ndarray,
    order: np.ndarray,
    twiddles: np.ndarray,
    super_twiddles: np.ndarray,
    starts: np.ndarray,
    widths: np.ndarray,
    rising: np.ndarray,
    falling: np.ndarray,
    gains: np.ndarray,
    logs: np.ndarray,
    numbers: np.ndarray,
    noise: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill `out` (windows, channels) uint16 from `samples` int16; `noise` is read and written.

    `numbers` int64: smoothing bits, even and odd smoothing, least share, whether PCAN, its shift, whether the logarithm, its
    correction and scale.
    """
    smoothing_bits, even, odd, remaining = numbers[0], numbers[1], numbers[2], numbers[3]
    pcan, snr_shift, log, correction, scale = numbers[4], numbers[5], numbers[6], numbers[7], numbers[8]
    real = np.zeros(2 * len(order), np.int16)
    pairs = np.zeros((len(order), 2), np.int16)
    for index in range(len(out)):
        shift = _windowed(samples[index * step :], window, real)
        for i in range(len(order)):
            pairs[i, 0] = real[2 * order[i]]
            pairs[i, 1] = real[2 * order[i] + 1]
        _fft(pairs, twiddles)
        _separate(pairs, super_twiddles)
        carried = np.int64(0)
        for channel in range(len(starts)):
            total, next_carried = carried, np.int64(0)
            for k in range(starts[channel], starts[channel] + widths[channel]):
                energy = np.int64(pairs[k, 0]) * pairs[k, 0] + np.int64(pairs[k, 1]) * pairs[k, 1]
                total += energy * rising[k]
                next_carried += energy * falling[k]
            carried = next_carried
            if channel == 0:  # the slope below the first filter
                continue
            value = _root(total) >> shift
            smoothing = odd if (channel - 1) & 1 else even
            scaled = (value << smoothing_bits) & 0xFFFFFFFF
            before = np.int64(noise[channel - 1])
            estimate = (scaled * smoothing + before * ((1 << NOISE_BITS) - smoothing)) >> NOISE_BITS
            noise[channel - 1] = estimate
            value = max((scaled - min(estimate, scaled)) >> smoothing_bits, (value * remaining) >> NOISE_BITS)
            if pcan:
                value = _gained(value, estimate, gains, snr_shift)
            if log:
                value = _log(value, logs, correction, scale)
            out[index, channel - 1] = min(value, 65535)


@compiled
def _windowed(samples: np.ndarray, window: np.ndarray, real: np.ndarray) -> int:
    """Window the samples, scale them up by the free bits and return how many those were."""
    loudest = 0
    for i in range(len(window)):
        value = (np.int64(samples[i]) * window[i]) >> WINDOW_BITS
        real[i] = value
        if abs(value) <= 32767:
            loudest = max(loudest, abs(value))
    shift = 15 - _bits(loudest)
    for i in range(len(window)):
        real[i] = np.int64(real[i]) << shift  # wraps around
    return shift


@compiled
def _bits(value: int) -> int:
    """Return how many bits a number >= 0 has."""
    count = 0
    while value >= 256:
        value >>= 8
        count += 8
    while value > 0:
        value >>= 1
        count += 1
    return count


@compiled
def _rounded(value: int) -> np.int16:
    return np.int16((value + (1 << 14)) >> 15)


@compiled
def _fft(x: np.ndarray, twiddles: np.ndarray) -> None:
    """Transform (n, 2) in place: fours, after one stage of twos where n is no power of four."""
    n = len(x)
    m = 1
    if _bits(n) % 2 == 0:
        for i in range(0, n, 2):
            for part in range(2):
                first = _rounded(np.int64(x[i, part]) * 16383)
                second = _rounded(np.int64(x[i + 1, part]) * 16383)
                x[i, part], x[i + 1, part] = first, second
            real, imaginary = _times(x[i + 1, 0], x[i + 1, 1], twiddles[0, 0], twiddles[0, 1])
            x[i + 1, 0], x[i + 1, 1] = np.int16(x[i, 0] - real), np.int16(x[i, 1] - imaginary)
            x[i, 0], x[i, 1] = np.int16(x[i, 0] + real), np.int16(x[i, 1] + imaginary)
        m = 2
    while m < n:
        stride = n // (4 * m)
        for base in range(0, n, 4 * m):
            for k in range(m):
                a, b, c, d = base + k, base + k + m, base + k + 2 * m, base + k + 3 * m
                t1, t2, t3 = k * stride, 2 * k * stride, 3 * k * stride
                a0, a1 = _rounded(np.int64(x[a, 0]) * 8191), _rounded(np.int64(x[a, 1]) * 8191)
                b0, b1 = _rounded(np.int64(x[b, 0]) * 8191), _rounded(np.int64(x[b, 1]) * 8191)
                c0, c1 = _rounded(np.int64(x[c, 0]) * 8191), _rounded(np.int64(x[c, 1]) * 8191)
                d0, d1 = _rounded(np.int64(x[d, 0]) * 8191), _rounded(np.int64(x[d, 1]) * 8191)
                b0, b1 = _times(b0, b1, twiddles[t1, 0], twiddles[t1, 1])
                c0, c1 = _times(c0, c1, twiddles[t2, 0], twiddles[t2, 1])
                d0, d1 = _times(d0, d1, twiddles[t3, 0], twiddles[t3, 1])
                total0, total1 = np.int16(a0 + c0), np.int16(a1 + c1)
                difference0, difference1 = np.int16(a0 - c0), np.int16(a1 - c1)
                sides0, sides1 = np.int16(b0 + d0), np.int16(b1 + d1)
                across0, across1 = np.int16(b0 - d0), np.int16(b1 - d1)
                x[a, 0], x[a, 1] = np.int16(total0 + sides0), np.int16(total1 + sides1)
                x[b, 0], x[b, 1] = np.int16(difference0 + across1), np.int16(difference1 - across0)
                x[c, 0], x[c, 1] = np.int16(total0 - sides0), np.int16(total1 - sides1)
                x[d, 0], x[d, 1] = np.int16(difference0 - across1), np.int16(difference1 + across0)
        m *= 4


@compiled
def _times(a: int, b: int, c: int, d: int) -> tuple[np.int16, np.int16]:
    """Return (a + bi) * (c + di), the second in 15 bits."""
    real = np.int64(a) * c - np.int64(b) * d
    imaginary = np.int64(a) * d + np.int64(b) * c
    return _rounded(real), _rounded(imaginary)


@compiled
def _separate(x: np.ndarray, super_twiddles: np.ndarray) -> None:
    """Turn the spectrum of pairs into that of the real samples, in place; the highest frequency is left out."""
    half = len(x)
    x[0, 0] = np.int16(_rounded(np.int64(x[0, 0]) * 16383) + _rounded(np.int64(x[0, 1]) * 16383))
    x[0, 1] = 0
    for k in range(1, half // 2 + 1):
        here0, here1 = _rounded(np.int64(x[k, 0]) * 16383), _rounded(np.int64(x[k, 1]) * 16383)
        mirrored0 = _rounded(np.int64(x[half - k, 0]) * 16383)
        mirrored1 = _rounded(np.int64(np.int16(-np.int64(x[half - k, 1]))) * 16383)
        even0, even1 = np.int16(here0 + mirrored0), np.int16(here1 + mirrored1)
        odd0, odd1 = np.int16(here0 - mirrored0), np.int16(here1 - mirrored1)
        odd0, odd1 = _times(odd0, odd1, super_twiddles[k - 1, 0], super_twiddles[k - 1, 1])
        x[k, 0] = (np.int64(even0) + odd0) >> 1
        x[k, 1] = (np.int64(even1) + odd1) >> 1
        x[half - k, 0] = (np.int64(even0) - odd0) >> 1
        x[half - k, 1] = (np.int64(odd1) - even1) >> 1


@compiled
def _root(number: int) -> Any:
    """Return the rounded square root: float64 is at most one off below 2 ** 52, and corrected."""
    root = np.int64(np.sqrt(np.float64(number)))
    while root * root > number:
        root -= 1
    while (root + 1) * (root + 1) <= number:
        root += 1
    most = 0xFFFF if number < 1 << 32 else 0xFFFFFFFF
    return root + 1 if number - root * root > root and root != most else root


@compiled
def _gained(value: int, noise: int, gains: np.ndarray, snr_shift: int) -> Any:
    gain = np.int64(gains[min(noise, 2)])
    if noise > 2:
        interval = _bits(noise)
        entry = 4 * interval - 6
        fraction = ((noise << 11) >> interval) & 0x3FF
        bent = ((np.int64(gains[entry + 2]) * fraction) >> 5) + (np.int64(gains[entry + 1]) << 5)
        gain = ((bent * fraction + (1 << 14)) >> 15) + gains[entry]
    ratio = ((value * gain) >> snr_shift) & 0xFFFFFFFF
    if ratio < 2 << SNR_BITS:
        return (ratio * ratio) >> (2 + 2 * SNR_BITS - PCAN_BITS)
    return (ratio >> (SNR_BITS - PCAN_BITS)) - (1 << PCAN_BITS)


@compiled
def _log(value: int, logs: np.ndarray, correction: int, scale: int) -> Any:
    value = (value << correction) & 0xFFFFFFFF if correction >= 0 else value >> -correction
    if value <= 1:
        return 0
    integer = _bits(value) - 1
    fraction = ((value - (1 << integer)) << LOG_BITS) >> integer
    segment = fraction >> (LOG_BITS - LOG_SEGMENTS)
    begin, end = np.int64(logs[segment]), np.int64(logs[segment + 1])
    inside = fraction - (segment << (LOG_BITS - LOG_SEGMENTS))
    fraction += begin + (((end - begin) * inside) >> LOG_BITS)
    logarithm = (LOG_E * ((integer << LOG_BITS) + fraction) + _HALF) >> LOG_BITS
    return ((logarithm << scale) + _HALF) >> LOG_BITS


@compiled
def mfcc_rows(
    samples: np.ndarray,
    step: int,
    window: np.ndarray,
    order: np.ndarray,
    twiddles: np.ndarray,
    super_twiddles: np.ndarray,
    starts: np.ndarray,
    widths: np.ndarray,
    rising: np.ndarray,
    falling: np.ndarray,
    logs: np.ndarray,
    constant: int,
    out: np.ndarray,
) -> None:
    """Fill `out` (windows, filters + 1) int16 from `samples` int16."""
    real = np.zeros(2 * len(order), np.int32)
    pairs = np.zeros((len(order), 2), np.int32)
    for index in range(len(out)):
        loudest: Any = -32768
        for i in range(len(window)):
            sample = np.int64(samples[index * step + i])
            loudest = max(loudest, sample)
            real[i] = (sample * window[i]) >> (MFCC_WINDOW_BITS - SAMPLE_BITS)
        for i in range(len(order)):
            pairs[i, 0] = real[2 * order[i]]
            pairs[i, 1] = real[2 * order[i] + 1]
        _fft32(pairs, twiddles)
        _separate32(pairs, super_twiddles)
        total: Any = np.int64(0)
        for channel in range(len(starts)):
            carried: Any = np.int64(0)
            for k in range(starts[channel], starts[channel] + widths[channel]):
                energy = np.int64(pairs[k, 0]) * pairs[k, 0] + np.int64(pairs[k, 1]) * pairs[k, 1]
                dropped = max(0, _bits(energy) - 31) // 2
                magnitude = _root(energy >> (2 * dropped)) << dropped
                total += magnitude * rising[k]
                carried += magnitude * falling[k]
            if channel > 0:  # before is the slope below the first filter
                value = min(total >> FILTER_BITS, 0xFFFFFFFF)
                out[index, channel - 1] = _log(value, logs, 0, LOG_SHIFT) + constant if value > 0 else SILENT
            total = carried
        out[index, len(starts) - 1] = loudest


@compiled
def _fft32(x: np.ndarray, twiddles: np.ndarray) -> None:
    """Transform (n, 2) int32 in place, divided by n: fours, after one stage of twos where n is no power of four."""
    n = len(x)
    m = 1
    if _bits(n) % 2 == 0:
        for i in range(0, n, 2):
            a0, a1 = (np.int64(x[i, 0]) + 1) >> 1, (np.int64(x[i, 1]) + 1) >> 1
            b0, b1 = _times32((np.int64(x[i + 1, 0]) + 1) >> 1, (np.int64(x[i + 1, 1]) + 1) >> 1, twiddles[0, 0], twiddles[0, 1])
            x[i, 0], x[i, 1], x[i + 1, 0], x[i + 1, 1] = a0 + b0, a1 + b1, a0 - b0, a1 - b1
        m = 2
    while m < n:
        stride = n // (4 * m)
        for base in range(0, n, 4 * m):
            for k in range(m):
                a, b, c, d = base + k, base + k + m, base + k + 2 * m, base + k + 3 * m
                t1, t2, t3 = k * stride, 2 * k * stride, 3 * k * stride
                a0, a1 = (np.int64(x[a, 0]) + 2) >> 2, (np.int64(x[a, 1]) + 2) >> 2
                b0, b1 = _times32((np.int64(x[b, 0]) + 2) >> 2, (np.int64(x[b, 1]) + 2) >> 2, twiddles[t1, 0], twiddles[t1, 1])
                c0, c1 = _times32((np.int64(x[c, 0]) + 2) >> 2, (np.int64(x[c, 1]) + 2) >> 2, twiddles[t2, 0], twiddles[t2, 1])
                d0, d1 = _times32((np.int64(x[d, 0]) + 2) >> 2, (np.int64(x[d, 1]) + 2) >> 2, twiddles[t3, 0], twiddles[t3, 1])
                total0, total1, difference0, difference1 = a0 + c0, a1 + c1, a0 - c0, a1 - c1
                sides0, sides1, across0, across1 = b0 + d0, b1 + d1, b0 - d0, b1 - d1
                x[a, 0], x[a, 1] = total0 + sides0, total1 + sides1
                x[b, 0], x[b, 1] = difference0 + across1, difference1 - across0
                x[c, 0], x[c, 1] = total0 - sides0, total1 - sides1
                x[d, 0], x[d, 1] = difference0 - across1, difference1 + across0
        m *= 4


@compiled
def _times32(a: int, b: int, c: int, d: int) -> tuple[Any, Any]:
    """Return (a + bi) * (c + di), the second in 15 bits."""
    half = np.int64(1 << 14)
    return (np.int64(a) * c - np.int64(b) * d + half) >> 15, (np.int64(a) * d + np.int64(b) * c + half) >> 15


@compiled
def _separate32(x: np.ndarray, super_twiddles: np.ndarray) -> None:
    """Turn the spectrum of pairs into that of the real samples, in place; the highest frequency is left out."""
    half = len(x)
    x[0, 0], x[0, 1] = np.int64(x[0, 0]) + x[0, 1], 0
    for k in range(1, half // 2 + 1):
        here0, here1 = np.int64(x[k, 0]), np.int64(x[k, 1])
        mirrored0, mirrored1 = np.int64(x[half - k, 0]), -np.int64(x[half - k, 1])
        even0, even1 = here0 + mirrored0, here1 + mirrored1
        odd0, odd1 = _times32(here0 - mirrored0, here1 - mirrored1, super_twiddles[k - 1, 0], super_twiddles[k - 1, 1])
        x[k, 0], x[k, 1] = (even0 + odd0) >> 2, (even1 + odd1) >> 2
        x[half - k, 0], x[half - k, 1] = (even0 - odd0) >> 2, (odd1 - even1) >> 2
