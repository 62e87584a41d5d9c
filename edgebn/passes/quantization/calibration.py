"""Ranges of every value of a float32 program, seen on calibration data: min/max, percentile or least mean squared error.

It is handed the function that runs a program and imports no engine. The data may be one array or come in pieces; each
value keeps a histogram of fixed size however much data there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from edgebn.errors import QuantizationError
from edgebn.program import Program

METHODS = ("minmax", "percentile", "mse")
Batch = Mapping[str, np.ndarray]
RunBuffers = Callable[[Batch], Mapping[str, np.ndarray]]
Progress = Callable[[int, int | None], None]
Range = tuple[float, float]

HALF_BINS = 4096  # histogram bins on each side of zero
BATCH = 32  # samples run at once, at most, and statistics that take a sample of values draw alike from as many
BATCH_BYTES = 1 << 25  # that all values of the samples run at once may take, unless one sample takes more
HISTOGRAM = 1 << 15  # values of one sample's buffer that are counted: those of pixels spread evenly; its extremes are of all
PERCENTILE = 99.99  # of the values of one side of zero
MANY = 100  # samples from which on the extremes that were seen are taken for those that will be
LEVELS = 255  # steps between the lowest and the highest int8 code


@dataclass
class Observer:
    """What one buffer was seen to hold: exact extremes, a histogram about zero, and means for each channel.

    The bin width is a power of two and only grows, by merging neighbours: the counts do not depend on how the data was cut into
    batches by more than the first batch's width.
    """

    low: float = 0.0  # zero always belongs to the range
    high: float = 0.0
    width: float = 0.0
    counts: np.ndarray = field(default_factory=lambda: np.zeros(2 * HALF_BINS, np.int64))
    channel_sum: np.ndarray | None = None  # (channels,)
    positions: int = 0
    samples: int = 0
    # Of each sample's lowest and highest value and zero: their sums, and those of their squares.
    ends: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))

    def see(self, values: np.ndarray) -> bool:
        """Take in values (N, H, W, C), unless some are not finite: return whether all are."""
        lows, highs = (np.minimum(values.min(axis=(1, 2, 3)), 0.0), np.maximum(values.max(axis=(1, 2, 3)), 0.0))
        if not (np.isfinite(lows) & np.isfinite(highs)).all():
            return False
        self.low = min(self.low, float(lows.min()))
        self.high = max(self.high, float(highs.max()))
        both = np.stack([lows, highs]).astype(np.float64)
        self.ends += np.stack([both.sum(axis=1), (both**2).sum(axis=1)])
        values = thinned(values, self.samples)
        self.samples += len(values)
        sums = values.sum(axis=(0, 1), dtype=np.float64)
        self.channel_sum = sums if self.channel_sum is None else self.channel_sum + sums
        self.positions += values.size // values.shape[-1]
        reach = max(-self.low, self.high)
        if reach == 0.0:
            self.counts[HALF_BINS] += values.size
            return True
        needed = 2.0 ** (np.frexp(reach / HALF_BINS)[1])
        if self.width == 0.0:
            self.width = needed
        while self.width < needed:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.zeros_like(self.counts)
            self.counts[HALF_BINS // 2 : HALF_BINS // 2 + HALF_BINS] = merged
            self.width *= 2.0
        bins = values.ravel() / np.float32(self.width)
        np.clip(np.floor(bins, out=bins), -HALF_BINS, HALF_BINS - 1, out=bins)
        bins += HALF_BINS  # of float32, which counts exactly so far
        self.counts += np.bincount(bins.astype(np.int64), minlength=2 * HALF_BINS)
        return True

    def centres(self) -> np.ndarray:
        """Return the middle of every bin; the two next to zero stand for zero, where activations put most of their values."""
        middles = (np.arange(2 * HALF_BINS) - HALF_BINS + 0.5) * self.width
        middles[HALF_BINS] = 0.0 if self.low == 0.0 else middles[HALF_BINS]
        return middles

    def channel_mean(self) -> np.ndarray:
        """Return the mean of each channel, float64 (channels,)."""
        assert self.channel_sum is not None, "no batch was seen"
        return self.channel_sum / self.positions

    def range(self, method: str) -> Range:
        """Return (low, high) by one of `METHODS`; low <= 0 <= high."""
        return {"minmax": self._extremes, "percentile": self._percentile, "mse": self._least_squares}[method]()

    def _extremes(self) -> Range:
        return self.low, self.high

    def expected(self) -> Range:
        """Return what one sample in MANY may be expected to go beyond; the extremes where as many were seen.

        The ends of samples are taken for Gumbel's, whose largest of n grows by their scale times the logarithm of n.
        """
        if not 1 < self.samples < MANY:
            return self.low, self.high
        mean, square = self.ends / self.samples
        spread = np.sqrt(np.maximum(square - mean**2, 0.0) * self.samples / (self.samples - 1))
        margin = spread * np.sqrt(6.0) / np.pi * np.log(MANY / self.samples)
        return self.low - float(margin[0]), self.high + float(margin[1])

    def _percentile(self) -> Range:
        """Leave out the outermost 1 - PERCENTILE of the values that lie on each side."""
        if self.width == 0.0:
            return self.low, self.high
        negative, positive = self.counts[:HALF_BINS][::-1], self.counts[HALF_BINS:]
        ends = []
        for counts in (negative, positive):
            within = np.searchsorted(np.cumsum(counts), counts.sum() * PERCENTILE / 100.0)
            ends.append((min(int(within), HALF_BINS - 1) + 1) * self.width)
        return max(self.low, -ends[0]) if self.low < 0 else 0.0, min(self.high, ends[1]) if self.high > 0 else 0.0

    def _least_squares(self) -> Range:
        """Shrink each end to where rounding and clipping together cost the least squared error, by two passes over a grid."""
        used = self.counts > 0
        centres, counts = self.centres()[used], self.counts[used].astype(np.float64)
        low, high = self.low, self.high
        grid = np.linspace(0.3, 1.0, 71)[::-1]
        for _ in range(2):
            if self.high > 0.0:
                high = min((self.high * factor for factor in grid), key=lambda end: _squared_error(centres, counts, low, end))
            if self.low < 0.0:
                low = min((self.low * factor for factor in grid), key=lambda end: _squared_error(centres, counts, end, high))
        return low, high


def thinned(values: np.ndarray, turn: int) -> np.ndarray:
    """Return the values (N, P, C) of at most about HISTOGRAM / C pixels of each sample of (N, H, W, C), other ones each turn."""
    count, height, width, channels = values.shape
    pixels = values.reshape(count, height * width, channels)
    step = -(-height * width * channels // HISTOGRAM)
    while step > 1 and np.gcd(step, width) > 1:  # else some columns would never be seen
        step += 1
    return pixels[:, turn % step :: step]


@dataclass
class PeakObserver:
    """How large each channel of one buffer typically gets."""

    peak_sum: np.ndarray | float = 0.0  # (channels,): each sample's largest magnitude, summed

    def see(self, values: np.ndarray) -> bool:
        """Take in values (N, H, W, C), unless some are not finite: return whether all are."""
        peaks = np.maximum(values.max(axis=(1, 2)), -values.min(axis=(1, 2)))
        if not np.isfinite(peaks).all():
            return False
        self.peak_sum = self.peak_sum + peaks.sum(axis=0, dtype=np.float64)
        return True


def _squared_error(values: np.ndarray, counts: np.ndarray, low: float, high: float) -> float:
    step = (high - low) / LEVELS
    if step == 0.0:
        return float((counts * values**2).sum())
    start = np.rint(low / step)
    codes = np.clip(np.rint(values / step), start, start + LEVELS)
    return float((counts * (values - codes * step) ** 2).sum())


def with_constants(program: Program, run_buffers: RunBuffers) -> RunBuffers:
    """Return `run_buffers` whose answer holds the program's constants too: observers of what a step reads look them up alike."""

    def all_buffers(batch: Batch) -> Mapping[str, np.ndarray]:
        count = len(next(iter(batch.values())))
        constants = {name: np.broadcast_to(array, (count, *array.shape)) for name, array in program.constants.items()}
        return {**constants, **run_buffers(batch)}

    return all_buffers


def observe(
    program: Program,
    run_buffers: RunBuffers,
    data: np.ndarray | Batch | Iterable[np.ndarray | Batch],
    progress: Callable[[int], None] | None = None,
) -> dict[str, Observer]:
    """Run calibration data through a float32 program and return what every computed buffer and input held.

    Parameters
    ----------
    program : Program
        float32.
    run_buffers : callable
        Takes a dict of input name to (N, ...) arrays and returns every buffer's values, (N, H, W, C).
    data : ndarray (N, ...), dict of such by input name, or an iterable of either
        Read once, batch by batch.
    progress : callable, optional
        Called as progress(samples) after every batch.

    Raises
    ------
    QuantizationError
        No data, wrong shapes, or values that are not finite (in the data or, from them, in a layer).
    """
    return _seen(Observer, program, run_buffers, data, progress)


def channel_sizes(
    program: Program,
    run_buffers: RunBuffers,
    data: np.ndarray | Batch | Iterable[np.ndarray | Batch],
    progress: Callable[[int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Return how large each channel (channels,) of every buffer gets: the mean over samples of the largest magnitude.

    It is known up to one factor. Parameters and errors are those of `observe`.
    """
    return {name: np.asarray(seen.peak_sum) for name, seen in _seen(PeakObserver, program, run_buffers, data, progress).items()}


AnyObserver = TypeVar("AnyObserver", Observer, PeakObserver)


def _seen(
    kind: type[AnyObserver],
    program: Program,
    run_buffers: RunBuffers,
    data: np.ndarray | Batch | Iterable[np.ndarray | Batch],
    progress: Callable[[int], None] | None,
) -> dict[str, AnyObserver]:
    """Return what an observer of each buffer saw."""
    observers: dict[str, AnyObserver] = {}
    for batch in batches(program, data):
        for name, array in run_buffers(batch).items():  # no name holds the batch's values while the next one runs
            if name in program.constants:
                continue
            if not observers.setdefault(name, kind()).see(array):
                raise QuantizationError(
                    f"{program.source}: on the calibration data the value '{name}' becomes NaN or infinite; "
                    "check that the data is scaled as in training"
                )
        if progress is not None:
            progress(len(next(iter(batch.values()))))
    if not observers:
        raise QuantizationError(f"{program.source}: the calibration data is empty; give 100 to 1000 typical inputs")
    return observers


def ranges_and_means(
    program: Program, observers: Mapping[str, Observer], method: str
) -> tuple[dict[str, Range], dict[str, np.ndarray]]:
    """Return every buffer's range by `method` and its channel means; inputs of the network keep their full range."""
    ranges = {name: seen.range("minmax" if name in program.inputs else method) for name, seen in observers.items()}
    return ranges, {name: seen.channel_mean() for name, seen in observers.items()}


def batch_size(program: Program) -> int:
    """Return how many samples are run at once."""
    values = sum(int(np.prod(buffer.shape)) for name, buffer in program.buffers.items() if name not in program.constants)
    return max(1, min(BATCH, BATCH_BYTES // (4 * max(values, 1))))


def batches(program: Program, data: np.ndarray | Batch | Iterable[np.ndarray | Batch]) -> Iterator[dict[str, np.ndarray]]:
    """Yield checked float32 batches of at most `batch_size` samples by input name; a generator is read once, piece by piece."""
    pieces = [data] if isinstance(data, (np.ndarray, Mapping)) else data
    if not isinstance(pieces, Iterable):
        raise QuantizationError(
            f"{program.source}: calibration data of type {type(data).__name__}; give an array of shape (N, ...), a dict of arrays "
            "by input name, or an iterable of such"
        )
    size = batch_size(program)
    for piece in pieces:
        arrays = _checked(program, piece)
        count = len(next(iter(arrays.values())))
        for start in range(0, count, size):
            yield {name: _real(program, name, array[start : start + size]) for name, array in arrays.items()}


def _checked(program: Program, piece: object) -> dict[str, np.ndarray]:
    """Return one piece of data as arrays of numbers by input name, or refuse it."""
    if isinstance(piece, Mapping):
        inputs = dict(piece)
    elif len(program.inputs) == 1:
        inputs = {program.inputs[0]: piece}
    else:
        raise QuantizationError(
            f"{program.source}: the network has the inputs {program.inputs}; give calibration data as a dict by name"
        )
    arrays = {}
    for name in program.inputs:
        if name not in inputs:
            raise QuantizationError(
                f"{program.source}: the calibration data lacks the input '{name}'; it has {sorted(map(str, inputs))}"
            )
        array = np.asarray(inputs[name])
        want = tuple(program.shapes[name])
        if array.dtype == np.int8:
            raise QuantizationError(
                f"{program.source}: calibration data of int8 codes for '{name}', whose range is yet to be found; give real numbers"
            )
        if array.dtype.kind not in "fiub":
            raise QuantizationError(f"{program.source}: calibration data of type {array.dtype} for '{name}'; give real numbers")
        if array.ndim != len(want) + 1 or array.shape[1:] != want:
            asked = ", ".join(map(str, want))
            raise QuantizationError(
                f"{program.source}: calibration data of shape {array.shape} for '{name}'; it should be (N, {asked})"
            )
        arrays[name] = array
    if len({len(array) for array in arrays.values()}) != 1:
        raise QuantizationError(f"{program.source}: the inputs' calibration arrays have different lengths")
    return arrays


def _real(program: Program, name: str, array: np.ndarray) -> np.ndarray:
    """Return a batch of an input as float32, or refuse it."""
    with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite and is refused below
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise QuantizationError(f"{program.source}: the calibration data for '{name}' holds NaN or infinite numbers; remove them")
    return array


def length(data: object, program: Program) -> int | None:
    """Return how many samples there are, where that is known without reading them."""
    first = data.get(program.inputs[0]) if isinstance(data, Mapping) else data
    return len(first) if isinstance(first, np.ndarray) and first.ndim else None
