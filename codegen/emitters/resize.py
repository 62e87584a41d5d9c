"""Spatial resampling: nearest for both types, bilinear for int8 (rounded or truncated) and float32."""

from __future__ import annotations

import numpy as np

from codegen.emitters.text import call
from codegen.stepcode import CArray, Names, StepCode
from edgebn.errors import UnsupportedLayerError
from edgebn.program import ELEMENT_BYTES, Program, Resize

INDICES = 1 << 16  # that 16 bits tell apart


def emit(step: Resize, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_resize_nearest, edgebn_resize_bilinear_s8, _s16, _even_s8, _truncated_s8, _half_s8 or _f32."""
    source, target = program.buffers[step.inputs[0]], program.buffers[step.output]
    buffers = (names.buffer(source.name), names.buffer(target.name), source.shape[1])
    size = target.shape[:2]
    if step.function == "nearest":
        if max(source.shape[:2]) > INDICES:
            raise UnsupportedLayerError(
                f"{program.source}: layer '{step.name}' picks from an axis of {max(source.shape[:2])}; C does up to {INDICES}"
            )
        rows = _index_table(names.array("rows"), step.rows, source.shape[0], "row")
        columns = _index_table(names.array("columns"), step.columns, source.shape[1], "column")
        run = source.shape[2] * ELEMENT_BYTES[target.dtype]
        tables = [table for table in (rows, columns) if table is not None]
        pointers = ("0" if table is None else table.name for table in (rows, columns))
        text = call("edgebn_resize_nearest", *buffers, run, *size, *pointers)
        return StepCode(text, tuple(tables), ("edgebn_move.h",))
    last = step.truncation_offset if step.even_from is None else step.even_from
    offset = () if last is None else (last,)
    real = target.dtype == "float32" or step.truncation_offset is not None or step.adds_half
    ctype, dtype = ("float", np.float32) if real else ("int16_t", np.int16)
    kernel = "edgebn_resize_bilinear_" + _suffix(step, target.dtype)
    arrays = (
        CArray(names.array("rows"), "int16_t", step.rows, f"({size[0]}, 2): the two input rows of each output row"),
        CArray(names.array("columns"), "int16_t", step.columns, f"({size[1]}, 2): the two input columns"),
        CArray(names.array("yweights"), ctype, step.row_weights.astype(dtype), f"({size[0]}, 2): their weights"),
        CArray(names.array("xweights"), ctype, step.column_weights.astype(dtype), f"({size[1]}, 2): their weights"),
    )
    text = call(kernel, *buffers, source.shape[2], *size, *(array.name for array in arrays), *offset)
    return StepCode(text, arrays, (f"{kernel.replace('_bilinear', '')}.h",))


def _index_table(name: str, indices: np.ndarray, size: int, what: str) -> CArray | None:
    """Return which of `size` rows or columns each one of the output is; None where all are as they were."""
    picked = indices[:, 0]
    if np.array_equal(picked, np.arange(size)):
        return None
    return CArray(name, "uint16_t", picked, f"({len(picked)}): input {what} of each output {what}")


def _suffix(step: Resize, dtype: str) -> str:
    """Return what the kernel of a bilinear resampling is called by."""
    if dtype == "float32":
        return "f32"
    if step.adds_half:
        return "half_s8"
    if dtype == "int16":
        return "s16"
    if step.even_from is not None:
        return "even_s8"
    return "s8" if step.truncation_offset is None else "truncated_s8"
