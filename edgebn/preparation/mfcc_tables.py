"""The constant tables of the MFCC front end. Knows no samples.

Formulas of `tf.signal`: a periodic Hann window, triangles that are straight on the HTK mel scale, an orthonormal DCT-II. The FFT's
tables are those of the other front end.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from edgebn.errors import ModelError
from edgebn.preparation.data import MfccFrontEnd
from edgebn.preparation.micro_tables import FILTER_BITS, MicroTables, circle, log_table, order

WINDOW_BITS = 15
SAMPLE_BITS = 12  # fraction bits of windowed samples, and of magnitudes
LOG_SHIFT = 10  # fraction bits of logarithms
SILENT = -(1 << 15)  # the logarithm of nothing
FLOOR = round(math.log(1e-6) * (1 << LOG_SHIFT))  # is added to magnitudes before the logarithm, to shares of the loudest sample
SUM_STEP = 6  # bits of a difference of logarithms that are one step of `sums`
DCT_BITS = 13  # sums of 64 logarithms below 22 times cosines of at most sqrt(2 / 64) stay below 2 ** 31
MAX_FILTERS = 64
FEATURE_BITS = 7
FEATURE_ZERO = 1 << 15


@dataclass(frozen=True)
class MfccTables:
    """The integers that the front end works with.

    Attributes
    ----------
    front : MicroTables
        Window, FFT and filters, those of the other front end; its noise reduction and gain control are not used.
    constant : int
        The logarithm of what the FFT divides by, less that of the fraction bits of magnitudes; in LOG_SHIFT bits.
    sums : ndarray of int16, shape (128,)
        log(1 + exp(-x)) for x in the middle of steps of 2 ** (SUM_STEP - LOG_SHIFT).
    cosines : ndarray of int16, shape (channels, filters)
        The DCT in DCT_BITS.
    """

    front: MicroTables
    constant: int
    sums: np.ndarray
    cosines: np.ndarray


@functools.cache
def mfcc_tables(settings: MfccFrontEnd) -> MfccTables:
    """Return the tables.

    Raises
    ------
    ModelError
        Settings that the front end cannot work with.
    """
    _check(settings)
    half = settings.fft_size // 2
    starts, widths, falling, rising = _filters(settings)
    hann = 0.5 - 0.5 * np.cos(2 * math.pi * np.arange(settings.window) / settings.window)
    front = MicroTables(
        window=np.rint(hann * ((1 << WINDOW_BITS) - 1)).astype(np.int16),
        order=order(half).astype(np.int16),
        twiddles=circle(-2 * math.pi * np.arange(half) / half),
        super_twiddles=circle(-math.pi * (np.arange(1, half // 2 + 1) / half + 0.5)),
        starts=starts,
        widths=widths,
        rising=falling,  # their names are those of slopes seen from the frequency, not from the filter
        falling=rising,
        smoothing=(0, 0),
        remaining=0,
        gains=np.zeros(0, np.int16),
        snr_shift=0,
        correction=0,
        logs=log_table(),
    )
    steps = (np.arange(128) + 0.5) * 2.0 ** (SUM_STEP - LOG_SHIFT)
    n = np.arange(settings.filters)
    cosines = np.cos(np.pi * np.arange(settings.channels)[:, None] * (n + 0.5) / settings.filters) * math.sqrt(2 / settings.filters)
    return MfccTables(
        front=front,
        constant=round((math.log(settings.fft_size) - SAMPLE_BITS * math.log(2)) * (1 << LOG_SHIFT)),
        sums=np.rint(np.log1p(np.exp(-steps)) * (1 << LOG_SHIFT)).astype(np.int16),
        cosines=np.rint(cosines * (1 << DCT_BITS)).astype(np.int16),
    )


def _check(settings: MfccFrontEnd) -> None:
    faults = {
        "a window of 16 to 4096 samples": 16 <= settings.window <= 4096,
        "a step of 1 sample to a window": 1 <= settings.step <= settings.window,
        "2 to 64 filters": 2 <= settings.filters <= MAX_FILTERS,
        "1 coefficient to as many as there are filters": 1 <= settings.channels <= settings.filters,
        "a band that begins at 0 or above and ends below half the sample rate": 0
        <= settings.lower_hz
        < settings.upper_hz
        < settings.sample_rate / 2,
    }
    wrong = next((what for what, holds in faults.items() if not holds), None)
    if wrong:
        raise ModelError(f"the MFCC front end needs {wrong}; it has {settings}")


def _mel(hertz: np.ndarray) -> np.ndarray:
    return 1127.0 * np.log1p(hertz / 700.0)


def _filters(settings: MfccFrontEnd) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return first and number of frequencies between each two edges; by frequency its share in the filter below and above."""
    low, high = _mel(np.array([settings.lower_hz, settings.upper_hz]))
    edges = np.linspace(low, high, settings.filters + 2)
    spectrum = settings.fft_size // 2 + 1
    mels = _mel(np.arange(spectrum) * settings.sample_rate / settings.fft_size)
    # The constant part belongs to no filter.
    places = np.maximum(np.searchsorted(mels, edges), 1)
    starts, widths = places[:-1].astype(np.int16), np.diff(places).astype(np.int16)
    below, above = np.zeros(spectrum, np.int16), np.zeros(spectrum, np.int16)
    for low, high, start, width in zip(edges[:-1], edges[1:], starts, widths, strict=True):
        span = slice(start, start + width)
        share = (mels[span] - low) / (high - low)
        above[span] = np.rint(share * (1 << FILTER_BITS))
        below[span] = np.rint((1 - share) * (1 << FILTER_BITS))
    return starts, widths, below, above
