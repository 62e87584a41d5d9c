"""Packs products of two computed values: by register tiles where they have rows enough, else row by row.

int8 tiles (`kernels/product_tile_int8.py`) have one epilogue for all columns.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor, isa, requantization
from edgebn.kernels.product_shapes import INT8_WIDTHS, MIN_ROWS, PANEL_BYTES, int8_scratch_bytes
from edgebn.session import parts
from edgebn.session.operands import rescaling, zero_points
from edgebn.session.options import Options
from edgebn.session.packer import Address, Packer

# Kernels of register tiles, by type: not every instruction set has them.
TILED = {"float32": "matmul_tile_f32", "int8": "matmul_tile_i8"}
LOWEST, HIGHEST = -128, 127
WEIGHT_REACH = 128  # by which `requantization` bounds what a weight is multiplied by


def matmul_scratch(step: p.MatMul, program: p.Program, options: Options) -> Mapping[str, int]:
    """Return the scratch of a product: tiles keep a copy of some columns, int8 row by row the sums of one."""
    panel, shares = _panel_bytes(step, program), parts.most_shares(options.threads)
    if panel:
        return {"panel": panel * shares}
    is_int8 = p.step_dtype(step, program) == "int8"
    return {"sums": 4 * program.buffers[step.output].shape[2] * shares} if is_int8 else {}


def pack_matmul(step: p.MatMul, packer: Packer) -> None:
    """Emit a stack of matrix products."""
    a, b, output = (packer.view(name) for name in (*step.inputs, step.output))
    stacks, rows, columns = output.layout.shape
    arguments: dict[str, Address | float] = {"stacks": stacks, "rows": rows, "columns": columns, "depth": a.layout.shape[2]}
    for letter, view in (("a", a), ("b", b), ("dst", output)):
        row = view.row if view.layout.shape[0] > 1 else 0
        arguments |= {letter: view.address, f"{letter}_row": row, f"{letter}_pixel": view.pixel}
    is_tiled = _panel_bytes(step, packer.program) > 0
    if step.arithmetic is None:
        if is_tiled:
            packer.emit("matmul_tile_f32", scratch=packer.scratch(step, "panel"), **arguments)
        else:
            packer.emit("matmul_f32", **arguments)
        return
    if is_tiled:
        _emit_int8_tiles(step, packer, arguments)
        return
    arguments |= zero_points(step, packer) | rescaling(step.arithmetic)
    if packer.buffer(step.output).dtype == "int16":
        packer.emit("matmul_i16", **arguments)
    else:
        packer.emit("matmul_i8", scratch=packer.scratch(step, "sums"), **arguments)


def _panel_bytes(step: p.MatMul, program: p.Program) -> int:
    """Return the scratch of one share of a product that goes by register tiles; 0 where it goes row by row."""
    dtype = p.step_dtype(step, program)
    if program.buffers[step.output].shape[1] < MIN_ROWS or TILED.get(dtype) not in executor.operations():
        return 0
    depth = program.buffers[step.inputs[0]].shape[2]
    return PANEL_BYTES if dtype == "float32" else int8_scratch_bytes(isa.SELECTED, depth)


def _emit_int8_tiles(step: p.MatMul, packer: Packer, matrices: dict[str, Address | float]) -> None:
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
