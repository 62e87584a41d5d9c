"""The specification of the MFCC front end: plain NumPy integers; window by window, then all that a network hears at once.

A window becomes a row: the logarithm of each mel filter, in units of one sample and LOG_SHIFT bits, and the largest sample.
Only when the windows of one inference are known is it known what the loudest sample is; the logarithms are then set against it.
"""

from __future__ import annotations

import numpy as np

from edgebn.preparation.data import MfccFrontEnd
from edgebn.preparation.mfcc_tables import (
    DCT_BITS,
    FEATURE_BITS,
    FEATURE_ZERO,
    FLOOR,
    LOG_SHIFT,
    SAMPLE_BITS,
    SILENT,
    SUM_STEP,
    WINDOW_BITS,
    mfcc_tables,
)
from edgebn.preparation.micro_reference import logarithm, root
from edgebn.preparation.micro_tables import FILTER_BITS, MicroTables


def mfcc_rows(samples: np.ndarray, settings: MfccFrontEnd) -> np.ndarray:
    """Return the rows of every whole window in `samples`.

    Parameters
    ----------
    samples : ndarray of int16, shape (n,)
    settings : MfccFrontEnd

    Returns
    -------
    ndarray of int16, shape (windows, filters + 1)
    """
    found = mfcc_tables(settings)
    windows = max(0, (len(samples) - settings.window) // settings.step + 1)
    rows = np.zeros((windows, settings.filters + 1), np.int16)
    for index in range(windows):
        part = samples[index * settings.step :][: settings.window].astype(np.int64)
        real = np.zeros(settings.fft_size, np.int64)
        real[: settings.window] = part * found.front.window >> (WINDOW_BITS - SAMPLE_BITS)
        for channel, total in enumerate(_filtered(_real_fft(real.reshape(-1, 2), found.front), found.front)):
            rows[index, channel] = logarithm(total, found.front, LOG_SHIFT) + found.constant if total else SILENT
        rows[index, -1] = part.max()
    return rows


def _real_fft(pairs: np.ndarray, found: MicroTables) -> np.ndarray:
    """Return the spectrum of real samples over their number, whose pairs are taken for complex numbers and separated afterwards."""
    half = len(pairs)
    complex_spectrum = _fft(pairs, found.twiddles.astype(np.int64))
    spectrum = np.zeros((half + 1, 2), np.int64)
    spectrum[0, 0] = complex_spectrum[0].sum()
    k = np.arange(1, half // 2 + 1)
    here, mirrored = complex_spectrum[k], complex_spectrum[half - k] * (1, -1)
    even, odd = here + mirrored, _times(here - mirrored, found.super_twiddles.astype(np.int64))
    spectrum[k] = (even + odd) >> 2
    spectrum[half - k] = ((even - odd) * (1, -1)) >> 2
    return spectrum


def _fft(x: np.ndarray, twiddles: np.ndarray) -> np.ndarray:
    """Return the spectrum of complex numbers (n, 2), divided by n: by fours, and one two where n is no power of four."""
    n = len(x)
    if n == 1:
        return x
    radix = 4 if n % 4 == 0 else 2
    m, stride = n // radix, len(twiddles) // n
    parts = [(_fft(x[q::radix], twiddles) + radix // 2) >> (radix // 2) for q in range(radix)]
    turned = [_times(part, twiddles[np.arange(m) * stride * q]) for q, part in enumerate(parts)]
    if radix == 2:
        return np.concatenate([parts[0] + turned[1], parts[0] - turned[1]])
    difference, total = parts[0] - turned[2], parts[0] + turned[2]
    sides, across = turned[1] + turned[3], turned[1] - turned[3]
    across = np.stack([across[:, 1], -across[:, 0]], axis=1)  # times -i
    return np.concatenate([total + sides, difference + across, total - sides, difference - across])


def _times(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the products of complex numbers, the second ones in 15 bits."""
    real = x[:, 0] * y[:, 0] - x[:, 1] * y[:, 1]
    imaginary = x[:, 0] * y[:, 1] + x[:, 1] * y[:, 0]
    return (np.stack([real, imaginary], axis=1) + (1 << 14)) >> 15


def _filtered(spectrum: np.ndarray, found: MicroTables) -> list[int]:
    """Return the magnitudes in each filter."""
    magnitudes = np.array([_magnitude(int(energy)) for energy in (spectrum**2).sum(axis=1)])
    sums = np.zeros(len(found.starts) + 1, np.int64)
    for channel, (start, width) in enumerate(zip(found.starts, found.widths, strict=True)):
        span = slice(start, start + width)
        sums[channel] += (magnitudes[span] * found.rising[span]).sum()
        sums[channel + 1] += (magnitudes[span] * found.falling[span]).sum()
    return [min(int(total) >> FILTER_BITS, 0xFFFFFFFF) for total in sums[1:-1]]


def _magnitude(energy: int) -> int:
    """Return the square root, of the energy's first 31 or 32 bits where it has more."""
    dropped = max(0, energy.bit_length() - 31) // 2
    return root(energy >> 2 * dropped) << dropped


def mfcc_features(rows: np.ndarray, settings: MfccFrontEnd) -> np.ndarray:
    """Return the features of the windows that a network hears at once.

    Parameters
    ----------
    rows : ndarray of int16, shape (windows, filters + 1)
        From `mfcc_rows`.
    settings : MfccFrontEnd

    Returns
    -------
    ndarray of uint16, shape (windows, channels)
        128 times the coefficients, plus 32768.
    """
    found = mfcc_tables(settings)
    loudest = max(int(rows[:, -1].max()), 1) if settings.normalize else 1 << 15
    shares = rows[:, :-1].astype(np.int64) - logarithm(loudest, found.front, LOG_SHIFT)
    # log(exp(a) + exp(b)) = max(a, b) + log(1 + exp(-|a - b|))
    step = np.abs(shares - FLOOR) >> SUM_STEP
    more = np.where(step < len(found.sums), found.sums[np.minimum(step, len(found.sums) - 1)], 0)
    logarithms = np.maximum(shares, FLOOR) + more
    totals = logarithms @ found.cosines.astype(np.int64).T
    bits = LOG_SHIFT + DCT_BITS - FEATURE_BITS
    return np.clip(((totals + (1 << (bits - 1))) >> bits) + FEATURE_ZERO, 0, 65535).astype(np.uint16)
