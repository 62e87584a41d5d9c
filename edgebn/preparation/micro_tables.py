"""The constant tables of the TensorFlow Lite Micro audio front end, as its `*_util.c` files make them from the settings.

Those files exist with float64 and, on microcontrollers, with float32 arithmetic, which differ in an entry here and there; these are
the float32 ones, which ESPHome and pymicro-features run. Knows no samples.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.preparation.data import MicroFrontEnd

WINDOW_BITS = 12
FILTER_BITS = 12
NOISE_BITS = 14
SNR_BITS = 12
PCAN_BITS = 6
GAIN_BITS = 32  # of the argument of the gain's table
LOG_BITS = 16
LOG_SEGMENTS = 7
LOG_E = 45426  # ln 2 in 16 bits

_float = np.float32


@dataclass(frozen=True)
class MicroTables:
    """The integers that the front end works with.

    Attributes
    ----------
    window : ndarray of int16, shape (window,)
    order : ndarray of int16, shape (fft_size / 2,)
        Which pair of samples the complex FFT, done in place, begins with at each place.
    twiddles : ndarray of int16, shape (fft_size / 2, 2)
        exp(-2 pi i k / (fft_size / 2)) in 15 bits, for the complex FFT.
    super_twiddles : ndarray of int16, shape (fft_size / 4, 2)
        For its separation into the real one; entry k - 1 is for frequency k.
    starts, widths : ndarray of int16, shape (channels + 1,)
        The frequencies of each filter.
    rising : ndarray of int16, shape (fft_size / 2 + 1,)
        By frequency, its weight in the filter that it belongs to; `falling` in the one after it.
    falling : ndarray of int16, shape (fft_size / 2 + 1,)
    smoothing : (int, int)
        Of even and odd channels, in NOISE_BITS.
    remaining : int
        The least share of the signal, in NOISE_BITS.
    gains : ndarray of int16, shape (125,)
        The gain as pieces of parabolas; empty without gain control.
    snr_shift : int
    correction : int
        Bits that the features are shifted left by before the logarithm.
    logs : ndarray of uint16, shape (130,)
        log2(1 + x) - x at 128 steps, in 16 bits.
    """

    window: np.ndarray
    order: np.ndarray
    twiddles: np.ndarray
    super_twiddles: np.ndarray
    starts: np.ndarray
    widths: np.ndarray
    rising: np.ndarray
    falling: np.ndarray
    smoothing: tuple[int, int]
    remaining: int
    gains: np.ndarray
    snr_shift: int
    correction: int
    logs: np.ndarray


@functools.cache
def tables(settings: MicroFrontEnd) -> MicroTables:
    """Return the tables.

    Raises
    ------
    ModelError
        Settings that the front end cannot work with.
    """
    _check(settings)
    half = settings.fft_size // 2
    starts, widths, rising, falling = _filters(settings)
    correction = half.bit_length() - FILTER_BITS // 2
    return MicroTables(
        window=_window(settings.window),
        order=order(half).astype(np.int16),
        twiddles=circle(-2 * math.pi * np.arange(half) / half),
        super_twiddles=circle(-math.pi * (np.arange(1, half // 2 + 1) / half + 0.5)),
        starts=starts,
        widths=widths,
        rising=rising,
        falling=falling,
        smoothing=(_share(settings.even_smoothing), _share(settings.odd_smoothing)),
        remaining=_share(settings.min_signal_remaining),
        gains=_gains(settings, correction) if settings.pcan else np.zeros(0, np.int16),
        snr_shift=settings.pcan_gain_bits - correction - SNR_BITS,
        correction=correction,
        logs=log_table(),
    )


def _check(settings: MicroFrontEnd) -> None:
    faults = {
        "a window of 16 to 4096 samples": 16 <= settings.window <= 4096,
        "a step of 1 sample to a window": 1 <= settings.step <= settings.window,
        "1 to 256 channels": 1 <= settings.channels <= 256,
        "a band that begins at 0 or above and ends below half the sample rate": 0
        <= settings.lower_hz
        < settings.upper_hz
        < settings.sample_rate / 2,
        "0 to 14 smoothing bits": 0 <= settings.smoothing_bits <= 14,
        "smoothing and remaining shares between 0 and 1": all(
            0 <= share <= 1 for share in (settings.even_smoothing, settings.odd_smoothing, settings.min_signal_remaining)
        ),
        "16 to 30 bits of gain": not settings.pcan or 20 <= settings.pcan_gain_bits <= 30,
        "a positive offset": not settings.pcan or settings.pcan_offset > 0,
        "a scale of 0 to 12 bits": 0 <= settings.log_scale_shift <= 12,
    }
    wrong = next((what for what, holds in faults.items() if not holds), None)
    if wrong:
        raise ModelError(f"the audio front end needs {wrong}; it has {settings}")


def _window(size: int) -> np.ndarray:
    """Return a Hann window, shifted by half a sample; every operation in float32."""
    angles = _float(math.pi * 2.0 / size) * (np.arange(size, dtype=_float) + _float(0.5))
    values = _float(0.5) - _float(0.5) * np.cos(angles.astype(np.float64)).astype(_float)
    return np.floor(values * _float(1 << WINDOW_BITS) + _float(0.5)).astype(np.int16)


def order(n: int) -> np.ndarray:
    """Return which sample an FFT of n complex numbers, done in place by fours and one two, begins with at each place."""
    if n == 1:
        return np.zeros(1, np.int64)
    radix = 4 if n % 4 == 0 else 2
    return np.concatenate([order(n // radix) * radix + q for q in range(radix)])


def circle(phases: np.ndarray) -> np.ndarray:
    """Return cosines and sines (n, 2) in 15 bits."""
    pairs = [(math.cos(phase), math.sin(phase)) for phase in phases]
    return np.floor(0.5 + 32767 * np.array(pairs)).astype(np.int16)


def _mel(hertz: Any) -> np.float32:
    return _float(1127.0) * log1pf(_float(_float(hertz) / _float(700.0)))


# Coefficients of Sun's fdlibm, from which the float32 logarithms of newlib and of glibc up to 2.40 come.
_LN2 = _float(6.9313812256e-01), _float(9.0580006145e-06)
_LOG_COEFFICIENTS = [
    _float(value)
    for value in (
        6.6666668653e-01,
        4.0000000596e-01,
        2.8571429849e-01,
        2.2222198546e-01,
        1.8183572590e-01,
        1.5313838422e-01,
        1.4798198640e-01,
    )
]


def log1pf(x: np.float32) -> np.float32:
    """Return log(1 + x), x >= 0, to the bit of fdlibm's `log1pf`: weights hang on a bit that other libraries round otherwise."""
    one, two, half = _float(1), _float(2), _float(0.5)
    exponent, correction, f = 0, _float(0), x
    if x >= _float(0.41421357):
        total = one + x
        mantissa, exponent = np.frexp(total)  # in 0.5 to 1
        exponent = int(exponent) - 1
        mantissa = _float(mantissa * two)
        correction = (one - (total - x) if exponent > 0 else x - (total - one)) / total
        if (mantissa.view(np.int32) & 0x7FFFFF) >= 0x3504F7:  # above the square root of 2
            exponent += 1
            mantissa = _float(mantissa * half)
        f = mantissa - one
    square = half * f * f
    s = f / (two + f)
    z = s * s
    rest = _float(0)
    for coefficient in reversed(_LOG_COEFFICIENTS):
        rest = z * (coefficient + rest)
    if exponent == 0:
        return _float(f - (square - s * (square + rest)))
    k = _float(exponent)
    return _float(k * _LN2[0] - ((square - (s * (square + rest) + (k * _LN2[1] + correction))) - f))


def _filters(settings: MicroFrontEnd) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return triangles of equal width on the mel scale: each frequency is shared by two of them."""
    low, high = _mel(settings.lower_hz), _mel(settings.upper_hz)
    count = settings.channels + 1
    spacing = _float(_float(high - low) / _float(count))
    centres = [_float(low + _float(spacing * _float(i + 1))) for i in range(count)]
    spectrum = settings.fft_size // 2 + 1
    step = _float(_float(0.5) * _float(settings.sample_rate) / _float(spectrum - 1))
    frequency = int(_float(1.5) + _float(_float(settings.lower_hz) / step))
    starts, widths = np.zeros(count, np.int16), np.zeros(count, np.int16)
    rising, falling = np.zeros(spectrum, np.int16), np.zeros(spectrum, np.int16)
    for channel, centre in enumerate(centres):
        starts[channel] = frequency
        below = low if channel == 0 else centres[channel - 1]
        while (mel := _mel(_float(frequency) * step)) <= centre:
            weight = _float(_float(centre - mel) / _float(centre - below))
            if frequency >= spectrum - 1:
                raise ModelError(f"the audio front end's band reaches past what an FFT of {settings.fft_size} samples tells apart")
            rising[frequency] = np.floor(_float(weight * _float(1 << FILTER_BITS)) + _float(0.5))
            falling[frequency] = np.floor(_float(_float(_float(1.0) - weight) * _float(1 << FILTER_BITS)) + _float(0.5))
            frequency += 1
        widths[channel] = frequency - starts[channel]
    return starts, widths, rising, falling


def _share(share: float) -> int:
    return int(_float(share) * _float(1 << NOISE_BITS))


def _gains(settings: MicroFrontEnd, correction: int) -> np.ndarray:
    """Return 2 ** gain_bits * (x + offset) ** -strength for x up to 2 ** 32: two values, then a parabola for each doubling."""
    input_bits = settings.smoothing_bits - correction

    def gain(x: int) -> int:
        real = _float(_float(x) / _float(1 << input_bits)) if input_bits >= 0 else _float(_float(x) * _float(1 << -input_bits))
        power = _float(float(_float(real + _float(settings.pcan_offset))) ** -float(_float(settings.pcan_strength)))
        value = _float(_float(1 << settings.pcan_gain_bits) * power)
        return 32767 if value > 32767 else int(_float(value + _float(0.5)))

    found = [gain(0), gain(1)]
    for interval in range(2, GAIN_BITS + 1):
        begin = 1 << (interval - 1)
        end = 2 * begin - (interval == GAIN_BITS)
        first, middle, last = gain(begin), gain(begin + begin // 2), gain(end)
        slope = 4 * (middle - first) - (last - first)
        found += [first, slope, last - first - slope, 0]
    # An entry of four numbers for each interval, whose first one begins at index 2.
    return np.array(found, np.int64).astype(np.int16)


def log_table() -> np.ndarray:
    """Return what log2(1 + x) has more than x, at 128 steps; the last entry is the end of the last segment."""
    steps = np.arange(129) / 128
    values = np.round((np.log2(1 + steps) - steps) * (1 << LOG_BITS)).astype(np.uint16)
    return np.append(values, np.uint16(0))
