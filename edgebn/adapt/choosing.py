"""Which layers to adapt within limits: each layer's benefit, measured by leaving it out, against what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgebn import program as p
from edgebn.adapt.evaluate import evaluate
from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.adapt.subset import adapting_only

Streams = Sequence[tuple[np.ndarray, np.ndarray]]  # (inputs, labels), each in its order
RESOURCES = ("ram", "flash", "instructions")


@dataclass(frozen=True)
class Cost:
    """What adapting one layer, or several, takes: bytes, bytes, and instructions an inference (None: nobody counted them)."""

    ram: int
    flash: int
    instructions: int | None

    @property
    def bytes(self) -> int:
        """RAM and flash together."""
        return self.ram + self.flash


@dataclass(frozen=True)
class Limits:
    """What may be taken; None where anything may."""

    ram: int | None = None
    flash: int | None = None
    instructions: int | None = None

    def exceeded(self, costs: Sequence[Cost]) -> list[str]:
        """Return which resources these layers together take too much of."""
        found = []
        for name in RESOURCES:
            limit, parts = getattr(self, name), [getattr(cost, name) for cost in costs]
            if limit is not None and None not in parts and sum(parts) > limit:
                found.append(name)
        return found


@dataclass(frozen=True)
class Ranked:
    """One layer.

    Attributes
    ----------
    step : str
    cost : Cost
    benefit : float
        By how many points of error the streams do worse without it, in the last round it took part in.
    uncertainty : float
        Standard error of that over the streams; 0 where there is one.
    chosen : bool
    """

    step: str
    cost: Cost
    benefit: float
    uncertainty: float
    chosen: bool

    @property
    def per_kilobyte(self) -> float:
        """Benefit for 1,000 bytes."""
        return 1000.0 * self.benefit / max(self.cost.bytes, 1)


@dataclass(frozen=True)
class Choice:
    """What was found.

    Attributes
    ----------
    layers : tuple of Ranked
        The chosen ones first, each group by benefit for its bytes.
    errors : dict of str to float
        Mean error of all streams in %: without adaptation ('none'), adapting 'all' layers, and the 'chosen' ones.
    """

    layers: tuple[Ranked, ...]
    errors: Mapping[str, float]

    @property
    def chosen(self) -> tuple[str, ...]:
        """Names of the steps to adapt."""
        return tuple(layer.step for layer in self.layers if layer.chosen)


def choose(
    program: p.Program,
    policy: str,
    costs: Mapping[str, Cost],
    limits: Limits,
    streams: Streams,
    progress: Callable[[int, int | None], None] | None = None,
) -> Choice:
    """Drop layers until the rest is within the limits, and say what each is worth.

    Layers move together, so that a layer's worth depends on which others adapt: each round measures anew, for every layer that is
    left, how much worse all streams do without it, and drops the one that is worth least for what it takes of a resource that is
    short (backward elimination). With no limit exceeded there is one round, and nothing is dropped. At the end, what was dropped
    comes back where there is room and it helps.

    Parameters
    ----------
    program : Program
        From `adaptable`; one that classifies.
    policy : str
    costs : dict of step name to Cost
        Of every adapted layer.
    limits : Limits
        Of all layers together.
    streams : sequence of (ndarray (N, ...), ndarray (N,))
        Shifted samples in the orders that matter, and their labels.
    progress : callable, optional
        Called as progress(streams run, streams to run).
    """
    left = list(SourceStatistics(program).names)
    rounds = len(left) if limits.exceeded(list(costs.values())) else 1
    every = [rounds * (len(left) + 2) + 2, 0]  # at most, and so far

    def errors(steps: Sequence[str]) -> np.ndarray:
        every[1] += 1
        if progress is not None:
            progress(every[1] * len(streams), every[0] * len(streams))
        if not steps:
            return np.array([evaluate(program, images, labels, None).error for images, labels in streams])
        small = adapting_only(program, steps)
        return np.array([evaluate(small, images, labels, policy).error for images, labels in streams])

    plain, whole = errors(()), errors(left)
    found: dict[str, tuple[float, float]] = {}
    now = whole
    while left:
        for step in left:
            worse = errors([name for name in left if name != step]) - now
            spread = float(worse.std(ddof=1) / np.sqrt(len(worse))) if len(worse) > 1 else 0.0
            found[step] = float(worse.mean()), spread
        short = limits.exceeded([costs[step] for step in left])
        if not short:
            break
        left.remove(min(left, key=lambda step: found[step][0] / max(getattr(costs[step], short[0]), 1)))
        now = errors(left) if left else plain
    for step in sorted(set(costs) - set(left), key=lambda step: (-found[step][0], step)):
        if not limits.exceeded([costs[name] for name in (*left, step)]):  # room that a larger layer left when it went
            better = errors([*left, step])
            if better.mean() < now.mean():
                left.append(step)
                now = better
    ranked = [Ranked(step, costs[step], *found[step], chosen=step in left) for step in costs]
    ranked.sort(key=lambda layer: (not layer.chosen, -layer.per_kilobyte))
    means = {"none": float(plain.mean()), "all": float(whole.mean()), "chosen": float(now.mean())}
    return Choice(tuple(ranked), means)
