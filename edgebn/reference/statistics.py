"""What the epilogues gather for adaptation, and what the sums mean. The kernels and the emitted C give the same integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebn.adaptation import AdaptedLayer, Observation
from edgebn.program import Affine, Convolution, IntEpilogue, TransposedConvolution, observed_rows

INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1


@dataclass(frozen=True)
class Sums:
    """S1 and S2 of one step over the observed positions of one inference.

    Attributes
    ----------
    first : ndarray of int32 (float32 programs: float32), shape (channels,)
    second : ndarray of uint64 (float32 programs: float32), shape (channels,)
    """

    first: np.ndarray
    second: np.ndarray


def observe(acc: np.ndarray, step: Convolution | TransposedConvolution | Affine, observation: Observation) -> Sums:
    """Return the sums of one inference.

    Parameters
    ----------
    acc : ndarray of int64 or float64, shape (rows, columns, channels)
        Before a fused pool; sums of products without the bias.
    step : Convolution, TransposedConvolution or Affine
        Of its epilogue, only what adaptation never changes is used here.
    observation : Observation
    """
    rows = acc[observed_rows(step, observation, len(acc))].reshape(-1, acc.shape[2])
    epilogue = step.epilogue
    if isinstance(epilogue, IntEpilogue):
        assert observation.shift is not None
        u = np.clip(rows + epilogue.acc_bias.astype(np.int64), epilogue.lo.astype(np.int64), epilogue.hi.astype(np.int64))
        e = np.clip((u - observation.center) >> observation.shift.astype(np.int64), INT16_MIN, INT16_MAX)
        return Sums(e.sum(axis=0).astype(np.int32), (e * e).sum(axis=0).astype(np.uint64))
    u = np.clip(rows.astype(np.float32) + epilogue.bias, np.float32(epilogue.pre[0]), np.float32(epilogue.pre[1]))
    e = u - observation.center
    return Sums(e.sum(axis=0, dtype=np.float32), (e * e).sum(axis=0, dtype=np.float32))


@dataclass(frozen=True)
class Scaling:
    """Turns sums into deviations: d1 = S1 * first, d2 = S2 * second - source. All float32, shape (channels,)."""

    first: np.ndarray
    second: np.ndarray
    source: np.ndarray


def scaling(layer: AdaptedLayer, positions: int) -> Scaling:
    """Return the factors of a layer that observes `positions` output positions; 0 where a channel's sigma is 0."""
    inverse = np.zeros(layer.channels, np.float32)
    np.divide(np.float32(1), layer.sigma, out=inverse, where=layer.sigma > 0)
    first = inverse * (np.float32(1) / np.float32(max(positions, 1)))
    source = np.where(layer.sigma > 0, layer.home, np.float32(0)).astype(np.float32)
    return Scaling(first, first * inverse, source)


def deviations(first: np.ndarray, second: np.ndarray, factors: Scaling) -> tuple[np.ndarray, np.ndarray]:
    """Return d1 and d2 in float32; each sum is rounded to float32 first."""
    return first.astype(np.float32) * factors.first, second.astype(np.float32) * factors.second - factors.source
