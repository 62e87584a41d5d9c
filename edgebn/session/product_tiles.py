"""Packs int8 products of two values for register tiles (`kernels/product_tile_int8.py`), with one epilogue for all columns."""

from __future__ import annotations

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor, isa, requantization
from edgebn.kernels.product_shapes import INT8_WIDTHS, MIN_ROWS, int8_scratch_bytes
from edgebn.session.packer import Address, Packer

LOWEST, HIGHEST = -128, 127
WEIGHT_REACH = 128  # by which `requantization` bounds what a weight is multiplied by


def scratch_bytes(step: p.MatMul, program: p.Program) -> int:
    """Return the scratch of one share of a product of codes by tiles; 0 where it does not go by them."""
    if program.buffers[step.output].shape[1] < MIN_ROWS or "matmul_tile_i8" not in executor.operations():
        return 0
    return int8_scratch_bytes(isa.SELECTED, program.buffers[step.inputs[0]].shape[2])


def emit(step: p.MatMul, packer: Packer, matrices: dict[str, Address | float]) -> None:
    """Emit a product of codes for the tiles; `matrices` are the arguments that say where they are."""
    a, b = (packer.buffer(name) for name in step.inputs)
    ends = [max(abs(end - one.zero_point) for end in (LOWEST, HIGHEST)) for one in (a, b)]
    reach = ends[0] * ends[1] * a.shape[2]
    templates, scalars = [], {}
    for nv in INT8_WIDTHS:
        packed = _epilogue(step, nv, reach)
        templates.append(packer.constant(packed.data))
        scalars = packed.scalars
    packer.emit(
        "matmul_tile_i8",
        scratch=packer.scratch(step, "panel"),
        a_zero=a.zero_point,
        b_zero=b.zero_point,
        template=templates[0],
        narrow_template=templates[1],
        **scalars,
        **matrices,
    )


def _epilogue(step: p.MatMul, nv: int, reach: int) -> requantization.PackedEpilogue:
    """Return a block of an epilogue of sums up to `reach`, the same in every column."""
    form = step.arithmetic
    assert form is not None
    width = nv * isa.SELECTED.lanes
    limits = np.iinfo(np.int32)
    alike = {"acc_bias": 0, "lo": limits.min, "hi": limits.max, "m": form.m, "r": form.r, "s": form.s}
    arrays = {name: np.full(width, value, np.int64) for name, value in alike.items()}
    contract = requantization.Requantization(**arrays, neg=form.neg, zero_point=form.zero_point, qmin=form.qmin, qmax=form.qmax)
    return requantization.pack_epilogue_i8(isa.SELECTED, contract, np.full((width, 1), -(-reach // WEIGHT_REACH)), nv)
