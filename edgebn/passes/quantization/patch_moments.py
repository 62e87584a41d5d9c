"""Mean and covariance of what each convolution multiplies its weights with, seen on calibration data.

They say how much an error in each weight costs in the output. Knows float32 programs and values; runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edgebn.passes.quantization.calibration import BATCH, batch_size
from edgebn.program import Convolution, Program

LARGEST_PATCH = 1024  # weights of one output: beyond, the covariance (its square) costs more than it is worth
ROWS = 1 << 12  # patches taken from a full batch; neighbours are alike, so more say little more
IN_CACHE = 1 << 19  # bytes of patches of several groups that are multiplied at once
FEW_ROWS = 1 << 6  # taken from each sample where a batch is not full, as samples are large: 100 of them still show 6,400
PENDING = 1 << 20  # bytes of patches of one convolution that wait for others: few matrix products of many rows are faster


@dataclass(frozen=True)
class PatchMoments:
    """Of the patches that one convolution reads, for each group; K = kh * kw * (I / groups), in the weights' order.

    Attributes
    ----------
    mean : ndarray of float64, shape (groups, K)
        Padding counts as the zero that it is.
    covariance : ndarray of float64, shape (groups, K, K)
    """

    mean: np.ndarray
    covariance: np.ndarray


class PatchObserver:
    """Gathers the moments of every convolution of a program, batch by batch. The same data gives the same moments."""

    def __init__(self, program: Program) -> None:
        self._steps = [step for step in program.steps if isinstance(step, Convolution) and step.weight[0].size <= LARGEST_PATCH]
        self._count = dict.fromkeys((step.name for step in self._steps), 0)
        self._pending: dict[str, list[np.ndarray]] = {}
        self._seen = 0  # samples
        size = batch_size(program)
        self._rows = ROWS if size == BATCH else FEW_ROWS * size  # taken from one batch
        self._sum: dict[str, np.ndarray] = {}
        self._square: dict[str, np.ndarray] = {}

    def see(self, values: Mapping[str, np.ndarray]) -> None:
        """Take in the buffers of a batch, (N, H, W, C) each."""
        for step in self._steps:
            waiting = self._pending.setdefault(step.name, [])
            waiting.append(patches(step, values[step.inputs[0]], self._rows, self._seen % BATCH))
            if sum(rows.nbytes for rows in waiting) >= PENDING:
                self._add(step.name)
        self._seen += len(next(iter(values.values())))

    def _add(self, name: str) -> None:
        """Add what waits to the sums."""
        waiting = self._pending.pop(name)
        rows = waiting[0] if len(waiting) == 1 else np.concatenate(waiting, axis=1)  # (groups, rows, K)
        groups, count, size = rows.shape
        if name not in self._sum:
            self._sum[name], self._square[name] = np.zeros((groups, size)), np.zeros((groups, size, size))
        self._count[name] += count
        at_once = max(1, IN_CACHE // (8 * count * size))
        ones = np.ones((1, count))
        for start in range(0, groups, at_once):
            some = slice(start, start + at_once)
            part = rows[some].astype(np.float64)
            self._sum[name][some] += (ones @ part)[:, 0]
            self._square[name][some] += part.transpose(0, 2, 1) @ part

    def moments(self) -> dict[str, PatchMoments]:
        """Return the moments by step name, once; convolutions with patches larger than LARGEST_PATCH are left out."""
        for name in tuple(self._pending):
            self._add(name)
        found = {}
        for name, total in self._sum.items():
            mean = total / self._count[name]
            covariance = self._square.pop(name)  # of some networks the largest thing there is: no copy of it
            covariance /= self._count[name]
            covariance -= mean[:, :, None] * mean[:, None, :]
            found[name] = PatchMoments(mean, covariance)
        return found


def patches(step: Convolution, x: np.ndarray, most: int = ROWS, turn: int = 0) -> np.ndarray:
    """Return at most `most` of the patches that `step` reads from x (N, H, W, I), drawn evenly: (groups, rows, K).

    `turn` says which are drawn; it comes back after BATCH samples, so that the same data gives the same moments.
    """
    _, kh, kw, per_group = step.weight.shape
    (dy, dx), (sy, sx), (top, left, bottom, right) = step.dilations, step.strides, step.padding
    samples, height, width, channels = x.shape
    outputs = (
        (height + top + bottom - (kh - 1) * dy - 1) // sy + 1,
        (width + left + right - (kw - 1) * dx - 1) // sx + 1,
    )
    sample, row, column = np.unravel_index(_drawn(samples * outputs[0] * outputs[1], most, turn), (samples, *outputs))
    y = row[:, None, None] * sy - top + dy * np.arange(kh)[:, None]  # (rows, kh, 1)
    x_at = column[:, None, None] * sx - left + dx * np.arange(kw)  # (rows, 1, kw)
    at = (sample[:, None, None] * height + np.clip(y, 0, height - 1)) * width + np.clip(x_at, 0, width - 1)  # (rows, kh, kw)
    found = np.ascontiguousarray(x).reshape(-1, channels)[at]  # (rows, kh, kw, I)
    if any(step.padding):
        found[(y < 0) | (y >= height) | (x_at < 0) | (x_at >= width)] = 0.0
    by_group = found.reshape(len(found), kh * kw, step.groups, per_group)
    return by_group.transpose(2, 0, 1, 3).reshape(step.groups, len(found), kh * kw * per_group)


@lru_cache(maxsize=256)  # layers of one size draw alike
def _drawn(count: int, most: int, turn: int) -> np.ndarray:
    """Return which of `count` patches are taken."""
    if count <= most:
        return np.arange(count)
    return np.random.default_rng(turn).choice(count, most, replace=False)
