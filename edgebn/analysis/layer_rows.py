"""One row a layer of the file: what it holds, what it costs, and which step of the program does its work."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from edgebn.analysis.arena import buffer_bytes
from edgebn.program import FloatEpilogue, IntEpilogue, LayerRecord, Program, Reshape, Step


@dataclass(frozen=True)
class LayerRow:
    """One layer of the model file, or a step that edgebn had to add.

    Attributes
    ----------
    name, kind : str
    output_shape : tuple of int
        One sample, channels last.
    parameters : int
        Trained numbers (weights, biases, the four vectors of a batch norm).
    macs : int
        Multiply-accumulates of one inference.
    weight_bytes : int
        Weights, tables and constants as the program stores them.
    epilogue_bytes : int
        The few numbers a channel that hold bias, batch norm and requantisation.
    activation_bytes : int
        What the step's result takes in the arena; 0 for a layer that was folded into another, vanished, or shares its input's
        bytes (Reshape).
    step : str
        The step that does the layer's work; '' when the layer vanished.
    became : str
        In words.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    weight_bytes: int
    epilogue_bytes: int
    activation_bytes: int
    step: str
    became: str


def layer_rows(program: Program) -> tuple[LayerRow, ...]:
    """Return the rows in the file's order; bytes of a step stand in one row only, so columns add up to the totals."""
    records = [*program.records, *_added(program)]
    holder = _row_of_each_step(program, records)
    constants_seen: set[str] = set()
    weights = {step.name: _weight_bytes(program, step, constants_seen) for step in program.steps}
    steps = {step.name: step for step in program.steps}
    rows = []
    for index, record in enumerate(records):
        held = [steps[name] for name, row in holder.items() if row == index]
        rows.append(
            LayerRow(
                record.name,
                record.kind,
                record.output_shape,
                record.parameters,
                record.macs,
                sum(weights[step.name] for step in held),
                sum(_epilogue_bytes(step) for step in held),
                sum(buffer_bytes(program.buffers[step.output]) for step in held if not isinstance(step, Reshape)),
                record.step,
                record.became,
            )
        )
    return tuple(rows)


def _added(program: Program) -> list[LayerRecord]:
    """Return a record for each step that stands for no layer of the file."""
    known = {record.step for record in program.records}
    return [
        LayerRecord(step.name, step.kind, program.buffers[step.output].shape, 0, 0, step.name, "added by edgebn")
        for step in program.steps
        if step.name not in known
    ]


def row_of_each_step(program: Program) -> dict[str, int]:
    """Return the index of the row that carries what a step takes: the layer of the same name, else the first it serves."""
    return _row_of_each_step(program, [*program.records, *_added(program)])


def _row_of_each_step(program: Program, records: list[LayerRecord]) -> dict[str, int]:
    row: dict[str, int] = {}
    for step in program.steps:
        serving = [index for index, record in enumerate(records) if record.step == step.name]
        named = [index for index in serving if records[index].name == step.name]
        row[step.name] = (named or serving)[0]
    return row


def _array_bytes(value: object) -> int:
    """Return the bytes of every array in `value`, which may be an array, a tuple or anything else."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, tuple):
        return sum(_array_bytes(entry) for entry in value)
    return 0


def _weight_bytes(program: Program, step: Step, constants_seen: set[str]) -> int:
    """Return the bytes of the step's own arrays, and of constants that no step before it has read."""
    own = sum(_array_bytes(getattr(step, field.name)) for field in fields(step) if field.name != "weight_scale")
    for name in step.inputs:
        if name in program.constants and name not in constants_seen:
            constants_seen.add(name)
            own += program.constants[name].nbytes
    return own


def _epilogue_bytes(step: Step) -> int:
    """Return the bytes of the per-channel numbers that a device keeps: not the batch norms they were made from."""
    epilogue = getattr(step, "epilogue", None)
    if isinstance(epilogue, FloatEpilogue):
        return epilogue.bias.nbytes + epilogue.a.nbytes + epilogue.d.nbytes
    if isinstance(epilogue, IntEpilogue):
        return sum(array.nbytes for array in (epilogue.acc_bias, epilogue.lo, epilogue.hi, epilogue.m, epilogue.r, epilogue.s))
    return 0
