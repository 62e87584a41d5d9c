"""Where inferences come from while adapting: something that runs one sample, hands over its sums, and takes new epilogues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from edgebn import program as p
from edgebn import reference
from edgebn.adapt.home import Home
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
        self._home = Home(program)
        self._current = program
        self._states = reference.initial_states(program)

    @property
    def current(self) -> p.Program:
        """The program with its epilogues as they stand."""
        return self._current

    def observe(self, sample: Mapping[str, np.ndarray]) -> Observed:
        """See `Engine`."""
        program, given = self._current, self._home.adaptation
        raw = p.takes_codes(program) and all(value.dtype != np.float32 for value in sample.values())
        codes = {}
        for name, value in sample.items():
            buffer = program.buffers[name]
            codes[name] = value[0] if raw or buffer.dtype == "float32" else reference.quantize_real(value[0], buffer)
        sums: dict[str, reference.Sums] = {}
        values = reference.run_steps(program, codes, sums, self._states)
        outputs = {}
        for name in program.outputs:
            is_code = not raw and p.holds_codes(program.buffers[name])
            value = reference.dequantize(values[name], program.buffers[name]) if is_code else values[name]
            outputs[name] = value.reshape(1, *program.shapes[name])
        logits = real_logits(values[given.logits], program.buffers[given.logits]) if given.classes else np.zeros(0, np.float32)
        gathered = [sums[name] for name in self._home.names]
        first = np.concatenate([one.first for one in gathered])
        return Observed(outputs, logits, first, np.concatenate([one.second for one in gathered]))

    def fold(self, drift: np.ndarray, ratio: np.ndarray) -> list[str]:
        """See `Engine`."""
        refused: list[str] = []
        steps: list[Any] = list(self._current.steps)
        factory = {step.name: step for step in self.program.steps}
        for layer, where in zip(self._home.adaptation.layers, self._home.slices, strict=True):
            name = layer.observation.step
            step: Any = factory[name]
            at = next(i for i, one in enumerate(steps) if one.name == name)
            epilogue = refolded(step.epilogue, layer, drift[where], ratio[where])
            if epilogue is None:
                refused.append(name)
            else:
                steps[at] = replace(step, epilogue=epilogue)
        self._current = replace(self._current, steps=tuple(steps))
        return refused


def refolded(
    factory: p.FloatEpilogue | p.IntEpilogue, layer: AdaptedLayer, drift: np.ndarray, ratio: np.ndarray
) -> p.FloatEpilogue | p.IntEpilogue | None:
    """Return an epilogue folded from new statistics, or None where its numbers would leave their range."""
    if isinstance(factory, p.IntEpilogue):
        integers = refold_int(factory, layer, drift, ratio)
        return None if integers is None else replace(factory, m=integers[0], r=integers[1], s=integers[2])
    reals = refold_float(factory, layer, drift, ratio)
    return None if reals is None else replace(factory, a=reals[0], d=reals[1])


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
        self._home = Home(self.program)

    def observe(self, sample: Mapping[str, np.ndarray]) -> Observed:
        """See `Engine`."""
        seen, given = self._session.observe(dict(sample)), self._home.adaptation
        logits = real_logits(seen.logits, self.program.buffers[given.logits]) if given.classes else seen.logits
        return Observed(seen.outputs, logits, seen.first, seen.second)

    def fold(self, drift: np.ndarray, ratio: np.ndarray) -> list[str]:
        """See `Engine`."""
        return [self._home.names[i] for i in self._session.refold(drift, ratio)]
