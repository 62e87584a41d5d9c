"""Packs recurrent cells."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebn import program as p
from edgebn.kernels import isa
from edgebn.kernels.records import RECURRENT_CELLS, RECURRENT_FUNCTIONS
from edgebn.kernels.recurrence_shapes import blocks_of
from edgebn.session import parts
from edgebn.session.options import Options
from edgebn.session.packer import Address, Packer

ELEMENT = 4
# Functions of states: which of `RECURRENT_FUNCTIONS`, and the bounds of a clip.
STATE_FUNCTIONS: dict[str, tuple[int, float, float]] = {
    "tanh": (RECURRENT_FUNCTIONS.index("tanh"), 0.0, 0.0),
    "sigmoid": (RECURRENT_FUNCTIONS.index("sigmoid"), 0.0, 0.0),
    "relu": (RECURRENT_FUNCTIONS.index("clip"), 0.0, np.inf),
    "identity": (-1, 0.0, 0.0),
}


def _matrices(step: p.Recurrence) -> tuple[np.ndarray, ...]:
    """Return the weights in one matrix, or those of a GRU's candidate apart, where its reset gate applies to the state."""
    split = len(step.weight) if step.reset_after else 2 * step.weight.shape[1]
    return tuple(part for part in (step.weight[:split], step.weight[split:]) if len(part))


def _room(step: p.Recurrence) -> int:
    """Return the bytes of scratch for one sequence: what the weights make of a state, and two states."""
    vectors = sum(sum(blocks_of(len(matrix), isa.SELECTED)) for matrix in _matrices(step))
    return ELEMENT * (vectors * isa.SELECTED.pointwise_lanes + 2 * step.weight.shape[1])


def scratch(step: p.Recurrence, program: p.Program, options: Options) -> Mapping[str, int]:  # noqa: ARG001  # kinds are called alike
    """Return the scratch, for every share of the sequences its own."""
    return {"moment": parts.most_shares(options.threads) * _room(step)}


def _packed(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix (outputs, inputs) as its kernel reads it: block by block, the block's outputs of each input."""
    lanes, blocks = isa.SELECTED.pointwise_lanes, blocks_of(len(matrix), isa.SELECTED)
    padded = np.pad(matrix, ((0, sum(blocks) * lanes - len(matrix)), (0, 0)))
    parts = np.split(padded, np.cumsum(blocks)[:-1] * lanes)
    return np.concatenate([part.T.reshape(-1) for part in parts])


def pack(step: p.Recurrence, packer: Packer) -> None:
    """Emit a recurrent cell."""
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    first = [packer.view(name) for name in step.inputs[1:]]
    addresses: list[Address] = [view.address for view in first]
    state, memory = [*addresses, 0, 0][:2]
    state_row, memory_row = [*(view.row for view in first), 0, 0][:2]
    matrices = _matrices(step)
    vectors = [*(sum(blocks_of(len(matrix), isa.SELECTED)) for matrix in matrices), 0]
    packed: list[Address] = [packer.constant(_packed(matrix)) for matrix in matrices]
    weight, candidate = [*packed, 0][:2]
    function, low, high = STATE_FUNCTIONS[step.function]
    packer.emit(
        "recurrence_f32",
        cell=RECURRENT_CELLS.index(step.cell),
        src=source.address,
        src_row=source.row,
        src_pixel=source.pixel,
        dst=output.address,
        dst_row=output.row,
        dst_pixel=output.pixel,
        rows=source.layout.shape[0],
        moments=source.layout.shape[1],
        units=step.weight.shape[1],
        state=state,
        state_row=state_row,
        memory=memory,
        memory_row=memory_row,
        backwards=int(step.backwards),
        gives_cell=int(step.gives_cell),
        weight=weight,
        vectors=vectors[0],
        candidate=candidate,
        candidate_vectors=vectors[1],
        bias=packer.constant(step.bias),
        gate_function=RECURRENT_FUNCTIONS.index(step.gate),
        state_function=function,
        slope=step.slope,
        offset=0.5,
        low=low,
        high=high,
        limit=step.limit,
        scratch=packer.scratch(step, "moment"),
    )
