"""Ranges of the logits and of what the last dense layer reads, chosen by what they do to the softmax behind them.

Which class wins is decided where two logits are close. Logits far below the others, and above them where one class is certain, may
saturate: finer steps are left for where classes are told apart. Knows values; runs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from edgebn.passes.quantization.calibration import LEVELS, Range
from edgebn.program import Convolution, FloatEpilogue, Program, Reshape, Softmax, Step

MAX_ROWS = 1 << 14  # of logits kept, and
MAX_VALUES = 1 << 18  # of their numbers, or of what they are made of
CLOSE = 0.5  # the share of rows, those with the smallest margins, whose margins have to be kept
TOLERANCE = 0.5 / 256  # of probabilities (root mean square): half a step of the int8 softmax, which its output cannot show
FEW = 64  # rows with close margins, of fewer probabilities decide where margins are alike, which are then
UNCERTAIN = 1.0  # standard deviations of their mean difference apart at most
LOGIT_ENDS = np.linspace(0.1, 1.0, 31)  # fractions of the extremes tried as ends
FEATURE_ENDS = np.linspace(0.4, 1.0, 31)


@dataclass
class _Head:
    """One softmax: the buffer of its logits, and the dense layer that makes them of a vector where there is one."""

    logits: str
    beta: float
    dense: Convolution | None
    features: str  # what the dense layer reads
    origin: str  # the buffer whose range the features have; '' where it is not ours to choose
    logit_rows: list[np.ndarray] = field(default_factory=list)  # (n, classes) each
    feature_rows: list[np.ndarray] = field(default_factory=list)  # (n, channels) each


class HeadObserver:
    """Keeps logits, and the vectors they are made of, of every softmax that alone reads them."""

    def __init__(self, program: Program) -> None:
        self._heads = [head for step in program.steps if isinstance(step, Softmax) and (head := _head(step, program))]

    def see(self, values: Mapping[str, np.ndarray]) -> None:
        """Take in the buffers of a batch, (N, H, W, C) each."""
        for head in self._heads:
            kept = ((head.logits, head.logit_rows), (head.features, head.feature_rows))
            widest = max(values[name].shape[-1] for name, _ in kept)
            left = min(MAX_ROWS, max(1, MAX_VALUES // widest)) - sum(map(len, head.logit_rows))
            if left <= 0:
                continue
            for name, rows in kept:
                rows.append(values[name].reshape(-1, values[name].shape[-1])[:left].astype(np.float64))

    def ranges(self) -> dict[str, Range]:
        """Return the range of every such value, by buffer."""
        found = {}
        for head in self._heads:
            logits = np.concatenate(head.logit_rows)
            found[head.logits] = softmax_range(logits, head.beta)
            if head.dense is not None and head.origin:
                found[head.origin] = feature_range(np.concatenate(head.feature_rows), head.dense, logits, head.beta)
        return found


def softmax_range(rows: np.ndarray, beta: float) -> Range:
    """Return the range of logits (n, classes) that blurs close margins least and leaves the probabilities as they are."""
    return _best(rows, rows, beta, LOGIT_ENDS, lambda quantised: quantised)


def feature_range(features: np.ndarray, dense: Convolution, logits: np.ndarray, beta: float) -> Range:
    """Return the same for the vectors (n, channels) that `dense` makes the logits of."""
    weight, epilogue = dense.weight[:, 0, 0, :].astype(np.float64), dense.epilogue
    assert isinstance(epilogue, FloatEpilogue)

    def through(quantised: np.ndarray) -> np.ndarray:
        return np.asarray(
            np.clip(np.clip(quantised @ weight.T + epilogue.bias, *epilogue.pre) * epilogue.a + epilogue.d, *epilogue.post)
        )

    return _best(features, logits, beta, FEATURE_ENDS, through)


def _best(
    values: np.ndarray, logits: np.ndarray, beta: float, ends: np.ndarray, through: Callable[[np.ndarray], np.ndarray]
) -> Range:
    """Return the range of `values` that disturbs close margins of `logits` least, or, of few alike, probabilities."""
    exact = _softmax(beta * logits)
    tolerance = TOLERANCE if logits.shape[1] > 2 else 0.0  # of two classes one is a score, which is compared with any threshold
    order = np.argsort(-logits, axis=1, kind="stable")
    places = np.arange(len(logits))
    margins = logits[places, order[:, 0]] - logits[places, order[:, 1]]
    close = np.flatnonzero(margins <= np.quantile(margins, CLOSE))
    first, second = order[close, 0], order[close, 1]

    lowest, highest = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    if lowest == highest:
        return lowest, highest
    lows = sorted({lowest * fraction for fraction in ends})
    highs = sorted({highest * fraction for fraction in ends}, reverse=True)

    def changed(pair: Range, rows: np.ndarray) -> np.ndarray:
        step = (pair[1] - pair[0]) / LEVELS
        start = np.rint(pair[0] / step)
        return through(np.clip(np.rint(rows / step), start, start + LEVELS) * step)

    def moved(pair: Range) -> np.ndarray:
        found = changed(pair, values[close])[np.arange(len(close))[:, None], np.stack([first, second], axis=1)]
        squares = (found[:, 0] - found[:, 1] - margins[close]) ** 2
        return squares if len(close) < FEW else np.array([squares.mean()])

    @cache  # exponents cost most: of ranges that margins decide against they are not asked for
    def wrong(pair: Range) -> float:
        return float(np.sqrt(((_softmax(beta * changed(pair, values)) - exact) ** 2).mean()))

    found = {(low, high): moved((low, high)) for low in lows for high in highs}
    means = {pair: float(squares.mean()) for pair, squares in found.items()}
    by_margins = sorted(found, key=means.__getitem__)
    best = next((pair for pair in by_margins if wrong(pair) <= tolerance), None)
    best = best or min(found, key=lambda pair: (wrong(pair), means[pair]))
    worst, least = max(wrong(best), tolerance), found[best]

    def alike(pair: Range) -> bool:
        """Whether the margins of a range are no worse than the best, as far as a few rows can tell."""
        apart = found[pair] - least
        return apart.mean() <= UNCERTAIN * apart.std() / np.sqrt(len(apart)) and wrong(pair) <= worst

    if len(close) >= FEW:
        return best
    return min(filter(alike, found), key=lambda pair: (wrong(pair), means[pair]))


def _softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _head(softmax: Softmax, program: Program) -> _Head | None:
    """Return the head of a softmax whose logits nothing else reads and that tells two classes or more apart."""
    logits = _origin(softmax.inputs[0], program)
    if (
        not logits
        or program.buffers[logits].shape[2] < 2
        or program.buffers[logits].shape != program.buffers[softmax.inputs[0]].shape
    ):
        return None
    dense = _maker(logits, program)
    if not isinstance(dense, Convolution) or program.buffers[dense.inputs[0]].shape[:2] != (1, 1):
        return _Head(logits, softmax.beta, None, logits, "")
    if dense.groups != 1 or dense.weight.shape[1:3] != (1, 1) or dense.pool is not None:
        return _Head(logits, softmax.beta, None, logits, "")
    return _Head(logits, softmax.beta, dense, dense.inputs[0], _origin(dense.inputs[0], program))


def _origin(name: str, program: Program) -> str:
    """Return the buffer that `name` is a reshaped form of ('' where others read it, or it is an end of the network)."""
    readers = Counter(read for step in program.steps for read in step.inputs)
    ends = {*program.entering, *program.leaving, *program.constants}
    while readers[name] == 1 and name not in ends:
        maker = _maker(name, program)
        if not isinstance(maker, Reshape):
            return name
        name = maker.inputs[0]
    return ""


def _maker(name: str, program: Program) -> Step | None:
    return next((step for step in program.steps if step.output == name), None)
