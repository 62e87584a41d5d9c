"""What was measured on source samples, as flat float32 arrays over the channels of all adapted layers, layer after layer."""

from __future__ import annotations

import numpy as np

from edgebn import program as p
from edgebn.adaptation import AdaptedLayer, SourceTable
from edgebn.errors import ModelError
from edgebn.reference.statistics import Scaling, scaling


class SourceStatistics:
    """An adaptable program's `Adaptation`, ready for arithmetic. Everything is float32 unless it counts something.

    Parameters
    ----------
    program : Program
        With an `adaptation`.

    Attributes
    ----------
    channels : int
        Of all adapted layers together.
    counts : ndarray of int64, shape (layers,)
        Channels of each layer.
    slices : tuple of slice
        Where each layer's channels are.
    positions : tuple of int
        Output positions that each layer observes in an inference.
    classes : int
    margin : float32
    strength : float32
    noise : ndarray, shape (layers,)
    gamma : ndarray, shape (channels,)
        What a float32 program multiplies normalised values by; 0 in int8, and where a channel keeps its source numbers.
    factors : Scaling
        From sums to deviations.

    Raises
    ------
    ModelError
        The program cannot adapt.
    """

    def __init__(self, program: p.Program) -> None:
        if program.adaptation is None:
            raise ModelError(f"{program.source}: the model has no source tables; measure them with edgebn.adaptable(model, images)")
        adaptation = program.adaptation
        self.adaptation = adaptation
        self.counts = np.array([layer.channels for layer in adaptation.layers], np.int64)
        ends = np.cumsum(self.counts)
        self.channels = int(ends[-1])
        self.slices = tuple(slice(int(end - count), int(end)) for end, count in zip(ends, self.counts, strict=True))
        self.names = tuple(layer.observation.step for layer in adaptation.layers)
        self.positions = tuple(_positions(program, layer.observation.step) for layer in adaptation.layers)
        parts = [scaling(layer, count) for layer, count in zip(adaptation.layers, self.positions, strict=True)]
        self.factors = Scaling(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("first", "second", "source")))
        self.gamma = np.concatenate([_gamma(program, layer) for layer in adaptation.layers])
        self.classes, self.margin = adaptation.classes, np.float32(adaptation.margin)
        self.strength, self.noise = np.float32(adaptation.strength), adaptation.noise.astype(np.float32)
        self._real_counts = self.counts.astype(np.float32)
        widest = int(self.counts.max())
        # Place `channels` is one past the end: an appended zero pads the rows of shorter layers.
        self._places = np.full((len(self.counts), widest), self.channels)
        for line, where in zip(self._places, self.slices, strict=True):
            line[: where.stop - where.start] = np.arange(where.start, where.stop)

    def layer_means(self, values: np.ndarray) -> np.ndarray:
        """Return each layer's mean of float32 (channels,): added from the first channel to the last, then divided."""
        padded = np.append(values, np.float32(0))[self._places]
        return np.cumsum(padded, axis=1, dtype=np.float32)[:, -1] / self._real_counts

    def per_channel(self, layer_values: np.ndarray) -> np.ndarray:
        """Return (layers,) repeated over each layer's channels."""
        return np.repeat(layer_values, self.counts.astype(np.intp, copy=False))  # which is 32 bits on some machines

    def tables(self, policy: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a policy's two tables as float32 (rows, channels): code times its layer's scale.

        Raises
        ------
        ModelError
            The program holds no table of that policy.
        """
        found: SourceTable | None = next((table for table in self.adaptation.tables if table.policy == policy), None)
        if found is None:
            known = ", ".join(table.policy for table in self.adaptation.tables) or "none"
            raise ModelError(f"the model holds no source tables for the policy '{policy}' (it holds: {known}); measure them again")
        first = found.first.astype(np.float32) * self.per_channel(found.first_scale)
        return first, found.second.astype(np.float32) * self.per_channel(found.second_scale)


def _gamma(program: p.Program, layer: AdaptedLayer) -> np.ndarray:
    epilogue = getattr(next(step for step in program.steps if step.name == layer.observation.step), "epilogue")  # noqa: B009
    if isinstance(epilogue, p.IntEpilogue):
        return np.zeros(layer.channels, np.float32)
    return epilogue.a * layer.sigma


def _positions(program: p.Program, step_name: str) -> int:
    step = next(step for step in program.steps if step.name == step_name)
    assert program.adaptation is not None
    observation = next(layer.observation for layer in program.adaptation.layers if layer.observation.step == step_name)
    rows, columns, _ = p.epilogue_shape(step, program)
    return len(p.observed_rows(step, observation, rows)) * columns
