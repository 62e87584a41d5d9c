"""Recurrent cells, one moment after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebn.functions import GATES, STATE_FUNCTIONS
from edgebn.program import Recurrence

if TYPE_CHECKING:
    from edgebn.reference import Operands


def recurrence(step: Recurrence, operands: Operands) -> np.ndarray:
    """Go through the moments in float64, rounded once; formulas in `program.Recurrence`."""
    gates, *first = (value.astype(np.float64) for value in operands.values)
    sequences, moments, _ = gates.shape
    carried = np.zeros((2, sequences, step.weight.shape[1]))
    for place, value in enumerate(first):
        carried[place] = value[:, 0]
    state, cell = carried
    rows = np.empty((sequences, moments, step.weight.shape[1]))
    for moment in reversed(range(moments)) if step.backwards else range(moments):
        state, cell = _CELLS[step.cell](step, gates[:, moment], state, cell)
        rows[:, moment] = state
    return np.concatenate([rows, cell[:, np.newaxis]] if step.gives_cell else [rows], axis=1).astype(np.float32)


def _lstm(step: Recurrence, x: np.ndarray, state: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    function = STATE_FUNCTIONS[step.function]
    *gates, candidate = np.split(x + state @ step.weight.astype(np.float64).T, 4, axis=1)
    enters, keeps, leaves = (GATES[step.gate](gate, step.slope) for gate in gates)
    cell = np.clip(keeps * cell + enters * function(candidate), -step.limit, step.limit)
    return leaves * function(cell), cell


def _gru(step: Recurrence, x: np.ndarray, state: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    units = state.shape[1]
    weight, bias = step.weight.astype(np.float64), step.bias.astype(np.float64)
    before = x[:, : 2 * units] + state @ weight[: 2 * units].T
    update, reset = (GATES[step.gate](gate, step.slope) for gate in np.split(before, 2, axis=1))
    last = weight[2 * units :].T
    seen = reset * (state @ last + bias) if step.reset_after else (reset * state) @ last
    candidate = STATE_FUNCTIONS[step.function](x[:, 2 * units :] + seen)
    return (1.0 - update) * candidate + update * state, cell


def _rnn(step: Recurrence, x: np.ndarray, state: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return STATE_FUNCTIONS[step.function](x + state @ step.weight.astype(np.float64).T), cell


_CELLS = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}
