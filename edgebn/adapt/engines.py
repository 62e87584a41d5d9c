"""Where inferences come from while adapting: something that runs one sample, hands over its sums, and takes new epilogues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from edgebn import program as p
from edgebn import reference
from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.adaptation import AdaptedLayer
from edgebn.reference.refold import refold_float, refold_int
from edgebn.session import Session


@dataclass(frozen=True)
class Observed:
    """One inference.

    Attributes
    ----------
    outputs : dict of str to ndarray, shape (1, ...)
        By output name, as `Session.run` gives them for what went in.
    logits : ndarray of float32, shape (classes,)
    first, second : ndarray, shape (channels,)
        S1 and S2 of all adapted layers.
    """

    outputs: dict[str, np.ndarray]
    logits: np.ndarray
    first: np.ndarray
    second: np.ndarray


class Engine(Protocol):
    """What an adapter needs of whatever runs the program."""

    program: p.Program

    def observe(self, sample: Mapping[str, np.ndarray]) -> Observed:
        """Run one sample, each input (1, ...), with the epilogues as they stand."""

    def fold(self, drift: np.ndarray, ratio: np.ndarray) -> list[str]:
        """Fold new statistics into the epilogues; return the steps that refused, whose epilogues stay as they were."""


class ReferenceEngine:
    """The specification as an engine: slow, obvious."""

    def __init__(self, program: p.Program) -> None:
        self.program = program
        self._source = SourceStatistics(program)
        self._current = program
        self._states = reference.initial_states(program)

    @property
    def current(self) -> p.Program:
        """The program with its epilogues as they stand."""
        return self._current

    def observe(self, sample: Mapping[str, np.ndarray]) -> Observed:
        """See `Engine`."""
        program, adaptation = self._current, self._source.adaptation
        as_codes = p.takes_codes(program) and all(value.dtype != np.float32 for value in sample.values())
        codes = {}
        for name, value in sample.items():
            buffer = program.buffers[name]
            codes[name] = value[0] if as_codes or buffer.dtype == "float32" else reference.quantize_real(value[0], buffer)
        sums: dict[str, reference.Sums] = {}
        values = reference.run_steps(program, codes, sums, self._states)
        outputs = {}
        for name in program.outputs:
            is_code = not as_codes and p.holds_codes(program.buffers[name])
            value = reference.dequantize(values[name], program.buffers[name]) if is_code else values[name]
            outputs[name] = value.reshape(1, *program.shapes[name])
        logits = (
            real_logits(values[adaptation.logits], program.buffers[adaptation.logits])
            if adaptation.classes
            else np.zeros(0, np.float32)
        )
        sums_by_layer = [sums[name] for name in self._source.names]
        first = np.concatenate([one.first for one in sums_by_layer])
        return Observed(outputs, logits, first, np.concatenate([one.second for one in sums_by_layer]))

    def fold(self, drift: np.ndarray, ratio: np.ndarray) -> list[str]:
        """See `Engine`."""
        refused: list[str] = []
        steps: list[Any] = list(self._current.steps)
        source_steps = {step.name: step for step in self.program.steps}
        for layer, where in zip(self._source.adaptation.layers, self._source.slices, strict=True):
            name = layer.observation.step
            step: Any = source_steps[name]
            at = next(i for i, one in enumerate(steps) if one.name == name)
            epilogue = refolded(step.epilogue, layer, drift[where], ratio[where])
            if epilogue is None:
                refused.append(name)
            else:
                steps[at] = replace(step, epilogue=epilogue)
        self._current = replace(self._current, steps=tuple(steps))
        return refused


def refolded(
    source: p.FloatEpilogue | p.IntEpilogue, layer: AdaptedLayer, drift: np.ndarray, ratio: np.ndarray
) -> p.FloatEpilogue | p.IntEpilogue | None:
    """Return an epilogue folded from new statistics, or None where its numbers would leave their range."""
    if isinstance(source, p.IntEpilogue):
        integers = refold_int(source, layer, drift, ratio)
        return None if integers is None else replace(source, m=integers[0], r=integers[1], s=integers[2])
    reals = refold_float(source, layer, drift, ratio)
    return None if reals is None else replace(source, a=reals[0], d=reals[1])


def real_logits(value: np.ndarray, buffer: p.Buffer) -> np.ndarray:
    """Return a buffer's value as float32 (classes,): of codes, (code - zero point) * float32(scale); 0 before a single one."""
    real = value.reshape(-1)
    if buffer.dtype != "float32":
        real = (real.astype(np.int32) - buffer.zero_point).astype(np.float32) * np.float32(buffer.scale)
    return real if len(real) > 1 else np.append(np.float32(0), real)


class SessionEngine:
    """A session as an engine."""

    def __init__(self, session: Session) -> None:
        self.program = session.program
        self._session = session
        self._source = SourceStatistics(self.program)

    def observe(self, sample: Mapping[str, np.ndarray]) -> Observed:
        """See `Engine`."""
        observed, adaptation = self._session.observe(dict(sample)), self._source.adaptation
        logits = real_logits(observed.logits, self.program.buffers[adaptation.logits]) if adaptation.classes else observed.logits
        return Observed(observed.outputs, logits, observed.first, observed.second)

    def fold(self, drift: np.ndarray, ratio: np.ndarray) -> list[str]:
        """See `Engine`."""
        return [self._source.names[i] for i in self._session.refold(drift, ratio)]
