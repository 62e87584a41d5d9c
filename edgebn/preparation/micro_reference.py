"""The specification of the TensorFlow Lite Micro audio front end: plain NumPy, one window after the other.

Formulas of tensorflow/lite/experimental/microfrontend/lib and, for the FFT, of kissfft in 16 bits, version 1.3. Arrays are int64;
`_int16` and `_uint32` stand where C's types wrap around.
"""

from __future__ import annotations

import math

import numpy as np

from edgebn.preparation.data import MicroFrontEnd
from edgebn.preparation.micro_tables import (
    LOG_BITS,
    LOG_E,
    LOG_SEGMENTS,
    NOISE_BITS,
    PCAN_BITS,
    SNR_BITS,
    WINDOW_BITS,
    MicroTables,
    tables,
)


def micro_features(samples: np.ndarray, settings: MicroFrontEnd, noise: np.ndarray | None = None) -> np.ndarray:
    """Return the features of every whole window in `samples`.

    Parameters
    ----------
    samples : ndarray of int16, shape (n,)
    settings : MicroFrontEnd
    noise : ndarray of uint32, shape (channels,), optional
        The noise estimate, which is read and written; zeros at first. Left out, the sound begins here.

    Returns
    -------
    ndarray of uint16, shape (windows, channels)
    """
    found = tables(settings)
    noise = np.zeros(settings.channels, np.uint32) if noise is None else noise
    windows = max(0, (len(samples) - settings.window) // settings.step + 1)
    features = np.zeros((windows, settings.channels), np.uint16)
    for index in range(windows):
        part = samples[index * settings.step :][: settings.window].astype(np.int64)
        signal, shift = _spectrum(part, found, settings)
        signal = _filtered(signal, found, shift)
        signal = _without_noise(signal, noise, found, settings)
        if settings.pcan:
            signal = np.array([_gained(*pair, found) for pair in zip(signal.tolist(), noise.tolist(), strict=True)])
        if settings.log:
            signal = np.array([logarithm(value, found, settings.log_scale_shift) for value in signal.tolist()])
        features[index] = np.minimum(signal, 65535)
    return features


def _spectrum(samples: np.ndarray, found: MicroTables, settings: MicroFrontEnd) -> tuple[np.ndarray, int]:
    """Return the spectrum (fft_size / 2 + 1, 2) of a window, scaled up by as many bits as are free, and that many."""
    windowed = samples * found.window >> WINDOW_BITS
    loudest = int(_int16(np.abs(windowed)).max())  # -32768 has no magnitude in 16 bits, and is passed over
    shift = 15 - max(loudest, 0).bit_length()
    real = np.zeros(settings.fft_size, np.int64)
    real[: settings.window] = _int16(windowed << shift)
    return _real_fft(real.reshape(-1, 2), found), shift


def _real_fft(pairs: np.ndarray, found: MicroTables) -> np.ndarray:
    """Return the spectrum of real samples, whose pairs are taken for complex numbers and separated afterwards."""
    half = len(pairs)
    complex_spectrum = _fft(pairs, found.twiddles.astype(np.int64))
    spectrum = np.zeros((half + 1, 2), np.int64)
    ends = _divided(complex_spectrum[0], 2)
    spectrum[0, 0], spectrum[half, 0] = _int16(ends[0] + ends[1]), _int16(ends[0] - ends[1])
    k = np.arange(1, half // 2 + 1)
    here = _divided(complex_spectrum[k], 2)
    mirrored = _divided(_int16(complex_spectrum[half - k] * (1, -1)), 2)
    even = _int16(here + mirrored)
    odd = _times(_int16(here - mirrored), found.super_twiddles.astype(np.int64))
    spectrum[k] = (even + odd) >> 1
    spectrum[half - k] = ((even - odd) * (1, -1)) >> 1
    return spectrum


def _fft(x: np.ndarray, twiddles: np.ndarray) -> np.ndarray:
    """Return the spectrum of complex numbers (n, 2), divided by n: by fours, and one two where n is no power of four."""
    n = len(x)
    if n == 1:
        return x
    radix = 4 if n % 4 == 0 else 2
    m = n // radix
    stride = len(twiddles) // n
    parts = [_divided(_fft(x[q::radix], twiddles), radix) for q in range(radix)]
    turned = [_times(part, twiddles[np.arange(m) * stride * q]) for q, part in enumerate(parts)]
    if radix == 2:
        return np.concatenate([_int16(parts[0] + turned[1]), _int16(parts[0] - turned[1])])
    difference, total = _int16(parts[0] - turned[2]), _int16(parts[0] + turned[2])
    sides, across = _int16(turned[1] + turned[3]), _int16(turned[1] - turned[3])
    across = np.stack([across[:, 1], -across[:, 0]], axis=1)  # times -i
    return np.concatenate([_int16(part) for part in (total + sides, difference + across, total - sides, difference - across)])


def _divided(x: np.ndarray, divisor: int) -> np.ndarray:
    return _int16((x * (32767 // divisor) + (1 << 14)) >> 15)


def _times(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the products of complex numbers, the second ones in 15 bits."""
    real = x[:, 0] * y[:, 0] - x[:, 1] * y[:, 1]
    imaginary = x[:, 0] * y[:, 1] + x[:, 1] * y[:, 0]
    return _int16((np.stack([real, imaginary], axis=1) + (1 << 14)) >> 15)


def _filtered(spectrum: np.ndarray, found: MicroTables, shift: int) -> np.ndarray:
    """Return the square root of the energy in each mel filter, the scaling undone."""
    energy = (spectrum**2).sum(axis=1)
    sums = np.zeros(len(found.starts) + 1, np.int64)
    for channel, (start, width) in enumerate(zip(found.starts, found.widths, strict=True)):
        span = slice(start, start + width)
        sums[channel] += (energy[span] * found.rising[span]).sum()
        sums[channel + 1] += (energy[span] * found.falling[span]).sum()
    return np.array([root(int(total)) >> shift for total in sums[1:-1]])


def root(number: int) -> int:
    """Return the square root, rounded to the nearest but never up to a power of two of 16 or 32 bits."""
    root = math.isqrt(number)
    most = 0xFFFF if number < 1 << 32 else 0xFFFFFFFF
    return root + 1 if number - root * root > root and root != most else root


def _without_noise(signal: np.ndarray, noise: np.ndarray, found: MicroTables, settings: MicroFrontEnd) -> np.ndarray:
    """Return the signal less the smoothed estimate of noise, which moves towards it first."""
    smoothing = np.resize(np.array(found.smoothing, np.int64), len(signal))
    scaled = _uint32(signal << settings.smoothing_bits)
    estimate = _uint32((scaled * smoothing + noise.astype(np.int64) * ((1 << NOISE_BITS) - smoothing)) >> NOISE_BITS)
    noise[:] = estimate
    least = signal * found.remaining >> NOISE_BITS
    return np.maximum((scaled - np.minimum(estimate, scaled)) >> settings.smoothing_bits, least)


def _gained(value: int, noise: int, found: MicroTables) -> int:
    """Return a value times the gain for its noise, small ratios squared."""
    ratio = ((value * _gain(noise, found.gains.tolist())) >> found.snr_shift) & 0xFFFFFFFF
    if ratio < 2 << SNR_BITS:
        return ratio * ratio >> (2 + 2 * SNR_BITS - PCAN_BITS)
    return (ratio >> (SNR_BITS - PCAN_BITS)) - (1 << PCAN_BITS)


def _gain(noise: int, gains: list[int]) -> int:
    """Return the gain by its parabola in the doubling that the noise is in."""
    if noise <= 2:
        return gains[noise]
    interval = noise.bit_length()
    first, slope, bend = gains[4 * interval - 6 : 4 * interval - 3]
    fraction = (noise << 11 >> interval) & 0x3FF
    return (((bend * fraction >> 5) + (slope << 5)) * fraction + (1 << 14) >> 15) + first


def logarithm(value: int, found: MicroTables, scale_shift: int) -> int:
    """Return the natural logarithm times 2 ** scale_shift, of the value times 2 ** correction."""
    value = (value << found.correction) & 0xFFFFFFFF if found.correction >= 0 else value >> -found.correction
    if value <= 1:
        return 0
    integer = value.bit_length() - 1
    fraction = (value - (1 << integer)) << LOG_BITS >> integer
    segment = fraction >> (LOG_BITS - LOG_SEGMENTS)
    begin, end = int(found.logs[segment]), int(found.logs[segment + 1])
    inside = fraction - (segment << (LOG_BITS - LOG_SEGMENTS))
    fraction += begin + ((end - begin) * inside >> LOG_BITS)
    natural = (LOG_E * ((integer << LOG_BITS) + fraction) + (1 << (LOG_BITS - 1))) >> LOG_BITS
    return ((natural << scale_shift) + (1 << (LOG_BITS - 1))) >> LOG_BITS


def _int16(values: np.ndarray) -> np.ndarray:
    return values.astype(np.int16).astype(np.int64)


def _uint32(values: np.ndarray) -> np.ndarray:
    return values & 0xFFFFFFFF
