"""What runs in which order: every step as an action, a sum joined to the convolution that makes one of its operands.

Knows programs and emitters; nothing of offsets or files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from codegen import emitters
from codegen.naming import StepNames
from codegen.stepcode import StepCode
from codegen.values import Values
from edgebn.program import Program, Step


@dataclass(frozen=True)
class Action:
    """One or two steps of a program as one piece of C.

    Attributes
    ----------
    steps : tuple of int
        Indices into `Program.steps`; the last one's output is what is made.
    inputs : tuple of str
        Buffers read; the first is the one that may be written over.
    owners : tuple of str
        Whose memory the inputs are; constants by their own names.
    output, output_owner : str
    code : StepCode
    """

    steps: tuple[int, ...]
    inputs: tuple[str, ...]
    owners: tuple[str, ...]
    output: str
    output_owner: str
    code: StepCode

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory."""
        return self.code.scratch

    @property
    def in_place(self) -> bool:
        """Whether the output may be the first input's memory."""
        return self.code.in_place


def actions_of(
    program: Program,
    values: Values,
    stems: Mapping[str, str],
    cost: Callable[[Sequence[Action]], list[int]],
    *,
    join: bool = True,
) -> list[Action]:
    """Return the program's steps as actions, in an order that keeps the arena small.

    A convolution whose only reader is a sum may wait until that sum and become one action with it: its own codes are then never
    stored. Which of a sum's operands waits is decided by `cost`, one sum after the other; none where that
    costs more.

    Parameters
    ----------
    program : Program
    values : Values
    stems : mapping of str to str
        What the names of each step's arrays begin with (`naming.stems`).
    cost : callable
        What a list of actions costs in memory; lists compare.
    join : bool
        Whether steps may be joined at all.

    Returns
    -------
    list of Action
    """

    def step_names(step: Step) -> StepNames:
        return StepNames(stems[step.name], values.expressions)

    actions = [
        _action((i,), step.inputs, step.output, values, emitters.emit(step, program, step_names(step)))
        for i, step in enumerate(program.steps)
    ]
    if not join:
        return actions
    for second, firsts in _joints(program, values).items():
        candidates = [actions]
        for first in firsts:
            one, two = program.steps[first], program.steps[second]
            code = emitters.emit_joined(one, two, program, step_names(one))
            if code is None or not any(action.steps == (first,) for action in actions):
                continue
            other = two.inputs[1 - two.inputs.index(one.output)]
            joined = _action((first, second), (other, *one.inputs), two.output, values, code)
            candidates.append([joined if action.steps == (second,) else action for action in actions if action.steps != (first,)])
        actions = min(reversed(candidates), key=cost)
    return actions


def _action(steps: tuple[int, ...], inputs: tuple[str, ...], output: str, values: Values, code: StepCode) -> Action:
    owners = tuple(values.owner[buffer] for buffer in inputs)
    return Action(steps, inputs, owners, output, values.owner[output], code)


def _joints(program: Program, values: Values) -> dict[int, list[int]]:
    """Return, by step, the steps before it that make a value which it alone reads and which nobody else sees."""
    makers = {step.output: i for i, step in enumerate(program.steps)}
    readers: dict[str, list[int]] = {}
    for i, step in enumerate(program.steps):
        for buffer in step.inputs:
            readers.setdefault(buffer, []).append(i)
    shared = Counter(values.owner.values())
    found: dict[int, list[int]] = {}
    for buffer, reading in readers.items():
        if buffer in makers and len(reading) == 1 and shared[values.owner[buffer]] == 1 and buffer not in program.leaving:
            found.setdefault(reading[0], []).append(makers[buffer])
    return dict(sorted(found.items()))
