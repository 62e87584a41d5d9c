"""Which steps to put in float32 or int16, by what each one wins at the outputs and costs. Is handed what runs programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgebn.errors import QuantizationError
from edgebn.passes.quantization.calibration import Batch, RunBuffers
from edgebn.passes.quantization.quantize_buffers import keeps_codes
from edgebn.program import Buffer, Concat, Program, Step

MAX_TRIED = 32  # steps, those behind which most noise is new
BUDGETS = ("db", "agreement", "bytes", "ms")
SILENCE = 200.0  # dB, where nothing differs


@dataclass(frozen=True)
class KeepRow:
    """What it wins and costs to have one value in another type: the step that makes it and those that read it; others are int8.

    A step alone would win little: its value would become codes before the next one.

    Attributes
    ----------
    step, kind : str
        That makes the value.
    steps : tuple of str
        That are kept: it and its readers.
    db : float
        Signal to noise of the worst output.
    agreement : float
        Of the samples, in percent: how many have their first output's largest number where float32 has it.
    bytes : int
        More weights: float32 has 4 bytes where int8 has 1; int16 has int8's.
    ms : float
        More milliseconds that an inference takes here, on one thread.
    dtype : str
        'float32' or 'int16'.
    kept : bool
        Whether the budget chose it.
    """

    step: str
    kind: str
    steps: tuple[str, ...]
    db: float
    agreement: float
    bytes: int
    ms: float
    dtype: str = "float32"
    kept: bool = False


@dataclass(frozen=True)
class Judged:
    """How near a program is to float32."""

    db: float
    agreement: float


def checked_budget(budget: Any, source: str) -> dict[str, float]:
    """Return the budget of `keep="auto"`, or refuse it.

    Raises
    ------
    QuantizationError
    """
    if not isinstance(budget, Mapping) or not budget or any(key not in BUDGETS for key in budget):
        raise QuantizationError(
            f"{source}: keep='auto' needs a budget: 'db' or 'agreement' (percent) to reach, 'bytes' or 'ms' more not to exceed, "
            f"as budget={{'db': 30}}; it was given {budget!r}"
        )
    if not all(isinstance(value, int | float) and value >= 0 for value in budget.values()):
        raise QuantizationError(f"{source}: budget={budget!r}: give numbers of 0 or more")
    return dict(budget)


class Judge:
    """Runs programs on the same samples as the float32 one."""

    def __init__(self, program: Program, batches: Sequence[Batch], open_engine: Callable[[Program], RunBuffers]) -> None:
        self._batches, self._open, self._outputs = batches, open_engine, program.outputs
        self.wanted = self.run(program)

    def run(self, program: Program) -> dict[str, np.ndarray]:
        """Return every value as real numbers."""
        run_buffers = self._open(program)
        parts = [run_buffers(batch) for batch in self._batches]
        return {name: np.concatenate([_real(part[name], program.buffers[name]) for part in parts]) for name in parts[0]}

    def judge(self, program: Program) -> Judged:
        """Return how near a program's outputs are."""
        found = self.run(program)
        first = self._outputs[0]
        same = [values[first].reshape(len(values[first]), -1).argmax(axis=1) for values in (self.wanted, found)]
        ratios = [decibels(self.wanted[name], found[name]) for name in self._outputs]
        return Judged(min(ratios), 100.0 * float((same[0] == same[1]).mean()))


def decibels(wanted: np.ndarray, found: np.ndarray) -> float:
    """Return the ratio of signal to noise."""
    power, noise = (float((values.astype(np.float64) ** 2).sum()) for values in (wanted, found - wanted))
    return SILENCE if noise == 0.0 else -SILENCE if power == 0.0 else float(10.0 * np.log10(power / noise))


def _real(values: np.ndarray, buffer: Buffer) -> np.ndarray:
    return values if buffer.dtype == "float32" else buffer.scale * (values.astype(np.float64) - buffer.zero_point)


def choose(
    program: Program,
    joined: Callable[[Mapping[str, str]], Program],
    types: Mapping[str, str],
    judge: Judge,
    more_time: Callable[[Program], float],
    budget: Mapping[str, float],
) -> tuple[Mapping[str, str], list[KeepRow]]:
    """Return the types of steps that are not int8, and what each one tried wins and costs, the best first.

    Parameters
    ----------
    program : Program
        float32.
    joined : callable
        Returns the program whose steps are of these types, by name, and all others int8.
    types : mapping of str to str
        Kept anyway.
    judge : Judge
        Of `program`.
    more_time : callable
        Returns how many milliseconds more an inference of a program takes than with `types` alone.
    budget : mapping
        As `checked_budget` returns it. Values are kept, the one that wins most first, until 'db' and 'agreement' are reached.
    """
    start = judge.judge(joined(types))
    rows = []
    for step in _candidates(program, joined(types), types, judge):
        group = _with_readers(program, step)
        for dtype in ("float32", "int16"):
            tried = joined({**dict.fromkeys(group, dtype), **types})
            found = judge.judge(tried)
            more = _more_bytes(program, group) if dtype == "float32" else 0
            rows.append(KeepRow(step.name, step.kind, group, found.db, found.agreement, more, more_time(tried), dtype))
            if found.db <= start.db and found.agreement <= start.agreement:
                break  # what float32 does not win int16 does not
    rows.sort(key=lambda row: -row.db)
    kept, now = dict(types), start
    chosen: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: (-round(row.db, 1), row.bytes)):  # of what is as good the smaller
        if _reached(now, budget):
            break
        more_types = {**dict.fromkeys(row.steps, row.dtype), **kept}
        floats = [name for name, dtype in more_types.items() if dtype == "float32" and name not in types]
        if row.step in chosen or _more_bytes(program, floats) > budget.get("bytes", np.inf):
            continue
        tried = joined(more_types)
        if "ms" in budget and more_time(tried) > budget["ms"]:
            continue
        found = judge.judge(tried)
        if found.db > now.db or found.agreement > now.agreement:
            kept, now = more_types, found
            chosen[row.step] = row.dtype
    return kept, [replace(row, kept=chosen.get(row.step) == row.dtype) for row in rows]


def _with_readers(program: Program, step: Step) -> tuple[str, ...]:
    """Return the names of a step and of those that read its value, where that is only moved in between, too."""
    found = [step.name]
    left = [step.output]
    while left:
        name = left.pop()
        for reader in program.steps:
            if name in reader.inputs and reader.name not in found:
                found.append(reader.name)
                if keeps_codes(reader, program) or isinstance(reader, Concat):
                    left.append(reader.output)
    return tuple(found)


def _more_bytes(program: Program, names: Iterable[str]) -> int:
    """Return how many bytes more weights take in float32 than in int8."""
    wanted = set(names)
    return sum(3 * step.weight.size for step in program.steps if step.name in wanted and hasattr(step, "weight"))


def _reached(now: Judged, budget: Mapping[str, float]) -> bool:
    goals = [key for key in ("db", "agreement") if key in budget]
    return bool(goals) and all(getattr(now, key) >= budget[key] for key in goals)


def _candidates(program: Program, quantized: Program, types: Mapping[str, str], judge: Judge) -> list[Step]:
    """Return the steps that compute, those behind which most noise is new first: whose output is much worse than its inputs."""
    found = judge.run(quantized)
    ratios = {name: decibels(judge.wanted[name], found[name]) for name in judge.wanted if name in found}

    def loss(step: Step) -> float:
        before = min((ratios.get(name, SILENCE) for name in step.inputs), default=SILENCE)
        return min(before, 60.0) - ratios.get(step.output, SILENCE)

    tried = [
        step for step in program.steps if step.name not in types and not keeps_codes(step, program) and not isinstance(step, Concat)
    ]
    return sorted(tried, key=loss, reverse=True)[:MAX_TRIED]
