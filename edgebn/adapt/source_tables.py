"""What is measured on source samples for the class-compensated rules: strength, tables by predicted class, noise, typical margin.

float64 until the tables are quantised. docs/adaptation.md derives the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebn.adapt.policies.compensated import MIN_DIVISOR, MIN_VARIANCE, TABLE
from edgebn.adapt.policy import SourceSamples
from edgebn.adaptation import SourceTable

NATURAL_SPREAD = 0.51  # the variance of ln(variance) between samples at which a network is adapted by half
SPREAD_POWER = 2.5
RIDGE = 1.0  # samples' worth of certainty that pull a class's table to nothing
MIN_NOISE = 1e-6
BALANCING_ROUNDS = 5


@dataclass(frozen=True)
class SourceMeasurements:
    """The measurements.

    Attributes
    ----------
    margin : float
        Median difference of the two largest logits.
    noise : ndarray of float32, shape (layers,)
        Variance of one sample's residuals, averaged over channels.
    tables : tuple of SourceTable
        Empty where the network does not classify.
    """

    margin: float
    noise: np.ndarray
    tables: tuple[SourceTable, ...]


def measure_source(samples: SourceSamples, *, centred: bool = False) -> SourceMeasurements:
    """Measure everything from what the source samples showed.

    Parameters
    ----------
    centred : bool
        Whether the source statistics are the reference though the samples look otherwise: class effects are then taken about their
        mean, and what the samples differ by is adapted to. It is right where the samples themselves come from a shifted world.
    """
    first, second = samples.first.astype(np.float64), samples.second.astype(np.float64)
    strength = samples.strength
    if not samples.classes:
        return SourceMeasurements(1.0, _noise(samples, first, second), ())
    margin = max(float(np.median(samples.margin)), 1e-6)
    u = np.minimum(samples.margin.astype(np.float64) / margin, 1.0)[:, None]
    away = (1 - strength) + strength * u
    offset1 = first.mean(axis=0)
    offset2 = second.mean(axis=0) - offset1**2
    table1, table2 = np.zeros((samples.classes, first.shape[1])), np.zeros((samples.classes, first.shape[1]))
    for k in range(samples.classes):
        mine = samples.predicted == k
        weight = u[mine].sum() + RIDGE
        table1[k] = (first[mine] - away[mine] * offset1).sum(axis=0) / weight
        expected = away[mine] * offset1 + u[mine] * table1[k]
        about = 1 + second[mine] - 2 * expected * first[mine] + expected**2
        table2[k] = (about - 1 - away[mine] * offset2).sum(axis=0) / weight
    if centred:
        table1, table2 = table1 - table1.mean(axis=0), table2 - table2.mean(axis=0)
        offset1, offset2 = np.zeros_like(offset1), np.zeros_like(offset2)
    for _ in range(0 if centred else BALANCING_ROUNDS):  # a quotient's mean is not the quotient of means, and divisors are bounded
        r2 = _residuals(samples, u, away, np.vstack([table1, offset1]), np.vstack([table2, offset2]))[1]
        offset2 = (1 + offset2) * (1 + r2.mean(axis=0)) - 1
    table = quantize_tables(TABLE, np.vstack([table1, offset1]), np.vstack([table2, offset2]), samples.slices)
    counts = [where.stop - where.start for where in samples.slices]
    rows = (
        codes * np.repeat(scale.astype(np.float64), counts)
        for codes, scale in ((table.first, table.first_scale), (table.second, table.second_scale))
    )
    return SourceMeasurements(margin, _noise(samples, *_residuals(samples, u, away, *rows)), (table,))


def _residuals(
    samples: SourceSamples, u: np.ndarray, away: np.ndarray, rows1: np.ndarray, rows2: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return r1 and r2 of all samples at source scale, as the policy would see them."""
    first, second = samples.first.astype(np.float64), samples.second.astype(np.float64)
    expected = away * rows1[-1] + u * rows1[samples.predicted]
    about = 1 + second - 2 * expected * first + expected**2
    divisor = np.maximum(1 + away * rows2[-1] + u * rows2[samples.predicted], float(MIN_DIVISOR))
    return first - expected, about / divisor - 1


def measure_strength(first: np.ndarray, second: np.ndarray) -> float:
    """Return 1 / (1 + (S / 0.51)**2.5), S the variance between samples of ln(variance) in the first adapted layer.

    Where samples differ much by nature the network lives with such differences, and its statistics say less about the world: spoken
    commands in more or less noise (0.7) against pictures (0.3). The first layer is nearest to the world.

    Parameters
    ----------
    first, second : ndarray of float32, shape (samples, channels)
        d1 and d2 of that layer, every row observed.
    """
    wide1, wide2 = first.astype(np.float64), second.astype(np.float64)
    logarithm = np.log(np.maximum(1 + wide2 - wide1**2, float(MIN_VARIANCE)))
    return float(1 / (1 + (logarithm.var(axis=0).mean() / NATURAL_SPREAD) ** SPREAD_POWER))


def _noise(samples: SourceSamples, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    one_sample = first.var(axis=0) + second.var(axis=0)
    return np.array([max(one_sample[where].mean(), MIN_NOISE) for where in samples.slices], np.float32)


def quantize_tables(policy: str, first: np.ndarray, second: np.ndarray, slices: tuple[slice, ...]) -> SourceTable:
    """Return float tables (rows, channels) as int8 with one scale a layer: its largest magnitude is 127."""
    codes, scales = [], []
    for table in (first, second):
        scale = np.array([max(float(np.abs(table[:, where]).max(initial=0.0)) / 127, 1e-12) for where in slices], np.float32)
        counts = [where.stop - where.start for where in slices]
        codes.append(np.clip(np.rint(table / np.repeat(scale, counts)), -127, 127).astype(np.int8))
        scales.append(scale)
    return SourceTable(policy, codes[0], codes[1], scales[0], scales[1])
