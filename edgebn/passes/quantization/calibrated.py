"""Everything that quantisation learns from calibration data: one reading of the data, and memory that does not grow with it.

The first samples say how large channels get, by which they are equalised; the equalised network then runs on all of them, and
statistics of fixed size are kept. It is handed the function that opens an engine and imports none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from edgebn.passes.quantization.add_ranges import AddObserver
from edgebn.passes.quantization.calibration import (
    Batch,
    Progress,
    Range,
    RunBuffers,
    batches,
    channel_sizes,
    length,
    observe,
    ranges_and_means,
    with_constants,
)
from edgebn.passes.quantization.coarse_outputs import coarse_outputs
from edgebn.passes.quantization.equalize import equalize
from edgebn.passes.quantization.expected_ranges import expected_ranges
from edgebn.passes.quantization.head_ranges import HeadObserver
from edgebn.passes.quantization.patch_moments import PatchMoments, PatchObserver
from edgebn.passes.quantization.score_ranges import ScoreObserver
from edgebn.passes.quantization.steep_functions import steep_functions
from edgebn.program import Program

FIRST_BYTES = 1 << 24  # of the data, kept for being run twice
LOOKED_AT = 16  # batches
JUDGED = 64  # samples on which programs are compared, and
COMPARED = 16  # those on which ranges are


@dataclass(frozen=True)
class Ranges:
    """The ranges of a program's values by one method.

    Attributes
    ----------
    ranges : mapping of str to (low, high)
    coarse : frozenset of str
        Names of the steps that int8 codes are too coarse for (`coarse_outputs`, `steep_functions`).
    """

    ranges: dict[str, Range]
    coarse: frozenset[str]


@dataclass(frozen=True)
class Calibrated:
    """A float32 program with channels of more equal size, and what its values were seen to be.

    Attributes
    ----------
    program : Program
    ways : sequence of Ranges
        By the method, or by several to choose from.
    extremes : mapping of str to (low, high)
        All that was seen: int16 codes hold it.
    expected : mapping of str to (low, high)
        What other samples may be expected to show (`expected_ranges`).
    means : mapping of str to ndarray (channels,)
    moments : mapping of str to PatchMoments
    samples : sequence of dict
        The first batches, of JUDGED samples or a few more where so many were held.
    outputs : mapping of str to ndarray
        Of the first COMPARED of them, float64.
    scales : dict of str to ndarray (channels,)
        Of weights, by step, as they are found.
    """

    program: Program
    ways: Sequence[Ranges]
    extremes: Mapping[str, Range]
    expected: Mapping[str, Range]
    means: dict[str, np.ndarray]
    moments: Mapping[str, PatchMoments]
    samples: Sequence[Batch]
    outputs: Mapping[str, np.ndarray]
    scales: dict[str, np.ndarray] = field(default_factory=dict)


class Work:
    """How much is done, for a progress callback; the total may become known later."""

    def __init__(self, report: Progress | None) -> None:
        self._report = report
        self._done = 0
        self.total: int | None = None

    def add(self, count: int = 1) -> None:
        """Count work as done and say so."""
        self._done += count
        if self._report is not None:
            self._report(self._done, self.total)

    def expect(self, more: int) -> None:
        """Say how much there is still to do."""
        self.total = self._done + more


def calibrated(
    program: Program,
    data: Any,
    open_engine: Callable[[Program], RunBuffers],
    methods: Sequence[str],
    work: Work,
    look: Callable[[Batch], None],
) -> Calibrated:
    """Return what `data` shows of a float32 program.

    Parameters
    ----------
    program : Program
    data : ndarray (N, ...), dict of such by input name, or an iterable of either
        Read once.
    open_engine : callable
        Takes a program and returns what runs batches of it.
    methods : sequence of str
        Of `calibration.METHODS`.
    work : Work
        Samples are counted in it, those that run twice twice; steps are expected to follow.
    look : callable
        Is shown the first samples.

    Raises
    ------
    QuantizationError
        As `calibration.observe`.
    """
    rest = batches(program, data)
    first, ended = _first(rest)
    if first:
        look({name: np.concatenate([batch[name] for batch in first[:LOOKED_AT]]) for name in first[0]})
    held, known, later = sum(map(_count, first)), length(data, program), len(program.steps)
    if ended or known is not None:
        work.expect(held + (held if ended else int(known or 0)) + later)
    samples = [batch for i, batch in enumerate(first) if sum(map(_count, first[:i])) < JUDGED]
    program = equalize(program, channel_sizes(program, open_engine(program), first, work.add))
    run_buffers = with_constants(program, open_engine(program))
    patches, ends = PatchObserver(program), (AddObserver(program), HeadObserver(program), ScoreObserver(program))

    compared = min(COMPARED, sum(map(_count, samples)))
    outputs: dict[str, list[np.ndarray]] = {name: [] for name in program.outputs}

    def watched(batch: Batch) -> Mapping[str, np.ndarray]:
        values = run_buffers(batch)
        patches.see(values)
        for end in ends:
            end.see(values)
        for name, parts in outputs.items():
            left = compared - sum(map(len, parts))
            if left > 0:
                parts.append(values[name][:left].astype(np.float64))
        return values

    observers = observe(program, watched, chain(_released(first), rest), work.add)
    work.expect(later)
    ways = []
    for method in methods:
        ranges, _ = ranges_and_means(program, observers, method)
        if method == "mse":
            for end in ends:
                ranges |= end.ranges()
        coarse = coarse_outputs(program, ranges, observers) | steep_functions(program, ranges, observers)
        ways.append(Ranges(ranges, coarse))
    extremes, means = ranges_and_means(program, observers, "minmax")
    expected, seen = expected_ranges(program, observers), {name: np.concatenate(parts) for name, parts in outputs.items()}
    return Calibrated(program, ways, extremes, expected, means, patches.moments(), samples, seen)


def _first(data: Iterator[dict[str, np.ndarray]]) -> tuple[list[dict[str, np.ndarray]], bool]:
    """Return the first batches, of about FIRST_BYTES, and whether these are all."""
    first: list[dict[str, np.ndarray]] = []
    size = 0
    while size < FIRST_BYTES:
        batch = next(data, None)
        if batch is None:
            return first, True
        first.append(batch)
        size += sum(array.nbytes for array in batch.values())
    return first, False


def _released(held: list[dict[str, np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
    """Yield the batches and let go of each."""
    held.reverse()
    while held:
        yield held.pop()


def _count(batch: Batch) -> int:
    return len(next(iter(batch.values())))
