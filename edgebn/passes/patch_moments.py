"""Mean and covariance of what each convolution multiplies its weights with, seen on calibration data.

They say how much an error in each weight costs in the output. Knows float32 programs and values; runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgebn.program import Convolution, Program

LARGEST_PATCH = 1024  # weights of one output: beyond, the covariance (its square) costs more than it is worth
ROWS = 1 << 12  # patches taken from one batch; neighbours are alike, so more say little more


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
        self._sum: dict[str, np.ndarray] = {}
        self._square: dict[str, np.ndarray] = {}

    def see(self, values: Mapping[str, np.ndarray]) -> None:
        """Take in the buffers of a batch, (N, H, W, C) each."""
        for step in self._steps:
            rows = patches(step, values[step.inputs[0]]).astype(np.float64)  # (groups, rows, K)
            name = step.name
            self._count[name] += rows.shape[1]
            self._sum[name] = self._sum.get(name, 0.0) + rows.sum(axis=1)
            self._square[name] = self._square.get(name, 0.0) + rows.transpose(0, 2, 1) @ rows

    def moments(self) -> dict[str, PatchMoments]:
        """Return the moments by step name; convolutions with patches larger than LARGEST_PATCH are left out."""
        found = {}
        for name, total in self._sum.items():
            mean = total / self._count[name]
            covariance = self._square[name] / self._count[name] - mean[:, :, None] * mean[:, None, :]
            found[name] = PatchMoments(mean, covariance)
        return found


def patches(step: Convolution, x: np.ndarray) -> np.ndarray:
    """Return at most ROWS of the patches that `step` reads from x (N, H, W, I), drawn evenly: (groups, rows, K)."""
    top, left, bottom, right = step.padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    _, kh, kw, per_group = step.weight.shape
    (dy, dx), (sy, sx) = step.dilations, step.strides
    reach = ((kh - 1) * dy + 1, (kw - 1) * dx + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(1, 2))[:, ::sy, ::sx, :, ::dy, ::dx]
    places = windows.shape[:3]
    count = int(np.prod(places))
    chosen = np.arange(count) if count <= ROWS else np.random.default_rng(0).choice(count, ROWS, replace=False)
    rows = windows[np.unravel_index(chosen, places)]  # (rows, I, kh, kw)
    by_group = rows.reshape(len(rows), step.groups, per_group, kh, kw)
    return by_group.transpose(1, 0, 3, 4, 2).reshape(step.groups, len(rows), kh * kw * per_group)
