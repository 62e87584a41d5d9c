"""Refuses adaptation records that do not fit their program, so that no engine reads or writes beyond a step's channels.

For programs that come from a file. Knows the contract of `edgebn.program` and `edgebn.adaptation` only.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgebn import program as p
from edgebn.adaptation import Adaptation, AdaptedLayer, SourceTable
from edgebn.errors import ModelError

MAX_SHIFT = 24
MAX_POSITIONS = (1 << 16) - 1  # sums of int16 deviations then fit 32 bits


def check_adaptation(program: p.Program) -> None:
    """Check the adaptation records of a program whose steps are checked already; those of a program without any fit.

    Raises
    ------
    ModelError
        With what does not fit.
    """
    adaptation = program.adaptation
    if adaptation is None:
        return
    steps = {step.name: step for step in program.steps}
    names = [layer.observation.step for layer in adaptation.layers]
    _need(bool(names) and len(set(names)) == len(names) and set(names) <= set(steps), "list of adapted steps")
    _need(len({p.step_dtype(steps[name], program) for name in names}) == 1, "mixture of int8 and float32 steps")
    for layer in adaptation.layers:
        _check_layer(layer, steps[layer.observation.step], program)
    logits = program.buffers.get(adaptation.logits)
    size = math.prod(logits.shape) if logits is not None else 0
    fits = adaptation.classes == 0 or adaptation.classes == size >= 2 or (adaptation.classes == 2 and size == 1)
    _need(fits and (adaptation.logits == "" or logits is not None), "buffer of logits")
    _need(0 < adaptation.margin < math.inf, "margin")
    _need(0 <= adaptation.strength <= 1, "strength")
    _array(adaptation.noise, np.float32, (len(names),), "noise")
    _need(bool((adaptation.noise > 0).all()), "noise")
    channels = sum(layer.channels for layer in adaptation.layers)
    for table in adaptation.tables:
        _check_table(table, channels, adaptation)


def _need(condition: bool, what: str) -> None:
    if not condition:
        raise ModelError(f"its adaptation's {what} does not fit")


def _array(array: np.ndarray, dtype: Any, shape: tuple[int, ...], what: str) -> None:
    _need(array.dtype == dtype and array.shape == shape, what)
    _need(array.dtype.kind != "f" or bool((np.isfinite(array) & (array >= 0)).all()), what)


def _check_layer(layer: AdaptedLayer, step: p.Step, program: p.Program) -> None:
    what = f"step '{step.name}'"
    if not isinstance(step, p.Convolution | p.TransposedConvolution | p.Affine):
        raise ModelError(f"its adaptation's {what} does not fit")
    _need(isinstance(step, p.Affine) or step.weight.dtype != np.int16, what)  # no kernel keeps their accumulators
    rows, columns, channels = p.epilogue_shape(step, program)
    seen = layer.observation
    _need(seen.first_row >= 0 and seen.row_step >= 1, what)
    _need(0 < len(p.observed_rows(step, seen, rows)) * columns <= MAX_POSITIONS, what)
    _array(layer.sigma, np.float32, (channels,), what)
    _array(layer.home, np.float32, (channels,), what)
    _need(bool((layer.home <= 1).all()), what)
    if p.step_dtype(step, program) == "float32":
        _need(seen.shift is None and seen.center.dtype == np.float32 and seen.center.shape == (channels,), what)
        _need(bool(np.isfinite(seen.center).all()), what)
        return
    _need(seen.center.dtype == np.int32 and seen.center.shape == (channels,) and seen.shift is not None, what)
    assert seen.shift is not None
    _array(seen.shift, np.uint8, (channels,), what)
    _need(bool((seen.shift <= MAX_SHIFT).all()), what)


def _check_table(table: SourceTable, channels: int, adaptation: Adaptation) -> None:
    what = f"table of '{table.policy}'"
    rows = len(table.first)
    _need(adaptation.classes <= rows <= adaptation.classes + 1, what)
    for codes, scale in ((table.first, table.first_scale), (table.second, table.second_scale)):
        _array(codes, np.int8, (rows, channels), what)
        _array(scale, np.float32, (len(adaptation.layers),), what)
